/* kinesis.h - the state of Kinesis Data Streams and one call under way: what the files here share.
 *
 *   kinesis.c        front door, table of operations   stream.c  create, describe, list ...
 *   state.c  streams and shards, SQLite        shards.c  ListShards, its filters
 *   put.c    PutRecord(s), group commit        split.c   split, merge, resize
 *   get.c    GetRecords                        tags.c    tags, retention
 *   iterator.c  GetShardIterator               token.c   sealed texts
 *   and below them check.h, seq.h, log.h, segment.h
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_KINESIS_H
#define KPIPE_LOCAL_AWS_KINESIS_H

#include "plugins/local-aws/kinesis/check.h"
#include "plugins/local-aws/kinesis/log.h"
#include "plugins/local-aws/kinesis/seq.h"
#include "plugins/local-aws/local.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/u128.h"

enum {
    KINESIS_NAME_MAX = 128,
    KINESIS_KEY_SIZE = 32,
    KINESIS_GET_RECORDS = 10000,
    KINESIS_GET_BYTES = 10 << 20,
    KINESIS_PUT_BYTES = 10 << 20,
    KINESIS_TOKEN_MS = 300000, /* life of iterators and NextTokens */
    KINESIS_SHARD_LIMIT = 500, /* open shards of the account */
    KINESIS_STREAM_SHARDS = 4, /* without ShardCount */
};

/* A token bucket of one second. */
struct kinesis_bucket {
    double level;
    int64_t at_ms;
    bool is_set;
};

struct kinesis_shard {
    struct kinesis_stream *stream; /* [borrowed] its owner */
    uint32_t number;
    uint64_t created_s;
    uint64_t closed_s; /* 0: open */
    kpw_u128 low, high;
    int64_t parent, adjacent; /* numbers, or -1 */
    struct log log;
    struct kinesis_bucket put_records, put_bytes, get_calls, get_bytes;
    struct kinesis_seq_writer seq; /* of answers to puts */
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
    bool is_deleted;               /* gone for callers; freed with the last reference */
    uint32_t refs;                 /* of puts under way, and one while it is listed */
    struct kinesis_shard **shards; /* [owned] by number; NULL: expired */
    size_t n_shards;
    struct kinesis_shard **open; /* [owned] the open ones in order of hash keys */
    size_t n_open;
};

struct kinesis_put;
struct kinesis_commit;

/* A record that GetRecords will answer with. */
struct kinesis_got {
    uint64_t index;
    int64_t arrival_ms;
    size_t at; /* in kinesis->raw */
};

struct kinesis {
    struct local *local;             /* [borrowed] */
    int root;                        /* DIR/kinesis [owned] */
    struct kinesis_stream **streams; /* [owned] sorted by name */
    size_t n_streams, streams_cap;
    uint8_t key[KINESIS_KEY_SIZE]; /* of iterators and tokens, kept in state.db */
    struct kpw_hmac_key hmac;      /* made of it */
    uint64_t n_tokens;
    kp_timer *expire_timer, *flush_timer;

    struct check check;
    struct kpw_buf out;
    struct kpw_buf raw;
    struct kinesis_got *got; /* [owned] KINESIS_GET_RECORDS */

    /* group commit */
    struct kinesis_put *waiting, **waiting_end; /* [owned] not in a write yet, in order */
    struct kinesis_put *committing;             /* [owned] in the write under way */
    struct log_write *writes;                   /* [owned] one per shard of that write */
    size_t n_writes, writes_cap;
    bool is_committing;
    struct kinesis_commit *commit; /* [owned] of the pool's thread and this one */
};

/* One request. An operation answers with kinesis_answer() or kinesis_fail(), or keeps `x`. */
struct kinesis_call {
    struct kinesis *k;
    struct check *check; /* the members */
    kp_exchange *x;
    int64_t now_ms;
};

/* ---- kinesis.c ---- */

void kinesis_answer(struct kinesis_call *call); /* with k->out */
void kinesis_answer_empty(struct kinesis_call *call);
/* 400, or 500 for InternalFailure (then without text). Always false. */
bool kinesis_fail(struct kinesis_call *call, const char *type, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Out of memory or disk: InternalFailure. Always false. */
bool kinesis_trouble(struct kinesis_call *call, const char *what);
struct kpw_buf *kinesis_out(struct kinesis_call *call); /* k->out, emptied */

/* The stream by StreamName or StreamARN; NULL: answered. */
struct kinesis_stream *kinesis_find(struct kinesis_call *call);
/* The name that the two say; false: answered. */
bool kinesis_name(struct kinesis_call *call, struct kpw_slice *ret);
void kinesis_arn(struct kinesis *k, const struct kinesis_stream *stream, struct kpw_buf *out);

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
/* Makes what was acknowledged without being written readable (durability memory). */
void kinesis_flush(struct kinesis *k, struct kinesis_shard *shard);
/* True if `cost` fits; takes it. */
bool kinesis_bucket_take(struct kinesis_bucket *bucket, int64_t now_ms, double rate, double cost);

/* ---- iterator.c, get.c ---- */

#define KINESIS_NO_PLACE UINT64_MAX

struct kinesis_cursor {
    int64_t stream;
    uint32_t shard;
    uint64_t index, time_s; /* the next record is this one or a later one */
    struct log_place place; /* of its block; segment KINESIS_NO_PLACE: to be searched */
};
/* Appends the text of an iterator. */
void kinesis_cursor_seal(struct kinesis_call *call, const struct kinesis_stream *stream,
                         const struct kinesis_cursor *c, struct kpw_buf *out);
/* Reads the member ShardIterator. Returns its shard; NULL: answered. */
struct kinesis_shard *kinesis_cursor_open(struct kinesis_call *call, struct kinesis_cursor *c);
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

/* {"ShardId":...} as Describe and ListShards write it. */
void kinesis_put_shard(const struct kinesis_shard *shard, struct kpw_buf *out);
/* "HashKeyRange":{...} */
void kinesis_put_range(const struct kinesis_shard *shard, struct kpw_buf *out);
/* Seconds with milliseconds. */
void kinesis_put_time(struct kpw_buf *out, int64_t ms);

#endif
