/* async-http-enrich_test.c - requests, rules by status, order, time limits, splicing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/harness/harness.h"
#include "tests/kptest.h"

#define FARE                                                                              \
    "url = 'http://fare/predictFare', query = { ride_request_id = k.field '$.trip_id' }," \
    " take = k.field '$.expected_fare', into = 'expected_fare'"

static struct harness *open_with(const char *options)
{
    return harness_new("async-http-enrich", KP_TRANSFORM, options);
}

static void feed(struct harness *h, const char *lane, const char *data)
{
    harness_feed(h, lane, (const char *const[]){data, NULL});
}

/* The answer of the request for trip n, after some time. */
static void answer(struct harness *h, int n, int64_t after_ms)
{
    char match[64], body[64];

    snprintf(match, sizeof match, "ride_request_id=%d", n);
    snprintf(body, sizeof body, "{\"ride_request_id\":%d,\"expected_fare\":%d.5}", n, n);
    harness_http_answer(h, match, 200, body, after_ms);
}

TEST(the_answer_is_put_into_the_record)
{
    struct harness *h = open_with("{ " FARE ", headers = { ['x-api-key'] = 'secret' } }");

    harness_http_answer(h, "GET http://fare/predictFare?ride_request_id=20", 200,
                        "{\"ride_request_id\":20,\"expected_fare\":40.68894898991148}", 10);
    feed(h, "a", "{\"trip_id\":20,\"type\":\"trip\"}\n");
    EQ_INT(harness_requests(h), 1);
    EQ_STR(harness_request_line(h, 0), "GET http://fare/predictFare?ride_request_id=20");
    EQ_STR(harness_request_header(h, 0, "x-api-key"), "secret");
    EQ_INT(harness_out_count(h), 0);
    harness_advance(h, 10);
    REQUIRE(harness_out_count(h) == 1);
    EQ_STR(harness_out(h, 0)->data,
           "{\"trip_id\":20,\"type\":\"trip\",\"expected_fare\":40.68894898991148}\n");
    EQ_INT(harness_outcome(h, 0), KP_DELIVERED);
    harness_free(h);
}

TEST(a_member_that_is_there_is_replaced)
{
    struct harness *h = open_with("{ " FARE " }");

    answer(h, 1, 0);
    feed(h, "a", "{\"expected_fare\": {\"old\":[1]} , \"trip_id\":1}");
    harness_advance(h, 0);
    EQ_STR(harness_out(h, 0)->data, "{\"expected_fare\": 1.5 , \"trip_id\":1}");
    harness_free(h);
}

TEST(an_empty_object_gets_its_first_member)
{
    struct harness *h = open_with("{ url = 'http://x/', into = 'all' }");

    harness_http_answer(h, "http://x/", 200, " {\"a\":1}\n", 0);
    feed(h, "a", "{ }");
    harness_advance(h, 0);
    EQ_STR(harness_out(h, 0)->data, "{ \"all\":{\"a\":1}}");
    harness_free(h);
}

TEST(fields_stand_in_the_url_percent_encoded)
{
    struct harness *h =
        open_with("{ url = 'http://x/{country}/{id}?fixed=1', query = { q = k.field '$.name' },"
                  " method = 'POST', body = k.field '$.payload' }");

    harness_http_answer(h, "http://x/", 200, "", 0);
    feed(h, "a", "{\"country\":\"c\\u00f4te/\",\"id\":7,\"name\":\"a b&c\",\"payload\":{\"x\":1}}");
    EQ_STR(harness_request_line(h, 0), "POST http://x/c%C3%B4te%2F/7?fixed=1&q=a%20b%26c");
    EQ_STR(harness_request_body(h, 0, NULL), "{\"x\":1}");
    harness_advance(h, 0);
    EQ_INT(harness_outcome(h, 0), KP_DELIVERED);
    harness_free(h);
}

TEST(what_cannot_be_asked_is_rejected)
{
    struct harness *h = open_with("{ " FARE " }");

    feed(h, "a", "{\"trip\":1}");
    feed(h, "a", "no json");
    EQ_INT(harness_requests(h), 0);
    EQ_INT(harness_count(h, KP_REJECTED), 2);
    YES(strstr(harness_reason(h, 0), "$.trip_id") != NULL);
    harness_free(h);
}

TEST(only_an_object_can_be_given_a_member)
{
    static const char *const records[] = {"no json",  "[1]", "7",  "\"}\"",
                                          "{\"a\":1", "",    "  ", NULL};
    struct harness *h = open_with("{ url = 'http://x/', into = 'all' }");

    harness_feed(h, "a", records);
    EQ_INT(harness_requests(h), 0);
    EQ_INT(harness_count(h, KP_REJECTED), 7);
    YES(strstr(harness_reason(h, 0), "no JSON object") != NULL);
    harness_free(h);
}

TEST(a_header_cannot_be_split)
{
    struct harness *h =
        open_with("{ url = 'http://x/', headers = { ['x-name'] = k.field '$.name' } }");

    harness_http_answer(h, "http://x/", 200, "", 0);
    feed(h, "a", "{\"name\":\"a\\r\\nx-admin: 1\"}");
    feed(h, "a", "{\"name\":\"a\\u0000b\"}");
    feed(h, "a", "{\"name\":\"\"}");
    EQ_INT(harness_requests(h), 1);
    harness_advance(h, 0);
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    EQ_INT(harness_outcome(h, 1), KP_REJECTED);
    EQ_INT(harness_outcome(h, 2), KP_DELIVERED);
    harness_free(h);
}

TEST(statuses_have_their_rules)
{
    static const struct {
        int status;
        kp_outcome outcome;
    } cases[] = {{200, KP_DELIVERED}, {299, KP_DELIVERED}, {400, KP_REJECTED}, {404, KP_REJECTED},
                 {408, KP_RETRY},     {429, KP_RETRY},     {500, KP_RETRY},    {503, KP_RETRY},
                 {301, KP_REJECTED},  {0, KP_RETRY}};
    struct harness *h = open_with("{ " FARE " }");
    char data[32];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        harness_http_answer(h, "fare", cases[i].status, "{\"expected_fare\":1}", 0);
        snprintf(data, sizeof data, "{\"trip_id\":%zu}", i);
        feed(h, "a", data);
        harness_advance(h, 0);
        EQ_INT(harness_outcome(h, i), cases[i].outcome);
    }
    YES(strstr(harness_reason(h, 2), "400") != NULL);
    harness_free(h);
}

TEST(rules_can_be_changed)
{
    struct harness *h = open_with("{ " FARE ", on_status = { ['200'] = 'keep', ['2xx'] = 'filter',"
                                  " ['404'] = 'filter', default = 'retry' } }");
    static const int statuses[] = {200, 201, 404, 400};
    static const kp_outcome outcomes[] = {KP_DELIVERED, KP_FILTERED, KP_FILTERED, KP_RETRY};

    for (size_t i = 0; i < 4; i++) {
        harness_http_answer(h, "fare", statuses[i], "{\"expected_fare\":1}", 0);
        feed(h, "a", "{\"trip_id\":1}");
        harness_advance(h, 0);
        EQ_INT(harness_outcome(h, i), outcomes[i]);
    }
    harness_free(h);
}

TEST(a_server_says_when_to_come_again)
{
    struct harness *h = open_with("{ " FARE " }");
    struct harness_reply reply = {
        .match = "fare", .status = 429, .body = "", .headers = "retry-after: 7"};

    harness_answer(h, &reply);
    feed(h, "a", "{\"trip_id\":1}");
    harness_advance(h, 0);
    EQ_INT(harness_outcome(h, 0), KP_RETRY);
    EQ_INT(harness_retry_after(h, 0), 7000);
    harness_free(h);
}

TEST(no_answer_in_time_is_tried_again)
{
    struct harness *h = open_with("{ " FARE ", timeout = '5s' }");

    feed(h, "a", "{\"trip_id\":1}");
    harness_advance(h, 4999);
    EQ_INT(harness_outcome(h, 0), KP_NONE);
    harness_advance(h, 1);
    EQ_INT(harness_outcome(h, 0), KP_RETRY);
    harness_free(h);
}

TEST(malformed_answers_are_rejected)
{
    static const char *const bodies[] = {"", "not json", "{\"expected_fare\":", "{}", "[1]"};
    struct harness *h = open_with("{ " FARE " }");

    for (size_t i = 0; i < 5; i++) {
        harness_http_answer(h, "fare", 200, bodies[i], 0);
        feed(h, "a", "{\"trip_id\":1}");
        harness_advance(h, 0);
        EQ_INT(harness_outcome(h, i), KP_REJECTED);
    }
    harness_free(h);
}

TEST(unordered_results_leave_as_they_come)
{
    struct harness *h = open_with("{ " FARE " }");

    answer(h, 1, 30);
    answer(h, 2, 10);
    answer(h, 3, 20);
    harness_feed(
        h, "a",
        (const char *const[]){"{\"trip_id\":1}", "{\"trip_id\":2}", "{\"trip_id\":3}", NULL});
    harness_advance(h, 10);
    EQ_INT(harness_out_count(h), 1);
    harness_advance(h, 20);
    REQUIRE(harness_out_count(h) == 3);
    YES(strstr(harness_out(h, 0)->data, "2.5") != NULL);
    YES(strstr(harness_out(h, 1)->data, "3.5") != NULL);
    YES(strstr(harness_out(h, 2)->data, "1.5") != NULL);
    harness_free(h);
}

TEST(ordered_results_leave_in_the_order_of_their_lane)
{
    struct harness *h = open_with("{ " FARE ", ordered = true }");

    answer(h, 1, 30);
    answer(h, 2, 10);
    answer(h, 3, 20);
    feed(h, "a", "{\"trip_id\":1}");
    feed(h, "a", "{\"trip_id\":2}");
    feed(h, "b", "{\"trip_id\":3}");
    harness_advance(h, 20);
    REQUIRE(harness_out_count(h) == 1); /* lane b does not wait for lane a */
    YES(strstr(harness_out(h, 0)->data, "3.5") != NULL);
    harness_advance(h, 10);
    REQUIRE(harness_out_count(h) == 3);
    YES(strstr(harness_out(h, 1)->data, "1.5") != NULL);
    YES(strstr(harness_out(h, 2)->data, "2.5") != NULL);
    harness_free(h);
}

TEST(no_more_calls_than_allowed_are_in_flight)
{
    struct harness *h = open_with("{ " FARE ", in_flight = 3 }");
    char data[32];

    for (int i = 1; i <= 10; i++) {
        answer(h, i, 10);
        snprintf(data, sizeof data, "{\"trip_id\":%d}", i);
        feed(h, i % 2 ? "a" : "b", data);
    }
    EQ_INT(harness_requests(h), 3);
    harness_advance(h, 10);
    EQ_INT(harness_requests(h), 6);
    harness_advance(h, 30);
    EQ_INT(harness_requests(h), 10);
    EQ_INT(harness_count(h, KP_DELIVERED), 10);
    harness_free(h);
}

TEST(every_record_ends_once_whatever_the_answers)
{
    struct harness *h = open_with("{ " FARE ", in_flight = 7 }");
    char data[32];
    static const int statuses[] = {200, 404, 500, 200, 429};

    for (int i = 0; i < 500; i++) {
        harness_http_answer(h, "fare", statuses[i % 5], "{\"expected_fare\":1}", i * 37 % 11);
        snprintf(data, sizeof data, "{\"trip_id\":%d}", i);
        feed(h, i % 3 ? "a" : "b", data);
    }
    harness_advance(h, 2000);
    EQ_INT(harness_count(h, KP_DELIVERED), 200);
    EQ_INT(harness_count(h, KP_REJECTED), 100);
    EQ_INT(harness_count(h, KP_RETRY), 200);
    harness_free(h);
}

TEST(records_under_way_at_the_end_are_left_open)
{
    struct harness *h = open_with("{ " FARE " }");

    feed(h, "a", "{\"trip_id\":1}");
    EQ_INT(harness_outcome(h, 0), KP_NONE);
    harness_free(h); /* cancels the call; the harness sees to it that nothing leaks */
}

TEST(without_memory_a_record_is_tried_again)
{
    struct harness *h = open_with("{ " FARE " }");

    answer(h, 1, 10);
    feed(h, "a", "{\"trip_id\":1}");
    harness_fail_alloc(h, 1);
    harness_advance(h, 10);
    harness_fail_alloc(h, 0);
    EQ_INT(harness_outcome(h, 0), KP_RETRY);
    harness_free(h);
}

static void refused(const char *options, const char *why)
{
    const char *error = harness_config_error("async-http-enrich", KP_TRANSFORM, options);

    REQUIRE(error != NULL);
    if (!strstr(error, why))
        fprintf(stderr, "'%s' is not in: %s\n", why, error);
    YES(strstr(error, why) != NULL);
}

TEST(wrong_options_are_refused)
{
    refused("{ }", "url");
    refused("{ url = 'ftp://x' }", "must begin with http:// or https://");
    refused("{ url = 'http://x/{a' }", "'{' is not closed");
    refused("{ url = 'http://x/', take = k.field '$.a' }", "take needs into");
    refused("{ url = 'http://x/', on_status = { ['20'] = 'keep' } }", "on_status: '20'");
    refused("{ url = 'http://x/', on_status = { ['200'] = 'drop' } }", "on_status: '200'");
    refused("{ url = 'http://x/', in_flight = 0 }", "in_flight");
}
