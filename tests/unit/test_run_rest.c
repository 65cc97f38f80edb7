/* test_run_rest.c - memory goes back to the system when nothing moves, and only then. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/run/rest.h"
#include "tests/kptest.h"

/* Sanitizers have a malloc() of their own. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_GLIBC_MALLOC 0
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define HAS_GLIBC_MALLOC 0
#elif !defined(HAS_GLIBC_MALLOC)
#define HAS_GLIBC_MALLOC 1
#endif

TEST(memory_is_given_back_some_seconds_after_the_last_record)
{
    struct rest rest = {0};

    NO(rest_is_due(&rest, 0, 1000));
    NO(rest_is_due(&rest, 0, 1000 + REST_MS - 1));
    YES(rest_is_due(&rest, 0, 1000 + REST_MS));
    NO(rest_is_due(&rest, 0, 1001 + REST_MS)); /* not each time one looks */
    NO(rest_is_due(&rest, 0, 999 + REST_MS + REST_AGAIN_MS));
    YES(rest_is_due(&rest, 0, 1000 + REST_MS + REST_AGAIN_MS));
}

TEST(records_put_it_off)
{
    struct rest rest = {0};
    int64_t now = 1000;

    for (uint64_t records = 1; records < 100; records++, now += REST_MS / 2)
        NO(rest_is_due(&rest, records, now));
    NO(rest_is_due(&rest, 99, now));
    YES(rest_is_due(&rest, 99, now + REST_MS / 2));
    NO(rest_is_due(&rest, 100, now + REST_AGAIN_MS));
    YES(rest_is_due(&rest, 100, now + REST_AGAIN_MS + REST_MS));
}

static long resident_kb(void)
{
    char line[200];
    long kb = 0;
    FILE *file = fopen("/proc/self/status", "re");

    REQUIRE(file != NULL);
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, "RssAnon:", 8))
            kb = strtol(line + 8, NULL, 10);
    fclose(file);
    return kb;
}

/* Small pieces with one in a thousand still in use: free() alone keeps all of it. */
TEST(pieces_between_what_is_in_use_go_back)
{
    enum { N = 64000, SIZE = 1000 };
    char **pieces = malloc(N * sizeof *pieces);
    long before, after;

    REQUIRE(pieces != NULL);
    for (int i = 0; i < N; i++) {
        pieces[i] = malloc(SIZE);
        REQUIRE(pieces[i] != NULL);
        memset(pieces[i], 1, SIZE);
    }
    for (int i = 0; i < N; i++)
        if (i % 1000 != 999)
            free(pieces[i]);
    before = resident_kb();
    rest_give_back();
    after = resident_kb();
    for (int i = 999; i < N; i += 1000)
        free(pieces[i]);
    free(pieces);
    if (HAS_GLIBC_MALLOC)
        YES(before - after > N / 1024 * SIZE / 2);
}
