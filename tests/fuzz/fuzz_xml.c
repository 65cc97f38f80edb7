/* fuzz_xml.c - the XML reader, and the writer with any bytes as text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/wire/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static bool walk(const char *text, size_t size)
{
    struct kpw_buf out = KPW_BUF_INIT;
    struct kpw_slice value;
    uint32_t line, column;
    struct kpw_xml x;

    kpw_xml_init(&x, text, size);
    while (kpw_xml_next(&x) != KPW_XML_END && x.type != KPW_XML_ERROR) {
        must(x.value.ptr >= text && x.value.ptr + x.value.len <= text + size);
        if (x.type == KPW_XML_TEXT) {
            must(x.value.len > 0);
            kpw_buf_clear(&out);
            kpw_xml_unescape(x.value, &out);
            must(out.len <= x.value.len);
        }
        if (kpw_xml_attribute(&x, "a", &value))
            must(value.ptr >= text && value.ptr + value.len <= text + size);
        kpw_xml_local(x.value);
    }
    kpw_xml_position(&x, &line, &column);
    must(line > 0 && column > 0 && (x.type == KPW_XML_END || x.error));
    kpw_buf_fini(&out);
    return x.type == KPW_XML_END;
}

static bool skips(const char *text, size_t size)
{
    struct kpw_xml x;

    kpw_xml_init(&x, text, size);
    return kpw_xml_next(&x) == KPW_XML_OPEN && kpw_xml_skip(&x) && kpw_xml_next(&x) == KPW_XML_END;
}

/* Written as text, any bytes make a document that is whole; and what is read of it is written the
 * same. */
static void check_writer(const char *text, size_t size)
{
    struct kpw_buf doc = KPW_BUF_INIT, back = KPW_BUF_INIT, again = KPW_BUF_INIT;

    kpw_xml_put_element(&doc, "t", text, size);
    must(kpw_xml_find(kpw_buf_slice(&doc), "t", &back));
    kpw_xml_put_element(&again, "t", back.ptr, back.len);
    must(kpw_slice_eq(kpw_buf_slice(&doc), kpw_buf_slice(&again)));
    kpw_buf_fini(&doc);
    kpw_buf_fini(&back);
    kpw_buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1);
    struct kpw_buf out = KPW_BUF_INIT;

    must(text != NULL);
    memcpy(text, data, size);
    must(walk(text, size) == skips(text, size));
    kpw_xml_find(kpw_slice(text, size), "Error/Code", &out);
    kpw_xml_find(kpw_slice(text, size), "a", &out);
    check_writer(text, size);
    kpw_buf_fini(&out);
    free(text);
    return 0;
}
