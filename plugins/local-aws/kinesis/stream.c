/* stream.c - creating, deleting, describing and listing streams.
 *
 * A stream is ACTIVE as soon as CreateStream has answered, and gone when DeleteStream has.
 */
#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/kinesis/kinesis.h"

#define TOKEN_STREAMS 's'

enum { DESCRIBE_LIMIT = 100, LIST_LIMIT = 100 };

void kinesis_put_time(struct kpw_buf *out, int64_t ms)
{
    kpw_buf_appendf(out, "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
}

static void put_bool(struct kpw_buf *out, const char *name, bool value)
{
    kpw_buf_appendf(out, "\"%s\":%s", name, value ? "true" : "false");
}

/* ---- CreateStream, DeleteStream */

static bool within_limit(struct kinesis_call *call, size_t more)
{
    size_t open = kinesis_open_shards(call->k);

    if (open + more <= KINESIS_SHARD_LIMIT)
        return true;
    return kinesis_fail(call, "LimitExceededException",
                        "This request would exceed the shard limit for the account %s in %s. "
                        "Current shard count for the account: %zu. Limit: %d. Number of additional "
                        "shards that would have resulted from this request: %zu. Refer to the AWS "
                        "Service Limits page "
                        "(http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) "
                        "for current limits and how to request higher limits.",
                        call->k->local->account, call->k->local->region, open, KINESIS_SHARD_LIMIT,
                        more);
}

void kinesis_create_stream(struct kinesis_call *call)
{
    const struct check_value *name = check_get(call->check, "StreamName");
    const struct check_value *count = check_get(call->check, "ShardCount");
    const struct check_value *tags = check_get(call->check, "Tags");
    const struct check_value *size = check_get(call->check, "MaxRecordSizeInKiB");
    struct kinesis_stream stream = {
        .created_ms = call->now_ms - 2000, /* so that first records are younger for sure */
        .retention_hours = 24,
        .max_record_kib = size->is_given ? size->number : 1024,
    };
    size_t n = count->is_given ? (size_t)count->number : KINESIS_STREAM_SHARDS;

    memcpy(stream.name, name->text.ptr, name->text.len);
    if (check_get(call->check, "StreamModeDetails")->members)
        stream.on_demand = kpw_slice_is(
            check_inner(call->check, "StreamModeDetails", "StreamMode")->text, "ON_DEMAND");
    if (stream.on_demand && count->is_given) {
        kinesis_fail(call, "ValidationException",
                     "ShardCount must not be given for a stream in ON_DEMAND mode.");
        return;
    }
    if (kinesis_stream_named(call->k, name->text)) {
        kinesis_fail(call, "ResourceInUseException", "Stream %s under account %s already exists.",
                     stream.name, call->k->local->account);
        return;
    }
    if (!within_limit(call, n))
        return;
    if (kinesis_stream_add(call->k, &stream, n, call->check->items + tags->first, tags->count))
        kinesis_answer_empty(call);
    else
        kinesis_trouble(call, "the stream cannot be made");
}

void kinesis_delete_stream(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find(call);

    if (!stream)
        return;
    if (kinesis_stream_remove(call->k, stream))
        kinesis_answer_empty(call);
    else
        kinesis_trouble(call, "the stream cannot be removed");
}

/* ---- describing */

void kinesis_put_range(const struct kinesis_shard *shard, struct kpw_buf *out)
{
    char low[KPW_U128_SIZE], high[KPW_U128_SIZE];

    kpw_u128_format(shard->low, low);
    kpw_u128_format(shard->high, high);
    kpw_buf_appendf(out, "\"HashKeyRange\":{\"StartingHashKey\":\"%s\",\"EndingHashKey\":\"%s\"}",
                    low, high);
}

void kinesis_put_shard(const struct kinesis_shard *shard, struct kpw_buf *out)
{
    struct kinesis_seq seq = {shard->created_s, 0, shard->created_s, shard->number};
    char id[KINESIS_SHARD_ID], number[KINESIS_SEQ_SIZE];

    kinesis_shard_id(shard->number, id);
    kpw_buf_appendf(out, "{\"ShardId\":\"%s\",", id);
    if (shard->parent >= 0) {
        kinesis_shard_id((uint32_t)shard->parent, id);
        kpw_buf_appendf(out, "\"ParentShardId\":\"%s\",", id);
    }
    if (shard->adjacent >= 0) {
        kinesis_shard_id((uint32_t)shard->adjacent, id);
        kpw_buf_appendf(out, "\"AdjacentParentShardId\":\"%s\",", id);
    }
    kinesis_put_range(shard, out);
    kinesis_seq_format(&seq, number);
    kpw_buf_appendf(out, ",\"SequenceNumberRange\":{\"StartingSequenceNumber\":\"%s\"", number);
    if (shard->closed_s) {
        seq.index = KINESIS_SEQ_END;
        seq.time_s = shard->closed_s;
        kinesis_seq_format(&seq, number);
        kpw_buf_appendf(out, ",\"EndingSequenceNumber\":\"%s\"", number);
    }
    kpw_buf_puts(out, "}}");
}

/* What both descriptions have, without brackets. */
static void put_common(struct kinesis_call *call, const struct kinesis_stream *stream,
                       struct kpw_buf *out)
{
    kpw_buf_appendf(out, "\"StreamName\":\"%s\",\"StreamARN\":\"", stream->name);
    kinesis_arn(call->k, stream, out);
    kpw_buf_appendf(out,
                    "\",\"StreamStatus\":\"ACTIVE\",\"StreamModeDetails\":{\"StreamMode\":\"%s\"},"
                    "\"RetentionPeriodHours\":%lld,\"StreamCreationTimestamp\":",
                    stream->on_demand ? "ON_DEMAND" : "PROVISIONED",
                    (long long)stream->retention_hours);
    kinesis_put_time(out, stream->created_ms);
    kpw_buf_puts(out, ",\"EnhancedMonitoring\":[{\"ShardLevelMetrics\":[]}],"
                      "\"EncryptionType\":\"NONE\"");
}

void kinesis_describe_stream(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find(call);
    const struct check_value *limit = check_get(call->check, "Limit");
    const struct check_value *after = check_get(call->check, "ExclusiveStartShardId");
    size_t most = limit->is_given ? (size_t)limit->number : DESCRIBE_LIMIT, n = 0;
    struct kpw_buf *out = kinesis_out(call);
    uint32_t number = 0;
    size_t i = 0;

    if (!stream)
        return;
    if (after->is_given)
        i = kinesis_shard_parse(after->text, &number) ? (size_t)number + 1 : 0;
    kpw_buf_puts(out, "{\"StreamDescription\":{");
    put_common(call, stream, out);
    kpw_buf_puts(out, ",\"Shards\":[");
    for (; i < stream->n_shards && n < most; i++) {
        if (!stream->shards[i])
            continue;
        if (n++)
            kpw_buf_putc(out, ',');
        kinesis_put_shard(stream->shards[i], out);
    }
    kpw_buf_puts(out, "],");
    put_bool(out, "HasMoreShards", i < stream->n_shards);
    kpw_buf_puts(out, "}}");
    kinesis_answer(call);
}

void kinesis_describe_summary(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find(call);
    struct kpw_buf *out = kinesis_out(call);

    if (!stream)
        return;
    kpw_buf_puts(out, "{\"StreamDescriptionSummary\":{");
    put_common(call, stream, out);
    kpw_buf_appendf(out,
                    ",\"OpenShardCount\":%zu,\"ConsumerCount\":0,\"MaxRecordSizeInKiB\":%lld}}",
                    stream->n_open, (long long)stream->max_record_kib);
    kinesis_answer(call);
}

/* ---- ListStreams */

/* Index of the first stream to list; false: answered. */
static bool list_start(struct kinesis_call *call, size_t *ret)
{
    const struct check_value *after = check_get(call->check, "ExclusiveStartStreamName");
    const struct check_value *token = check_get(call->check, "NextToken");
    struct kpw_slice name = after->text;
    struct kpw_buf *text = kinesis_out(call);
    int64_t issued_ms;

    if (token->is_given) {
        if (!kinesis_unseal(call->k, TOKEN_STREAMS, token->text, text, &issued_ms))
            return kinesis_fail(call, "InvalidArgumentException", "Invalid NextToken.");
        if (call->now_ms - issued_ms > KINESIS_TOKEN_MS)
            return kinesis_fail(call, "ExpiredNextTokenException", "The NextToken has expired.");
        name = kpw_buf_slice(text);
    }
    for (*ret = 0; (after->is_given || token->is_given) && *ret < call->k->n_streams; ++*ret) {
        const char *at = call->k->streams[*ret]->name;
        size_t len = strlen(at), least = len < name.len ? len : name.len;
        int diff = memcmp(at, name.ptr, least);

        if (diff > 0 || (diff == 0 && len > name.len))
            break;
    }
    return true;
}

static void put_summary(struct kinesis_call *call, const struct kinesis_stream *stream,
                        struct kpw_buf *out)
{
    kpw_buf_appendf(out, "{\"StreamName\":\"%s\",\"StreamARN\":\"", stream->name);
    kinesis_arn(call->k, stream, out);
    kpw_buf_appendf(out,
                    "\",\"StreamStatus\":\"ACTIVE\",\"StreamModeDetails\":{\"StreamMode\":\"%s\"},"
                    "\"StreamCreationTimestamp\":",
                    stream->on_demand ? "ON_DEMAND" : "PROVISIONED");
    kinesis_put_time(out, stream->created_ms);
    kpw_buf_putc(out, '}');
}

void kinesis_list_streams(struct kinesis_call *call)
{
    const struct check_value *limit = check_get(call->check, "Limit");
    struct kinesis *k = call->k;
    struct kpw_buf *out;
    size_t first = 0, end;

    if (!list_start(call, &first))
        return;
    end = first + (limit->is_given ? (size_t)limit->number : LIST_LIMIT);
    end = end < k->n_streams ? end : k->n_streams;
    out = kinesis_out(call);
    kpw_buf_puts(out, "{\"StreamNames\":[");
    for (size_t i = first; i < end; i++)
        kpw_buf_appendf(out, "%s\"%s\"", i > first ? "," : "", k->streams[i]->name);
    kpw_buf_puts(out, "],\"StreamSummaries\":[");
    for (size_t i = first; i < end; i++) {
        if (i > first)
            kpw_buf_putc(out, ',');
        put_summary(call, k->streams[i], out);
    }
    kpw_buf_puts(out, "],");
    put_bool(out, "HasMoreStreams", end < k->n_streams);
    if (end < k->n_streams && end > first) {
        kpw_buf_puts(out, ",\"NextToken\":\"");
        kinesis_seal(k, TOKEN_STREAMS, call->now_ms, kpw_slice_cstr(k->streams[end - 1]->name),
                     out);
        kpw_buf_putc(out, '"');
    }
    kpw_buf_putc(out, '}');
    kinesis_answer(call);
}

void kinesis_describe_limits(struct kinesis_call *call)
{
    struct kpw_buf *out = kinesis_out(call);
    size_t on_demand = 0;

    for (size_t i = 0; i < call->k->n_streams; i++)
        on_demand += call->k->streams[i]->on_demand;
    kpw_buf_appendf(out,
                    "{\"ShardLimit\":%d,\"OpenShardCount\":%zu,\"OnDemandStreamCount\":%zu,"
                    "\"OnDemandStreamCountLimit\":50}",
                    KINESIS_SHARD_LIMIT, kinesis_open_shards(call->k), on_demand);
    kinesis_answer(call);
}
