/* fuzz_lz4.c - LZ4 frames whole and in pieces come to the same. The first byte is the length of the
 * pieces; its lowest bit says whether all frames are read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/wire/lz4.h"

#define LIMIT 300000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static enum kpw_lz4_result in_pieces(struct kpw_slice text, size_t step, bool all_frames,
                                     struct kpw_buf *out)
{
    struct kpw_lz4 *lz = kpw_lz4_new(all_frames, LIMIT);
    enum kpw_lz4_result result = KPW_LZ4_MORE;
    char room[1000];
    size_t n;

    must(lz != NULL);
    for (size_t at = 0; at < text.len && result <= KPW_LZ4_DONE; at += step) {
        struct kpw_slice piece = {text.ptr + at, text.len - at < step ? text.len - at : step};

        do {
            size_t had = piece.len;

            result = kpw_lz4_read(lz, &piece, room, sizeof room, &n);
            kpw_buf_append(out, room, n);
            must(result != KPW_LZ4_MORE || n || piece.len < had || !had);
        } while (result == KPW_LZ4_MORE && (piece.len || n == sizeof room));
        if (result == KPW_LZ4_DONE && !all_frames)
            break;
    }
    kpw_lz4_free(lz);
    return result == KPW_LZ4_MORE ? KPW_LZ4_TRUNCATED : result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool all_frames = size && (data[0] & 1);
    size_t step = size ? (size_t)data[0] + 1 : 1, len = size ? size - 1 : 0;
    struct kpw_buf whole = KPW_BUF_INIT, pieces = KPW_BUF_INIT;
    enum kpw_lz4_result one, two;
    char *text = malloc(len ? len : 1);

    must(text != NULL);
    memcpy(text, data + (size > 0), len);
    one = kpw_lz4_decode(&whole, text, len, all_frames, LIMIT);
    two = in_pieces(kpw_slice(text, len), step, all_frames, &pieces);
    must(whole.len <= LIMIT && pieces.len <= LIMIT);
    /* of one frame, decode() alone says that there is something behind it */
    if (one == two)
        must(one != KPW_LZ4_DONE || kpw_slice_eq(kpw_buf_slice(&whole), kpw_buf_slice(&pieces)));
    else
        must(!all_frames && one == KPW_LZ4_CORRUPT && two == KPW_LZ4_DONE);
    kpw_buf_fini(&whole);
    kpw_buf_fini(&pieces);
    free(text);
    return 0;
}
