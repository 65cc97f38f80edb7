/* test_plugin_new.c - what `kpipe new plugin` makes builds with the header alone, is loadable, and
 * passes its own tests through the harness. */
#include "core/cli/cmd_new.c" /* its functions are static */

#include "core/plugin/plugins.h"
#include "tests/kptest.h"

/* The harness's libraries are built with what this program is built with. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZE " -fsanitize=address,undefined"
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZE " -fsanitize=address,undefined"
#endif
#endif
#ifndef SANITIZE
#define SANITIZE ""
#endif

/* Where this program was built: its libraries lie there. [owned by caller] */
static char *build_folder(void)
{
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

    REQUIRE(n > 0);
    exe[n] = '\0';
    for (int i = 0; i < 2; i++) /* BUILD/tests/unit */
        *strrchr(exe, '/') = '\0';
    return mem_dup(exe);
}

static void check_tests(const char *plugin)
{
    char source[PATH_MAX], *build = build_folder(), *command;

    REQUIRE(realpath(kptest_path("."), source) != NULL);
    command = mem_fmt("cd %s && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s test "
                      "KPIPE_SOURCE=%s B=%s CFLAGS='-O1 -g -Wall -Wextra -Werror" SANITIZE
                      "' >test.log 2>&1 || { cat test.log >&2; false; }",
                      plugin, source, build);
    CU_ASSERT_EQUAL(system(command), 0);
    free(command);
    free(build);
}

static void check_kind(const char *kind)
{
    static const kp_host host = {.size = sizeof host, .abi_major = KP_ABI_MAJOR};
    const char *dir = kptest_dir();
    struct scaffold s = {.name = "two-words", .kind = kind, .source = mem_dup("")};
    struct error err = ERROR_INIT;
    char include[PATH_MAX], *command, *so;

    s.template = mem_dup(kptest_path("sdk/template"));
    REQUIRE(realpath(kptest_path("sdk/include"), include) != NULL);
    s.include = mem_dup(include);
    REQUIRE(make_plugin(&s, dir, &err));
    NO(make_plugin(&s, dir, &err)); /* never writes over what is there */
    YES(strstr(err.text, "File exists") != NULL);
    /* Of make's own variables nothing may come from the make that runs the tests. */
    command = mem_fmt("cd %s/two-words && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s "
                      "CFLAGS='-Wall -Wextra -Werror'",
                      dir);
    REQUIRE(system(command) == 0);
    so = mem_fmt("%s/two-words/two-words.so", dir);
    if (!plugin_check(so, &host, &err))
        CU_FAIL(err.text);
    free(so);
    free(command);
    so = mem_fmt("%s/two-words", dir);
    check_tests(so);
    free(so);
    free(s.template);
    free(s.include);
    free(s.source);
    free(s.target);
}

TEST(a_new_source_builds_and_is_fine)
{
    check_kind("source");
}

TEST(a_new_transform_builds_and_is_fine)
{
    check_kind("transform");
}

TEST(a_new_sink_builds_and_is_fine)
{
    check_kind("sink");
}

TEST(plugin_names_are_checked)
{
    YES(is_name("my-plugin2"));
    NO(is_name("My"));
    NO(is_name("2x"));
    NO(is_name("x-"));
    NO(is_name(""));
    NO(is_name("../x"));
}
