/* fuzz_json.c - the JSON scanner, texts, numbers and paths.
 *
 * The first byte is the length of a path that stands in front of the document. Texts are blocks of
 * their exact size, for the address sanitizer.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

/* What is unescaped and written again is JSON and reads as the same. */
static void check_text(struct kpw_slice raw)
{
    struct kpw_buf plain = KPW_BUF_INIT, json = KPW_BUF_INIT, again = KPW_BUF_INIT;
    struct kpw_buf limited = {.limit = raw.len + 1};

    kpw_json_unescape(raw, &plain);
    kpw_json_unescape(raw, &limited);
    must(plain.len <= raw.len && kpw_slice_eq(kpw_buf_slice(&plain), kpw_buf_slice(&limited)));
    kpw_json_put_string(&json, plain.ptr, plain.len);
    must(kpw_json_valid(json.ptr, json.len));
    kpw_json_unescape(kpw_slice(json.ptr + 1, json.len - 2), &again);
    must(kpw_slice_eq(kpw_buf_slice(&plain), kpw_buf_slice(&again)));
    must(kpw_json_text_is(raw, kpw_buf_cstr(&plain)) == !memchr(plain.ptr, 0, plain.len));
    kpw_buf_fini(&plain);
    kpw_buf_fini(&json);
    kpw_buf_fini(&again);
    kpw_buf_fini(&limited);
}

static void check_number(struct kpw_slice raw)
{
    struct kpw_buf text = KPW_BUF_INIT;
    uint64_t u;
    int64_t i;
    double d, back;

    if (kpw_json_to_int64(raw, &i)) {
        kpw_json_put_int(&text, i);
        must(raw.ptr[0] == '-' ? i <= 0 : kpw_slice_eq(kpw_buf_slice(&text), raw));
    }
    if (kpw_json_to_uint64(raw, &u) && kpw_json_to_int64(raw, &i))
        must(u == (uint64_t)i);
    kpw_buf_clear(&text);
    if (kpw_json_to_double(raw, &d)) {
        kpw_json_put_double(&text, d);
        must(kpw_json_to_double(kpw_buf_slice(&text), &back) && !memcmp(&d, &back, sizeof d));
    }
    kpw_buf_fini(&text);
}

static bool walk(const char *text, size_t size)
{
    uint32_t line, column;
    struct kpw_json r;

    kpw_json_init(&r, text, size);
    for (;;) {
        switch (kpw_json_next(&r)) {
        case KPW_JSON_END: return true;
        case KPW_JSON_ERROR:
            kpw_json_position(&r, &line, &column);
            must(r.error && line > 0 && column > 0);
            return false;
        case KPW_JSON_KEY:
        case KPW_JSON_STRING: check_text(r.value); break;
        case KPW_JSON_NUMBER: check_number(r.value); break;
        default: break;
        }
        must(r.value.ptr >= text && r.value.ptr + r.value.len <= text + size);
    }
}

static bool skips(const char *text, size_t size)
{
    struct kpw_json r;

    kpw_json_init(&r, text, size);
    kpw_json_next(&r);
    return kpw_json_skip(&r) && kpw_json_next(&r) == KPW_JSON_END;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t path_len = size ? data[0] : 0;
    char *text, *path;
    struct kpw_slice value;
    bool ok;

    if (path_len >= size)
        path_len = 0;
    data += size > 0;
    size -= size > 0;
    path = strndup((const char *)data, path_len);
    text = malloc(size - path_len + 1);
    must(path && text);
    size -= path_len;
    memcpy(text, data + path_len, size);
    text = realloc(text, size ? size : 1);
    ok = walk(text, size);
    must(ok == kpw_json_valid(text, size) && ok == skips(text, size));
    if (kpw_json_find(kpw_slice(text, size), path, &value) != KPW_JSON_ERROR && value.len)
        must(value.ptr >= text && value.ptr + value.len <= text + size);
    free(text);
    free(path);
    return 0;
}
