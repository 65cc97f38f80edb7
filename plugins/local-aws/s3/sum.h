/* sum.h - S3's checksums and digests: CRC32, CRC32C, CRC64NVME, SHA1, SHA256, MD5.
 *
 * Threads: any; nothing is shared.
 */
#ifndef KPIPE_LOCAL_AWS_S3_SUM_H
#define KPIPE_LOCAL_AWS_S3_SUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum s3_algorithm {
    S3_SUM_NONE = 0,
    S3_CRC32,
    S3_CRC32C,
    S3_CRC64NVME,
    S3_SHA1,
    S3_SHA256,
    S3_MD5, /* the ETag; not one of the x-amz-checksum-* */
};

#define S3_SUM_RAW_MAX  32
#define S3_SUM_TEXT_MAX 48 /* base64 and its NUL */

struct s3_sum {
    enum s3_algorithm algorithm;
    uint64_t crc;
    void *digest; /* EVP_MD_CTX [owned], NULL for a CRC */
};

/* False: out of memory. */
bool s3_sum_init(struct s3_sum *sum, enum s3_algorithm algorithm);
void s3_sum_add(struct s3_sum *sum, const void *data, size_t len);
/* Ends it: writes the bytes, returns how many; the struct needs no fini afterwards. */
size_t s3_sum_end(struct s3_sum *sum, uint8_t raw[S3_SUM_RAW_MAX]);
void s3_sum_fini(struct s3_sum *sum); /* without a result; after s3_sum_end() it does nothing */

const char *s3_sum_name(enum s3_algorithm algorithm);             /* "CRC32C" */
const char *s3_sum_header(enum s3_algorithm algorithm);           /* "x-amz-checksum-crc32c" */
enum s3_algorithm s3_sum_named(const char *name, size_t len);     /* "crc32c", any case */
enum s3_algorithm s3_sum_of_header(const char *name, size_t len); /* S3_SUM_NONE: not one */
size_t s3_sum_length(enum s3_algorithm algorithm);                /* bytes of the value */

void s3_base64(const uint8_t *raw, size_t len, char *out); /* len / 3 * 4 + 5 bytes */
/* Exactly `want` bytes of base64, or false. */
bool s3_unbase64(const char *text, size_t len, uint8_t *raw, size_t want);
void s3_hex(const uint8_t *raw, size_t len, char *out); /* 2 * len + 1 bytes */

#endif
