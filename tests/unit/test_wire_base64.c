/* test_wire_base64.c - RFC 4648 vectors, strictness, and both versions against each other. */
#include <stdlib.h>

#include "sdk/wire/base64.h"
#include "sdk/wire/random.h"
#include "tests/kptest.h"

/* RFC 4648 section 10 */
static const char *const vectors[][2] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

TEST(base64_has_the_texts_of_the_rfc)
{
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const char *plain = vectors[i][0], *text = vectors[i][1];
        char out[32] = "";
        size_t len = strlen(text), n;

        EQ_INT(kpw_base64_encoded_len(strlen(plain)), len);
        EQ_INT(kpw_base64_encode(plain, strlen(plain), out), len);
        EQ_STR(out, text);
        EQ_INT(kpw_base64_decoded_len(text, len), strlen(plain));
        YES(kpw_base64_decode(text, len, out, &n));
        EQ_INT(n, strlen(plain));
        YES(!memcmp(out, plain, n));
    }
}

static bool decodes(const char *text)
{
    char out[64];
    size_t n, m;
    bool ok = kpw_base64_decode(text, strlen(text), out, &n);

    CU_ASSERT_EQUAL(ok, kpw_base64_decode_scalar(text, strlen(text), out, &m));
    return ok;
}

static bool decodes_url(const char *text)
{
    char out[64];
    size_t n;

    return kpw_base64_decode_url(text, strlen(text), out, &n);
}

TEST(what_is_not_exactly_base64_is_refused)
{
    static const char *const bad[] = {
        "Z",    "Zg",         "Zg=",          "Zg===", "=",        "==",      "====", "Z===",
        "Zh==", "Zm9=",       "Zm9v\n",       "Zm 9v", "Zg==Zg==", "Zm9vZ",   "Zm-_", "Zm9v=",
        "Zm=v", "\xc3\xa9==", "Zg==\n\n\n\n", "Z=g=",  "Zm9v====", "Zm9vYg=",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_FALSE(decodes(bad[i]));
    EQ_INT(kpw_base64_decoded_len("Zg=", 3), 0);
    EQ_INT(kpw_base64_decoded_len("Z", 1), 0);
}

TEST(the_url_alphabet_may_lack_its_padding)
{
    char out[16] = "";
    const uint8_t bytes[] = {0xfb, 0xff, 0xfe, 0xff};
    size_t n = 0;

    EQ_INT(kpw_base64_encode_url(bytes, 4, true, out), 8);
    EQ_STR(out, "-__-_w==");
    memset(out, 0, sizeof out);
    EQ_INT(kpw_base64_encode_url(bytes, 4, false, out), 6);
    EQ_STR(out, "-__-_w");
    YES(kpw_base64_decode_url("-__-_w", 6, out, &n));
    EQ_INT(n, 4);
    YES(!memcmp(out, bytes, 4));
    YES(decodes_url("-__-_w=="));
    YES(decodes_url(""));
    NO(decodes_url("-__-_w="));
    NO(decodes_url("+//+/w=="));
    NO(decodes_url("-__-_"));
    NO(decodes_url("-__-_x"));
    NO(decodes_url("="));
    NO(decodes_url("==="));
}

/* The memory is just as large as asked for, so that a sanitizer sees any byte beyond it. */
static void round_trip(const uint8_t *bytes, size_t len)
{
    size_t text_len = kpw_base64_encoded_len(len), n;
    char *text = malloc(text_len + !text_len), *other = malloc(text_len + !text_len);
    uint8_t *back = malloc(kpw_base64_decoded_max(text_len));

    REQUIRE(text && other && back);
    EQ_INT(kpw_base64_encode(bytes, len, text), text_len);
    EQ_INT(kpw_base64_encode_scalar(bytes, len, other), text_len);
    YES(!memcmp(text, other, text_len));
    REQUIRE(kpw_base64_decode(text, text_len, back, &n));
    EQ_INT(n, len);
    YES(!memcmp(back, bytes, len));
    YES(kpw_base64_decode(text, text_len, text, &n)); /* in place */
    EQ_INT(n, len);
    YES(!memcmp(text, bytes, len));
    n = kpw_base64_encode_url(bytes, len, false, other);
    REQUIRE(kpw_base64_decode_url(other, n, back, &n));
    EQ_INT(n, len);
    YES(!memcmp(back, bytes, len));
    free(text);
    free(other);
    free(back);
}

TEST(every_length_comes_back_as_it_was)
{
    struct kpw_random random;
    uint8_t bytes[400];

    kpw_random_init_from(&random, 1);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        uint8_t *exact = malloc(len + !len);

        REQUIRE(exact != NULL);
        for (size_t i = 0; i < len; i++)
            exact[i] = (uint8_t)kpw_random_next(&random);
        round_trip(exact, len);
        free(exact);
    }
}

TEST(a_wrong_character_is_found_at_every_place)
{
    char text[161], good[161], out[160];
    uint8_t bytes[120];
    size_t n, refused = 0;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37);
    kpw_base64_encode(bytes, sizeof bytes, good);
    for (size_t at = 0; at < 160; at++) {
        for (int c = 0; c < 256; c++) {
            bool in_alphabet = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                               (c >= '0' && c <= '9') || c == '+' || c == '/';

            memcpy(text, good, 160);
            text[at] = (char)c;
            if (c == '=' && at == 159)
                continue; /* one byte less, if the bits left over allow it */
            if (kpw_base64_decode(text, 160, out, &n) != in_alphabet) {
                CU_FAIL("a character was taken or refused wrongly");
                return;
            }
            refused += !in_alphabet;
        }
    }
    EQ_INT(refused, 160 * 192 - 1);
}

TEST(base64_goes_onto_a_buffer_up_to_its_limit)
{
    struct kpw_buf buf = {.limit = 8};

    kpw_base64_put(&buf, "fooba", 5);
    EQ_STR(kpw_buf_cstr(&buf), "Zm9vYmE=");
    kpw_base64_put(&buf, "", 0);
    NO(buf.failed);
    kpw_base64_put(&buf, "f", 1);
    YES(buf.failed);
    kpw_buf_fini(&buf);
    kpw_base64_put(&buf, "f", SIZE_MAX / 2);
    YES(buf.failed);
    kpw_buf_fini(&buf);
}
