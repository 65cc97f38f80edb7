/* segment.c - heads, blocks and records of segment files. */
#include "plugins/local-aws/kinesis/segment.h"

#include <endian.h>
#include <string.h>

#include "sdk/wire/hash.h"

#define BLOCK_MAGIC UINT32_C(0x31424b4b) /* "KKB1" */

static void put16(char *at, uint16_t n)
{
    n = htole16(n);
    memcpy(at, &n, sizeof n);
}

static void put32(char *at, uint32_t n)
{
    n = htole32(n);
    memcpy(at, &n, sizeof n);
}

static void put64(char *at, uint64_t n)
{
    n = htole64(n);
    memcpy(at, &n, sizeof n);
}

static uint16_t get16(const char *at)
{
    uint16_t n;

    memcpy(&n, at, sizeof n);
    return le16toh(n);
}

static uint32_t get32(const char *at)
{
    uint32_t n;

    memcpy(&n, at, sizeof n);
    return le32toh(n);
}

static uint64_t get64(const char *at)
{
    uint64_t n;

    memcpy(&n, at, sizeof n);
    return le64toh(n);
}

void segment_head_write(const struct segment_head *head, char out[SEGMENT_HEAD])
{
    memset(out, 0, SEGMENT_HEAD);
    memcpy(out, "KPKSEG01", 8);
    put32(out + 8, head->shard);
    put32(out + 12, head->generation);
    put64(out + 16, head->created_s);
    put64(out + 24, head->first_index);
    put64(out + 32, (uint64_t)head->first_arrival_ms);
    put64(out + 40, head->stream);
    put32(out + 60, kpw_crc32c(0, out, 60));
}

bool segment_head_read(const char in[SEGMENT_HEAD], struct segment_head *ret)
{
    if (memcmp(in, "KPKSEG01", 8) != 0 || get32(in + 60) != kpw_crc32c(0, in, 60))
        return false;
    ret->shard = get32(in + 8);
    ret->generation = get32(in + 12);
    ret->created_s = get64(in + 16);
    ret->first_index = get64(in + 24);
    ret->first_arrival_ms = (int64_t)get64(in + 32);
    ret->stream = get64(in + 40);
    return true;
}

enum segment_result segment_block_peek(struct kpw_slice text, uint32_t generation,
                                       struct segment_block *ret)
{
    uint32_t body_len;

    ret->size = SEGMENT_BLOCK;
    if (text.len < SEGMENT_BLOCK)
        return SEGMENT_SHORT;
    body_len = get32(text.ptr + 8);
    ret->count = get32(text.ptr + 12);
    ret->first_index = get64(text.ptr + 16);
    ret->arrival_ms = (int64_t)get64(text.ptr + 24);
    if (get32(text.ptr) != BLOCK_MAGIC || get32(text.ptr + 32) != generation ||
        body_len > SEGMENT_BODY_MAX || !ret->count || ret->count > body_len / SEGMENT_RECORD ||
        ret->first_index > INT64_MAX || ret->arrival_ms < 0)
        return SEGMENT_BAD;
    ret->size = SEGMENT_BLOCK + (size_t)body_len;
    ret->body = kpw_slice(text.ptr + SEGMENT_BLOCK, body_len);
    return text.len < ret->size ? SEGMENT_SHORT : SEGMENT_OK;
}

enum segment_result segment_block_read(struct kpw_slice text, uint32_t generation,
                                       struct segment_block *ret)
{
    enum segment_result result = segment_block_peek(text, generation, ret);
    struct segment_record record;
    struct kpw_slice rest = ret->body;

    if (result != SEGMENT_OK)
        return result;
    if (get32(text.ptr + 4) != kpw_crc32c(0, text.ptr + 8, ret->size - 8))
        return SEGMENT_BAD;
    for (uint32_t i = 0; i < ret->count; i++) {
        if (!segment_record_read(rest, &record))
            return SEGMENT_BAD;
        rest = kpw_slice(rest.ptr + record.size, rest.len - record.size);
    }
    return rest.len ? SEGMENT_BAD : SEGMENT_OK;
}

bool segment_record_read(struct kpw_slice text, struct segment_record *ret)
{
    size_t data_len, key_len;

    if (text.len < SEGMENT_RECORD)
        return false;
    data_len = get32(text.ptr);
    key_len = get16(text.ptr + 4);
    if (data_len > text.len - SEGMENT_RECORD || key_len > text.len - SEGMENT_RECORD - data_len)
        return false;
    ret->flags = get16(text.ptr + 6);
    ret->key = kpw_slice(text.ptr + SEGMENT_RECORD, key_len);
    ret->data = kpw_slice(ret->key.ptr + key_len, data_len);
    ret->size = SEGMENT_RECORD + key_len + data_len;
    return true;
}

void segment_block_begin(struct segment_writer *w, struct kpw_buf *buf)
{
    *w = (struct segment_writer){.buf = buf, .start = buf->len};
    if (kpw_buf_reserve(buf, SEGMENT_BLOCK))
        buf->len += SEGMENT_BLOCK;
}

char *segment_record_add(struct segment_writer *w, struct kpw_slice key, uint16_t flags,
                         size_t data_room)
{
    char *at = kpw_buf_reserve(w->buf, SEGMENT_RECORD + key.len + data_room);

    if (!at)
        return NULL;
    put16(at + 4, (uint16_t)key.len);
    put16(at + 6, flags);
    if (key.len)
        memcpy(at + SEGMENT_RECORD, key.ptr, key.len);
    w->record = w->buf->len;
    w->buf->len += SEGMENT_RECORD + key.len;
    w->count++;
    return at + SEGMENT_RECORD + key.len;
}

void segment_record_end(struct segment_writer *w, size_t data_len)
{
    put32(w->buf->ptr + w->record, (uint32_t)data_len);
    w->buf->len += data_len;
}

void segment_block_end(struct segment_writer *w, uint32_t generation, uint64_t first_index,
                       int64_t arrival_ms)
{
    char *at = w->buf->ptr + w->start;
    size_t size = w->buf->len - w->start;

    if (w->buf->failed)
        return;
    put32(at, BLOCK_MAGIC);
    put32(at + 8, (uint32_t)(size - SEGMENT_BLOCK));
    put32(at + 12, w->count);
    put64(at + 16, first_index);
    put64(at + 24, (uint64_t)arrival_ms);
    put32(at + 32, generation);
    put32(at + 36, 0);
    put32(at + 4, kpw_crc32c(0, at + 8, size - 8));
}
