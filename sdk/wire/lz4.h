/* lz4.h - reading LZ4 frames piece by piece.
 *
 * Takes the frame format (magic 0x184D2204) with every block size, linked or not, with or without
 * checksums, and passes over skippable frames. Legacy frames are refused. Checksums are proven.
 * Usually one frame is read and the reader stops behind it; `all_frames` goes on to the end.
 *
 * Threads: [any]; a reader belongs to one thread at a time.
 */
#ifndef KPIPE_WIRE_LZ4_H
#define KPIPE_WIRE_LZ4_H

#include "sdk/wire/slice.h"

enum kpw_lz4_result {
    KPW_LZ4_MORE = 0,  /* goes on: give more input or take the output and call again */
    KPW_LZ4_DONE,      /* the frame (of all_frames: a frame, and no input is left) is whole */
    KPW_LZ4_CORRUPT,   /* not LZ4, damaged, a wrong checksum; stays so */
    KPW_LZ4_TRUNCATED, /* kpw_lz4_decode() only: the input ends inside a frame */
    KPW_LZ4_TOO_LARGE, /* the output is longer than the limit; stays so */
    KPW_LZ4_NO_MEMORY,
};

struct kpw_lz4; /* opaque */

/* `limit`: output bytes allowed in all, 0 for any. [owned by caller] NULL: no memory. */
struct kpw_lz4 *kpw_lz4_new(bool all_frames, uint64_t limit);
void kpw_lz4_free(struct kpw_lz4 *lz);
void kpw_lz4_reset(struct kpw_lz4 *lz);

/* Reads from *in and moves it over what was used; writes at most `room` bytes and sets *ret_len.
 * MORE with *ret_len == room means that more output may be waiting: call again with new room even
 * if *in is empty. With all_frames, DONE means "complete if the input ends here"; calling again
 * with more input is fine. */
enum kpw_lz4_result kpw_lz4_read(struct kpw_lz4 *lz, struct kpw_slice *in, char *out, size_t room,
                                 size_t *ret_len);

/* The whole at once, appended to `out`. Bytes behind the first frame are an error unless
 * all_frames is set, then they must be frames too. */
enum kpw_lz4_result kpw_lz4_decode(struct kpw_buf *out, const void *ptr, size_t len,
                                   bool all_frames, uint64_t limit);
const char *kpw_lz4_text(enum kpw_lz4_result result); /* [static] */

#endif
