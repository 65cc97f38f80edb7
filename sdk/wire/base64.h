/* base64.h - base64 of RFC 4648, standard and URL alphabets.
 *
 * AVX2 where the processor has it (found once, at run time), else a table. Decoding is strict:
 * no blanks or line ends, right padding, nothing behind it. Unused bits of the last character must
 * be zero (RFC 4648 section 3.5), so that a text has one decoding and bytes have one text.
 *
 * Threads: [any]
 */
#ifndef KPIPE_WIRE_BASE64_H
#define KPIPE_WIRE_BASE64_H

#include "sdk/wire/slice.h"

/* Length with padding; the room kpw_base64_encode() needs (no NUL is written). */
static inline size_t kpw_base64_encoded_len(size_t len)
{
    return (len / 3 + (len % 3 != 0)) * 4;
}

/* The room decoding needs at most. */
static inline size_t kpw_base64_decoded_max(size_t len)
{
    return len / 4 * 3 + 3;
}

/* Standard alphabet with padding. Returns the length written; `out` must not overlap the input. */
size_t kpw_base64_encode(const void *ptr, size_t len, char *out);
/* URL alphabet ('-' and '_'), with or without padding. */
size_t kpw_base64_encode_url(const void *ptr, size_t len, bool pad, char *out);
void kpw_base64_put(struct kpw_buf *buf, const void *ptr, size_t len);

/* Decodes a padded text of the standard alphabet; the room is kpw_base64_decoded_max(len), or len
 * when decoding in place (`out` == `ptr` is allowed, any other overlap is not). False: not base64;
 * the content of `out` is then undefined. */
bool kpw_base64_decode(const void *ptr, size_t len, void *out, size_t *ret_len);
/* URL alphabet; padding may be there or not. */
bool kpw_base64_decode_url(const void *ptr, size_t len, void *out, size_t *ret_len);
/* The exact decoded length of a padded text, from its length and last two characters only; 0 when
 * the length is impossible. What sizes checks use before the bytes are needed. */
size_t kpw_base64_decoded_len(const void *ptr, size_t len);

/* The processor-independent versions, for tests and comparisons. */
size_t kpw_base64_encode_scalar(const void *ptr, size_t len, char *out);
bool kpw_base64_decode_scalar(const void *ptr, size_t len, void *out, size_t *ret_len);

#endif
