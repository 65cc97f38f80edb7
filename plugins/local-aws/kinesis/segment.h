/* segment.h - how records lie in a segment file.
 *
 *   file   head (64 bytes), then blocks up to its end
 *   head   "KPKSEG01", shard u32, generation u32, shard created u64 (s), first index u64,
 *          first arrival i64 (ms), stream u64, zeros, crc32c of all before u32
 *   block  magic u32, crc32c of the rest u32, body length u32, count u32, first index u64,
 *          arrival i64 (ms), generation u32, zero u32, then the body
 *   body   per record: data length u32, key length u16, flags u16, key, data
 *
 * All numbers are little-endian. A block is what one request wrote to one shard (more than one
 * above 1 MiB): its records have one arrival time and consecutive indexes. The generation of head
 * and blocks is the same, so that old bytes of a file used again would never count.
 *
 * Threads: [any]; no state.   Not here: files (log.c).
 */
#ifndef KPIPE_LOCAL_AWS_KINESIS_SEGMENT_H
#define KPIPE_LOCAL_AWS_KINESIS_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "sdk/wire/slice.h"

enum {
    SEGMENT_HEAD = 64,
    SEGMENT_BLOCK = 40,          /* bytes before a block's body */
    SEGMENT_RECORD = 8,          /* bytes before a record's key */
    SEGMENT_BODY_MAX = 16 << 20, /* larger is not ours */
    SEGMENT_KEY_ESCAPED = 1,     /* flag: the key must be escaped in JSON */
    SEGMENT_KMS = 2,             /* flag: the stream was encrypted */
};

struct segment_head {
    uint32_t shard, generation;
    uint64_t created_s, first_index, stream;
    int64_t first_arrival_ms;
};
void segment_head_write(const struct segment_head *head, char out[SEGMENT_HEAD]);
bool segment_head_read(const char in[SEGMENT_HEAD], struct segment_head *ret);

struct segment_block {
    uint32_t count;
    uint64_t first_index;
    int64_t arrival_ms;
    struct kpw_slice body; /* [borrowed] */
    size_t size;           /* of the whole block */
};

enum segment_result {
    SEGMENT_OK = 0,
    SEGMENT_SHORT, /* ret->size bytes (at least) are needed */
    SEGMENT_BAD,
};
/* Reads a block's front only: size, count, first index, arrival. */
enum segment_result segment_block_peek(struct kpw_slice text, uint32_t generation,
                                       struct segment_block *ret);
/* Reads and proves a whole block: its checksum and the lengths inside. */
enum segment_result segment_block_read(struct kpw_slice text, uint32_t generation,
                                       struct segment_block *ret);

struct segment_record {
    struct kpw_slice key, data; /* [borrowed] */
    uint16_t flags;
    size_t size; /* with its front */
};
/* The record at the start of `text`; false: there is none. */
bool segment_record_read(struct kpw_slice text, struct segment_record *ret);

/* ---- writing: begin, records, end; all on one buffer, which says when memory ran out */

struct segment_writer {
    struct kpw_buf *buf; /* [borrowed] */
    size_t start;        /* of the block */
    size_t record;       /* of the last record */
    uint32_t count;
};
void segment_block_begin(struct segment_writer *w, struct kpw_buf *buf);
/* A record: returns where its data goes (data_room bytes), which record_end() then counts.
 * NULL: out of memory. */
char *segment_record_add(struct segment_writer *w, struct kpw_slice key, uint16_t flags,
                         size_t data_room);
void segment_record_end(struct segment_writer *w, size_t data_len);
void segment_block_end(struct segment_writer *w, uint32_t generation, uint64_t first_index,
                       int64_t arrival_ms);

#endif
