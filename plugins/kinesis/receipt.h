/* receipt.h - the answer of PutRecords, entry by entry. [any] No kpipe call is made here. */
#ifndef KPIPE_KINESIS_RECEIPT_H
#define KPIPE_KINESIS_RECEIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct put_result {
    const char *shard, *sequence, *error, *message;           /* [borrowed from the text] */
    uint32_t shard_len, sequence_len, error_len, message_len; /* error_len 0: it was taken */
};

/* False: the text is no such answer, or not of `expected` entries, which is found out before any
 * call of `each` is made. */
bool put_results_parse(const char *text, size_t len, uint32_t expected,
                       void (*each)(void *, uint32_t i, const struct put_result *), void *arg);

#endif
