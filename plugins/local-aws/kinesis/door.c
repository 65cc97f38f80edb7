/* door.c - what Kinesis asks of a request before it reads the members, in the order of the service;
 * and the answers that are no operation's.
 */
#include <string.h>

#include "plugins/local-aws/kinesis/kinesis.h"
#include "sdk/wire/cbor.h"

static const char denied[] =
    "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be "
    "authorized</Message>\n</AccessDeniedException>\n";
static const char unknown_xml[] = "<UnknownOperationException/>\n";

static kp_http_header header(const char *name, const char *value)
{
    return (kp_http_header){{name, strlen(name)}, {value, strlen(value)}};
}

/* ---- answers */

void kinesis_respond(struct kinesis_call *call, const struct local_answer *answer)
{
    kp_http_header headers[LOCAL_HEADERS_MAX];
    struct local_answer with = *answer;
    size_t n = answer->n_headers;

    if (!call->has_origin || n + 2 > LOCAL_HEADERS_MAX) {
        local_answer(call->k->local, call->x, answer);
        return;
    }
    for (size_t i = 0; i < n; i++)
        headers[i] = answer->headers[i];
    headers[n++] = header("Access-Control-Allow-Origin", "*");
    headers[n++] =
        header("Access-Control-Expose-Headers", "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id"
                                                ",x-amz-id-2,x-amzn-ErrorMessage,Date");
    with.headers = headers;
    with.n_headers = n;
    local_answer(call->k->local, call->x, &with);
}

static bool send_text(struct kinesis_call *call, int status, const char *content_type,
                      const char *text)
{
    kinesis_respond(call, &(struct local_answer){.status = status,
                                                 .content_type = content_type,
                                                 .body = {text, strlen(text)}});
    return false;
}

/* A browser asks whether it may. */
static bool answer_preflight(struct kinesis_call *call, const kp_server_request *request)
{
    struct local *local = call->k->local;
    kp_slice method = local_header(request, "access-control-request-method");
    kp_slice names = local_header(request, "access-control-request-headers");
    char id[KPW_UUID_SIZE];
    kp_http_header headers[5];
    size_t n = 0;

    local_request_id(local, id);
    headers[n++] = header("x-amzn-RequestId", id);
    headers[n++] = header("Access-Control-Allow-Origin", "*");
    headers[n++] = header("Access-Control-Max-Age", "172800");
    if (names.len)
        headers[n++] = (kp_http_header){{"Access-Control-Allow-Headers", 28}, names};
    if (method.len)
        headers[n++] = (kp_http_header){{"Access-Control-Allow-Methods", 28}, method};
    local_respond(local, call->x, 200, &(struct local_body){.headers = headers, .n_headers = n});
    return false;
}

/* The old form of errors, for Content-Type application/json. */
static bool fail_legacy(struct kinesis_call *call, bool is_object)
{
    return send_text(call, is_object ? 404 : 400, "application/json",
                     is_object ? "{\"Output\":{\"__type\":\"com.amazon.coral.service#"
                                 "UnknownOperationException\"},\"Version\":\"1.0\"}"
                               : "{\"Output\":{\"__type\":\"com.amazon.coral.service#"
                                 "SerializationException\"},\"Version\":\"1.0\"}");
}

/* ---- checks */

static struct kpw_slice media_type(const kp_server_request *request)
{
    kp_slice value = local_header(request, "content-type");
    const char *end = value.len ? memchr(value.ptr, ';', value.len) : NULL;

    return kpw_slice_trim(kpw_slice(value.ptr, end ? (size_t)(end - value.ptr) : value.len));
}

static bool is_method(const kp_server_request *request, const char *name)
{
    return kpw_slice_is(kpw_slice(request->method.ptr, request->method.len), name);
}

/* The body is an object (JSON) or a map (CBOR), and nothing else. */
static bool is_object(kp_slice body, bool is_cbor)
{
    struct kpw_cbor c;
    struct kpw_json j;

    if (is_cbor) {
        kpw_cbor_init(&c, body.ptr, body.len);
        return kpw_cbor_next(&c) == KPW_CBOR_MAP && kpw_cbor_skip(&c) &&
               kpw_cbor_next(&c) == KPW_CBOR_END;
    }
    kpw_json_init(&j, body.ptr, body.len);
    return kpw_json_next(&j) == KPW_JSON_OBJECT && kpw_json_skip(&j) &&
           kpw_json_next(&j) == KPW_JSON_END;
}

/* NULL: there is none, or the target is another service's. */
static const struct kinesis_operation *operation_of(const kp_server_request *request,
                                                    const struct local_target *target)
{
    kp_slice asked = local_header(request, "x-amz-target");

    if (!kpw_slice_starts(kpw_slice(asked.ptr, asked.len), "Kinesis_20131202."))
        return NULL;
    return kinesis_operation(target->operation);
}

/* CBOR where nothing is said too. */
static void set_form(struct kinesis_call *call, const kp_server_request *request)
{
    call->is_cbor = !kpw_slice_is(media_type(request), LOCAL_JSON_11);
    call->has_origin = local_header(request, "origin").len > 0;
}

/* Size, method, and that there is a body; false: answered. */
static bool check_request(struct kinesis_call *call, const kp_server_request *request,
                          bool is_known)
{
    if (request->body.len > KINESIS_BODY_MAX) { /* without any header */
        local_respond(call->k->local, call->x, 413, &(struct local_body){.n_headers = 0});
        return false;
    }
    if (call->has_origin && is_method(request, "OPTIONS"))
        return answer_preflight(call, request);
    if (!is_method(request, "POST"))
        return send_text(call, 403, NULL, denied);
    return request->body.len ||
           kinesis_fail(call, is_known ? "SerializationException" : "UnknownOperationException",
                        NULL);
}

/* The body is of a kind that is spoken here; false: answered. */
static bool check_media(struct kinesis_call *call, const kp_server_request *request,
                        bool has_target)
{
    struct kpw_slice type = media_type(request);

    if (kpw_slice_is(type, "application/json"))
        return fail_legacy(call, is_object(request->body, false));
    if (call->is_cbor && !kpw_slice_is(type, KINESIS_CBOR_11))
        return send_text(call, has_target ? 404 : 403, NULL, has_target ? unknown_xml : denied);
    return true;
}

/* A body that is no object is heard of before a missing signature and an unknown operation. Where
 * neither is the case, the reading of the members says it. */
static bool check_body(struct kinesis_call *call, const kp_server_request *request, bool is_known)
{
    bool is_signed = !call->k->local->verify_signatures ||
                     local_header(request, "authorization").len || request->query.len;

    if (is_known && is_signed)
        return true;
    if (!is_object(request->body, call->is_cbor))
        return kinesis_fail(call, "SerializationException", NULL);
    return is_known || kinesis_fail(call, "UnknownOperationException", NULL);
}

bool kinesis_admit(struct local *local, kp_exchange *x, const kp_server_request *request,
                   const struct local_target *target)
{
    struct kinesis_call call = {.k = local->state[LOCAL_KINESIS], .x = x};
    bool is_known = operation_of(request, target) != NULL;

    set_form(&call, request);
    return check_request(&call, request, is_known) &&
           check_media(&call, request, target->operation[0]) &&
           check_body(&call, request, is_known);
}

const struct kinesis_operation *kinesis_enter(struct kinesis_call *call,
                                              const kp_server_request *request,
                                              const struct local_target *target)
{
    set_form(call, request);
    return operation_of(request, target);
}
