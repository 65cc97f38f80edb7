/* answer_cbor.c - a GetRecords answer in CBOR: nothing is decoded, entries point into it.
 *
 * Lengths may be definite or not, strings in chunks (which are joined where they stand). Times are
 * milliseconds, with tag 1 (as AWS writes them) or without.
 */
#include "plugins/kinesis/answer.h"

#include <stdio.h>

#include "sdk/wire/cbor.h"

/* The string that comes next. */
static bool read_string(struct kpw_cbor *r, enum kpw_cbor_type type, const char **ret,
                        uint32_t *ret_len)
{
    if (kpw_cbor_next(r) != type || r->number > UINT32_MAX)
        return false;
    if (r->is_chunked)
        kpw_cbor_join_to(r, (char *)(uintptr_t)r->value.ptr);
    *ret = r->value.ptr ? r->value.ptr : "";
    *ret_len = (uint32_t)r->number;
    return true;
}

static bool read_time(struct kpw_cbor *r, int64_t *ret_ms)
{
    if (kpw_cbor_next(r) == KPW_CBOR_TAG)
        kpw_cbor_next(r);
    if (r->type == KPW_CBOR_FLOAT && r->real >= 0 && r->real < 1e12) { /* seconds: not AWS */
        *ret_ms = (int64_t)(r->real * 1000 + 0.5);
        return true;
    }
    return kpw_cbor_to_int64(r, ret_ms) && *ret_ms >= 0;
}

static bool read_record_member(struct kpw_cbor *r, struct kinesis_entry *e)
{
    struct kpw_slice name = r->value;

    if (kpw_slice_is(name, "Data"))
        return read_string(r, KPW_CBOR_BYTES, &e->data, &e->data_len);
    if (kpw_slice_is(name, "PartitionKey"))
        return read_string(r, KPW_CBOR_TEXT, &e->key, &e->key_len);
    if (kpw_slice_is(name, "SequenceNumber"))
        return read_string(r, KPW_CBOR_TEXT, &e->sequence, &e->sequence_len) &&
               e->sequence_len <= KINESIS_SEQUENCE_MAX;
    if (kpw_slice_is(name, "ApproximateArrivalTimestamp"))
        return read_time(r, &e->arrival_ms);
    return kpw_cbor_skip_value(r);
}

static bool read_records(struct kinesis_answer *answer, struct kpw_cbor *r)
{
    if (kpw_cbor_next(r) != KPW_CBOR_ARRAY)
        return false;
    while (kpw_cbor_next(r) == KPW_CBOR_MAP) {
        struct kinesis_entry e = {0};

        while (kpw_cbor_next(r) == KPW_CBOR_TEXT)
            if (!read_record_member(r, &e))
                return false;
        if (r->type != KPW_CBOR_MAP_END || !e.data || !e.sequence_len ||
            !kinesis_answer_add(answer, &e))
            return false;
    }
    return r->type == KPW_CBOR_ARRAY_END;
}

static bool read_iterator(struct kinesis_answer *answer, struct kpw_cbor *r)
{
    struct kpw_cbor before = *r;
    uint32_t len;

    if (kpw_cbor_next(r) == KPW_CBOR_NULL)
        return true;
    *r = before;
    if (!read_string(r, KPW_CBOR_TEXT, &answer->next, &len))
        return false;
    answer->next_len = len;
    return true;
}

static bool read_children(struct kinesis_answer *answer, struct kpw_cbor *r)
{
    if (kpw_cbor_next(r) == KPW_CBOR_NULL)
        return true;
    if (r->type != KPW_CBOR_ARRAY)
        return false;
    while (kpw_cbor_next(r) == KPW_CBOR_MAP) {
        answer->has_children = true;
        if (!kpw_cbor_skip(r))
            return false;
    }
    return r->type == KPW_CBOR_ARRAY_END;
}

static bool read_member(struct kinesis_answer *answer, struct kpw_cbor *r, bool *has_records)
{
    struct kpw_slice name = r->value;

    if (kpw_slice_is(name, "Records")) {
        if (*has_records)
            return false;
        *has_records = true;
        return read_records(answer, r);
    }
    if (kpw_slice_is(name, "NextShardIterator") || kpw_slice_is(name, "ContinuationSequenceNumber"))
        return read_iterator(answer, r);
    if (kpw_slice_is(name, "ChildShards"))
        return read_children(answer, r);
    if (kpw_slice_is(name, "MillisBehindLatest"))
        return kpw_cbor_next(r) == KPW_CBOR_UINT && kpw_cbor_to_int64(r, &answer->behind_ms);
    return kpw_cbor_skip_value(r);
}

bool kinesis_answer_parse_cbor(struct kinesis_answer *answer, const char *text, size_t len)
{
    struct kpw_cbor r;
    bool has_records = false, ok;

    kpw_cbor_init(&r, text, len);
    ok = kpw_cbor_next(&r) == KPW_CBOR_MAP;
    while (ok && kpw_cbor_next(&r) == KPW_CBOR_TEXT)
        ok = read_member(answer, &r, &has_records);
    if (ok && r.type == KPW_CBOR_MAP_END && kpw_cbor_next(&r) == KPW_CBOR_END && has_records)
        return true;
    answer->why = r.error ? r.error : KINESIS_ANSWER_LACKS;
    return false;
}
