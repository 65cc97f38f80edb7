/* lz4.c - liblz4's frame decoder, with skippable frames passed over and a limit on the output.
 *
 * The decoder reads skippable frames itself and then says "frame over", which is not what a reader
 * of one frame is after: the first four bytes of each frame are kept to tell the two apart.
 */
#include "sdk/wire/lz4.h"

#include <lz4frame.h>
#include <stdlib.h>

#define CHUNK 65536
#define HEAD  7 /* bytes of the shortest frame header */

struct kpw_lz4 {
    LZ4F_dctx *decoder; /* [owned] */
    bool all_frames;
    bool had_frame; /* one whole frame with content was read */
    bool has_limit;
    uint64_t limit, left;
    size_t want;      /* input bytes the decoder asked for; 0: at the start of a frame */
    uint32_t n_magic; /* bytes of the frame's magic seen; 0: between frames */
    uint8_t magic[4];
    enum kpw_lz4_result result; /* MORE, or what it ended with */
};

struct kpw_lz4 *kpw_lz4_new(bool all_frames, uint64_t limit)
{
    struct kpw_lz4 *lz = calloc(1, sizeof *lz);

    if (!lz)
        return NULL;
    lz->all_frames = all_frames;
    lz->has_limit = limit != 0;
    lz->limit = lz->left = limit;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&lz->decoder, LZ4F_VERSION))) {
        free(lz);
        return NULL;
    }
    return lz;
}

void kpw_lz4_free(struct kpw_lz4 *lz)
{
    if (!lz)
        return;
    LZ4F_freeDecompressionContext(lz->decoder);
    free(lz);
}

void kpw_lz4_reset(struct kpw_lz4 *lz)
{
    LZ4F_resetDecompressionContext(lz->decoder);
    lz->had_frame = false;
    lz->left = lz->limit;
    lz->want = 0;
    lz->n_magic = 0;
    lz->result = KPW_LZ4_MORE;
}

static bool is_skippable(const struct kpw_lz4 *lz)
{
    /* 0x184D2A50 to 0x184D2A5F, least significant byte first */
    return (lz->magic[0] & 0xf0) == 0x50 && lz->magic[1] == 0x2a && lz->magic[2] == 0x4d &&
           lz->magic[3] == 0x18;
}

static enum kpw_lz4_result failure(size_t code)
{
    return strcmp(LZ4F_getErrorName(code), "ERROR_allocation_failed") ? KPW_LZ4_CORRUPT
                                                                      : KPW_LZ4_NO_MEMORY;
}

static void note_magic(struct kpw_lz4 *lz, const char *at, size_t used)
{
    for (size_t i = 0; i < used && lz->n_magic < 4; i++)
        lz->magic[lz->n_magic++] = (uint8_t)at[i];
}

/* How many bytes one step may write: at the limit one, to see whether there is one too many. */
static size_t writable(const struct kpw_lz4 *lz, bool is_full, size_t room)
{
    if (is_full)
        return 1;
    return lz->has_limit && room > lz->left ? (size_t)lz->left : room;
}

static enum kpw_lz4_result end_frame(struct kpw_lz4 *lz)
{
    lz->had_frame |= !is_skippable(lz);
    lz->n_magic = 0;
    return lz->had_frame && !lz->all_frames ? KPW_LZ4_DONE : KPW_LZ4_MORE;
}

/* One step of the decoder. *ret_written is what it wrote at `out`. */
static enum kpw_lz4_result step(struct kpw_lz4 *lz, struct kpw_slice *in, char *out, size_t room,
                                size_t *ret_written)
{
    /* One block at a time: a decoder that fails keeps back what else it decoded in that call. */
    size_t want = lz->want ? lz->want : HEAD, used = in->len < want ? in->len : want;
    bool is_full = lz->has_limit && !lz->left;
    size_t written = writable(lz, is_full, room), hint;
    char probe; /* at the limit: takes the byte that is one too many */

    hint = LZ4F_decompress(lz->decoder, is_full ? &probe : out, &written, in->len ? in->ptr : "",
                           &used, NULL);
    if (LZ4F_isError(hint))
        return failure(hint);
    note_magic(lz, in->ptr, used);
    lz->want = hint;
    if (used) {
        in->ptr += used;
        in->len -= used;
    }
    if (is_full && written)
        return KPW_LZ4_TOO_LARGE;
    lz->left -= lz->has_limit ? written : 0;
    *ret_written = written;
    return hint || !lz->n_magic ? KPW_LZ4_MORE : end_frame(lz);
}

enum kpw_lz4_result kpw_lz4_read(struct kpw_lz4 *lz, struct kpw_slice *in, char *out, size_t room,
                                 size_t *ret_len)
{
    *ret_len = 0;
    while (lz->result == KPW_LZ4_MORE) {
        size_t had = in->len, written = 0;

        lz->result = step(lz, in, out + *ret_len, room - *ret_len, &written);
        *ret_len += written;
        /* stands still, or the room is used up */
        if ((in->len == had && !written) || (*ret_len == room && room))
            break;
    }
    if (lz->result == KPW_LZ4_MORE && lz->had_frame && !lz->n_magic && !in->len)
        return KPW_LZ4_DONE;
    return lz->result;
}

/* Reads into the buffer; at the limit of the buffer one byte more is one too many. */
static enum kpw_lz4_result read_into(struct kpw_lz4 *lz, struct kpw_slice *in, struct kpw_buf *out,
                                     size_t *ret_written)
{
    size_t room = out->limit && out->limit - out->len < CHUNK ? out->limit - out->len : CHUNK;
    char *to = kpw_buf_reserve(out, room), probe;
    enum kpw_lz4_result result;

    if (!to)
        return KPW_LZ4_NO_MEMORY;
    result = kpw_lz4_read(lz, in, room ? to : &probe, room ? room : 1, ret_written);
    if (!room && *ret_written)
        return KPW_LZ4_NO_MEMORY;
    out->len += *ret_written;
    return result;
}

enum kpw_lz4_result kpw_lz4_decode(struct kpw_buf *out, const void *ptr, size_t len,
                                   bool all_frames, uint64_t limit)
{
    struct kpw_lz4 *lz = kpw_lz4_new(all_frames, limit);
    struct kpw_slice in = {ptr, len};
    enum kpw_lz4_result result = lz ? KPW_LZ4_MORE : KPW_LZ4_NO_MEMORY;

    while (result == KPW_LZ4_MORE) {
        size_t had = in.len, written = 0;

        result = read_into(lz, &in, out, &written);
        if (result == KPW_LZ4_MORE && in.len == had && !written)
            result = KPW_LZ4_TRUNCATED;
    }
    if (result == KPW_LZ4_DONE && in.len)
        result = KPW_LZ4_CORRUPT; /* something behind the frame */
    kpw_lz4_free(lz);
    return result;
}

const char *kpw_lz4_text(enum kpw_lz4_result result)
{
    switch (result) {
    case KPW_LZ4_MORE: return "the LZ4 frame goes on";
    case KPW_LZ4_DONE: return "the LZ4 frame is whole";
    case KPW_LZ4_CORRUPT: return "the LZ4 data is damaged";
    case KPW_LZ4_TRUNCATED: return "the LZ4 data ends too early";
    case KPW_LZ4_TOO_LARGE: return "the decompressed data is larger than allowed";
    case KPW_LZ4_NO_MEMORY: return "no memory to decompress";
    }
    return "the LZ4 data is damaged";
}
