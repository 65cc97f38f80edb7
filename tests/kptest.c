/* kptest.c - runs the registered tests; `PROGRAM [filter]` runs those whose name contains filter.
 */
#include "tests/kptest.h"

#include <CUnit/Basic.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_TESTS 4000
#define MAX_DIRS  1000

static struct {
    const char *file, *name;
    void (*fn)(void);
} tests[MAX_TESTS];
static int n_tests;
static char *dirs[MAX_DIRS];
static int n_dirs;

void kptest_register(const char *file, const char *name, void (*fn)(void))
{
    if (n_tests == MAX_TESTS)
        abort();
    tests[n_tests].file = file;
    tests[n_tests].name = name;
    tests[n_tests++].fn = fn;
}

const char *kptest_path(const char *relative)
{
    static char paths[4][1024];
    static int at;
    const char *root = getenv("KPIPE_SOURCE");

    at = (at + 1) % 4;
    snprintf(paths[at], sizeof paths[at], "%s/%s", root ? root : ".", relative);
    return paths[at];
}

const char *kptest_dir(void)
{
    const char *tmp = getenv("TMPDIR");
    char template[1024];

    snprintf(template, sizeof template, "%s/kptest-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (n_dirs == MAX_DIRS || !mkdtemp(template))
        abort();
    return dirs[n_dirs++] = strdup(template);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static CU_pSuite suite_of(const char *file)
{
    const char *base = strrchr(file, '/');
    char name[128];
    CU_pSuite suite;

    snprintf(name, sizeof name, "%s", base ? base + 1 : file);
    name[strcspn(name, ".")] = '\0';
    suite = CU_get_suite(name);
    return suite ? suite : CU_add_suite(name, NULL, NULL);
}

int main(int argc, char **argv)
{
    int failed;

    signal(SIGPIPE, SIG_IGN);
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    for (int i = 0; i < n_tests; i++)
        if (argc < 2 || strstr(tests[i].name, argv[1]) || strstr(tests[i].file, argv[1]))
            if (!CU_add_test(suite_of(tests[i].file), tests[i].name, tests[i].fn))
                return 2;
    CU_basic_set_mode(argc < 2 ? CU_BRM_NORMAL : CU_BRM_VERBOSE);
    CU_basic_run_tests();
    failed = (int)CU_get_number_of_tests_failed() + (int)CU_get_number_of_suites_failed();
    for (int i = 0; i < n_dirs; i++) {
        nftw(dirs[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        free(dirs[i]);
    }
    CU_cleanup_registry();
    return failed ? 1 : 0;
}
