/* consumers.h - registered consumers of a stream, and their subscriptions to its shards.
 *
 * A fan is one consumer on one shard. It stays once it was used, for the service's rules about the
 * next call; while it has an exchange it is a subscription, and in the list of its shard.
 *
 *   consumers.c   register, describe ... rows of state.db
 *   subscribe.c   SubscribeToShard: who may, from where     feed.c   events, pace, end
 *
 * Facts: section "Consumers and SubscribeToShard" of the service's guide; five seconds and five
 * minutes are its numbers.
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_KINESIS_CONSUMERS_H
#define KPIPE_LOCAL_AWS_KINESIS_CONSUMERS_H

#include "plugins/local-aws/kinesis/kinesis.h"

enum {
    KINESIS_CONSUMERS_MAX = 20,      /* of a stream */
    KINESIS_SUBSCRIBED_MS = 300000,  /* life of a subscription */
    KINESIS_RESUBSCRIBE_MS = 5000,   /* before it can be taken over */
    KINESIS_BEAT_MS = 5000,          /* an event comes at least this often */
    KINESIS_FAN_BYTES_S = 2 << 20,   /* per second, of each fan */
    KINESIS_EVENT_BYTES = 128 << 10, /* of records in an event, or one record */
    KINESIS_UNSENT_BYTES = 32 << 10, /* above this the next event waits for the peer */
};

struct kinesis_fan {
    struct kinesis *k;                  /* [borrowed] */
    struct kinesis_fan *next;           /* of the consumer */
    struct kinesis_consumer *consumer;  /* [borrowed] its owner */
    uint32_t number;                    /* of the shard */
    struct kinesis_bucket calls, bytes; /* SubscribeToShard, what was sent */
    int64_t began_ms;                   /* of the last successful call: kinesis_subscribed_ms() */
    bool has_begun;

    /* a subscription */
    kp_exchange *x;                        /* NULL: there is none */
    struct kinesis_shard *shard;           /* [borrowed] */
    struct kinesis_fan *after, **in_front; /* in shard->fans */
    bool is_cbor;
    bool is_full;    /* the peer is slow: drained() goes on */
    bool is_pumping; /* events are being written */
    struct kinesis_cursor cursor;
    struct kinesis_seq last; /* the ContinuationSequenceNumber */
    int64_t beat_ms;         /* clock of kp->now_ms() */
    int64_t end_ms;          /* kinesis_subscribed_ms() */
    kp_timer *timer;         /* [owned] also without a subscription */
};

struct kinesis_consumer {
    struct kinesis_consumer *next; /* of the stream, by name */
    struct kinesis_stream *stream; /* [borrowed] its owner */
    int64_t id;                    /* never used again */
    int64_t created_ms;
    enum kinesis_status status;
    int64_t until_ms;
    struct kinesis_fan *fans; /* [owned] */
    char name[KINESIS_NAME_MAX + 1];
};

/* ---- consumers.c */

bool kinesis_consumers_load(struct kinesis *k);
/* Ends the status of those that are due; *next_ms becomes the earliest end of the others. */
void kinesis_consumers_due(struct kinesis *k, struct kinesis_stream *stream, int64_t now_ms,
                           int64_t *next_ms);
/* Frees those of a stream; their subscriptions have ended. */
void kinesis_consumers_drop(struct kinesis_stream *stream);
void kinesis_consumers_close(struct kinesis *k);
size_t kinesis_count_consumers(const struct kinesis_stream *stream);
/* The consumer is ACTIVE; false: answered. */
bool kinesis_consumer_active(struct kinesis_call *call, const struct kinesis_consumer *consumer);
/* The consumer of an ARN; NULL: answered. */
struct kinesis_consumer *kinesis_consumer_of(struct kinesis_call *call, struct kpw_slice arn);
void kinesis_consumer_arn(struct kinesis *k, const struct kinesis_consumer *consumer,
                          struct kpw_buf *out);

/* The tags of the call become the consumer's. False: state.db cannot be written. */
bool kinesis_consumer_tags(struct kinesis_call *call, struct kinesis_consumer *consumer);

/* ---- feed.c */

/* The clock of subscriptions: steady, but for a fault that moves it. */
static inline int64_t kinesis_subscribed_ms(const struct kinesis *k)
{
    return kp->now_ms() + k->local->clock_ms;
}

bool kinesis_fan_open(struct kinesis *k, struct kinesis_fan *fan); /* false: out of memory */
/* Forgets a subscription: its exchange has gone, or was finished. */
void kinesis_fan_free(struct kinesis_fan *fan);

/* Begins a subscription: `fan` has shard, cursor and last. */
void kinesis_feed_begin(struct kinesis_call *call, struct kinesis_fan *fan);
/* Ends it with an exception in the stream; `fmt` NULL: cleanly. Nothing without a subscription. */
void kinesis_feed_end(struct kinesis *k, struct kinesis_fan *fan, const char *type, const char *fmt,
                      ...) __attribute__((format(printf, 4, 5)));
/* The exchange is not ours any more. */
void kinesis_feed_forget(struct kinesis *k, struct kinesis_fan *fan);
/* Ends all subscriptions of a stream that goes. */
void kinesis_feed_end_stream(struct kinesis *k, struct kinesis_stream *stream);
/* The shard is about to be freed. */
void kinesis_feed_end_shard(struct kinesis *k, struct kinesis_shard *shard);
void kinesis_feed_readable(struct kinesis *k, struct kinesis_shard *shard);

/* The frames of a stream, for tests too. Each appends one message. */
void kinesis_frame_initial(struct kpw_buf *out, bool is_cbor);
void kinesis_frame_exception(struct kpw_buf *out, bool is_cbor, const char *type,
                             const char *message);

#endif
