/* base64.c - base64 by table, 24 bytes a step with AVX2.
 *
 * The vector steps are those of Mula and Lemire, "Faster Base64 Encoding and Decoding Using AVX2
 * Instructions" (2018): bytes are spread to 6-bit fields by multiplications, and fields become
 * characters by adding an offset that a 16-entry shuffle looks up. Decoding proves all 32
 * characters with two lookups, one per nibble. They leave the ends to the table version, so that
 * there is one place for padding. About 8 times libcrypto's EVP_EncodeBlock.
 */
#include "sdk/wire/base64.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Value + 1 of a character that both alphabets have; 0 for any other. */
static const uint8_t values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62,
};

/* 0..63, or 64 and more for what is not in the alphabet. */
static inline uint32_t value_of(uint8_t c, bool is_url)
{
    uint32_t v = values[c];

    if (v)
        return v - 1;
    if (c == (is_url ? '-' : '+'))
        return 62;
    return c == (is_url ? '_' : '/') ? 63 : 64;
}

/* ---- table version */

static size_t encode_table(const uint8_t *in, size_t len, const char *alphabet, bool pad, char *out)
{
    char *to = out;

    for (; len >= 3; in += 3, len -= 3) {
        uint32_t v = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];

        *to++ = alphabet[v >> 18];
        *to++ = alphabet[v >> 12 & 63];
        *to++ = alphabet[v >> 6 & 63];
        *to++ = alphabet[v & 63];
    }
    if (!len)
        return (size_t)(to - out);
    *to++ = alphabet[in[0] >> 2];
    *to++ = alphabet[(in[0] & 3) << 4 | (len == 2 ? in[1] >> 4 : 0)];
    if (len == 2)
        *to++ = alphabet[(in[1] & 15) << 2];
    else if (pad)
        *to++ = '=';
    if (pad)
        *to++ = '=';
    return (size_t)(to - out);
}

/* The last two or three characters, padding taken off. */
static bool decode_tail(const uint8_t *in, size_t len, bool is_url, uint8_t *to, size_t *ret_len)
{
    uint32_t a = value_of(in[0], is_url), b = value_of(in[1], is_url);
    uint32_t c = len == 3 ? value_of(in[2], is_url) : 0;

    if (a > 63 || b > 63 || c > 63 || (len == 3 ? c & 3 : b & 15))
        return false;
    to[0] = (uint8_t)(a << 2 | b >> 4);
    if (len == 3)
        to[1] = (uint8_t)(b << 4 | c >> 2);
    *ret_len = len - 1;
    return true;
}

/* `len` without padding. */
static bool decode_table(const uint8_t *in, size_t len, bool is_url, uint8_t *out, size_t *ret_len)
{
    uint8_t *to = out;
    size_t tail = 0;

    for (; len >= 4; in += 4, len -= 4) {
        uint32_t a = value_of(in[0], is_url), b = value_of(in[1], is_url);
        uint32_t c = value_of(in[2], is_url), d = value_of(in[3], is_url);
        uint32_t v = a << 18 | b << 12 | c << 6 | d;

        if ((a | b | c | d) > 63)
            return false;
        *to++ = (uint8_t)(v >> 16);
        *to++ = (uint8_t)(v >> 8);
        *to++ = (uint8_t)v;
    }
    if (len == 1 || (len && !decode_tail(in, len, is_url, to, &tail)))
        return false;
    *ret_len = (size_t)(to - out) + tail;
    return true;
}

/* ---- AVX2: both return how many input bytes they took */

#if defined(__x86_64__)

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}

/* Reads 28 bytes from `in` and uses 24. */
__attribute__((target("avx2"))) static inline __m256i spread(const uint8_t *in)
{
    const __m256i order = _mm256_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10, 1, 0,
                                           2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
    __m128i low = _mm_loadu_si128((const __m128i *)(const void *)in);
    __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(in + 12));
    __m256i v = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), order);
    __m256i ac = _mm256_mulhi_epu16(_mm256_and_si256(v, _mm256_set1_epi32(0x0fc0fc00)),
                                    _mm256_set1_epi32(0x04000040));
    __m256i bd = _mm256_mullo_epi16(_mm256_and_si256(v, _mm256_set1_epi32(0x003f03f0)),
                                    _mm256_set1_epi32(0x01000010));

    return _mm256_or_si256(ac, bd);
}

__attribute__((target("avx2"))) static size_t encode_avx2(const uint8_t *in, size_t len,
                                                          bool is_url, char *out)
{
    const char p = is_url ? -17 : -19, s = is_url ? 32 : -16;
    const __m256i offsets =
        _mm256_setr_epi8(65, 71, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, p, s, 0, 0, 65, 71, -4, -4,
                         -4, -4, -4, -4, -4, -4, -4, -4, p, s, 0, 0);
    size_t i = 0;

    for (; len - i >= 28; i += 24, out += 32) {
        __m256i v = spread(in + i);
        __m256i which = _mm256_subs_epu8(v, _mm256_set1_epi8(51));

        which = _mm256_sub_epi8(which, _mm256_cmpgt_epi8(v, _mm256_set1_epi8(25)));
        v = _mm256_add_epi8(v, _mm256_shuffle_epi8(offsets, which));
        _mm256_storeu_si256((__m256i *)(void *)out, v);
    }
    return i;
}

#define TWICE(...) _mm256_setr_epi8(__VA_ARGS__, __VA_ARGS__)

/* Stops in front of the first 32 characters that are not all in the alphabet. A step writes 32
 * bytes of which 24 count; the 48 characters that must be left give the room for that. */
__attribute__((target("avx2"))) static size_t decode_avx2(const uint8_t *in, size_t len,
                                                          uint8_t *out)
{
    const __m256i low_bad = TWICE(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13,
                                  0x1a, 0x1b, 0x1b, 0x1b, 0x1a);
    const __m256i high_bad = TWICE(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10,
                                   0x10, 0x10, 0x10, 0x10, 0x10);
    const __m256i offsets = TWICE(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m256i order = TWICE(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
    const __m256i slash = _mm256_set1_epi8(0x2f);
    size_t i = 0;

    for (; len - i >= 48; i += 32, out += 24) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(in + i));
        __m256i high = _mm256_and_si256(_mm256_srli_epi32(v, 4), slash);
        __m256i low = _mm256_and_si256(v, slash);

        if (!_mm256_testz_si256(_mm256_shuffle_epi8(low_bad, low),
                                _mm256_shuffle_epi8(high_bad, high)))
            break;
        high = _mm256_add_epi8(_mm256_cmpeq_epi8(v, slash), high);
        v = _mm256_add_epi8(v, _mm256_shuffle_epi8(offsets, high));
        v = _mm256_maddubs_epi16(v, _mm256_set1_epi32(0x01400140));
        v = _mm256_madd_epi16(v, _mm256_set1_epi32(0x00011000));
        v = _mm256_shuffle_epi8(v, order);
        v = _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7));
        _mm256_storeu_si256((__m256i *)(void *)out, v);
    }
    return i;
}

#else

static bool has_avx2(void)
{
    return false;
}

static size_t encode_avx2(const uint8_t *in, size_t len, bool is_url, char *out)
{
    (void)in, (void)len, (void)is_url, (void)out;
    return 0;
}

static size_t decode_avx2(const uint8_t *in, size_t len, uint8_t *out)
{
    (void)in, (void)len, (void)out;
    return 0;
}

#endif

/* ---- public */

static size_t encode(const uint8_t *in, size_t len, bool is_url, bool pad, char *out)
{
    size_t done = len >= 28 && has_avx2() ? encode_avx2(in, len, is_url, out) : 0;
    size_t written = done / 3 * 4;

    return written +
           encode_table(in + done, len - done, is_url ? url : standard, pad, out + written);
}

size_t kpw_base64_encode(const void *ptr, size_t len, char *out)
{
    return encode(ptr, len, false, true, out);
}

size_t kpw_base64_encode_url(const void *ptr, size_t len, bool pad, char *out)
{
    return encode(ptr, len, true, pad, out);
}

size_t kpw_base64_encode_scalar(const void *ptr, size_t len, char *out)
{
    return encode_table(ptr, len, standard, true, out);
}

void kpw_base64_put(struct kpw_buf *buf, const void *ptr, size_t len)
{
    char *to;

    if (len > SIZE_MAX / 4) {
        buf->failed = true;
        return;
    }
    if ((to = kpw_buf_reserve(buf, kpw_base64_encoded_len(len))))
        buf->len += encode(ptr, len, false, true, to);
}

/* The length without its padding; false when it is not padded to a multiple of four. */
static bool unpad(const uint8_t *in, size_t *len)
{
    size_t n = *len;

    if (n % 4)
        return false;
    if (n && in[n - 1] == '=')
        n -= in[n - 2] == '=' ? 2 : 1;
    *len = n;
    return true;
}

bool kpw_base64_decode(const void *ptr, size_t len, void *out, size_t *ret_len)
{
    const uint8_t *in = ptr;
    uint8_t *to = out;
    size_t done, tail;

    if (!unpad(in, &len))
        return false;
    done = len >= 48 && has_avx2() ? decode_avx2(in, len, to) : 0;
    if (!decode_table(in + done, len - done, false, to + done / 4 * 3, &tail))
        return false;
    *ret_len = done / 4 * 3 + tail;
    return true;
}

bool kpw_base64_decode_scalar(const void *ptr, size_t len, void *out, size_t *ret_len)
{
    return unpad(ptr, &len) && decode_table(ptr, len, false, out, ret_len);
}

bool kpw_base64_decode_url(const void *ptr, size_t len, void *out, size_t *ret_len)
{
    const uint8_t *in = ptr;

    if (len && in[len - 1] == '=' && !unpad(in, &len))
        return false;
    return decode_table(in, len, true, out, ret_len);
}

size_t kpw_base64_decoded_len(const void *ptr, size_t len)
{
    size_t n = len;

    return unpad(ptr, &n) ? n / 4 * 3 + (n % 4 ? n % 4 - 1 : 0) : 0;
}
