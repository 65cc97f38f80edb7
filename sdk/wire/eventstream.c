/* eventstream.c - the reader proves a message before it shows any of it. */
#include "sdk/wire/eventstream.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/utf8.h"

enum { PRELUDE = 12, TAIL = 4, NAME_MAX_LEN = 255, VALUE_MAX = 65535, UUID_SIZE = 16 };

/* ---- numbers */

static uint32_t get32(const char *at)
{
    const uint8_t *p = (const uint8_t *)at;

    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void set32(char *at, uint32_t n)
{
    at[0] = (char)(n >> 24);
    at[1] = (char)(n >> 16);
    at[2] = (char)(n >> 8);
    at[3] = (char)n;
}

/* A signed number of `size` bytes. */
static int64_t get_signed(const char *at, size_t size)
{
    uint64_t n = (uint8_t)at[0] & 0x80 ? UINT64_MAX : 0;

    for (size_t i = 0; i < size; i++)
        n = n << 8 | (uint8_t)at[i];
    return (int64_t)n;
}

/* Bytes of a value of fixed size; BYTES and STRING: of their length. */
static size_t value_size(enum kpw_event_type type)
{
    static const uint8_t sizes[] = {0, 0, 1, 2, 4, 8, 2, 2, 8, UUID_SIZE};

    return sizes[type];
}

static bool has_length(enum kpw_event_type type)
{
    return type == KPW_EVENT_BYTES || type == KPW_EVENT_STRING;
}

/* ---- headers */

bool kpw_event_header_next(struct kpw_slice *rest, struct kpw_event_header *ret)
{
    const char *at = rest->ptr, *end = at + rest->len;
    size_t name, size;

    *ret = (struct kpw_event_header){0};
    if (!rest->len)
        return false;
    name = (uint8_t)*at++;
    if (!name || (size_t)(end - at) < name + 1)
        return false;
    ret->name = kpw_slice(at, name);
    at += name;
    if ((uint8_t)*at > KPW_EVENT_UUID)
        return false;
    ret->type = (enum kpw_event_type)(uint8_t)*at++;
    size = value_size(ret->type);
    if ((size_t)(end - at) < size)
        return false;
    if (has_length(ret->type)) {
        size = (size_t)(uint8_t)at[0] << 8 | (uint8_t)at[1];
        at += 2;
        if ((size_t)(end - at) < size)
            return false;
        ret->value = kpw_slice(at, size);
    } else if (ret->type == KPW_EVENT_UUID) {
        ret->value = kpw_slice(at, size);
    } else {
        ret->number = size ? get_signed(at, size) : ret->type == KPW_EVENT_TRUE;
    }
    *rest = kpw_slice(at + size, (size_t)(end - at) - size);
    return true;
}

struct kpw_slice kpw_event_string(const struct kpw_event *event, const char *name)
{
    struct kpw_slice rest = event->headers;
    struct kpw_event_header header;

    while (kpw_event_header_next(&rest, &header))
        if (header.type == KPW_EVENT_STRING && kpw_slice_is(header.name, name))
            return header.value;
    return kpw_slice(NULL, 0);
}

static bool are_headers(struct kpw_slice rest)
{
    struct kpw_event_header header;

    while (kpw_event_header_next(&rest, &header))
        if (!kpw_utf8_valid(header.name.ptr, header.name.len) ||
            (header.type == KPW_EVENT_STRING &&
             !kpw_utf8_valid(header.value.ptr, header.value.len)))
            return false;
    return !rest.len;
}

/* ---- reader */

void kpw_event_reader_init(struct kpw_event_reader *r, size_t limit)
{
    *r = (struct kpw_event_reader){.limit = limit};
}

void kpw_event_reader_fini(struct kpw_event_reader *r)
{
    kpw_buf_fini(&r->buf);
    r->is_done = false;
}

static enum kpw_event_result fail(struct kpw_event_reader *r, const char *error)
{
    r->error = error;
    return KPW_EVENT_ERROR;
}

/* The size of the message that the twelve bytes begin; 0: failed. */
static size_t check_prelude(struct kpw_event_reader *r, const char *at)
{
    size_t total = get32(at), headers = get32(at + 4);

    if (get32(at + 8) != kpw_crc32(0, at, 8))
        r->error = "the checksum of the prelude is wrong";
    else if (total < KPW_EVENT_OVERHEAD || headers > total - KPW_EVENT_OVERHEAD)
        r->error = "the lengths do not fit";
    else if (headers > KPW_EVENT_HEADERS_MAX)
        r->error = "the headers are too long";
    else if (total > r->limit)
        r->error = "the message is too long";
    return r->error ? 0 : total;
}

/* A whole message, whose prelude is proven. */
static enum kpw_event_result check_message(struct kpw_event_reader *r, struct kpw_slice message,
                                           struct kpw_event *ret)
{
    size_t headers = get32(message.ptr + 4), body = message.len - TAIL;

    if (get32(message.ptr + body) != kpw_crc32(0, message.ptr, body))
        return fail(r, "the checksum of the message is wrong");
    ret->headers = kpw_slice(message.ptr + PRELUDE, headers);
    ret->payload = kpw_slice(message.ptr + PRELUDE + headers, body - PRELUDE - headers);
    ret->size = message.len;
    return are_headers(ret->headers) ? KPW_EVENT_OK : fail(r, "a header is broken");
}

static void take(struct kpw_slice *piece, size_t n)
{
    *piece = kpw_slice(piece->ptr + n, piece->len - n);
}

/* Moves bytes of the piece into the buffer until that holds `want`. */
static bool collect(struct kpw_event_reader *r, struct kpw_slice *piece, size_t want)
{
    size_t n = want - r->buf.len < piece->len ? want - r->buf.len : piece->len;

    if (!n)
        return r->buf.len == want;
    kpw_buf_append(&r->buf, piece->ptr, n);
    take(piece, n);
    return !r->buf.failed && r->buf.len == want;
}

static enum kpw_event_result read_collected(struct kpw_event_reader *r, struct kpw_slice *piece,
                                            struct kpw_event *ret)
{
    size_t total;

    if (r->buf.len < PRELUDE && !collect(r, piece, PRELUDE))
        return r->buf.failed ? fail(r, "out of memory") : KPW_EVENT_MORE;
    total = check_prelude(r, r->buf.ptr);
    if (!total)
        return KPW_EVENT_ERROR;
    if (!collect(r, piece, total))
        return r->buf.failed ? fail(r, "out of memory") : KPW_EVENT_MORE;
    r->is_done = true;
    return check_message(r, kpw_buf_slice(&r->buf), ret);
}

enum kpw_event_result kpw_event_read(struct kpw_event_reader *r, struct kpw_slice *piece,
                                     struct kpw_event *ret)
{
    struct kpw_slice message;
    size_t total;

    *ret = (struct kpw_event){{NULL, 0}, {NULL, 0}, 0};
    if (r->error)
        return KPW_EVENT_ERROR;
    if (r->is_done) {
        r->is_done = false;
        kpw_buf_clear(&r->buf);
    }
    if (r->buf.len || piece->len < PRELUDE)
        return piece->len ? read_collected(r, piece, ret) : KPW_EVENT_MORE;
    total = check_prelude(r, piece->ptr);
    if (!total)
        return KPW_EVENT_ERROR;
    if (total > piece->len)
        return read_collected(r, piece, ret);
    message = kpw_slice(piece->ptr, total);
    take(piece, total);
    return check_message(r, message, ret);
}

size_t kpw_event_pending(const struct kpw_event_reader *r)
{
    return r->is_done ? 0 : r->buf.len;
}

/* ---- writer */

void kpw_event_begin(struct kpw_event_writer *w, struct kpw_buf *buf)
{
    *w = (struct kpw_event_writer){.buf = buf, .start = buf->len};
    if (kpw_buf_reserve(buf, PRELUDE))
        buf->len += PRELUDE;
}

void kpw_event_put_header(struct kpw_event_writer *w, const struct kpw_event_header *header)
{
    size_t name = header->name.len, value = header->value.len, size = value_size(header->type);
    struct kpw_buf *buf = w->buf;
    uint64_t number = has_length(header->type) ? value : (uint64_t)header->number;

    if (!name || name > NAME_MAX_LEN || w->payload ||
        (has_length(header->type) && value > VALUE_MAX) ||
        (header->type == KPW_EVENT_UUID && value != UUID_SIZE)) {
        buf->failed = true;
        return;
    }
    kpw_buf_putc(buf, (char)name);
    kpw_buf_put_slice(buf, header->name);
    kpw_buf_putc(buf, (char)header->type);
    if (header->type != KPW_EVENT_UUID)
        for (size_t i = size; i-- > 0;)
            kpw_buf_putc(buf, (char)(number >> 8 * i));
    kpw_buf_put_slice(buf, header->value);
}

void kpw_event_put_string(struct kpw_event_writer *w, const char *name, struct kpw_slice value)
{
    kpw_event_put_header(w, &(struct kpw_event_header){.name = kpw_slice_cstr(name),
                                                       .type = KPW_EVENT_STRING,
                                                       .value = value});
}

void kpw_event_payload(struct kpw_event_writer *w)
{
    w->payload = w->buf->len;
}

void kpw_event_end(struct kpw_event_writer *w)
{
    struct kpw_buf *buf = w->buf;
    size_t headers, total;
    char *at;

    if (!w->payload)
        kpw_event_payload(w);
    at = kpw_buf_reserve(buf, TAIL);
    if (!at)
        return;
    headers = w->payload - w->start - PRELUDE;
    total = buf->len - w->start + TAIL;
    if (total > UINT32_MAX || headers > KPW_EVENT_HEADERS_MAX) {
        buf->failed = true;
        return;
    }
    at = buf->ptr + w->start;
    set32(at, (uint32_t)total);
    set32(at + 4, (uint32_t)headers);
    set32(at + 8, kpw_crc32(0, at, 8));
    set32(at + total - TAIL, kpw_crc32(0, at, total - TAIL));
    buf->len += TAIL;
}
