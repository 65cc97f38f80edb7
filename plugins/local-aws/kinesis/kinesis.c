/* kinesis.c - front door of Kinesis: order of checks, table of operations, answers.
 *
 * A request passes the checks in the order of the service; the first that fails answers. What an
 * operation's members may be is in tables here, what they mean in the files of the operations.
 */
#include "plugins/local-aws/kinesis/kinesis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXPIRE_MS = 60000 };

/* ---- members */

#define STREAM_NAME                                                                               \
    {                                                                                             \
        .name = "StreamName", .type = CHECK_STRING, .pattern = PATTERN_NAME, .min = 1, .max = 128 \
    }
#define STREAM_ARN                                                                               \
    {                                                                                            \
        .name = "StreamARN", .type = CHECK_STRING, .pattern = PATTERN_ARN, .min = 1, .max = 2048 \
    }
#define STREAM_ID                                                                            \
    {                                                                                        \
        .name = "StreamId", .type = CHECK_STRING, .pattern = PATTERN_ID, .min = 1, .max = 24 \
    }
#define STREAM STREAM_NAME, STREAM_ARN, STREAM_ID
#define SHARD(member, is_required)                                                           \
    {                                                                                        \
        .name = member, .type = CHECK_STRING, .pattern = PATTERN_NAME, .min = 1, .max = 128, \
        .required = is_required                                                              \
    }
#define INTEGER(member, least, most)                                     \
    {                                                                    \
        .name = member, .type = CHECK_INTEGER, .min = least, .max = most \
    }
#define NEXT_TOKEN                                                          \
    {                                                                       \
        .name = "NextToken", .type = CHECK_STRING, .min = 1, .max = 1048576 \
    }
#define TIME(member)                       \
    {                                      \
        .name = member, .type = CHECK_TIME \
    }
#define TAGS(is_required)                                                                         \
    {                                                                                             \
        .name = "Tags", .type = CHECK_MAP, .min = 1, .max = 200, .key_max = 128, .item_max = 256, \
        .required = is_required                                                                   \
    }
#define END          \
    {                \
        .name = NULL \
    }

static const struct check_member mode_members[] = {{.name = "StreamMode",
                                                    .type = CHECK_STRING,
                                                    .required = true,
                                                    .choices = "[PROVISIONED, ON_DEMAND]"},
                                                   END};
static const struct check_member filter_members[] = {
    {.name = "Type",
     .type = CHECK_STRING,
     .required = true,
     .choices = "[AFTER_SHARD_ID, AT_TRIM_HORIZON, FROM_TRIM_HORIZON, AT_LATEST, AT_TIMESTAMP, "
                "FROM_TIMESTAMP]"},
    SHARD("ShardId", false),
    TIME("Timestamp"),
    END};

static const struct check_member create_members[] = {
    INTEGER("ShardCount", 1, 100000),
    {.name = "StreamName",
     .type = CHECK_STRING,
     .pattern = PATTERN_NAME,
     .min = 1,
     .max = 128,
     .required = true},
    {.name = "StreamModeDetails", .type = CHECK_STRUCT, .members = mode_members},
    TAGS(false),
    {.name = "WarmThroughputMiBps", .type = CHECK_INTEGER},
    INTEGER("MaxRecordSizeInKiB", 1024, 10240),
    END};
static const struct check_member delete_members[] = {
    {.name = "EnforceConsumerDeletion", .type = CHECK_BOOL}, STREAM, END};
static const struct check_member describe_members[] = {
    INTEGER("Limit", 1, 10000), SHARD("ExclusiveStartShardId", false), STREAM, END};
static const struct check_member stream_members[] = {STREAM, END};
static const struct check_member list_members[] = {INTEGER("Limit", 1, 10000),
                                                   {.name = "ExclusiveStartStreamName",
                                                    .type = CHECK_STRING,
                                                    .pattern = PATTERN_NAME,
                                                    .min = 1,
                                                    .max = 128},
                                                   NEXT_TOKEN,
                                                   END};
static const struct check_member shards_members[] = {
    SHARD("ExclusiveStartShardId", false),
    INTEGER("MaxResults", 1, 10000),
    NEXT_TOKEN,
    TIME("StreamCreationTimestamp"),
    {.name = "ShardFilter", .type = CHECK_STRUCT, .members = filter_members},
    STREAM,
    END};
static const struct check_member put_members[] = {
    {.name = "SequenceNumberForOrdering", .type = CHECK_STRING, .pattern = PATTERN_SEQUENCE},
    {.name = "PartitionKey", .type = CHECK_STRING, .required = true, .min = 1, .max = 256},
    {.name = "ExplicitHashKey", .type = CHECK_STRING, .pattern = PATTERN_HASH},
    {.name = "Data", .type = CHECK_BLOB, .required = true, .max = 10485760},
    STREAM,
    END};
static const struct check_member puts_members[] = {
    {.name = "Records", .type = CHECK_RECORDS, .required = true, .min = 1, .max = 500},
    STREAM,
    END};
static const struct check_member iterator_members[] = {
    SHARD("ShardId", true),
    {.name = "ShardIteratorType",
     .type = CHECK_STRING,
     .required = true,
     .choices = "[AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]"},
    {.name = "StartingSequenceNumber", .type = CHECK_STRING, .pattern = PATTERN_SEQUENCE},
    STREAM,
    TIME("Timestamp"),
    END};
static const struct check_member get_members[] = {
    INTEGER("Limit", 1, 10000),
    {.name = "ShardIterator", .type = CHECK_STRING, .required = true, .min = 1, .max = 512},
    STREAM_ARN,
    STREAM_ID,
    END};
static const struct check_member split_members[] = {
    {.name = "NewStartingHashKey", .type = CHECK_STRING, .required = true, .pattern = PATTERN_HASH},
    STREAM,
    SHARD("ShardToSplit", true),
    END};
static const struct check_member merge_members[] = {
    SHARD("ShardToMerge", true), SHARD("AdjacentShardToMerge", true), STREAM, END};
static const struct check_member count_members[] = {
    STREAM,
    {.name = "TargetShardCount", .type = CHECK_INTEGER, .required = true, .min = 1},
    {.name = "ScalingType", .type = CHECK_STRING, .required = true, .choices = "[UNIFORM_SCALING]"},
    END};
static const struct check_member retention_members[] = {{.name = "RetentionPeriodHours",
                                                         .type = CHECK_INTEGER,
                                                         .required = true,
                                                         .min = 1,
                                                         .max = 8760},
                                                        STREAM,
                                                        END};
static const struct check_member tag_members[] = {TAGS(true), STREAM, END};
static const struct check_member untag_members[] = {{.name = "TagKeys",
                                                     .type = CHECK_STRINGS,
                                                     .required = true,
                                                     .min = 1,
                                                     .max = 50,
                                                     .item_min = 1,
                                                     .item_max = 128},
                                                    STREAM,
                                                    END};
static const struct check_member tags_members[] = {
    INTEGER("Limit", 1, 50),
    {.name = "ExclusiveStartTagKey", .type = CHECK_STRING, .min = 1, .max = 128},
    STREAM,
    END};
static const struct check_member no_members[] = {END};

/* ---- operations */

struct operation {
    const char *name;
    const struct check_member *members;
    void (*run)(struct kinesis_call *);
};

static const struct operation operations[] = {
    {"PutRecords", puts_members, kinesis_put_records}, /* the frequent ones first */
    {"GetRecords", get_members, kinesis_get_records},
    {"PutRecord", put_members, kinesis_put_record},
    {"GetShardIterator", iterator_members, kinesis_get_iterator},
    {"AddTagsToStream", tag_members, kinesis_add_tags},
    {"CreateStream", create_members, kinesis_create_stream},
    {"DecreaseStreamRetentionPeriod", retention_members, kinesis_decrease_retention},
    {"DeleteStream", delete_members, kinesis_delete_stream},
    {"DescribeLimits", no_members, kinesis_describe_limits},
    {"DescribeStream", describe_members, kinesis_describe_stream},
    {"DescribeStreamSummary", stream_members, kinesis_describe_summary},
    {"IncreaseStreamRetentionPeriod", retention_members, kinesis_increase_retention},
    {"ListShards", shards_members, kinesis_list_shards},
    {"ListStreams", list_members, kinesis_list_streams},
    {"ListTagsForStream", tags_members, kinesis_list_tags},
    {"MergeShards", merge_members, kinesis_merge_shards},
    {"RemoveTagsFromStream", untag_members, kinesis_remove_tags},
    {"SplitShard", split_members, kinesis_split_shard},
    {"UpdateShardCount", count_members, kinesis_update_shard_count},
};

static const struct operation *find_operation(const char *name)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (!strcmp(operations[i].name, name))
            return &operations[i];
    return NULL;
}

/* ---- answers */

struct kpw_buf *kinesis_out(struct kinesis_call *call)
{
    struct kpw_buf *out = &call->k->out;

    if (out->failed || out->cap > 4u << 20)
        kpw_buf_fini(out);
    kpw_buf_clear(out);
    return out;
}

void kinesis_answer(struct kinesis_call *call)
{
    const struct kpw_buf *out = &call->k->out;

    if (out->failed)
        kinesis_trouble(call, "out of memory");
    else
        local_answer_json(call->k->local, call->x, 200, LOCAL_JSON_11,
                          (kp_slice){out->ptr, out->len});
}

void kinesis_answer_empty(struct kinesis_call *call)
{
    local_answer_json(call->k->local, call->x, 200, LOCAL_JSON_11, (kp_slice){NULL, 0});
}

bool kinesis_fail(struct kinesis_call *call, const char *type, const char *fmt, ...)
{
    struct local_error error = {.status = strcmp(type, "InternalFailure") ? 400 : 500,
                                .content_type = LOCAL_JSON_11,
                                .type = type};
    struct kpw_buf text = KPW_BUF_INIT;
    va_list args;

    if (fmt) {
        va_start(args, fmt);
        kpw_buf_vappendf(&text, fmt, args);
        va_end(args);
        error.message = kpw_buf_cstr(&text);
    }
    if (!strcmp(type, "SerializationException"))
        error.member = "Message";
    local_error_json(call->k->local, call->x, &error);
    kpw_buf_fini(&text);
    return false;
}

bool kinesis_trouble(struct kinesis_call *call, const char *what)
{
    kp->log(call->k->local->node, KP_LOG_ERROR, "kinesis.trouble", "error=\"%s\"", what);
    kp->count(call->k->local->node, "kinesis_internal_failures", 1);
    return kinesis_fail(call, "InternalFailure", NULL);
}

/* ---- addressing */

/* The part of an ARN behind ":stream/". */
static struct kpw_slice name_of_arn(struct kpw_slice arn)
{
    const char *at = memmem(arn.ptr, arn.len, ":stream/", 8);

    if (!at)
        return kpw_slice(NULL, 0);
    at += 8;
    return kpw_slice(at, arn.len - (size_t)(at - arn.ptr));
}

bool kinesis_name(struct kinesis_call *call, struct kpw_slice *ret)
{
    const struct check_value *name = check_get(call->check, "StreamName");
    const struct check_value *arn = check_get(call->check, "StreamARN");

    if (!name->is_given && !arn->is_given)
        return kinesis_fail(call, "InvalidArgumentException",
                            "Either StreamName or StreamARN must be provided.");
    *ret = name->is_given ? name->text : name_of_arn(arn->text);
    if (name->is_given && arn->is_given && !kpw_slice_eq(name->text, name_of_arn(arn->text)))
        return kinesis_fail(call, "InvalidArgumentException",
                            "StreamName and StreamARN name different streams.");
    return true;
}

struct kinesis_stream *kinesis_find(struct kinesis_call *call)
{
    struct kinesis_stream *stream;
    struct kpw_slice name;

    if (!kinesis_name(call, &name))
        return NULL;
    stream = kinesis_stream_named(call->k, name);
    if (!stream)
        kinesis_fail(call, "ResourceNotFoundException", "Stream %.*s under account %s not found.",
                     (int)name.len, name.ptr, call->k->local->account);
    return stream;
}

void kinesis_arn(struct kinesis *k, const struct kinesis_stream *stream, struct kpw_buf *out)
{
    kpw_buf_appendf(out, "arn:aws:kinesis:%s:%s:stream/%s", k->local->region, k->local->account,
                    stream->name);
}

/* ---- front door */

static void answer_xml(struct kinesis *k, kp_exchange *x, int status, const char *text)
{
    local_answer(k->local, x,
                 &(struct local_answer){.status = status, .body = {text, strlen(text)}});
}

/* A browser asks whether it may. */
static void answer_preflight(struct kinesis *k, kp_exchange *x, const kp_server_request *request)
{
    kp_slice method = local_header(request, "access-control-request-method");
    kp_slice names = local_header(request, "access-control-request-headers");
    kp_http_header headers[4] = {{{"Access-Control-Allow-Origin", 27}, {"*", 1}},
                                 {{"Access-Control-Max-Age", 22}, {"172800", 6}}};
    size_t n = 2;

    if (names.len)
        headers[n++] = (kp_http_header){{"Access-Control-Allow-Headers", 28}, names};
    if (method.len)
        headers[n++] = (kp_http_header){{"Access-Control-Allow-Methods", 28}, method};
    local_answer(k->local, x,
                 &(struct local_answer){.status = 200, .headers = headers, .n_headers = n});
}

static struct kpw_slice media_type(const kp_server_request *request)
{
    kp_slice header = local_header(request, "content-type");
    const char *end = header.len ? memchr(header.ptr, ';', header.len) : NULL;

    return kpw_slice_trim(kpw_slice(header.ptr, end ? (size_t)(end - header.ptr) : header.len));
}

static bool fail_plain(struct kinesis *k, kp_exchange *x, const char *type)
{
    local_error_json(
        k->local, x,
        &(struct local_error){.status = 400, .content_type = LOCAL_JSON_11, .type = type});
    return false;
}

/* The old form of errors, for Content-Type application/json. */
static bool fail_legacy(struct kinesis *k, kp_exchange *x, bool is_json)
{
    static const char broken[] = "{\"Output\":{\"__type\":\"com.amazon.coral.service#"
                                 "SerializationException\"},\"Version\":\"1.0\"}";
    static const char unknown[] = "{\"Output\":{\"__type\":\"com.amazon.coral.service#"
                                  "UnknownOperationException\"},\"Version\":\"1.0\"}";

    local_answer(k->local, x,
                 &(struct local_answer){.status = is_json ? 404 : 400,
                                        .content_type = "application/json",
                                        .body = is_json ? (kp_slice){unknown, sizeof unknown - 1}
                                                        : (kp_slice){broken, sizeof broken - 1}});
    return false;
}

/* Method, body and media type, in the service's order; false: answered. */
static bool enter(struct kinesis *k, kp_exchange *x, const kp_server_request *request,
                  const struct operation *operation, bool has_target)
{
    static const char denied[] =
        "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be "
        "authorized</Message>\n</AccessDeniedException>\n";
    struct kpw_slice type = media_type(request);
    bool is_json = kpw_slice_is(type, LOCAL_JSON_11);

    if (request->method.len == 7 && !memcmp(request->method.ptr, "OPTIONS", 7) &&
        local_header(request, "origin").len) {
        answer_preflight(k, x, request);
        return false;
    }
    if (request->method.len != 4 || memcmp(request->method.ptr, "POST", 4) != 0) {
        answer_xml(k, x, 403, denied);
        return false;
    }
    if (!request->body.len)
        return fail_plain(k, x, operation ? "SerializationException" : "UnknownOperationException");
    if (kpw_slice_is(type, "application/json"))
        return fail_legacy(k, x, kpw_json_valid(request->body.ptr, request->body.len));
    if (kpw_slice_is(type, "application/x-amz-cbor-1.1")) {
        local_error_json(k->local, x,
                         &(struct local_error){
                             .status = 415,
                             .content_type = LOCAL_JSON_11,
                             .type = "UnsupportedMediaTypeException",
                             .message = "This endpoint speaks application/x-amz-json-1.1 only; "
                                        "switch CBOR off in the client (AWS_CBOR_DISABLE=true)."});
        return false;
    }
    if (!is_json) {
        answer_xml(k, x, has_target ? 404 : 403,
                   has_target ? "<UnknownOperationException/>\n" : denied);
        return false;
    }
    return true;
}

static void run(struct kinesis_call *call, const struct operation *operation, struct kpw_slice body)
{
    struct check *check = call->check;

    switch (check_read(check, operation->members, body)) {
    case CHECK_OK: operation->run(call); return;
    case CHECK_BROKEN: kinesis_fail(call, "SerializationException", NULL); return;
    case CHECK_WRONG_TYPE:
        kinesis_fail(call, "SerializationException", "%s",
                     kpw_buf_cstr(&check->error) ? check->error.ptr : "");
        return;
    case CHECK_INVALID:
        kinesis_fail(call, "ValidationException", "%s",
                     kpw_buf_cstr(&check->error) ? check->error.ptr : "");
        return;
    }
}

void kinesis_service_serve(struct local *local, kp_exchange *x, const kp_server_request *request,
                           const struct local_target *target)
{
    struct kinesis *k = local->kinesis;
    const struct operation *operation = find_operation(target->operation);
    struct kpw_slice body = {request->body.ptr, request->body.len};
    struct kinesis_call call = {.k = k, .check = &k->check, .x = x, .now_ms = kp->wall_ms()};

    if (!enter(k, x, request, operation, target->operation[0]))
        return;
    if (operation)
        run(&call, operation, body);
    else
        fail_plain(k, x,
                   kpw_json_valid(body.ptr, body.len) ? "UnknownOperationException"
                                                      : "SerializationException");
}

/* ---- life */

static void expire(kp_node *node, void *arg)
{
    (void)node;
    kinesis_expire(arg);
}

bool kinesis_service_open(struct local *local, char *why, size_t cap)
{
    struct kinesis *k = calloc(1, sizeof *k);

    snprintf(why, cap, "out of memory");
    if (!k)
        return false;
    local->kinesis = k;
    k->local = local;
    k->root = -1;
    k->got = reallocarray(NULL, KINESIS_GET_RECORDS, sizeof *k->got);
    k->expire_timer = local->timer_ext->create(local->node, expire, k);
    if (!k->got || !k->expire_timer || !kinesis_put_open(k) || !kinesis_state_open(k, why, cap))
        return false;
    kpw_hmac_key_init(&k->hmac, k->key, sizeof k->key);
    local->timer_ext->start(k->expire_timer, EXPIRE_MS, EXPIRE_MS);
    return true;
}

void kinesis_service_close(struct local *local)
{
    struct kinesis *k = local->kinesis;

    if (!k)
        return;
    local->timer_ext->destroy(k->expire_timer);
    kinesis_put_close(k);
    kinesis_state_close(k);
    check_fini(&k->check);
    kpw_buf_fini(&k->out);
    kpw_buf_fini(&k->raw);
    free(k->got);
    kpw_wipe(k->key, sizeof k->key);
    free(k);
    local->kinesis = NULL;
}
