/* xml_scan.h - steps that the XML reader and writer share; private to sdk/wire.
 *
 * Facts: XML 1.0, fifth edition: Char [2], NameStartChar [4], NameChar [4a], references [66] to
 * [68].
 *
 * Threads: [any]; no state.
 */
#ifndef KPIPE_WIRE_XML_SCAN_H
#define KPIPE_WIRE_XML_SCAN_H

#include <stdbool.h>
#include <stdint.h>

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
