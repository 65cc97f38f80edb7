/* xml_scan.h - steps that the XML reader and writer share; private to sdk/wire.
 *
 * Facts: XML 1.0, fifth edition: Char [2], NameStartChar [4], NameChar [4a], references [66] to
 * [68].
 *
 * Threads: [any]; no state.
 */
#ifndef KPIPE_WIRE_XML_SCAN_H
#define KPIPE_WIRE_XML_SCAN_H

#include "sdk/wire/json_scan.h"

/* The character at `at` and its length; a length of 0 means that it is not UTF-8. `at` < `end`. */
static inline size_t xml_decode(const char *at, const char *end, uint32_t *ret)
{
    const uint8_t *p = (const uint8_t *)at;
    size_t n = json_utf8_len(at, end);

    switch (n) {
    case 1: *ret = p[0]; break;
    case 2: *ret = (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f); break;
    case 3:
        *ret = (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
        break;
    case 4:
        *ret = (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 |
               (uint32_t)(p[2] & 0x3f) << 6 | (p[3] & 0x3f);
        break;
    default: *ret = 0; break;
    }
    return n;
}

/* True for what a document may hold at all. */
static inline bool xml_is_char(uint32_t c)
{
    if (c < 0x20)
        return c == '\t' || c == '\n' || c == '\r';
    return c <= 0xd7ff || (c >= 0xe000 && c <= 0xfffd) || (c >= 0x10000 && c <= 0x10ffff);
}

static inline bool xml_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The end of the reference at `at` (the '&') and the character it stands for; NULL when it is none
 * that XML without a DTD knows. In xml.c. */
const char *xml_reference_end(const char *at, const char *end, uint32_t *ret);

#endif
