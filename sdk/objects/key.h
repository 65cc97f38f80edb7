/* key.h - object keys: Firehose prefixes, random names.
 *
 * A prefix is text with expressions: !{timestamp:PATTERN} (datetime.h),
 * !{firehose:random-string} and, in an error prefix, !{firehose:error-output-type}.
 * A prefix without any expression gets yyyy/MM/dd/HH/ behind it, with no slash in
 * between, as the service does.
 *
 * Owned by: who made it.   Threads: one at a time.
 */
#ifndef KPIPE_SDK_OBJECTS_KEY_H
#define KPIPE_SDK_OBJECTS_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KPO_KEY_MAX     1024 /* bytes of an object key, S3's limit */
#define KPO_UUID_LENGTH 36

/* True when `prefix` (NULL: none) is right; else `err` says why not. */
bool kpo_prefix_check(const char *prefix, bool for_errors, char *err, size_t err_size);

/* Evaluates a checked prefix at an instant. Returns the length; at most cap bytes are written. */
size_t kpo_prefix_format(const char *prefix, int64_t unix_ms, const char *error_type, char *out,
                         size_t cap);

/* PREFIX STREAM-VERSION-yyyy-MM-dd-HH-mm-ss-UUID EXTENSION, as Firehose names its objects. */
struct kpo_key {
    const char *prefix;    /* [borrowed] as in kpo_prefix_format() */
    const char *stream;    /* [borrowed] */
    int version;           /* */
    const char *extension; /* [borrowed] ".gz" or "" */
};
size_t kpo_key_format(const struct kpo_key *key, int64_t unix_ms, char *out, size_t cap);

/* A version 4 UUID in lower case, KPO_UUID_LENGTH bytes, not terminated. Unique, not secret. */
void kpo_uuid(char *out);
/* n characters of [A-Za-z0-9]. */
void kpo_random_text(char *out, size_t n);
/* 0 <= result < n, for jitter. */
uint64_t kpo_random_below(uint64_t n);

#endif
