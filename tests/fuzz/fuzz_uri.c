/* fuzz_uri.c - percent encoding, queries and paths. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/wire/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void check_coding(struct kpw_slice text)
{
    struct kpw_buf encoded = KPW_BUF_INIT, back = KPW_BUF_INIT, limited = {.limit = text.len + 1};
    bool ok;

    kpw_uri_put(&encoded, text.ptr, text.len, text.len % 2);
    must(kpw_uri_decode_put(&back, kpw_buf_slice(&encoded), text.len % 3 == 0));
    must(kpw_slice_eq(kpw_buf_slice(&back), text));
    kpw_buf_clear(&back);
    ok = kpw_uri_decode_put(&back, text, true);
    must(ok == kpw_uri_decode_put(&limited, text, true));
    must(!ok || kpw_slice_eq(kpw_buf_slice(&back), kpw_buf_slice(&limited)));
    must(ok || !back.len);
    kpw_buf_fini(&encoded);
    kpw_buf_fini(&back);
    kpw_buf_fini(&limited);
}

static void check_query(struct kpw_slice text)
{
    struct kpw_slice path, query, value;
    struct kpw_buf out = KPW_BUF_INIT;
    struct kpw_query q;

    kpw_uri_split(text, &path, &query);
    must(path.len + query.len <= text.len);
    kpw_query_init(&q, query);
    while (kpw_query_next(&q)) {
        must(q.name.ptr >= text.ptr && q.value.ptr + q.value.len <= text.ptr + text.len);
        must(q.name.len + q.value.len + q.has_value > 0);
    }
    if (kpw_query_find(query, "a", &value))
        must(value.ptr >= text.ptr && value.ptr + value.len <= text.ptr + text.len);
    kpw_form_get(query, "a b", &out);
    kpw_buf_fini(&out);
}

static bool has_part(struct kpw_slice path, const char *name)
{
    size_t from = 0;

    for (size_t i = 0; i <= path.len; i++) {
        if (i < path.len && path.ptr[i] != '/')
            continue;
        if (kpw_slice_is(kpw_slice(path.ptr + from, i - from), name))
            return true;
        from = i + 1;
    }
    return false;
}

static void check_path(struct kpw_slice text)
{
    struct kpw_buf normal = KPW_BUF_INIT, again = KPW_BUF_INIT;
    struct kpw_slice path;

    kpw_path_normalize(text, &normal);
    path = kpw_buf_slice(&normal);
    must(path.len && path.ptr[0] == '/' && path.len <= text.len + 1);
    must(!has_part(path, ".") && !has_part(path, "..") && !memmem(path.ptr, path.len, "//", 2));
    kpw_path_normalize(path, &again);
    must(kpw_slice_eq(path, kpw_buf_slice(&again)));
    if (kpw_path_is_safe(text.ptr, text.len))
        must(text.ptr[0] != '/' && !has_part(text, "..") && !memchr(text.ptr, 0, text.len));
    kpw_buf_fini(&normal);
    kpw_buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1);

    must(text != NULL);
    memcpy(text, data, size);
    check_coding(kpw_slice(text, size));
    check_query(kpw_slice(text, size));
    check_path(kpw_slice(text, size));
    free(text);
    return 0;
}
