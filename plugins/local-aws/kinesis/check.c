/* check.c - the texts of type errors and of broken constraints. */
#include "plugins/local-aws/kinesis/check.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "sdk/wire/base64.h"

#define ERRORS_MAX 10
#define ENTRY      "com.amazonaws.kinesis.v20131202.PutRecordsRequestEntry@c965e310"
#define BLOB_MAX   10485760
#define KEY_MAX    256

static const char *const patterns[] = {
    [PATTERN_NAME] = "[a-zA-Z0-9_.-]+",
    [PATTERN_ARN] = "arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+",
    [PATTERN_ID] = "[a-z0-9]{20}-[a-z0-9]{3}",
    [PATTERN_SEQUENCE] = "0|([1-9]\\d{0,128})",
    [PATTERN_HASH] = "0|([1-9]\\d{0,38})",
    [PATTERN_RESOURCE] = "arn:aws.*:kinesis:.*:\\d{12}:.*stream/\\S+",
    [PATTERN_CONSUMER] = "^(arn):aws.*:kinesis:.*:\\d{12}:.*stream\\/[a-zA-Z0-9_.-]+\\/consumer"
                         "\\/[a-zA-Z0-9_.-]+:[0-9]+",
};

/* ---- types */

static const char *type_name(enum check_type type)
{
    return type == CHECK_INTEGER ? "an Integer"
           : type == CHECK_BOOL  ? "an Boolean"
           : type == CHECK_BLOB  ? "a Blob"
           : type == CHECK_TIME  ? "milliseconds since epoch"
                                 : "an String";
}

static bool is_scalar(enum check_type type)
{
    return type <= CHECK_TIME;
}

static const char *class_of(uint8_t token)
{
    switch (token) {
    case KPW_JSON_STRING: return "java.lang.String";
    case KPW_JSON_NUMBER: return "com.amazon.coral.value.json.numbers.TruncatingBigNumber";
    case CHECK_TOKEN_BYTES: return "java.nio.HeapByteBuffer";
    default: return "java.lang.Boolean";
    }
}

/* What stands where a value of `type` should be. */
static void type_error(struct kpw_buf *out, enum check_type type, const struct check_value *v)
{
    if (v->token == KPW_JSON_ARRAY) {
        kpw_buf_puts(out, "Start of list found where not expected");
    } else if (v->token == KPW_JSON_OBJECT) {
        kpw_buf_puts(out, "Start of structure or map found where not expected.");
    } else if (type == CHECK_STRUCT) {
        kpw_buf_puts(out, "Expected null");
    } else if (!is_scalar(type)) {
        kpw_buf_appendf(out, "Expected %s or null", type == CHECK_MAP ? "map" : "list");
    } else if (type == CHECK_BOOL && v->token == KPW_JSON_STRING) {
        kpw_buf_putc(out, '\'');
        for (size_t i = 0; i < v->text.len; i++)
            kpw_buf_putc(out, (char)toupper((unsigned char)v->text.ptr[i]));
        kpw_buf_puts(out, "' can not be converted to an Boolean");
    } else {
        kpw_buf_appendf(out, "class %s can not be converted to %s", class_of(v->token),
                        type_name(type));
    }
}

static bool has_type_error(struct kpw_buf *out, enum check_type type, const struct check_value *v)
{
    if (!v->token)
        return false;
    if (v->is_item)
        type = type == CHECK_RECORDS ? CHECK_STRUCT : CHECK_STRING;
    type_error(out, type, v);
    return true;
}

bool check_blob(struct kpw_slice text, struct kpw_buf *error)
{
    size_t len = text.len;

    if (len % 4) {
        kpw_buf_appendf(error,
                        "'%.*s' can not be converted to a Blob: Base64 encoded length is "
                        "expected a multiple of 4 bytes but found: %zu",
                        (int)len, text.ptr, len);
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char c = text.ptr[i];

        if (isalnum((unsigned char)c) || c == '+' || c == '/' ||
            (c == '=' && i + 2 >= len && (i + 1 == len || text.ptr[i + 1] == '=')))
            continue;
        kpw_buf_appendf(error,
                        "'%.*s' can not be converted to a Blob: Invalid Base64 character: '%c'",
                        (int)len, text.ptr, c);
        return false;
    }
    for (size_t at = len >= 4 ? len - 4 : 0; at + 4 <= len; at += 4) {
        char out[8];
        size_t n;

        if (kpw_base64_decode(text.ptr + at, 4, out, &n))
            continue;
        kpw_buf_appendf(error,
                        "'%.*s' can not be converted to a Blob: Invalid last non-pad Base64 "
                        "character dectected",
                        (int)len, text.ptr);
        return false;
    }
    return true;
}

size_t check_blob_len(const struct check *check, const struct check_value *v)
{
    return check->is_cbor ? v->text.len : kpw_base64_decoded_len(v->text.ptr, v->text.len);
}

static bool record_type_error(struct check *check)
{
    for (size_t i = 0; i < check->n_records; i++) {
        const struct check_record *r = &check->records[i];

        if (has_type_error(&check->error, CHECK_STRING, &r->key) ||
            has_type_error(&check->error, CHECK_STRING, &r->hash) ||
            has_type_error(&check->error, CHECK_BLOB, &r->data))
            return true;
    }
    return false;
}

static bool any_type_error(struct check *check, const struct check_member *members,
                           const struct check_value *values)
{
    for (size_t i = 0; members[i].name; i++) {
        const struct check_member *m = &members[i];

        if (has_type_error(&check->error, m->type, &values[i]))
            return true;
        if (m->type == CHECK_RECORDS && record_type_error(check))
            return true;
        if (m->type == CHECK_STRUCT && values[i].members &&
            any_type_error(check, m->members, values[i].members))
            return true;
    }
    return false;
}

/* Blobs are proven by whoever decodes them; here only when a ValidationException would hide it. */
static bool any_blob_error(struct check *check)
{
    if (check->is_cbor)
        return false;
    for (size_t i = 0; check->members[i].name; i++)
        if (check->members[i].type == CHECK_BLOB && check->values[i].is_given &&
            !check_blob(check->values[i].text, &check->error))
            return true;
    for (size_t i = 0; i < check->n_records; i++)
        if (check->records[i].data.is_given &&
            !check_blob(check->records[i].data.text, &check->error))
            return true;
    return false;
}

/* ---- patterns */

static bool all_of(struct kpw_slice text, const char *others)
{
    for (size_t i = 0; i < text.len; i++)
        if (!isalnum((unsigned char)text.ptr[i]) && (!text.ptr[i] || !strchr(others, text.ptr[i])))
            return false;
    return text.len > 0;
}

static bool is_number(struct kpw_slice text, size_t digits)
{
    if (!text.len || text.len > digits || (text.ptr[0] == '0' && text.len > 1))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!isdigit((unsigned char)text.ptr[i]))
            return false;
    return true;
}

/* arn:aws.*:kinesis:.*:\d{12}:stream/\S+ */
static bool is_arn(struct kpw_slice text)
{
    static const char middle[] = ":kinesis:", tail[] = ":stream/";
    const char *stream = text.len ? memmem(text.ptr, text.len, tail, sizeof tail - 1) : NULL;
    const char *service = text.len ? memmem(text.ptr, text.len, middle, sizeof middle - 1) : NULL;

    if (!kpw_slice_starts(text, "arn:aws") || !stream || !service ||
        stream - service < (ptrdiff_t)sizeof middle + 12 || stream[-13] != ':')
        return false;
    for (const char *at = stream - 12; at < stream; at++)
        if (!isdigit((unsigned char)*at))
            return false;
    stream += sizeof tail - 1;
    for (const char *at = stream; at < text.ptr + text.len; at++)
        if (isspace((unsigned char)*at))
            return false;
    return stream < text.ptr + text.len;
}

/* arn:aws.*:kinesis:.*:\d{12}:.*stream/\S+ */
static bool is_resource(struct kpw_slice text)
{
    static const char middle[] = ":kinesis:", tail[] = "stream/";
    const char *end = text.ptr + text.len;
    const char *at = text.len ? memmem(text.ptr, text.len, middle, sizeof middle - 1) : NULL;
    size_t digits = 100; /* not behind a colon */

    if (!kpw_slice_starts(text, "arn:aws") || !at)
        return false;
    for (at += sizeof middle - 1; at < end && digits != 13; at++)
        digits =
            *at == ':' ? (digits == 12 ? 13 : 0) : (isdigit((unsigned char)*at) ? digits + 1 : 100);
    if (digits != 13)
        return false;
    at = memmem(at, (size_t)(end - at), tail, sizeof tail - 1);
    if (!at)
        return false;
    at += sizeof tail - 1;
    for (const char *rest = at; rest < end; rest++)
        if (isspace((unsigned char)*rest))
            return false;
    return at < end;
}

/* The same with NAME/consumer/NAME:DIGITS behind "stream/". */
static bool is_consumer(struct kpw_slice text)
{
    static const char middle[] = "/consumer/";
    const char *end = text.ptr + text.len, *name, *at, *colon;

    if (!is_resource(text))
        return false;
    name = (const char *)memmem(text.ptr, text.len, "stream/", 7) + 7;
    at = memmem(name, (size_t)(end - name), middle, sizeof middle - 1);
    if (!at || !all_of(kpw_slice(name, (size_t)(at - name)), "_.-"))
        return false;
    at += sizeof middle - 1;
    colon = memchr(at, ':', (size_t)(end - at));
    if (!colon || colon + 1 == end || !all_of(kpw_slice(at, (size_t)(colon - at)), "_.-"))
        return false;
    for (at = colon + 1; at < end; at++)
        if (!isdigit((unsigned char)*at))
            return false;
    return true;
}

static bool is_id(struct kpw_slice text)
{
    if (text.len != 24 || text.ptr[20] != '-')
        return false;
    for (size_t i = 0; i < 24; i++)
        if (i != 20 && !islower((unsigned char)text.ptr[i]) && !isdigit((unsigned char)text.ptr[i]))
            return false;
    return true;
}

static bool matches(enum check_pattern pattern, struct kpw_slice text)
{
    switch (pattern) {
    case PATTERN_NAME: return all_of(text, "_.-");
    case PATTERN_ARN: return is_arn(text);
    case PATTERN_ID: return is_id(text);
    case PATTERN_SEQUENCE: return is_number(text, 129);
    case PATTERN_HASH: return is_number(text, 39);
    case PATTERN_RESOURCE: return is_resource(text);
    case PATTERN_CONSUMER: return is_consumer(text);
    case PATTERN_NONE: break;
    }
    return true;
}

/* ---- constraints */

size_t check_length(struct kpw_slice text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        n += (c & 0xc0) != 0x80;
        n += c >= 0xf0;
    }
    return n;
}

/* The errors of one request. */
struct list {
    struct check *check;
    unsigned n;
};

/* "[a, b]" or "{k=v, l=w}" */
static void put_items(const struct check *check, const struct check_value *v, bool is_map,
                      struct kpw_buf *out)
{
    size_t step = is_map ? 2 : 1;

    kpw_buf_putc(out, is_map ? '{' : '[');
    for (size_t i = 0; i < v->count && v->first + i * step < check->n_items; i++) {
        const struct kpw_slice *item = &check->items[v->first + i * step];

        kpw_buf_puts(out, i ? ", " : "");
        kpw_buf_put_slice(out, item[0]);
        if (is_map) {
            kpw_buf_putc(out, '=');
            kpw_buf_put_slice(out, item[1]);
        }
    }
    kpw_buf_putc(out, is_map ? '}' : ']');
}

static void put_value(const struct check *check, const struct check_member *m,
                      const struct check_value *v, struct kpw_buf *out)
{
    size_t n;

    switch (m->type) {
    case CHECK_INTEGER: kpw_buf_appendf(out, "%lld", (long long)v->number); break;
    case CHECK_BLOB:
        n = check_blob_len(check, v);
        kpw_buf_appendf(out, "java.nio.HeapByteBuffer[pos=0 lim=%zu cap=%zu]", n, n);
        break;
    case CHECK_RECORDS:
        kpw_buf_putc(out, '[');
        for (size_t i = 0; i < v->count && i < 10000; i++)
            kpw_buf_appendf(out, "%s%s", i ? ", " : "", ENTRY);
        kpw_buf_putc(out, ']');
        break;
    case CHECK_STRINGS:
    case CHECK_MAP: put_items(check, v, m->type == CHECK_MAP, out); break;
    default: kpw_buf_put_slice(out, v->text); break;
    }
}

__attribute__((format(printf, 5, 6))) static void broken(struct list *list,
                                                         const struct check_member *m,
                                                         const struct check_value *v,
                                                         const char *path, const char *rule, ...)
{
    struct kpw_buf *out = &list->check->error;
    va_list args;

    if (list->n >= ERRORS_MAX)
        return;
    kpw_buf_puts(out, list->n++ ? "; Value " : "Value ");
    if (v->is_given) {
        kpw_buf_putc(out, '\'');
        put_value(list->check, m, v, out);
        kpw_buf_putc(out, '\'');
    } else {
        kpw_buf_puts(out, "null");
    }
    kpw_buf_appendf(out, " at '%s' failed to satisfy constraint: ", path);
    va_start(args, rule);
    kpw_buf_vappendf(out, rule, args);
    va_end(args);
}

/* "[A, B]" holds the text. */
static bool is_choice(const char *choices, struct kpw_slice text)
{
    const char *at = choices + 1;

    while (*at) {
        size_t n = strcspn(at, ",]");

        if (n == text.len && !memcmp(at, text.ptr, n))
            return true;
        at += n + strspn(at + n, ",] ");
    }
    return false;
}

/* Lengths of list items or of a map's keys and values. */
static void check_items(struct list *list, const struct check_member *m,
                        const struct check_value *v, const char *path)
{
    size_t step = m->type == CHECK_MAP ? 2 : 1;
    bool key_bad = false, value_bad = false;

    for (size_t i = 0; i < v->count && v->first + (i + 1) * step <= list->check->n_items; i++) {
        const struct kpw_slice *item = &list->check->items[v->first + i * step];
        int64_t key = (int64_t)check_length(item[0]), last = (int64_t)check_length(item[step - 1]);

        key_bad |= step == 2 && (key < 1 || key > m->key_max);
        value_bad |= last < m->item_min || last > m->item_max;
    }
    if (key_bad)
        broken(list, m, v, path,
               "Map keys must satisfy constraint: [Member must have length less than or equal to "
               "%lld, Member must have length greater than or equal to 1]",
               (long long)m->key_max);
    if (value_bad)
        broken(list, m, v, path,
               "%s must satisfy constraint: [Member must have length less than or equal to %lld, "
               "Member must have length greater than or equal to %lld]",
               step == 2 ? "Map value" : "Member", (long long)m->item_max, (long long)m->item_min);
}

static int64_t measure(const struct check *check, const struct check_member *m,
                       const struct check_value *v)
{
    switch (m->type) {
    case CHECK_INTEGER: return v->number;
    case CHECK_BLOB: return (int64_t)check_blob_len(check, v);
    case CHECK_STRINGS:
    case CHECK_MAP:
    case CHECK_RECORDS: return (int64_t)v->count;
    default: return (int64_t)check_length(v->text);
    }
}

static void check_range(struct list *list, const struct check_member *m,
                        const struct check_value *v, const char *path)
{
    int64_t n = measure(list->check, m, v);
    const char *what = m->type == CHECK_INTEGER ? "value" : "length";

    if (n < m->min)
        broken(list, m, v, path, "Member must have %s greater than or equal to %lld", what,
               (long long)m->min);
    if (m->max && n > m->max)
        broken(list, m, v, path, "Member must have %s less than or equal to %lld", what,
               (long long)m->max);
}

/* Every item is one of the choices. */
static void check_choices(struct list *list, const struct check_member *m,
                          const struct check_value *v, const char *path)
{
    for (size_t i = 0; i < v->count && v->first + i < list->check->n_items; i++)
        if (!is_choice(m->choices, list->check->items[v->first + i])) {
            broken(list, m, v, path,
                   "Member must satisfy constraint: [Member must satisfy enum value set: %s]",
                   m->choices);
            return;
        }
}

static void check_value(struct list *list, const struct check_member *m,
                        const struct check_value *v, const char *path)
{
    if (!v->is_given) {
        if (m->required)
            broken(list, m, v, path, "Member must not be null");
        return;
    }
    if (m->choices && m->type == CHECK_STRINGS)
        check_choices(list, m, v, path);
    else if (m->choices && !is_choice(m->choices, v->text))
        broken(list, m, v, path, "Member must satisfy enum value set: %s", m->choices);
    if (m->pattern && !matches(m->pattern, v->text))
        broken(list, m, v, path, "Member must satisfy regular expression pattern: %s",
               patterns[m->pattern]);
    if (m->min || m->max)
        check_range(list, m, v, path);
    if (m->item_max)
        check_items(list, m, v, path);
}

static const struct check_member record_key = {
    .name = "PartitionKey", .type = CHECK_STRING, .required = true, .min = 1, .max = KEY_MAX};
static const struct check_member record_hash = {
    .name = "ExplicitHashKey", .type = CHECK_STRING, .pattern = PATTERN_HASH};
static const struct check_member record_data = {
    .name = "Data", .type = CHECK_BLOB, .required = true, .max = BLOB_MAX};

static void check_record(struct list *list, size_t i)
{
    const struct check_record *r = &list->check->records[i];
    char path[60];

    if (r->key.is_given && r->key.text.len && r->key.text.len <= KEY_MAX && r->data.is_given &&
        r->data.text.len <= BLOB_MAX && !r->hash.is_given)
        return; /* nearly all of them */
    snprintf(path, sizeof path, "records.%zu.member.partitionKey", i + 1);
    check_value(list, &record_key, &r->key, path);
    snprintf(path, sizeof path, "records.%zu.member.explicitHashKey", i + 1);
    check_value(list, &record_hash, &r->hash, path);
    snprintf(path, sizeof path, "records.%zu.member.data", i + 1);
    check_value(list, &record_data, &r->data, path);
}

static void check_members(struct list *list, const struct check_member *members,
                          const struct check_value *values, const char *prefix)
{
    for (size_t i = 0; members[i].name; i++) {
        char path[80];
        size_t at = strlen(prefix);

        snprintf(path, sizeof path, "%s%s", prefix, members[i].name);
        path[at] = (char)tolower((unsigned char)path[at]);
        check_value(list, &members[i], &values[i], path);
        if (members[i].type == CHECK_RECORDS)
            for (size_t r = 0; r < list->check->n_records && list->n < ERRORS_MAX; r++)
                check_record(list, r);
        if (members[i].type == CHECK_STRUCT && values[i].members) {
            strcat(path, ".");
            check_members(list, members[i].members, values[i].members, path);
        }
    }
}

enum check_result check_read(struct check *check, const struct check_member *members,
                             struct kpw_slice body)
{
    struct list list = {check, 0};
    struct kpw_buf texts = KPW_BUF_INIT;

    if (!check_parse(check, members, body))
        return CHECK_BROKEN;
    if (any_type_error(check, members, check->values))
        return CHECK_WRONG_TYPE;
    check_members(&list, members, check->values, "");
    if (!list.n)
        return CHECK_OK;
    texts = check->error; /* moved */
    check->error = (struct kpw_buf)KPW_BUF_INIT;
    if (any_blob_error(check)) {
        kpw_buf_fini(&texts);
        return CHECK_WRONG_TYPE;
    }
    kpw_buf_appendf(&check->error, "%u validation error%s detected: ", list.n,
                    list.n == 1 ? "" : "s");
    kpw_buf_append(&check->error, texts.ptr, texts.len);
    kpw_buf_fini(&texts);
    return CHECK_INVALID;
}

const struct check_value *check_get(const struct check *check, const char *name)
{
    size_t i = 0;

    while (strcmp(check->members[i].name, name) != 0)
        i++;
    return &check->values[i];
}

const struct check_value *check_find(const struct check *check, const char *name)
{
    for (size_t i = 0; check->members[i].name; i++)
        if (!strcmp(check->members[i].name, name))
            return &check->values[i];
    return NULL;
}

const struct check_value *check_inner(const struct check *check, const char *name,
                                      const char *inner)
{
    const struct check_value *outer = check_get(check, name);
    const struct check_member *members = check->members[outer - check->values].members;
    size_t i = 0;

    while (strcmp(members[i].name, inner) != 0)
        i++;
    return &outer->members[i];
}
