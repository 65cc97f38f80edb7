/* fuzz_eventstream.c - messages whole and in pieces come to the same, and are written again with
 * the same bytes. The first byte is the length of the pieces; its highest bit says that checksums
 * are to be put right first, so that the fuzzer gets behind them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/wire/eventstream.h"
#include "sdk/wire/hash.h"

enum { LIMIT = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static uint32_t get32(const char *at)
{
    const uint8_t *p = (const uint8_t *)at;

    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void set32(char *at, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(n >> (24 - 8 * i));
}

static void mend(char *text, size_t len)
{
    while (len >= KPW_EVENT_OVERHEAD) {
        size_t total = get32(text);

        set32(text + 8, kpw_crc32(0, text, 8));
        if (total < KPW_EVENT_OVERHEAD || total > len)
            return;
        set32(text + total - 4, kpw_crc32(0, text, total - 4));
        text += total;
        len -= total;
    }
}

static void rewrite(const struct kpw_event *event, struct kpw_buf *out)
{
    struct kpw_slice rest = event->headers;
    struct kpw_event_header header;
    struct kpw_event_writer w;

    kpw_event_begin(&w, out);
    while (kpw_event_header_next(&rest, &header))
        kpw_event_put_header(&w, &header);
    must(!rest.len);
    kpw_event_payload(&w);
    kpw_buf_put_slice(out, event->payload);
    kpw_event_end(&w);
    must(!out->failed);
}

static enum kpw_event_result read_all(struct kpw_slice text, size_t step, struct kpw_buf *out)
{
    enum kpw_event_result result = KPW_EVENT_MORE;
    struct kpw_event_reader r;
    struct kpw_event event;

    kpw_event_reader_init(&r, LIMIT);
    for (size_t at = 0; at < text.len && result != KPW_EVENT_ERROR; at += step) {
        size_t len = text.len - at < step ? text.len - at : step;
        char *copy = malloc(len); /* so that reading behind a piece is seen */
        struct kpw_slice piece = {copy, len};

        must(copy != NULL);
        memcpy(copy, text.ptr + at, len);
        while ((result = kpw_event_read(&r, &piece, &event)) == KPW_EVENT_OK)
            rewrite(&event, out);
        must(result == KPW_EVENT_ERROR || !piece.len);
        free(copy);
    }
    must(kpw_event_pending(&r) <= LIMIT);
    kpw_event_reader_fini(&r);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t step = size ? (data[0] & 127u) + 1 : 1, len = size ? size - 1 : 0;
    struct kpw_buf whole = KPW_BUF_INIT, pieces = KPW_BUF_INIT;
    char *text = malloc(len ? len : 1);

    must(text != NULL);
    memcpy(text, data + (size > 0), len);
    if (size && data[0] & 128)
        mend(text, len);
    must(read_all(kpw_slice(text, len), len + 1, &whole) ==
         read_all(kpw_slice(text, len), step, &pieces));
    must(kpw_slice_eq(kpw_buf_slice(&whole), kpw_buf_slice(&pieces)));
    must(whole.len <= len && (!whole.len || !memcmp(whole.ptr, text, whole.len)));
    kpw_buf_fini(&whole);
    kpw_buf_fini(&pieces);
    free(text);
    return 0;
}
