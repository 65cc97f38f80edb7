/* hash.c - digests through libcrypto's low-level calls, checksums through ISA-L.
 *
 * The low-level calls are deprecated in favour of EVP, whose one-shot form looks a provider up
 * under a lock and allocates for each digest: three times dearer for the short texts of SigV4. They
 * run the same assembly and exist in every 3.x release.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "sdk/wire/hash.h"

#include <isa-l/crc.h>
#include <openssl/crypto.h>
#include <openssl/md5.h>
#include <openssl/sha.h>

_Static_assert(sizeof(struct kpw_sha256) >= sizeof(SHA256_CTX), "room for the state");
_Static_assert(sizeof(struct kpw_md5) >= sizeof(MD5_CTX), "room for the state");

#define SHA_BLOCK 64

void kpw_sha256_init(struct kpw_sha256 *s)
{
    SHA256_Init((SHA256_CTX *)(void *)s->opaque);
}

void kpw_sha256_update(struct kpw_sha256 *s, const void *ptr, size_t len)
{
    if (len)
        SHA256_Update((SHA256_CTX *)(void *)s->opaque, ptr, len);
}

void kpw_sha256_final(struct kpw_sha256 *s, uint8_t out[KPW_SHA256_SIZE])
{
    SHA256_Final(out, (SHA256_CTX *)(void *)s->opaque);
}

void kpw_sha256(const void *ptr, size_t len, uint8_t out[KPW_SHA256_SIZE])
{
    struct kpw_sha256 s;

    kpw_sha256_init(&s);
    kpw_sha256_update(&s, ptr, len);
    kpw_sha256_final(&s, out);
}

void kpw_sha256_hex(const void *ptr, size_t len, char out[KPW_SHA256_HEX + 1])
{
    uint8_t digest[KPW_SHA256_SIZE];

    kpw_sha256(ptr, len, digest);
    out[kpw_hex(digest, sizeof digest, out)] = '\0';
}

void kpw_md5_init(struct kpw_md5 *s)
{
    MD5_Init((MD5_CTX *)(void *)s->opaque);
}

void kpw_md5_update(struct kpw_md5 *s, const void *ptr, size_t len)
{
    if (len)
        MD5_Update((MD5_CTX *)(void *)s->opaque, ptr, len);
}

void kpw_md5_final(struct kpw_md5 *s, uint8_t out[KPW_MD5_SIZE])
{
    MD5_Final(out, (MD5_CTX *)(void *)s->opaque);
}

void kpw_md5(const void *ptr, size_t len, uint8_t out[KPW_MD5_SIZE])
{
    struct kpw_md5 s;

    kpw_md5_init(&s);
    kpw_md5_update(&s, ptr, len);
    kpw_md5_final(&s, out);
}

/* ---- HMAC, RFC 2104 */

void kpw_hmac_key_init(struct kpw_hmac_key *key, const void *ptr, size_t len)
{
    uint8_t block[SHA_BLOCK] = {0};

    if (len > SHA_BLOCK)
        kpw_sha256(ptr, len, block);
    else if (len)
        memcpy(block, ptr, len);
    for (size_t i = 0; i < SHA_BLOCK; i++)
        block[i] ^= 0x36;
    kpw_sha256_init(&key->inner);
    kpw_sha256_update(&key->inner, block, SHA_BLOCK);
    for (size_t i = 0; i < SHA_BLOCK; i++)
        block[i] ^= 0x36 ^ 0x5c;
    kpw_sha256_init(&key->outer);
    kpw_sha256_update(&key->outer, block, SHA_BLOCK);
    kpw_wipe(block, sizeof block);
}

void kpw_hmac_sign(const struct kpw_hmac_key *key, const void *ptr, size_t len,
                   uint8_t out[KPW_SHA256_SIZE])
{
    struct kpw_sha256 s = key->inner;

    kpw_sha256_update(&s, ptr, len);
    kpw_sha256_final(&s, out);
    s = key->outer;
    kpw_sha256_update(&s, out, KPW_SHA256_SIZE);
    kpw_sha256_final(&s, out);
}

void kpw_hmac_sha256(const void *key, size_t key_len, const void *ptr, size_t len,
                     uint8_t out[KPW_SHA256_SIZE])
{
    struct kpw_hmac_key state;

    kpw_hmac_key_init(&state, key, key_len);
    kpw_hmac_sign(&state, ptr, len, out);
    kpw_wipe(&state, sizeof state);
}

/* ---- checksums */

uint32_t kpw_crc32(uint32_t crc, const void *ptr, size_t len)
{
    return len ? crc32_gzip_refl(crc, ptr, len) : crc;
}

uint32_t kpw_crc32c(uint32_t crc, const void *ptr, size_t len)
{
    const unsigned char *at = ptr;

    crc = ~crc;
    while (len) {
        /* ISA-L takes an int and no const */
        int n = len > (1 << 30) ? 1 << 30 : (int)len;

        crc = crc32_iscsi((unsigned char *)(uintptr_t)at, n, crc);
        at += n;
        len -= (size_t)n;
    }
    return ~crc;
}

/* ---- hex and secrets */

size_t kpw_hex(const void *ptr, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *in = ptr;

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    return 2 * len;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool kpw_hex_decode(const void *ptr, size_t len, void *out)
{
    const char *in = ptr;
    uint8_t *to = out;

    if (len % 2)
        return false;
    for (size_t i = 0; i < len; i += 2) {
        int high = hex_digit(in[i]), low = hex_digit(in[i + 1]);

        if (high < 0 || low < 0)
            return false;
        to[i / 2] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool kpw_equal_ct(const void *a, const void *b, size_t len)
{
    return !len || !CRYPTO_memcmp(a, b, len);
}

void kpw_wipe(void *ptr, size_t len)
{
    if (len)
        OPENSSL_cleanse(ptr, len);
}
