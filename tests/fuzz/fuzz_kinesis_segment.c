/* fuzz_kinesis_segment.c - reading the segment files of the local Kinesis.
 *
 * The input is a file: a head and blocks. Every record must lie inside of the block, every block
 * inside of the file; what was read is written again and must read the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/kinesis/segment.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(bool ok)
{
    if (!ok)
        abort();
}

/* Writes the block anew and compares. */
static void write_again(const struct segment_block *block, uint32_t generation, const char *text)
{
    struct kpw_buf buf = KPW_BUF_INIT;
    struct segment_writer writer;
    struct segment_record record;
    struct kpw_slice rest = block->body;

    segment_block_begin(&writer, &buf);
    for (uint32_t i = 0; i < block->count; i++) {
        char *to;

        same(segment_record_read(rest, &record));
        same(record.data.ptr + record.data.len <= block->body.ptr + block->body.len);
        to = segment_record_add(&writer, record.key, record.flags, record.data.len);
        same(to != NULL);
        if (record.data.len)
            memcpy(to, record.data.ptr, record.data.len);
        segment_record_end(&writer, record.data.len);
        rest = kpw_slice(rest.ptr + record.size, rest.len - record.size);
    }
    segment_block_end(&writer, generation, block->first_index, block->arrival_ms);
    same(buf.len == block->size);
    same(!memcmp(buf.ptr + 8, text + 8, 28)); /* all but the reserved bytes */
    same(!memcmp(buf.ptr + SEGMENT_BLOCK, text + SEGMENT_BLOCK, buf.len - SEGMENT_BLOCK));
    kpw_buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1);
    struct segment_head head = {0};
    struct segment_block block;
    size_t at = 0;

    memcpy(text, data, size);
    if (size >= SEGMENT_HEAD) {
        segment_head_read(text, &head);
        at = SEGMENT_HEAD;
    }
    for (int turn = 0; turn < 2; turn++) { /* as it is, then with the right checksum */
        size_t next = at;

        while (next < size) {
            struct kpw_slice rest = kpw_slice(text + next, size - next);
            uint32_t generation =
                rest.len >= SEGMENT_BLOCK ? get32(rest.ptr + 32) : head.generation;

            if (segment_block_peek(rest, generation, &block) != SEGMENT_OK)
                break;
            same(block.size <= rest.len);
            if (turn)
                put32(text + next + 4, kpw_crc32c(0, rest.ptr + 8, block.size - 8));
            if (segment_block_read(rest, generation, &block) == SEGMENT_OK)
                write_again(&block, generation, rest.ptr);
            next += block.size;
        }
    }
    free(text);
    return 0;
}
