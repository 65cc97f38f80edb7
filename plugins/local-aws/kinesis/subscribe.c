/* subscribe.c - SubscribeToShard: who may subscribe, and from where on. */
#include <stdlib.h>

#include "plugins/local-aws/kinesis/consumers.h"

/* The shard of the member ShardId; NULL: answered. */
static struct kinesis_shard *find_shard(struct kinesis_call *call,
                                        const struct kinesis_stream *stream)
{
    struct kpw_slice text = check_get(call->check, "ShardId")->text;
    const char *account = call->k->local->account;
    struct kinesis_shard *shard;
    char id[KINESIS_SHARD_ID];
    uint32_t number;

    if (!kinesis_shard_parse(text, &number)) {
        kinesis_fail(call, "ResourceNotFoundException",
                     "Could not find shard %.*s in stream %s under account %s.", (int)text.len,
                     text.ptr, stream->name, account);
        return NULL;
    }
    shard = kinesis_shard_numbered(stream, number);
    kinesis_shard_id(number, id);
    if (!shard)
        kinesis_fail(call, "ResourceNotFoundException",
                     "Shard %s in stream %s under account %s does not exist", id, stream->name,
                     account);
    return shard;
}

/* The consumer when it may read. NULL: answered. */
static struct kinesis_consumer *find_consumer(struct kinesis_call *call)
{
    struct kinesis_consumer *consumer =
        kinesis_consumer_of(call, check_get(call->check, "ConsumerARN")->text);
    const struct kinesis_stream *stream = consumer ? consumer->stream : NULL;

    if (!consumer)
        return NULL;
    if (!kinesis_is_live(stream)) {
        kinesis_fail(call, "ResourceNotFoundException", "Stream %s under account %s not found.",
                     stream->name, call->k->local->account);
        return NULL;
    }
    if (!consumer->status)
        return consumer;
    kinesis_fail(call, "ResourceInUseException",
                 "Consumer %s with creation timestamp %lld under stream: %s , account %s is not in "
                 "ACTIVE status.",
                 consumer->name, (long long)(consumer->created_ms / 1000), stream->name,
                 call->k->local->account);
    return NULL;
}

/* NULL: out of memory. */
static struct kinesis_fan *fan_of(struct kinesis *k, struct kinesis_consumer *consumer,
                                  uint32_t number)
{
    struct kinesis_fan *fan = consumer->fans;

    while (fan && fan->number != number)
        fan = fan->next;
    if (fan)
        return fan;
    fan = calloc(1, sizeof *fan);
    if (!fan || !kinesis_fan_open(k, fan)) {
        free(fan);
        return NULL;
    }
    fan->consumer = consumer;
    fan->number = number;
    fan->next = consumer->fans;
    consumer->fans = fan;
    return fan;
}

#define IN_USE "Another active subscription exists for this consumer: %s:%s:%s:%s"

/* One call a second; a subscription can be taken over after five. False: answered. */
static bool may_subscribe(struct kinesis_call *call, struct kinesis_fan *fan)
{
    const struct kinesis_consumer *consumer = fan->consumer;
    bool no_limits = call->k->local->no_limits;
    char id[KINESIS_SHARD_ID];

    kinesis_shard_id(fan->number, id);
    if (!no_limits && !kinesis_bucket_take(&fan->calls, call->now_ms, 1, 1))
        return kinesis_fail(call, "LimitExceededException",
                            "Rate exceeded for consumer %s and shard %s in stream %s under account "
                            "%s.",
                            consumer->name, id, consumer->stream->name, call->k->local->account);
    return !fan->has_begun ||
           kinesis_subscribed_ms(call->k) - fan->began_ms >= KINESIS_RESUBSCRIBE_MS ||
           (no_limits && !fan->x) ||
           kinesis_fail(call, "ResourceInUseException", IN_USE, call->k->local->account,
                        consumer->stream->name, id, consumer->name);
}

/* Where it begins. False: answered. */
static bool find_start(struct kinesis_call *call, struct kinesis_shard *shard,
                       struct kinesis_cursor *c, struct kinesis_seq *last)
{
    struct kinesis_position position = {
        .operation = "SubscribeToShard",
        .type = check_inner(call->check, "StartingPosition", "Type")->text,
        .number = check_inner(call->check, "StartingPosition", "SequenceNumber"),
        .time = check_inner(call->check, "StartingPosition", "Timestamp"),
    };

    kinesis_flush(call->k, shard);
    *c = (struct kinesis_cursor){
        .stream = shard->stream->id, .shard = shard->number, .place = {KINESIS_NO_PLACE, 0}};
    if (!kinesis_start_at(call, shard, &position, c))
        return false;
    *last = (struct kinesis_seq){
        .created_s = shard->created_s, .time_s = shard->created_s, .shard = shard->number};
    /* behind a number nothing comes before it does */
    if (kpw_slice_is(position.type, "AFTER_SEQUENCE_NUMBER"))
        kinesis_seq_parse(position.number->text, last);
    return true;
}

void kinesis_subscribe(struct kinesis_call *call)
{
    struct kinesis_consumer *consumer = find_consumer(call);
    struct kinesis_shard *shard = consumer ? find_shard(call, consumer->stream) : NULL;
    struct kinesis_cursor cursor;
    struct kinesis_seq last;
    struct kinesis_fan *fan;
    char id[KINESIS_SHARD_ID];

    if (!shard)
        return;
    fan = fan_of(call->k, consumer, shard->number);
    if (!fan) {
        kinesis_trouble(call, "out of memory");
        return;
    }
    if (!may_subscribe(call, fan) || !find_start(call, shard, &cursor, &last))
        return;
    kinesis_shard_id(shard->number, id);
    kinesis_feed_end(call->k, fan, "ResourceInUseException", IN_USE, call->k->local->account,
                     consumer->stream->name, id, consumer->name);
    fan->shard = shard;
    fan->cursor = cursor;
    fan->last = last;
    kinesis_feed_begin(call, fan);
}
