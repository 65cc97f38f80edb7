/* test_config_lua.c - functions of the pipeline file on a worker: records, handlers, limits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/config/lua_run.h"
#include "tests/kptest.h"
#include "tests/unit/config_shelf.h"

struct call {
    struct plan *plan;
    struct lua_run *run;
    kp_lua_result result;
    kp_slice text;
    char copy[4000]; /* of text */
};

static void open_call(struct call *call, const char *function)
{
    char stage[6000];

    snprintf(stage, sizeof stage, "k.transform.each { each = %s }", function);
    memset(call, 0, sizeof *call);
    call->plan = shelf_with_stage(stage);
    call->run = lua_run_new(0);
}

static void close_call(struct call *call)
{
    lua_run_free(call->run);
    plan_free(call->plan);
}

static const kp_function *function_of(const struct call *call)
{
    return shelf_stage(call->plan)->function;
}

static void keep_text(struct call *call)
{
    snprintf(call->copy, sizeof call->copy, "%.*s", (int)call->text.len, call->text.ptr);
}

static kp_lua_result feed(struct call *call, const char *data)
{
    kp_record record = {.data = data,
                        .data_len = (uint32_t)strlen(data),
                        .key = "the key",
                        .key_len = 7,
                        .sequence = "4900",
                        .sequence_len = 4,
                        .sub_sequence = 3,
                        .arrival_ms = 1700000000123};
    kp_batch b = {.size = sizeof b,
                  .record_size = sizeof record,
                  .count = 1,
                  .records = &record,
                  .lane_name = {"shardId-000000000000", 20}};

    call->result = lua_run_record(call->run, function_of(call), &b, 0, &call->text);
    keep_text(call);
    return call->result;
}

static kp_lua_result handle(struct call *call, const char *event, int64_t time_ms)
{
    call->result = lua_run_handler(call->run, function_of(call), (kp_slice){event, strlen(event)},
                                   (kp_slice){"{\"id\":\"a\"}", 10}, time_ms, &call->text);
    keep_text(call);
    return call->result;
}

/* The function's answer for one record. */
static void gives(const char *function, const char *data, kp_lua_result result, const char *text)
{
    struct call call;

    open_call(&call, function);
    feed(&call, data);
    if (call.result != result || (text && strcmp(call.copy, text) != 0))
        fprintf(stderr, "%s of %s gives %d, %s\n", function, data, call.result, call.copy);
    EQ_INT(call.result, result);
    if (text)
        EQ_STR(call.copy, text);
    close_call(&call);
}

static void fails(const char *function, const char *data, const char *part)
{
    struct call call;

    open_call(&call, function);
    EQ_INT(feed(&call, data), KP_LUA_ERROR);
    if (!strstr(call.copy, part))
        fprintf(stderr, "%s says %s\n", function, call.copy);
    YES(strstr(call.copy, part) != NULL);
    close_call(&call);
}

static void answers(const char *function, const char *event, const char *text)
{
    struct call call;

    open_call(&call, function);
    handle(&call, event, 1000);
    if (strcmp(call.copy, text) != 0)
        fprintf(stderr, "%s of %s answers %s\n", function, event, call.copy);
    EQ_STR(call.copy, text);
    close_call(&call);
}

/* ---- reading a record */

TEST(a_field_has_the_type_of_its_json)
{
    gives("function(e) return e.a + 1 end", "{\"a\":41}", KP_LUA_TEXT, "42");
    gives("function(e) return math.type(e.a) end", "{\"a\":1}", KP_LUA_TEXT, "integer");
    gives("function(e) return math.type(e.a) end", "{\"a\":1.0}", KP_LUA_TEXT, "float");
    gives("function(e) return math.type(e.a) end", "{\"a\":1e2}", KP_LUA_TEXT, "float");
    gives("function(e) return e.a end", "{\"a\":9223372036854775807}", KP_LUA_TEXT,
          "9223372036854775807");
    gives("function(e) return math.type(e.a) end", "{\"a\":9223372036854775808}", KP_LUA_TEXT,
          "float");
    gives("function(e) return e.a end", "{\"a\":0.1}", KP_LUA_TEXT, "0.1");
    gives("function(e) return e.a end", "{\"a\":\"x\\u00e9\\n\"}", KP_LUA_TEXT, "x\xc3\xa9\n");
    gives("function(e) return e.a == true and e.b == false end", "{\"a\":true,\"b\":false}",
          KP_LUA_SAME, NULL);
    gives("function(e) return e.a == nil and e.b == nil end", "{\"a\":null}", KP_LUA_SAME, NULL);
    gives("function(e) return e['a b'] end", "{\"a b\":\"y\"}", KP_LUA_TEXT, "y");
    gives("function(e) return e['\\u{e9}'] end", "{\"\\u00e9\":\"escaped\"}", KP_LUA_TEXT,
          "escaped");
}

TEST(fields_are_found_in_any_order)
{
    gives("function(e) return e.c .. e.a .. e.b .. e.c .. tostring(e.d) end",
          "{ \"a\" : \"1\", \"b\" : \"2\", \"c\" : \"3\" }", KP_LUA_TEXT, "3123nil");
}

TEST(of_equal_names_the_first_counts)
{
    gives("function(e) local x = e.b return e.a end", "{\"a\":1,\"a\":2,\"b\":3}", KP_LUA_TEXT,
          "1");
}

TEST(nested_values_are_tables)
{
    gives("function(e) return e.a.b[2].c end", "{\"a\":{\"b\":[1,{\"c\":\"deep\"}]}}", KP_LUA_TEXT,
          "deep");
    gives("function(e) return #e.a end", "{\"a\":[1,null,3]}", KP_LUA_TEXT, "3");
    gives("function(e) return e.a[2] == json.null end", "{\"a\":[1,null,3]}", KP_LUA_SAME, NULL);
    gives("function(e) return e.a == e.a end", "{\"a\":[]}", KP_LUA_SAME, NULL);
}

TEST(the_context_knows_the_rest)
{
    gives("function(e, r) return r.data end", "no json", KP_LUA_TEXT, "no json");
    gives("function(e, r) return r.key .. r.sequence .. r.lane end", "{}", KP_LUA_TEXT,
          "the key4900shardId-000000000000");
    gives("function(e, r) return r.arrival_ms + r.sub_sequence end", "{}", KP_LUA_TEXT,
          "1700000000126");
    gives("function(e, r) return r.type == nil end", "{}", KP_LUA_SAME, NULL);
    fails("function(e, r) return r.partition end", "{}", "the context has no 'partition'");
    fails("function(e, r) r.key = 'x' end", "{}", "read-only");
}

TEST(pairs_visits_the_members_in_order)
{
    gives("function(e) local t = {} for n, v in pairs(e) do t[#t + 1] = n .. '=' .. tostring(v) end"
          " return table.concat(t, ' ') end",
          "{\"b\":1,\"a\":\"x\",\"n\":null,\"c\":true}", KP_LUA_TEXT, "b=1 a=x c=true");
    gives("function(e) e.z = 5 e.b = nil local t = {} for n, v in pairs(e) do t[#t + 1] = n end"
          " return table.concat(t, ' ') end",
          "{\"b\":1,\"a\":2}", KP_LUA_TEXT, "a z");
    gives("function(e) local n = 0 for name, v in pairs(e) do n = n + v end return n end",
          "{\"a\":1,\"b\":2,\"a\":9}", KP_LUA_TEXT, "3");
    gives("function(e) return tostring(e) end", " {\"b\": 1} ", KP_LUA_TEXT, " {\"b\": 1} ");
}

TEST(what_is_no_json_object_is_an_error_of_the_call)
{
    fails("function(e) return e.a end", "[1]", "no JSON object");
    fails("function(e) return e.a end", "nonsense", "not JSON");
    fails("function(e) return e.b end", "{\"a\":1,\n\"b\" 2}", "line 2, column 5");
    fails("function(e) e.b = 1 end", "{\"a\":1", "ends too early");
    fails("function(e) return e[1] end", "{}", "names");
    gives("function(e) return true end", "nonsense", KP_LUA_SAME, NULL); /* not looked at */
}

/* ---- changing a record */

TEST(a_record_that_is_not_changed_is_the_same)
{
    gives("function(e) return e end", "{\"a\":1}", KP_LUA_SAME, NULL);
    gives("function(e) local x = e.a return e end", "{\"a\":1}", KP_LUA_SAME, NULL);
    gives("function(e) local x = e.a.b[1] return e end",
          "{\"a\": {\"b\": [1.50, null], \"c\":null}}", KP_LUA_SAME, NULL);
}

TEST(what_is_not_changed_keeps_its_text)
{
    gives("function(e) e.b = 2 return e end",
          "{ \"a\" : 1.500, \"big\":12345678901234567890, \"b\":1, \"s\":\"\\u00e9\" , \"n\" : "
          "null }",
          KP_LUA_TEXT,
          "{\"a\":1.500,\"big\":12345678901234567890,\"b\":2,\"s\":\"\\u00e9\",\"n\":null}");
}

TEST(members_are_set_added_and_removed)
{
    gives("function(e) e.a = nil return e end", "{\"a\":1,\"b\":2}", KP_LUA_TEXT, "{\"b\":2}");
    gives("function(e) e.a = json.null return e end", "{\"a\":1}", KP_LUA_TEXT, "{\"a\":null}");
    gives("function(e) e.z = 1 e.y = 'q\"' return e end", "{}", KP_LUA_TEXT,
          "{\"z\":1,\"y\":\"q\\\"\"}");
    gives("function(e) e.z = 1 e.z = nil e.y = e.z == nil return e end", "{\"a\":1}", KP_LUA_TEXT,
          "{\"a\":1,\"y\":true}");
    gives("function(e) e.z = 1 e.z = nil e.z = 3 return e end", "{}", KP_LUA_TEXT, "{\"z\":3}");
    gives("function(e) e.a = 1.5 e.b = 1e100 e.c = -7 return e end", "{}", KP_LUA_TEXT,
          "{\"a\":1.5,\"b\":1e+100,\"c\":-7}");
    gives("function(e) e.t = { x = 1, a = { true, json.null } } return e end", "{}", KP_LUA_TEXT,
          "{\"t\":{\"a\":[true,null],\"x\":1}}");
    gives("function(e) e.a = e.a return e.a == 1 end", "{\"a\":1}", KP_LUA_SAME, NULL);
    fails("function(e) e.f = function() end end", "{}", "cannot be set to a function");
    fails("function(e) e.f = 0/0 return e end", "{}", "NaN");
}

TEST(nested_tables_are_changed_in_place)
{
    gives("function(e) e.a.b = 2 return e end", "{\"a\":{\"c\":1.0,\"b\":1,\"n\":null},\"d\":[]}",
          KP_LUA_TEXT, "{\"a\":{\"c\":1.0,\"b\":2,\"n\":null},\"d\":[]}");
    gives("function(e) e.a.new = 'x' e.a.b = nil return e end", "{\"a\":{\"b\":1,\"c\":2}}",
          KP_LUA_TEXT, "{\"a\":{\"c\":2,\"new\":\"x\"}}");
    gives("function(e) e.a[3] = 3 return e end", "{\"a\":[1.0,2]}", KP_LUA_TEXT,
          "{\"a\":[1.0,2,3]}");
    gives("function(e) table.remove(e.a) return e end", "{\"a\":[1,2]}", KP_LUA_TEXT,
          "{\"a\":[1]}");
    gives("function(e) e.a[1].x.y = nil return e end", "{\"a\":[{\"x\":{\"y\":1}}]}", KP_LUA_TEXT,
          "{\"a\":[{\"x\":{}}]}");
    gives("function(e) table.remove(e.a) return e end", "{\"a\":[1]}", KP_LUA_TEXT, "{\"a\":[]}");
    gives("function(e) e.a['\\u{e9}'] = 2 return e end", "{\"a\":{\"\\u00e9\":1}}", KP_LUA_TEXT,
          "{\"a\":{\"\\u00e9\":2}}");
    fails("function(e) e.a[5] = 1 return e end", "{\"a\":[1]}", "holes");
}

TEST(long_names_and_many_members_work)
{
    char data[4000] = "{\"", expected[4000] = "{\"o\":{\"";
    char name[200];

    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(data, sizeof data, "{\"o\":{\"%s\":1", name);
    snprintf(expected, sizeof expected, "{\"o\":{\"%s\":2", name);
    for (int i = 0; i < 60; i++) {
        snprintf(data + strlen(data), 30, ",\"m%d\":%d", i, i);
        snprintf(expected + strlen(expected), 30, ",\"m%d\":%d", i, i);
    }
    strcat(data, "}}");
    strcat(expected, "}}");
    gives("function(e) e.o[('n'):rep(199)] = 2 return e end", data, KP_LUA_TEXT, expected);
}

TEST(a_record_is_only_there_during_its_call)
{
    struct call call;

    open_call(&call, "(function() local kept return function(e) if type(e) == 'userdata' then kept "
                     "= kept or e return kept.a end return kept.a end end)()");
    EQ_INT(feed(&call, "{\"a\":1}"), KP_LUA_TEXT);
    EQ_INT(feed(&call, "{\"a\":2}"), KP_LUA_TEXT);
    EQ_STR(call.copy, "2"); /* the one cursor shows the record at hand */
    EQ_INT(handle(&call, "{\"a\":3}", 0), KP_LUA_ERROR);
    YES(strstr(call.copy, "while its function runs") != NULL);
    close_call(&call);
}

TEST(nothing_of_one_record_is_seen_in_the_next)
{
    struct call call;

    open_call(&call, "function(e) if e.set then e.x = { 'left' } e.y = 1 end "
                     "return e.x == nil and e.y == nil end");
    EQ_INT(feed(&call, "{\"set\":1}"), KP_LUA_NIL);
    EQ_INT(feed(&call, "{}"), KP_LUA_SAME);
    close_call(&call);
}

/* ---- results */

TEST(results_are_told_apart)
{
    gives("function(e) end", "{}", KP_LUA_NIL, "");
    gives("function(e) return false end", "{}", KP_LUA_NIL, "");
    gives("function(e) return true end", "{}", KP_LUA_SAME, "");
    gives("function(e) return '' end", "{}", KP_LUA_TEXT, "");
    gives("function(e) return 2.0 end", "{}", KP_LUA_TEXT, "2");
    gives("function(e) return { b = 1, a = e.x } end", "{\"x\":[1,{}]}", KP_LUA_TEXT,
          "{\"a\":[1,{}],\"b\":1}");
    gives("function(e) return {} end", "{}", KP_LUA_TEXT, "[]");
    gives("function(e) return json.object {} end", "{}", KP_LUA_TEXT, "{}");
    fails("function(e) return tostring end", "{}", "a function cannot be written as JSON");
    fails("function(e, r) return r end", "{}", "cannot be written as JSON");
    fails("function(e) return { 1, nil, 3, x = 2 } end", "{}", "list without holes");
    fails("function(e) local t = {} t.t = t return t end", "{}", "holds itself");
    fails("function(e) return 1/0 end", "{}", "infinite");
}

TEST(errors_name_their_place)
{
    fails("function(e)\n  return e.a.b\nend", "{}", "file.lua:3: attempt to index a nil value");
    fails("function(e) error('no price', 0) end", "{}", "no price");
    fails("function(e) error({ code = 5 }) end", "{}", "{\"code\":5}");
    fails("function(e) error() end", "{}", "error() was called with a nil");
    fails("function(e) string.x = 1 end", "{}", "read-only");
    fails("function(e) local n = 'os' return _ENV[n].time() end", "{}",
          "'os' is not available here");
    fails("function(e) local n = 'prize' return _ENV[n] end", "{}", "'prize' is not defined");
    fails("function(e) local n = 'x' _ENV[n] = 1 end", "{}", "use 'local x'");
}

TEST(values_are_texts_fields_and_functions)
{
    struct call call;
    kp_record record = {.data = "{\"a\":{\"b\":\"x\\ty\"},\"n\":1.50,\"z\":null}"};
    kp_batch b = {.size = sizeof b, .record_size = sizeof record, .count = 1, .records = &record};
    kp_value text = {KP_V_TEXT, "as it is", NULL}, field = {KP_V_FIELD, "$.a.b", NULL},
             number = {KP_V_FIELD, "$.n", NULL}, null = {KP_V_FIELD, "$.z", NULL},
             missing = {KP_V_FIELD, "$.q", NULL}, none = {0};

    record.data_len = (uint32_t)strlen(record.data);
    open_call(&call, "function(e) return e.n * 2 end");
    EQ_INT(lua_run_value(call.run, &text, &b, 0, &call.text), KP_LUA_TEXT);
    keep_text(&call);
    EQ_STR(call.copy, "as it is");
    EQ_INT(lua_run_value(call.run, &field, &b, 0, &call.text), KP_LUA_TEXT);
    keep_text(&call);
    EQ_STR(call.copy, "x\ty");
    EQ_INT(lua_run_value(call.run, &number, &b, 0, &call.text), KP_LUA_TEXT);
    keep_text(&call);
    EQ_STR(call.copy, "1.50");
    EQ_INT(lua_run_value(call.run, &null, &b, 0, &call.text), KP_LUA_NIL);
    EQ_INT(lua_run_value(call.run, &missing, &b, 0, &call.text), KP_LUA_NIL);
    EQ_INT(lua_run_value(call.run, &none, &b, 0, &call.text), KP_LUA_NIL);
    EQ_INT(lua_run_value(call.run, &(kp_value){KP_V_FUNCTION, NULL, function_of(&call)}, &b, 0,
                         &call.text),
           KP_LUA_TEXT);
    keep_text(&call);
    EQ_STR(call.copy, "3");
    record.data_len = 5;
    EQ_INT(lua_run_value(call.run, &field, &b, 0, &call.text), KP_LUA_ERROR);
    close_call(&call);
}

/* ---- handlers */

TEST(a_handler_gets_tables_and_answers_json)
{
    answers("function(event, context) return { n = #event.list, id = context.id } end",
            "{\"list\":[1,2,3]}", "{\"id\":\"a\",\"n\":3}");
    answers("function(event) return event end",
            "{\"o\":{},\"a\":[],\"f\":1.5,\"i\":10,\"n\":null,\"l\":[null]}",
            "{\"a\":[],\"f\":1.5,\"i\":10,\"l\":[null],\"o\":{}}");
    answers("function(event) return 'a\\n' end", "1", "\"a\\n\"");
    answers("function(event) return event == nil end", "null", "true");
    answers("function(event) return false end", "null", "false");
    answers("function(event) return { batchItemFailures = {} } end", "{}",
            "{\"batchItemFailures\":[]}");
    answers("function(event) return json.decode(event.body).x end", "{\"body\":\"{\\\"x\\\":5}\"}",
            "5");
    answers("function(event) return json.encode { 1, 'a', json.object {} } end", "{}",
            "\"[1,\\\"a\\\",{}]\"");
}

TEST(a_handler_that_returns_nothing_answers_nil)
{
    struct call call;

    open_call(&call, "function(event) end");
    EQ_INT(handle(&call, "{}", 0), KP_LUA_NIL);
    EQ_INT(handle(&call, "{\"a\":", 0), KP_LUA_ERROR);
    YES(strstr(call.copy, "the event is not JSON: the text ends too early") != NULL);
    EQ_INT(handle(&call, "{}", 0), KP_LUA_NIL);
    close_call(&call);
}

/* ---- functions travel with what they captured */

TEST(a_function_keeps_the_constants_it_captured)
{
    gives("(function() local limit, name, list = 5, 'n', tostring "
          "local function add(x) return x + limit end "
          "return function(e) return name .. list(add(e.a)) end end)()",
          "{\"a\":1}", KP_LUA_TEXT, "n6");
}

TEST(a_function_may_call_itself)
{
    gives(
        "(function() local function fact(n) if n < 2 then return 1 end return n * fact(n - 1) end "
        "return function(e) return fact(e.n) end end)()",
        "{\"n\":10}", KP_LUA_TEXT, "3628800");
}

TEST(each_worker_has_variables_of_its_own)
{
    struct call call;
    struct lua_run *first, *second;

    open_call(&call, "(function() local n = 0 return function(e) n = n + 1 return n end end)()");
    first = call.run;
    second = lua_run_new(0);
    feed(&call, "{}");
    feed(&call, "{}");
    EQ_STR(call.copy, "2");
    call.run = second;
    feed(&call, "{}");
    EQ_STR(call.copy, "1");
    lua_run_free(second);
    call.run = first;
    feed(&call, "{}");
    EQ_STR(call.copy, "3");
    close_call(&call);
}

/* ---- limits */

static double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void runs_over(const char *function)
{
    struct call call;
    double from = cpu_seconds();

    open_call(&call, function);
    EQ_INT(handle(&call, "{}", 50), KP_LUA_ERROR);
    if (!strstr(call.copy, "took longer than 50 ms"))
        fprintf(stderr, "%s\n", call.copy);
    YES(strstr(call.copy, "took longer than 50 ms of CPU time") != NULL);
    YES(cpu_seconds() - from < 1.5);
    /* and the next call has all its time again */
    EQ_INT(handle(&call, "{\"quick\":true}", 50), KP_LUA_TEXT);
    EQ_STR(call.copy, "\"fine\"");
    close_call(&call);
}

TEST(an_endless_call_is_ended)
{
    runs_over("function(e) if e.quick then return 'fine' end while true do end end");
}

TEST(pcall_does_not_escape_the_time_limit)
{
    runs_over("function(e) if e.quick then return 'fine' end "
              "while true do pcall(function() while true do end end) end end");
    runs_over("function(e) if e.quick then return 'fine' end "
              "local function f() while true do pcall(f) end end f() end");
}

TEST(few_instructions_that_take_long_are_ended)
{
    runs_over("function(e) if e.quick then return 'fine' end "
              "local s = ('x'):rep(10000000) while true do local t = s .. 'y' end end");
    runs_over("function(e) if e.quick then return 'fine' end "
              "local t = {} for i = 1, 100000 do t[i] = i end "
              "while true do table.insert(t, 1, 0) table.remove(t, 1) end end");
}

TEST(a_hopeless_pattern_is_ended)
{
    runs_over("function(e) if e.quick then return 'fine' end "
              "return ('a'):rep(5000):find(('a*'):rep(30) .. 'b') end");
    runs_over("function(e) if e.quick then return 'fine' end "
              "return ('a'):rep(100000):match('.-.-.-.-b') end");
    runs_over("function(e) if e.quick then return 'fine' end "
              "for x in ('a'):rep(100000):gmatch('a-a-a-a-b') do end end");
    runs_over("function(e) if e.quick then return 'fine' end "
              "return ('('):rep(300000):gsub('%b()', '') end");
    runs_over("function(e) if e.quick then return 'fine' end "
              "local s = ('a'):rep(20000000) while true do s:find('b', 1, true) end end");
}

static void needs_memory(const char *function)
{
    struct call call;

    open_call(&call, function);
    lua_run_free(call.run);
    call.run = lua_run_new(4 << 20);
    EQ_INT(feed(&call, "{}"), KP_LUA_ERROR);
    if (!strstr(call.copy, "memory"))
        fprintf(stderr, "%s\n", call.copy);
    YES(strstr(call.copy, "memory") != NULL);
    EQ_INT(feed(&call, "{\"quick\":true}"), KP_LUA_TEXT);
    EQ_STR(call.copy, "fine");
    close_call(&call);
}

TEST(memory_is_bounded)
{
    needs_memory("function(e) if e.quick then return 'fine' end return ('x'):rep(1 << 30) end");
    needs_memory("function(e) if e.quick then return 'fine' end "
                 "local t = {} while true do t[#t + 1] = ('x'):rep(10000) end end");
    needs_memory("function(e) if e.quick then return 'fine' end "
                 "local s = 'x' while true do s = s .. s end end");
}

TEST(deep_recursion_is_an_error)
{
    fails("function(e) local function f(n) return 1 + f(n + 1) end return f(1) end", "{}",
          "stack overflow");
    fails("function(e) return ('x'):rep(10):gsub('.', function() error('inside', 0) end) end", "{}",
          "inside");
}

TEST(the_library_cannot_be_replaced)
{
    fails("function(e) local n = 'string' _ENV[n] = 1 end", "{}", "use 'local string'");
    fails("function(e) string.format = 1 end", "{}", "read-only");
    fails("function(e) return string.dump(tostring) end", "{}", "nil value");
}

/* ---- names are checked when the file is loaded */

static void refused(const char *function, const char *part)
{
    char stage[20000];
    const char *problems;

    snprintf(stage, sizeof stage, "k.transform.each { each = %s }", function);
    problems = shelf_problems(stage);
    if (!strstr(problems, part))
        fprintf(stderr, "%s says %s\n", function, problems);
    YES(strstr(problems, part) != NULL);
}

TEST(unknown_names_in_functions_are_found_while_loading)
{
    refused("function(e)\n\n  return e.a > prize end", "file.lua:4: 'prize' is not defined\n1 p");
    refused("function(e) return tonubmer(e.a) end", "did you mean 'tonumber'?");
    refused("function(e) local limit = 5 return function() return limti end end",
            "did you mean 'limit'?");
    refused("function(e) x = 1 end", "use 'local x'");
    refused("function(e) string = 1 end", "use 'local string'");
    refused("function(e) return rawset(e, 'x', 1) end", "'rawset' is not available");
    refused("function(e) return setmetatable({}, {}) end", "'setmetatable' is not available");
    refused("function(e) return load('x') end", "'load' is not available");
    refused("function(e) return print(e) end", "'print' is not available here");
    refused("function(e) return require 'x' end", "a function cannot require files");
    refused("(function() local function f() return nowhere end"
            " return function(e) return f() end end)()",
            "'nowhere' is not defined");
    refused("function(e) return 1.5, 1 << 40, 'a long text that is no short string at all, no', "
            "e.x, nowhere end",
            "'nowhere' is not defined");
}

TEST(lines_are_right_in_long_functions)
{
    char text[19000] = "function(e)\n", part[100];

    for (int i = 0; i < 300; i++)
        strcat(text, i % 150 == 149 ? "\n\n\n" : "do local _ = e.a + 1 end\n");
    strcat(text, "return nowhere end");
    snprintf(part, sizeof part, "file.lua:%d: 'nowhere'", 2 + 1 + 298 + 6);
    refused(text, part);
}
