/* stream.c - describing and listing streams. */
#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/kinesis/consumers.h"

#define TOKEN_STREAMS 's'

enum { DESCRIBE_LIMIT = 100, LIST_LIMIT = 100 };

/* ---- describing */

void kinesis_write_range(const struct kinesis_shard *shard, struct write *w)
{
    char low[KPW_U128_SIZE], high[KPW_U128_SIZE];

    kpw_u128_format(shard->low, low);
    kpw_u128_format(shard->high, high);
    write_key(w, "HashKeyRange");
    write_object(w);
    write_member(w, "StartingHashKey", low);
    write_member(w, "EndingHashKey", high);
    write_object_end(w);
}

static void write_shard_id(struct write *w, const char *name, uint32_t number)
{
    char id[KINESIS_SHARD_ID];

    kinesis_shard_id(number, id);
    write_member(w, name, id);
}

void kinesis_write_shard(const struct kinesis_shard *shard, struct write *w)
{
    struct kinesis_seq seq = {shard->created_s, 0, shard->created_s, shard->number};
    char number[KINESIS_SEQ_SIZE];

    write_object(w);
    write_shard_id(w, "ShardId", shard->number);
    if (shard->parent >= 0)
        write_shard_id(w, "ParentShardId", (uint32_t)shard->parent);
    if (shard->adjacent >= 0)
        write_shard_id(w, "AdjacentParentShardId", (uint32_t)shard->adjacent);
    kinesis_write_range(shard, w);
    kinesis_seq_format(&seq, number);
    write_key(w, "SequenceNumberRange");
    write_object(w);
    write_member(w, "StartingSequenceNumber", number);
    if (shard->closed_s) {
        seq.index = KINESIS_SEQ_END;
        seq.time_s = shard->closed_s;
        kinesis_seq_format(&seq, number);
        write_member(w, "EndingSequenceNumber", number);
    }
    write_object_end(w);
    write_object_end(w);
}

/* What all descriptions of a stream have. */
static void put_stream(struct kinesis_call *call, const struct kinesis_stream *stream,
                       struct write *w)
{
    write_member(w, "StreamName", stream->name);
    kinesis_write_arn(call->k, stream, w);
    write_member(w, "StreamStatus", kinesis_status_text(stream->life.status));
    write_key(w, "StreamModeDetails");
    write_object(w);
    write_member(w, "StreamMode", stream->on_demand ? "ON_DEMAND" : "PROVISIONED");
    write_object_end(w);
    write_member_time(w, "StreamCreationTimestamp", stream->created_ms);
}

/* What the two long ones have. */
static void put_common(struct kinesis_call *call, const struct kinesis_stream *stream,
                       struct write *w)
{
    put_stream(call, stream, w);
    write_member_int(w, "RetentionPeriodHours", stream->retention_hours);
    write_key(w, "EnhancedMonitoring");
    write_list(w);
    write_object(w);
    kinesis_write_metrics(w, "ShardLevelMetrics", stream->life.metrics);
    write_object_end(w);
    write_list_end(w);
    write_member(w, "EncryptionType", stream->life.key_id ? "KMS" : "NONE");
    if (stream->life.key_id)
        write_member(w, "KeyId", stream->life.key_id);
}

void kinesis_describe_stream(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find(call);
    const struct check_value *limit = check_get(call->check, "Limit");
    const struct check_value *after = check_get(call->check, "ExclusiveStartShardId");
    size_t most = limit->is_given ? (size_t)limit->number : DESCRIBE_LIMIT, n = 0;
    struct write *w = kinesis_write(call);
    uint32_t number = 0;
    size_t i = 0;

    if (!stream)
        return;
    if (after->is_given)
        i = kinesis_shard_parse(after->text, &number) ? (size_t)number + 1 : 0;
    write_object(w);
    write_key(w, "StreamDescription");
    write_object(w);
    put_common(call, stream, w);
    write_key(w, "Shards");
    write_list(w);
    if (stream->life.status == KINESIS_CREATING)
        i = stream->n_shards; /* shows none yet */
    for (; i < stream->n_shards && n < most; i++) {
        if (!stream->shards[i])
            continue;
        n++;
        kinesis_write_shard(stream->shards[i], w);
    }
    write_list_end(w);
    write_member_bool(w, "HasMoreShards", i < stream->n_shards);
    write_object_end(w);
    write_object_end(w);
    kinesis_answer(call);
}

void kinesis_describe_summary(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find(call);
    struct write *w = kinesis_write(call);

    if (!stream)
        return;
    write_object(w);
    write_key(w, "StreamDescriptionSummary");
    write_object(w);
    put_common(call, stream, w);
    write_member_int(w, "OpenShardCount",
                     stream->life.status == KINESIS_CREATING ? 0 : (int64_t)stream->n_open);
    write_member_int(w, "ConsumerCount", (int64_t)kinesis_count_consumers(stream));
    if (stream->life.warm_mib)
        kinesis_write_warm(w, stream);
    write_member_int(w, "MaxRecordSizeInKiB", stream->max_record_kib);
    write_object_end(w);
    write_object_end(w);
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

void kinesis_list_streams(struct kinesis_call *call)
{
    const struct check_value *limit = check_get(call->check, "Limit");
    struct kinesis *k = call->k;
    struct write *w;
    size_t first = 0, end, begun;

    if (!list_start(call, &first))
        return;
    end = first + (limit->is_given ? (size_t)limit->number : LIST_LIMIT);
    end = end < k->n_streams ? end : k->n_streams;
    w = kinesis_write(call);
    write_object(w);
    write_key(w, "StreamNames");
    write_list(w);
    for (size_t i = first; i < end; i++)
        write_string(w, k->streams[i]->name, strlen(k->streams[i]->name));
    write_list_end(w);
    write_key(w, "StreamSummaries");
    write_list(w);
    for (size_t i = first; i < end; i++) {
        write_object(w);
        put_stream(call, k->streams[i], w);
        write_object_end(w);
    }
    write_list_end(w);
    write_member_bool(w, "HasMoreStreams", end < k->n_streams);
    if (end < k->n_streams && end > first) {
        write_key(w, "NextToken");
        begun = write_text_begin(w);
        kinesis_seal(k, TOKEN_STREAMS, call->now_ms, kpw_slice_cstr(k->streams[end - 1]->name),
                     w->out);
        write_text_end(w, begun);
    }
    write_object_end(w);
    kinesis_answer(call);
}

void kinesis_describe_limits(struct kinesis_call *call)
{
    struct write *w = kinesis_write(call);
    int64_t on_demand = 0;

    for (size_t i = 0; i < call->k->n_streams; i++)
        on_demand += call->k->streams[i]->on_demand;
    write_object(w);
    write_member_int(w, "ShardLimit", kinesis_shard_limit(call->k));
    write_member_int(w, "OpenShardCount", (int64_t)kinesis_open_shards(call->k));
    write_member_int(w, "OnDemandStreamCount", on_demand);
    write_member_int(w, "OnDemandStreamCountLimit", KINESIS_ON_DEMAND_MAX);
    write_object_end(w);
    kinesis_answer(call);
}
