/* kinesis.h - the state of Kinesis Data Streams and one call under way: what the files here share.
 *
 *   door.c kinesis.c   front door, answers     operations.c  table of operations, their members
 *   state.c     streams and shards, SQLite     life.h        status, rates, encryption, modes ...
 *   create.c stream.c  create, describe, list  consumers.h   consumers and their subscriptions
 *   shards.c    ListShards, its filters        split.c       split, merge, resize
 *   put.c       PutRecord(s), group commit     tags.c resource.c  tags, retention
 *   iterator.c  GetShardIterator               fetch.c get.c records.h  GetRecords
 *   token.c     sealed texts                   write.h       answers in JSON and CBOR
 *   quiet.c     memory after a burst
 *   and below them check.h, seq.h, log.h, segment.h
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_KINESIS_H
#define KPIPE_LOCAL_AWS_KINESIS_H

#include "plugins/local-aws/kinesis/check.h"
#include "plugins/local-aws/kinesis/life.h"
#include "plugins/local-aws/kinesis/log.h"
#include "plugins/local-aws/kinesis/seq.h"
#include "plugins/local-aws/kinesis/write.h"
#include "plugins/local-aws/local.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/u128.h"

enum {
    KINESIS_NAME_MAX = 128,
    KINESIS_KEY_SIZE = 32,
    KINESIS_GET_RECORDS = 10000,
    KINESIS_GET_BYTES = 10 << 20,
    KINESIS_PUT_BYTES = 10 << 20,
    KINESIS_BODY_MAX = 16 << 20,        /* of a request: PutRecords in base64, with its keys */
    KINESIS_TOKEN_MS = 300000,          /* life of iterators and NextTokens */
    KINESIS_SHARD_LIMIT = 500,          /* open shards of the account */
    KINESIS_SHARD_LIMIT_RAISED = 10000, /* with no_limits: as one may ask the service for */
    KINESIS_STREAM_SHARDS = 4,          /* without ShardCount */
    KINESIS_OPERATIONS_MAX = 48,
};

struct kinesis_shard {
    struct kinesis_stream *stream; /* [borrowed] its owner */
    uint32_t number;
    uint64_t created_s;
    uint64_t closed_s; /* 0: open */
    kpw_u128 low, high;
    int64_t parent, adjacent; /* numbers, or -1 */
    struct log log;
    struct kinesis_bucket put_records, put_bytes, get_calls, get_bytes, iterator_calls;
    struct kinesis_seq_writer seq; /* of answers to puts */
    struct kinesis_fan *fans;      /* [owned by consumers] subscriptions that read it */
    /* of the put in hand */
    struct segment_writer block;
    bool has_block;
    size_t mark; /* of log.pending before it */
    int64_t arrival_ms;
};

struct kinesis_stream {
    int64_t id; /* never used again */
    char name[KINESIS_NAME_MAX + 1];
    int64_t created_ms;
    int64_t retention_hours;
    int64_t max_record_kib;
    bool on_demand;
    bool is_deleted; /* gone for callers; freed with the last reference */
    struct kinesis_life life;
    struct kinesis_consumer *consumers; /* [owned] by name */
    uint32_t refs;                      /* of puts under way, and one while it is listed */
    struct kinesis_shard **shards;      /* [owned] by number; NULL: expired */
    size_t n_shards;
    struct kinesis_shard **open; /* [owned] the open ones in order of hash keys */
    size_t n_open;
};

struct kinesis_put;
struct kinesis_commit;
struct kinesis_fan;
struct kinesis_consumer;

/* A row of operations.c. */
struct kinesis_operation {
    const char *name;
    const struct check_member *members;
    void (*run)(struct kinesis_call *);
    uint16_t per_s;    /* calls; 0: as many as wanted */
    bool is_of_stream; /* of each stream, not of the account */
};
/* NULL: there is none of that name. */
const struct kinesis_operation *kinesis_operation(const char *name);
size_t kinesis_operation_number(const struct kinesis_operation *operation);

/* A record that GetRecords will answer with. */
struct kinesis_got {
    uint64_t index;
    int64_t arrival_ms;
    size_t at; /* in kinesis->raw */
};

struct kinesis {
    struct local *local;             /* [borrowed] */
    uint64_t tail_cut_bytes;         /* at the start, of all shards */
    int root;                        /* DIR/kinesis [owned] */
    struct kinesis_stream **streams; /* [owned] sorted by name */
    size_t n_streams, streams_cap;
    uint8_t key[KINESIS_KEY_SIZE]; /* of iterators and tokens, kept in state.db */
    struct kpw_hmac_key hmac;      /* made of it */
    uint64_t n_tokens;
    kp_timer *expire_timer, *flush_timer, *quiet_timer;
    bool is_busy;         /* since the quiet timer looked */
    kp_timer *life_timer; /* the next end of a status */
    int64_t life_at_ms;
    struct kinesis_bucket rates[KINESIS_OPERATIONS_MAX]; /* of the account */

    struct check check;
    struct kpw_buf out;
    struct write writer; /* on it, of the call in hand */
    struct kpw_buf raw;
    struct kinesis_got *got; /* [owned] KINESIS_GET_RECORDS */

    /* group commit */
    struct kinesis_put *waiting, **waiting_end; /* [owned] not in a write yet, in order */
    struct kinesis_put *committing;             /* [owned] in the write under way */
    struct log_write *writes;                   /* [owned] one per shard of that write */
    size_t n_writes, writes_cap;
    struct log_spares spares;
    bool is_committing;
    struct kinesis_commit *commit; /* [owned] of the pool's thread and this one */

    /* Called after log.readable of a shard has moved, and after a shard was closed: there may be
     * something to send. It may use `raw`, `got` and `out`; it must not free the shard's stream.
     * NULL: nobody waits. */
    void (*on_readable)(struct kinesis *k, struct kinesis_shard *shard);
};

/* One request. An operation answers with kinesis_answer() or kinesis_fail(), or keeps `x`. */
struct kinesis_call {
    struct kinesis *k;
    struct check *check; /* the members */
    kp_exchange *x;
    int64_t now_ms;
    bool is_cbor;    /* request and answer; JSON otherwise */
    bool has_origin; /* a browser asks: the answer says that it may */
};

/* ---- kinesis.c ---- */

#define KINESIS_CBOR_11 "application/x-amz-cbor-1.1"
/* The content type of the answer. */
const char *kinesis_media(const struct kinesis_call *call);

/* ---- door.c ---- */

/* The admit() of the service's row. */
bool kinesis_admit(struct local *local, kp_exchange *x, const kp_server_request *request,
                   const struct local_target *target);
/* The operation of a request that was admitted. Sets is_cbor and has_origin. */
const struct kinesis_operation *kinesis_enter(struct kinesis_call *call,
                                              const kp_server_request *request,
                                              const struct local_target *target);
/* local_answer(), with what a browser wants. */
void kinesis_respond(struct kinesis_call *call, const struct local_answer *answer);

/* ---- kinesis.c: answers ---- */

void kinesis_answer(struct kinesis_call *call); /* with k->out */
void kinesis_answer_empty(struct kinesis_call *call);
/* 400, or 500 for InternalFailure (then without text). Always false. */
bool kinesis_fail(struct kinesis_call *call, const char *type, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Out of memory or disk: InternalFailure. Always false. */
bool kinesis_trouble(struct kinesis_call *call, const char *what);
struct kpw_buf *kinesis_out(struct kinesis_call *call); /* k->out, emptied */
/* A writer on k->out, which it empties: JSON or CBOR, as the call wants it. */
struct write *kinesis_write(struct kinesis_call *call);

/* The stream by StreamName or StreamARN; NULL: answered. */
struct kinesis_stream *kinesis_find(struct kinesis_call *call);
/* The name in an ARN of a stream or of a consumer. */
struct kpw_slice kinesis_name_of_arn(struct kpw_slice arn);
/* The name that the two say; false: answered. */
bool kinesis_name(struct kinesis_call *call, struct kpw_slice *ret);
void kinesis_arn(struct kinesis *k, const struct kinesis_stream *stream, struct kpw_buf *out);
/* "StreamARN" */
void kinesis_write_arn(struct kinesis *k, const struct kinesis_stream *stream, struct write *w);

/* ---- state.c ---- */

bool kinesis_state_open(struct kinesis *k, char *why, size_t cap);
void kinesis_state_close(struct kinesis *k);
struct kinesis_stream *kinesis_stream_named(struct kinesis *k, struct kpw_slice name);
struct kinesis_stream *kinesis_stream_by_id(struct kinesis *k, int64_t id);
void kinesis_stream_unref(struct kinesis_stream *stream);
size_t kinesis_open_shards(const struct kinesis *k);

/* Makes the stream with `n` shards; false: disk or memory. `tags`: names and values. */
bool kinesis_stream_add(struct kinesis *k, const struct kinesis_stream *like, size_t n,
                        const struct kpw_slice *tags, size_t n_tags);
bool kinesis_stream_remove(struct kinesis *k, struct kinesis_stream *stream);
/* Writes retention, mode and record size. */
bool kinesis_stream_change(struct kinesis *k, const struct kinesis_stream *stream);

/* Closes `from` (one or two shards) and opens shards with the ranges of `to`; all or nothing. */
struct kinesis_reshard {
    struct kinesis_shard *from[2];
    size_t n_from;
    struct {
        kpw_u128 low, high;
    } to[2];
    size_t n_to;
};
bool kinesis_reshard(struct kinesis *k, const struct kinesis_reshard *reshard, int64_t now_ms);
/* The open shard of a hash key. */
struct kinesis_shard *kinesis_shard_of(const struct kinesis_stream *stream, kpw_u128 hash);
/* NULL: there is none. */
struct kinesis_shard *kinesis_shard_numbered(const struct kinesis_stream *stream, uint32_t number);
void kinesis_expire(struct kinesis *k);

/* ---- put.c ---- */

bool kinesis_put_open(struct kinesis *k);
void kinesis_put_close(struct kinesis *k);
void kinesis_put_record(struct kinesis_call *call);
void kinesis_put_records(struct kinesis_call *call);
/* Makes what was acknowledged without being written readable (durability memory); it calls
 * on_readable() if there was something. */
void kinesis_flush(struct kinesis *k, struct kinesis_shard *shard);
/* True if `cost` fits; takes it. */
bool kinesis_bucket_take(struct kinesis_bucket *bucket, int64_t now_ms, double rate, double cost);

/* ---- quiet.c: memory is given back some seconds after the last call of kinesis_busy() ---- */

bool kinesis_quiet_open(struct kinesis *k);
void kinesis_quiet_close(struct kinesis *k);
void kinesis_busy(struct kinesis *k);

/* ---- iterator.c, get.c ---- */

#define KINESIS_NO_PLACE UINT64_MAX

struct kinesis_cursor {
    int64_t stream;
    uint32_t shard;
    uint64_t index, time_s; /* the next record is this one or a later one */
    struct log_place place; /* of its block; segment KINESIS_NO_PLACE: to be searched */
};
/* What is read behind a cursor: the records are k->got[0..n), their bytes in k->raw until the next
 * fetch. The cursor then stands behind the last one. */
struct kinesis_fetch {
    struct kinesis *k;
    struct kinesis_shard *shard;
    struct kinesis_cursor *c;
    size_t limit, most; /* records, bytes; one record comes in any case */
    int64_t horizon_ms; /* older ones have expired */
    size_t n, bytes;    /* 0 at the start */
    size_t want;        /* of the next read */
};
/* False: the disk fails, a segment is broken, or no memory. */
bool kinesis_fetch(struct kinesis_fetch *f);
/* Appends the text of an iterator. */
void kinesis_cursor_seal(struct kinesis_call *call, const struct kinesis_stream *stream,
                         const struct kinesis_cursor *c, struct kpw_buf *out);
/* Reads the member ShardIterator. Returns its shard; NULL: answered. */
struct kinesis_shard *kinesis_cursor_open(struct kinesis_call *call, struct kinesis_cursor *c);
/* What GetShardIterator and SubscribeToShard say about a start. */
struct kinesis_position {
    const char *operation; /* for texts */
    struct kpw_slice type;
    const struct check_value *number, *time;
};
/* Fills the place of a cursor; false: answered. */
bool kinesis_start_at(struct kinesis_call *call, struct kinesis_shard *shard,
                      const struct kinesis_position *position, struct kinesis_cursor *c);
void kinesis_get_iterator(struct kinesis_call *call);
void kinesis_get_records(struct kinesis_call *call);

/* ---- token.c: texts that only this service can make ---- */

/* base64 of an authenticated text; `kind` keeps iterators and other tokens apart. */
void kinesis_seal(struct kinesis *k, char kind, int64_t now_ms, struct kpw_slice text,
                  struct kpw_buf *out);
/* `out` (cleared) gets the text, *ret_ms when it was sealed. */
bool kinesis_unseal(struct kinesis *k, char kind, struct kpw_slice token, struct kpw_buf *out,
                    int64_t *ret_ms);

/* ---- operations of the control plane ---- */

void kinesis_create_stream(struct kinesis_call *call);
void kinesis_delete_stream(struct kinesis_call *call);
void kinesis_describe_stream(struct kinesis_call *call);
void kinesis_describe_summary(struct kinesis_call *call);
void kinesis_list_streams(struct kinesis_call *call);
void kinesis_list_shards(struct kinesis_call *call);
void kinesis_split_shard(struct kinesis_call *call);
void kinesis_merge_shards(struct kinesis_call *call);
void kinesis_update_shard_count(struct kinesis_call *call);
void kinesis_increase_retention(struct kinesis_call *call);
void kinesis_decrease_retention(struct kinesis_call *call);
void kinesis_add_tags(struct kinesis_call *call);
void kinesis_remove_tags(struct kinesis_call *call);
void kinesis_list_tags(struct kinesis_call *call);
void kinesis_describe_limits(struct kinesis_call *call);
void kinesis_register_consumer(struct kinesis_call *call);
void kinesis_deregister_consumer(struct kinesis_call *call);
void kinesis_describe_consumer(struct kinesis_call *call);
void kinesis_list_consumers(struct kinesis_call *call);
void kinesis_subscribe(struct kinesis_call *call);
void kinesis_start_encryption(struct kinesis_call *call);
void kinesis_stop_encryption(struct kinesis_call *call);
void kinesis_enable_monitoring(struct kinesis_call *call);
void kinesis_disable_monitoring(struct kinesis_call *call);
void kinesis_put_policy(struct kinesis_call *call);
void kinesis_get_policy(struct kinesis_call *call);
void kinesis_delete_policy(struct kinesis_call *call);
void kinesis_tag_resource(struct kinesis_call *call);
void kinesis_untag_resource(struct kinesis_call *call);
void kinesis_list_resource_tags(struct kinesis_call *call);
void kinesis_update_mode(struct kinesis_call *call);
void kinesis_update_record_size(struct kinesis_call *call);
void kinesis_update_warm(struct kinesis_call *call);
void kinesis_describe_settings(struct kinesis_call *call);
void kinesis_update_settings(struct kinesis_call *call);

enum {
    KINESIS_TAGS_MAX = 50,                      /* of a stream or consumer */
    KINESIS_OWNER_SIZE = KINESIS_NAME_MAX + 16, /* "consumer NAME" and a NUL */
};
/* The characters of tags: `n` of the items of `v` are looked at; `owner`: "stream NAME"; `what`:
 * "add tags to". False: answered. */
bool kinesis_check_tags(struct kinesis_call *call, const char *owner, const struct check_value *v,
                        size_t n, const char *what);
bool kinesis_too_many_tags(struct kinesis_call *call, const char *owner); /* always false */
/* Open shards that the account may have. */
int kinesis_shard_limit(const struct kinesis *k);
/* So many more shards, one more on-demand stream, this warm throughput. False: answered. */
bool kinesis_within_shards(struct kinesis_call *call, size_t more);
bool kinesis_may_be_on_demand(struct kinesis_call *call);
bool kinesis_check_warm(struct kinesis_call *call, bool on_demand, int64_t mib);
/* "WarmThroughput" and its object; a list of metrics. */
void kinesis_write_warm(struct write *w, const struct kinesis_stream *stream);
void kinesis_write_metrics(struct write *w, const char *member, uint32_t metrics);

/* {"ShardId":...} as Describe and ListShards write it. */
void kinesis_write_shard(const struct kinesis_shard *shard, struct write *w);
/* "HashKeyRange":{...} */
void kinesis_write_range(const struct kinesis_shard *shard, struct write *w);

#endif
