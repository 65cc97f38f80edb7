/* test_wire_hash.c - digests and checksums with the answers of their standards. */
#include <stdlib.h>

#include "sdk/wire/hash.h"
#include "tests/kptest.h"

static const char *hex(const void *ptr, size_t len)
{
    static char out[4][2 * KPW_SHA256_SIZE + 1];
    static int at;

    at = (at + 1) % 4;
    out[at][kpw_hex(ptr, len, out[at])] = '\0';
    return out[at];
}

/* FIPS 180-4 examples (NIST CSRC) */
TEST(sha256_has_the_digests_of_its_standard)
{
    const char *two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    char text[KPW_SHA256_HEX + 1], *million;

    kpw_sha256_hex("", 0, text);
    EQ_STR(text, KPW_SHA256_EMPTY);
    kpw_sha256_hex(NULL, 0, text);
    EQ_STR(text, KPW_SHA256_EMPTY);
    kpw_sha256_hex("abc", 3, text);
    EQ_STR(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    kpw_sha256_hex(two_blocks, strlen(two_blocks), text);
    EQ_STR(text, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    million = malloc(1000000);
    REQUIRE(million != NULL);
    memset(million, 'a', 1000000);
    kpw_sha256_hex(million, 1000000, text);
    EQ_STR(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

/* RFC 1321 appendix A.5 */
TEST(md5_has_the_digests_of_its_rfc)
{
    uint8_t digest[KPW_MD5_SIZE];

    kpw_md5("", 0, digest);
    EQ_STR(hex(digest, sizeof digest), "d41d8cd98f00b204e9800998ecf8427e");
    kpw_md5("message digest", 14, digest);
    EQ_STR(hex(digest, sizeof digest), "f96b697d7cb7938d525a2f31aaf161d0");
    kpw_md5("12345678901234567890123456789012345678901234567890123456789012345678901234567890", 80,
            digest);
    EQ_STR(hex(digest, sizeof digest), "57edf4a22be3c955ac49da2e2107b67a");
}

TEST(a_digest_does_not_depend_on_the_pieces)
{
    uint8_t data[300], whole[KPW_SHA256_SIZE], parts[KPW_SHA256_SIZE];
    uint8_t whole5[KPW_MD5_SIZE], parts5[KPW_MD5_SIZE];

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    kpw_sha256(data, sizeof data, whole);
    kpw_md5(data, sizeof data, whole5);
    for (size_t step = 1; step < 140; step += 3) {
        struct kpw_sha256 sha, fork;
        struct kpw_md5 md5;

        kpw_sha256_init(&sha);
        kpw_md5_init(&md5);
        for (size_t i = 0; i < sizeof data; i += step) {
            size_t n = sizeof data - i < step ? sizeof data - i : step;

            fork = sha; /* a copy goes on like the original */
            kpw_sha256_update(&fork, "other", 5);
            kpw_sha256_update(&sha, data + i, n);
            kpw_md5_update(&md5, data + i, n);
        }
        kpw_sha256_update(&sha, NULL, 0);
        kpw_sha256_final(&sha, parts);
        kpw_md5_final(&md5, parts5);
        YES(!memcmp(whole, parts, sizeof whole));
        YES(!memcmp(whole5, parts5, sizeof whole5));
    }
}

/* RFC 4231 test cases 1, 2, 6 and 7 */
TEST(hmac_has_the_codes_of_its_rfc)
{
    uint8_t key[131], out[KPW_SHA256_SIZE];
    const char *long_text = "This is a test using a larger than block-size key and a larger than "
                            "block-size data. The key needs to be hashed before being used by the "
                            "HMAC algorithm.";

    memset(key, 0x0b, 20);
    kpw_hmac_sha256(key, 20, "Hi There", 8, out);
    EQ_STR(hex(out, sizeof out),
           "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    kpw_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out);
    EQ_STR(hex(out, sizeof out),
           "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    kpw_hmac_sha256(key, sizeof key, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
                    out);
    EQ_STR(hex(out, sizeof out),
           "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    kpw_hmac_sha256(key, sizeof key, long_text, strlen(long_text), out);
    EQ_STR(hex(out, sizeof out),
           "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

TEST(an_hmac_key_can_be_used_again)
{
    struct kpw_hmac_key key;
    uint8_t first[KPW_SHA256_SIZE], again[KPW_SHA256_SIZE], empty[KPW_SHA256_SIZE];

    kpw_hmac_key_init(&key, "Jefe", 4);
    kpw_hmac_sign(&key, "what do ya want for nothing?", 28, first);
    kpw_hmac_sign(&key, "other", 5, again);
    YES(memcmp(first, again, sizeof first) != 0);
    kpw_hmac_sign(&key, "what do ya want for nothing?", 28, again);
    YES(!memcmp(first, again, sizeof first));
    kpw_hmac_key_init(&key, NULL, 0);
    kpw_hmac_sign(&key, NULL, 0, empty);
    EQ_STR(hex(empty, sizeof empty),
           "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

/* "123456789" is the check value of the CRC catalogue; the others of RFC 3720 appendix B.4 */
TEST(checksums_have_their_known_values)
{
    uint8_t zeros[32] = {0}, rising[32];

    for (size_t i = 0; i < sizeof rising; i++)
        rising[i] = (uint8_t)i;
    EQ_INT(kpw_crc32(0, "123456789", 9), 0xcbf43926);
    EQ_INT(kpw_crc32(kpw_crc32(0, "1234", 4), "56789", 5), 0xcbf43926);
    EQ_INT(kpw_crc32(0, NULL, 0), 0);
    EQ_INT(kpw_crc32(7, "", 0), 7);
    EQ_INT(kpw_crc32c(0, "123456789", 9), 0xe3069283);
    EQ_INT(kpw_crc32c(kpw_crc32c(0, "123", 3), "456789", 6), 0xe3069283);
    EQ_INT(kpw_crc32c(0, zeros, sizeof zeros), 0x8a9136aa);
    EQ_INT(kpw_crc32c(0, rising, sizeof rising), 0x46dd794e);
    EQ_INT(kpw_crc32c(0, NULL, 0), 0);
    EQ_INT(kpw_crc32c(7, "", 0), 7);
}

TEST(hex_goes_both_ways)
{
    uint8_t bytes[256], back[256];
    char text[512];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    EQ_INT(kpw_hex(bytes, sizeof bytes, text), 512);
    YES(!memcmp(text, "000102", 6) && !memcmp(text + 506, "fdfeff", 6));
    YES(kpw_hex_decode(text, sizeof text, back));
    YES(!memcmp(bytes, back, sizeof bytes));
    YES(kpw_hex_decode("aBCdEf", 6, back));
    YES(!memcmp(back, "\xab\xcd\xef", 3));
    YES(kpw_hex_decode("", 0, back));
    NO(kpw_hex_decode("abc", 3, back));
    NO(kpw_hex_decode("0g", 2, back));
    NO(kpw_hex_decode("g0", 2, back));
    NO(kpw_hex_decode("0x", 2, back));
    NO(kpw_hex_decode(" 0", 2, back));
    NO(kpw_hex_decode("\x10\x11", 2, back)); /* digits but for one bit */
}

TEST(secrets_are_compared_and_wiped)
{
    char secret[16] = "0123456789abcde";

    YES(kpw_equal_ct("same", "same", 4));
    NO(kpw_equal_ct("same", "samE", 4));
    NO(kpw_equal_ct("same", "Same", 4));
    YES(kpw_equal_ct(NULL, NULL, 0));
    kpw_wipe(secret, sizeof secret);
    for (size_t i = 0; i < sizeof secret; i++)
        EQ_INT(secret[i], 0);
    kpw_wipe(NULL, 0);
}
