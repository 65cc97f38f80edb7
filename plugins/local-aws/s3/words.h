/* words.h - texts of metadata as HTTP headers carry them (RFC 2047).
 *
 * What is not ASCII travels as =?UTF-8?B?...?= in answers; requests may use that form, or send the
 * bytes as they are: UTF-8, or Latin-1 when they are not UTF-8.
 *
 * Threads: any; nothing is shared.
 */
#ifndef KPIPE_LOCAL_AWS_S3_WORDS_H
#define KPIPE_LOCAL_AWS_S3_WORDS_H

#include "sdk/wire/slice.h"

/* Appends the text of a header's value, as UTF-8. A word that cannot be decoded, or that would
 * bring control characters in, stays as it is. */
void s3_words_decode(struct kpw_slice value, struct kpw_buf *out);
/* Appends the value of a header for a text. */
void s3_words_encode(struct kpw_slice text, struct kpw_buf *out);

#endif
