/* Kinesis in CBOR: every operation answers what it answers in JSON; the bytes of the wire; errors.
 */
#include "plugins/local-aws/kinesis/kinesis.h"
#include "plugins/local-aws/kinesis/kinesis_test.h"

#include "sdk/wire/cbor.h"
#include "sdk/wire/eventstream.h"

#define TARGET "X-Amz-Target: Kinesis_20131202."
#define CBOR   "Content-Type: application/x-amz-cbor-1.1\r\n"
#define JSON   "Content-Type: application/x-amz-json-1.1\r\n"

/* ---- JSON to CBOR and back, as the service maps them */

static bool is_blob(const char *name)
{
    return !strcmp(name, "Data");
}

static bool is_time(const char *name)
{
    size_t n = strlen(name);

    return (n >= 9 && !strcmp(name + n - 9, "Timestamp")) ||
           (n >= 2 && !strcmp(name + n - 2, "At"));
}

/* Every way to write a string takes its turn: whole, in two chunks. */
static void put_text(struct kpw_buf *out, const char *text, unsigned *turn)
{
    size_t len = strlen(text);

    if (++*turn % 3 || len < 2) {
        kpw_cbor_put_text(out, text, len);
        return;
    }
    kpw_buf_putc(out, 0x7f);
    kpw_cbor_put_text(out, text, 1);
    kpw_cbor_put_text(out, text + 1, len - 1);
    kpw_cbor_put_break(out);
}

static void put_blob(struct kpw_buf *out, const char *base64)
{
    char bytes[256];
    size_t len;

    REQUIRE(strlen(base64) < sizeof bytes);
    REQUIRE(kpw_base64_decode(base64, strlen(base64), bytes, &len));
    kpw_cbor_put_bytes(out, bytes, len);
}

static void put_value(struct kpw_buf *out, const char *name, const json_t *value, unsigned *turn);

static void put_container(struct kpw_buf *out, const json_t *value, unsigned *turn)
{
    bool any = ++*turn % 2;
    const char *key;
    json_t *item;
    size_t i;

    if (json_is_array(value)) {
        any ? kpw_cbor_put_list_any(out) : kpw_cbor_put_list(out, json_array_size(value));
        json_array_foreach(value, i, item) put_value(out, "", item, turn);
    } else {
        any ? kpw_cbor_put_map_any(out) : kpw_cbor_put_map(out, json_object_size(value));
        json_object_foreach((json_t *)(uintptr_t)value, key, item)
        {
            put_text(out, key, turn);
            put_value(out, key, item, turn);
        }
    }
    if (any)
        kpw_cbor_put_break(out);
}

static void put_value(struct kpw_buf *out, const char *name, const json_t *value, unsigned *turn)
{
    if (json_is_array(value) || json_is_object(value))
        put_container(out, value, turn);
    else if (json_is_number(value) && is_time(name))
        kpw_cbor_put_time_ms(out, (int64_t)(json_number_value(value) * 1000 + 0.5));
    else if (json_is_integer(value))
        kpw_cbor_put_int(out, json_integer_value(value));
    else if (json_is_real(value))
        kpw_cbor_put_double(out, json_real_value(value));
    else if (json_is_string(value) && is_blob(name))
        put_blob(out, json_string_value(value));
    else if (json_is_string(value))
        put_text(out, json_string_value(value), turn);
    else if (json_is_boolean(value))
        kpw_cbor_put_bool(out, json_is_true(value));
    else
        kpw_cbor_put_null(out);
}

static json_t *get_value(struct kpw_cbor *r);

static json_t *get_blob(const struct kpw_cbor *r)
{
    struct kpw_buf text = KPW_BUF_INIT;
    json_t *out;

    kpw_base64_put(&text, r->value.ptr, r->value.len);
    out = json_stringn(text.ptr ? text.ptr : "", text.len);
    kpw_buf_fini(&text);
    return out;
}

static json_t *get_map(struct kpw_cbor *r)
{
    json_t *out = json_object();

    while (kpw_cbor_next(r) == KPW_CBOR_TEXT) {
        char name[100];

        snprintf(name, sizeof name, "%.*s", (int)r->value.len, r->value.ptr);
        YES(json_object_get(out, name) == NULL);
        kpw_cbor_next(r);
        EQ_INT(r->type == KPW_CBOR_BYTES, is_blob(name));
        EQ_INT(r->type == KPW_CBOR_TAG, is_time(name));
        json_object_set_new(out, name, get_value(r));
    }
    EQ_INT(r->type, KPW_CBOR_MAP_END);
    return out;
}

/* The item that was just read. */
static json_t *get_value(struct kpw_cbor *r)
{
    json_t *out;
    int64_t n;

    switch (r->type) {
    case KPW_CBOR_MAP: return get_map(r);
    case KPW_CBOR_ARRAY:
        YES(r->is_indefinite);
        out = json_array();
        while (kpw_cbor_next(r) != KPW_CBOR_ARRAY_END)
            json_array_append_new(out, get_value(r));
        return out;
    case KPW_CBOR_TAG:
        EQ_INT(r->number, KPW_CBOR_TAG_TIME);
        kpw_cbor_next(r);
        REQUIRE(kpw_cbor_to_int64(r, &n));
        return json_real((double)n / 1000);
    case KPW_CBOR_UINT:
    case KPW_CBOR_NEGATIVE: REQUIRE(kpw_cbor_to_int64(r, &n)); return json_integer(n);
    case KPW_CBOR_TEXT: return json_stringn(r->value.ptr, r->value.len);
    case KPW_CBOR_BYTES: return get_blob(r);
    case KPW_CBOR_TRUE:
    case KPW_CBOR_FALSE: return json_boolean(r->type == KPW_CBOR_TRUE);
    default: CU_FAIL_FATAL("an item that answers do not have"); return NULL;
    }
}

/* [owned by caller] NULL for an empty body. */
static json_t *from_cbor(struct kpw_slice bytes)
{
    struct kpw_cbor r;
    json_t *out;

    if (!bytes.len)
        return NULL;
    kpw_cbor_init(&r, bytes.ptr, bytes.len);
    EQ_INT(kpw_cbor_next(&r), KPW_CBOR_MAP);
    out = get_value(&r);
    EQ_INT(kpw_cbor_next(&r), KPW_CBOR_END);
    return out;
}

/* ---- asking */

struct answer {
    int status;
    json_t *body; /* [owned] NULL: empty */
};

/* The last answer's bytes. */
static struct kpw_slice bytes_of(struct harness *h, const char *body)
{
    return kpw_slice(body, harness_answer_len(h));
}

static struct answer ask(struct harness *h, bool is_cbor, const char *operation, const char *text)
{
    struct kpw_buf body = KPW_BUF_INIT;
    json_t *json = json_loads(text, 0, NULL);
    struct answer out;
    char headers[200];
    const char *answer;
    unsigned turn = (unsigned)strlen(text);

    REQUIRE(json != NULL);
    if (is_cbor)
        put_value(&body, "", json, &turn);
    else
        kpw_buf_puts(&body, text);
    json_decref(json);
    snprintf(headers, sizeof headers, TARGET "%s\r\n%s", operation, is_cbor ? CBOR : JSON);
    out.status = harness_request(h, "POST", "/", headers, body.ptr, body.len, &answer);
    EQ_STR(harness_response_header(h, "content-type"), is_cbor ? KINESIS_CBOR_11 : LOCAL_JSON_11);
    kpw_buf_fini(&body);
    if (is_cbor && harness_answer_len(h))
        EQ_INT((uint8_t)answer[0], KPW_CBOR_MAP_ANY); /* as the service's */
    if (is_cbor)
        out.body = from_cbor(bytes_of(h, answer));
    else
        out.body = *answer ? kinesis_json(answer) : NULL;
    return out;
}

/* ---- every operation, first in JSON on one service, then in CBOR on another */

#define ARN      "arn:aws:kinesis:us-east-1:000000000000:stream/s"
#define CONSUMER ARN "/consumer/c:1700000000"

struct step {
    const char *operation;
    int status;
    const char *body; /* ' for "; $I: the last iterator */
};

static const struct step steps[] = {
    {"CreateStream", 200, "{'StreamName':'s','ShardCount':2,'Tags':{'a':'1','b':'\\u00fc'}}"},
    {"CreateStream", 400, "{'StreamName':'s','ShardCount':2}"},
    {"CreateStream", 200, "{'StreamName':'d','StreamModeDetails':{'StreamMode':'ON_DEMAND'}}"},
    {"CreateStream", 400, "{'StreamName':'','ShardCount':0,'More':[{'a':[1.5,null,true]}]}"},
    {"DescribeStream", 200, "{'StreamName':'s'}"},
    {"DescribeStream", 200, "{'StreamARN':'" ARN "','Limit':1}"},
    {"DescribeStream", 400, "{'StreamName':'missing'}"},
    {"DescribeStreamSummary", 200, "{'StreamName':'s'}"},
    {"ListStreams", 200, "{'Limit':1}"},
    {"DescribeLimits", 200, "{}"},
    {"PutRecord", 200, "{'StreamName':'s','PartitionKey':'a','Data':'AAH/'}"},
    {"PutRecord", 400, "{'StreamName':'s','PartitionKey':'','Data':'AAH/'}"},
    {"PutRecord", 400, "{'StreamName':'s','PartitionKey':7,'Data':'AAH/'}"},
    {"PutRecord", 400, "{'StreamName':'s','PartitionKey':'a','Data':[1]}"},
    {"PutRecord", 400, "{'StreamName':'s','PartitionKey':'a'}"},
    {"PutRecords", 200,
     "{'StreamName':'s','Records':[{'PartitionKey':'a','Data':''},"
     "{'PartitionKey':'\\n\\u20ac','Data':'Ynl0ZXM=','ExplicitHashKey':'0','Extra':{'x':[]}}]}"},
    {"PutRecords", 400, "{'StreamName':'s','Records':[{'PartitionKey':'a'},7]}"},
    {"PutRecords", 400, "{'StreamName':'s','Records':[{'PartitionKey':'a'},{'Data':''}]}"},
    {"GetShardIterator", 200,
     "{'StreamName':'s','ShardId':'0','ShardIteratorType':'TRIM_HORIZON'}"},
    {"GetRecords", 200, "{'ShardIterator':'$I','Limit':2}"},
    {"GetRecords", 200, "{'ShardIterator':'$I'}"},
    {"GetShardIterator", 200,
     "{'StreamName':'s','ShardId':'0','ShardIteratorType':'AT_TIMESTAMP','Timestamp':1699999000."
     "25}"},
    {"GetRecords", 200, "{'ShardIterator':'$I'}"},
    {"GetShardIterator", 400,
     "{'StreamName':'s','ShardId':'0','ShardIteratorType':'AT_TIMESTAMP','Timestamp':1800000000}"},
    {"GetShardIterator", 400,
     "{'StreamName':'s','ShardId':'0','ShardIteratorType':'SOME','Timestamp':true}"},
    {"ListShards", 200, "{'StreamName':'s','MaxResults':1}"},
    {"ListShards", 200,
     "{'StreamName':'s','ShardFilter':{'Type':'AT_TIMESTAMP','Timestamp':1700000000}}"},
    {"ListShards", 400, "{'StreamName':'s','ShardFilter':{'Type':3}}"},
    {"AddTagsToStream", 200, "{'StreamName':'s','Tags':{'c':'2','gone':null}}"},
    {"AddTagsToStream", 400, "{'StreamName':'s','Tags':{'c':2}}"},
    {"AddTagsToStream", 400, "{'StreamName':'s','Tags':{'':'2'}}"},
    {"ListTagsForStream", 200, "{'StreamName':'s','Limit':2}"},
    {"RemoveTagsFromStream", 200, "{'StreamName':'s','TagKeys':['c']}"},
    {"RemoveTagsFromStream", 400, "{'StreamName':'s','TagKeys':['c',1]}"},
    {"TagResource", 200, "{'ResourceARN':'" ARN "','Tags':{'e':'f'}}"},
    {"ListTagsForResource", 200, "{'ResourceARN':'" ARN "'}"},
    {"UntagResource", 200, "{'ResourceARN':'" ARN "','TagKeys':['e']}"},
    {"IncreaseStreamRetentionPeriod", 200, "{'StreamName':'s','RetentionPeriodHours':48}"},
    {"IncreaseStreamRetentionPeriod", 400, "{'StreamName':'s','RetentionPeriodHours':-1}"},
    {"IncreaseStreamRetentionPeriod", 400, "{'StreamName':'s','RetentionPeriodHours':1e12}"},
    {"DecreaseStreamRetentionPeriod", 200, "{'StreamName':'s','RetentionPeriodHours':24}"},
    {"EnableEnhancedMonitoring", 200,
     "{'StreamName':'s','ShardLevelMetrics':['IncomingBytes','OutgoingBytes']}"},
    {"DisableEnhancedMonitoring", 200, "{'StreamName':'s','ShardLevelMetrics':['ALL']}"},
    {"StartStreamEncryption", 200,
     "{'StreamName':'s','EncryptionType':'KMS','KeyId':'alias/aws/kinesis'}"},
    {"PutRecord", 200, "{'StreamName':'s','PartitionKey':'a','Data':'AAH/'}"},
    {"DescribeStreamSummary", 200, "{'StreamName':'s'}"},
    {"GetShardIterator", 200,
     "{'StreamName':'s','ShardId':'0','ShardIteratorType':'TRIM_HORIZON'}"},
    {"GetRecords", 200, "{'ShardIterator':'$I'}"},
    {"StopStreamEncryption", 200,
     "{'StreamName':'s','EncryptionType':'KMS','KeyId':'alias/aws/kinesis'}"},
    {"PutResourcePolicy", 200, "{'ResourceARN':'" ARN "','Policy':'{\\'Version\\':1}'}"},
    {"GetResourcePolicy", 200, "{'ResourceARN':'" ARN "'}"},
    {"DeleteResourcePolicy", 200, "{'ResourceARN':'" ARN "'}"},
    {"RegisterStreamConsumer", 200, "{'StreamARN':'" ARN "','ConsumerName':'c'}"},
    {"DescribeStreamConsumer", 200, "{'StreamARN':'" ARN "','ConsumerName':'c'}"},
    {"ListStreamConsumers", 200, "{'StreamARN':'" ARN "'}"},
    {"SubscribeToShard", 400,
     "{'ConsumerARN':'" CONSUMER "','ShardId':'9','StartingPosition':{'Type':'LATEST'}}"},
    {"DeregisterStreamConsumer", 200, "{'StreamARN':'" ARN "','ConsumerName':'c'}"},
    {"UpdateMaxRecordSize", 200, "{'StreamARN':'" ARN "','MaxRecordSizeInKiB':2048}"},
    {"UpdateStreamWarmThroughput", 400, "{'StreamName':'s','WarmThroughputMiBps':100}"},
    {"DescribeAccountSettings", 200, "{}"},
    {"UpdateAccountSettings", 200, "{'MinimumThroughputBillingCommitment':{'Status':'ENABLED'}}"},
    {"SplitShard", 200,
     "{'StreamName':'s','ShardToSplit':'shardId-000000000000',"
     "'NewStartingHashKey':'85070591730234615865843651857942052864'}"},
    {"GetRecords", 200, "{'ShardIterator':'$I'}"},
    {"GetShardIterator", 200, "{'StreamName':'s','ShardId':'0','ShardIteratorType':'LATEST'}"},
    {"GetRecords", 200, "{'ShardIterator':'$I'}"},
    {"MergeShards", 200,
     "{'StreamName':'s','ShardToMerge':'shardId-000000000002',"
     "'AdjacentShardToMerge':'shardId-000000000003'}"},
    {"UpdateShardCount", 200,
     "{'StreamName':'s','TargetShardCount':3,'ScalingType':'UNIFORM_SCALING'}"},
    {"ListShards", 200, "{'StreamName':'s'}"},
    {"UpdateStreamMode", 200,
     "{'StreamARN':'" ARN "','StreamModeDetails':{'StreamMode':'ON_DEMAND'}}"},
    {"DeleteStream", 200, "{'StreamName':'s','EnforceConsumerDeletion':true}"},
    {"DeleteStream", 400, "{'StreamName':'s','EnforceConsumerDeletion':'maybe'}"},
};

enum { N_STEPS = sizeof steps / sizeof *steps };

/* [owned by caller] The step's body with what earlier steps answered. */
static char *body_of(const struct step *step, const char *iterator)
{
    struct kpw_buf out = KPW_BUF_INIT;
    size_t len;

    for (const char *at = step->body; *at; at++) {
        if (at[0] == '$' && at[1] == 'I') {
            kpw_buf_puts(&out, iterator);
            at++;
        } else {
            kpw_buf_putc(&out, *at == '\'' ? '"' : *at);
        }
    }
    REQUIRE(kpw_buf_cstr(&out) != NULL);
    return kpw_buf_take(&out, &len);
}

/* Replaces what no two answers have in common. */
static void mask(json_t *body)
{
    static const char *const names[] = {"ShardIterator", "NextShardIterator", "NextToken"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (json_object_get(body, names[i])) {
            YES(json_string_length(json_object_get(body, names[i])) > 20);
            json_object_set_new(body, names[i], json_string("*"));
        }
}

static void run_steps(bool is_cbor, struct answer answers[N_STEPS])
{
    struct harness *h = kinesis_start(kptest_dir(), "no_limits = true");
    char iterator[600] = "";

    for (size_t i = 0; i < N_STEPS; i++) {
        char *body = body_of(&steps[i], iterator);

        answers[i] = ask(h, is_cbor, steps[i].operation, body);
        if (!strcmp(steps[i].operation, "GetShardIterator") && answers[i].status == 200)
            snprintf(iterator, sizeof iterator, "%s",
                     kinesis_text(answers[i].body, "ShardIterator"));
        mask(answers[i].body);
        free(body);
        /* what changes a status is over before the next step */
        harness_advance(h, 2000);
    }
    harness_free(h);
}

static void compare(const struct step *step, const struct answer *json, const struct answer *cbor)
{
    char *one = json->body ? json_dumps(json->body, JSON_SORT_KEYS) : strdup("");
    char *two = cbor->body ? json_dumps(cbor->body, JSON_SORT_KEYS) : strdup("");

    REQUIRE(one && two);
    if (json->status != step->status || cbor->status != step->status || strcmp(one, two) != 0)
        fprintf(stderr, "%s %s\n  JSON %d %.900s\n  CBOR %d %.900s\n", step->operation, step->body,
                json->status, one, cbor->status, two);
    EQ_INT(json->status, step->status);
    EQ_INT(cbor->status, step->status);
    EQ_STR(one, two);
    free(one);
    free(two);
}

TEST(every_operation_answers_in_cbor_what_it_answers_in_json)
{
    static struct answer json[N_STEPS], cbor[N_STEPS];
    bool seen[KINESIS_OPERATIONS_MAX] = {false};
    size_t n = 0, last = 0;

    run_steps(false, json);
    run_steps(true, cbor);
    for (size_t i = 0; i < N_STEPS; i++) {
        const struct kinesis_operation *operation = kinesis_operation(steps[i].operation);
        size_t number;

        REQUIRE(operation != NULL);
        number = kinesis_operation_number(operation);
        n += !seen[number];
        seen[number] = true;
        last = number > last ? number : last;
        compare(&steps[i], &json[i], &cbor[i]);
        json_decref(json[i].body);
        json_decref(cbor[i].body);
    }
    EQ_INT(n, 39); /* of the service's model */
    EQ_INT(last + 1, n);
}

/* ---- the bytes */

static struct kpw_slice post(struct harness *h, int status, const char *headers,
                             struct kpw_slice body)
{
    const char *answer;

    EQ_INT(harness_request(h, "POST", "/", headers, body.ptr, body.len, &answer), status);
    return bytes_of(h, answer);
}

/* Appends what a notation says: hex, with texts between quotes. */
static void put_notation(struct kpw_buf *out, const char *at)
{
    for (; *at; at += strspn(at, " ")) {
        size_t n = strcspn(at + 1, "'");
        char byte;

        if (*at == '\'') {
            kpw_buf_append(out, at + 1, n);
            at += n + 2;
            continue;
        }
        REQUIRE(kpw_hex_decode(at, 2, &byte));
        kpw_buf_putc(out, byte);
        at += 2;
    }
}

static void check_bytes(struct kpw_slice got, const char *notation)
{
    struct kpw_buf want = KPW_BUF_INIT;

    put_notation(&want, notation);
    YES(kpw_slice_eq(got, kpw_buf_slice(&want)));
    kpw_buf_fini(&want);
}

TEST(an_answer_has_the_bytes_of_the_service)
{
    struct harness *h = kinesis_start(kptest_dir(), NULL);

    check_bytes(post(h, 200, TARGET "DescribeLimits\r\n" CBOR, kpw_slice("\xa0", 1)),
                "bf 6a'ShardLimit' 1901f4 6e'OpenShardCount' 00 73'OnDemandStreamCount' 00"
                "78 18'OnDemandStreamCountLimit' 1832 ff");
    check_bytes(post(h, 400, TARGET "DescribeStream\r\n" CBOR,
                     kpw_slice("\xbf\x6aStreamName\x71wrong-stream-name\xff", 31)),
                "bf 66'__type' 78 19'ResourceNotFoundException' 67'message' 78 3e"
                "'Stream wrong-stream-name under account 000000000000 not found.' ff");
    EQ_STR(harness_response_header(h, "x-amzn-errortype"), "ResourceNotFoundException");
    harness_free(h);
}

TEST(a_record_comes_with_tagged_milliseconds_and_its_bytes)
{
    static const char time[] =
        "\x78\x1b"
        "ApproximateArrivalTimestamp\xc1\x1b\x00\x00\x01\x8b\xcf\xe5\x68\x7b";
    static const char rest[] = "\x64"
                               "Data\x43\x00\x01\xff\x6cPartitionKey\x61k\xff\xff\xff";
    struct harness *h = kinesis_with("s", 1, NULL);
    char *iterator = kinesis_iterator(h, "s", 0, "TRIM_HORIZON", NULL);
    struct kpw_buf body = KPW_BUF_INIT;
    struct kpw_slice got;

    harness_advance(h, 1700000000123 - kp->wall_ms());
    kinesis_put(h, "s", "k", "AAH/");
    kpw_cbor_put_map(&body, 1);
    kpw_cbor_put_cstr(&body, "ShardIterator");
    kpw_cbor_put_cstr(&body, iterator);
    got = post(h, 200, TARGET "GetRecords\r\n" CBOR, kpw_buf_slice(&body));
    REQUIRE(got.len > sizeof time + sizeof rest - 2);
    got = kpw_slice(got.ptr + got.len - (sizeof time + sizeof rest - 2),
                    sizeof time + sizeof rest - 2);
    YES(!memcmp(got.ptr, time, sizeof time - 1));
    YES(!memcmp(got.ptr + sizeof time - 1, rest, sizeof rest - 1));
    kpw_buf_fini(&body);
    free(iterator);
    harness_free(h);
}

/* ---- the front door */

static void check_error(struct harness *h, const char *headers, struct kpw_slice body,
                        const char *type)
{
    json_t *out = from_cbor(post(h, 400, headers, body));

    EQ_STR(kinesis_text(out, "__type"), type);
    EQ_INT(json_object_size(out), 1);
    EQ_STR(harness_response_header(h, "content-type"), KINESIS_CBOR_11);
    json_decref(out);
}

TEST(the_front_door_answers_in_cbor_unless_json_was_asked_for)
{
    static const struct kpw_slice none = {NULL, 0}, map = KPW_LIT("\xa0");
    struct harness *h = kinesis_start(kptest_dir(), NULL);
    struct kpw_slice got;

    check_error(h, TARGET "ListStreams\r\n", none, "SerializationException");
    check_error(h, TARGET "ListStreams\r\nContent-Type: text/plain\r\n", none,
                "SerializationException");
    check_error(h, TARGET "ListStreams\r\n" CBOR, none, "SerializationException");
    check_error(h, TARGET "Nothing\r\n", none, "UnknownOperationException");
    check_error(h, TARGET "Nothing\r\n" CBOR, map, "UnknownOperationException");
    check_error(h,
                "Authorization: AWS4-HMAC-SHA256 Credential=a/20240101/us-east-1/kinesis/"
                "aws4_request\r\nX-Amz-Target: Kinesis_20000101.ListStreams\r\n" CBOR,
                map, "UnknownOperationException");
    check_error(h, TARGET "Nothing\r\n" CBOR, kpw_slice("\xa1", 1), "SerializationException");
    check_error(h, TARGET "Nothing\r\n" CBOR, kpw_slice("\x80", 1), "SerializationException");
    check_error(h, TARGET "ListStreams\r\n" CBOR, kpw_slice("\x80", 1), "SerializationException");
    check_error(h, TARGET "ListStreams\r\n" CBOR, kpw_slice("\xa0\xa0", 2),
                "SerializationException");
    check_error(h, TARGET "ListStreams\r\n" CBOR, kpw_slice("\xa1\x01\x02", 3),
                "SerializationException"); /* a key that is no text */
    got = post(h, 400, TARGET "Nothing\r\n" JSON, kpw_slice("[]", 2));
    YES(kpw_slice_is(got, "{\"__type\":\"SerializationException\"}"));
    got = post(h, 403, TARGET "\r\nContent-Type: text/plain\r\n", map);
    YES(kpw_slice_starts(got, "<AccessDeniedException>"));
    harness_free(h);
}

TEST(a_body_over_the_cap_is_refused_without_an_id)
{
    struct harness *h = kinesis_start(kptest_dir(), NULL);
    char *body = calloc(1, KINESIS_BODY_MAX + 1);

    REQUIRE(body != NULL);
    EQ_INT(post(h, 413, TARGET "ListStreams\r\n" JSON, kpw_slice(body, KINESIS_BODY_MAX + 1)).len,
           0);
    YES(!harness_response_header(h, "x-amzn-requestid"));
    free(body);
    harness_free(h);
}

TEST(a_browser_hears_that_it_may)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    const char *body;

    kinesis_put(h, "s", "k", "AAH/");
    post(h, 200, "Origin: http://x\r\n" TARGET "ListStreams\r\n" CBOR, kpw_slice("\xa0", 1));
    EQ_STR(harness_response_header(h, "access-control-allow-origin"), "*");
    YES(strstr(harness_response_header(h, "access-control-expose-headers"), "x-amzn-ErrorType") !=
        NULL);
    EQ_INT(harness_request(h, "OPTIONS", "/", TARGET "x\r\nOrigin: http://x\r\n", NULL, 0, &body),
           200);
    YES(!harness_response_header(h, "x-amz-id-2"));
    YES(!harness_response_header(h, "content-type"));
    YES(harness_response_header(h, "x-amzn-requestid") != NULL);
    harness_free(h);
}

/* ---- what only CBOR can say */

TEST(types_that_json_does_not_have_are_judged)
{
    static const struct {
        const char *operation, *body, *message; /* the body in the notation */
    } rows[] = {
        {"PutRecord", "a1 64'Data' 61'x'", "class java.lang.String can not be converted to a Blob"},
        {"ListStreams", "a1 65'Limit' 4101",
         "class java.nio.HeapByteBuffer can not be converted to an Integer"},
        {"DescribeStream", "a1 6a'StreamName' 40",
         "class java.nio.HeapByteBuffer can not be converted to an String"},
    };
    struct harness *h = kinesis_start(kptest_dir(), NULL);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char headers[200];
        struct kpw_buf body = KPW_BUF_INIT;
        json_t *out;

        put_notation(&body, rows[i].body);
        snprintf(headers, sizeof headers, TARGET "%s\r\n" CBOR, rows[i].operation);
        out = from_cbor(post(h, 400, headers, kpw_buf_slice(&body)));
        EQ_STR(kinesis_text(out, "__type"), "SerializationException");
        EQ_STR(kinesis_text(out, "Message"), rows[i].message);
        json_decref(out);
        kpw_buf_fini(&body);
    }
    harness_free(h);
}

TEST(a_signature_is_asked_for_after_the_form_of_a_request)
{
    static const struct kpw_slice none = {NULL, 0}, map = KPW_LIT("\xa0");
    struct harness *h = kinesis_start(kptest_dir(), "verify_signatures = true");
    const char *body;

    EQ_INT(harness_request(h, "GET", "/", TARGET "ListStreams\r\n" CBOR, NULL, 0, &body), 403);
    YES(strstr(body, "<AccessDeniedException>") != NULL);
    check_error(h, TARGET "ListStreams\r\n", none, "SerializationException");
    check_error(h, TARGET "ListStreams\r\n" CBOR, kpw_slice("\xa1", 1), "SerializationException");
    check_error(h, TARGET "Nothing\r\n" CBOR, map, "UnknownOperationException");
    for (int i = 0; i < 2; i++) {
        struct kpw_slice got =
            post(h, 400, i ? TARGET "ListStreams\r\n" CBOR : TARGET "ListStreams\r\n" JSON,
                 i ? map : kpw_slice("{}", 2));
        json_t *out = i ? from_cbor(got) : kinesis_json(got.ptr);

        EQ_STR(kinesis_text(out, "__type"), "MissingAuthenticationTokenException");
        EQ_STR(kinesis_text(out, "message"), "Missing Authentication Token");
        json_decref(out);
    }
    harness_free(h);
}
