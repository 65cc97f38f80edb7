/* s3_test.c - PUT requests, what their answers mean, objects built from plain records. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/harness/harness.h"
#include "tests/kptest.h"

#define BUCKET "bucket = k.resource.bucket { name = 'lake' }"
#define OBJECT "application/x-kpipe-object"

static struct harness *open_with(const char *options)
{
    return harness_new("s3", KP_SINK, options);
}

static void feed_object(struct harness *h, const char *key, const char *data, enum kp_encoding how)
{
    struct harness_input input = {
        .data = data, .key = key, .type = OBJECT, .encoding = (uint32_t)how};

    harness_feed_records(h, "a", &input, 1);
}

static void answer(struct harness *h, const char *match, int status, const char *error)
{
    harness_aws_answer(h, match, status, error, error ? "<Error><Message>m</Message></Error>" : "",
                       0);
}

static void run(struct harness *h)
{
    harness_advance(h, 0);
}

TEST(an_object_is_put_as_it_is)
{
    struct harness *h = open_with("{ " BUCKET " }");

    answer(h, "s3 PUT", 200, NULL);
    feed_object(h, "data/year=2024/a b+c\xc3\xa4.gz", "hello\n", KP_GZIP);
    REQUIRE(harness_requests(h) == 1);
    EQ_STR(harness_request_line(h, 0), "s3 PUT /lake/data/year%3D2024/a%20b%2Bc%C3%A4.gz");
    EQ_STR(harness_request_body(h, 0, NULL), "hello\n");
    EQ_STR(harness_request_header(h, 0, "x-amz-checksum-crc32"), "NjowIA==");
    EQ_STR(harness_request_header(h, 0, "content-encoding"), "gzip");
    run(h);
    EQ_INT(harness_outcome(h, 0), KP_DELIVERED);
    harness_free(h);
}

TEST(a_plain_object_has_no_encoding)
{
    struct harness *h = open_with("{ " BUCKET ", storage_class = 'STANDARD_IA' }");

    answer(h, "s3 PUT", 200, NULL);
    feed_object(h, "k", "x", KP_PLAIN);
    YES(harness_request_header(h, 0, "content-encoding") == NULL);
    EQ_STR(harness_request_header(h, 0, "x-amz-storage-class"), "STANDARD_IA");
    run(h);
    harness_free(h);
}

TEST(only_so_many_requests_run_at_a_time)
{
    struct harness *h = open_with("{ " BUCKET ", in_flight = 2 }");

    for (int i = 0; i < 5; i++)
        feed_object(h, "k", "x", KP_PLAIN);
    EQ_INT(harness_requests(h), 2);
    answer(h, "s3 PUT", 200, NULL);
    run(h);
    EQ_INT(harness_requests(h), 3);
    for (int i = 0; i < 4; i++)
        answer(h, "s3 PUT", 200, NULL);
    run(h);
    EQ_INT(harness_count(h, KP_DELIVERED), 5);
    harness_free(h);
}

TEST(what_may_pass_is_tried_again)
{
    static const struct {
        int status;
        const char *error;
    } cases[] = {{503, "SlowDown"},         {500, "InternalError"}, {400, "RequestTimeout"},
                 {0, "NetworkError"},       {0, "Timeout"},         {400, "ExpiredToken"},
                 {409, "OperationAborted"}, {400, "BadDigest"},     {403, "RequestTimeTooSkewed"},
                 {429, "TooManyRequests"}};
    struct harness *h = open_with("{ " BUCKET " }");

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        answer(h, "s3 PUT", cases[i].status, cases[i].error);
        feed_object(h, "k", "x", KP_PLAIN);
        run(h);
        EQ_INT(harness_outcome(h, i), KP_RETRY);
        YES(harness_failed(h) == NULL);
    }
    harness_free(h);
}

TEST(what_cannot_be_is_rejected)
{
    struct harness *h = open_with("{ " BUCKET " }");
    char key[1100];

    answer(h, "s3 PUT", 400, "EntityTooLarge");
    feed_object(h, "k", "x", KP_PLAIN);
    run(h);
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    YES(strstr(harness_reason(h, 0), "EntityTooLarge") != NULL);
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    feed_object(h, key, "x", KP_PLAIN);
    feed_object(h, "", "x", KP_PLAIN);
    run(h);
    EQ_INT(harness_count(h, KP_REJECTED), 3);
    EQ_INT(harness_requests(h), 1);
    harness_free(h);
}

TEST(what_a_person_must_mend_ends_the_flow)
{
    static const struct {
        int status;
        const char *error;
    } cases[] = {{404, "NoSuchBucket"}, {403, "AccessDenied"}, {0, "NoCredentials"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct harness *h = open_with("{ " BUCKET " }");

        answer(h, "s3 PUT", cases[i].status, cases[i].error);
        feed_object(h, "data/k", "x", KP_PLAIN);
        run(h);
        REQUIRE(harness_failed(h) != NULL);
        YES(strstr(harness_failed(h), "s3:PutObject") != NULL);
        YES(strstr(harness_failed(h), "'lake'") != NULL);
        YES(strstr(harness_failed(h), "data/k") != NULL);
        EQ_INT(harness_outcome(h, 0), KP_RETRY); /* nothing is lost */
        harness_free(h);
    }
}

/* ---- plain records */

static size_t requests_like(struct harness *h, const char *part)
{
    size_t n = 0;

    for (size_t i = 0; i < harness_requests(h); i++)
        n += strstr(harness_request_line(h, i), part) != NULL;
    return n;
}

TEST(plain_records_are_collected_by_partition)
{
    struct harness *h = open_with(
        "{ " BUCKET ", prefix = 'lake/', in_flight = 8,"
        " partition_by = 'ticker=${ticker}/dt=${event_time:date}/hr=${event_time:hour}' }");
    static const char *const records[] = {
        "{\"ticker\":\"A\",\"event_time\":\"2020-08-01 12:00:00\"}",
        "{\"ticker\":\"B\",\"event_time\":\"2020-08-01 12:00:00\"}\n",
        "{\"ticker\":\"A\",\"event_time\":\"2020-08-01 12:59:59\"}",
        "{\"ticker\":\"A\",\"event_time\":\"2020-08-01 13:00:00\"}", NULL};

    for (int i = 0; i < 3; i++)
        answer(h, "s3 PUT", 200, NULL);
    harness_feed(h, "a", records);
    EQ_INT(harness_requests(h), 0);
    EQ_INT(harness_count(h, KP_NONE), 4);
    harness_flush(h);
    run(h);
    REQUIRE(harness_requests(h) == 3);
    EQ_INT(requests_like(h, "/lake/lake/ticker%3DA/dt%3D2020-08-01/hr%3D12/part-"), 1);
    EQ_INT(requests_like(h, "/lake/lake/ticker%3DB/dt%3D2020-08-01/hr%3D12/part-"), 1);
    EQ_INT(requests_like(h, "/lake/lake/ticker%3DA/dt%3D2020-08-01/hr%3D13/part-"), 1);
    EQ_STR(harness_request_body(h, 0, NULL),
           "{\"ticker\":\"A\",\"event_time\":\"2020-08-01 12:00:00\"}\n"
           "{\"ticker\":\"A\",\"event_time\":\"2020-08-01 12:59:59\"}\n");
    EQ_INT(harness_count(h, KP_DELIVERED), 4);
    harness_free(h);
}

TEST(a_function_may_name_the_partition)
{
    struct harness *h =
        open_with("{ " BUCKET ", partition_by = function(e) return 'k=' .. e.k end }");

    answer(h, "s3 PUT", 200, NULL);
    harness_feed(h, "a", (const char *const[]){"{\"k\":\"v\"}", NULL});
    harness_flush(h);
    run(h);
    EQ_INT(requests_like(h, "/lake/k%3Dv/part-"), 1);
    harness_free(h);
}

TEST(built_objects_roll_by_size_and_age)
{
    struct harness *h = open_with("{ " BUCKET ", roll_size = '1KiB', roll_interval = '10s' }");
    char text[600];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    harness_feed(h, "a", (const char *const[]){text, NULL});
    EQ_INT(harness_requests(h), 0);
    harness_feed(h, "a", (const char *const[]){text, NULL});
    EQ_INT(harness_requests(h), 1);
    harness_feed(h, "a", (const char *const[]){"y", NULL});
    harness_advance(h, 9999);
    EQ_INT(harness_requests(h), 1);
    harness_advance(h, 1);
    EQ_INT(harness_requests(h), 2);
    answer(h, "s3 PUT", 200, NULL);
    answer(h, "s3 PUT", 200, NULL);
    run(h);
    EQ_INT(harness_count(h, KP_DELIVERED), 3);
    harness_free(h);
}

TEST(too_many_partitions_close_the_oldest)
{
    struct harness *h = open_with("{ " BUCKET ", partition_by = 'k', max_open = 2 }");

    for (int i = 0; i < 3; i++)
        answer(h, "s3 PUT", 200, NULL);
    harness_feed(h, "a",
                 (const char *const[]){"{\"k\":1}", "{\"k\":2}", "{\"k\":3}", "{\"k\":2}", NULL});
    run(h);
    EQ_INT(harness_requests(h), 1);
    EQ_INT(requests_like(h, "/lake/k%3D1/part-"), 1);
    harness_flush(h);
    run(h);
    EQ_INT(harness_requests(h), 3);
    EQ_INT(harness_count(h, KP_DELIVERED), 4);
    harness_free(h);
}

TEST(a_record_without_a_partition_is_rejected)
{
    struct harness *h = open_with("{ " BUCKET ", partition_by = 'k' }");

    harness_feed(h, "a", (const char *const[]){"no json", NULL});
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    YES(strstr(harness_reason(h, 0), "no JSON object") != NULL);
    harness_free(h);
}

TEST(a_failed_built_object_gives_back_all_its_records)
{
    struct harness *h = open_with("{ " BUCKET " }");

    answer(h, "s3 PUT", 503, "SlowDown");
    harness_feed(h, "a", (const char *const[]){"1", "2", "3", NULL});
    harness_flush(h);
    run(h);
    EQ_INT(harness_count(h, KP_RETRY), 3);
    harness_free(h);
}

TEST(objects_and_plain_records_may_come_together)
{
    struct harness *h = open_with("{ " BUCKET " }");
    struct harness_input inputs[] = {
        {.data = "1"}, {.data = "body", .key = "k", .type = OBJECT}, {.data = "2"}};

    answer(h, "s3 PUT", 200, NULL);
    answer(h, "s3 PUT", 200, NULL);
    harness_feed_records(h, "a", inputs, 3);
    run(h);
    EQ_INT(harness_outcome(h, 1), KP_DELIVERED);
    EQ_INT(harness_outcome(h, 0), KP_NONE);
    harness_flush(h);
    run(h);
    EQ_STR(harness_request_body(h, 1, NULL), "1\n2\n");
    EQ_INT(harness_count(h, KP_DELIVERED), 3);
    harness_free(h);
}

TEST(requests_under_way_at_the_end_are_left_open)
{
    struct harness *h = open_with("{ " BUCKET " }");

    feed_object(h, "k", "x", KP_PLAIN);
    EQ_INT(harness_outcome(h, 0), KP_NONE);
    harness_free(h);
}

static void refused(const char *options, const char *why)
{
    const char *error = harness_config_error("s3", KP_SINK, options);

    REQUIRE(error != NULL);
    if (!strstr(error, why))
        fprintf(stderr, "'%s' is not in: %s\n", why, error);
    YES(strstr(error, why) != NULL);
}

TEST(wrong_options_are_refused)
{
    refused("{ }", "bucket");
    refused("{ bucket = 'lake' }", "bucket");
    refused("{ " BUCKET ", partition_by = 'k=${' }", "partition_by: '${' is not closed");
    refused("{ " BUCKET ", prefix = '!{timestamp:f}' }", "prefix: 'f' is no pattern letter");
    refused("{ " BUCKET ", roll_size = '1GiB' }", "max_buffered");
}

TEST(objects_without_memory_come_again)
{
    struct harness *h = open_with("{ " BUCKET " }");
    struct harness_input in[] = {
        {.data = "body", .key = "a/1", .type = OBJECT},
        {.data = "plain", .key = "k"},
    };

    harness_fail_alloc(h, 1); /* of moving the object away from its neighbour */
    harness_feed_records(h, "lane", in, 2);
    EQ_INT(harness_outcome(h, 0), KP_RETRY);
    EQ_INT(harness_outcome(h, 1), KP_NONE); /* in an object that is still open */
    answer(h, "s3 PUT", 200, NULL);
    harness_flush(h);
    run(h);
    EQ_INT(harness_outcome(h, 1), KP_DELIVERED);
    CU_ASSERT_PTR_NULL(harness_failed(h));
    harness_free(h);
}
