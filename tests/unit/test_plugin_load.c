/* test_plugin_load.c - finding, scanning and refusing plugins, on real shared objects made by cc.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/plugin/plugins.h"
#include "core/plugin/scan.h"
#include "tests/kptest.h"

static const kp_host host = {.size = sizeof host, .abi_major = 1};

/* What every plugin here begins with; ROWS, EXTRA and the numbers are macros. */
static const char template[] =
    "#include <kpipe/plugin.h>\n"
    "#include <stdlib.h>\n"
    "#include <unistd.h>\n"
    "struct config { int64_t n; double x; bool b; int e; const char *s; };\n"
    "#ifndef ROWS\n#define ROWS\n#endif\n"
    "#ifndef MORE\n#define MORE\n#endif\n"
    "#ifndef NAME\n#define NAME \"probe\"\n#endif\n"
    "static const kp_option rows[] = { ROWS {0} };\n"
    "static kp_status process(kp_node *n, void *s, kp_batch *b)\n"
    "{ (void)s; kp->emit(n, b); return KP_OK; }\n"
    "static const kp_element element = {.size = sizeof(kp_element), .kind = KP_TRANSFORM,\n"
    "  .name = NAME, .help = \"h\", .options = rows, .config_size = sizeof(struct config),\n"
    "  .process = process MORE};\n"
    "#ifdef EXTRA\nEXTRA\n#endif\n"
    "#ifndef NO_ENTRY\nKP_PLUGIN(NAME, \"1\", \"MIT\", &element)\n#endif\n";

/* Builds dir/NAME.so; `flags` hold the -D of this case, quoted for sh. */
static const char *build(const char *dir, const char *name, const char *flags)
{
    static char path[300];
    const char *cc = getenv("CC");
    char command[2000], source[300];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s.so", dir, name);
    snprintf(source, sizeof source, "%s/%s.c", dir, name);
    f = fopen(source, "we");
    REQUIRE(f != NULL);
    fputs(template, f);
    fclose(f);
    snprintf(command, sizeof command,
             "%s -shared -fPIC -fvisibility=hidden -w -I%s -Dme_%s %s -o %s %s", cc ? cc : "cc",
             kptest_path("sdk/include"), "x", flags, path, source);
    REQUIRE(system(command) == 0);
    return path;
}

static struct error problem_of(const char *name, const char *flags)
{
    struct error err = ERROR_INIT;

    if (plugin_check(build(kptest_dir(), name, flags), &host, &err))
        snprintf(err.text, sizeof err.text, "fine");
    return err;
}

static void expect(const char *name, const char *flags, const char *text)
{
    struct error err = problem_of(name, flags);

    if (!strstr(err.text, text))
        fprintf(stderr, "%s: got \"%s\", expected \"%s\"\n", name, err.text, text);
    YES(strstr(err.text, text) != NULL);
}

#define ROW(type, field, dflt, check) \
    "{\\\"n\\\", " type ", offsetof(struct config, " field "), " dflt ", " check ", \\\"h\\\"},"
#define ROWS(row) "-DROWS=\"" row "\""

TEST(a_plugin_of_another_abi_is_refused_with_one_clear_line)
{
    expect("major", "-DEXTRA='__attribute__((unused)) static int abi;' -DKP_TEST", "fine");
    expect("newer",
           "-DNO_ENTRY -DEXTRA='const kp_host *kp; __attribute__((visibility(\"default\"))) const "
           "kp_plugin *kpipe_plugin(const kp_host *h) { static const kp_element *const e[] = "
           "{&element, NULL}; static const kp_plugin me = {sizeof me, 2, 0, NAME, \"1\", \"MIT\", "
           "e}; return &me; }'",
           "newer.so was built for kpipe ABI 2.0, this is 1.2: rebuild it");
    expect("minor",
           "-DNO_ENTRY -DEXTRA='const kp_host *kp; __attribute__((visibility(\"default\"))) const "
           "kp_plugin *kpipe_plugin(const kp_host *h) { static const kp_element *const e[] = "
           "{&element, NULL}; static const kp_plugin me = {sizeof me, 1, 7, NAME, \"1\", \"MIT\", "
           "e}; return &me; }'",
           "was built for kpipe ABI 1.7, this is 1.2: update kpipe or rebuild it");
}

TEST(a_description_of_another_size_is_refused)
{
    expect("element",
           "-DNO_ENTRY -DEXTRA='const kp_host *kp; __attribute__((visibility(\"default\"))) const "
           "kp_plugin *kpipe_plugin(const kp_host *h) { static const kp_element small = {.size = "
           "8}; static const kp_element *const e[] = {&small, NULL}; static const kp_plugin me = "
           "{sizeof me, 1, 0, NAME, \"1\", \"MIT\", e}; return &me; }'",
           "has an element of 8 bytes, kp_element of ABI 1.2 has ");
    expect("plugin",
           "-DNO_ENTRY -DEXTRA='const kp_host *kp; __attribute__((visibility(\"default\"))) const "
           "kp_plugin *kpipe_plugin(const kp_host *h) { static const kp_element *const e[] = "
           "{&element, NULL}; static const kp_plugin me = {999, 1, 0, NAME, \"1\", \"MIT\", e}; "
           "return &me; }'",
           "has a description of 999 bytes");
    expect("null",
           "-DNO_ENTRY -DEXTRA='const kp_host *kp; __attribute__((visibility(\"default\"))) const "
           "kp_plugin *kpipe_plugin(const kp_host *h) { return NULL; }'",
           "returned NULL from kpipe_plugin()");
}

TEST(a_plugin_that_crashes_exits_or_is_none_costs_one_line)
{
    expect("crash", "-DEXTRA='__attribute__((constructor)) static void c(void) { abort(); }'",
           "crashed when it was opened: signal 6");
    expect("leave", "-DEXTRA='__attribute__((constructor)) static void c(void) { _exit(7); }'",
           "ended the process when it was opened, with code 7");
    expect("empty", "-DNO_ENTRY -DEXTRA='const kp_host *kp;'", "exports no kpipe_plugin");
    expect("missing", "-DEXTRA='void nowhere(void); void *f(void) { return nowhere; }'",
           "undefined symbol: nowhere");
    expect("undefined", "-DEXTRA='void kpw_base64(void); void *f(void) { return kpw_base64; }'",
           "leaves kpw_base64 undefined");
    expect("second",
           "-DEXTRA='__attribute__((visibility(\"default\"))) int second_symbol(void) { return 1; "
           "}'",
           "exports second_symbol; kpipe_plugin must be the only symbol");
}

TEST(grants_come_whole_and_to_sources_only)
{
    expect("half",
           "-DMORE=', .offer = offer' -DROWS='}; static void offer(kp_node *n, void *s) { (void)n; "
           "(void)s; } static const kp_option more[] = {'",
           "needs all of grant(), revoke() and offer(), or none");
    expect(
        "sink",
        "-DMORE=', .grant = grant, .revoke = take, .offer = offer' -DROWS='}; static void "
        "offer(kp_node *n, void *s) { (void)n; (void)s; } static void grant(kp_node *n, void *s, "
        "const kp_grant *g) { (void)n; (void)s; (void)g; } static void take(kp_node *n, void "
        "*s, kp_lane *l, void *t, bool b) { (void)n; (void)s; (void)l; (void)t; (void)b; } static "
        "const kp_option more[] = {'",
        "grant() is for sources");
}

static void note(void *arg, size_t i, const char *problem)
{
    snprintf(arg, 300, "%zu %s", i, problem);
}

TEST(a_plugin_that_hangs_is_left_after_the_limit)
{
    const char *dir = kptest_dir();
    char text[300] = "", first[300];
    char *paths[2] = {first, NULL};

    snprintf(first, sizeof first, "%s",
             build(dir, "hang",
                   "-DEXTRA='__attribute__((constructor)) static void c(void) { for "
                   "(;;) pause(); }'"));
    paths[1] = (char *)(uintptr_t)build(dir, "fine", "");
    scan_files(&(struct scan_job){
        .paths = paths, .n = 2, .host = &host, .limit_ms = 300, .problem = note, .arg = text});
    YES(strstr(text, "0 did not answer within") != NULL);
}

TEST(a_file_that_is_no_shared_object_is_refused)
{
    char path[300];
    struct error err = ERROR_INIT;
    FILE *f;

    snprintf(path, sizeof path, "%s/text.so", kptest_dir());
    NO(plugin_check(path, &host, &err));
    YES(strstr(err.text, "No such file") != NULL);
    f = fopen(path, "we");
    fputs("\177ELF is how it begins, but not how it goes on", f);
    fclose(f);
    NO(plugin_check(path, &host, &err));
    YES(strstr(err.text, "is not a shared object of this machine") != NULL);
}

TEST(option_rows_that_make_no_sense_are_refused)
{
    expect("good", ROWS(ROW("KP_T_INT", "n", "\\\"5\\\"", "\\\"1..10\\\"")), "fine");
    expect("range", ROWS(ROW("KP_T_INT", "n", "\\\"5\\\"", "\\\"1-10\\\"")),
           "\"1-10\" is not a range of type int");
    expect("outside", ROWS(ROW("KP_T_INT", "n", "\\\"11\\\"", "\\\"1..10\\\"")),
           "the default 11 is outside of 1..10");
    expect("unit", ROWS(ROW("KP_T_DURATION", "n", "\\\"5\\\"", "NULL")),
           "the default \"5\" is not of type duration");
    expect("choice", ROWS(ROW("KP_T_ENUM", "e", "\\\"c\\\"", "\\\"a|b\\\"")),
           "the default \"c\" is none of a|b");
    expect("truth", ROWS(ROW("KP_T_BOOL", "b", "\\\"yes\\\"", "NULL")), "neither true nor false");
    expect("beyond", ROWS(ROW("KP_T_LIST", "s", "KP_OPTIONAL", "NULL")), "its field ends at byte");
    expect("align", ROWS("{\\\"n\\\", KP_T_INT, 1, KP_REQUIRED, NULL, \\\"h\\\"},"),
           "offset 1 does not fit type int");
    expect("type", ROWS(ROW("99", "n", "KP_REQUIRED", "NULL")), "unknown type 99");
    expect("twice",
           ROWS(ROW("KP_T_INT", "n", "KP_REQUIRED", "NULL")
                    ROW("KP_T_INT", "n", "KP_REQUIRED", "NULL")),
           "option n: is there twice");
    expect("named", "-DNAME='\"Bad_Name\"'", "lower-case letters, digits");
}

static void count_element(void *arg, const kp_element *element)
{
    (void)element;
    ++*(int *)arg;
}

TEST(the_catalog_finds_elements_and_says_why_one_may_be_missing)
{
    const char *dir = kptest_dir();
    struct error err = ERROR_INIT;
    struct plugins *plugins;
    struct catalog catalog;
    int n = 0;

    build(dir, "a", "-DNAME='\"alpha\"'");
    build(dir, "b", "-DNAME='\"alpha\"'");
    build(dir, "c", "-DNAME='\"gamma\"'");
    build(dir, "delta", "-DNAME='\"delta\"' -DNO_ENTRY -DEXTRA='const kp_host *kp;'");
    plugins = plugins_load(dir, &host, &err);
    REQUIRE(plugins != NULL);
    EQ_INT(plugins_count(plugins), 4);
    catalog = plugins_catalog(plugins);
    YES(catalog.find(catalog.arg, KP_TRANSFORM, "gamma", &err) != NULL);
    EQ_INT(err.kind, ERROR_NONE);
    CU_ASSERT_PTR_NULL(catalog.find(catalog.arg, KP_SINK, "delta", &err));
    YES(strstr(err.text, "delta.so exports no kpipe_plugin") != NULL);
    YES(strstr(plugins_at(plugins, 1)->problem, "brings transform alpha, which") != NULL);
    catalog.each(catalog.arg, count_element, &n);
    EQ_INT(n, 2);
    plugins_free(plugins);
}

static bool is_mapped(const char *name)
{
    FILE *f = fopen("/proc/self/maps", "re");
    char line[600];
    bool found = false;

    while (f && fgets(line, sizeof line, f))
        found |= strstr(line, name) != NULL;
    if (f)
        fclose(f);
    return found;
}

TEST(a_plugin_is_opened_when_one_of_its_elements_is_asked_for)
{
    const char *dir = kptest_dir();
    struct error err = ERROR_INIT;
    struct plugins *plugins;
    struct catalog catalog;

    build(dir, "wanted", "-DNAME='\"wanted\"'");
    build(dir, "unused", "-DNAME='\"unused\"'");
    plugins = plugins_load(dir, &host, &err);
    REQUIRE(plugins != NULL);
    catalog = plugins_catalog(plugins);
    NO(is_mapped("/wanted.so"));
    YES(catalog.find(catalog.arg, KP_TRANSFORM, "wanted", &err) != NULL);
    YES(is_mapped("/wanted.so"));
    CU_ASSERT_PTR_NULL(catalog.find(catalog.arg, KP_TRANSFORM, "nothing", &err));
    NO(is_mapped("/unused.so"));
    plugins_free(plugins);
}

TEST(a_plugin_that_is_gone_when_it_is_opened_says_so)
{
    const char *dir = kptest_dir(), *path;
    struct error err = ERROR_INIT;
    struct plugins *plugins;
    struct catalog catalog;

    path = build(dir, "gone", "-DNAME='\"gone\"'");
    plugins = plugins_load(dir, &host, &err);
    REQUIRE(plugins != NULL);
    REQUIRE(!remove(path));
    catalog = plugins_catalog(plugins);
    CU_ASSERT_PTR_NULL(catalog.find(catalog.arg, KP_TRANSFORM, "gone", &err));
    YES(strstr(err.text, "gone.so cannot be opened") != NULL);
    plugins_free(plugins);
}

TEST(a_plugin_folder_that_is_not_there_is_an_error)
{
    struct error err = ERROR_INIT;

    CU_ASSERT_PTR_NULL(plugins_load("/nowhere/at/all", &host, &err));
    EQ_INT(err.kind, ERROR_CONFIG);
    YES(strstr(err.text, "/nowhere/at/all") != NULL);
}
