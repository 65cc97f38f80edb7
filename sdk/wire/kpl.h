/* kpl.h - the aggregated records of the Kinesis Producer Library (KPL): many user records in one.
 *
 * F3 89 9A C2, a protobuf message AggregatedRecord, the MD5 of that message (16 bytes):
 *
 *   message AggregatedRecord { repeated string partition_key_table = 1;
 *                              repeated string explicit_hash_key_table = 2;
 *                              repeated Record records = 3; }
 *   message Record { required uint64 partition_key_index = 1;
 *                    optional uint64 explicit_hash_key_index = 2;
 *                    required bytes data = 3; repeated Tag tags = 4; }
 *
 * Source: aggregation-format.md of awslabs/amazon-kinesis-producer. A record that only looks like
 * an aggregate (digest, protobuf or an index is wrong) is a plain record, as KCL takes it.
 *
 * Threads: [any]; a reader or writer belongs to one thread at a time.
 */
#ifndef KPIPE_WIRE_KPL_H
#define KPIPE_WIRE_KPL_H

#include "sdk/wire/slice.h"

#define KPW_KPL_MAGIC    "\xF3\x89\x9A\xC2"
#define KPW_KPL_OVERHEAD 20 /* magic and digest */

/* Slices are [borrowed from the record that was read]. */
struct kpw_kpl_record {
    struct kpw_slice data;
    struct kpw_slice partition_key;
    struct kpw_slice explicit_hash_key; /* decimal; ptr NULL: none */
};

/* All zero is a reader that has read nothing yet. */
struct kpw_kpl_reader {
    struct kpw_kpl_record *records; /* [owned] what the last record gave, in order */
    size_t n;
    size_t cap;
    struct kpw_slice *keys, *hashes; /* [owned] the tables */
    size_t n_keys, keys_cap, n_hashes, hashes_cap;
};

/* Begins as an aggregate and is long enough for one; says nothing of its digest. */
static inline bool kpw_kpl_looks_like(const void *ptr, size_t len)
{
    return len > KPW_KPL_OVERHEAD && !memcmp(ptr, KPW_KPL_MAGIC, 4);
}

enum kpw_kpl_verdict {
    KPW_KPL_PLAIN,     /* no aggregate, or a damaged one */
    KPW_KPL_AGGREGATE, /* reader->records[0 .. n); n may be 0 */
    KPW_KPL_NO_MEMORY
};

/* Takes a record apart. The memory needed is bounded by its length: an item of a table takes two
 * bytes or more, a user record four. */
enum kpw_kpl_verdict kpw_kpl_read(struct kpw_kpl_reader *reader, const void *ptr, size_t len);
void kpw_kpl_reader_fini(struct kpw_kpl_reader *reader);

/* Makes an aggregate in the field order of KPL: both tables, then the records. All zero is an empty
 * one. Keys are put into a table once. */
struct kpw_kpl_writer {
    struct kpw_buf keys, hashes, records; /* fields 1, 2 and 3 as they go out */
    struct kpw_kpl_table {
        struct kpw_kpl_slot {
            uint32_t at, len; /* of the key in its buffer */
            uint32_t index;   /* in the table, and one more; 0: free */
        } * slots;            /* [owned] a power of two, half of them free at least */
        uint32_t n, cap;
    } key_table, hash_table;
    uint32_t n; /* user records */
};

/* Bytes of the aggregate if finished now: 20 and the three fields. */
static inline size_t kpw_kpl_size(const struct kpw_kpl_writer *w)
{
    return KPW_KPL_OVERHEAD + w->keys.len + w->hashes.len + w->records.len;
}

/* Bytes that `record` would add at most (as if its keys were not in the tables yet). */
size_t kpw_kpl_cost(const struct kpw_kpl_record *record);
/* Copies the record in. False: no memory; the writer may keep a key more than it needs. */
bool kpw_kpl_add(struct kpw_kpl_writer *w, const struct kpw_kpl_record *record);
/* Appends the aggregate to `out` (which may fail) and empties the writer, keeping its memory. */
void kpw_kpl_finish(struct kpw_kpl_writer *w, struct kpw_buf *out);
/* The same without the digest: `place` says of what it is, and its 16 bytes of room are behind
 * that. For digests of many aggregates at once (kpw_md5_many). */
struct kpw_kpl_place {
    size_t at, len; /* in `out` */
};
void kpw_kpl_finish_open(struct kpw_kpl_writer *w, struct kpw_buf *out,
                         struct kpw_kpl_place *ret_place);
void kpw_kpl_reset(struct kpw_kpl_writer *w); /* empties it and keeps its memory */
void kpw_kpl_writer_fini(struct kpw_kpl_writer *w);

#endif
