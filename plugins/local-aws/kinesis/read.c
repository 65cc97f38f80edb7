/* read.c - from JSON to the values of a struct check, one pass, no tree.
 *
 * A value of the wrong type is remembered with its token: which error the caller hears depends on
 * the order of the table, not on that of the text.
 */
#include <math.h>
#include <stdlib.h>

#include "plugins/local-aws/kinesis/check.h"

/* The text without escapes; it lives in the body or in check->texts, which has room for all. */
static bool take_text(struct check *check, const struct kpw_json *j, struct kpw_slice *ret)
{
    size_t from = check->texts.len;

    *ret = j->value;
    if (!j->has_escape)
        return true;
    if (check->texts.cap - from < j->value.len + 1)
        return false; /* cannot be: it was reserved for the whole body */
    check->texts.len += kpw_json_unescape_to(j->value, check->texts.ptr + from);
    *ret = kpw_slice(check->texts.ptr + from, check->texts.len - from);
    return true;
}

static int64_t to_number(struct kpw_slice text, double scale, double limit)
{
    double n;

    if (!kpw_json_to_double(text, &n))
        return text.ptr[0] == '-' ? -(int64_t)limit : (int64_t)limit;
    n = scale == 1 ? floor(n) : floor(n * scale + 0.5);
    return (int64_t)(n > limit ? limit : n < -limit ? -limit : n);
}

/* The token fits the scalar type. */
static bool read_scalar(struct check *check, const struct check_member *m, const struct kpw_json *j,
                        struct check_value *v, bool *ret_fits)
{
    enum kpw_json_type token = j->type;

    *ret_fits = true;
    if (m->type == CHECK_STRING || m->type == CHECK_BLOB) {
        *ret_fits = token == KPW_JSON_STRING;
    } else if (m->type == CHECK_INTEGER || m->type == CHECK_TIME) {
        *ret_fits = token == KPW_JSON_NUMBER;
        if (*ret_fits)
            v->number = m->type == CHECK_TIME ? to_number(j->value, 1000, 9e15)
                                              : to_number(j->value, 1, 2147483647);
    } else if (m->type == CHECK_BOOL) {
        *ret_fits = token == KPW_JSON_TRUE || token == KPW_JSON_FALSE;
        v->is_true = token == KPW_JSON_TRUE;
    } else {
        *ret_fits = false;
    }
    v->text = j->value;
    return token != KPW_JSON_STRING || take_text(check, j, &v->text);
}

static bool keep_item(struct check *check, const struct kpw_json *j)
{
    struct kpw_slice text;

    if (!take_text(check, j, &text))
        return false;
    if (check->n_items < CHECK_ITEMS_MAX)
        check->items[check->n_items++] = text;
    return true;
}

/* Something of a wrong type inside a list or map; the first one counts. */
static void note_item(struct check_value *v, const struct kpw_json *j)
{
    if (j->type == KPW_JSON_NULL || v->token)
        return;
    v->token = (uint8_t)j->type;
    v->is_item = true;
    v->text = j->value;
}

static bool read_strings(struct check *check, struct kpw_json *j, struct check_value *v)
{
    v->first = check->n_items;
    while (kpw_json_next(j) != KPW_JSON_ARRAY_END) {
        if (j->type == KPW_JSON_ERROR || j->type == KPW_JSON_END)
            return false;
        if (j->type == KPW_JSON_STRING) {
            if (!keep_item(check, j))
                return false;
            v->count++;
            continue;
        }
        note_item(v, j);
        if (!kpw_json_skip(j))
            return false;
    }
    return true;
}

static bool read_map(struct check *check, struct kpw_json *j, struct check_value *v)
{
    v->first = check->n_items;
    while (kpw_json_next(j) == KPW_JSON_KEY) {
        if (!keep_item(check, j))
            return false;
        kpw_json_next(j);
        if (j->type == KPW_JSON_NULL) {
            if (check->n_items > v->first)
                check->n_items--;
            continue;
        }
        if (j->type != KPW_JSON_STRING) {
            note_item(v, j);
            if (!kpw_json_skip(j))
                return false;
            continue;
        }
        if (!keep_item(check, j))
            return false;
        v->count++;
    }
    return j->type == KPW_JSON_OBJECT_END;
}

static bool read_member(struct check *check, const struct check_member *m, struct kpw_json *j,
                        struct check_value *v);

static bool read_members(struct check *check, const struct check_member *members,
                         struct kpw_json *j, struct check_value *values)
{
    while (kpw_json_next(j) == KPW_JSON_KEY) {
        size_t i = 0;

        while (members[i].name && !(j->has_escape ? kpw_json_text_is(j->value, members[i].name)
                                                  : kpw_slice_is(j->value, members[i].name)))
            i++;
        if (members[i].name ? !read_member(check, &members[i], j, &values[i]) : !kpw_json_skip(j))
            return false;
    }
    return j->type == KPW_JSON_OBJECT_END;
}

/* One entry of PutRecords: the hot path, so without the table's loop. */
static bool read_record(struct check *check, struct kpw_json *j, struct check_record *record)
{
    static const struct check_member text = {.name = "", .type = CHECK_STRING};

    while (kpw_json_next(j) == KPW_JSON_KEY) {
        struct check_value *v = NULL;

        if (kpw_slice_is(j->value, "Data"))
            v = &record->data;
        else if (kpw_slice_is(j->value, "PartitionKey"))
            v = &record->key;
        else if (kpw_slice_is(j->value, "ExplicitHashKey"))
            v = &record->hash;
        if (v ? !read_member(check, &text, j, v) : !kpw_json_skip(j))
            return false;
    }
    return j->type == KPW_JSON_OBJECT_END;
}

static bool read_records(struct check *check, struct kpw_json *j, struct check_value *v)
{
    static const struct check_record none;

    if (!check->records && !(check->records = calloc(CHECK_RECORDS_MAX, sizeof none)))
        return false;
    while (kpw_json_next(j) != KPW_JSON_ARRAY_END) {
        if (j->type == KPW_JSON_ERROR || j->type == KPW_JSON_END)
            return false;
        if (j->type == KPW_JSON_OBJECT && check->n_records < CHECK_RECORDS_MAX) {
            struct check_record *record = &check->records[check->n_records++];

            *record = none;
            if (!read_record(check, j, record))
                return false;
        } else {
            if (j->type != KPW_JSON_OBJECT)
                note_item(v, j);
            if (!kpw_json_skip(j))
                return false;
        }
        v->count++;
    }
    return true;
}

/* The value behind a key; false: the text is broken. */
static bool read_member(struct check *check, const struct check_member *m, struct kpw_json *j,
                        struct check_value *v)
{
    bool fits = false;

    *v = (struct check_value){0};
    kpw_json_next(j);
    if (j->type == KPW_JSON_NULL)
        return true;
    if (j->type == KPW_JSON_ERROR || j->type == KPW_JSON_END)
        return false;
    v->is_given = true;
    if (j->type == KPW_JSON_ARRAY && m->type == CHECK_STRINGS)
        return read_strings(check, j, v);
    if (j->type == KPW_JSON_ARRAY && m->type == CHECK_RECORDS)
        return read_records(check, j, v);
    if (j->type == KPW_JSON_OBJECT && m->type == CHECK_MAP)
        return read_map(check, j, v);
    if (j->type == KPW_JSON_OBJECT && m->type == CHECK_STRUCT) {
        v->members = check->inner;
        return read_members(check, m->members, j, check->inner);
    }
    if (!read_scalar(check, m, j, v, &fits))
        return false;
    if (!fits)
        v->token = (uint8_t)j->type;
    return kpw_json_skip(j) || j->type == KPW_JSON_STRING;
}

static void reset(struct check *check, const struct check_member *members)
{
    static const struct check_value none;

    check->members = members;
    for (size_t i = 0; i < CHECK_MEMBERS_MAX; i++)
        check->values[i] = check->inner[i] = none;
    check->n_items = check->n_records = 0;
    kpw_buf_clear(&check->texts);
    kpw_buf_clear(&check->error);
}

bool check_parse(struct check *check, const struct check_member *members, struct kpw_slice body)
{
    struct kpw_json j;

    reset(check, members);
    if (body.len && memchr(body.ptr, '\\', body.len) &&
        !kpw_buf_reserve(&check->texts, body.len + 1))
        return false;
    kpw_json_init(&j, body.ptr, body.len);
    return kpw_json_next(&j) == KPW_JSON_OBJECT &&
           read_members(check, members, &j, check->values) && kpw_json_next(&j) == KPW_JSON_END;
}

void check_fini(struct check *check)
{
    free(check->records);
    check->records = NULL;
    kpw_buf_fini(&check->texts);
    kpw_buf_fini(&check->error);
}
