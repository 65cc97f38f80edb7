/* conditions.c - If-Match and its like: of reads, of copies, of writes. */
#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/s3/call.h"
#include "sdk/wire/time.h"

bool s3_etag_in(struct kpw_slice list, const char *etag)
{
    size_t n = strlen(etag);

    list = kpw_slice_trim(list);
    if (kpw_slice_is(list, "*"))
        return true;
    while (list.len > 0) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.ptr) : list.len;
        struct kpw_slice one = kpw_slice_trim(kpw_slice(list.ptr, len));

        if (kpw_slice_starts(one, "W/"))
            one = kpw_slice(one.ptr + 2, one.len - 2);
        if (one.len >= 2 && one.ptr[0] == '"' && one.ptr[one.len - 1] == '"')
            one = kpw_slice(one.ptr + 1, one.len - 2);
        if (one.len == n && memcmp(one.ptr, etag, n) == 0)
            return true;
        len = comma ? len + 1 : len;
        list.ptr += len;
        list.len -= len;
    }
    return false;
}

/* ---- conditions of reads and copies ---- */

static bool date_of(const struct s3_call *call, const char *name, int64_t *ret_s)
{
    struct kpw_slice text = s3_header(call, name);

    return text.ptr && kpw_http_date_parse(text, ret_s);
}

/* In the order of RFC 9110; *ret_condition names what failed. `prefix`: "" or "x-amz-copy-source-".
 */
enum s3_verdict s3_judge(const struct s3_call *call, const struct s3_meta *meta, const char *prefix,
                         const char **ret_condition)
{
    char match[48], none[48], unmodified[56], modified[56];
    int64_t at, since = meta->modified_ms / 1000;
    struct kpw_slice value;

    snprintf(match, sizeof(match), "%sif-match", prefix);
    snprintf(none, sizeof(none), "%sif-none-match", prefix);
    snprintf(unmodified, sizeof(unmodified), "%sif-unmodified-since", prefix);
    snprintf(modified, sizeof(modified), "%sif-modified-since", prefix);
    value = s3_header(call, match);
    if (value.ptr && !s3_etag_in(value, meta->etag)) {
        *ret_condition = prefix[0] ? "x-amz-copy-source-If-Match" : "If-Match";
        return S3_FAILED;
    }
    if (!value.ptr && date_of(call, unmodified, &at) && since > at) {
        *ret_condition =
            prefix[0] ? "x-amz-copy-source-If-Unmodified-Since" : "If-Unmodified-Since";
        return S3_FAILED;
    }
    value = s3_header(call, none);
    if (value.ptr && s3_etag_in(value, meta->etag)) {
        *ret_condition = "x-amz-copy-source-If-None-Match";
        return S3_NOT_MODIFIED;
    }
    /* A date in the future is no condition. */
    if (!value.ptr && date_of(call, modified, &at) && since <= at && at <= call->now_ms / 1000) {
        *ret_condition = "x-amz-copy-source-If-Modified-Since";
        return S3_NOT_MODIFIED;
    }
    return S3_GO_ON;
}

/* ---- conditions of writes ---- */

static bool not_implemented(struct s3_call *call, const char *header, const char *more)
{
    s3_not_implemented(call, header, more);
    return false;
}

/* S3 writes if nothing is there, or if a named ETag is: one of the two at a time. */
static bool are_known_conditions(struct s3_call *call, struct kpw_slice match,
                                 struct kpw_slice none)
{
    if (match.ptr && none.ptr)
        return not_implemented(call, "If-Match,If-None-Match",
                               "Multiple conditional request headers present in the request");
    if (none.ptr && !kpw_slice_is(none, "*"))
        return not_implemented(
            call, "If-None-Match",
            "We don't accept the provided value of If-None-Match header for this "
            "API");
    if (match.ptr && kpw_slice_is(match, "*"))
        return not_implemented(
            call, "If-Match", "We don't accept the provided value of If-Match header for this API");
    return true;
}

bool s3_may_write(struct s3_call *call, const char *if_match_name, const char *if_none_match_name)
{
    struct kpw_slice match = s3_header(call, if_match_name);
    struct kpw_slice none = s3_header(call, if_none_match_name);
    struct s3_key key = s3_key(call);
    struct s3_object object;
    bool exists, same;

    if (!match.ptr && !none.ptr)
        return true;
    if (!are_known_conditions(call, match, none))
        return false;
    exists = s3_object_find(call->store, &key, &object);
    same = exists && match.ptr && s3_etag_in(match, object.meta.etag);
    s3_object_fini(&object);
    if (none.ptr && exists)
        s3_precondition_failed(call, "If-None-Match");
    else if (match.ptr && !exists)
        s3_no_such_key(call);
    else if (match.ptr && !same)
        s3_precondition_failed(call, "If-Match");
    else
        return true;
    return false;
}
