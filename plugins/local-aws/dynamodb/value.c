/* value.c - DynamoDB attribute values, as the JSON they travel in: {"S":"x"}, {"N":"1"}.
 *
 * Sets are kept sorted by value, so equality, duplicates, union and difference
 * are merges and a set of any size costs n log n.
 */
#include "plugins/local-aws/dynamodb/value.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/dynamodb/num.h"

#define ONE_OR_MORE "One or more parameter values were invalid: "

enum { NESTING_MAX = 32 };

static const struct {
    const char *name, *text;
} types[] = {
    [DDB_NONE] = {"", ""},           [DDB_S] = {"S", "STRING"},
    [DDB_N] = {"N", "NUMBER"},       [DDB_B] = {"B", "BINARY"},
    [DDB_SS] = {"SS", "STRING_SET"}, [DDB_NS] = {"NS", "NUMBER_SET"},
    [DDB_BS] = {"BS", "BINARY_SET"}, [DDB_BOOL] = {"BOOL", "BOOLEAN"},
    [DDB_NULL] = {"NULL", "NULL"},   [DDB_L] = {"L", "LIST"},
    [DDB_M] = {"M", "MAP"},
};

static void set_text(struct ddb_error *err, const char *type, const char *fmt, va_list args)
{
    if (!err)
        return;
    err->type = type;
    vsnprintf(err->text, sizeof(err->text), fmt, args);
}

bool ddb_refuse(struct ddb_error *err, const char *type, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    set_text(err, type, fmt, args);
    va_end(args);
    return false;
}

bool ddb_invalid(struct ddb_error *err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    set_text(err, "ValidationException", fmt, args);
    va_end(args);
    return false;
}

void ddb_error_fini(struct ddb_error *err)
{
    json_decref(err->item);
    json_decref(err->reasons);
    err->item = NULL;
    err->reasons = NULL;
    err->type = NULL;
}

const char *ddb_type_name(enum ddb_type type)
{
    return types[type].name;
}

const char *ddb_type_long(enum ddb_type type)
{
    return types[type].text;
}

enum ddb_type ddb_type_named(const char *name)
{
    for (int t = DDB_S; t <= DDB_M; t++)
        if (strcmp(name, types[t].name) == 0)
            return (enum ddb_type)t;
    return DDB_NONE;
}

enum ddb_type ddb_type_of(const json_t *value)
{
    void *it = json_object_iter((json_t *)value);

    return it ? ddb_type_named(json_object_iter_key(it)) : DDB_NONE;
}

json_t *ddb_payload(const json_t *value)
{
    void *it = json_object_iter((json_t *)value);

    return it ? json_object_iter_value(it) : NULL;
}

/* ---- bytes and base64 ---- */

static bool is_base64(const char *text, size_t len)
{
    size_t pad = 0;

    if (len % 4 != 0)
        return false;
    while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
        pad++;
    for (size_t i = 0; i < len - pad; i++) {
        char c = text[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '+' || c == '/'))
            return false;
    }
    return true;
}

static bool from_base64(const char *text, size_t len, struct ddb_bytes *ret)
{
    int n;

    *ret = (struct ddb_bytes){NULL, 0};
    if (!is_base64(text, len) || len > INT32_MAX)
        return false;
    ret->at = malloc(len / 4 * 3 + 1);
    if (!ret->at)
        return false;
    if (len == 0)
        return true;
    n = EVP_DecodeBlock(ret->at, (const unsigned char *)text, (int)len);
    if (n < 0) {
        free(ret->at);
        ret->at = NULL;
        return false;
    }
    ret->len = (size_t)n - (text[len - 1] == '=') - (text[len - 2] == '=');
    return true;
}

static json_t *to_base64(const struct ddb_bytes *bytes)
{
    char *text = malloc(bytes->len / 3 * 4 + 5);
    json_t *ret = NULL;
    int n;

    if (text) {
        n = bytes->len ? EVP_EncodeBlock((unsigned char *)text, bytes->at, (int)bytes->len) : 0;
        ret = json_stringn_nocheck(text, (size_t)n);
    }
    free(text);
    return ret;
}

/* The bytes of a string or base64 payload: decoded for B and BS. */
static bool payload_bytes(const json_t *text, bool binary, struct ddb_bytes *ret)
{
    size_t len = json_string_length(text);

    if (binary)
        return from_base64(json_string_value(text), len, ret);
    ret->at = malloc(len + 1);
    ret->len = len;
    if (ret->at)
        memcpy(ret->at, json_string_value(text), len + 1);
    return ret->at != NULL;
}

/* Unsigned byte order, a prefix first. */
static int bytes_order(const void *a, size_t na, const void *b, size_t nb)
{
    size_t n = na < nb ? na : nb;
    int order = n ? memcmp(a, b, n) : 0;

    return order ? order : (na > nb) - (na < nb);
}

/* ---- order ---- */

static int order_numbers(const json_t *a, const json_t *b)
{
    struct ddb_num x, y;

    ddb_num_parse(&x, json_string_value(a), json_string_length(a));
    ddb_num_parse(&y, json_string_value(b), json_string_length(b));
    return ddb_num_compare(&x, &y);
}

static int order_binaries(const json_t *a, const json_t *b)
{
    struct ddb_bytes x = {NULL, 0}, y = {NULL, 0};
    int order = 0;

    if (payload_bytes(a, true, &x) && payload_bytes(b, true, &y))
        order = bytes_order(x.at, x.len, y.at, y.len);
    free(x.at);
    free(y.at);
    return order;
}

/* Order of two strings of one kind; kind is the scalar type. */
static int order_payloads(enum ddb_type kind, const json_t *a, const json_t *b)
{
    if (kind == DDB_N)
        return order_numbers(a, b);
    if (kind == DDB_B)
        return order_binaries(a, b);
    return bytes_order(json_string_value(a), json_string_length(a), json_string_value(b),
                       json_string_length(b));
}

bool ddb_order(const json_t *a, const json_t *b, int *ret)
{
    enum ddb_type type = ddb_type_of(a);

    if (type != ddb_type_of(b) || (type != DDB_S && type != DDB_N && type != DDB_B))
        return false;
    *ret = order_payloads(type, ddb_payload(a), ddb_payload(b));
    return true;
}

static enum ddb_type element_type(enum ddb_type set)
{
    return set == DDB_SS ? DDB_S : set == DDB_NS ? DDB_N : set == DDB_BS ? DDB_B : DDB_NONE;
}

static int order_as_strings(const void *a, const void *b)
{
    return order_payloads(DDB_S, *(json_t *const *)a, *(json_t *const *)b);
}

static int order_as_numbers(const void *a, const void *b)
{
    return order_payloads(DDB_N, *(json_t *const *)a, *(json_t *const *)b);
}

/* Sorts a set's array. Base64 in canonical form may be sorted as text: any total order will do for
 * BS, as nothing compares binary sets but for equality. */
static bool sort_set(json_t *set, enum ddb_type kind)
{
    size_t n = json_array_size(set);
    json_t **all = malloc((n + 1) * sizeof(*all));

    if (!all)
        return false;
    for (size_t i = 0; i < n; i++)
        all[i] = json_incref(json_array_get(set, i));
    qsort(all, n, sizeof(*all), kind == DDB_N ? order_as_numbers : order_as_strings);
    for (size_t i = 0; i < n; i++)
        json_array_set_new(set, i, all[i]);
    free(all);
    return true;
}

static int order_members(enum ddb_type kind, const json_t *a, const json_t *b)
{
    return order_payloads(kind == DDB_N ? DDB_N : DDB_S, a, b);
}

/* ---- checking ---- */

static bool not_converted(const json_t *value, const char *to, struct ddb_error *err)
{
    const char *type = "SerializationException";

    switch (json_typeof(value)) {
    case JSON_TRUE: return ddb_refuse(err, type, "TRUE_VALUE cannot be converted to %s", to);
    case JSON_FALSE: return ddb_refuse(err, type, "FALSE_VALUE cannot be converted to %s", to);
    case JSON_INTEGER: return ddb_refuse(err, type, "NUMBER_VALUE cannot be converted to %s", to);
    case JSON_REAL: return ddb_refuse(err, type, "DECIMAL_VALUE cannot be converted to %s", to);
    case JSON_STRING: return ddb_refuse(err, type, "STRING_VALUE cannot be converted to %s", to);
    case JSON_OBJECT:
    case JSON_ARRAY: return ddb_refuse(err, type, "Unexpected field type");
    case JSON_NULL: break;
    }
    return ddb_refuse(err, type, "Unexpected value type in payload");
}

/* [new reference] Canonical form of a string, number or base64 text. */
static json_t *canonical_number(const json_t *text, struct ddb_error *err)
{
    struct ddb_num num;
    char out[DDB_NUM_TEXT_MAX];
    const char *value = json_string_value(text), *wrong;
    size_t len = json_string_length(text);

    wrong = ddb_num_parse(&num, value, len);
    if (!wrong)
        return json_stringn_nocheck(out, ddb_num_text(&num, out));
    if (strncmp(wrong, "The parameter", 13) == 0 && len > 0)
        ddb_invalid(err, "%s: %.200s", wrong, value);
    else
        ddb_invalid(err, "%s", wrong);
    return NULL;
}

static json_t *canonical_binary(const json_t *text, struct ddb_error *err)
{
    struct ddb_bytes bytes;
    size_t len = json_string_length(text);
    json_t *ret;

    if (len % 4 != 0) {
        ddb_refuse(err, "SerializationException",
                   "Base64 encoded length is expected a multiple of 4 bytes but found: %zu", len);
        return NULL;
    }
    if (!from_base64(json_string_value(text), len, &bytes)) {
        ddb_refuse(err, "SerializationException",
                   "only base-64-encoded strings are convertible to bytes");
        return NULL;
    }
    ret = to_base64(&bytes);
    free(bytes.at);
    return ret;
}

static json_t *canonical(enum ddb_type kind, json_t *payload, struct ddb_error *err)
{
    if (!json_is_string(payload)) {
        if (kind == DDB_B)
            ddb_refuse(err, "SerializationException",
                       "only base-64-encoded strings are convertible to bytes");
        else
            not_converted(payload, "String", err);
        return NULL;
    }
    if (kind == DDB_N)
        return canonical_number(payload, err);
    if (kind == DDB_B)
        return canonical_binary(payload, err);
    return json_incref(payload);
}

static bool duplicates(json_t *set, enum ddb_type kind, struct ddb_error *err)
{
    char list[400] = "";
    size_t at = 0;

    if (kind == DDB_N)
        return ddb_invalid(err, "Input collection contains duplicates");
    for (size_t i = 0; i < json_array_size(set) && at < sizeof(list) - 1; i++) {
        int n = snprintf(list + at, sizeof(list) - at, "%s%s", i ? ", " : "",
                         json_string_value(json_array_get(set, i)));

        at = n < 0 ? sizeof(list) : at + (size_t)n;
    }
    return ddb_invalid(err, ONE_OR_MORE "Input collection [%s]%s contains duplicates.", list,
                       kind == DDB_B ? "of type BS" : "");
}

static bool check_set(json_t *set, enum ddb_type kind, struct ddb_error *err)
{
    json_t *as_sent;
    bool ok = true;

    if (!json_is_array(set))
        return ddb_refuse(err, "SerializationException",
                          "Unrecognized collection type class java.lang.String");
    if (json_array_size(set) == 0)
        return ddb_invalid(err, ONE_OR_MORE "%s",
                           kind == DDB_S   ? "An string set  may not be empty"
                           : kind == DDB_N ? "An number set  may not be empty"
                                           : "Binary sets should not be empty");
    for (size_t i = 0; i < json_array_size(set); i++) {
        json_t *one = canonical(kind, json_array_get(set, i), err);

        if (!one || json_array_set_new(set, i, one) != 0)
            return false;
    }
    as_sent = json_copy(set);
    if (!sort_set(set, kind))
        ok = ddb_refuse(err, "InternalServerError", "out of memory");
    for (size_t i = 1; ok && i < json_array_size(set); i++)
        if (order_members(kind, json_array_get(set, i - 1), json_array_get(set, i)) == 0)
            ok = duplicates(as_sent, kind, err);
    json_decref(as_sent);
    return ok;
}

static bool check_at(json_t *value, int depth, struct ddb_error *err);

static bool check_members(json_t *object, int depth, struct ddb_error *err)
{
    const char *name;
    json_t *member;

    json_object_foreach(object, name, member)
    {
        if (!check_at(member, depth, err))
            return false;
    }
    return true;
}

static bool check_elements(json_t *list, int depth, struct ddb_error *err)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!check_at(json_array_get(list, i), depth, err))
            return false;
    return true;
}

static bool check_scalar(json_t *value, enum ddb_type type, struct ddb_error *err)
{
    json_t *one = canonical(type, ddb_payload(value), err);

    return one && json_object_set_new(value, ddb_type_name(type), one) == 0;
}

static bool check_null(json_t *payload, struct ddb_error *err)
{
    if (!json_is_boolean(payload))
        return not_converted(payload, "Boolean", err);
    return json_is_true(payload) ||
           ddb_invalid(err, ONE_OR_MORE "Null attribute value types must have the value of true");
}

static bool check_nested(json_t *payload, enum ddb_type type, int depth, struct ddb_error *err)
{
    if (type == DDB_L ? !json_is_array(payload) : !json_is_object(payload))
        return ddb_refuse(err, "SerializationException", "Unexpected field type");
    return type == DDB_L ? check_elements(payload, depth, err) : check_members(payload, depth, err);
}

static bool check_payload(json_t *value, enum ddb_type type, int depth, struct ddb_error *err)
{
    json_t *payload = ddb_payload(value);

    switch (type) {
    case DDB_S:
    case DDB_N:
    case DDB_B: return check_scalar(value, type, err);
    case DDB_SS:
    case DDB_NS:
    case DDB_BS: return check_set(payload, element_type(type), err);
    case DDB_BOOL: return json_is_boolean(payload) || not_converted(payload, "Boolean", err);
    case DDB_NULL: return check_null(payload, err);
    case DDB_L:
    case DDB_M: return check_nested(payload, type, depth + 1, err);
    case DDB_NONE: break;
    }
    return ddb_invalid(err, "Supplied AttributeValue is empty, must contain exactly one of the "
                            "supported datatypes");
}

/* Drops members a client library left null, and those no version of the service knows. */
static void drop_unknown(json_t *value)
{
    const char *name;
    json_t *member;
    void *next;

    json_object_foreach_safe(value, next, name, member)
    {
        if (json_is_null(member) || ddb_type_named(name) == DDB_NONE)
            json_object_del(value, name);
    }
}

static bool check_at(json_t *value, int depth, struct ddb_error *err)
{
    if (depth > NESTING_MAX)
        return ddb_invalid(err, "Nesting Levels have exceeded supported limits");
    if (!json_is_object(value))
        return json_is_null(value) || json_is_array(value)
                   ? ddb_refuse(err, "SerializationException", "Unexpected value type in payload")
                   : not_converted(value, "AttributeValue", err);
    drop_unknown(value);
    if (json_object_size(value) > 1)
        return ddb_invalid(err, "Supplied AttributeValue has more than one datatypes set, must "
                                "contain exactly one of the supported datatypes");
    return check_payload(value, ddb_type_of(value), depth, err);
}

bool ddb_value_check(json_t *value, struct ddb_error *err)
{
    return check_at(value, 1, err);
}

bool ddb_item_check(json_t *item, struct ddb_error *err)
{
    if (!json_is_object(item))
        return ddb_refuse(err, "SerializationException", "Unexpected field type");
    return check_members(item, 1, err);
}

/* ---- comparing ---- */

static bool equal_lists(const json_t *a, const json_t *b)
{
    if (json_array_size(a) != json_array_size(b))
        return false;
    for (size_t i = 0; i < json_array_size(a); i++)
        if (!ddb_equal(json_array_get(a, i), json_array_get(b, i)))
            return false;
    return true;
}

static bool equal_maps(const json_t *a, const json_t *b)
{
    const char *name;
    json_t *member;

    if (json_object_size(a) != json_object_size(b))
        return false;
    json_object_foreach((json_t *)a, name, member)
    {
        if (!ddb_equal(member, json_object_get(b, name)))
            return false;
    }
    return true;
}

bool ddb_equal(const json_t *a, const json_t *b)
{
    enum ddb_type type = ddb_type_of(a);

    if (!a || !b || type != ddb_type_of(b))
        return false;
    if (type == DDB_L)
        return equal_lists(ddb_payload(a), ddb_payload(b));
    if (type == DDB_M)
        return equal_maps(ddb_payload(a), ddb_payload(b));
    /* All others are canonical text, or sorted arrays of it. */
    return json_equal(ddb_payload(a), ddb_payload(b));
}

/* Both as bytes; false when out of memory or not of one kind. */
static bool both_bytes(const json_t *a, const json_t *b, struct ddb_bytes *x, struct ddb_bytes *y)
{
    enum ddb_type type = ddb_type_of(a);

    *x = *y = (struct ddb_bytes){NULL, 0};
    return (type == DDB_S || type == DDB_B) && ddb_type_of(b) == type &&
           payload_bytes(ddb_payload(a), type == DDB_B, x) &&
           payload_bytes(ddb_payload(b), type == DDB_B, y);
}

bool ddb_begins_with(const json_t *value, const json_t *prefix)
{
    struct ddb_bytes x, y;
    bool ret =
        both_bytes(value, prefix, &x, &y) && x.len >= y.len && memcmp(x.at, y.at, y.len) == 0;

    free(x.at);
    free(y.at);
    return ret;
}

/* Index of a member in a sorted set, or -1. */
static long find_member(const json_t *set, enum ddb_type kind, const json_t *member)
{
    size_t low = 0, high = json_array_size(set);

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = order_members(kind, member, json_array_get(set, mid));

        if (order == 0)
            return (long)mid;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return -1;
}

static bool list_contains(const json_t *list, const json_t *part)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (ddb_equal(json_array_get(list, i), part))
            return true;
    return false;
}

bool ddb_contains(const json_t *value, const json_t *part)
{
    enum ddb_type type = ddb_type_of(value), kind = element_type(type);
    struct ddb_bytes x, y;
    bool ret;

    if (type == DDB_L)
        return list_contains(ddb_payload(value), part);
    if (kind != DDB_NONE)
        return ddb_type_of(part) == kind &&
               find_member(ddb_payload(value), kind, ddb_payload(part)) >= 0;
    ret = both_bytes(value, part, &x, &y) && memmem(x.at, x.len, y.at, y.len);
    free(x.at);
    free(y.at);
    return ret;
}

/* ---- sizes ---- */

static size_t binary_size(const json_t *text)
{
    size_t len = json_string_length(text);
    const char *value = json_string_value(text);

    if (len < 4)
        return 0;
    return len / 4 * 3 - (value[len - 1] == '=') - (value[len - 2] == '=');
}

long ddb_size_function(const json_t *value)
{
    const json_t *payload = ddb_payload(value);

    switch (ddb_type_of(value)) {
    case DDB_S: return (long)json_string_length(payload);
    case DDB_B: return (long)binary_size(payload);
    case DDB_SS:
    case DDB_NS:
    case DDB_BS:
    case DDB_L: return (long)json_array_size(payload);
    case DDB_M: return (long)json_object_size(payload);
    case DDB_N:
    case DDB_BOOL:
    case DDB_NULL:
    case DDB_NONE: break;
    }
    return -1;
}

static size_t scalar_size(enum ddb_type kind, const json_t *text)
{
    struct ddb_num num;

    if (kind == DDB_S)
        return json_string_length(text);
    if (kind == DDB_B)
        return binary_size(text);
    ddb_num_parse(&num, json_string_value(text), json_string_length(text));
    return ddb_num_size(&num);
}

static size_t value_size(const json_t *value)
{
    enum ddb_type type = ddb_type_of(value);
    const json_t *payload = ddb_payload(value);
    size_t sum = 0;

    if (type == DDB_S || type == DDB_N || type == DDB_B)
        return scalar_size(type, payload);
    if (type == DDB_M)
        return 3 + json_object_size(payload) + ddb_item_size(payload);
    if (!json_is_array(payload))
        return 1;
    for (size_t i = 0; i < json_array_size(payload); i++)
        sum += type == DDB_L ? 1 + value_size(json_array_get(payload, i))
                             : scalar_size(element_type(type), json_array_get(payload, i));
    return type == DDB_L ? sum + 3 : sum;
}

size_t ddb_item_size(const json_t *item)
{
    const char *name;
    json_t *value;
    size_t sum = 0;

    json_object_foreach((json_t *)item, name, value)
    {
        sum += strlen(name) + value_size(value);
    }
    return sum;
}

/* ---- computing ---- */

json_t *ddb_sum(const json_t *a, const json_t *b, bool subtract, struct ddb_error *err)
{
    struct ddb_num x, y, sum;
    char text[DDB_NUM_TEXT_MAX];
    const json_t *pa = ddb_payload(a), *pb = ddb_payload(b);
    const char *wrong;

    ddb_num_parse(&x, json_string_value(pa), json_string_length(pa));
    ddb_num_parse(&y, json_string_value(pb), json_string_length(pb));
    wrong = ddb_num_add(&sum, &x, &y, subtract);
    if (wrong) {
        ddb_invalid(err, "%s", wrong);
        return NULL;
    }
    ddb_num_text(&sum, text);
    return json_pack("{s:s}", "N", text);
}

json_t *ddb_make_number(long number)
{
    char text[24];

    snprintf(text, sizeof(text), "%ld", number);
    return json_pack("{s:s}", "N", text);
}

static json_t *make_set(enum ddb_type type, json_t *members)
{
    return json_pack("{s:o}", ddb_type_name(type), members);
}

json_t *ddb_set_union(const json_t *a, const json_t *b)
{
    enum ddb_type type = ddb_type_of(a), kind = element_type(type);
    json_t *out = json_array(), *x = ddb_payload(a), *y = ddb_payload(b);
    size_t i = 0, j = 0, n = json_array_size(x), m = json_array_size(y);

    while (i < n || j < m) {
        int order = i == n   ? 1
                    : j == m ? -1
                             : order_members(kind, json_array_get(x, i), json_array_get(y, j));

        json_array_append(out, order <= 0 ? json_array_get(x, i) : json_array_get(y, j));
        i += order <= 0;
        j += order >= 0;
    }
    return make_set(type, out);
}

json_t *ddb_set_difference(const json_t *a, const json_t *b)
{
    enum ddb_type type = ddb_type_of(a), kind = element_type(type);
    json_t *out = json_array(), *x = ddb_payload(a);

    for (size_t i = 0; i < json_array_size(x); i++)
        if (find_member(ddb_payload(b), kind, json_array_get(x, i)) < 0)
            json_array_append(out, json_array_get(x, i));
    if (json_array_size(out) > 0)
        return make_set(type, out);
    json_decref(out);
    return NULL;
}

bool ddb_key_bytes(const json_t *value, struct ddb_bytes *ret)
{
    enum ddb_type type = ddb_type_of(value);
    const json_t *payload = ddb_payload(value);
    struct ddb_num num;

    if (type != DDB_N)
        return payload_bytes(payload, type == DDB_B, ret);
    ret->at = malloc(DDB_NUM_KEY_MAX);
    if (!ret->at)
        return false;
    ddb_num_parse(&num, json_string_value(payload), json_string_length(payload));
    ret->len = ddb_num_key(&num, ret->at);
    return true;
}
