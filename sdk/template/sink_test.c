/* my-plugin_test.c - feeds records, scripts the answers, looks at how each record ended. */
#include "sdk/harness/harness.h"
#include "tests/kptest.h"

#include <string.h>

TEST(each_answer_decides_about_its_record)
{
    struct harness *h = harness_new("my-plugin", KP_SINK, "{ url = 'http://example/in' }");
    const char *const in[] = {"a", "b", "c", NULL};

    harness_feed(h, "lane", in);
    REQUIRE(harness_requests(h) == 3);
    EQ_STR(harness_request_line(h, 0), "POST http://example/in");
    EQ_STR(harness_request_body(h, 0, NULL), "a");
    EQ_INT(harness_outcome(h, 0), KP_NONE); /* not before the answer */
    harness_http_answer(h, "/in", 200, "", 0);
    harness_http_answer(h, "/in", 503, "", 0);
    harness_http_answer(h, "/in", 400, "", 0);
    EQ_INT(harness_outcome(h, 0), KP_DELIVERED);
    EQ_INT(harness_outcome(h, 1), KP_RETRY);
    EQ_INT(harness_outcome(h, 2), KP_REJECTED);
    EQ_STR(harness_reason(h, 2), "answered 400");
    harness_free(h); /* checks that every record ended exactly once and nothing leaked */
}

TEST(no_answer_means_try_again)
{
    struct harness *h =
        harness_new("my-plugin", KP_SINK, "{ url = 'http://example/in', timeout = '1s' }");

    harness_feed_one(h, "lane", "a", NULL);
    harness_advance(h, 1000);
    EQ_INT(harness_outcome(h, 0), KP_RETRY);
    harness_free(h);
}

TEST(out_of_memory_means_try_again)
{
    struct harness *h = harness_new("my-plugin", KP_SINK, "{ url = 'http://example/in' }");

    harness_fail_alloc(h, 1);
    harness_feed_one(h, "lane", "a", NULL);
    EQ_INT(harness_outcome(h, 0), KP_RETRY);
    EQ_INT(harness_requests(h), 0);
    harness_free(h);
}

TEST(url_must_be_given)
{
    YES(strstr(harness_config_error("my-plugin", KP_SINK, "{}"), "url") != NULL);
}
