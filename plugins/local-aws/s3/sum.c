/* sum.c - S3's checksums and digests. */
#include "plugins/local-aws/s3/sum.h"

#include <isa-l/crc.h>
#include <limits.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

static const struct {
    const char *name, *header;
    size_t length;
} table[] = {
    [S3_SUM_NONE] = {"", "", 0},
    [S3_CRC32] = {"CRC32", "x-amz-checksum-crc32", 4},
    [S3_CRC32C] = {"CRC32C", "x-amz-checksum-crc32c", 4},
    [S3_CRC64NVME] = {"CRC64NVME", "x-amz-checksum-crc64nvme", 8},
    [S3_SHA1] = {"SHA1", "x-amz-checksum-sha1", 20},
    [S3_SHA256] = {"SHA256", "x-amz-checksum-sha256", 32},
    [S3_MD5] = {"MD5", "", 16},
};

const char *s3_sum_name(enum s3_algorithm algorithm)
{
    return table[algorithm].name;
}

const char *s3_sum_header(enum s3_algorithm algorithm)
{
    return table[algorithm].header;
}

size_t s3_sum_length(enum s3_algorithm algorithm)
{
    return table[algorithm].length;
}

enum s3_algorithm s3_sum_named(const char *name, size_t len)
{
    for (int a = S3_CRC32; a <= S3_SHA256; a++)
        if (strlen(table[a].name) == len && strncasecmp(table[a].name, name, len) == 0)
            return (enum s3_algorithm)a;
    return S3_SUM_NONE;
}

enum s3_algorithm s3_sum_of_header(const char *name, size_t len)
{
    static const char prefix[] = "x-amz-checksum-";
    size_t n = sizeof(prefix) - 1;

    if (len <= n || strncasecmp(name, prefix, n) != 0)
        return S3_SUM_NONE;
    return s3_sum_named(name + n, len - n);
}

/* ---- CRC-64/NVME, eight bytes at a time ---- */

struct crc64_tables {
    uint64_t t[8][256];
};

static const struct crc64_tables *crc64_tables(void)
{
    static _Thread_local struct crc64_tables tables;

    if (tables.t[0][1] != 0)
        return &tables;
    for (unsigned i = 0; i < 256; i++) {
        uint64_t crc = i;

        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT64_C(0x9A6C9329AC4BC9B5) : 0);
        tables.t[0][i] = crc;
    }
    for (unsigned i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            tables.t[k][i] = tables.t[k - 1][i] >> 8 ^ tables.t[0][tables.t[k - 1][i] & 0xFF];
    return &tables;
}

static uint64_t crc64nvme(uint64_t crc, const uint8_t *p, size_t len)
{
    const struct crc64_tables *tables = crc64_tables();

    for (; len >= 8; len -= 8, p += 8) {
        uint64_t word = 0;

        for (int i = 7; i >= 0; i--)
            word = word << 8 | p[i];
        word ^= crc;
        crc = 0;
        for (int i = 0; i < 8; i++)
            crc ^= tables->t[7 - i][word >> (8 * i) & 0xFF];
    }
    for (; len > 0; len--, p++)
        crc = crc >> 8 ^ tables->t[0][(crc ^ *p) & 0xFF];
    return crc;
}

/* ---- one interface ---- */

bool s3_sum_init(struct s3_sum *sum, enum s3_algorithm algorithm)
{
    const EVP_MD *md = algorithm == S3_SHA1     ? EVP_sha1()
                       : algorithm == S3_SHA256 ? EVP_sha256()
                       : algorithm == S3_MD5    ? EVP_md5()
                                                : NULL;

    *sum = (struct s3_sum){algorithm, 0, NULL};
    if (algorithm == S3_CRC32C || algorithm == S3_CRC64NVME)
        sum->crc = UINT64_MAX;
    if (!md)
        return true;
    sum->digest = EVP_MD_CTX_new();
    if (sum->digest && EVP_DigestInit_ex(sum->digest, md, NULL) == 1)
        return true;
    s3_sum_fini(sum);
    return false;
}

void s3_sum_add(struct s3_sum *sum, const void *data, size_t len)
{
    const uint8_t *p = data;

    if (sum->digest) {
        EVP_DigestUpdate(sum->digest, data, len);
        return;
    }
    if (sum->algorithm == S3_CRC64NVME)
        sum->crc = crc64nvme(sum->crc, p, len);
    while (len > 0 && (sum->algorithm == S3_CRC32 || sum->algorithm == S3_CRC32C)) {
        size_t n = len < INT_MAX / 2 ? len : INT_MAX / 2; /* both take an int or less */

        if (sum->algorithm == S3_CRC32)
            sum->crc = crc32((uLong)sum->crc, p, (uInt)n);
        else
            sum->crc = crc32_iscsi((unsigned char *)p, (int)n, (unsigned)sum->crc);
        p += n;
        len -= n;
    }
}

size_t s3_sum_end(struct s3_sum *sum, uint8_t raw[S3_SUM_RAW_MAX])
{
    size_t n = table[sum->algorithm].length;
    uint64_t crc = sum->algorithm == S3_CRC32 ? sum->crc : ~sum->crc;

    if (sum->digest) {
        EVP_DigestFinal_ex(sum->digest, raw, NULL);
        s3_sum_fini(sum);
        return n;
    }
    for (size_t i = 0; i < n; i++)
        raw[n - 1 - i] = (uint8_t)(crc >> (8 * i));
    return n;
}

void s3_sum_fini(struct s3_sum *sum)
{
    EVP_MD_CTX_free(sum->digest);
    sum->digest = NULL;
}

void s3_base64(const uint8_t *raw, size_t len, char *out)
{
    out[0] = '\0';
    if (len > 0)
        EVP_EncodeBlock((unsigned char *)out, raw, (int)len);
}

static bool is_base64_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

bool s3_unbase64(const char *text, size_t len, uint8_t *raw, size_t want)
{
    uint8_t out[S3_SUM_RAW_MAX + 8];
    size_t pad = (3 - want % 3) % 3;

    if (len != (want + 2) / 3 * 4 || want > S3_SUM_RAW_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (i < len - pad ? !is_base64_char(text[i]) : text[i] != '=')
            return false;
    if (EVP_DecodeBlock(out, (const unsigned char *)text, (int)len) < 0)
        return false;
    memcpy(raw, out, want);
    return true;
}

void s3_hex(const uint8_t *raw, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[raw[i] >> 4];
        out[2 * i + 1] = digits[raw[i] & 15];
    }
    out[2 * len] = '\0';
}
