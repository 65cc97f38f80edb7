/* seq.h - sequence numbers and shard ids as texts.
 *
 * A sequence number is an integer of 47 hex digits, written as 56 decimal ones: 2, creation second
 * of the shard (9), low digit of the shard's number (1), index of the record (16), 00, second of
 * the record (9), number of the shard (8), version 2. The index counts up within a shard and stands
 * above the time, so the order of numbers is the order of writing.
 *
 * Threads: [any]
 */
#ifndef KPIPE_LOCAL_AWS_KINESIS_SEQ_H
#define KPIPE_LOCAL_AWS_KINESIS_SEQ_H

#include <stdbool.h>
#include <stdint.h>

#include "sdk/wire/slice.h"

#define KINESIS_SEQ_LEN  56
#define KINESIS_SEQ_SIZE 57                           /* with the NUL */
#define KINESIS_SEQ_END  UINT64_C(0x7fffffffffffffff) /* index of a closed shard's end */
#define KINESIS_SHARD_ID 21                           /* "shardId-000000000000" and a NUL */

struct kinesis_seq {
    uint64_t created_s; /* of the shard, below 2^36 */
    uint64_t index;
    uint64_t time_s; /* of the record, below 2^36 */
    uint32_t shard;
};

/* Writes numbers in a row: the next index at the same time costs an addition, not a division.
 * All zero at the start. */
struct kinesis_seq_writer {
    uint64_t limbs[3]; /* base 10^19, lowest first */
    struct kinesis_seq last;
    bool is_set;
};
/* 56 digits, no NUL. */
void kinesis_seq_write(struct kinesis_seq_writer *w, const struct kinesis_seq *seq,
                       char out[KINESIS_SEQ_LEN]);
/* One number, with the NUL. */
void kinesis_seq_format(const struct kinesis_seq *seq, char out[KINESIS_SEQ_SIZE]);

enum kinesis_seq_kind {
    KINESIS_SEQ_INVALID = 0,
    KINESIS_SEQ_OK,
    KINESIS_SEQ_OLD, /* version 0 ("0", "5"): only `shard` is set */
};
enum kinesis_seq_kind kinesis_seq_parse(struct kpw_slice text, struct kinesis_seq *ret);

/* "shardId-000000000017" */
void kinesis_shard_id(uint32_t shard, char out[KINESIS_SHARD_ID]);
/* Lenient like the service: what is behind the first '-' (or all) must be digits, 2^31 - 1 at
 * most. */
bool kinesis_shard_parse(struct kpw_slice text, uint32_t *ret);

#endif
