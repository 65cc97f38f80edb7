/* answer.h - a GetRecords answer as entries that point into its own text.
 *
 * The text is changed in place: Data is base64-decoded where it stands (what comes out is shorter),
 * escapes in keys are resolved. Nothing is allocated per record; the entries' memory is used again.
 *
 * Owned by: one shard.   Threads: any, one at a time. No kpipe call is made: the fuzz target links
 * this file alone.
 */
#ifndef KPIPE_KINESIS_ANSWER_H
#define KPIPE_KINESIS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One record of the stream. */
struct kinesis_entry {
    const char *data, *key, *sequence; /* [borrowed from the text] */
    uint32_t data_len, key_len, sequence_len;
    int64_t arrival_ms;
};

struct kinesis_answer {
    struct kinesis_entry *entries; /* [owned] */
    size_t count, room;
    const char *next; /* the next iterator [borrowed from the text], NULL: the shard ends here */
    size_t next_len;
    int64_t behind_ms;
    char why[96]; /* of a failed parse */
};

/* False: the text is no answer of GetRecords; `why` says where. Entries are then undefined. */
bool kinesis_answer_parse(struct kinesis_answer *answer, char *text, size_t len);
/* The ShardIterator of a GetShardIterator answer. */
bool kinesis_iterator_parse(const char *text, size_t len, char *out, size_t cap);
void kinesis_answer_fini(struct kinesis_answer *answer);

#endif
