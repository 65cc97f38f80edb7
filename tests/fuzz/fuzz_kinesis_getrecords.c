/* fuzz_kinesis_getrecords.c - what the kinesis source reads: GetRecords, GetShardIterator,
 * ListShards and PutRecords answers.
 *
 * The parser of GetRecords works in place, so every entry is checked to lie inside the text, and
 * the text is a block of its exact size, for the address sanitizer.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/kinesis/answer.c"
#define read_member        read_member_cbor
#define read_children      read_children_cbor
#define read_record_member read_record_member_cbor
#define read_records       read_records_cbor
#define read_iterator      read_iterator_cbor
#include "plugins/kinesis/answer_cbor.c"
#undef read_member
#undef read_children
#undef read_record_member
#undef read_records
#undef read_iterator
#include "plugins/kinesis/listing.c"
#include "plugins/kinesis/receipt.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(const char *text, size_t size, const char *p, size_t len)
{
    if (len && (p < text || len > size || p > text + size - len))
        abort();
}

static void check_records(const uint8_t *data, size_t size)
{
    struct kinesis_answer answer = {0};
    char *text = malloc(size ? size : 1);

    memcpy(text, data, size);
    for (int round = 0; round < 2; round++) { /* the entries' memory is used again */
        memcpy(text, data, size);
        if (!kinesis_answer_parse(&answer, text, size))
            continue;
        for (size_t i = 0; i < answer.count; i++) {
            const struct kinesis_entry *e = &answer.entries[i];

            inside(text, size, e->data, e->data_len);
            inside(text, size, e->key, e->key_len);
            inside(text, size, e->sequence, e->sequence_len);
        }
        if (answer.next)
            inside(text, size, answer.next, answer.next_len);
    }
    kinesis_answer_fini(&answer);
    free(text);
}

static bool take_shard(void *arg, const struct listed_shard *shard)
{
    size_t *n = arg;

    *n += strlen(shard->id) + strlen(shard->parents[0]) + strlen(shard->parents[1]);
    return true;
}

static void take_result(void *arg, uint32_t i, const struct put_result *result)
{
    size_t *n = arg;

    *n += i + result->shard_len + result->sequence_len + result->error_len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1), iterator[64];
    struct listing_token token;
    size_t n = 0;

    check_records(data, size);
    memcpy(text, data, size);
    (void)kinesis_iterator_parse(text, size, iterator, sizeof(iterator));
    if (listing_parse(text, size, take_shard, &n, &token))
        listing_token_fini(&token);
    for (uint32_t expected = 1; expected < 4; expected++)
        (void)put_results_parse(text, size, expected, take_result, &n);
    free(text);
    return 0;
}
