/* shards.c - ListShards: filters and pages. A NextToken carries the whole question. */
#include <endian.h>
#include <string.h>

#include "plugins/local-aws/kinesis/kinesis.h"

#define TOKEN_SHARDS 'l'

enum { PAGE = 1000 };

enum filter {
    FROM_TRIM_HORIZON = 0,
    AFTER_SHARD_ID,
    AT_TRIM_HORIZON,
    AT_LATEST,
    AT_TIMESTAMP,
    FROM_TIMESTAMP,
};

/* What is asked for. */
struct question {
    struct kinesis_stream *stream;
    enum filter filter;
    uint64_t first; /* number of the first shard */
    int64_t time_ms;
};

static bool refuse(struct kinesis_call *call, const char *text)
{
    return kinesis_fail(call, "InvalidArgumentException", "%s", text);
}

static bool read_filter(struct kinesis_call *call, struct question *q)
{
    static const char *const names[] = {"FROM_TRIM_HORIZON", "AFTER_SHARD_ID", "AT_TRIM_HORIZON",
                                        "AT_LATEST",         "AT_TIMESTAMP",   "FROM_TIMESTAMP"};
    const struct check_value *type, *id, *time;
    uint32_t number;

    if (!check_get(call->check, "ShardFilter")->members)
        return true;
    type = check_inner(call->check, "ShardFilter", "Type");
    id = check_inner(call->check, "ShardFilter", "ShardId");
    time = check_inner(call->check, "ShardFilter", "Timestamp");
    while (!kpw_slice_is(type->text, names[q->filter]))
        q->filter++;
    if (id->is_given != (q->filter == AFTER_SHARD_ID))
        return refuse(call, "ShardId of ShardFilter belongs to type AFTER_SHARD_ID, and only to "
                            "it.");
    if (time->is_given != (q->filter >= AT_TIMESTAMP))
        return refuse(call, "Timestamp of ShardFilter belongs to types AT_TIMESTAMP and "
                            "FROM_TIMESTAMP, and only to them.");
    q->time_ms = time->number;
    if (q->filter != AFTER_SHARD_ID)
        return true;
    if (!kinesis_shard_parse(id->text, &number))
        return refuse(call, "ShardId of ShardFilter is not a shard id.");
    q->first = (uint64_t)number + 1;
    return true;
}

static bool read_token(struct kinesis_call *call, struct kpw_slice token, struct question *q)
{
    struct kpw_buf *text = kinesis_out(call);
    uint64_t numbers[4];
    int64_t issued_ms;

    if (check_get(call->check, "StreamName")->is_given ||
        check_get(call->check, "StreamARN")->is_given)
        return refuse(call, "NextToken and StreamName cannot be provided together.");
    if (check_get(call->check, "ExclusiveStartShardId")->is_given ||
        check_get(call->check, "StreamCreationTimestamp")->is_given ||
        check_get(call->check, "ShardFilter")->is_given)
        return refuse(call, "NextToken cannot be provided together with ExclusiveStartShardId, "
                            "StreamCreationTimestamp or ShardFilter.");
    if (!kinesis_unseal(call->k, TOKEN_SHARDS, token, text, &issued_ms) ||
        text->len != sizeof numbers)
        return refuse(call, "Invalid NextToken.");
    if (call->now_ms - issued_ms > KINESIS_TOKEN_MS)
        return kinesis_fail(call, "ExpiredNextTokenException", "The NextToken has expired.");
    memcpy(numbers, text->ptr, sizeof numbers);
    q->stream = kinesis_stream_by_id(call->k, (int64_t)le64toh(numbers[0]));
    q->filter = (enum filter)le64toh(numbers[1]);
    q->first = le64toh(numbers[2]);
    q->time_ms = (int64_t)le64toh(numbers[3]);
    if (!q->stream)
        return kinesis_fail(call, "ResourceNotFoundException",
                            "The stream of the NextToken is not found.");
    return true;
}

static void put_token(struct kinesis_call *call, const struct question *q, uint64_t first,
                      struct write *w)
{
    uint64_t numbers[4] = {htole64((uint64_t)q->stream->id), htole64((uint64_t)q->filter),
                           htole64(first), htole64((uint64_t)q->time_ms)};
    size_t begun;

    write_key(w, "NextToken");
    begun = write_text_begin(w);
    kinesis_seal(call->k, TOKEN_SHARDS, call->now_ms, kpw_slice(numbers, sizeof numbers), w->out);
    write_text_end(w, begun);
}

static bool read_question(struct kinesis_call *call, struct question *q)
{
    const struct check_value *token = check_get(call->check, "NextToken");
    const struct check_value *after = check_get(call->check, "ExclusiveStartShardId");
    const struct check_value *created = check_get(call->check, "StreamCreationTimestamp");
    uint32_t number;

    if (token->is_given)
        return read_token(call, token->text, q);
    if (!check_get(call->check, "StreamName")->is_given &&
        !check_get(call->check, "StreamARN")->is_given)
        return refuse(call, "Either NextToken or StreamName should be provided.");
    q->stream = kinesis_find(call);
    if (!q->stream || !read_filter(call, q))
        return false;
    if (q->stream->life.status == KINESIS_CREATING) /* has no shards yet */
        return kinesis_need_active(call, q->stream);
    if (created->is_given && created->number / 1000 != q->stream->created_ms / 1000)
        return kinesis_fail(call, "ResourceNotFoundException",
                            "Stream %s under account %s not found.", q->stream->name,
                            call->k->local->account);
    if (!after->is_given)
        return true;
    if (!kinesis_shard_parse(after->text, &number))
        return refuse(call, "ExclusiveStartShardId is not a shard id.");
    q->first = (uint64_t)number + 1 > q->first ? (uint64_t)number + 1 : q->first;
    return true;
}

/* Open at some moment between `from` and `to`. */
static bool was_open(const struct kinesis_shard *shard, int64_t from_ms, int64_t to_ms)
{
    return (int64_t)shard->created_s * 1000 <= to_ms &&
           (!shard->closed_s || (int64_t)shard->closed_s * 1000 >= from_ms);
}

static bool is_asked_for(const struct kinesis_call *call, const struct question *q,
                         const struct kinesis_shard *shard)
{
    int64_t horizon_ms = call->now_ms - q->stream->retention_hours * 3600000, time_ms = q->time_ms;

    /* shards of a young stream count as open at the horizon */
    if (horizon_ms < q->stream->created_ms)
        horizon_ms = q->stream->created_ms;
    if (time_ms < horizon_ms)
        time_ms = horizon_ms;
    switch (q->filter) {
    case AFTER_SHARD_ID: return true;
    case FROM_TRIM_HORIZON: return was_open(shard, horizon_ms, INT64_MAX);
    case AT_TRIM_HORIZON: return was_open(shard, horizon_ms, horizon_ms);
    case AT_LATEST: return !shard->closed_s;
    case AT_TIMESTAMP: return was_open(shard, time_ms, time_ms);
    case FROM_TIMESTAMP: return was_open(shard, time_ms, INT64_MAX);
    }
    return false;
}

void kinesis_list_shards(struct kinesis_call *call)
{
    const struct check_value *limit = check_get(call->check, "MaxResults");
    size_t most = limit->is_given && limit->number < PAGE ? (size_t)limit->number : PAGE, n = 0;
    struct question q = {0};
    struct write *w;
    uint64_t next = 0;

    if (!read_question(call, &q))
        return;
    w = kinesis_write(call);
    write_object(w);
    write_key(w, "Shards");
    write_list(w);
    for (uint64_t i = q.first; i < q.stream->n_shards; i++) {
        const struct kinesis_shard *shard = q.stream->shards[i];

        if (!shard || !is_asked_for(call, &q, shard))
            continue;
        if (n == most) {
            next = i;
            break;
        }
        n++;
        kinesis_write_shard(shard, w);
    }
    write_list_end(w);
    if (next)
        put_token(call, &q, next, w);
    write_object_end(w);
    kinesis_answer(call);
}
