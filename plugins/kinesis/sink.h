/* sink.h - private to the kinesis sink: the state its files share.
 *
 * A record is an item that waits in the queue of its target, the shard its hash key belongs to,
 * until a request takes it; what was refused goes back to its place in the queue.
 *
 * sink.c is the element, keys.c makes items of a batch, targets.c keeps the queues, send.c decides
 * what is sent when, request.c makes the text of a PutRecords request, aggregate.c puts many user
 * records into one of its entries, outcome.c acts on the answer that receipt.c reads, map.c knows
 * the shards, pace.c their limits.
 *
 * Threads: the worker of the node.
 */
#ifndef KPIPE_KINESIS_SINK_H
#define KPIPE_KINESIS_SINK_H

#include "plugins/kinesis/calls.h"
#include "plugins/kinesis/map.h"
#include "plugins/kinesis/pace.h"
#include "plugins/kinesis/receipt.h"
#include "plugins/kinesis/wire.h"

#include "sdk/wire/kpl.h"
#include "sdk/wire/slice.h"

#include <kpipe/ext/aws.h>
#include <kpipe/ext/lua.h>
#include <kpipe/ext/timer.h>
#include <kpipe/plugin.h>

#define PUT_RECORDS_MAX 500                /* the service's limit */
#define PUT_BYTES_MAX   (10 * 1024 * 1024) /* data and keys, the service's limit */
#define PUT_KEY_MAX     256                /* characters */
#define IN_FLIGHT_MAX   64
#define USERS_MAX       32768 /* user records of one request with aggregates */
#define USERS_NONE      UINT32_MAX
#define RETRY_BASE_MS   100
#define RETRY_MAX_MS    5000

enum sink_order { ORDER_STRICT, ORDER_KEY, ORDER_NONE };
enum { KEY_SEATS = 2048 }; /* of the keys of one request: a power of two, four times its entries */

struct sink_config {
    const kp_resource *stream;
    kp_value partition_key;
    kp_value hash_key;
    int64_t linger_ms;
    int order; /* enum sink_order */
    int64_t in_flight;
    int64_t attempts;
    int64_t rate_limit; /* per cent of a shard's limits; 0: none */
    int64_t ttl_ms;     /* 0: none */
    int64_t max_record;
    bool fail_if_throttled;
    bool aggregate;
    int64_t aggregate_size;
    int64_t aggregate_count;
    int64_t timeout_ms;
    int wire; /* enum wire_choice */
};

enum item_state { ITEM_QUEUED, ITEM_SENT, ITEM_ENDED };

/* A record in hand: a cache line, so that the record itself need not be looked at again. */
struct item {
    kpw_u128 hash;   /* its hash key, when shards are told apart or it has one of its own */
    const char *key; /* partition key [borrowed from the batch, like data] */
    const char *data;
    struct pending *pending; /* [borrowed] */
    struct item *next;       /* of the same queue or slot */
    uint32_t len;            /* bytes of data */
    uint32_t i;              /* in its batch */
    uint16_t key_len;        /* bytes */
    bool has_hash;           /* an explicit hash key goes along */
    uint8_t state;           /* enum item_state */
};

/* A batch in hand. */
struct pending {
    kp_batch *b;        /* [owned] */
    uint64_t order;     /* of arrival */
    int64_t since;      /* when it came */
    uint32_t open;      /* records without an outcome */
    bool has_begun;     /* some of it was sent: the rest does not linger */
    struct item *items; /* [owned] one per record; NULL: it waits in the backlog */
    struct pending *next, *previous;
};

/* Where records go: an open shard of the map, or, behind these, a place for all records whose shard
 * is not known. */
struct target {
    struct item *head, *tail; /* waiting, in order of arrival [borrowed from their batches] */
    struct item *hint;        /* where one was put back last, NULL: anywhere */
    uint64_t bytes;           /* data of these */
    uint32_t n;               /* of these */
    uint32_t in_flight;       /* slots under way */
    uint32_t most;            /* user records of one request, 0: any; one of them spoils requests */
    uint32_t took, refused, throttled; /* slots in the answer that is being read */
    bool is_listed;                    /* in sink->active */
    bool is_probed;                    /* it throttles all: a few entries are tried at a time */
    unsigned tries;                    /* requests in a row of which it took nothing */
    int64_t not_before;                /* back-off */
    struct pace pace;
};

/* One entry of PutRecords, which the service takes or refuses: a user record or an aggregate. */
struct slot {
    struct item *first; /* a chain */
    uint32_t n;
    uint32_t users;  /* of an aggregate: where in request->users they begin, or USERS_NONE */
    uint32_t target; /* by the request's map */
    /* An aggregate that another shard took: whether its records count as delivered is judged as
     * soon as that shard's range is known. */
    char *wrong; /* [owned] shard id and sequence number, one behind the other */
    uint32_t wrong_shard, wrong_sequence; /* their lengths */
};

/* One PutRecords under way. */
struct request {
    struct sink *sink; /* [borrowed] */
    kp_aws_call *call;
    struct kpw_buf body;
    bool is_cbor;
    size_t payload; /* data and keys in it */
    uint32_t count; /* user records */
    uint32_t n_slots, n_wrong;
    unsigned judgements;   /* maps that n_wrong slots were looked up in */
    struct shard_map *map; /* [owned reference] that it was made with, NULL: none */
    uint32_t generation;   /* of the targets its slots mean */
    uint32_t n_digests;    /* aggregates whose digest is still to be written */
    struct item **users;   /* [owned] of aggregates, each slot's in a row: to be prefetched */
    uint32_t n_users, users_room;
    uint64_t *keys; /* [owned] with order = "key": KEY_SEATS of those in it, 0: free */
    struct slot slots[PUT_RECORDS_MAX];
    struct kpw_kpl_place digests[PUT_RECORDS_MAX];
};

/* The key of records that came without one and go into the same aggregate. */
struct spread {
    char key[20];
    size_t len;
    kpw_u128 hash;
    int64_t bytes_left; /* that it is good for */
    uint64_t sent;      /* sink->sent when it was drawn */
};

struct sink {
    const struct sink_config *config;
    kp_node *node;
    const kp_aws_ext *aws;
    const kp_lua_ext *lua; /* NULL unless a key is a function or a field */
    const kp_timer_ext *timers;
    kp_timer *timer;                         /* [owned by node] */
    struct pending *backlog, **backlog_end;  /* [owned] batches not looked at yet, in order */
    struct pending *pending, *pending_last;  /* [owned] in order of arrival */
    struct pending *finished;                /* [owned] all records have an outcome */
    uint64_t arrivals;                       /* batches so far */
    struct request *requests[IN_FLIGHT_MAX]; /* [owned] made when first needed */
    uint32_t in_flight;                      /* calls */
    uint64_t sent;                           /* requests so far */
    bool knows_shards;                       /* they are told apart, as soon as there is a map */
    struct target *targets;                  /* [owned] n_targets, the last is for unknown shards */
    uint32_t n_targets;
    uint32_t generation;       /* of the targets */
    uint32_t n_old;            /* requests of older generations that have not ended */
    uint32_t *active;          /* [owned] targets with records waiting, room for all */
    uint32_t n_active, turn;   /* turn: where the next request begins */
    struct shard_map *map;     /* [owned reference] of the targets */
    bool aggregates;           /* there is a map, and aggregates are wanted */
    struct kpw_kpl_writer kpl; /* of the aggregate that is being made */
    struct kpw_buf scratch;    /* an aggregate before it is written in base64 */
    struct spread spread;
    struct map_loader loader;
    struct wire wire;
    bool flushing; /* what is in hand is sent without lingering */
    bool is_sending, has_complained, failed;
    struct kpw_random random;
    uint8_t (*digests)[16];  /* [owned] scratch of keys.c ... */
    struct kpw_slice *texts; /* ... as many */
    uint32_t digests_room;
};

/* ---- sink.c */

void sink_finish_batches(struct sink *sink); /* gives back those whose records all have ended */
/* The first batch of the backlog gets its items. */
void sink_take_next(struct sink *sink);

/* The record has ended; its outcome is marked already. */
static inline void sink_ended(struct sink *sink, struct item *item)
{
    struct pending *pending = item->pending;

    item->state = ITEM_ENDED;
    if (--pending->open)
        return;
    *(pending->previous ? &pending->previous->next : &sink->pending) = pending->next;
    *(pending->next ? &pending->next->previous : &sink->pending_last) = pending->previous;
    pending->next = sink->finished;
    sink->finished = pending;
}

/* ---- keys.c */

/* Checks the records of a new batch, rejects what the service would never take, and puts the others
 * into their queues. False: out of memory, nothing was done. */
bool keys_take_batch(struct sink *sink, struct pending *pending);
void keys_fini(struct sink *sink);
struct key_fault {
    char text[64]; /* "is empty" and the like */
};
/* Would the service take it? [any] */
bool keys_partition_valid(kp_slice key, struct key_fault *ret_fault);
bool keys_parse_hash(kp_slice text, kpw_u128 *ret); /* decimal, no sign, at most 2^128 - 1 [any] */

/* ---- targets.c */

bool targets_init(struct sink *sink); /* false: out of memory */
void targets_fini(struct sink *sink);
/* There is another map: new targets, and what waits goes to them. */
void targets_renew(struct sink *sink);
/* Puts the item at the end of its queue. */
void targets_add(struct sink *sink, struct item *item);
/* Takes the first one out. */
struct item *target_pop(struct target *target);
/* Puts a chain of items, which is in order, back to where it was. `target` is that of its request
 * when the targets are still the same, else NULL. */
void targets_put_back(struct sink *sink, struct target *target, struct item *chain);
/* Everything that waits there goes back to the host. */
void target_give_back(struct sink *sink, struct target *target, const char *error,
                      const char *message);
/* Rejects what is older than record_ttl. Returns when the next one will be, -1: none waits. */
int64_t targets_expire(struct sink *sink, int64_t now);
/* The one an answer is about, NULL: the targets are others by now. */
static inline struct target *targets_of(struct sink *sink, const struct request *request,
                                        const struct slot *slot)
{
    return request->generation == sink->generation ? &sink->targets[slot->target] : NULL;
}

/* ---- send.c */

void send_all(struct sink *sink);

/* ---- request.c */

enum add_result { ADDED, FULL, NO_MEMORY };

/* With order = "key": whether it has an entry of the key of that record, which then waits. */
bool request_has_key(const struct request *request, const struct item *item);
/* A slot for the items that the caller then puts into it; there is room for one. */
struct slot *request_new_slot(struct request *request, uint32_t target);
/* Takes the first record that waits there. */
enum add_result request_add(struct sink *sink, struct request *request, uint32_t target);
void request_begin(struct sink *sink, struct request *request);
/* The text is whole afterwards. False: out of memory. */
bool request_seal(struct request *request);
void request_end(struct request *request);
void request_free(struct request *request); /* NULL is fine */

/* Writes an entry of one user record. */
void request_write_item(struct request *request, const struct item *item);
/* Writes an entry that is an aggregate: in JSON the data, in CBOR in two halves, with the data of
 * that length written between them. */
void request_write_json(struct request *request, kp_slice data, kp_slice key, kp_slice hash);
void request_write_head(struct request *request, size_t data_len, bool has_hash);
void request_write_keys(struct request *request, kp_slice key, kp_slice hash);

/* ---- aggregate.c */

/* Takes records that wait there, in order, into one aggregate; a single one goes as it is. */
enum add_result aggregate_add(struct sink *sink, struct request *request, uint32_t target);
void aggregate_fini(struct sink *sink);

/* ---- outcome.c */

/* What the call of a request came to. */
void outcome_of(struct request *request, const kp_aws_response *response);
/* The request could not be made. */
void outcome_unsent(struct request *request);
/* There is a new map: looks again at what went to unexpected shards. */
void outcome_judge(struct sink *sink);

#endif
