/* hash.h - digests and checksums of the AWS protocols.
 *
 * SHA-256 and MD5 are libcrypto's, without its per-call lookup of providers; CRCs are ISA-L's.
 * No call allocates or fails.
 *
 * Threads: [any]; a state belongs to one thread at a time, a kpw_hmac_key may be shared for
 * reading.
 */
#ifndef KPIPE_WIRE_HASH_H
#define KPIPE_WIRE_HASH_H

#include "sdk/wire/slice.h"

#define KPW_MD5_SIZE    16
#define KPW_SHA256_SIZE 32
#define KPW_SHA256_HEX  64

/* SHA-256 of nothing, in hex. */
#define KPW_SHA256_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

void kpw_md5(const void *ptr, size_t len, uint8_t out[KPW_MD5_SIZE]);
void kpw_sha256(const void *ptr, size_t len, uint8_t out[KPW_SHA256_SIZE]);
/* 64 lower-case characters and a NUL. */
void kpw_sha256_hex(const void *ptr, size_t len, char out[KPW_SHA256_HEX + 1]);

/* out[i] is the digest of texts[i]. Eight at a time, side by side: for more than two texts it takes
 * a fraction of the time of one call each. */
void kpw_md5_many(const struct kpw_slice *texts, size_t n, uint8_t (*out)[KPW_MD5_SIZE]);

/* Piecewise. The states may be copied by assignment to fork a digest. */
struct kpw_sha256 {
    uint64_t opaque[14];
};
void kpw_sha256_init(struct kpw_sha256 *s);
void kpw_sha256_update(struct kpw_sha256 *s, const void *ptr, size_t len);
void kpw_sha256_final(struct kpw_sha256 *s, uint8_t out[KPW_SHA256_SIZE]);

struct kpw_md5 {
    uint64_t opaque[12];
};
void kpw_md5_init(struct kpw_md5 *s);
void kpw_md5_update(struct kpw_md5 *s, const void *ptr, size_t len);
void kpw_md5_final(struct kpw_md5 *s, uint8_t out[KPW_MD5_SIZE]);

/* An HMAC key as the two digest states it comes down to: signing then hashes the message only. */
struct kpw_hmac_key {
    struct kpw_sha256 inner, outer;
};
void kpw_hmac_key_init(struct kpw_hmac_key *key, const void *ptr, size_t len);
void kpw_hmac_sign(const struct kpw_hmac_key *key, const void *ptr, size_t len,
                   uint8_t out[KPW_SHA256_SIZE]);
void kpw_hmac_sha256(const void *key, size_t key_len, const void *ptr, size_t len,
                     uint8_t out[KPW_SHA256_SIZE]);

/* `crc` is 0 at the start and the last result to go on with. crc32: the one of gzip and zip,
 * crc32c: Castagnoli. */
uint32_t kpw_crc32(uint32_t crc, const void *ptr, size_t len);
uint32_t kpw_crc32c(uint32_t crc, const void *ptr, size_t len);

/* 2 * len lower-case characters; no NUL. Returns 2 * len. */
size_t kpw_hex(const void *ptr, size_t len, char *out);
/* Either case; len must be even. Writes len / 2 bytes. False: not hex. */
bool kpw_hex_decode(const void *ptr, size_t len, void *out);

/* Equal, in a time that depends on len only. */
bool kpw_equal_ct(const void *a, const void *b, size_t len);
/* Overwrites a secret so that no compiler leaves it out. */
void kpw_wipe(void *ptr, size_t len);

#endif
