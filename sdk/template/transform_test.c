/* my-plugin_test.c - feeds records, looks at what comes out and how each of them ended. */
#include "sdk/harness/harness.h"
#include "tests/kptest.h"

#include <string.h>

TEST(records_get_the_prefix_and_empty_ones_are_dropped)
{
    struct harness *h = harness_new("my-plugin", KP_TRANSFORM, "{ prefix = '> ' }");
    const char *const in[] = {"hello", "", "world", NULL};

    harness_feed(h, "lane", in);
    REQUIRE(harness_out_count(h) == 2);
    EQ_STR(harness_out(h, 0)->data, "> hello");
    EQ_STR(harness_out(h, 1)->data, "> world");
    EQ_INT(harness_outcome(h, 1), KP_FILTERED);
    harness_free(h); /* checks that every record ended exactly once and nothing leaked */
}

TEST(out_of_memory_means_try_again)
{
    struct harness *h = harness_new("my-plugin", KP_TRANSFORM, "{ prefix = '> ' }");

    harness_fail_alloc(h, 1);
    harness_feed_one(h, "lane", "hello", NULL);
    EQ_INT(harness_outcome(h, 0), KP_RETRY);
    harness_free(h);
}

TEST(prefix_must_be_given)
{
    YES(strstr(harness_config_error("my-plugin", KP_TRANSFORM, "{}"), "prefix") != NULL);
}
