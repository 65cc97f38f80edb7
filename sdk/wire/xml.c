/* xml.c - the pull reader.
 *
 * Everything is checked as it is passed over, so that what a caller gets is well-formed up to
 * there. The names of the open elements are slices of the text; there is no other state.
 */
#include "sdk/wire/xml.h"
#include "sdk/wire/utf8.h"
#include "sdk/wire/xml_scan.h"

/* The check for a second attribute of the same name is quadratic; no AWS document has ten. */
#define MAX_ATTRIBUTES 64

static enum kpw_xml_type fail(struct kpw_xml *x, const char *at, const char *error)
{
    x->at = at;
    x->error = error;
    x->value = (struct kpw_slice){at, 0};
    return x->type = KPW_XML_ERROR;
}

static const char *skip_blank(const char *at, const char *end)
{
    while (at < end && xml_is_blank(*at))
        at++;
    return at;
}

static bool starts(const char *at, const char *end, const char *text)
{
    size_t n = strlen(text);

    return (size_t)(end - at) >= n && !memcmp(at, text, n);
}

/* ---- names */

struct range {
    uint32_t from, to;
};

static bool in_ranges(uint32_t c, const struct range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (c >= ranges[i].from && c <= ranges[i].to)
            return true;
    }
    return false;
}

static bool is_name_char(uint32_t c, bool is_first)
{
    static const struct range first[] = {
        {':', ':'},       {'A', 'Z'},       {'_', '_'},       {'a', 'z'},
        {0xc0, 0xd6},     {0xd8, 0xf6},     {0xf8, 0x2ff},    {0x370, 0x37d},
        {0x37f, 0x1fff},  {0x200c, 0x200d}, {0x2070, 0x218f}, {0x2c00, 0x2fef},
        {0x3001, 0xd7ff}, {0xf900, 0xfdcf}, {0xfdf0, 0xfffd}, {0x10000, 0xeffff},
    };
    static const struct range later[] = {
        {'-', '.'}, {'0', '9'}, {0xb7, 0xb7}, {0x300, 0x36f}, {0x203f, 0x2040},
    };

    return in_ranges(c, first, sizeof first / sizeof *first) ||
           (!is_first && in_ranges(c, later, sizeof later / sizeof *later));
}

/* The end of the name at `at`; `at` itself when there is none. */
static const char *name_end(const char *at, const char *end)
{
    const char *from = at;
    uint32_t c;
    size_t n;

    while (at < end && (n = kpw_utf8_decode(at, end, &c)) && is_name_char(c, at == from))
        at += n;
    return at;
}

struct kpw_slice kpw_xml_local(struct kpw_slice name)
{
    const char *colon = name.len ? memchr(name.ptr, ':', name.len) : NULL;

    if (!colon)
        return name;
    return (struct kpw_slice){colon + 1, name.len - (size_t)(colon + 1 - name.ptr)};
}

/* ---- references and text */

static int digit_of(char c, bool hex)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return hex && c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind "&#". */
static const char *number_end(const char *at, const char *end, uint32_t *ret)
{
    bool hex = at < end && *at == 'x';
    const char *from;
    uint32_t c = 0;
    int digit;

    at += hex;
    for (from = at; at < end && (digit = digit_of(*at, hex)) >= 0; at++) {
        c = c * (hex ? 16 : 10) + (uint32_t)digit;
        if (c > 0x10ffff)
            return NULL;
    }
    *ret = c;
    return at > from && at < end && *at == ';' && xml_is_char(c) ? at + 1 : NULL;
}

const char *xml_reference_end(const char *at, const char *end, uint32_t *ret)
{
    static const struct {
        const char *text;
        uint32_t c;
    } names[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};

    if (starts(at, end, "&#"))
        return number_end(at + 2, end, ret);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (starts(at, end, names[i].text)) {
            *ret = names[i].c;
            return at + strlen(names[i].text);
        }
    }
    return NULL;
}

/* Passes over characters up to one of `stops` or the end; NULL after fail(). References are
 * checked when `with_references` and passed over as bytes otherwise. */
static const char *chars_end(struct kpw_xml *x, const char *at, const char *stops,
                             bool with_references, bool *ret_special)
{
    uint32_t c;
    size_t n;

    while (at < x->end && !(*at && strchr(stops, *at))) {
        if (*at == '&' && with_references) {
            const char *next = xml_reference_end(at, x->end, &c);

            if (!next) {
                fail(x, at, "not a reference that XML knows without a document type");
                return NULL;
            }
            *ret_special = true;
            at = next;
            continue;
        }
        *ret_special |= *at == '\r' && with_references;
        n = kpw_utf8_decode(at, x->end, &c);
        if (!n || !xml_is_char(c)) {
            fail(x, at, n ? "a character that XML does not allow" : "the text is not UTF-8");
            return NULL;
        }
        at += n;
    }
    return at;
}

/* The place of `text` from `at` on, everything before it checked; NULL after fail(). */
static const char *find(struct kpw_xml *x, const char *at, const char *text, const char *error)
{
    const char stop[2] = {text[0], '\0'}, *from = at;
    bool special = false;

    while ((at = chars_end(x, at, stop, false, &special))) {
        if (at == x->end) {
            fail(x, from, error);
            return NULL;
        }
        if (starts(at, x->end, text))
            return at;
        at++;
    }
    return NULL;
}

static enum kpw_xml_type read_text(struct kpw_xml *x, const char *from)
{
    const char *at = from;

    x->has_entity = false;
    while ((at = chars_end(x, at, "<]", true, &x->has_entity))) {
        if (at == x->end || *at == '<')
            break;
        if (starts(at, x->end, "]]>"))
            return fail(x, at, "\"]]>\" stands outside of a CDATA section");
        at++;
    }
    if (!at)
        return KPW_XML_ERROR;
    x->at = at;
    x->value = (struct kpw_slice){from, (size_t)(at - from)};
    return x->type = KPW_XML_TEXT;
}

/* ---- tags */

/* Takes one name="value" from `at`, which is not at a blank. NULL after fail(). */
static const char *attribute_end(struct kpw_xml *x, const char *at)
{
    const char *name = at;
    bool special = false;

    if ((at = name_end(name, x->end)) == name) {
        fail(x, at, at == x->end ? "the text ends inside of a tag" : "not a name of an attribute");
        return NULL;
    }
    at = skip_blank(at, x->end);
    if (at == x->end || *at != '=') {
        fail(x, at, "a '=' must follow the name of an attribute");
        return NULL;
    }
    at = skip_blank(at + 1, x->end);
    if (at == x->end || (*at != '"' && *at != '\'')) {
        fail(x, at, "the value of an attribute must stand in quotes");
        return NULL;
    }
    name = at; /* from here on the quote */
    at = chars_end(x, at + 1, *name == '"' ? "\"<" : "'<", true, &special);
    if (at && (at == x->end || *at == '<')) {
        fail(x, at, "the value of an attribute is not closed");
        return NULL;
    }
    return at ? at + 1 : NULL;
}

/* Walks attributes that are known to be right. */
static bool next_attribute(struct kpw_slice *rest, struct kpw_slice *ret_name,
                           struct kpw_slice *ret_value)
{
    const char *end = rest->len ? rest->ptr + rest->len : rest->ptr;
    const char *at = skip_blank(rest->ptr, end), *close;

    if (at == end)
        return false;
    *ret_name = (struct kpw_slice){at, (size_t)(name_end(at, end) - at)};
    at = memchr(at, '=', (size_t)(end - at));
    at = skip_blank(at + 1, end);
    close = memchr(at + 1, *at, (size_t)(end - at - 1));
    *ret_value = (struct kpw_slice){at + 1, (size_t)(close - at - 1)};
    *rest = (struct kpw_slice){close + 1, (size_t)(end - close - 1)};
    return true;
}

static bool has_twin(struct kpw_slice attributes)
{
    struct kpw_slice names[MAX_ATTRIBUTES], value;

    for (size_t n = 0; n < MAX_ATTRIBUTES && next_attribute(&attributes, &names[n], &value); n++) {
        for (size_t i = 0; i < n; i++) {
            if (kpw_slice_eq(names[i], names[n]))
                return true;
        }
    }
    return false;
}

bool kpw_xml_attribute(const struct kpw_xml *x, const char *name, struct kpw_slice *ret)
{
    struct kpw_slice rest = x->attributes, it, value;

    while (x->type == KPW_XML_OPEN && next_attribute(&rest, &it, &value)) {
        if (kpw_slice_is(it, name)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

/* Passes over the attributes up to '>' or "/>"; NULL after fail(). */
static const char *attributes_end(struct kpw_xml *x, const char *from)
{
    const char *at = from;

    for (uint32_t n = 0;; n++) {
        const char *next = skip_blank(at, x->end);

        if (next < x->end && (*next == '>' || *next == '/')) {
            x->attributes = (struct kpw_slice){from, (size_t)(at - from)};
            return next;
        }
        if (next == at && next < x->end) {
            fail(x, at, "not a name of an element, or a blank is missing");
            return NULL;
        }
        if (n == MAX_ATTRIBUTES) {
            fail(x, next, "too many attributes");
            return NULL;
        }
        if (!(at = attribute_end(x, next)))
            return NULL;
    }
}

/* At the '<' of an opening tag. */
static enum kpw_xml_type read_open(struct kpw_xml *x, const char *at)
{
    const char *end = name_end(at + 1, x->end);
    struct kpw_slice name = {at + 1, (size_t)(end - at - 1)};

    if (!name.len)
        return fail(x, at, "not a tag");
    if (!x->depth && x->had_root)
        return fail(x, at, "there is a second element behind the root");
    if (x->depth == KPW_XML_DEPTH)
        return fail(x, at, "nested too deeply");
    if (!(end = attributes_end(x, end)))
        return KPW_XML_ERROR;
    if (has_twin(x->attributes))
        return fail(x, at, "an attribute is there twice");
    x->is_empty_element = *end == '/';
    end += x->is_empty_element;
    if (end == x->end || *end != '>')
        return fail(x, end, "a '>' must be here");
    x->open[x->depth++] = name;
    x->had_root = true;
    x->at = end + 1;
    x->value = name;
    return x->type = KPW_XML_OPEN;
}

static enum kpw_xml_type close_element(struct kpw_xml *x, const char *at)
{
    x->value = x->open[--x->depth];
    x->at = at;
    return x->type = KPW_XML_CLOSE;
}

/* At "</". */
static enum kpw_xml_type read_close(struct kpw_xml *x, const char *at)
{
    const char *end = name_end(at + 2, x->end);
    struct kpw_slice name = {at + 2, (size_t)(end - at - 2)};

    if (!x->depth || !kpw_slice_eq(name, x->open[x->depth - 1]))
        return fail(x, at, "this tag closes no open element");
    end = skip_blank(end, x->end);
    if (end == x->end || *end != '>')
        return fail(x, end, "a '>' must be here");
    return close_element(x, end + 1);
}

/* ---- what a reader does not see */

static bool skip_comment(struct kpw_xml *x, const char *at)
{
    if (!(at = find(x, at + 4, "--", "a comment is not closed")))
        return false;
    if (!starts(at, x->end, "-->")) {
        fail(x, at, "\"--\" stands inside of a comment");
        return false;
    }
    x->at = at + 3;
    return true;
}

/* The value of `name` in an XML declaration, as far as it is there: name="value". */
static bool declares(struct kpw_slice text, const char *name, struct kpw_slice *ret)
{
    struct kpw_slice it;

    while (next_attribute(&text, &it, ret)) {
        if (kpw_slice_is(it, name))
            return true;
    }
    return false;
}

/* <?xml ...?> at the very beginning; `at` is behind "<?xml", `close` at "?>". */
static bool check_declaration(struct kpw_xml *x, const char *at, const char *close)
{
    struct kpw_xml inner = {.end = close};
    struct kpw_slice text = {at, (size_t)(close - at)}, value;
    const char *next = skip_blank(at, close);

    while (next < close && next > at && (at = attribute_end(&inner, next)))
        next = skip_blank(at, close);
    if (next < close) {
        fail(x, inner.at ? inner.at : next, "the XML declaration is broken");
        return false;
    }
    if (!declares(text, "version", &value) || !kpw_slice_starts(value, "1.")) {
        fail(x, x->at, "the XML declaration must say version 1");
        return false;
    }
    if (declares(text, "encoding", &value) && !kpw_slice_is_nocase(value, "UTF-8") &&
        !kpw_slice_is_nocase(value, "US-ASCII")) {
        fail(x, x->at, "the encoding must be UTF-8");
        return false;
    }
    return true;
}

/* At "<?". */
static bool skip_instruction(struct kpw_xml *x, const char *at)
{
    const char *end = name_end(at + 2, x->end), *close;
    struct kpw_slice target = {at + 2, (size_t)(end - at - 2)};

    if (!target.len || (!starts(end, x->end, "?>") && skip_blank(end, x->end) == end)) {
        fail(x, at, "not a processing instruction");
        return false;
    }
    if (!(close = find(x, end, "?>", "a processing instruction is not closed")))
        return false;
    if (kpw_slice_is_nocase(target, "xml")) {
        if (!kpw_slice_is(target, "xml") || at != x->start) {
            fail(x, at, "an XML declaration must stand at the beginning");
            return false;
        }
        if (!check_declaration(x, end, close))
            return false;
    }
    x->at = close + 2;
    return true;
}

static enum kpw_xml_type read_cdata(struct kpw_xml *x, const char *at)
{
    const char *from = at + 9, *close;

    if (!x->depth)
        return fail(x, at, "there is text outside of the root element");
    if (!(close = find(x, from, "]]>", "a CDATA section is not closed")))
        return KPW_XML_ERROR;
    x->has_entity = false;
    x->at = close + 3;
    x->value = (struct kpw_slice){from, (size_t)(close - from)};
    return x->type = KPW_XML_TEXT;
}

/* ---- public */

void kpw_xml_init(struct kpw_xml *x, const void *ptr, size_t len)
{
    const char *at = ptr;

    x->type = KPW_XML_END;
    x->value = (struct kpw_slice){at, 0};
    x->has_entity = false;
    x->error = NULL;
    x->depth = 0;
    x->attributes = x->value;
    x->start = x->at = at;
    x->end = len ? at + len : at;
    x->is_empty_element = x->had_root = false;
    if (starts(at, x->end, "\xef\xbb\xbf")) /* a byte order mark belongs to no token */
        x->start = x->at = at + 3;
}

static enum kpw_xml_type finish(struct kpw_xml *x)
{
    if (x->depth)
        return fail(x, x->end, "the text ends too early");
    if (!x->had_root)
        return fail(x, x->end, "there is no element");
    x->value = (struct kpw_slice){x->end, 0};
    return x->type = KPW_XML_END;
}

/* At a '<'. True: x->type is a token or the error; false: what no reader sees was passed over. */
static bool read_markup(struct kpw_xml *x, const char *at)
{
    if (starts(at, x->end, "</"))
        return read_close(x, at), true;
    if (starts(at, x->end, "<![CDATA["))
        return read_cdata(x, at) == KPW_XML_ERROR || x->value.len;
    if (starts(at, x->end, "<!--"))
        return !skip_comment(x, at);
    if (starts(at, x->end, "<?"))
        return !skip_instruction(x, at);
    if (starts(at, x->end, "<!"))
        fail(x, at, "a document type is not allowed");
    else
        read_open(x, at);
    return true;
}

enum kpw_xml_type kpw_xml_next(struct kpw_xml *x)
{
    if (x->type == KPW_XML_ERROR)
        return KPW_XML_ERROR;
    if (x->is_empty_element) {
        x->is_empty_element = false;
        return close_element(x, x->at);
    }
    for (;;) {
        const char *at = x->depth ? x->at : skip_blank(x->at, x->end);

        if (at == x->end)
            return finish(x);
        if (*at != '<')
            return x->depth ? read_text(x, at)
                            : fail(x, at, "there is text outside of the root element");
        if (read_markup(x, at))
            return x->type;
    }
}
