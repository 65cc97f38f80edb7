/* xml.h - the XML of S3, SQS, STS and CloudFormation: an escaping writer and a strict pull reader.
 *
 * The reader knows elements, attributes, text, CDATA, comments, processing instructions and the
 * five named entities plus character references. It refuses a DTD, so there is nothing to expand,
 * and more than KPW_XML_DEPTH levels. Names are compared as written; kpw_xml_local() drops a
 * prefix.
 *
 * Threads: [any]; one reader belongs to one thread at a time.
 */
#ifndef KPIPE_WIRE_XML_H
#define KPIPE_WIRE_XML_H

#include "sdk/wire/slice.h"

#define KPW_XML_DEPTH 64

/* ---- writer */

/* <?xml version="1.0" encoding="UTF-8"?> and a line end. */
void kpw_xml_put_declaration(struct kpw_buf *buf);
/* <name>, or <name xmlns="ns"> when ns is not NULL. The name is not checked. */
void kpw_xml_put_open(struct kpw_buf *buf, const char *name, const char *ns);
void kpw_xml_put_close(struct kpw_buf *buf, const char *name);
/* Text with & < > " ' escaped and carriage returns as &#13;. What XML 1.0 cannot say (other control
 * characters, U+FFFE, U+FFFF, bytes that are not UTF-8) becomes U+FFFD. Fit for attributes too. */
void kpw_xml_put_text(struct kpw_buf *buf, const void *ptr, size_t len);
/* <name>text</name> */
void kpw_xml_put_element(struct kpw_buf *buf, const char *name, const void *ptr, size_t len);
void kpw_xml_put_element_cstr(struct kpw_buf *buf, const char *name, const char *s);
void kpw_xml_put_element_int(struct kpw_buf *buf, const char *name, int64_t n);

/* ---- reader */

enum kpw_xml_type {
    KPW_XML_END = 0, /* the document is over and was whole; kpw_xml_find: not there */
    KPW_XML_OPEN,    /* value: the name; <a/> gives OPEN and CLOSE */
    KPW_XML_CLOSE,   /* value: the name */
    KPW_XML_TEXT,    /* value: raw text, never empty; of pieces between comments one each */
    KPW_XML_ERROR,   /* `error` says what, kpw_xml_position() where; stays so */
};

struct kpw_xml {
    enum kpw_xml_type type;
    struct kpw_slice value; /* [borrowed from the text] */
    bool has_entity;        /* TEXT: value must go through kpw_xml_unescape() */
    const char *error;      /* [static] */
    uint32_t depth;         /* open elements, after OPEN with the new one */
    /* private */
    struct kpw_slice attributes;
    const char *start, *at, *end;
    bool is_empty_element, had_root;
    struct kpw_slice open[KPW_XML_DEPTH];
};

void kpw_xml_init(struct kpw_xml *x, const void *ptr, size_t len);
enum kpw_xml_type kpw_xml_next(struct kpw_xml *x);
/* After OPEN: passes over everything up to its CLOSE. False: the text is broken. */
bool kpw_xml_skip(struct kpw_xml *x);
/* After OPEN: the raw value of an attribute of it. False: there is none. */
bool kpw_xml_attribute(const struct kpw_xml *x, const char *name, struct kpw_slice *ret);
/* After OPEN: appends the whole text of an element that has no elements inside, unescaped, and
 * stands at its CLOSE. False: the text is broken or there is an element inside. */
bool kpw_xml_text(struct kpw_xml *x, struct kpw_buf *out);
/* Appends the unescaped text; line ends become LF as XML wants. */
void kpw_xml_unescape(struct kpw_slice raw, struct kpw_buf *out);
/* The name without its prefix. */
struct kpw_slice kpw_xml_local(struct kpw_slice name);
/* Appends the text of the first element at "Error/Code" (from the root element on, prefixes
 * ignored). False: not there or broken. */
bool kpw_xml_find(struct kpw_slice doc, const char *path, struct kpw_buf *out);
void kpw_xml_position(const struct kpw_xml *x, uint32_t *ret_line, uint32_t *ret_column);

#endif
