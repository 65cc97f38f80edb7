/* lambda-shim_test.c - batches, bisecting, retries, age and partial failures with Lua functions.
 * Child processes are in runtime_test.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "sdk/harness/harness.h"
#include "tests/kptest.h"

/* Fails when a payload begins with "bad"; the answer tells how many records it got. */
#define PICKY                                                                 \
    "handler = function(event) for _, r in ipairs(event.Records) do"          \
    " if r.data:sub(1, 3) == 'bad' then error('found ' .. r.data, 0) end end" \
    " return #event.Records end, event = 'records'"

static struct harness *open_with(const char *options)
{
    return harness_new("lambda-shim", KP_SINK, options);
}

/* Feeds one batch of n records; those whose number is in `bad` (0-ended, from 1 on) are bad. */
static void feed(struct harness *h, const char *lane, int n, const int *bad)
{
    struct harness_input *inputs = calloc((size_t)n, sizeof *inputs);
    char(*texts)[24] = calloc((size_t)n, sizeof *texts);

    for (int i = 0; i < n; i++) {
        bool is_bad = false;

        for (const int *at = bad; at && *at; at++)
            is_bad |= *at == i + 1;
        snprintf(texts[i], sizeof texts[i], "%s-%d", is_bad ? "bad" : "good", i + 1);
        inputs[i] = (struct harness_input){.data = texts[i], .key = "k"};
    }
    harness_feed_records(h, lane, inputs, (size_t)n);
    free(inputs);
    free(texts);
}

static void run_out(struct harness *h)
{
    while (harness_next_timer(h))
        ;
}

TEST(a_batch_is_one_call)
{
    struct harness *h = open_with("{ " PICKY " }");

    feed(h, "shardId-000000000000", 60, NULL);
    EQ_INT(harness_count(h, KP_DELIVERED), 60);
    EQ_INT(harness_counter(h, "invocations"), 1);
    harness_free(h);
}

TEST(a_large_batch_is_several_calls)
{
    struct harness *h = open_with("{ " PICKY ", batch_size = 25 }");

    feed(h, "a", 60, NULL);
    EQ_INT(harness_counter(h, "invocations"), 3);
    EQ_INT(harness_count(h, KP_DELIVERED), 60);
    harness_free(h);
}

TEST(a_window_fills_the_batch)
{
    struct harness *h = open_with("{ " PICKY ", batch_size = 10, batch_window = '5s' }");

    feed(h, "a", 4, NULL);
    harness_advance(h, 4000);
    feed(h, "a", 4, NULL);
    feed(h, "b", 1, NULL); /* a batch never mixes shards */
    EQ_INT(harness_counter(h, "invocations"), 0);
    harness_advance(h, 1000);
    EQ_INT(harness_counter(h, "invocations"), 1);
    EQ_INT(harness_count(h, KP_DELIVERED), 8);
    feed(h, "b", 9, NULL); /* full: no need to wait */
    EQ_INT(harness_counter(h, "invocations"), 2);
    EQ_INT(harness_count(h, KP_DELIVERED), 18);
    harness_free(h);
}

TEST(flush_closes_the_window)
{
    struct harness *h = open_with("{ " PICKY ", batch_window = '5m' }");

    feed(h, "a", 4, NULL);
    EQ_INT(harness_counter(h, "invocations"), 0);
    harness_flush(h);
    EQ_INT(harness_count(h, KP_DELIVERED), 4);
    harness_free(h);
}

TEST(bisecting_finds_the_one_bad_record)
{
    struct harness *h = open_with("{ " PICKY ", bisect_on_error = true, retries = 2,"
                                  " stream = k.resource.stream { name = 'orders' } }");
    const kp_failure *failure;

    feed(h, "shardId-000000000001", 8, (const int[]){6, 0});
    run_out(h);
    EQ_INT(harness_count(h, KP_DELIVERED), 7);
    EQ_INT(harness_count(h, KP_REJECTED), 1);
    EQ_INT(harness_outcome(h, 5), KP_REJECTED);
    /* 1-8 fails, 1-4, 5-8 fails, 5-6 fails, 5, 6 fails three times, 7-8 */
    EQ_INT(harness_counter(h, "invocations"), 9);
    EQ_INT(harness_counter(h, "function_errors"), 6);
    failure = harness_failure(h, 0);
    EQ_INT(failure->attempts, 3);
    EQ_STR(failure->condition.ptr, "RetryAttemptsExhausted");
    YES(strstr(failure->detail.ptr, "\"errorMessage\":\"found bad-6\"") != NULL);
    EQ_STR(failure->stream.ptr, "arn:aws:kinesis:us-east-1:000000000000:stream/orders");
    harness_free(h);
}

TEST(any_set_of_bad_records_is_found_exactly)
{
    uint32_t x = 7;

    for (int round = 0; round < 40; round++) {
        struct harness *h = open_with("{ " PICKY ", bisect_on_error = true, retries = 0 }");
        int bad[101] = {0}, n_bad = 0, n = 1 + (int)((x >> 8) % 100);

        for (int i = 1; i <= n; i++)
            if (((x = x * 1664525 + 1013904223) >> 24) < 40)
                bad[n_bad++] = i;
        feed(h, "a", n, bad);
        run_out(h);
        EQ_INT(harness_count(h, KP_DELIVERED), n - n_bad);
        EQ_INT(harness_count(h, KP_REJECTED), n_bad);
        for (int i = 0; i < n_bad; i++) {
            EQ_INT(harness_outcome(h, (size_t)bad[i] - 1), KP_REJECTED);
            EQ_INT(harness_failure(h, (size_t)i)->attempts, 1);
        }
        harness_free(h);
    }
}

TEST(without_bisecting_the_whole_batch_fails_together)
{
    struct harness *h = open_with("{ " PICKY ", retries = 1 }");

    feed(h, "a", 5, (const int[]){3, 0});
    EQ_INT(harness_count(h, KP_NONE), 5);
    run_out(h);
    EQ_INT(harness_count(h, KP_REJECTED), 5);
    EQ_INT(harness_counter(h, "invocations"), 2);
    for (size_t i = 0; i < 5; i++) {
        EQ_INT(harness_failure(h, i)->batch, harness_failure(h, 0)->batch);
        EQ_INT(harness_failure(h, i)->attempts, 2);
    }
    harness_free(h);
}

TEST(a_failed_batch_holds_its_lane_and_no_other)
{
    struct harness *h = open_with("{ " PICKY ", retries = 1 }");

    feed(h, "a", 1, (const int[]){1, 0});
    feed(h, "a", 1, NULL);
    feed(h, "b", 1, NULL);
    EQ_INT(harness_outcome(h, 1), KP_NONE);
    EQ_INT(harness_outcome(h, 2), KP_DELIVERED);
    run_out(h);
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    EQ_INT(harness_outcome(h, 1), KP_DELIVERED);
    harness_free(h);
}

TEST(attempts_wait_longer_each_time)
{
    struct harness *h = open_with("{ " PICKY ", retries = 4 }");
    static const int64_t waits[] = {500, 1000, 2000, 4000};

    feed(h, "a", 1, (const int[]){1, 0});
    for (int i = 0; i < 4; i++) {
        int64_t since = clock_mono_ms(), waited;

        EQ_INT(harness_counter(h, "invocations"), i + 1);
        YES(harness_next_timer(h));
        waited = clock_mono_ms() - since;
        YES(waited >= waits[i] * 9 / 10 && waited <= waits[i] * 11 / 10);
    }
    EQ_INT(harness_counter(h, "invocations"), 5);
    EQ_INT(harness_count(h, KP_REJECTED), 1);
    harness_free(h);
}

TEST(retries_without_end_go_on)
{
    struct harness *h = open_with("{ " PICKY ", retries = -1 }");

    feed(h, "a", 1, (const int[]){1, 0});
    for (int i = 0; i < 30; i++)
        harness_next_timer(h);
    EQ_INT(harness_counter(h, "invocations"), 31);
    EQ_INT(harness_outcome(h, 0), KP_NONE);
    harness_free(h);
}

TEST(records_that_are_too_old_leave_before_the_call)
{
    struct harness *h = open_with("{ " PICKY ", max_record_age = '60s', retries = 0 }");
    struct harness_input inputs[6];

    for (int i = 0; i < 6; i++)
        inputs[i] = (struct harness_input){.data = "good",
                                           .arrival_ms = clock_wall_ms() - (i == 0 ? 61000 : 1000)};
    harness_feed_records(h, "a", inputs, 6);
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    EQ_STR(harness_failure(h, 0)->condition.ptr, "RecordAgeExceeded");
    EQ_INT(harness_failure(h, 0)->attempts, 1); /* as the service counts */
    EQ_INT(harness_count(h, KP_DELIVERED), 5);
    EQ_INT(harness_counter(h, "invocations"), 1);
    harness_free(h);
}

TEST(age_ends_retries_without_end)
{
    struct harness *h = open_with("{ " PICKY ", max_record_age = '60s', retries = -1 }");

    feed(h, "a", 1, (const int[]){1, 0});
    run_out(h);
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    EQ_STR(harness_failure(h, 0)->condition.ptr, "RecordAgeExceeded");
    EQ_INT(harness_counter(h, "invocations"), 7); /* at 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s */
    EQ_INT(harness_failure(h, 0)->attempts, 8);
    harness_free(h);
}

/* ---- the event */

TEST(the_event_is_the_one_lambda_sends)
{
    struct harness *h = open_with(
        "{ stream = k.resource.stream { name = 'orders' }, retries = 0, handler = function(event)"
        " local r = event.Records[1]"
        " assert(r.kinesis.kinesisSchemaVersion == '1.0', 'schema')"
        " assert(r.kinesis.partitionKey == 'k\"\\195\\169', 'key')"
        " assert(r.kinesis.sequenceNumber == '49668899999999999999999999999999999999', 'sequence')"
        " assert(r.kinesis.data == 'aGVsbG8K', 'data')"
        " assert(r.kinesis.approximateArrivalTimestamp == 1545084650.987, 'arrival')"
        " assert(r.eventSource == 'aws:kinesis', 'source')"
        " assert(r.eventVersion == '1.0', 'version')"
        " assert(r.eventID == 'shardId-000000000003:49668899999999999999999999999999999999', 'id')"
        " assert(r.eventName == 'aws:kinesis:record', 'name')"
        " assert(r.invokeIdentityArn == 'arn:aws:iam::000000000000:role/kpipe', 'role')"
        " assert(r.awsRegion == 'us-east-1', 'region')"
        " assert(r.eventSourceARN == 'arn:aws:kinesis:us-east-1:000000000000:stream/orders', 'arn')"
        " end }");
    struct harness_input input = {.data = "hello\n",
                                  .key = "k\"\xc3\xa9",
                                  .sequence = "49668899999999999999999999999999999999",
                                  .arrival_ms = 1545084650987};

    harness_feed_records(h, "shardId-000000000003", &input, 1);
    EQ_INT(harness_outcome(h, 0), KP_DELIVERED);
    if (harness_outcome(h, 0) == KP_REJECTED)
        fprintf(stderr, "%s\n", harness_failure(h, 0)->detail.ptr);
    harness_free(h);
}

TEST(an_event_is_never_larger_than_six_mebibytes)
{
    struct harness *h = open_with("{ retries = 0, batch_size = 10, handler = function(event)"
                                  " if #event.Records > 3 then error('too many', 0) end end }");
    size_t len = 1500000;
    char *data = malloc(len + 1), *huge = malloc(5000001);
    struct harness_input inputs[8];

    memset(data, 'x', len);
    data[len] = '\0';
    memset(huge, 'y', 5000000);
    huge[5000000] = '\0';
    for (int i = 0; i < 8; i++)
        inputs[i] = (struct harness_input){.data = i == 4 ? huge : data};
    harness_feed_records(h, "a", inputs, 8);
    EQ_INT(harness_outcome(h, 4), KP_REJECTED);
    EQ_STR(harness_failure(h, 0)->condition.ptr, "MaximumPayloadSizeExceeded");
    EQ_INT(harness_failure(h, 0)->attempts, 0);
    EQ_INT(harness_count(h, KP_DELIVERED), 7);
    free(data);
    free(huge);
    harness_free(h);
}

TEST(raw_events_are_payloads_and_their_answers_receipts)
{
    struct harness *h = open_with("{ event = 'raw', retries = 0, handler = function(event, context)"
                                  " if event.n == 2 then error('no', 0) end"
                                  " return { statusCode = 200, id = context.awsRequestId ~= nil,"
                                  " n = event.n } end }");

    harness_feed(h, "a", (const char *const[]){"{\"n\":1}", "{\"n\":2}", "{\"n\":3}", NULL});
    EQ_INT(harness_outcome(h, 0), KP_DELIVERED);
    EQ_INT(harness_outcome(h, 1), KP_REJECTED);
    EQ_INT(harness_outcome(h, 2), KP_DELIVERED);
    YES(strstr(harness_receipt(h, 0)->body.ptr, "\"n\":1") != NULL);
    YES(strstr(harness_receipt(h, 2)->body.ptr, "\"id\":true") != NULL);
    EQ_INT(harness_counter(h, "invocations"), 3);
    harness_free(h);
}

/* ---- partial failures */

static void says(const char *answer, int delivered, int rejected)
{
    struct harness *h =
        open_with("{ retries = 0, report_batch_item_failures = true, event = 'records',"
                  " handler = function(event) local d = event.Records[1].data"
                  " if d == 'null' then return nil end"
                  " if d == 'empty' then return '' end"
                  " if d == 'other' then return { batchItemFailures ="
                  " { { itemIdentifier = '123' } } } end"
                  " if d == 'none' then return { batchItemFailures = {} } end"
                  " if d == 'blank' then return { batchItemFailures ="
                  " { { itemIdentifier = '' } } } end"
                  " if d == 'foo' then return { batchItemFailures ="
                  " { { foo = event.Records[2].sequenceNumber } } } end"
                  " if d == 'number' then return { batchItemFailures ="
                  " { { itemIdentifier = 2 } } } end"
                  " if d == 'second' then return { batchItemFailures ="
                  " { { itemIdentifier = event.Records[3].sequenceNumber },"
                  "   { itemIdentifier = event.Records[2].sequenceNumber } } } end"
                  " if d == 'rest' then return { batchItemFailures ="
                  " { { itemIdentifier = event.Records[1].sequenceNumber } } } end"
                  " error('?', 0) end }");

    harness_feed(h, "a", (const char *const[]){answer, "rest", "rest", NULL});
    EQ_INT(harness_count(h, KP_DELIVERED), delivered);
    EQ_INT(harness_count(h, KP_REJECTED), rejected);
    if (rejected)
        EQ_INT(harness_failure(h, 0)->detail.len, 0); /* the function itself did not fail */
    harness_free(h);
}

TEST(answers_name_what_failed)
{
    says("null", 3, 0);
    says("empty", 3, 0);
    says("none", 3, 0);
    says("other", 0, 3);
    says("blank", 0, 3);
    says("foo", 0, 3);
    says("number", 0, 3);
    says("second", 1, 2); /* only the lowest counts: what is before it is done */
}

TEST(progress_gives_new_attempts)
{
    /* The validated case of the service: 6 records, batches of 3, 3 retries, the last always
     * fails: it is tried once with its batch and four times alone. */
    struct harness *h =
        open_with("{ batch_size = 3, retries = 3, report_batch_item_failures = true,"
                  " event = 'records', handler = function(event)"
                  " for _, r in ipairs(event.Records) do if r.data:sub(1, 3) == 'bad' then"
                  " return { batchItemFailures = { { itemIdentifier = r.sequenceNumber } } }"
                  " end end end }");

    feed(h, "a", 6, (const int[]){6, 0});
    run_out(h);
    EQ_INT(harness_count(h, KP_DELIVERED), 5);
    EQ_INT(harness_outcome(h, 5), KP_REJECTED);
    EQ_INT(harness_failure(h, 0)->attempts, 4);
    EQ_INT(harness_counter(h, "invocations"), 6);
    harness_free(h);
}

TEST(a_failure_of_the_first_record_is_bisected_too)
{
    struct harness *h =
        open_with("{ retries = 0, bisect_on_error = true, report_batch_item_failures = true,"
                  " event = 'records', handler = function(event)"
                  " for _, r in ipairs(event.Records) do if r.data:sub(1, 3) == 'bad' then"
                  " return { batchItemFailures = { { itemIdentifier = r.sequenceNumber } } }"
                  " end end end }");

    feed(h, "a", 10, (const int[]){1, 7, 0});
    run_out(h);
    EQ_INT(harness_count(h, KP_DELIVERED), 8);
    EQ_INT(harness_count(h, KP_REJECTED), 2);
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    EQ_INT(harness_outcome(h, 6), KP_REJECTED);
    harness_free(h);
}

TEST(what_waits_at_the_end_is_left_open)
{
    struct harness *h = open_with("{ " PICKY ", retries = -1 }");

    feed(h, "a", 3, (const int[]){1, 0});
    feed(h, "a", 3, NULL);
    EQ_INT(harness_count(h, KP_NONE), 6);
    harness_free(h);
}

static void refused(const char *options, const char *why)
{
    const char *error = harness_config_error("lambda-shim", KP_SINK, options);

    REQUIRE(error != NULL);
    if (!strstr(error, why))
        fprintf(stderr, "'%s' is not in: %s\n", why, error);
    YES(strstr(error, why) != NULL);
}

TEST(wrong_options_are_refused)
{
    refused("{ }", "needs 'handler'");
    refused("{ handler = function() end, command = { 'x' } }", "not both");
    refused("{ handler = 'x' }", "handler");
    refused("{ command = { 'x' }, env = { AWS_LAMBDA_RUNTIME_API = 'x' } }", "reserved");
    refused("{ handler = function() end, batch_size = 10001 }", "batch_size");
    refused("{ handler = function() end, max_record_age = '59s' }", "max_record_age");
    refused("{ handler = function() end, event = 'raw', parallelization_factor = 2 }",
            "raw events take concurrency");
}

/* ---- several batches of a shard at once */

/* n records of keys k0 to k19, `per` in a batch; those of key number `bad` are bad (-1: none). */
static void feed_keys(struct harness *h, int n, int per, int bad)
{
    struct harness_input inputs[200];
    char texts[200][32], keys[200][16];

    for (int i = 0; i < n; i++) {
        snprintf(keys[i], sizeof keys[i], "k%d", i % 20);
        snprintf(texts[i], sizeof texts[i], "%s-k%d-%03d", i % 20 == bad ? "bad" : "good", i % 20,
                 i);
        inputs[i] = (struct harness_input){.data = texts[i], .key = keys[i]};
    }
    for (int i = 0; i < n; i += per)
        harness_feed_records(h, "a", inputs + i, (size_t)per);
}

TEST(a_parallel_shard_keeps_the_order_of_each_key)
{
    struct harness *h =
        open_with("{ event = 'records', retries = 0, bisect_on_error = true, batch_size = 7,"
                  " parallelization_factor = 4,"
                  " handler = function(event) local last = {}"
                  " for _, r in ipairs(event.Records) do"
                  "   local key, n = r.partitionKey, tonumber(r.data:sub(-3))"
                  "   if last[key] and last[key] > n then error('order', 0) end"
                  "   last[key] = n"
                  " end"
                  " if #event.Records > 1 then error('apart', 0) end"
                  " error(event.Records[1].data, 0) end }");
    int last[20];

    memset(last, -1, sizeof last);
    feed_keys(h, 200, 200, -1);
    run_out(h);
    EQ_INT(harness_count(h, KP_REJECTED), 200);
    for (size_t i = 0; i < 200; i++) {
        const char *text = strstr(harness_failure(h, i)->detail.ptr, "good-k");
        int key, n;

        REQUIRE(text != NULL);
        REQUIRE(sscanf(text, "good-k%d-%d", &key, &n) == 2);
        YES(last[key] < n);
        last[key] = n;
    }
    harness_free(h);
}

TEST(a_parallel_shard_is_held_up_by_a_bad_key_in_one_part_only)
{
    struct harness *h =
        open_with("{ " PICKY ", retries = 1, batch_size = 5, parallelization_factor = 4 }");
    size_t waiting;

    feed_keys(h, 200, 1, 3);
    waiting = harness_count(h, KP_NONE);
    YES(waiting >= 10 && waiting <= 60); /* the keys that share a part with k3 */
    EQ_INT(harness_count(h, KP_DELIVERED), 200 - waiting);
    run_out(h);
    EQ_INT(harness_count(h, KP_NONE), 0);
    harness_free(h);
}

TEST(what_a_function_says_is_logged_as_one_line)
{
    struct harness *h = open_with("{ event = 'raw', retries = 0,"
                                  " handler = function() error('one\\ntwo\\27[31m', 0) end }");

    harness_feed(h, "a", (const char *const[]){"{}", NULL});
    YES(strstr(harness_log(h), "function.failed") != NULL);
    YES(strchr(harness_log(h), '\033') == NULL);
    YES(strstr(harness_log(h), "\ntwo") == NULL);
    harness_free(h);
}

/* ---- the functions that are shipped */

/* Options with the function of a file in pipelines/handlers in place of FILE [owned by caller]. */
static char *options_with(const char *before, const char *name, const char *after)
{
    char path[100], *text = calloc(1, 20000);
    FILE *file;
    size_t n;

    snprintf(path, sizeof path, "pipelines/handlers/%s.lua", name);
    file = fopen(kptest_path(path), "re");
    REQUIRE(text != NULL && file != NULL);
    n = (size_t)snprintf(text, 2000, "{ %s, handler = (function()\n", before);
    n += fread(text + n, 1, 16000, file);
    snprintf(text + n, 2000, "\nend)()%s }", after);
    fclose(file);
    return text;
}

TEST(the_consumer_of_pattern_1_fails_on_a_bad_record_only)
{
    char *options = options_with("bisect_on_error = true", "consumer", ", retries = 1");
    struct harness *h = open_with(options);

    harness_feed(h, "a",
                 (const char *const[]){"{\"n\":1}", "{\"n\":2}", "{\"n\":3,\"bad\":true}",
                                       "{\"n\":4,\"bad\":false}", "no json", NULL});
    run_out(h);
    EQ_INT(harness_count(h, KP_DELIVERED), 4);
    EQ_INT(harness_outcome(h, 2), KP_REJECTED);
    EQ_INT(harness_failure(h, 0)->attempts, 2);
    harness_free(h);
    free(options);
}

static const char *fare(struct harness *h, const char *query)
{
    static size_t n;
    char event[200];

    if (!query)
        n = 0;
    snprintf(event, sizeof event, "{\"queryStringParameters\":%s%s%s}",
             query ? "{\"ride_request_id\":\"" : "null", query ? query : "", query ? "\"}" : "");
    harness_feed(h, "a", (const char *const[]){event, NULL});
    if (!query || harness_outcome(h, ++n) != KP_DELIVERED)
        return "failed";
    return harness_receipt(h, n)->body.ptr;
}

TEST(fares_are_those_of_the_original)
{
    char *options = options_with("event = 'raw'", "fare", ", retries = 0");
    struct harness *h = open_with(options);
    FILE *file = fopen(kptest_path("tests/golden/taxi/fares.csv"), "re");
    char line[100], want[100];
    int n = 0;

    EQ_STR(fare(h, NULL), "failed"); /* no query string at all is an error, as there */
    REQUIRE(file != NULL);
    REQUIRE(fgets(line, sizeof line, file) != NULL);
    while (fgets(line, sizeof line, file)) {
        char *id = strtok(line, ",\n"), *status = strtok(NULL, ",\n"), *sum = strtok(NULL, ",\n");
        const char *got = fare(h, id);

        if (strcmp(status, "400") == 0) {
            YES(strstr(got, "Missing ride_request_id") && strstr(got, "400"));
        } else {
            snprintf(want, sizeof want, "{\\\"ride_request_id\\\":%s,\\\"expected_fare\\\":%s}", id,
                     sum);
            YES(strstr(got, want) != NULL);
        }
        n++;
    }
    fclose(file);
    EQ_INT(n, 6000);
    YES(strstr(fare(h, "1.5"), "14.12647465028226}") != NULL);
    YES(strstr(fare(h, "-20"), "-15.689888935863362}") != NULL);
    YES(strstr(fare(h, "9007199254740993"), "9007199254740992,\\\"expected_fare\\\":8}") != NULL);
    YES(strstr(fare(h, "1e3"), "\\\":1000,") != NULL);
    YES(strstr(fare(h, "20abc"), "\\\":20,") != NULL);
    YES(strstr(fare(h, "abc"), "Missing") != NULL);
    harness_free(h);
    free(options);
}
