/* token.c - iterators and NextTokens: sealed with an HMAC, so that what comes back is ours.
 *
 * Before base64: 8 bytes as the service's iterators begin, 16 bytes of HMAC-SHA256 over the rest,
 * kind, time, a number that makes every token new, length and text, zeros up to a length that the
 * service's could have (152 to 280 bytes, in steps of 16).
 */
#include <endian.h>
#include <string.h>

#include "plugins/local-aws/kinesis/kinesis.h"
#include "sdk/wire/base64.h"

enum { FRONT = 8, MAC = 16, TEXT_AT = FRONT + MAC + 1 + 8 + 8 + 2, LEAST = 152, MOST = 280 };

static const char front[FRONT] = {0, 0, 0, 0, 0, 0, 0, 1};

static void put_number(char *at, uint64_t n)
{
    n = htole64(n);
    memcpy(at, &n, sizeof n);
}

static uint64_t get_number(const char *at)
{
    uint64_t n;

    memcpy(&n, at, sizeof n);
    return le64toh(n);
}

void kinesis_seal(struct kinesis *k, char kind, int64_t now_ms, struct kpw_slice text,
                  struct kpw_buf *out)
{
    char bytes[MOST] = {0};
    uint8_t mac[KPW_SHA256_SIZE];
    size_t len = TEXT_AT + text.len;

    if (len > MOST)
        text.len = 0, len = TEXT_AT; /* cannot be: texts are names and numbers */
    len = len < LEAST ? LEAST : (len - FRONT + 15) / 16 * 16 + FRONT;
    memcpy(bytes, front, FRONT);
    bytes[FRONT + MAC] = kind;
    put_number(bytes + FRONT + MAC + 1, (uint64_t)now_ms);
    put_number(bytes + FRONT + MAC + 9, ++k->n_tokens);
    bytes[TEXT_AT - 2] = (char)(text.len & 0xff);
    bytes[TEXT_AT - 1] = (char)(text.len >> 8);
    if (text.len)
        memcpy(bytes + TEXT_AT, text.ptr, text.len);
    kpw_hmac_sign(&k->hmac, bytes + FRONT + MAC, len - FRONT - MAC, mac);
    memcpy(bytes + FRONT, mac, MAC);
    kpw_base64_put(out, bytes, len);
}

bool kinesis_unseal(struct kinesis *k, char kind, struct kpw_slice token, struct kpw_buf *out,
                    int64_t *ret_ms)
{
    char bytes[MOST + 8];
    uint8_t mac[KPW_SHA256_SIZE];
    size_t len, text_len;

    if (kpw_base64_decoded_max(token.len) > sizeof bytes ||
        !kpw_base64_decode(token.ptr, token.len, bytes, &len) || len < LEAST)
        return false;
    kpw_hmac_sign(&k->hmac, bytes + FRONT + MAC, len - FRONT - MAC, mac);
    if (!kpw_equal_ct(mac, bytes + FRONT, MAC) || memcmp(bytes, front, FRONT) != 0 ||
        bytes[FRONT + MAC] != kind)
        return false;
    *ret_ms = (int64_t)get_number(bytes + FRONT + MAC + 1);
    text_len = (size_t)(uint8_t)bytes[TEXT_AT - 2] | (size_t)(uint8_t)bytes[TEXT_AT - 1] << 8;
    if (text_len > len - TEXT_AT)
        return false;
    kpw_buf_clear(out);
    kpw_buf_append(out, bytes + TEXT_AT, text_len);
    return !out->failed;
}
