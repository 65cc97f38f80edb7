/* gzip.c - writing by ISA-L's streaming deflate or libdeflate, reading by ISA-L's inflate.
 *
 * ISA-L counts in 32 bits, so everything long goes to it in pieces. Level 2 collects up to TOKENS
 * literals and matches before it writes a block; that bounds what a writer can hold back, and with
 * it the room that is left to ask for.
 */
#include "sdk/wire/gzip.h"

#include <isa-l/igzip_lib.h>
#include <libdeflate.h>
#include <stdlib.h>

#define LEVEL         2
#define LEVEL_SIZE    ISAL_DEF_LVL2_MEDIUM
#define TOKENS        (LEVEL_SIZE / ISAL_DEF_LVL2_TOKEN_SIZE)
#define PIECE         ((uint32_t)1 << 30)
#define CHUNK         16384
#define INFLATE_CHUNK 65536

struct kpw_gzip {
    uint64_t total_in;
    struct isal_zstream stream;
    uint8_t level[LEVEL_SIZE];
};

struct kpw_gzip *kpw_gzip_new(void)
{
    struct kpw_gzip *gz = malloc(sizeof *gz);

    if (gz)
        kpw_gzip_reset(gz);
    return gz;
}

void kpw_gzip_free(struct kpw_gzip *gz)
{
    free(gz);
}

void kpw_gzip_reset(struct kpw_gzip *gz)
{
    gz->total_in = 0;
    isal_deflate_init(&gz->stream);
    gz->stream.next_in = NULL; /* init leaves the buffers to the caller */
    gz->stream.avail_in = 0;
    gz->stream.level = LEVEL;
    gz->stream.level_buf = gz->level;
    gz->stream.level_buf_size = sizeof gz->level;
    gz->stream.gzip_flag = IGZIP_GZIP;
}

uint64_t kpw_gzip_total_in(const struct kpw_gzip *gz)
{
    return gz->total_in;
}

/* Compresses into `room` bytes at `out` until the input is used up or the room; returns the bytes
 * written. */
static size_t deflate_into(struct kpw_gzip *gz, char *out, size_t room)
{
    uint32_t some = room > PIECE ? PIECE : (uint32_t)room;

    gz->stream.next_out = (uint8_t *)out;
    gz->stream.avail_out = some;
    isal_deflate(&gz->stream);
    return some - gz->stream.avail_out;
}

/* Output goes through the stack: against a limit of `out` then counts what was really written. */
static bool deflate_put(struct kpw_gzip *gz, struct kpw_buf *out)
{
    char chunk[CHUNK];
    size_t n;

    do {
        n = deflate_into(gz, chunk, sizeof chunk);
        kpw_buf_append(out, chunk, n);
    } while (!out->failed && (gz->stream.avail_in || n == sizeof chunk));
    return !out->failed;
}

static void give_input(struct kpw_gzip *gz, const char **at, size_t *len)
{
    uint32_t some = *len > PIECE ? PIECE : (uint32_t)*len;

    /* ISA-L takes no const and does not write there */
    gz->stream.next_in = (uint8_t *)(uintptr_t)*at;
    gz->stream.avail_in = some;
    gz->total_in += some;
    *at += some;
    *len -= some;
}

bool kpw_gzip_append(struct kpw_gzip *gz, const void *ptr, size_t len, struct kpw_buf *out)
{
    const char *at = ptr;

    while (len) {
        give_input(gz, &at, &len);
        if (!deflate_put(gz, out))
            return false;
    }
    return !out->failed;
}

bool kpw_gzip_flush(struct kpw_gzip *gz, struct kpw_buf *out)
{
    bool ok;

    gz->stream.flush = SYNC_FLUSH;
    ok = deflate_put(gz, out);
    gz->stream.flush = NO_FLUSH;
    return ok;
}

bool kpw_gzip_finish(struct kpw_gzip *gz, struct kpw_buf *out)
{
    gz->stream.end_of_stream = 1;
    return deflate_put(gz, out);
}

/* The worst that input can become: 9 bits for a literal and 32 for a match of at least three bytes,
 * which half as much again covers, and the code tables of a block. */
static size_t worst(uint64_t len)
{
    return (size_t)(len + len / 2 + 2 * ISAL_DEF_MAX_HDR_SIZE);
}

size_t kpw_gzip_room(const struct kpw_gzip *gz, size_t more)
{
    /* held back: tokens not yet written, at 4 bytes each, and input looked ahead at */
    uint64_t held = (uint64_t)TOKENS * 4 + 2 * ISAL_LOOK_AHEAD;

    if (gz->total_in < held)
        held = gz->total_in;
    return worst(held) + worst(more) + 64;
}

size_t kpw_gzip_append_to(struct kpw_gzip *gz, const void *ptr, size_t len, char *out, size_t room)
{
    const char *at = ptr;
    size_t written = 0, n;

    while (len) {
        give_input(gz, &at, &len);
        do {
            n = deflate_into(gz, out + written, room - written);
            written += n;
            if (gz->stream.avail_in && !n)
                abort(); /* less room than kpw_gzip_room(): going on would lose bytes */
        } while (gz->stream.avail_in);
    }
    return written;
}

size_t kpw_gzip_finish_to(struct kpw_gzip *gz, char *out, size_t room)
{
    size_t written = 0;

    gz->stream.end_of_stream = 1;
    while (gz->stream.internal_state.state != ZSTATE_END) {
        size_t n = deflate_into(gz, out + written, room - written);

        if (!n && gz->stream.internal_state.state != ZSTATE_END)
            abort(); /* see above */
        written += n;
    }
    return written;
}

/* ---- at once */

static bool compress_fast(struct kpw_buf *out, const void *ptr, size_t len)
{
    struct kpw_gzip *gz = kpw_gzip_new();
    bool ok;

    if (!gz) {
        out->failed = true;
        return false;
    }
    ok = kpw_gzip_append(gz, ptr, len, out) && kpw_gzip_finish(gz, out);
    kpw_gzip_free(gz);
    return ok;
}

static bool compress_best(struct kpw_buf *out, const void *ptr, size_t len)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(6);
    char *room = NULL;
    size_t bound, n = 0;

    if (!compressor)
        goto out;
    bound = libdeflate_gzip_compress_bound(compressor, len);
    /* not into `out`: its limit is about what is written, not about the worst case */
    if (!(room = malloc(bound)))
        goto out;
    n = libdeflate_gzip_compress(compressor, len ? ptr : "", len, room, bound);
out:
    if (n)
        kpw_buf_append(out, room, n);
    else
        out->failed = true;
    free(room);
    libdeflate_free_compressor(compressor);
    return !out->failed;
}

bool kpw_gzip_compress(struct kpw_buf *out, const void *ptr, size_t len, enum kpw_gzip_level level)
{
    if (out->failed)
        return false;
    return level == KPW_GZIP_BEST ? compress_best(out, ptr, len) : compress_fast(out, ptr, len);
}

/* ---- inflating */

struct inflater {
    struct inflate_state state;
    const char *at;
    size_t len, left; /* input to come, output allowed */
    enum kpw_inflate_format format;
};

/* Bytes not yet used; those that ISA-L took into its bit buffer in advance go back first. */
static size_t unused(struct inflater *in)
{
    uint32_t ahead = (uint32_t)in->state.read_in_length / 8;

    /* also over the border of two pieces: they lie behind each other */
    in->state.next_in -= ahead;
    in->state.avail_in += ahead;
    in->state.read_in_length -= (int32_t)ahead * 8;
    return in->state.avail_in + in->len;
}

/* False: not the beginning of a member. ISA-L does not look at the reserved flags, which RFC 1952
 * section 2.3.1.2 wants refused. */
static bool begin_member(struct inflater *in)
{
    static const uint32_t flags[] = {
        [KPW_INFLATE_GZIP] = ISAL_GZIP,
        [KPW_INFLATE_ZLIB] = ISAL_ZLIB,
        [KPW_INFLATE_RAW] = ISAL_DEFLATE,
    };
    const char *at = in->state.avail_in ? (const char *)in->state.next_in : in->at;

    if (in->format == KPW_INFLATE_GZIP && in->state.avail_in + in->len > 3 && (at[3] & 0xe0))
        return false;
    isal_inflate_reset(&in->state);
    in->state.crc_flag = flags[in->format];
    return true;
}

/* How much may be written next: 0 at the limit, that of the caller or that of the buffer. */
static uint32_t room_of(const struct inflater *in, const struct kpw_buf *out)
{
    size_t room = in->left;

    if (out->limit && room > out->limit - out->len)
        room = out->limit - out->len;
    return room > INFLATE_CHUNK ? INFLATE_CHUNK : (uint32_t)room;
}

/* Inflates some more. False: broken, or no memory; a failure of `out` says which. At a limit
 * *ret_over tells whether there is one byte more. */
static bool inflate_some(struct inflater *in, struct kpw_buf *out, bool *ret_over)
{
    uint32_t room = room_of(in, out);
    char *to = kpw_buf_reserve(out, room), probe;
    uint32_t written;
    int result;

    if (!to)
        return false;
    if (!in->state.avail_in) {
        in->state.next_in = (uint8_t *)(uintptr_t)in->at;
        in->state.avail_in = in->len > PIECE ? PIECE : (uint32_t)in->len;
        in->at = in->at ? in->at + in->state.avail_in : NULL;
        in->len -= in->state.avail_in;
    }
    in->state.next_out = (uint8_t *)(room ? to : &probe);
    in->state.avail_out = room ? room : 1;
    result = isal_inflate(&in->state);
    written = (room ? room : 1) - in->state.avail_out;
    *ret_over = !room && written;
    if (room) {
        out->len += written;
        in->left -= written;
    }
    return result >= 0 && result != ISAL_NEED_DICT;
}

static enum kpw_inflate_result inflate_all(struct inflater *in, struct kpw_buf *out)
{
    for (;;) {
        bool is_over = false;

        if (!inflate_some(in, out, &is_over))
            return out->failed ? KPW_INFLATE_NO_MEMORY : KPW_INFLATE_CORRUPT;
        if (is_over)
            return in->left ? KPW_INFLATE_NO_MEMORY : KPW_INFLATE_TOO_LARGE;
        if (in->state.block_state == ISAL_BLOCK_FINISH) {
            if (!unused(in))
                return KPW_INFLATE_OK;
            if (in->format != KPW_INFLATE_GZIP || !begin_member(in))
                return KPW_INFLATE_CORRUPT;
        } else if (in->state.avail_out && !in->state.avail_in && !in->len) {
            return KPW_INFLATE_TRUNCATED;
        }
    }
}

enum kpw_inflate_result kpw_inflate(struct kpw_buf *out, const void *ptr, size_t len,
                                    enum kpw_inflate_format format, size_t limit)
{
    struct inflater *in = malloc(sizeof *in); /* about 90 KiB: too much for a coroutine's stack */
    enum kpw_inflate_result result;

    if (!in)
        return KPW_INFLATE_NO_MEMORY;
    isal_inflate_init(&in->state);
    in->state.next_in = NULL;
    in->state.avail_in = 0;
    in->at = ptr;
    in->len = len;
    in->left = limit;
    in->format = format;
    result = begin_member(in) ? inflate_all(in, out) : KPW_INFLATE_CORRUPT;
    free(in);
    return result;
}

const char *kpw_inflate_text(enum kpw_inflate_result result)
{
    switch (result) {
    case KPW_INFLATE_OK: return "the compressed data is whole";
    case KPW_INFLATE_CORRUPT: return "the compressed data is damaged";
    case KPW_INFLATE_TRUNCATED: return "the compressed data ends too early";
    case KPW_INFLATE_TOO_LARGE: return "the decompressed data is larger than allowed";
    case KPW_INFLATE_NO_MEMORY: return "no memory to decompress";
    }
    return "the compressed data is damaged";
}
