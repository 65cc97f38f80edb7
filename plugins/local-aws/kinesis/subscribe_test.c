/* SubscribeToShard of the local AWS' Kinesis: a subscription's life as its client sees it. */
#include "plugins/local-aws/kinesis/kinesis_test.h"

#include <malloc.h>

#include "sdk/wire/cbor.h"
#include "sdk/wire/eventstream.h"

#define ARN "arn:aws:kinesis:us-east-1:000000000000:stream/s"

/* ---- workbench */

struct sub {
    struct harness *h;
    struct harness_exchange *x;
    size_t want;            /* messages that are waited for */
    struct kpw_event event; /* the last of them; slices of `bytes` */
    struct kpw_slice bytes; /* so far */
};

/* [static buffer, 4 in turn] Registers a consumer and returns its ARN. */
static const char *consumer(struct harness *h, const char *name)
{
    static char arns[4][300];
    static unsigned turn;
    char *arn = arns[turn++ % 4];
    json_t *out = kinesis_ask(h, 200, "RegisterStreamConsumer",
                              "{'StreamARN': '" ARN "', 'ConsumerName': '%s'}", name);

    snprintf(arn, sizeof arns[0], "%s", kinesis_text(out, "Consumer.ConsumerARN"));
    json_decref(out);
    return arn;
}

/* The body of a call; `position`: "'Type': 'LATEST'". [owned by caller] */
static char *call_of(const char *arn, int shard, const char *position)
{
    char *text = NULL;

    REQUIRE(asprintf(&text,
                     "{'ConsumerARN': '%s', 'ShardId': 'shardId-%012d',"
                     " 'StartingPosition': {%s}}",
                     arn, shard, position) >= 0);
    for (char *p = text; *p; p++)
        if (*p == '\'')
            *p = '"';
    return text;
}

#define HEADERS                                    \
    "Content-Type: application/x-amz-json-1.1\r\n" \
    "X-Amz-Target: Kinesis_20131202.SubscribeToShard\r\n"

static struct sub subscribe(struct harness *h, const char *arn, int shard, const char *position)
{
    char *text = call_of(arn, shard, position);
    struct sub sub = {.h = h,
                      .x = harness_request_begin(h, "POST", "/", HEADERS, text, strlen(text))};

    free(text);
    return sub;
}

/* It must be refused before it begins. */
static void refused(struct harness *h, const char *arn, const char *position, const char *type,
                    const char *message)
{
    char *text = call_of(arn, 0, position);

    kinesis_refused(kinesis_send(h, 400, "SubscribeToShard", text), type, message);
    free(text);
}

/* The messages that are whole by now; the last wanted one goes into sub->event. */
static size_t count_messages(struct sub *sub)
{
    struct kpw_event_reader reader;
    struct kpw_slice rest;
    struct kpw_event event;
    size_t n = 0, len = 0;
    const char *bytes = harness_answer_so_far(sub->x, &len);

    if (!bytes)
        return 0;
    sub->bytes = kpw_slice(bytes, len);
    rest = sub->bytes;
    kpw_event_reader_init(&reader, 64u << 20);
    for (;;) {
        enum kpw_event_result result = kpw_event_read(&reader, &rest, &event);

        if (result == KPW_EVENT_MORE)
            break;
        REQUIRE(result == KPW_EVENT_OK);
        if (++n == sub->want)
            sub->event = event;
    }
    kpw_event_reader_fini(&reader);
    return n;
}

static bool has_come(void *arg)
{
    struct sub *sub = arg;

    return count_messages(sub) >= sub->want;
}

/* [owned by caller] The payload of the next message, which must be of this kind:
 * "initial-response", "SubscribeToShardEvent", or an exception's name. */
static json_t *next(struct sub *sub, const char *kind)
{
    char *text;
    struct kpw_slice name;
    json_t *out;

    sub->want++;
    harness_wait(sub->h, has_come, sub);
    name = kpw_event_string(&sub->event, ":event-type");
    if (!name.len)
        name = kpw_event_string(&sub->event, ":exception-type");
    text = strndup(name.ptr, name.len);
    EQ_STR(text, kind);
    free(text);
    YES(kpw_slice_is(kpw_event_string(&sub->event, ":content-type"), "application/x-amz-json-1.1"));
    text = strndup(sub->event.payload.ptr, sub->event.payload.len);
    out = kinesis_json(text);
    free(text);
    return out;
}

static void skip(struct sub *sub, const char *kind)
{
    json_decref(next(sub, kind));
}

#define EVENT "SubscribeToShardEvent"

/* The next message is an event with one record of this data. */
static void brings(struct sub *sub, const char *data)
{
    json_t *out = next(sub, EVENT);

    EQ_INT(json_array_size(kinesis_at(out, "Records")), 1);
    EQ_STR(kinesis_text(out, "Records.0.Data"), data);
    json_decref(out);
}

/* A subscription whose first event had nothing. */
static struct sub begun(struct harness *h, const char *arn, const char *position)
{
    struct sub sub = subscribe(h, arn, 0, position);
    json_t *out;

    skip(&sub, "initial-response");
    out = next(&sub, EVENT);
    EQ_INT(json_array_size(kinesis_at(out, "Records")), 0);
    json_decref(out);
    return sub;
}

/* It has ended cleanly after the messages that were looked at. */
static void ends(struct sub *sub)
{
    struct kpw_event_reader reader;
    struct kpw_event event;
    struct kpw_slice rest;
    const char *body;
    size_t n = 0;

    EQ_INT(harness_request_end(sub->h, sub->x, &body), 200);
    YES(harness_answer_is_whole(sub->h));
    EQ_STR(harness_response_header(sub->h, "content-type"), "application/vnd.amazon.eventstream");
    rest = kpw_slice(body, harness_answer_len(sub->h));
    kpw_event_reader_init(&reader, 64u << 20);
    while (kpw_event_read(&reader, &rest, &event) == KPW_EVENT_OK)
        n++;
    EQ_INT(kpw_event_pending(&reader), 0);
    kpw_event_reader_fini(&reader);
    EQ_INT(n, sub->want);
    sub->x = NULL;
}

static void drop(struct sub *sub)
{
    harness_request_drop(sub->h, sub->x);
}

/* ---- events */

TEST(records_are_pushed_as_they_are_put)
{
    static const char *const kinds[] = {"durability = 'os'", "durability = 'fsync'",
                                        "durability = 'memory'"};

    for (size_t i = 0; i < 3; i++) {
        struct harness *h = kinesis_with("s", 1, kinds[i]);
        const char *arn = consumer(h, "c"), *number;
        struct sub sub;
        json_t *out;

        number = kinesis_put(h, "s", "a\\tb", "MA==");
        sub = subscribe(h, arn, 0, "'Type': 'TRIM_HORIZON'");
        out = next(&sub, "initial-response");
        EQ_INT(json_object_size(out), 0);
        json_decref(out);
        YES(kpw_slice_is(kpw_event_string(&sub.event, ":message-type"), "event"));
        out = next(&sub, EVENT);
        EQ_STR(kinesis_text(out, "Records.0.SequenceNumber"), number);
        EQ_STR(kinesis_text(out, "Records.0.PartitionKey"), "a\tb");
        EQ_STR(kinesis_text(out, "Records.0.Data"), "MA==");
        YES(json_real_value(kinesis_at(out, "Records.0.ApproximateArrivalTimestamp")) > 1e9);
        EQ_STR(kinesis_text(out, "ContinuationSequenceNumber"), number);
        EQ_INT(kinesis_int(out, "MillisBehindLatest"), 0);
        YES(kinesis_at(out, "ChildShards") == NULL);
        json_decref(out);
        kinesis_put(h, "s", "a", "MQ==");
        brings(&sub, "MQ==");
        kinesis_put(h, "s", "a", "Mg==");
        brings(&sub, "Mg==");
        drop(&sub);
        harness_free(h);
    }
}

TEST(an_event_without_records_comes_every_five_seconds)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    struct sub sub = begun(h, consumer(h, "c"), "'Type': 'LATEST'");
    char before[60] = "";
    json_t *out;

    for (int i = 0; i < 3; i++) {
        harness_advance(h, 4999);
        EQ_INT(count_messages(&sub), sub.want);
        harness_advance(h, 1);
        out = next(&sub, EVENT);
        EQ_INT(json_array_size(kinesis_at(out, "Records")), 0);
        EQ_INT(kinesis_int(out, "MillisBehindLatest"), 0);
        YES(strcmp(kinesis_text(out, "ContinuationSequenceNumber"), before) > 0);
        snprintf(before, sizeof before, "%s", kinesis_text(out, "ContinuationSequenceNumber"));
        json_decref(out);
    }
    harness_advance(h, 4000);
    kinesis_put(h, "s", "a", "MA=="); /* an event moves the beat */
    brings(&sub, "MA==");
    harness_advance(h, 4999);
    EQ_INT(count_messages(&sub), sub.want);
    drop(&sub);
    harness_free(h);
}

TEST(a_subscription_ends_cleanly_after_five_minutes)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    struct sub sub = begun(h, consumer(h, "c"), "'Type': 'LATEST'");

    for (int i = 0; i < 59; i++) {
        harness_advance(h, 5000);
        skip(&sub, EVENT);
    }
    harness_advance(h, 4999);
    EQ_INT(count_messages(&sub), sub.want);
    harness_advance(h, 1);
    ends(&sub);
    harness_free(h);
}

TEST(a_continuation_number_misses_nothing_and_repeats_nothing)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, "no_limits = true");
    char position[200], arn[300];
    struct sub sub;
    json_t *out;

    kinesis_do(h, 200, "CreateStream", "{'StreamName': 's', 'ShardCount': 1}");
    snprintf(arn, sizeof arn, "%s", consumer(h, "c"));
    sub = begun(h, arn, "'Type': 'TRIM_HORIZON'"); /* before the first record */
    for (int round = 0; round < 4; round++) {
        if (round == 2) {
            harness_advance(h, 5000); /* a number of a beat */
            out = next(&sub, EVENT);
        } else {
            kinesis_put(h, "s", "a", "MA==");
            out = next(&sub, EVENT);
            EQ_INT(json_array_size(kinesis_at(out, "Records")), 1);
        }
        snprintf(position, sizeof position,
                 "'Type': 'AFTER_SEQUENCE_NUMBER', 'SequenceNumber': '%s'",
                 kinesis_text(out, "ContinuationSequenceNumber"));
        json_decref(out);
        drop(&sub);
        kinesis_do(h, 200, "ListStreams", "{}"); /* by then the server knows */
        if (round == 3) {
            harness_free(h);
            h = kinesis_start(dir, "no_limits = true");
        }
        kinesis_put(h, "s", "a", "MQ=="); /* in the same second */
        sub = subscribe(h, arn, 0, position);
        skip(&sub, "initial-response");
        brings(&sub, "MQ==");
    }
    drop(&sub);
    harness_free(h);
}

TEST(a_subscription_begins_where_it_is_told_to)
{
    struct harness *h = kinesis_with("s", 1, "no_limits = true");
    const char *arn = consumer(h, "c"), *second;
    char position[200];
    int64_t time_ms;
    struct sub sub;
    json_t *out;

    kinesis_put(h, "s", "a", "MA==");
    harness_advance(h, 10000);
    second = kinesis_put(h, "s", "a", "MQ==");
    out = kinesis_all(h, "s", 0);
    time_ms =
        (int64_t)(json_real_value(kinesis_at(out, "Records.1.ApproximateArrivalTimestamp")) * 1000);
    json_decref(out);
    for (int i = 0; i < 5; i++) {
        const char *const positions[] = {"'Type': 'AT_SEQUENCE_NUMBER', 'SequenceNumber': '%s'",
                                         "'Type': 'AFTER_SEQUENCE_NUMBER', 'SequenceNumber': '%s'",
                                         "'Type': 'LATEST'", "'Type': 'TRIM_HORIZON'", NULL};

        if (i == 4)
            snprintf(position, sizeof position, "'Type': 'AT_TIMESTAMP', 'Timestamp': %lld.%03d",
                     (long long)(time_ms / 1000), (int)(time_ms % 1000));
        else
            snprintf(position, sizeof position, positions[i], second);
        sub = subscribe(h, arn, 0, position);
        skip(&sub, "initial-response");
        out = next(&sub, EVENT);
        EQ_STR(kinesis_text(out, "Records.0.Data"), i == 3             ? "MA=="
                                                    : i == 1 || i == 2 ? ""
                                                                       : "MQ==");
        json_decref(out);
        drop(&sub);
        harness_advance(h, 5000);
    }
    harness_free(h);
}

TEST(a_start_that_makes_no_sense_is_refused_before_the_stream)
{
    struct harness *h = kinesis_with("s", 1, "no_limits = true");
    const char *arn = consumer(h, "c");

    refused(h, arn, "'Type': 'AT_SEQUENCE_NUMBER'", "InvalidArgumentException",
            "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and "
            "StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. "
            "Request specified AT_SEQUENCE_NUMBER and no StartingSequenceNumber.");
    refused(h, arn, "'Type': 'AT_TIMESTAMP'", "InvalidArgumentException",
            "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current "
            "request has no timestamp parameter.");
    refused(h, arn, "'Type': 'AT_SEQUENCE_NUMBER', 'SequenceNumber': '99999999999999'",
            "InvalidArgumentException", NULL);
    refused(h, arn, "'Type': 'x'", "ValidationException",
            "1 validation error detected: Value 'x' at 'startingPosition.type' failed to satisfy "
            "constraint: Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, "
            "AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]");
    refused(h, ARN "/consumer/x:1", "'Type': 'LATEST'", "ResourceNotFoundException",
            "Consumer " ARN "/consumer/x:1 not found.");
    kinesis_refused(kinesis_do(h, 400, "SubscribeToShard",
                               "{'ConsumerARN': '%s', 'ShardId': 'shardId-000000000001',"
                               " 'StartingPosition': {'Type': 'LATEST'}}",
                               arn),
                    "ResourceNotFoundException",
                    "Shard shardId-000000000001 in stream s under account 000000000000 does not "
                    "exist");
    kinesis_refused(kinesis_do(h, 400, "SubscribeToShard",
                               "{'ConsumerARN': '%s', 'ShardId': 'x',"
                               " 'StartingPosition': {'Type': 'LATEST'}}",
                               arn),
                    "ResourceNotFoundException",
                    "Could not find shard x in stream s under account 000000000000.");
    kinesis_refused(kinesis_do(h, 400, "SubscribeToShard", "{}"), "ValidationException",
                    "3 validation errors detected: Value null at 'consumerARN' failed to satisfy "
                    "constraint: Member must not be null; Value null at 'shardId' failed to "
                    "satisfy constraint: Member must not be null; Value null at "
                    "'startingPosition' failed to satisfy constraint: Member must not be null");
    harness_free(h);
}

TEST(what_is_encrypted_is_marked_in_events)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    struct sub sub = begun(h, consumer(h, "c"), "'Type': 'LATEST'");
    json_t *out;

    kinesis_do(h, 200, "StartStreamEncryption",
               "{'StreamName': 's', 'EncryptionType': 'KMS', 'KeyId': 'alias/aws/kinesis'}");
    kinesis_put(h, "s", "a", "MA==");
    out = next(&sub, EVENT);
    EQ_STR(kinesis_text(out, "Records.0.EncryptionType"), "KMS");
    json_decref(out);
    drop(&sub);
    harness_free(h);
}

/* ---- one subscription after the other */

#define IN_USE                                                                     \
    "Another active subscription exists for this consumer: 000000000000:s:shardId" \
    "-000000000000:c"

TEST(a_second_subscription_waits_five_seconds_and_takes_over)
{
    struct harness *h = kinesis_with("s", 2, NULL);
    const char *arn = consumer(h, "c");
    struct sub first = begun(h, arn, "'Type': 'LATEST'"), second, other;
    json_t *out;

    refused(h, arn, "'Type': 'LATEST'", "LimitExceededException",
            "Rate exceeded for consumer c and shard shardId-000000000000 in stream s under "
            "account 000000000000.");
    harness_advance(h, 1000);
    refused(h, arn, "'Type': 'LATEST'", "ResourceInUseException", IN_USE);
    other = subscribe(h, arn, 1, "'Type': 'LATEST'"); /* another shard is another matter */
    skip(&other, "initial-response");
    harness_advance(h, 3999);
    refused(h, arn, "'Type': 'LATEST'", "ResourceInUseException", IN_USE);
    harness_advance(h, 1000); /* also a beat */
    skip(&first, EVENT);
    second = begun(h, arn, "'Type': 'LATEST'");
    out = next(&first, "ResourceInUseException");
    EQ_STR(kinesis_text(out, "message"), IN_USE);
    json_decref(out);
    YES(kpw_slice_is(kpw_event_string(&first.event, ":message-type"), "exception"));
    ends(&first);
    kinesis_do(h, 200, "PutRecord",
               "{'StreamName': 's', 'PartitionKey': 'a', 'Data': 'MA==', 'ExplicitHashKey': '0'}");
    brings(&second, "MA==");
    drop(&second);
    drop(&other);
    harness_free(h);
}

TEST(a_peer_that_went_away_may_come_back)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    const char *arn = consumer(h, "c");
    struct sub sub = begun(h, arn, "'Type': 'LATEST'");

    drop(&sub);
    kinesis_put(h, "s", "a", "MA==");
    kinesis_put(h, "s", "a", "MQ==");
    harness_advance(h, 1000);
    refused(h, arn, "'Type': 'TRIM_HORIZON'", "ResourceInUseException", IN_USE);
    harness_advance(h, 4000);
    sub = subscribe(h, arn, 0, "'Type': 'TRIM_HORIZON'");
    skip(&sub, "initial-response");
    skip(&sub, EVENT);
    drop(&sub);
    harness_free(h);
}

TEST(without_limits_a_peer_that_went_away_may_come_back_at_once)
{
    struct harness *h = kinesis_with("s", 1, "no_limits = true");
    const char *arn = consumer(h, "c");
    struct sub sub = begun(h, arn, "'Type': 'LATEST'");

    refused(h, arn, "'Type': 'LATEST'", "ResourceInUseException", IN_USE);
    drop(&sub);
    kinesis_put(h, "s", "a", "MA=="); /* by then the server knows */
    kinesis_put(h, "s", "a", "MA==");
    sub = begun(h, arn, "'Type': 'LATEST'");
    drop(&sub);
    harness_free(h);
}

/* ---- ends */

TEST(at_its_end_a_shard_names_its_children)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    const char *arn = consumer(h, "c");
    struct sub sub = begun(h, arn, "'Type': 'LATEST'");
    json_t *out;

    kinesis_put(h, "s", "a", "MA==");
    brings(&sub, "MA==");
    kinesis_do(h, 200, "SplitShard",
               "{'StreamName': 's', 'ShardToSplit': '0', 'NewStartingHashKey': '9999'}");
    out = next(&sub, EVENT);
    EQ_INT(json_array_size(kinesis_at(out, "Records")), 0);
    EQ_STR(kinesis_text(out, "ChildShards.0.ShardId"), "shardId-000000000001");
    EQ_STR(kinesis_text(out, "ChildShards.1.HashKeyRange.StartingHashKey"), "9999");
    EQ_STR(kinesis_text(out, "ChildShards.1.ParentShards.0"), "shardId-000000000000");
    json_decref(out);
    ends(&sub);
    harness_advance(h, 5000);
    sub = subscribe(h, arn, 0, "'Type': 'TRIM_HORIZON'"); /* all in one */
    skip(&sub, "initial-response");
    out = next(&sub, EVENT);
    EQ_STR(kinesis_text(out, "Records.0.Data"), "MA==");
    EQ_INT(json_array_size(kinesis_at(out, "ChildShards")), 2);
    json_decref(out);
    ends(&sub);
    harness_free(h);
}

TEST(a_stream_that_is_deleted_ends_its_subscriptions)
{
    static const char *const options[] = {NULL, "transition = '500ms', no_limits = true"};

    for (size_t i = 0; i < 2; i++) {
        struct harness *h = kinesis_with("s", 1, options[i]);
        const char *arn;
        struct sub sub;
        json_t *out;

        harness_advance(h, 500);
        arn = consumer(h, "c");
        harness_advance(h, 500);
        sub = begun(h, arn, "'Type': 'LATEST'");
        kinesis_do(h, 200, "DeleteStream", "{'StreamName': 's', 'EnforceConsumerDeletion': true}");
        out = next(&sub, "ResourceNotFoundException");
        EQ_STR(kinesis_text(out, "message"), "Stream s under account 000000000000 not found.");
        json_decref(out);
        ends(&sub);
        harness_advance(h, 5000);
        refused(h, arn, "'Type': 'LATEST'", "ResourceNotFoundException",
                "Stream s under account 000000000000 not found.");
        harness_free(h);
    }
}

TEST(a_consumer_that_is_deregistered_hears_no_more)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    const char *arn = consumer(h, "c");
    struct sub sub = begun(h, arn, "'Type': 'LATEST'");
    json_t *out;

    kinesis_do(h, 200, "DeregisterStreamConsumer", "{'ConsumerARN': '%s'}", arn);
    out = next(&sub, "ResourceNotFoundException");
    YES(strstr(kinesis_text(out, "message"), "/consumer/c:") != NULL);
    json_decref(out);
    ends(&sub);
    harness_free(h);
}

TEST(a_consumer_that_is_not_active_may_not_subscribe)
{
    struct harness *h = kinesis_with("s", 1, "transition = '500ms', no_limits = true");
    const char *arn;

    harness_advance(h, 500);
    arn = consumer(h, "c");
    refused(h, arn, "'Type': 'LATEST'", "ResourceInUseException",
            "Consumer c with creation timestamp 1700000000 under stream: s , account 000000000000 "
            "is not in ACTIVE status.");
    harness_free(h);
}

TEST(a_service_that_closes_takes_its_subscriptions_along)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    struct sub sub = begun(h, consumer(h, "c"), "'Type': 'LATEST'");

    (void)sub;
    harness_free(h);
}

/* ---- pace and pressure */

/* Puts `n` records of 100 KiB. */
static void put_large(struct harness *h, int n)
{
    char *body = kinesis_many("s", 1, 100 << 10);

    for (int i = 0; i < n; i++)
        kinesis_send(h, 200, "PutRecords", body);
    free(body);
}

/* Records in all messages by now: one key each. */
static size_t count_records(struct sub *sub)
{
    static const char mark[] = "\"PartitionKey\"";
    struct kpw_event_reader reader;
    struct kpw_event event;
    size_t n = 0, len = 0;
    const char *bytes = harness_answer_so_far(sub->x, &len);
    struct kpw_slice rest = kpw_slice(bytes, len);

    kpw_event_reader_init(&reader, 64u << 20);
    while (bytes && kpw_event_read(&reader, &rest, &event) == KPW_EVENT_OK) {
        const char *at = event.payload.ptr, *end = at + event.payload.len;

        while ((at = memmem(at, (size_t)(end - at), mark, sizeof mark - 1))) {
            at += sizeof mark - 1;
            n++;
        }
    }
    kpw_event_reader_fini(&reader);
    return n;
}

/* Looked at now and then only, since it copies all that has come. The clock moves on, for a long
 * backlog is sent in turns. */
static bool has_records(void *arg)
{
    static unsigned turn;
    struct sub *sub = arg;

    if (turn++ % 16)
        return false;
    harness_advance(sub->h, 1);
    return count_records(sub) >= sub->want;
}

static void wait_records(struct sub *sub, size_t n)
{
    sub->want = n;
    harness_wait(sub->h, has_records, sub);
}

TEST(a_consumer_gets_two_megabytes_a_second_of_a_shard)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    const char *arn = consumer(h, "c");
    struct sub sub;
    size_t n;

    for (int i = 0; i < 5; i++) {
        put_large(h, 10); /* a megabyte a second goes in */
        harness_advance(h, 1000);
    }
    sub = subscribe(h, arn, 0, "'Type': 'TRIM_HORIZON'");
    wait_records(&sub, 21); /* above 2 MiB by the one that was under way */
    n = count_records(&sub);
    YES(n <= 22);
    harness_advance(h, 1000);
    wait_records(&sub, 40);
    YES(count_records(&sub) <= 43);
    harness_advance(h, 1000);
    wait_records(&sub, 50);
    drop(&sub);
    harness_free(h);
}

TEST(a_peer_that_takes_nothing_costs_no_memory)
{
    struct harness *h = kinesis_with("s", 1, "no_limits = true");
    const char *arn = consumer(h, "c");
    struct sub sub = begun(h, arn, "'Type': 'LATEST'");
    size_t before;

    harness_request_hold(sub.x, true);
    put_large(h, 30); /* what the sockets hold is full by then */
    before = mallinfo2().uordblks;
    put_large(h, 70);
    YES(mallinfo2().uordblks < before + (1 << 20));
    harness_advance(h, 10000); /* two beats */
    YES(mallinfo2().uordblks < before + (1 << 20));
    drop(&sub);
    kinesis_do(h, 200, "ListStreams", "{}"); /* by then the server knows */
    sub = subscribe(h, arn, 0, "'Type': 'TRIM_HORIZON'");
    wait_records(&sub, 100);
    EQ_INT(count_records(&sub), 100);
    drop(&sub);
    harness_free(h);
}

TEST(twenty_consumers_get_the_same)
{
    struct harness *h = kinesis_with("s", 1, "no_limits = true");
    struct sub subs[20];
    char name[20];

    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "c%d", i);
        subs[i] = begun(h, consumer(h, name), "'Type': 'LATEST'");
    }
    kinesis_put(h, "s", "a", "MA==");
    kinesis_put(h, "s", "a", "MQ==");
    for (int i = 0; i < 20; i++) {
        wait_records(&subs[i], 2);
        if (i % 2)
            drop(&subs[i]);
    }
    kinesis_put(h, "s", "a", "Mg==");
    for (int i = 0; i < 20; i += 2) {
        wait_records(&subs[i], 3);
        drop(&subs[i]);
    }
    harness_free(h);
}

/* ---- CBOR */

static void put_text(struct kpw_buf *out, const char *key, const char *value)
{
    kpw_cbor_put_cstr(out, key);
    kpw_cbor_put_cstr(out, value);
}

TEST(events_are_cbor_for_those_who_ask_in_cbor)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    const char *arn = consumer(h, "c");
    struct kpw_buf body = KPW_BUF_INIT;
    struct sub sub = {.h = h, .want = 1};
    struct kpw_cbor r;

    kpw_cbor_put_map(&body, 3);
    put_text(&body, "ConsumerARN", arn);
    put_text(&body, "ShardId", "shardId-000000000000");
    kpw_cbor_put_cstr(&body, "StartingPosition");
    kpw_cbor_put_map(&body, 1);
    put_text(&body, "Type", "LATEST");
    sub.x = harness_request_begin(h, "POST", "/",
                                  "Content-Type: application/x-amz-cbor-1.1\r\n"
                                  "X-Amz-Target: Kinesis_20131202.SubscribeToShard\r\n",
                                  body.ptr, body.len);
    harness_wait(h, has_come, &sub);
    YES(kpw_slice_is(kpw_event_string(&sub.event, ":content-type"), "application/x-amz-cbor-1.1"));
    YES(kpw_slice_is(sub.event.payload, "\xbf\xff"));
    sub.want = 2;
    harness_wait(h, has_come, &sub);
    kinesis_put(h, "s", "a", "MA==");
    sub.want = 3;
    harness_wait(h, has_come, &sub);
    YES(kpw_cbor_valid(sub.event.payload.ptr, sub.event.payload.len));
    kpw_cbor_init(&r, sub.event.payload.ptr, sub.event.payload.len);
    EQ_INT(kpw_cbor_next(&r), KPW_CBOR_MAP);
    EQ_INT(kpw_cbor_next(&r), KPW_CBOR_TEXT);
    YES(kpw_slice_is(r.value, "Records"));
    while (r.type != KPW_CBOR_BYTES && r.type != KPW_CBOR_END && r.type != KPW_CBOR_ERROR)
        kpw_cbor_next(&r);
    YES(kpw_slice_is(r.value, "0"));
    kpw_buf_fini(&body);
    drop(&sub);
    harness_free(h);
}
