/* fuzz_gzip.c - inflating anything, and deflating in pieces. The first byte is the format and the
 * length of the pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/wire/gzip.h"

#define LIMIT 200000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void check_writer(const char *text, size_t len, size_t step)
{
    struct kpw_buf gz = KPW_BUF_INIT, back = KPW_BUF_INIT;
    static struct kpw_gzip *writer;

    if (!writer)
        must((writer = kpw_gzip_new()) != NULL);
    kpw_gzip_reset(writer);
    for (size_t at = 0; at < len; at += step) {
        size_t n = len - at < step ? len - at : step, room = kpw_gzip_room(writer, n);
        char *to = malloc(room);

        must(to != NULL);
        kpw_buf_append(&gz, to, kpw_gzip_append_to(writer, text + at, n, to, room));
        free(to);
    }
    must(kpw_gzip_finish(writer, &gz));
    must(kpw_inflate(&back, gz.ptr, gz.len, KPW_INFLATE_GZIP, len) == KPW_INFLATE_OK);
    must(kpw_slice_eq(kpw_buf_slice(&back), kpw_slice(text, len)));
    kpw_buf_fini(&gz);
    kpw_buf_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum kpw_inflate_format formats[] = {KPW_INFLATE_GZIP, KPW_INFLATE_ZLIB,
                                                      KPW_INFLATE_RAW};
    size_t len = size ? size - 1 : 0, first = size ? data[0] : 0;
    struct kpw_buf out = KPW_BUF_INIT, less = KPW_BUF_INIT;
    enum kpw_inflate_result result;
    char *text = malloc(len ? len : 1);

    must(text != NULL);
    memcpy(text, data + (size > 0), len);
    result = kpw_inflate(&out, text, len, formats[first % 3], LIMIT);
    must(out.len <= LIMIT);
    if (result == KPW_INFLATE_OK && out.len) {
        must(kpw_inflate(&less, text, len, formats[first % 3], out.len - 1) ==
             KPW_INFLATE_TOO_LARGE);
        must(!memcmp(out.ptr, less.ptr, less.len) && less.len == out.len - 1);
    }
    check_writer(text, len, first + 1);
    kpw_buf_fini(&out);
    kpw_buf_fini(&less);
    free(text);
    return 0;
}
