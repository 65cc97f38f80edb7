/* answer.h - a GetRecords answer, or an event of SubscribeToShard, as entries that point into its
 * own text, JSON or CBOR.
 *
 * The text is changed in place: of JSON, Data is base64-decoded where it stands (what comes out is
 * shorter) and escapes in keys are resolved. Nothing is allocated per record; the entries' memory
 * is used again.
 *
 * Owned by: one shard.   Threads: any, one at a time. No kpipe call is made: the fuzz target links
 * this file alone.
 */
#ifndef KPIPE_KINESIS_ANSWER_H
#define KPIPE_KINESIS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KINESIS_SEQUENCE_MAX 191 /* what a position takes */

/* One record of the stream. */
struct kinesis_entry {
    const char *data, *key, *sequence; /* [borrowed from the text] */
    uint32_t data_len, key_len, sequence_len;
    int64_t arrival_ms;
};

#define KINESIS_ANSWER_LACKS "a member is missing or of a wrong type"

struct kinesis_answer {
    struct kinesis_entry *entries; /* [owned] */
    size_t count, room;
    /* The next iterator, or of an event of fan-out the continuation [borrowed from the text]; NULL:
     * the shard ends here. */
    const char *next;
    size_t next_len;
    bool has_children; /* it named child shards: the shard ends here */
    int64_t behind_ms;
    const char *why; /* of a failed parse [static] */
};

/* False: the text is no answer of GetRecords; `why` says where. Entries are then undefined. */
bool kinesis_answer_parse(struct kinesis_answer *answer, char *text, size_t len);
/* The same of a text in CBOR; called by kinesis_answer_parse(). */
bool kinesis_answer_parse_cbor(struct kinesis_answer *answer, const char *text, size_t len);
/* Copies the entry behind the last one. False: out of memory. */
bool kinesis_answer_add(struct kinesis_answer *answer, const struct kinesis_entry *entry);
/* The ShardIterator of a GetShardIterator answer. */
bool kinesis_iterator_parse(const char *text, size_t len, char *out, size_t cap);
void kinesis_answer_fini(struct kinesis_answer *answer);

#endif
