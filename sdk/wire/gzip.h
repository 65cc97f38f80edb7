/* gzip.h - writing gzip fast, and inflating without trusting the input.
 *
 * Writing is ISA-L level 2 (three to eight times zlib's speed at about zlib's level 1 to 3 size) or
 * libdeflate level 6 where size matters more. The same input gives the same bytes on one machine;
 * the header holds no time and no name. Reading is ISA-L too and stops at a limit that the caller
 * sets, so that a small body cannot fill the memory.
 *
 * Threads: [any]; a writer belongs to one thread at a time.
 */
#ifndef KPIPE_WIRE_GZIP_H
#define KPIPE_WIRE_GZIP_H

#include "sdk/wire/slice.h"

enum kpw_gzip_level {
    KPW_GZIP_FAST = 0, /* ISA-L level 2 */
    KPW_GZIP_BEST,     /* libdeflate level 6; one-shot only */
};

/* Appends one gzip member. False: no memory (or over the limit of `out`). */
bool kpw_gzip_compress(struct kpw_buf *out, const void *ptr, size_t len, enum kpw_gzip_level level);

/* ---- streaming writer (always KPW_GZIP_FAST) */

struct kpw_gzip; /* opaque; about 300 KiB */

struct kpw_gzip *kpw_gzip_new(void); /* [owned by caller] NULL: no memory */
void kpw_gzip_free(struct kpw_gzip *gz);
/* Ready for a new member; as good as new. */
void kpw_gzip_reset(struct kpw_gzip *gz);

/* Takes all of the input; compressed bytes come out when there are enough of them. False: `out`
 * failed, and the member is lost. */
bool kpw_gzip_append(struct kpw_gzip *gz, const void *ptr, size_t len, struct kpw_buf *out);
/* Everything appended so far can be read from what is in `out` now (a sync flush). */
bool kpw_gzip_flush(struct kpw_gzip *gz, struct kpw_buf *out);
/* Ends the member with its checksum. Afterwards only reset and free are allowed. */
bool kpw_gzip_finish(struct kpw_gzip *gz, struct kpw_buf *out);
/* Bytes appended since new or reset. */
uint64_t kpw_gzip_total_in(const struct kpw_gzip *gz);

/* The same into memory of the caller that is large enough: kpw_gzip_room() bytes suffice for
 * appending `more` bytes and finishing after it. Returns the bytes written. */
size_t kpw_gzip_room(const struct kpw_gzip *gz, size_t more);
size_t kpw_gzip_append_to(struct kpw_gzip *gz, const void *ptr, size_t len, char *out, size_t room);
size_t kpw_gzip_finish_to(struct kpw_gzip *gz, char *out, size_t room);

/* ---- inflating */

enum kpw_inflate_format {
    KPW_INFLATE_GZIP = 0, /* RFC 1952, one or more members, checksums proven */
    KPW_INFLATE_ZLIB,     /* RFC 1950, what HTTP calls "deflate" */
    KPW_INFLATE_RAW,      /* RFC 1951 */
};

enum kpw_inflate_result {
    KPW_INFLATE_OK = 0,
    KPW_INFLATE_CORRUPT,   /* not this format, a wrong checksum, or bytes behind the end */
    KPW_INFLATE_TRUNCATED, /* the input ends too early */
    KPW_INFLATE_TOO_LARGE, /* the output is longer than `limit` */
    KPW_INFLATE_NO_MEMORY,
};

/* Appends the inflated input; at most `limit` bytes, and never much more memory than that. When it
 * is not OK, `out` holds what was good up to there. */
enum kpw_inflate_result kpw_inflate(struct kpw_buf *out, const void *ptr, size_t len,
                                    enum kpw_inflate_format format, size_t limit);
/* "the gzip data is damaged" and so on. [static] */
const char *kpw_inflate_text(enum kpw_inflate_result result);

#endif
