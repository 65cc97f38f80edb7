/* redact_test.c - the example's test: feed a batch, look at what came out. */
#include "sdk/harness/harness.h"
#include "tests/kptest.h"

#include <string.h>

TEST(the_field_is_masked_and_the_rest_is_untouched)
{
    struct harness *h = harness_new("redact", KP_TRANSFORM, "{ field = '$.user.email' }");
    const char *const in[] = {"{\"user\":{\"email\":\"a@b.c\",\"n\":1}}", "{\"n\":2}", "no json",
                              NULL};

    harness_feed(h, "shard-0", in);
    REQUIRE(harness_out_count(h) == 3);
    EQ_STR(harness_out(h, 0)->data, "{\"user\":{\"email\":\"***\",\"n\":1}}");
    EQ_STR(harness_out(h, 1)->data, "{\"n\":2}");
    EQ_STR(harness_out(h, 2)->data, "no json");
    EQ_INT(harness_count(h, KP_DELIVERED), 3);
    harness_free(h);
}

TEST(a_record_that_is_too_long_is_rejected)
{
    struct harness *h =
        harness_new("redact", KP_TRANSFORM, "{ field = '$.a', max_bytes = '10B', mask = '' }");

    harness_feed_one(h, "shard-0", "{\"a\":\"0123456789\"}", "k");
    harness_feed_one(h, "shard-0", "{\"a\":\"0\"}", "k");
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    YES(strstr(harness_reason(h, 0), "max_bytes is 10") != NULL);
    REQUIRE(harness_out_count(h) == 1);
    EQ_STR(harness_out(h, 0)->data, "{\"a\":\"\"}");
    harness_free(h);
}

TEST(out_of_memory_means_try_again)
{
    struct harness *h = harness_new("redact", KP_TRANSFORM, "{ field = '$.a' }");

    harness_fail_alloc(h, 1);
    harness_feed_one(h, "shard-0", "{\"a\":\"x\"}", NULL);
    EQ_INT(harness_outcome(h, 0), KP_RETRY);
    EQ_INT(harness_out_count(h), 0);
    harness_free(h);
}

TEST(wrong_options_are_refused)
{
    YES(strstr(harness_config_error("redact", KP_TRANSFORM, "{}"), "field") != NULL);
    YES(strstr(harness_config_error("redact", KP_TRANSFORM, "{ field = '$.a', max_bytes = '0B' }"),
               "max_bytes") != NULL);
}
