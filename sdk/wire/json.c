/* json.c - the pull scanner.
 *
 * One state says what may come next; a bitmap remembers for each open level whether it is an
 * object. Strings are passed over 16 bytes at a time; everything that is not plain ASCII leaves
 * that loop and is checked one by one.
 */
#include "sdk/wire/json.h"
#include "sdk/wire/json_scan.h"
#include "sdk/wire/utf8.h"

enum expect {
    VALUE,
    VALUE_OR_END, /* behind '[' */
    KEY,
    KEY_OR_END,  /* behind '{' */
    AFTER_VALUE, /* a comma or the end of the level; at the top the end of the text */
    STOPPED,     /* r->type stays */
};

static enum kpw_json_type fail(struct kpw_json *r, const char *at, const char *error)
{
    r->at = at;
    r->error = error;
    r->expect = STOPPED;
    r->value = (struct kpw_slice){at, 0};
    return r->type = KPW_JSON_ERROR;
}

static inline const char *skip_blank(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

static inline bool in_object(const struct kpw_json *r)
{
    uint32_t level = r->depth - 1;

    return r->is_object[level / 64] >> (level % 64) & 1;
}

/* Passes over an escape at `at` (the backslash); NULL when it is none. */
static const char *escape_end(const char *at, const char *end)
{
    if (end - at < 2)
        return NULL;
    switch (at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': return at + 2;
    case 'u': return end - at >= 6 && json_hex4(at + 2) >= 0 ? at + 6 : NULL;
    default: return NULL;
    }
}

/* Behind the opening quote. Returns the closing quote, or NULL after fail(). */
static const char *string_end(struct kpw_json *r, const char *at)
{
    const char *next;
    size_t n;

    r->has_escape = false;
    while ((at = json_plain_end(at, r->end)) < r->end) {
        if (*at == '"')
            return at;
        if (*at == '\\') {
            if (!(next = escape_end(at, r->end))) {
                fail(r, at, "a string has an escape that JSON does not know");
                return NULL;
            }
            r->has_escape = true;
            at = next;
            continue;
        }
        if ((uint8_t)*at < 0x20) {
            fail(r, at, "a control character in a string must be escaped");
            return NULL;
        }
        for (; at < r->end && (uint8_t)*at >= 0x80; at += n) {
            if (!(n = kpw_utf8_len(at, r->end))) {
                fail(r, at, "a string is not UTF-8");
                return NULL;
            }
        }
    }
    fail(r, r->end, "a string is not closed");
    return NULL;
}

static inline enum kpw_json_type token(struct kpw_json *r, enum kpw_json_type type,
                                       const char *from, size_t len, const char *at)
{
    r->value = (struct kpw_slice){from, len};
    r->at = at;
    return r->type = type;
}

static enum kpw_json_type scan_key(struct kpw_json *r, const char *at)
{
    const char *quote, *colon;

    if (*at != '"')
        return fail(r, at, "a name in quotes must be here");
    if (!(quote = string_end(r, at + 1)))
        return KPW_JSON_ERROR;
    colon = skip_blank(quote + 1, r->end);
    if (colon == r->end || *colon != ':')
        return fail(r, colon, "a ':' must follow the name");
    r->expect = VALUE;
    return token(r, KPW_JSON_KEY, at + 1, (size_t)(quote - at - 1), colon + 1);
}

static enum kpw_json_type open_level(struct kpw_json *r, const char *at)
{
    uint64_t bit = UINT64_C(1) << (r->depth % 64);
    uint64_t *word = &r->is_object[r->depth / 64];

    if (r->depth == KPW_JSON_DEPTH)
        return fail(r, at, "nested too deeply");
    r->depth++;
    if (*at == '{') {
        *word |= bit;
        r->expect = KEY_OR_END;
        return token(r, KPW_JSON_OBJECT, at, 1, at + 1);
    }
    *word &= ~bit;
    r->expect = VALUE_OR_END;
    return token(r, KPW_JSON_ARRAY, at, 1, at + 1);
}

static enum kpw_json_type close_level(struct kpw_json *r, const char *at)
{
    bool object = in_object(r);

    if (*at != (object ? '}' : ']'))
        return fail(r, at, object ? "a ',' or '}' must be here" : "a ',' or ']' must be here");
    r->depth--;
    r->expect = AFTER_VALUE;
    return token(r, object ? KPW_JSON_OBJECT_END : KPW_JSON_ARRAY_END, at, 1, at + 1);
}

static enum kpw_json_type scan_literal(struct kpw_json *r, const char *at, const char *text,
                                       size_t len, enum kpw_json_type type)
{
    if ((size_t)(r->end - at) < len || memcmp(at, text, len))
        return fail(r, at, "not a JSON value");
    r->expect = AFTER_VALUE;
    return token(r, type, at, len, at + len);
}

static enum kpw_json_type scan_number(struct kpw_json *r, const char *at)
{
    const char *end = json_number_end(at, r->end, &r->is_integer);

    if (!end)
        return fail(r, at, "not a JSON number");
    r->expect = AFTER_VALUE;
    return token(r, KPW_JSON_NUMBER, at, (size_t)(end - at), end);
}

static enum kpw_json_type scan_value(struct kpw_json *r, const char *at)
{
    const char *quote;

    switch (*at) {
    case '"':
        if (!(quote = string_end(r, at + 1)))
            return KPW_JSON_ERROR;
        r->expect = AFTER_VALUE;
        return token(r, KPW_JSON_STRING, at + 1, (size_t)(quote - at - 1), quote + 1);
    case '{':
    case '[': return open_level(r, at);
    case 't': return scan_literal(r, at, "true", 4, KPW_JSON_TRUE);
    case 'f': return scan_literal(r, at, "false", 5, KPW_JSON_FALSE);
    case 'n': return scan_literal(r, at, "null", 4, KPW_JSON_NULL);
    default:
        if (*at == '-' || (*at >= '0' && *at <= '9'))
            return scan_number(r, at);
        return fail(r, at, "not a JSON value");
    }
}

static enum kpw_json_type finish(struct kpw_json *r, const char *at)
{
    if (at < r->end)
        return fail(r, at, "there is something behind the value");
    r->expect = STOPPED;
    return token(r, KPW_JSON_END, at, 0, at);
}

void kpw_json_init(struct kpw_json *r, const void *ptr, size_t len)
{
    r->type = KPW_JSON_END;
    r->value = (struct kpw_slice){ptr, 0};
    r->has_escape = r->is_integer = false;
    r->error = NULL;
    r->start = r->at = ptr;
    r->end = len ? r->start + len : r->start;
    r->depth = 0;
    r->expect = VALUE;
}

/* At the end of the text, which must go on. */
static enum kpw_json_type cut_off(struct kpw_json *r)
{
    return fail(r, r->end,
                r->depth || r->end > r->start ? "the text ends too early" : "there is no text");
}

enum kpw_json_type kpw_json_next(struct kpw_json *r)
{
    const char *at;

    if (r->expect == STOPPED)
        return r->type;
    at = skip_blank(r->at, r->end);
    if (r->expect == AFTER_VALUE) {
        if (!r->depth)
            return finish(r, at);
        if (at == r->end || *at != ',')
            return at == r->end ? cut_off(r) : close_level(r, at);
        at = skip_blank(at + 1, r->end);
        r->expect = in_object(r) ? KEY : VALUE;
    }
    if (at == r->end)
        return cut_off(r);
    if (r->expect == VALUE)
        return scan_value(r, at);
    if (r->expect == KEY)
        return scan_key(r, at);
    if (r->expect == KEY_OR_END)
        return *at == '}' ? close_level(r, at) : scan_key(r, at);
    return *at == ']' ? close_level(r, at) : scan_value(r, at);
}

/* Behind OBJECT or ARRAY: up to the end of that level. */
static bool skip_level(struct kpw_json *r)
{
    const char *from = r->value.ptr;
    uint32_t outside = r->depth - 1;

    while (r->depth > outside) {
        if (kpw_json_next(r) == KPW_JSON_ERROR)
            return false;
    }
    r->value = (struct kpw_slice){from, (size_t)(r->at - from)};
    return true;
}

bool kpw_json_skip(struct kpw_json *r)
{
    if (r->type == KPW_JSON_KEY && kpw_json_next(r) == KPW_JSON_STRING) {
        r->value.ptr--;
        r->value.len += 2;
    }
    if (r->type == KPW_JSON_OBJECT || r->type == KPW_JSON_ARRAY)
        return skip_level(r);
    return r->type != KPW_JSON_ERROR;
}

enum kpw_json_type kpw_json_value(struct kpw_json *r, struct kpw_slice *ret)
{
    enum kpw_json_type type = kpw_json_next(r);

    if ((type == KPW_JSON_OBJECT || type == KPW_JSON_ARRAY) && !skip_level(r))
        type = KPW_JSON_ERROR;
    *ret = r->value;
    return type;
}

bool kpw_json_valid(const void *ptr, size_t len)
{
    struct kpw_json r;

    kpw_json_init(&r, ptr, len);
    while (kpw_json_next(&r) != KPW_JSON_END) {
        if (r.type == KPW_JSON_ERROR)
            return false;
    }
    return true;
}

void kpw_json_position(const struct kpw_json *r, uint32_t *ret_line, uint32_t *ret_column)
{
    const char *line = r->start;

    *ret_line = 1;
    for (const char *p = r->start; p < r->at; p++) {
        if (*p == '\n') {
            ++*ret_line;
            line = p + 1;
        }
    }
    *ret_column = (uint32_t)(r->at - line) + 1;
}
