/* verdict.c - see shim.h: what {"batchItemFailures":[{"itemIdentifier":"SEQ"}]} says.
 *
 * The table of the service (lambda-apigw section 1.9 of the specification): no
 * such member, null or an empty list is success; an entry that names no record of
 * the batch fails all of it; of several only the lowest counts.
 */
#include <string.h>

#include "plugins/lambda-shim/shim.h"
#include "sdk/wire/json.h"

enum { NOT_FOUND = UINT32_MAX };

static uint32_t index_of(struct kpw_slice sequence, const struct ref *refs, uint32_t n)
{
    for (uint32_t i = 0; sequence.len && i < n; i++) {
        const kp_record *record = ref_record(refs[i]);

        if (record->sequence_len == sequence.len &&
            memcmp(record->sequence, sequence.ptr, sequence.len) == 0)
            return i;
    }
    return NOT_FOUND;
}

/* One entry of the list, its bracket just read. NOT_FOUND: not one we know. */
static uint32_t read_entry(struct kpw_json *r, const struct ref *refs, uint32_t n)
{
    uint32_t found = NOT_FOUND;
    struct kpw_slice value;

    while (kpw_json_next(r) == KPW_JSON_KEY) {
        bool is_identifier = kpw_slice_is(r->value, "itemIdentifier");
        enum kpw_json_type type = kpw_json_value(r, &value);

        if (is_identifier && type == KPW_JSON_STRING)
            found = index_of(value, refs, n);
    }
    return r->type == KPW_JSON_OBJECT_END ? found : NOT_FOUND;
}

static enum verdict read_list(struct kpw_slice list, const struct ref *refs, uint32_t n,
                              uint32_t *ret_done)
{
    struct kpw_json r;
    uint32_t lowest = NOT_FOUND, found;

    kpw_json_init(&r, list.ptr, list.len);
    kpw_json_next(&r); /* the bracket */
    while (kpw_json_next(&r) != KPW_JSON_ARRAY_END) {
        found = r.type == KPW_JSON_OBJECT ? read_entry(&r, refs, n) : NOT_FOUND;
        if (found == NOT_FOUND)
            return VERDICT_NONE;
        if (found < lowest)
            lowest = found;
    }
    *ret_done = lowest;
    return lowest == NOT_FOUND ? VERDICT_ALL : VERDICT_PART;
}

enum verdict verdict_of(kp_slice answer, const struct ref *refs, uint32_t n, uint32_t *ret_done)
{
    struct kpw_slice list;

    *ret_done = 0;
    switch (
        kpw_json_find((struct kpw_slice){answer.ptr, answer.len}, "$.batchItemFailures", &list)) {
    case KPW_JSON_ARRAY: return read_list(list, refs, n, ret_done);
    case KPW_JSON_END: /* not there */
    case KPW_JSON_NULL:
    case KPW_JSON_ERROR: /* not JSON: success, as the service takes it */ return VERDICT_ALL;
    default: return VERDICT_NONE;
    }
}
