/* fuzz_kinesis_token.c - shard iterators and NextTokens: what was sealed comes back as it was, what
 * was not is refused, and so is every change of a bit and another kind.
 *
 * The first byte says what the rest is: a token as a client sends it, or a text to seal (of which
 * the next two bytes say where a bit is turned).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/kinesis/token.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kinesis kinesis;

static void must(bool ok)
{
    if (!ok)
        abort();
}

/* Nobody can guess one. */
static void take_foreign(const uint8_t *data, size_t size)
{
    struct kpw_buf out = KPW_BUF_INIT;
    char *token = malloc(size ? size : 1); /* its end is watched by the sanitizer */
    int64_t ms;

    memcpy(token, data, size);
    must(!kinesis_unseal(&kinesis, 'i', kpw_slice(token, size), &out, &ms));
    kpw_buf_fini(&out);
    free(token);
}

static void take_own(const uint8_t *data, size_t size)
{
    struct kpw_slice text = kpw_slice(data + 2, size - 2);
    struct kpw_buf token = KPW_BUF_INIT, out = KPW_BUF_INIT;
    size_t bit = (size_t)data[0] << 8 | data[1], len;
    char bytes[MOST + 8];
    int64_t ms;

    if (text.len > MOST - TEXT_AT)
        text.len = MOST - TEXT_AT;
    kinesis_seal(&kinesis, 'i', 1700000000123, text, &token);
    must(kinesis_unseal(&kinesis, 'i', kpw_buf_slice(&token), &out, &ms));
    must(ms == 1700000000123 && kpw_slice_eq(kpw_buf_slice(&out), text));
    must(!kinesis_unseal(&kinesis, 'n', kpw_buf_slice(&token), &out, &ms));
    must(kpw_base64_decode(token.ptr, token.len, bytes, &len));
    bit %= len * 8;
    bytes[bit / 8] ^= (char)(1 << bit % 8);
    kpw_buf_clear(&token);
    kpw_base64_put(&token, bytes, len);
    must(!kinesis_unseal(&kinesis, 'i', kpw_buf_slice(&token), &out, &ms));
    kpw_buf_fini(&token);
    kpw_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!kinesis.n_tokens)
        kpw_hmac_key_init(&kinesis.hmac, "the key of this fuzzer, 32 bytes", 32);
    if (size && data[0] & 1)
        take_foreign(data + 1, size - 1);
    else if (size > 3)
        take_own(data + 1, size - 1);
    return 0;
}
