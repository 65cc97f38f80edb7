/* receipt.c - two passes: the first checks form and number of the entries, the second tells them.
 */
#include "plugins/kinesis/receipt.h"

#include "sdk/wire/cbor.h"
#include "sdk/wire/json.h"

struct walk {
    uint32_t count;
    void (*each)(void *, uint32_t i, const struct put_result *); /* NULL: only count */
    void *arg;
};

static bool take_text(struct kpw_json *j, const char **ret, uint32_t *ret_len)
{
    if (kpw_json_next(j) == KPW_JSON_NULL)
        return true;
    if (j->type != KPW_JSON_STRING || j->value.len > UINT32_MAX)
        return false;
    *ret = j->value.ptr;
    *ret_len = (uint32_t)j->value.len;
    return true;
}

static bool read_entry_member(struct kpw_json *j, struct put_result *e)
{
    if (kpw_slice_is(j->value, "ShardId"))
        return take_text(j, &e->shard, &e->shard_len);
    if (kpw_slice_is(j->value, "SequenceNumber"))
        return take_text(j, &e->sequence, &e->sequence_len);
    if (kpw_slice_is(j->value, "ErrorCode"))
        return take_text(j, &e->error, &e->error_len);
    if (kpw_slice_is(j->value, "ErrorMessage"))
        return take_text(j, &e->message, &e->message_len);
    return kpw_json_skip(j);
}

static bool read_entries(struct kpw_json *j, struct walk *walk)
{
    if (kpw_json_next(j) != KPW_JSON_ARRAY)
        return false;
    while (kpw_json_next(j) == KPW_JSON_OBJECT) {
        struct put_result entry = {"", "", "", "", 0, 0, 0, 0};

        while (kpw_json_next(j) == KPW_JSON_KEY)
            if (!read_entry_member(j, &entry))
                return false;
        if (j->type != KPW_JSON_OBJECT_END || (!entry.error_len && !entry.sequence_len))
            return false;
        if (walk->each)
            walk->each(walk->arg, walk->count, &entry);
        walk->count++;
    }
    return j->type == KPW_JSON_ARRAY_END;
}

/* ---- the same in CBOR; its short strings do not come in chunks */

static bool take_string(struct kpw_cbor *r, const char **ret, uint32_t *ret_len)
{
    if (kpw_cbor_next(r) == KPW_CBOR_NULL)
        return true;
    if (r->type != KPW_CBOR_TEXT || r->is_chunked || r->number > UINT32_MAX)
        return false;
    *ret = r->value.ptr;
    *ret_len = (uint32_t)r->number;
    return true;
}

static bool read_entry_cbor(struct kpw_cbor *r, struct put_result *e)
{
    if (kpw_slice_is(r->value, "ShardId"))
        return take_string(r, &e->shard, &e->shard_len);
    if (kpw_slice_is(r->value, "SequenceNumber"))
        return take_string(r, &e->sequence, &e->sequence_len);
    if (kpw_slice_is(r->value, "ErrorCode"))
        return take_string(r, &e->error, &e->error_len);
    if (kpw_slice_is(r->value, "ErrorMessage"))
        return take_string(r, &e->message, &e->message_len);
    return kpw_cbor_skip_value(r);
}

static bool read_entries_cbor(struct kpw_cbor *r, struct walk *walk)
{
    if (kpw_cbor_next(r) != KPW_CBOR_ARRAY)
        return false;
    while (kpw_cbor_next(r) == KPW_CBOR_MAP) {
        struct put_result entry = {"", "", "", "", 0, 0, 0, 0};

        while (kpw_cbor_next(r) == KPW_CBOR_TEXT)
            if (!read_entry_cbor(r, &entry))
                return false;
        if (r->type != KPW_CBOR_MAP_END || (!entry.error_len && !entry.sequence_len))
            return false;
        if (walk->each)
            walk->each(walk->arg, walk->count, &entry);
        walk->count++;
    }
    return r->type == KPW_CBOR_ARRAY_END;
}

static bool read_answer_cbor(const char *text, size_t len, struct walk *walk)
{
    struct kpw_cbor r;
    bool ok = true, has_records = false;

    kpw_cbor_init(&r, text, len);
    if (kpw_cbor_next(&r) != KPW_CBOR_MAP)
        return false;
    while (ok && kpw_cbor_next(&r) == KPW_CBOR_TEXT) {
        if (kpw_slice_is(r.value, "Records")) {
            ok = !has_records && read_entries_cbor(&r, walk);
            has_records = true;
        } else {
            ok = kpw_cbor_skip_value(&r);
        }
    }
    return ok && has_records && r.type == KPW_CBOR_MAP_END && kpw_cbor_next(&r) == KPW_CBOR_END;
}

static bool read_answer(const char *text, size_t len, struct walk *walk)
{
    struct kpw_json j;
    bool ok = true, has_records = false;

    if (len && (uint8_t)text[0] >= 0x80) /* no JSON begins so */
        return read_answer_cbor(text, len, walk);
    kpw_json_init(&j, text, len);
    if (kpw_json_next(&j) != KPW_JSON_OBJECT)
        return false;
    while (ok && kpw_json_next(&j) == KPW_JSON_KEY) {
        if (kpw_slice_is(j.value, "Records")) {
            ok = !has_records && read_entries(&j, walk);
            has_records = true;
        } else {
            ok = kpw_json_skip(&j);
        }
    }
    return ok && has_records && j.type == KPW_JSON_OBJECT_END && kpw_json_next(&j) == KPW_JSON_END;
}

bool put_results_parse(const char *text, size_t len, uint32_t expected,
                       void (*each)(void *, uint32_t i, const struct put_result *), void *arg)
{
    struct walk count = {0}, tell = {0, each, arg};

    return read_answer(text, len, &count) && count.count == expected &&
           read_answer(text, len, &tell);
}
