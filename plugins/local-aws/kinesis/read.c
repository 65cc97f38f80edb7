/* read.c - from JSON or CBOR to the values of a struct check, one pass, no tree.
 *
 * A value of the wrong type is remembered with its token: which error the caller hears depends on
 * the order of the table, not on that of the text. The two forms differ in reader_next() and in
 * what stands for a number; all else sees tokens.
 */
#include <math.h>
#include <stdlib.h>

#include "plugins/local-aws/kinesis/check.h"
#include "sdk/wire/cbor.h"

/* ---- tokens */

struct reader {
    struct check *check;
    uint8_t token; /* enum kpw_json_type, or CHECK_TOKEN_BYTES */
    bool has_escape;
    struct kpw_slice value; /* as struct kpw_json has it; CBOR: text or bytes */
    union {
        struct kpw_json json;
        struct kpw_cbor cbor;
    };
};

/* The whole body fits, so that what was unescaped or joined before stays where it is. */
static bool reserve_texts(struct check *check, size_t body)
{
    return check->texts.cap > body || kpw_buf_reserve(&check->texts, body + 1);
}

/* A string in chunks becomes one in check->texts. */
static bool join(struct reader *r)
{
    struct kpw_buf *texts = &r->check->texts;
    size_t from = texts->len, len = (size_t)r->cbor.number;

    if (!reserve_texts(r->check, (size_t)(r->cbor.end - r->cbor.start)))
        return false;
    kpw_cbor_join_to(&r->cbor, texts->ptr + from);
    texts->len += len;
    r->value = kpw_slice(texts->ptr + from, len);
    return true;
}

/* What the item is in JSON. Tags say nothing that the member's type does not. */
static uint8_t cbor_token(const struct kpw_cbor *c)
{
    static const uint8_t tokens[] = {
        [KPW_CBOR_END] = KPW_JSON_END,
        [KPW_CBOR_MAP] = KPW_JSON_OBJECT,
        [KPW_CBOR_MAP_END] = KPW_JSON_OBJECT_END,
        [KPW_CBOR_ARRAY] = KPW_JSON_ARRAY,
        [KPW_CBOR_ARRAY_END] = KPW_JSON_ARRAY_END,
        [KPW_CBOR_UINT] = KPW_JSON_NUMBER,
        [KPW_CBOR_NEGATIVE] = KPW_JSON_NUMBER,
        [KPW_CBOR_BYTES] = CHECK_TOKEN_BYTES,
        [KPW_CBOR_TEXT] = KPW_JSON_STRING,
        [KPW_CBOR_TAG] = KPW_JSON_ERROR,
        [KPW_CBOR_FLOAT] = KPW_JSON_NUMBER,
        [KPW_CBOR_FALSE] = KPW_JSON_FALSE,
        [KPW_CBOR_TRUE] = KPW_JSON_TRUE,
        [KPW_CBOR_NULL] = KPW_JSON_NULL,
        [KPW_CBOR_UNDEFINED] = KPW_JSON_NULL,
        [KPW_CBOR_SIMPLE] = KPW_JSON_ERROR,
        [KPW_CBOR_ERROR] = KPW_JSON_ERROR,
    };

    if (c->is_key && c->type != KPW_CBOR_MAP_END)
        return c->type == KPW_CBOR_TEXT ? KPW_JSON_KEY : KPW_JSON_ERROR;
    return tokens[c->type];
}

static uint8_t next_cbor(struct reader *r)
{
    struct kpw_cbor *c = &r->cbor;

    while (kpw_cbor_next(c) == KPW_CBOR_TAG)
        ;
    r->has_escape = false;
    r->value = c->value;
    r->token = cbor_token(c);
    if ((c->type == KPW_CBOR_TEXT || c->type == KPW_CBOR_BYTES) && c->is_chunked && !join(r))
        r->token = KPW_JSON_ERROR;
    return r->token;
}

static uint8_t reader_next(struct reader *r)
{
    if (r->check->is_cbor)
        return next_cbor(r);
    r->token = (uint8_t)kpw_json_next(&r->json);
    r->has_escape = r->json.has_escape;
    r->value = r->json.value;
    return r->token;
}

/* Skips what the last token began; behind a key its value. */
static bool reader_skip(struct reader *r)
{
    if (!r->check->is_cbor)
        return kpw_json_skip(&r->json);
    if (r->token == KPW_JSON_ERROR)
        return false;
    return r->token == KPW_JSON_KEY ? kpw_cbor_skip_value(&r->cbor) : kpw_cbor_skip(&r->cbor);
}

/* The text without escapes; it lives in the body or in check->texts, which has room for all. */
static bool take_text(struct reader *r, struct kpw_slice *ret)
{
    struct kpw_buf *texts = &r->check->texts;
    size_t from = texts->len;

    *ret = r->value;
    if (!r->has_escape)
        return true;
    if (texts->cap - from < r->value.len + 1)
        return false; /* cannot be: it was reserved for the whole body */
    texts->len += kpw_json_unescape_to(r->value, texts->ptr + from);
    *ret = kpw_slice(texts->ptr + from, texts->len - from);
    return true;
}

static int64_t clamp(double n, double limit)
{
    return (int64_t)(n > limit ? limit : n < -limit ? -limit : n);
}

/* CBOR: times are milliseconds already. */
static int64_t cbor_number(const struct kpw_cbor *c, double limit)
{
    double n = c->real;

    if (c->type == KPW_CBOR_FLOAT)
        return isnan(n) ? 0 : clamp(floor(n), limit);
    n = (double)c->number;
    if (n > limit)
        return (int64_t)(c->type == KPW_CBOR_UINT ? limit : -limit);
    return c->type == KPW_CBOR_UINT ? (int64_t)c->number : -1 - (int64_t)c->number;
}

static int64_t to_number(const struct reader *r, double scale, double limit)
{
    double n;

    if (r->check->is_cbor)
        return cbor_number(&r->cbor, limit);
    if (!kpw_json_to_double(r->value, &n))
        return r->value.ptr[0] == '-' ? -(int64_t)limit : (int64_t)limit;
    return clamp(scale == 1 ? floor(n) : floor(n * scale + 0.5), limit);
}

/* ---- values */

static void clear_values(struct check_value values[CHECK_MEMBERS_MAX])
{
    static const struct check_value none;

    for (size_t i = 0; i < CHECK_MEMBERS_MAX; i++)
        values[i] = none;
}

/* The token fits the scalar type. */
static bool read_scalar(struct reader *r, const struct check_member *m, struct check_value *v,
                        bool *ret_fits)
{
    uint8_t token = r->token;

    *ret_fits = true;
    if (m->type == CHECK_BLOB && r->check->is_cbor) {
        *ret_fits = token == CHECK_TOKEN_BYTES;
    } else if (m->type == CHECK_STRING || m->type == CHECK_BLOB) {
        *ret_fits = token == KPW_JSON_STRING;
    } else if (m->type == CHECK_INTEGER || m->type == CHECK_TIME) {
        *ret_fits = token == KPW_JSON_NUMBER;
        if (*ret_fits)
            v->number =
                m->type == CHECK_TIME ? to_number(r, 1000, 9e15) : to_number(r, 1, 2147483647);
    } else if (m->type == CHECK_BOOL) {
        *ret_fits = token == KPW_JSON_TRUE || token == KPW_JSON_FALSE;
        v->is_true = token == KPW_JSON_TRUE;
    } else {
        *ret_fits = false;
    }
    v->text = r->value;
    return token != KPW_JSON_STRING || take_text(r, &v->text);
}

static bool keep_item(struct reader *r)
{
    struct check *check = r->check;
    struct kpw_slice text;

    if (!take_text(r, &text))
        return false;
    if (check->n_items < CHECK_ITEMS_MAX)
        check->items[check->n_items++] = text;
    return true;
}

/* Something of a wrong type inside a list or map; the first one counts. */
static void note_item(struct check_value *v, const struct reader *r)
{
    if (r->token == KPW_JSON_NULL || v->token)
        return;
    v->token = r->token;
    v->is_item = true;
    v->text = r->value;
}

static bool read_strings(struct reader *r, struct check_value *v)
{
    v->first = r->check->n_items;
    while (reader_next(r) != KPW_JSON_ARRAY_END) {
        if (r->token == KPW_JSON_ERROR || r->token == KPW_JSON_END)
            return false;
        if (r->token == KPW_JSON_STRING) {
            if (!keep_item(r))
                return false;
            v->count++;
            continue;
        }
        note_item(v, r);
        if (!reader_skip(r))
            return false;
    }
    return true;
}

static bool read_map(struct reader *r, struct check_value *v)
{
    v->first = r->check->n_items;
    while (reader_next(r) == KPW_JSON_KEY) {
        size_t kept = r->check->n_items;

        if (!keep_item(r))
            return false;
        reader_next(r);
        if (r->token == KPW_JSON_NULL) {
            r->check->n_items = kept;
            continue;
        }
        if (r->token != KPW_JSON_STRING) {
            note_item(v, r);
            if (!reader_skip(r))
                return false;
            continue;
        }
        if (!keep_item(r))
            return false;
        v->count++;
    }
    return r->token == KPW_JSON_OBJECT_END;
}

static bool read_member(struct reader *r, const struct check_member *m, struct check_value *v);

static bool read_members(struct reader *r, const struct check_member *members,
                         struct check_value *values)
{
    while (reader_next(r) == KPW_JSON_KEY) {
        size_t i = 0;

        while (members[i].name && !(r->has_escape ? kpw_json_text_is(r->value, members[i].name)
                                                  : kpw_slice_is(r->value, members[i].name)))
            i++;
        if (members[i].name ? !read_member(r, &members[i], &values[i]) : !reader_skip(r))
            return false;
    }
    return r->token == KPW_JSON_OBJECT_END;
}

/* One entry of PutRecords: the hot path, so without the table's loop. */
static bool read_record(struct reader *r, struct check_record *record)
{
    static const struct check_member text = {.name = "", .type = CHECK_STRING};
    static const struct check_member blob = {.name = "", .type = CHECK_BLOB};

    while (reader_next(r) == KPW_JSON_KEY) {
        struct check_value *v = NULL;

        if (kpw_slice_is(r->value, "Data"))
            v = &record->data;
        else if (kpw_slice_is(r->value, "PartitionKey"))
            v = &record->key;
        else if (kpw_slice_is(r->value, "ExplicitHashKey"))
            v = &record->hash;
        if (v ? !read_member(r, v == &record->data ? &blob : &text, v) : !reader_skip(r))
            return false;
    }
    return r->token == KPW_JSON_OBJECT_END;
}

static bool read_records(struct reader *r, struct check_value *v)
{
    static const struct check_record none;
    struct check *check = r->check;

    check->n_records = 0; /* of two lists the last one counts */
    if (!check->records && !(check->records = calloc(CHECK_RECORDS_MAX, sizeof none)))
        return false;
    while (reader_next(r) != KPW_JSON_ARRAY_END) {
        if (r->token == KPW_JSON_ERROR || r->token == KPW_JSON_END)
            return false;
        if (r->token == KPW_JSON_OBJECT && check->n_records < CHECK_RECORDS_MAX) {
            struct check_record *record = &check->records[check->n_records++];

            *record = none;
            if (!read_record(r, record))
                return false;
        } else {
            if (r->token != KPW_JSON_OBJECT)
                note_item(v, r);
            if (!reader_skip(r))
                return false;
        }
        v->count++;
    }
    return true;
}

/* The value behind a key; false: the text is broken. */
static bool read_member(struct reader *r, const struct check_member *m, struct check_value *v)
{
    bool fits = false;

    *v = (struct check_value){0};
    reader_next(r);
    if (r->token == KPW_JSON_NULL)
        return true;
    if (r->token == KPW_JSON_ERROR || r->token == KPW_JSON_END)
        return false;
    v->is_given = true;
    if (r->token == KPW_JSON_ARRAY && m->type == CHECK_STRINGS)
        return read_strings(r, v);
    if (r->token == KPW_JSON_ARRAY && m->type == CHECK_RECORDS)
        return read_records(r, v);
    if (r->token == KPW_JSON_OBJECT && m->type == CHECK_MAP)
        return read_map(r, v);
    if (r->token == KPW_JSON_OBJECT && m->type == CHECK_STRUCT) {
        clear_values(r->check->inner);
        v->members = r->check->inner;
        return read_members(r, m->members, r->check->inner);
    }
    if (!read_scalar(r, m, v, &fits))
        return false;
    if (!fits)
        v->token = r->token;
    return reader_skip(r);
}

static void reset(struct check *check, const struct check_member *members)
{
    check->members = members;
    clear_values(check->values);
    clear_values(check->inner);
    check->n_items = check->n_records = 0;
    kpw_buf_clear(&check->texts);
    kpw_buf_clear(&check->error);
}

bool check_parse(struct check *check, const struct check_member *members, struct kpw_slice body)
{
    struct reader r;

    reset(check, members);
    r.check = check;
    if (check->is_cbor) {
        kpw_cbor_init(&r.cbor, body.ptr, body.len);
    } else {
        if (body.len && memchr(body.ptr, '\\', body.len) && !reserve_texts(check, body.len))
            return false;
        kpw_json_init(&r.json, body.ptr, body.len);
    }
    return reader_next(&r) == KPW_JSON_OBJECT && read_members(&r, members, check->values) &&
           reader_next(&r) == KPW_JSON_END;
}

void check_fini(struct check *check)
{
    free(check->records);
    check->records = NULL;
    kpw_buf_fini(&check->texts);
    kpw_buf_fini(&check->error);
}
