/* fuzz_base64.c - both versions agree, and a text that is taken is the only one of its bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/wire/base64.h"
#include "sdk/wire/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void check_decoding(const char *text, size_t size)
{
    uint8_t *one = malloc(kpw_base64_decoded_max(size)),
            *two = malloc(kpw_base64_decoded_max(size));
    char *again = malloc(size + 4);
    size_t n = 0, m = 0;
    bool ok;

    must(one && two && again);
    ok = kpw_base64_decode(text, size, one, &n);
    must(ok == kpw_base64_decode_scalar(text, size, two, &m));
    if (ok) {
        must(n == m && n == kpw_base64_decoded_len(text, size) && !memcmp(one, two, n));
        must(kpw_base64_encode(one, n, again) == size && !memcmp(again, text, size));
    }
    if (kpw_base64_decode_url(text, size, one, &n)) {
        bool pad = size && text[size - 1] == '=';

        must(kpw_base64_encode_url(one, n, pad, again) == size && !memcmp(again, text, size));
    }
    free(one);
    free(two);
    free(again);
}

static void check_encoding(const char *bytes, size_t size)
{
    size_t len = kpw_base64_encoded_len(size), n = 0;
    char *one = malloc(len + 1), *two = malloc(len + 1), *hex = malloc(2 * size + 1);

    must(one && two && hex);
    must(kpw_base64_encode(bytes, size, one) == len);
    must(kpw_base64_encode_scalar(bytes, size, two) == len && !memcmp(one, two, len));
    must(kpw_base64_decode(one, len, one, &n) && n == size && !memcmp(one, bytes, size));
    kpw_hex(bytes, size, hex);
    must(kpw_hex_decode(hex, 2 * size, hex) && !memcmp(hex, bytes, size));
    free(one);
    free(two);
    free(hex);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1), *raw = malloc(size / 2 + 1);

    must(text && raw);
    memcpy(text, data, size);
    check_decoding(text, size);
    check_encoding(text, size);
    (void)kpw_hex_decode(text, size, raw);
    free(text);
    free(raw);
    return 0;
}
