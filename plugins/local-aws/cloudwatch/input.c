/* input.c - the three protocols' requests as one kind of value: jansson's.
 *
 * A form's parameter "A.member.2.B" becomes {"A":[..., {"B":...}]}: names are walked into objects,
 * and an object whose only key is "member" becomes a list in order of its numbers. A CBOR time (tag
 * 1, seconds) becomes a number, as in JSON; byte strings are refused, for CloudWatch has none.
 */
#include <stdlib.h>

#include "plugins/local-aws/cloudwatch/cloudwatch.h"
#include "sdk/wire/cbor.h"
#include "sdk/wire/uri.h"

enum { PARTS_MAX = 10, NAME_MAX_LEN = 256 };

json_t *cw_read_json(struct kpw_slice body)
{
    json_t *value = json_loadb(body.len ? body.ptr : "", body.len, 0, NULL);

    if (json_is_object(value))
        return value;
    json_decref(value);
    return NULL;
}

/* ---- CBOR */

static json_t *read_value(struct kpw_cbor *r);

/* A string without a NUL; NULL: it has one, or no memory. */
static json_t *cbor_text(const struct kpw_cbor *r)
{
    json_t *out;
    char *text;

    if (!r->is_chunked)
        return memchr(r->value.ptr ? r->value.ptr : "", 0, r->value.len)
                   ? NULL
                   : json_stringn(r->value.ptr ? r->value.ptr : "", r->value.len);
    text = malloc((size_t)r->number + 1);
    if (!text)
        return NULL;
    kpw_cbor_join_to(r, text);
    text[r->number] = '\0';
    out = strlen(text) == r->number ? json_string(text) : NULL;
    free(text);
    return out;
}

/* The map has begun. */
static json_t *cbor_map(struct kpw_cbor *r)
{
    json_t *out = json_object();

    while (kpw_cbor_next(r) == KPW_CBOR_TEXT) {
        json_t *key = cbor_text(r), *value = key ? (kpw_cbor_next(r), read_value(r)) : NULL;
        bool ok = value && json_object_set(out, json_string_value(key), value) == 0;

        json_decref(value);
        json_decref(key);
        if (!ok) {
            json_decref(out);
            return NULL;
        }
    }
    if (r->type == KPW_CBOR_MAP_END)
        return out;
    json_decref(out);
    return NULL;
}

static json_t *cbor_list(struct kpw_cbor *r)
{
    json_t *out = json_array();

    while (kpw_cbor_next(r) != KPW_CBOR_ARRAY_END) {
        json_t *value = read_value(r);

        if (!value || json_array_append_new(out, value) != 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

/* Of the item in hand. NULL: broken, or of a kind that has no place here. */
static json_t *read_value(struct kpw_cbor *r)
{
    int64_t n;

    switch (r->type) {
    case KPW_CBOR_MAP: return cbor_map(r);
    case KPW_CBOR_ARRAY: return cbor_list(r);
    case KPW_CBOR_TEXT: return cbor_text(r);
    case KPW_CBOR_UINT:
    case KPW_CBOR_NEGATIVE:
        return kpw_cbor_to_int64(r, &n)   ? json_integer(n)
               : r->type == KPW_CBOR_UINT ? json_real((double)r->number)
                                          : json_real(-1 - (double)r->number);
    case KPW_CBOR_FLOAT: {
        json_t *real = json_real(r->real); /* NULL for NaN and infinities */

        return real ? real : json_string(r->real != r->real ? "NaN" : "Infinity");
    }
    case KPW_CBOR_TRUE: return json_true();
    case KPW_CBOR_FALSE: return json_false();
    case KPW_CBOR_NULL:
    case KPW_CBOR_UNDEFINED: return json_null();
    case KPW_CBOR_TAG:
        if (r->number != KPW_CBOR_TAG_TIME)
            return NULL;
        kpw_cbor_next(r);
        return r->type == KPW_CBOR_UINT || r->type == KPW_CBOR_NEGATIVE || r->type == KPW_CBOR_FLOAT
                   ? read_value(r)
                   : NULL;
    default: return NULL;
    }
}

json_t *cw_read_cbor(struct kpw_slice body)
{
    struct kpw_cbor r;
    json_t *out;

    if (!body.len) /* an operation without input */
        return json_object();
    kpw_cbor_init(&r, body.ptr, body.len);
    if (kpw_cbor_next(&r) != KPW_CBOR_MAP)
        return NULL;
    out = cbor_map(&r);
    if (out && kpw_cbor_next(&r) == KPW_CBOR_END)
        return out;
    json_decref(out);
    return NULL;
}

/* ---- forms */

/* Puts `value` where the name says. False: no memory, or the name leads through a text. */
static bool put_parameter(json_t *root, char *name, const char *value)
{
    json_t *at = root;
    char *part = name;

    for (int depth = 0; depth < PARTS_MAX; depth++) {
        char *dot = strchr(part, '.');
        json_t *next;

        if (dot)
            *dot = '\0';
        if (!*part)
            return false;
        if (!dot)
            return json_object_set_new(at, part, json_string(value)) == 0;
        next = json_object_get(at, part);
        if (!next) {
            next = json_object();
            if (json_object_set_new(at, part, next) != 0)
                return false;
        }
        if (!json_is_object(next))
            return false;
        at = next;
        part = dot + 1;
    }
    return false;
}

static bool add_form(json_t *root, struct kpw_slice text)
{
    struct kpw_buf value = KPW_BUF_INIT;
    struct kpw_query q;
    bool ok = true;

    kpw_query_init(&q, text);
    while (ok && kpw_query_next(&q)) {
        char name[NAME_MAX_LEN + 1];
        size_t n;

        kpw_buf_clear(&value);
        ok = q.name.len <= NAME_MAX_LEN && kpw_uri_decode(q.name.ptr, q.name.len, true, name, &n) &&
             kpw_uri_decode_put(&value, q.value, true) && kpw_buf_cstr(&value) &&
             strlen(value.ptr) == value.len;
        if (!ok)
            break;
        name[n] = '\0';
        /* "X-Amz-..." of a presigned URL has no place among members, and does no harm. */
        ok = strlen(name) == n && put_parameter(root, name, value.ptr);
    }
    kpw_buf_fini(&value);
    return ok;
}

static int by_number(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    size_t n = strlen(*x), m = strlen(*y);

    return n != m ? (n < m ? -1 : 1) : strcmp(*x, *y);
}

/* Keys like "1", without leading zeros, so that their length orders them. */
static bool is_number(const char *key)
{
    return *key >= '1' && *key <= '9' && strlen(key) <= 9 && key[strspn(key, "0123456789")] == '\0';
}

/* {"1":a,"3":b} as [a, b]. NULL: a key is no number. */
static json_t *list_of(json_t *members)
{
    size_t n = json_object_size(members), i = 0;
    const char **keys = reallocarray(NULL, n + 1, sizeof *keys);
    json_t *out = keys ? json_array() : NULL, *value;
    const char *key;

    json_object_foreach(members, key, value)
    {
        if (out && !is_number(key)) {
            json_decref(out);
            out = NULL;
        }
        if (keys)
            keys[i++] = key;
    }
    if (out) {
        qsort(keys, n, sizeof *keys, by_number);
        for (i = 0; i < n; i++)
            json_array_append(out, json_object_get(members, keys[i]));
    }
    free(keys);
    return out;
}

/* Turns every {"member":{...}} below into a list; depth is bounded by PARTS_MAX. */
static bool make_lists(json_t *object)
{
    const char *key;
    json_t *value;
    void *next;

    json_object_foreach_safe(object, next, key, value)
    {
        json_t *members = json_object_get(value, "member"), *list;

        if (json_is_object(members) && json_object_size(value) == 1) {
            const char *number;
            json_t *item;

            json_object_foreach(members, number,
                                item) if (json_is_object(item) && !make_lists(item)) return false;
            list = list_of(members);
            if (!list || json_object_set_new(object, key, list) != 0)
                return false;
        } else if (json_is_object(value) && !make_lists(value)) {
            return false;
        }
    }
    return true;
}

json_t *cw_read_form(struct kpw_slice body, struct kpw_slice query)
{
    json_t *root = json_object();

    if (root && add_form(root, query) && add_form(root, body) && make_lists(root))
        return root;
    json_decref(root);
    return NULL;
}
