/* dispatch.c - which service a request is for, which operation, and in which form it came.
 *
 * Asked in this order: the credential scope of the signature, the prefix of X-Amz-Target, the path
 * of rpc-v2-cbor, a label of the host, the Version of an Action in the query or in a form. What is
 * left is S3, whose requests may come without any of them. A service that is named and not served
 * is never taken for S3.
 */
#include <string.h>

#include "plugins/local-aws/local.h"
#include "sdk/wire/uri.h"

static struct kpw_slice slice_of(kp_slice s)
{
    return kpw_slice(s.ptr, s.len);
}

/* Cuts what is before the next `c` off; false: there is none. */
static bool next_part(struct kpw_slice *rest, char c, struct kpw_slice *ret)
{
    const char *at = rest->len ? memchr(rest->ptr, c, rest->len) : NULL;

    if (!at)
        return false;
    *ret = kpw_slice(rest->ptr, (size_t)(at - rest->ptr));
    *rest = kpw_slice(at + 1, rest->len - ret->len - 1);
    return true;
}

/* Is `name` one of the words of a row? NULL has none. */
static bool has_word(const char *words, struct kpw_slice name)
{
    struct kpw_slice rest = kpw_slice_cstr(words), word;

    while (next_part(&rest, ' ', &word))
        if (kpw_slice_eq(word, name))
            return true;
    return rest.len && kpw_slice_eq(rest, name);
}

bool local_has_word(const char *words, const char *name)
{
    return has_word(words, kpw_slice_cstr(name));
}

/* By the name in a credential scope. */
static enum local_service service_scoped(struct kpw_slice name)
{
    for (size_t i = LOCAL_NONE + 1; i < LOCAL_N_SERVICES; i++)
        if (kpw_slice_is_nocase(name, local_scope((enum local_service)i)))
            return (enum local_service)i;
    return LOCAL_NONE;
}

static enum local_service service_of_target(struct kpw_slice prefix)
{
    for (size_t i = LOCAL_NONE + 1; i < LOCAL_N_SERVICES; i++)
        if (has_word(local_rows[i]->targets, prefix))
            return (enum local_service)i;
    return LOCAL_NONE;
}

static enum local_service service_of_version(struct kpw_slice version)
{
    for (size_t i = LOCAL_NONE + 1; i < LOCAL_N_SERVICES; i++)
        if (local_rows[i]->version && kpw_slice_is(version, local_rows[i]->version))
            return (enum local_service)i;
    return LOCAL_NONE;
}

/* Copies a name as far as it goes into an error's text: printable ASCII without quotes. */
static void set_asked(struct local_target *ret, struct kpw_slice name)
{
    size_t n = name.len < sizeof ret->asked ? name.len : sizeof ret->asked - 1;

    if (ret->asked[0])
        return;
    for (size_t i = 0; i < n; i++)
        ret->asked[i] = name.ptr[i] > ' ' && name.ptr[i] < 127 && !strchr("\"\\<>&", name.ptr[i])
                            ? name.ptr[i]
                            : '?';
}

/* KEY/DAY/REGION/SERVICE/aws4_request */
static void read_scope(struct kpw_slice scope, struct local_target *ret)
{
    struct kpw_slice part[4];

    for (size_t i = 0; i < 4; i++)
        if (!next_part(&scope, '/', &part[i]))
            return;
    ret->region = (kp_slice){part[2].ptr, part[2].len};
    ret->service = service_scoped(part[3]);
    if (!ret->service)
        set_asked(ret, part[3]);
}

static void by_signature(const kp_server_request *request, struct local_target *ret)
{
    static const char mark[] = "Credential=";
    kp_slice header = local_header(request, "authorization");
    const char *at = header.len ? memmem(header.ptr, header.len, mark, sizeof mark - 1) : NULL;
    struct kpw_query query;

    if (at) {
        size_t len = header.len - (size_t)(at - header.ptr) - (sizeof mark - 1), n = 0;

        at += sizeof mark - 1;
        while (n < len && at[n] != ',' && at[n] != ' ')
            n++;
        read_scope(kpw_slice(at, n), ret);
        return;
    }
    kpw_query_init(&query, slice_of(request->query));
    while (kpw_query_next(&query)) {
        char text[300];
        size_t n;

        if (!kpw_slice_is(query.name, "X-Amz-Credential") || query.value.len > sizeof text ||
            !kpw_uri_decode(query.value.ptr, query.value.len, false, text, &n))
            continue;
        read_scope(kpw_slice(text, n), ret);
        ret->region = (kp_slice){NULL, 0}; /* it was in `text` */
        return;
    }
}

static void set_operation(struct local_target *ret, struct kpw_slice name)
{
    if (name.len >= LOCAL_OPERATION_MAX)
        return;
    memcpy(ret->operation, name.ptr, name.len);
    ret->operation[name.len] = '\0';
}

/* An operation under a prefix that belongs to another service is none of this one's. */
static void take_prefix(struct local_target *ret, struct kpw_slice prefix)
{
    enum local_service service = service_of_target(prefix);
    const char *version = prefix.len ? memrchr(prefix.ptr, '_', prefix.len) : NULL;

    if (!ret->service)
        ret->service = service;
    else if (ret->service != service)
        ret->operation[0] = '\0';
    if (!ret->service) /* "Firehose" of "Firehose_20150804" */
        set_asked(ret, version ? kpw_slice(prefix.ptr, (size_t)(version - prefix.ptr)) : prefix);
}

/* "Kinesis_20131202.PutRecords" */
static void by_target(struct kpw_slice target, struct local_target *ret)
{
    struct kpw_slice prefix;

    if (!next_part(&target, '.', &prefix))
        return;
    set_operation(ret, target);
    take_prefix(ret, prefix);
}

/* "/service/GraniteServiceVersion20100801/operation/PutMetricData" */
static bool by_rpc_path(struct kpw_slice path, struct local_target *ret)
{
    struct kpw_slice part[4];

    for (size_t i = 0; i < 4; i++)
        if (!next_part(&path, '/', &part[i]))
            return false;
    if (!kpw_slice_is(part[1], "service") || !kpw_slice_is(part[3], "operation"))
        return false;
    set_operation(ret, path);
    take_prefix(ret, part[2]);
    return true;
}

/* "kinesis.us-east-1.amazonaws.com", "000000000000.data-kinesis...", "bucket.s3.localhost:4566":
 * the last label that is a service's, for a bucket may have the name of one. */
static enum local_service by_host(struct kpw_slice rest)
{
    enum local_service found = LOCAL_NONE;

    while (rest.len) {
        struct kpw_slice label;
        enum local_service service;

        if (!next_part(&rest, '.', &label)) {
            label = rest;
            rest.len = 0;
        }
        service = service_scoped(label);
        for (size_t i = LOCAL_NONE + 1; !service && i < LOCAL_N_SERVICES; i++)
            if (kpw_slice_is_nocase(label, local_rows[i]->name) ||
                has_word(local_rows[i]->hosts, label))
                service = (enum local_service)i;
        if (service)
            found = service;
    }
    return found;
}

/* "lambda.us-east-1.amazonaws.com" names a service, also one that is not here. */
static void asked_by_host(struct kpw_slice host, struct local_target *ret)
{
    static const char domain[] = ".amazonaws.com";
    const char *colon = host.len ? memchr(host.ptr, ':', host.len) : NULL;
    size_t len = colon ? (size_t)(colon - host.ptr) : host.len;
    struct kpw_slice label;

    if (len > sizeof domain &&
        !memcmp(host.ptr + len - (sizeof domain - 1), domain, sizeof domain - 1) &&
        next_part(&host, '.', &label))
        set_asked(ret, label);
}

/* A parameter of the query protocol, in the URL or in a form. */
static bool find_parameter(const kp_server_request *request, const char *name,
                           struct kpw_slice *ret)
{
    static const char form[] = "application/x-www-form-urlencoded";

    return kpw_query_find(slice_of(request->query), name, ret) ||
           (kpw_slice_starts(slice_of(local_header(request, "content-type")), form) &&
            kpw_query_find(slice_of(request->body), name, ret));
}

static void by_action(const kp_server_request *request, struct local_target *ret)
{
    struct kpw_slice action, version;

    if (ret->service && !local_rows[ret->service]->version)
        return;
    if (!find_parameter(request, "Action", &action))
        return;
    set_operation(ret, action);
    ret->is_query = true;
    if (ret->service || ret->asked[0])
        return;
    if (!find_parameter(request, "Version", &version)) {
        ret->service = LOCAL_SQS; /* a person at a queue's URL */
        return;
    }
    ret->service = service_of_version(version);
    if (!ret->service)
        set_asked(ret, version);
}

/* ---- the form */

static bool is_cbor(const kp_server_request *request)
{
    return kpw_slice_starts(slice_of(local_header(request, "content-type")),
                            "application/x-amz-cbor-1.1");
}

static enum local_form form_of_target(const kp_server_request *request,
                                      const struct local_target *target)
{
    bool is_10 = kpw_slice_starts(slice_of(local_header(request, "content-type")), LOCAL_JSON_10);

    if (is_cbor(request))
        return LOCAL_FORM_CBOR_11;
    if (target->service && local_rows[target->service]->form <= LOCAL_FORM_JSON_10)
        return local_rows[target->service]->form;
    return is_10 ? LOCAL_FORM_JSON_10 : LOCAL_FORM_JSON_11;
}

/* Services that are not here and speak XML to paths. */
static bool speaks_xml(const char *name)
{
    return !strcmp(name, "route53") || !strcmp(name, "cloudfront") ||
           !strcmp(name, "s3-outposts") || !strcmp(name, "s3express");
}

static enum local_form form_of(const kp_server_request *request, const struct local_target *target,
                               bool is_rpc)
{
    if (is_rpc)
        return LOCAL_FORM_RPC_CBOR;
    if (local_header(request, "x-amz-target").len)
        return form_of_target(request, target);
    if (target->is_query)
        return LOCAL_FORM_QUERY;
    if (!target->service)
        return speaks_xml(target->asked) ? LOCAL_FORM_REST_XML : LOCAL_FORM_REST_JSON;
    return is_cbor(request) ? LOCAL_FORM_CBOR_11 : local_rows[target->service]->form;
}

void local_dispatch(const kp_server_request *request, struct local_target *ret)
{
    struct kpw_slice target = slice_of(local_header(request, "x-amz-target"));
    struct kpw_slice host = slice_of(local_header(request, "host"));
    bool is_rpc = false;

    *ret = (struct local_target){.service = LOCAL_NONE};
    by_signature(request, ret);
    by_target(target, ret);
    if (!target.len && local_header(request, "smithy-protocol").len)
        is_rpc = by_rpc_path(slice_of(request->path), ret);
    if (!ret->service && !ret->asked[0])
        ret->service = by_host(host);
    if (ret->service != LOCAL_S3 && !target.len && !is_rpc)
        by_action(request, ret);
    if (!ret->service)
        asked_by_host(host, ret);
    if (!ret->service && !ret->asked[0] && !target.len)
        ret->service = LOCAL_S3;
    ret->form = form_of(request, ret, is_rpc);
}
