/* test_config_load.c - what a pipeline file means once it is loaded, and where loading ends.
 *
 * The texts of errors are in tests/golden/config. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config/function.h"
#include "tests/kptest.h"
#include "tests/unit/config_shelf.h"

#define BEGIN "local k = require 'kpipe'\n"
#define END                                                                              \
    "return { kpipe = 1, name = 'test', flows = { main = { k.source.numbers {}, stage, " \
    "k.sink.collect {} } } }\n"

static bool says(const char *problems, const char *part)
{
    if (!strstr(problems, part))
        fprintf(stderr, "no '%s' in:\n%s", part, problems);
    return strstr(problems, part);
}

static struct plan *must_load(const char *text)
{
    const char *problems;
    struct plan *plan = shelf_load(text, &problems);

    if (!plan)
        fprintf(stderr, "%s", problems);
    REQUIRE(plan != NULL);
    return plan;
}

static void refuses(const char *text, const char *part)
{
    const char *problems;
    struct plan *plan = shelf_load(text, &problems);

    CU_ASSERT_PTR_NULL(plan);
    YES(says(problems, part));
    plan_free(plan);
}

/* ---- options */

TEST(what_is_left_out_has_its_default)
{
    struct plan *plan = shelf_with_stage("k.transform.anything {}");
    const struct shelf_config *c = shelf_stage(plan);

    CU_ASSERT_PTR_NULL(c->text);
    EQ_INT(c->number, 7);
    CU_ASSERT_EQUAL(c->ratio, 0.5);
    YES(c->flag);
    EQ_INT(c->bytes, 5 << 20);
    EQ_INT(c->duration_ms, 30000);
    EQ_INT(c->choice, 0);
    EQ_INT(c->list.count, 0);
    EQ_INT(c->map.count, 0);
    EQ_INT(c->value.kind, KP_V_NONE);
    EQ_INT(c->batch.records, 100);
    EQ_INT(c->batch.wait_ms, 1000);
    EQ_INT(plan->flows[0].nodes[1].retry.attempts, 0);
    EQ_INT(plan->flows[0].nodes[1].retry.base_ms, 100);
    EQ_INT(plan->flows[0].nodes[1].retry.max_ms, 20000);
    EQ_INT(plan->checkpoint_interval_ms, 5000);
    EQ_STR(plan->application, "test");
    EQ_STR(plan->leases, "dynamodb");
    plan_free(plan);
}

TEST(options_of_all_types_arrive)
{
    struct plan *plan = shelf_with_stage(
        "k.transform.anything { text = 'x', number = 100, ratio = 1, flag = false, size = '1.5MiB',"
        " interval = '2m', compression = 'zip', command = { 'node', 'x.js' },"
        " headers = { b = 'two', a = k.field '$.a', n = 5 }, key = k.field '$.x[0]',"
        " handler = function(e) end, batch = { records = 5 },"
        " retry = { attempts = 3, base = '1s', max = '1m' }, stage = 'special' }");
    const struct shelf_config *c = shelf_stage(plan);

    EQ_STR(c->text, "x");
    EQ_INT(c->number, 100);
    CU_ASSERT_EQUAL(c->ratio, 1.0);
    NO(c->flag);
    EQ_INT(c->bytes, 3 << 19);
    EQ_INT(c->duration_ms, 120000);
    EQ_INT(c->choice, 2);
    REQUIRE(c->list.count == 2);
    EQ_STR(c->list.items[1], "x.js");
    REQUIRE(c->map.count == 3);
    EQ_STR(c->map.items[0].name, "b"); /* as in the file */
    EQ_STR(c->map.items[0].value.text, "two");
    EQ_INT(c->map.items[1].value.kind, KP_V_FIELD);
    EQ_STR(c->map.items[1].value.text, "$.a");
    EQ_STR(c->map.items[2].value.text, "5");
    EQ_INT(c->value.kind, KP_V_FIELD);
    REQUIRE(c->function != NULL);
    YES(strstr(c->function->where, "file.lua:2") != NULL);
    EQ_INT(c->batch.records, 5);
    EQ_INT(c->batch.wait_ms, 1000);
    EQ_STR(plan->flows[0].nodes[1].stage, "special");
    EQ_INT(plan->flows[0].nodes[1].retry.attempts, 3);
    EQ_INT(plan->flows[0].nodes[1].retry.base_ms, 1000);
    EQ_INT(plan->flows[0].nodes[1].retry.max_ms, 60000);
    plan_free(plan);
}

TEST(one_text_stands_for_a_list_of_it)
{
    struct plan *plan = shelf_with_stage("k.transform.anything { command = 'ls' }");

    REQUIRE(shelf_stage(plan)->list.count == 1);
    EQ_STR(shelf_stage(plan)->list.items[0], "ls");
    plan_free(plan);
}

TEST(a_plugin_has_the_last_word)
{
    YES(says(shelf_problems("k.transform.anything { number = 13 }"),
             "file.lua:2: anything: 13 is no good number"));
    YES(says(shelf_problems("k.transform['too-new'] {}"),
             "transform 'too-new' cannot be used: too-new.so speaks ABI 2.0, this kpipe 1.0"));
}

TEST(a_choice_is_a_whole_one)
{
    YES(says(shelf_problems("k.transform.anything { compression = 'none|gzip' }"),
             "must be one of"));
    YES(says(shelf_problems("k.transform.anything { compression = 'gz' }"), "must be one of"));
}

TEST(a_text_holds_no_nul)
{
    YES(says(shelf_problems("k.transform.anything { text = 'a\\0b' }"),
             "must not hold a NUL byte"));
}

/* ---- flows and names */

TEST(stages_without_a_name_get_one)
{
    struct plan *plan = must_load(
        BEGIN "return { kpipe = 1, name = 'test', application = 'app', leases = 'file:x',"
              " checkpoint_interval = '1m', flows = { b = { k.source.numbers {},"
              " k.transform.anything {}, k.transform.anything { stage = 'anything-2' },"
              " k.transform.anything {}, k.sink.collect {} }, a = { k.source.numbers {},"
              " k.sink.collect {}, memory = '1MiB', on_failure = k.sink.collect {} } } }\n");

    EQ_INT(plan->n_flows, 2);
    EQ_STR(plan->flows[0].name, "b"); /* as in the file */
    EQ_STR(plan->flows[0].nodes[1].stage, "anything");
    EQ_STR(plan->flows[0].nodes[2].stage, "anything-2");
    EQ_STR(plan->flows[0].nodes[3].stage, "anything-3");
    EQ_STR(plan->flows[1].nodes[1].stage, "collect");
    REQUIRE(plan->flows[1].on_failure != NULL);
    EQ_STR(plan->flows[1].on_failure->stage, "collect-2");
    EQ_INT(plan->flows[1].memory, 1 << 20);
    EQ_STR(plan->application, "app");
    EQ_STR(plan->leases, "file:x");
    EQ_INT(plan->checkpoint_interval_ms, 60000);
    plan_free(plan);
}

TEST(on_failure_and_memory_may_stand_by_flow)
{
    struct plan *plan =
        must_load(BEGIN "return { kpipe = 1, name = 'test', flows = { main = { k.source.numbers {},"
                        " k.sink.collect {} } }, on_failure = { main = k.sink.drain {} },"
                        " memory = { main = '2MiB' } }\n");

    REQUIRE(plan->flows[0].on_failure != NULL);
    EQ_STR(plan->flows[0].on_failure->element->name, "drain");
    EQ_INT(plan->flows[0].memory, 2 << 20);
    plan_free(plan);
}

/* ---- resources */

static const char *property(const kp_resource *resource, const char *name)
{
    for (size_t i = 0; i < resource->n_properties; i++)
        if (!strcmp(resource->properties[i].name, name))
            return resource->properties[i].value;
    return "";
}

TEST(resources_are_seen_by_plugins_as_text)
{
    struct plan *plan = must_load(
        BEGIN "local s = k.resource.stream { name = 'orders', shards = 3, retention = '48h' }\n"
              "assert(s.name == 'orders' and s.shards == 3)\n"
              "return { kpipe = 1, name = s.name .. '-x', resources = { s }, flows = { main = {"
              " k.source.feed { stream = s }, k.sink.collect { stream = s } } } }\n");
    const struct shelf_config *c = plan->flows[0].nodes[0].config;

    EQ_STR(plan->name, "orders-x");
    REQUIRE(plan->n_resources == 1);
    CU_ASSERT_PTR_EQUAL(c->stream, plan->resources[0]);
    EQ_STR(c->stream->kind, "stream");
    EQ_STR(property(c->stream, "shards"), "3");
    EQ_STR(property(c->stream, "retention"), "172800000");
    EQ_STR(property(c->stream, "mode"), "provisioned");
    plan_free(plan);
}

TEST(resources_that_are_not_listed_anywhere_are_taken_as_used)
{
    struct plan *plan =
        must_load(BEGIN "local unused = k.resource.queue { name = 'unused' }\n"
                        "return { kpipe = 1, name = 'xyz', flows = { main = {"
                        " k.source.feed { stream = k.resource.stream { name = 'a' } },"
                        " k.sink.collect { stream = k.resource.stream { name = 'b' } } }, more = {"
                        " k.source.feed { stream = k.resource.stream { name = 'a' } },"
                        " k.sink.drain {} } } }\n");

    REQUIRE(plan->n_resources == 2);
    EQ_STR(plan->resources[0]->name, "a");
    EQ_STR(plan->resources[1]->name, "b");
    plan_free(plan);
}

/* ---- params, environment, secrets */

#define PARAMS                                                                                    \
    BEGIN "local p = k.params { Number = { default = 5, min = 1, max = 9 },"                      \
          " Wait = { default = '5s', min = '1s', max = '1m' }, Flag = { default = false },"       \
          " Text = { default = 'a', choices = { 'a', 'b' } }, Free = { type = 'number', default " \
          "= 1 } }\n"                                                                             \
          "local stage = k.transform.anything { number = p.Number, interval = p.Wait,"            \
          " flag = p.Flag, text = p.Text, ratio = p.Free }\n" END

static struct plan *load_with(const char *text, const struct plan_set *sets, size_t n)
{
    struct plan_options options = {
        .catalog = &shelf_catalog, .sets = sets, .n_sets = n, .local = true};
    const char *problems;
    struct plan *plan = shelf_load_with(text, &options, &problems);

    if (!plan)
        fprintf(stderr, "%s", problems);
    return plan;
}

TEST(params_have_defaults_and_are_set)
{
    const struct plan_set sets[] = {{"Number", "9"}, {"Wait", "1m"},   {"Flag", "true"},
                                    {"Text", "b"},   {"Free", "0.25"}, {"Number", "2"}};
    struct plan *plan = load_with(PARAMS, NULL, 0);

    REQUIRE(plan != NULL);
    EQ_INT(shelf_stage(plan)->number, 5);
    EQ_INT(shelf_stage(plan)->duration_ms, 5000);
    NO(shelf_stage(plan)->flag);
    plan_free(plan);
    plan = load_with(PARAMS, sets, 6);
    REQUIRE(plan != NULL);
    EQ_INT(shelf_stage(plan)->number, 2); /* the last one counts */
    EQ_INT(shelf_stage(plan)->duration_ms, 60000);
    YES(shelf_stage(plan)->flag);
    EQ_STR(shelf_stage(plan)->text, "b");
    CU_ASSERT_EQUAL(shelf_stage(plan)->ratio, 0.25);
    plan_free(plan);
}

TEST(the_environment_takes_the_type_of_its_default)
{
    struct plan *plan;

    setenv("KPIPE_TEST_NUMBER", "42", 1);
    setenv("KPIPE_TEST_TEXT", "42", 1);
    setenv("KPIPE_TEST_FLAG", "false", 1);
    plan = must_load(BEGIN
                     "local stage = k.transform.anything { number = k.env('KPIPE_TEST_NUMBER', 1),"
                     " text = k.env 'KPIPE_TEST_TEXT', flag = k.env('KPIPE_TEST_FLAG', true),"
                     " ratio = k.env('KPIPE_TEST_NONE', 0.75) }\n" END);
    EQ_INT(shelf_stage(plan)->number, 42);
    EQ_STR(shelf_stage(plan)->text, "42");
    NO(shelf_stage(plan)->flag);
    CU_ASSERT_EQUAL(shelf_stage(plan)->ratio, 0.75);
    plan_free(plan);
}

TEST(a_secret_reaches_its_option_and_nothing_else)
{
    char path[300], *shown = NULL;
    size_t len;
    struct plan *plan;
    FILE *out;

    setenv("KPIPE_TEST_SECRET", "hunter2", 1);
    snprintf(path, sizeof path, "%s/secret", kptest_dir());
    out = fopen(path, "we");
    REQUIRE(out != NULL);
    fputs("swordfish\n", out);
    fclose(out);
    shelf_path();
    {
        char text[2000];

        snprintf(text, sizeof text,
                 BEGIN
                 "local stage = k.transform.anything { password = k.secret 'env:KPIPE_TEST_SECRET',"
                 " headers = { key = k.secret 'file:%s' } }\n" END,
                 path);
        plan = must_load(text);
    }
    EQ_STR(shelf_stage(plan)->secret, "hunter2");
    REQUIRE(shelf_stage(plan)->map.count == 1);
    EQ_INT(shelf_stage(plan)->map.items[0].value.kind, KP_V_SECRET);
    EQ_STR(shelf_stage(plan)->map.items[0].value.text, "swordfish");
    out = open_memstream(&shown, &len);
    REQUIRE(out != NULL);
    plan_show(plan, false, out);
    plan_show(plan, true, out);
    plan_graph(plan, GRAPH_TEXT, out);
    plan_graph(plan, GRAPH_DOT, out);
    fclose(out);
    CU_ASSERT_PTR_NULL(strstr(shown, "hunter2"));
    CU_ASSERT_PTR_NULL(strstr(shown, "swordfish"));
    CU_ASSERT_PTR_NOT_NULL(strstr(shown, "k.secret \"env:KPIPE_TEST_SECRET\""));
    free(shown);
    plan_free(plan);
}

TEST(a_secret_cannot_be_looked_into)
{
    static const char *const tries[] = {
        "'x' .. s",
        "s .. 'x'",
        "#s",
        "s.text",
        "tostring(s)",
        "s < s",
        "s + 1",
        "s()",
        "pairs(s)",
        "('%s'):format(s)",
        "ipairs(s)(s, 0)",
        "select(2, pcall(error, s)) .. ''",
        "table.concat({ s })",
        "json.encode(s)",
        "json.encode({ s })",
        "s:find('h')",
        "string.rep(s, 2)",
    };
    char text[500];

    setenv("KPIPE_TEST_SECRET", "hunter2", 1);
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        const char *problems;
        struct plan *plan;

        snprintf(text, sizeof text,
                 BEGIN "local s = k.secret 'env:KPIPE_TEST_SECRET'\nlocal x = %s\nreturn {}\n",
                 tries[i]);
        plan = shelf_load(text, &problems);
        CU_ASSERT_PTR_NULL(plan);
        YES(says(problems, "file.lua:3: "));
        CU_ASSERT_PTR_NULL(strstr(problems, "hunter2"));
        plan_free(plan);
    }
}

TEST(is_local_tells_where_the_pipeline_will_run)
{
    struct plan_options options = {.catalog = &shelf_catalog, .local = false};
    const char *text =
        BEGIN "local stage = k.transform.anything { text = tostring(k.is_local) }\n" END;
    const char *problems;
    struct plan *plan = must_load(text);

    EQ_STR(shelf_stage(plan)->text, "true");
    plan_free(plan);
    plan = shelf_load_with(text, &options, &problems);
    REQUIRE(plan != NULL);
    EQ_STR(shelf_stage(plan)->text, "false");
    plan_free(plan);
}

/* ---- problems */

TEST(problems_are_sorted_and_each_is_told_once)
{
    const char *problems, *first, *second;
    struct plan *plan = shelf_load(BEGIN "local stage = k.transform.anything {\n"
                                         "  numbr = 1,\n"
                                         "  size = 5 }\n"
                                         "for i = 1, 3 do local x = unknown end\n" END,
                                   &problems);

    CU_ASSERT_PTR_NULL(plan);
    first = strstr(problems, "file.lua:3: anything.numbr: no such option, did you mean 'number'?");
    second = strstr(problems, "file.lua:4: anything.size: must be a size");
    CU_ASSERT_PTR_NOT_NULL(first);
    CU_ASSERT_PTR_NOT_NULL(second);
    YES(first < second);
    YES(says(problems, "file.lua:5: 'unknown' is not defined\n3 problems, nothing was started\n"));
    plan_free(plan);
}

TEST(hundreds_of_problems_are_cut_off_and_counted)
{
    refuses(BEGIN "for i = 1, 300 do local x = k.resource['kind' .. i] end\nreturn {}\n",
            "more are not shown");
}

TEST(control_bytes_of_the_file_do_not_reach_the_terminal)
{
    const char *problems;
    struct plan *plan = shelf_load("local x = _ENV['a\\27[31m\\nb']\nreturn {}\n", &problems);

    CU_ASSERT_PTR_NULL(plan);
    CU_ASSERT_PTR_NULL(strchr(problems, '\x1b'));
    YES(says(problems, "'a?[31m?b' is not defined"));
    plan_free(plan);
}

/* ---- limits */

static void ends_in_time(const char *body)
{
    struct plan_options options = {.catalog = &shelf_catalog, .load_ms = 50};
    const char *problems;
    struct plan *plan = shelf_load_with(body, &options, &problems);

    CU_ASSERT_PTR_NULL(plan);
    YES(says(problems, "loading the file took longer than 50 ms of CPU time"));
    plan_free(plan);
}

TEST(loading_ends_in_time)
{
    ends_in_time("while true do end");
    ends_in_time("local function f() return f() end f()");
    ends_in_time("while true do pcall(function() while true do end end) end");
    ends_in_time("for i = 1, 1e9 do pcall(error) end");
    ends_in_time("return { name = ('a'):rep(100000):find('a-a-a-a-b') }");
    ends_in_time("local t = {} for i = 1, 1e5 do t[i] = i end while true do table.sort(t, "
                 "function(a, b) return a < b end) end");
    ends_in_time("local s = ('x'):rep(1e7) while true do local t = s:upper() end");
    ends_in_time(BEGIN "while true do local x = k.source.numbers { unknown = 1 } end");
    ends_in_time("while true do local x = unknown end");
}

static void needs_less_memory(const char *body)
{
    struct plan_options options = {.catalog = &shelf_catalog, .load_bytes = 4 << 20};
    const char *problems;
    struct plan *plan = shelf_load_with(body, &options, &problems);

    CU_ASSERT_PTR_NULL(plan);
    YES(says(problems, "memory"));
    plan_free(plan);
}

TEST(loading_needs_little_memory)
{
    needs_less_memory("local t = {} while true do t[#t + 1] = {} end");
    needs_less_memory("local s = 'x' while true do s = s .. s end");
    needs_less_memory("return { name = ('x'):rep(1e8) }");
    needs_less_memory("local t = {} for i = 1, 1e5 do t[i] = 'xxxxxxxxxx' end "
                      "while true do t[#t] = table.concat(t) end");
    needs_less_memory(BEGIN "while true do local x = k.source.numbers {} end");
    needs_less_memory(BEGIN "while true do local x = k.resource.queue { name = 'x' } end");
}

TEST(deep_nesting_ends_in_an_error)
{
    refuses("local function f(n) return 1 + f(n) end return f(1)", "stack overflow");
    refuses("return "
            "((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((("
            "((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((("
            "((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((",
            "file.lua: C stack overflow\n1 problem,");
    refuses("local t = {} t.t = t return t", "t: no such option");
    refuses(BEGIN
            "local b = {} b.batch = b\nlocal stage = k.transform.anything { batch = b }\n" END,
            "anything.batch.batch: no such option");
}

TEST(there_is_no_way_out_of_the_sandbox)
{
    static const char *const ways[] = {
        "io.open('/etc/passwd')",
        "os.exit(0)",
        "os.getenv('HOME')",
        "require('os')",
        "require('io')",
        "load('return 1')()",
        "loadstring('return 1')()",
        "dofile('/x')",
        "debug.getregistry()",
        "package.loadlib('x')",
        "_G.os",
        "setmetatable({}, {})",
        "getmetatable('').__index",
        "rawset(_ENV, 'a', 1)",
        "collectgarbage('stop')",
        "coroutine.create(f)",
        "string.dump(f)",
        "('').dump(f)",
        "xpcall(f, f)",
        "print(1)",
    };
    char text[200];

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        const char *problems;
        struct plan *plan;

        snprintf(text, sizeof text, "local function f() end\nlocal x = %s\nreturn {}\n", ways[i]);
        plan = shelf_load(text, &problems);
        CU_ASSERT_PTR_NULL(plan);
        YES(says(problems, "file.lua:2: "));
        plan_free(plan);
    }
}

TEST(the_library_is_the_same_for_everyone)
{
    refuses("string.format = nil\nreturn {}\n", "file.lua:1: the library is read-only");
    refuses("local string = string string.rep = 1\nreturn {}\n", "read-only");
    refuses("table = {}\nreturn {}\n", "use 'local table'");
}

/* ---- files */

TEST(bytecode_is_refused)
{
    const char *problems;
    struct plan *plan = shelf_load("\x1bLuaT", &problems);

    CU_ASSERT_PTR_NULL(plan);
    YES(says(problems, "compiled Lua"));
}

TEST(only_files_below_the_pipeline_are_required)
{
    static const char *const names[] = {"..x", "/etc/x", "a/b", "a..b", "",
                                        "a.",  ".a",     "a b", "../x"};
    char text[200];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(text, sizeof text, "local x = require '%s'\nreturn {}\n", names[i]);
        refuses(text, "a name is \"kpipe\", or that of a file below");
    }
}

TEST(a_fifo_or_a_large_file_is_not_read)
{
    struct plan_options options = {.catalog = &shelf_catalog};
    char path[300], *problems = NULL;
    size_t len;
    FILE *out = open_memstream(&problems, &len);
    int fd;

    REQUIRE(out != NULL);
    snprintf(path, sizeof path, "%s/fifo.lua", kptest_dir());
    REQUIRE(mkfifo(path, 0600) == 0);
    CU_ASSERT_PTR_NULL(plan_load(path, &options, out));
    snprintf(path, sizeof path, "%s/large.lua", kptest_dir());
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    REQUIRE(ftruncate(fd, 2 << 20) == 0);
    close(fd);
    CU_ASSERT_PTR_NULL(plan_load(path, &options, out));
    fclose(out);
    YES(says(problems, "fifo.lua: is not a file"));
    YES(says(problems, "large.lua: is larger than 1MiB"));
    free(problems);
}

/* ---- show */

static char *shown(const struct plan *plan, bool json)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    REQUIRE(out != NULL);
    plan_show(plan, json, out);
    fclose(out);
    return text;
}

TEST(what_is_shown_can_be_loaded_and_means_the_same)
{
    struct plan *plan = must_load(
        BEGIN "local s = k.resource.stream { name = 'the.stream' }\n"
              "local t = k.resource.stream { name = 'the-stream' }\n"
              "return { kpipe = 1, name = 'xyz', resources = { t, s }, flows = { ['a-b'] = {"
              " k.source.feed { stream = s, batch = { records = 5 } }, k.transform.anything {"
              " text = 'quote \" back \\\\ line \\n tab \\t nul', headers = { ['end'] = 'x',"
              " ['a b'] = k.field '$.x' }, command = { 'a', 'b' }, ratio = 0.1 },"
              " k.sink.collect { stream = t, retry = { attempts = 2 } },"
              " on_failure = k.sink.drain {}, memory = '1MiB' } } }\n");
    char *first = shown(plan, false), *second;

    plan_free(plan);
    plan = must_load(first);
    second = shown(plan, false);
    EQ_STR(second, first);
    EQ_STR(plan->flows[0].name, "a-b");
    EQ_INT(plan->n_resources, 2);
    free(first);
    free(second);
    first = shown(plan, true);
    CU_ASSERT_PTR_NOT_NULL(strstr(first, "\"a b\": {"));
    free(first);
    plan_free(plan);
}
