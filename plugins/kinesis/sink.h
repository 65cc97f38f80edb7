/* sink.h - private to the kinesis sink: the state its files share.
 *
 * sink.c is the element and decides what is sent when, request.c makes the text
 * of a PutRecords request, aggregate.c puts many user records into one of its
 * entries, outcome.c acts on the answer that receipt.c reads, map.c knows the
 * shards.
 *
 * Threads: the worker of the node.
 */
#ifndef KPIPE_KINESIS_SINK_H
#define KPIPE_KINESIS_SINK_H

#include "plugins/kinesis/calls.h"
#include "plugins/kinesis/map.h"
#include "plugins/kinesis/receipt.h"
#include "plugins/kinesis/wire.h"

#include "sdk/wire/kpl.h"
#include "sdk/wire/slice.h"

#include <kpipe/ext/aws.h>
#include <kpipe/ext/lua.h>
#include <kpipe/ext/timer.h>
#include <kpipe/plugin.h>

#define PUT_RECORDS_MAX 500               /* the service's limit */
#define PUT_BYTES_MAX   (5 * 1024 * 1024) /* data and keys; every endpoint takes that much */
#define PUT_KEY_MAX     256               /* characters */
#define IN_FLIGHT_MAX   64
#define USERS_MAX       32768 /* user records of one request with aggregates */
#define RETRY_BASE_MS   100
#define RETRY_MAX_MS    5000

enum sink_order { ORDER_STRICT, ORDER_NONE };

struct sink_config {
    const kp_resource *stream;
    kp_value partition_key;
    kp_value hash_key;
    int64_t linger_ms;
    int order; /* enum sink_order */
    int64_t in_flight;
    int64_t attempts;
    int64_t max_record;
    bool aggregate;
    int64_t aggregate_size;
    int64_t aggregate_count;
    int wire; /* enum wire_choice */
};

/* A batch in hand. */
struct pending {
    kp_batch *b;     /* [owned] */
    uint32_t next;   /* first record that was never sent */
    uint32_t *again; /* records to send again, in order; room for all [owned] */
    uint32_t n_again;
    uint32_t in_flight; /* records under way */
    uint32_t open;      /* records without an outcome */
    uint32_t most;      /* records of it in one request; smaller after one was refused as a whole */
    unsigned tries;     /* requests in a row that brought none of its records in */
    int64_t not_before; /* back-off, monotonic */
    int64_t since;      /* when it came */
    bool is_ready;      /* scratch of send_at(): it could go now */
    struct pending *before;  /* of the same lane, with order = "strict"; NULL: it is the first */
    struct request *filling; /* the request its last records went into */
    struct pending *next_pending;
};

/* A user record under way. */
struct entry {
    struct pending *pending; /* [borrowed] */
    uint32_t i;
    uint32_t next; /* of the same slot, or ENTRY_NONE */
    kpw_u128 hash; /* its hash key; only with a map */
};

#define ENTRY_NONE UINT32_MAX

/* One entry of PutRecords, which the service takes or refuses: a user record or an aggregate. */
struct slot {
    uint32_t first, last, n; /* entries */
    uint32_t shard;          /* the one it should go to, by the request's map */
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
    size_t payload;        /* data and keys in it */
    struct entry *entries; /* [owned] */
    uint32_t count, room;
    uint32_t n_slots, n_wrong;
    unsigned judgements; /* maps that n_wrong slots were looked up in */
    struct shard_map
        *map; /* [owned reference] of what is aggregated; NULL: each record is a slot */
    struct slot slots[PUT_RECORDS_MAX];
};

/* The aggregates of the request that is being filled. */
struct aggregator {
    struct kpw_kpl_writer writers[PUT_RECORDS_MAX]; /* of its slots */
    uint32_t *open; /* [owned] per shard its open slot and 1, or 0 */
    uint32_t open_room;
    struct kpw_buf out;
    struct kpw_kpl_reader reader;
};

struct sink {
    const struct sink_config *config;
    kp_node *node;
    const kp_aws_ext *aws;
    const kp_lua_ext *lua; /* NULL unless a key is a function or a field */
    const kp_timer_ext *timers;
    kp_timer *timer;                         /* [owned by node] */
    struct pending *pending;                 /* [owned] in order of arrival */
    struct request *requests[IN_FLIGHT_MAX]; /* [owned] made when first needed */
    uint32_t in_flight;
    uint32_t most;                 /* records of one request */
    struct aggregator *aggregator; /* [owned] NULL without aggregation */
    struct map_loader loader;
    struct wire wire;
    bool flushing; /* what is in hand is sent without lingering */
    bool is_sending, has_complained, failed;
    struct kpw_random random;
    int64_t second;           /* of the two counts below */
    uint64_t accepted;        /* records the stream took in this second ... */
    uint64_t accepted_before; /* ... and in the one before */
};

/* Records that were never sent or are to be sent again. */
static inline uint32_t sink_left(const struct pending *pending)
{
    return pending->n_again + (pending->b->count - pending->next);
}

/* ---- sink.c */

void sink_send_all(struct sink *sink);
void sink_finish_batches(struct sink *sink); /* gives back those whose records all have ended */

/* ---- request.c */

enum add_result { ADDED, FULL, REFUSED, NO_MEMORY };

/* Adds record i of the batch to the request; REFUSED: it was marked and will never be sent. */
enum add_result request_add(struct sink *sink, struct request *request, struct pending *pending,
                            uint32_t i);
void request_begin(struct sink *sink, struct request *request);
/* The text is whole afterwards. False: out of memory. */
bool request_seal(struct sink *sink, struct request *request);
void request_end(struct request *request);
void request_free(struct request *request); /* NULL is fine */

struct record_keys {
    kp_slice key;
    kp_slice hash; /* explicit, in decimal; empty: none */
    char random[20];
    char room[PUT_KEY_MAX * 4];
};

/* The keys of a record, checked. False: the record was rejected. */
bool request_keys(struct sink *sink, kp_batch *b, uint32_t i, struct record_keys *ret);
/* True: it was rejected. `len`: data and key. */
bool request_too_large(const struct sink *sink, kp_batch *b, uint32_t i, size_t len);
/* Room for one more entry. False: out of memory. */
bool request_reserve(struct request *request);
/* The entry, for which there is room, becomes the last of that slot; n_slots: of a new one. */
void request_push(struct request *request, uint32_t slot, const struct entry *entry);
/* Writes one entry of the request's text. */
struct put_entry {
    kp_slice data, key, hash;
};
void request_write(struct request *request, bool is_first, const struct put_entry *entry);

/* ---- aggregate.c */

bool aggregate_init(struct sink *sink); /* false: out of memory */
void aggregate_fini(struct sink *sink);
void aggregate_begin(struct sink *sink, struct request *request);
enum add_result aggregate_add(struct sink *sink, struct request *request, struct pending *pending,
                              uint32_t i);
void aggregate_seal(struct sink *sink, struct request *request);

/* ---- outcome.c */

/* What the call of a request came to. */
void outcome_of(struct request *request, const kp_aws_response *response);
/* The request could not be made. */
void outcome_unsent(struct request *request);
/* There is a new map: looks again at what went to unexpected shards. */
void outcome_judge(struct sink *sink);

#endif
