/* dispatch.c - which service a request is for, and which operation.
 *
 * Asked in this order: the credential scope of the signature, the prefix of X-Amz-Target, the first
 * label of the host, an Action in the query or in a form. What is left is S3, whose requests may
 * come without any of them.
 */
#include <string.h>

#include "plugins/local-aws/local.h"
#include "sdk/wire/uri.h"

static struct kpw_slice slice_of(kp_slice s)
{
    return kpw_slice(s.ptr, s.len);
}

static enum local_service service_named(struct kpw_slice name)
{
    static const struct {
        const char *name;
        enum local_service service;
    } names[] = {
        {"kinesis", LOCAL_KINESIS}, {"dynamodb", LOCAL_DYNAMODB}, {"sqs", LOCAL_SQS},
        {"s3", LOCAL_S3},           {"sts", LOCAL_STS},
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (kpw_slice_is_nocase(name, names[i].name))
            return names[i].service;
    return LOCAL_NONE;
}

/* Cuts what is before the next '/' off; false: there is none. */
static bool next_part(struct kpw_slice *rest, struct kpw_slice *ret)
{
    const char *slash = rest->len ? memchr(rest->ptr, '/', rest->len) : NULL;

    if (!slash)
        return false;
    *ret = kpw_slice(rest->ptr, (size_t)(slash - rest->ptr));
    *rest = kpw_slice(slash + 1, rest->len - ret->len - 1);
    return true;
}

/* KEY/DAY/REGION/SERVICE/aws4_request */
static void read_scope(struct kpw_slice scope, struct local_target *ret)
{
    struct kpw_slice part[4];

    for (size_t i = 0; i < 4; i++)
        if (!next_part(&scope, &part[i]))
            return;
    ret->region = (kp_slice){part[2].ptr, part[2].len};
    ret->service = service_named(part[3]);
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

/* "Kinesis_20131202.PutRecords" */
static enum local_service by_target(kp_slice target, struct local_target *ret)
{
    static const struct {
        const char *prefix;
        enum local_service service;
    } prefixes[] = {
        {"Kinesis_20131202", LOCAL_KINESIS},
        {"DynamoDB_20120810", LOCAL_DYNAMODB},
        {"DynamoDBStreams_20120810", LOCAL_DYNAMODB},
        {"AmazonSQS", LOCAL_SQS},
    };
    const char *dot = target.len ? memchr(target.ptr, '.', target.len) : NULL;
    struct kpw_slice prefix;

    if (!dot)
        return LOCAL_NONE;
    prefix = kpw_slice(target.ptr, (size_t)(dot - target.ptr));
    set_operation(ret, kpw_slice(dot + 1, target.len - prefix.len - 1));
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (kpw_slice_is(prefix, prefixes[i].prefix))
            return prefixes[i].service;
    return LOCAL_NONE;
}

/* "kinesis.us-east-1.amazonaws.com", "000000000000.data-kinesis...", "bucket.s3.localhost:4566" */
static enum local_service by_host(kp_slice host)
{
    struct kpw_slice rest = slice_of(host);

    while (rest.len) {
        const char *end = memchr(rest.ptr, '.', rest.len);
        struct kpw_slice label = kpw_slice(rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len);
        enum local_service service = service_named(label);

        if (service)
            return service;
        if (kpw_slice_is(label, "data-kinesis") || kpw_slice_is(label, "control-kinesis"))
            return LOCAL_KINESIS;
        rest = end ? kpw_slice(end + 1, rest.len - label.len - 1) : kpw_slice(NULL, 0);
    }
    return LOCAL_NONE;
}

/* The query protocol of SQS and STS. */
static bool by_action(const kp_server_request *request, struct local_target *ret)
{
    static const char form[] = "application/x-www-form-urlencoded";
    struct kpw_slice action;
    bool found = kpw_query_find(slice_of(request->query), "Action", &action);

    if (!found && kpw_slice_starts(slice_of(local_header(request, "content-type")), form))
        found = kpw_query_find(slice_of(request->body), "Action", &action);
    if (!found)
        return false;
    set_operation(ret, action);
    ret->is_query = true;
    return true;
}

static enum local_service service_of_action(const char *operation)
{
    static const char *const sts[] = {"GetCallerIdentity", "AssumeRole", "GetSessionToken",
                                      "AssumeRoleWithWebIdentity"};

    for (size_t i = 0; i < sizeof sts / sizeof *sts; i++)
        if (!strcmp(operation, sts[i]))
            return LOCAL_STS;
    return LOCAL_SQS;
}

void local_dispatch(const kp_server_request *request, struct local_target *ret)
{
    kp_slice target = local_header(request, "x-amz-target");
    enum local_service service;
    bool acted = false;

    *ret = (struct local_target){.service = LOCAL_NONE};
    by_signature(request, ret);
    service = by_target(target, ret);
    if (!ret->service)
        ret->service = service;
    if (!ret->service)
        ret->service = by_host(local_header(request, "host"));
    if (ret->service != LOCAL_S3 && !target.len)
        acted = by_action(request, ret);
    if (!ret->service && acted)
        ret->service = service_of_action(ret->operation);
    if (!ret->service && !target.len)
        ret->service = LOCAL_S3;
}
