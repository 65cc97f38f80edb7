/* create.c - CreateStream, DeleteStream: what must be true before a stream comes or goes. */
#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/kinesis/consumers.h"

/* ---- CreateStream */

int kinesis_shard_limit(const struct kinesis *k)
{
    return k->local->no_limits ? KINESIS_SHARD_LIMIT_RAISED : KINESIS_SHARD_LIMIT;
}

bool kinesis_within_shards(struct kinesis_call *call, size_t more)
{
    size_t open = kinesis_open_shards(call->k);
    int limit = kinesis_shard_limit(call->k);

    if (open + more <= (size_t)limit)
        return true;
    return kinesis_fail(call, "LimitExceededException",
                        "This request would exceed the shard limit for the account %s in %s. "
                        "Current shard count for the account: %zu. Limit: %d. Number of additional "
                        "shards that would have resulted from this request: %zu. Refer to the AWS "
                        "Service Limits page "
                        "(http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) "
                        "for current limits and how to request higher limits.",
                        call->k->local->account, call->k->local->region, open, limit, more);
}

bool kinesis_may_be_on_demand(struct kinesis_call *call)
{
    int n = 0;

    for (size_t i = 0; i < call->k->n_streams; i++)
        n += call->k->streams[i]->on_demand;
    return n < KINESIS_ON_DEMAND_MAX ||
           kinesis_fail(call, "LimitExceededException",
                        "The account %s in %s has %d on-demand streams, and may have %d.",
                        call->k->local->account, call->k->local->region, n, KINESIS_ON_DEMAND_MAX);
}

static bool may_be_creating(struct kinesis_call *call)
{
    int n = 0;

    for (size_t i = 0; i < call->k->n_streams; i++)
        n += call->k->streams[i]->life.status == KINESIS_CREATING;
    return n < KINESIS_CREATING_MAX ||
           kinesis_fail(call, "LimitExceededException",
                        "The account %s in %s has %d streams in state CREATING, and may have %d.",
                        call->k->local->account, call->k->local->region, n, KINESIS_CREATING_MAX);
}

/* The mode and what goes with it. False: answered. */
static bool read_mode(struct kinesis_call *call, struct kinesis_stream *stream)
{
    const struct check_value *count = check_get(call->check, "ShardCount");
    const struct check_value *warm = check_get(call->check, "WarmThroughputMiBps");
    bool has_mode = check_get(call->check, "StreamModeDetails")->members != NULL;

    stream->on_demand =
        has_mode && kpw_slice_is(check_inner(call->check, "StreamModeDetails", "StreamMode")->text,
                                 "ON_DEMAND");
    if (stream->on_demand && count->is_given)
        return kinesis_fail(call, "ValidationException",
                            "ShardCount must not be given for a stream in ON_DEMAND mode.");
    if (has_mode && !stream->on_demand && !count->is_given)
        return kinesis_fail(call, "ValidationException",
                            "ShardCount must be given for a stream in PROVISIONED mode.");
    stream->life.warm_mib = warm->number;
    return !warm->is_given || kinesis_check_warm(call, stream->on_demand, warm->number);
}

/* False: answered. */
static bool may_create(struct kinesis_call *call, const struct kinesis_stream *stream, size_t n)
{
    const struct check_value *tags = check_get(call->check, "Tags");
    char owner[KINESIS_OWNER_SIZE];

    snprintf(owner, sizeof owner, "stream %s", stream->name);
    if (kinesis_stream_named(call->k, kpw_slice_cstr(stream->name)))
        return kinesis_fail(call, "ResourceInUseException",
                            "Stream %s under account %s already exists.", stream->name,
                            call->k->local->account);
    if (!kinesis_check_tags(call, owner, tags, tags->count * 2, "add tags to"))
        return false;
    if (tags->count > KINESIS_TAGS_MAX)
        return kinesis_too_many_tags(call, owner);
    return may_be_creating(call) && kinesis_within_shards(call, n) &&
           (!stream->on_demand || kinesis_may_be_on_demand(call));
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
    if (!read_mode(call, &stream) || !may_create(call, &stream, n))
        return;
    kinesis_creating(call, &stream.life);
    if (kinesis_stream_add(call->k, &stream, n, call->check->items + tags->first, tags->count))
        kinesis_answer_empty(call);
    else
        kinesis_trouble(call, "the stream cannot be made");
}

/* ---- DeleteStream */

void kinesis_delete_stream(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find(call);
    size_t consumers;

    if (!stream)
        return;
    consumers = kinesis_count_consumers(stream);
    if (stream->life.status == KINESIS_DELETING)
        kinesis_need_active(call, stream);
    else if (consumers && !check_get(call->check, "EnforceConsumerDeletion")->is_true)
        kinesis_fail(call, "ResourceInUseException",
                     "Stream %s under account %s has %zu consumers. Deregister them, or set "
                     "EnforceConsumerDeletion.",
                     stream->name, call->k->local->account, consumers);
    else if (kinesis_stream_end(call, stream))
        kinesis_answer_empty(call);
    else
        kinesis_trouble(call, "the stream cannot be removed");
}
