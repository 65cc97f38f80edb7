/* fuzz_cbor.c - reading any bytes ends; what is well-formed is the same after it was written again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/wire/cbor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void put_string(const struct kpw_cbor *r, struct kpw_buf *out)
{
    char *text = malloc((size_t)r->number + 1);

    must(text != NULL);
    kpw_cbor_join_to(r, text);
    if (r->type == KPW_CBOR_TEXT)
        kpw_cbor_put_text(out, text, (size_t)r->number);
    else
        kpw_cbor_put_bytes(out, text, (size_t)r->number);
    free(text);
}

/* Containers get a break as their end, the rest its shortest form. */
static void put_item(const struct kpw_cbor *r, struct kpw_buf *out)
{
    switch (r->type) {
    case KPW_CBOR_MAP: kpw_cbor_put_map_any(out); break;
    case KPW_CBOR_ARRAY: kpw_cbor_put_list_any(out); break;
    case KPW_CBOR_MAP_END:
    case KPW_CBOR_ARRAY_END: kpw_cbor_put_break(out); break;
    case KPW_CBOR_UINT: kpw_cbor_put_uint(out, r->number); break;
    case KPW_CBOR_NEGATIVE: kpw_cbor_put_head(out, KPW_CBOR_MAJOR_NEGATIVE, r->number); break;
    case KPW_CBOR_BYTES:
    case KPW_CBOR_TEXT: put_string(r, out); break;
    case KPW_CBOR_TAG: kpw_cbor_put_head(out, KPW_CBOR_MAJOR_TAG, r->number); break;
    case KPW_CBOR_FLOAT: kpw_cbor_put_double(out, r->real); break;
    case KPW_CBOR_FALSE:
    case KPW_CBOR_TRUE: kpw_cbor_put_bool(out, r->type == KPW_CBOR_TRUE); break;
    default: kpw_cbor_put_null(out); break;
    }
}

/* False: the bytes are not well-formed. */
static bool rewrite(struct kpw_slice bytes, struct kpw_buf *out)
{
    struct kpw_cbor r;
    size_t n = 0;

    kpw_cbor_init(&r, bytes.ptr, bytes.len);
    while (kpw_cbor_next(&r) != KPW_CBOR_END && r.type != KPW_CBOR_ERROR) {
        must(++n <= 2 * bytes.len);
        must(r.offset <= bytes.len);
        put_item(&r, out);
    }
    must(r.type == KPW_CBOR_ERROR ? r.error != NULL : !r.error);
    must(kpw_cbor_valid(bytes.ptr, bytes.len) == (r.type == KPW_CBOR_END));
    return r.type == KPW_CBOR_END;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kpw_buf once = KPW_BUF_INIT, twice = KPW_BUF_INIT;
    char *text = malloc(size ? size : 1);

    must(text != NULL);
    memcpy(text, data, size);
    if (rewrite(kpw_slice(text, size), &once)) {
        must(rewrite(kpw_buf_slice(&once), &twice));
        must(kpw_slice_eq(kpw_buf_slice(&once), kpw_buf_slice(&twice)));
    }
    kpw_buf_fini(&once);
    kpw_buf_fini(&twice);
    free(text);
    return 0;
}
