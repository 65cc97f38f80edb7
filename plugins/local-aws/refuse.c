/* refuse.c - one error, written in whichever form its request came in. */
#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/local.h"
#include "sdk/wire/base64.h"
#include "sdk/wire/cbor.h"
#include "sdk/wire/json.h"
#include "sdk/wire/xml.h"

#define CORAL "com.amazon.coral.service#"

static kp_http_header header(const char *name, const char *value)
{
    return (kp_http_header){{name, strlen(name)}, {value, strlen(value)}};
}

/* Answers with a body, or with the status alone when there is no memory for one. [consumes body] */
static void answer(struct local *local, kp_exchange *x, struct local_answer *answer,
                   struct kpw_buf *body)
{
    answer->body = (kp_slice){body->ptr, body->failed ? 0 : body->len};
    local_answer(local, x, answer);
    kpw_buf_fini(body);
}

/* A code inside a JSON string: a rule of faults may have any characters in it. */
static void put_bare(struct kpw_buf *body, const char *code)
{
    for (; *code; code++)
        kpw_buf_putc(body,
                     *code == '"' || *code == '\\' || (unsigned char)*code < ' ' ? '?' : *code);
}

/* Services that have a query protocol too tell what it would have said: "Code;Sender". */
static size_t put_query_error(const struct local_target *target,
                              const struct local_refusal *refusal, char *text, size_t cap,
                              kp_http_header *ret)
{
    const struct local_row *row = local_rows[target->service];

    if (!row || !row->version)
        return 0;
    snprintf(text, cap, "%s;%s", refusal->query_code ? refusal->query_code : refusal->code,
             refusal->status < 500 ? "Sender" : "Receiver");
    *ret = header("x-amzn-query-error", text);
    return 1;
}

static void refuse_json(struct local *local, kp_exchange *x, const struct local_target *target,
                        const struct local_refusal *refusal)
{
    bool is_10 = target->form == LOCAL_FORM_JSON_10;
    kp_http_header headers[2] = {header("x-amzn-ErrorType", refusal->code)};
    struct kpw_buf body = KPW_BUF_INIT;
    char text[300];

    kpw_buf_appendf(&body, "{\"__type\":\"%s", is_10 && refusal->prefix ? refusal->prefix : "");
    put_bare(&body, refusal->code);
    kpw_buf_putc(&body, '"');
    if (refusal->message)
        kpw_json_put_member_cstr(&body, "message", refusal->message);
    kpw_buf_putc(&body, '}');
    answer(local, x,
           &(struct local_answer){
               .status = refusal->status,
               .content_type = is_10 ? LOCAL_JSON_10 : LOCAL_JSON_11,
               .headers = headers,
               .n_headers = 1 + put_query_error(target, refusal, text, sizeof text, &headers[1])},
           &body);
}

static void refuse_rest_json(struct local *local, kp_exchange *x,
                             const struct local_refusal *refusal)
{
    kp_http_header type = header("x-amzn-ErrorType", refusal->code);
    struct kpw_buf body = KPW_BUF_INIT;

    kpw_buf_putc(&body, '{');
    if (refusal->message)
        kpw_json_put_member_cstr(&body, "message", refusal->message);
    kpw_buf_putc(&body, '}');
    answer(local, x,
           &(struct local_answer){.status = refusal->status,
                                  .content_type = "application/json",
                                  .headers = &type,
                                  .n_headers = 1},
           &body);
}

static void refuse_cbor(struct local *local, kp_exchange *x, const struct local_target *target,
                        const struct local_refusal *refusal)
{
    bool is_rpc = target->form == LOCAL_FORM_RPC_CBOR;
    kp_http_header headers[3] = {header("x-amzn-ErrorType", refusal->code)};
    struct kpw_buf body = KPW_BUF_INIT;
    char text[300];
    size_t n = 1 + put_query_error(target, refusal, text, sizeof text, &headers[1]);

    if (is_rpc)
        headers[n++] = header("smithy-protocol", "rpc-v2-cbor");
    kpw_cbor_put_map(&body, refusal->message ? 2 : 1);
    kpw_cbor_put_cstr(&body, "__type");
    kpw_cbor_put_cstr(&body, refusal->code);
    if (refusal->message) {
        kpw_cbor_put_cstr(&body, "message");
        kpw_cbor_put_cstr(&body, refusal->message);
    }
    answer(local, x,
           &(struct local_answer){.status = refusal->status,
                                  .content_type =
                                      is_rpc ? "application/cbor" : "application/x-amz-cbor-1.1",
                                  .headers = headers,
                                  .n_headers = n},
           &body);
}

static void put_code(struct kpw_buf *body, const struct local_refusal *refusal)
{
    kpw_xml_put_element_cstr(body, "Code", refusal->code);
    kpw_xml_put_element_cstr(body, "Message", refusal->message ? refusal->message : "");
}

/* The form of the query protocol, and of REST services other than S3. */
static void refuse_query(struct local *local, kp_exchange *x, const struct local_target *target,
                         const struct local_refusal *refusal)
{
    const struct local_row *row = local_rows[target->service];
    struct kpw_buf body = KPW_BUF_INIT;
    char id[KPW_UUID_SIZE];

    local_request_id(local, id);
    kpw_xml_put_open(&body, "ErrorResponse", row ? row->xmlns : NULL);
    kpw_xml_put_open(&body, "Error", NULL);
    kpw_xml_put_element_cstr(&body, "Type", refusal->status < 500 ? "Sender" : "Receiver");
    put_code(&body, refusal);
    kpw_xml_put_close(&body, "Error");
    kpw_xml_put_element_cstr(&body, "RequestId", id);
    kpw_xml_put_close(&body, "ErrorResponse");
    answer(local, x,
           &(struct local_answer){
               .status = refusal->status, .content_type = "text/xml", .request_id = id},
           &body);
}

static void refuse_s3(struct local *local, kp_exchange *x, const struct local_refusal *refusal)
{
    struct kpw_buf body = KPW_BUF_INIT;
    char id[17], id2[40];
    kp_http_header headers[3];

    snprintf(id, sizeof id, "%016llX", (unsigned long long)kpw_random_next(&local->random));
    id2[kpw_base64_encode(id, 16, id2)] = '\0';
    headers[0] = header("x-amz-request-id", id);
    headers[1] = header("x-amz-id-2", id2);
    headers[2] = header("Content-Type", "application/xml");
    kpw_xml_put_declaration(&body);
    kpw_xml_put_open(&body, "Error", NULL);
    put_code(&body, refusal);
    if (refusal->extra)
        kpw_buf_puts(&body, refusal->extra);
    kpw_xml_put_element_cstr(&body, "RequestId", id);
    kpw_xml_put_element_cstr(&body, "HostId", id2);
    kpw_xml_put_close(&body, "Error");
    local_respond(local, x, refusal->status,
                  &(struct local_body){headers, 3, {body.ptr, body.failed ? 0 : body.len}, NULL});
    kpw_buf_fini(&body);
}

void local_refuse(struct local *local, kp_exchange *x, const struct local_target *target,
                  const struct local_refusal *refusal)
{
    switch (target->form) {
    case LOCAL_FORM_JSON_10:
    case LOCAL_FORM_JSON_11: refuse_json(local, x, target, refusal); break;
    case LOCAL_FORM_CBOR_11:
    case LOCAL_FORM_RPC_CBOR: refuse_cbor(local, x, target, refusal); break;
    case LOCAL_FORM_S3: refuse_s3(local, x, refusal); break;
    case LOCAL_FORM_REST_JSON: refuse_rest_json(local, x, refusal); break;
    case LOCAL_FORM_QUERY:
    case LOCAL_FORM_REST_XML: refuse_query(local, x, target, refusal); break;
    }
}

/* "it serves Kinesis, S3, DynamoDB, SQS and STS" */
static void put_served(struct kpw_buf *text)
{
    kpw_buf_puts(text, "it serves ");
    for (size_t i = LOCAL_NONE + 1; i < LOCAL_N_SERVICES; i++) {
        if (i > LOCAL_NONE + 1)
            kpw_buf_puts(text, i + 1 < LOCAL_N_SERVICES ? ", " : " and ");
        kpw_buf_puts(text, local_rows[i]->label);
    }
    kpw_buf_putc(text, '.');
}

void local_refuse_unknown(struct local *local, kp_exchange *x, const struct local_target *target)
{
    const struct local_row *row = local_rows[target->service];
    struct local_refusal refusal = {
        .status = 400, .code = "UnknownOperationException", .prefix = CORAL};
    struct kpw_buf text = KPW_BUF_INIT;

    if (row && target->form == LOCAL_FORM_RPC_CBOR && !row->has_rpc)
        kpw_buf_appendf(&text, "The local AWS does not speak rpc-v2-cbor for %s.", row->label);
    else if (row)
        kpw_buf_appendf(&text, "The local AWS has no operation \"%s\" of %s.", target->operation,
                        row->label);
    else if (target->asked[0])
        kpw_buf_appendf(&text, "The local AWS does not serve \"%s\": ", target->asked);
    else
        kpw_buf_puts(&text, "The local AWS cannot tell which service this request is for: ");
    if (!row)
        put_served(&text);
    refusal.message = kpw_buf_cstr(&text);
    if (target->form == LOCAL_FORM_QUERY || target->form == LOCAL_FORM_REST_XML)
        refusal.code = row ? "InvalidAction" : "UnknownOperation";
    if (target->form == LOCAL_FORM_REST_JSON || target->form == LOCAL_FORM_REST_XML ||
        target->form == LOCAL_FORM_RPC_CBOR)
        refusal.status = 404;
    local_refuse(local, x, target, &refusal);
    kpw_buf_fini(&text);
}
