/* cloudwatch.c - CloudWatch over HTTP: query, JSON 1.0 and smithy's rpc-v2-cbor in front of the
 * same operations; request bodies may be gzip.
 */
#include "plugins/local-aws/cloudwatch/cloudwatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/wire/gzip.h"
#include "sdk/wire/uri.h"
#include "sdk/wire/xml.h"

/* ---- refusals */

__attribute__((format(printf, 2, 0))) static bool refuse(struct cw_call *call, const char *fmt,
                                                         va_list args, const struct cw_error *kind)
{
    call->err.status = kind->status;
    call->err.shape = kind->shape;
    call->err.code = kind->code;
    vsnprintf(call->err.text, sizeof call->err.text, fmt, args);
    return false;
}

#define REFUSAL(name, query_code, json_shape)                                  \
    bool name(struct cw_call *call, const char *fmt, ...)                      \
    {                                                                          \
        static const struct cw_error kind = {400, json_shape, query_code, ""}; \
        va_list args;                                                          \
                                                                               \
        va_start(args, fmt);                                                   \
        refuse(call, fmt, args, &kind);                                        \
        va_end(args);                                                          \
        return false;                                                          \
    }

REFUSAL(cw_invalid, "InvalidParameterValue", "InvalidParameterValueException")
REFUSAL(cw_conflict, "InvalidParameterCombination", "InvalidParameterCombinationException")
REFUSAL(cw_validation, "ValidationError", "ValidationException")

bool cw_missing(struct cw_call *call, const char *parameter)
{
    call->err = (struct cw_error){400, "MissingRequiredParameterException", "MissingParameter", ""};
    snprintf(call->err.text, sizeof call->err.text, "The parameter %s is required.", parameter);
    return false;
}

bool cw_bad_token(struct cw_call *call)
{
    call->err = (struct cw_error){400, "InvalidNextToken", "InvalidNextToken",
                                  "The next token specified is invalid."};
    return false;
}

bool cw_trouble(struct cw_call *call)
{
    call->err = (struct cw_error){500, "InternalServiceFault", "InternalServiceError",
                                  "Request processing has failed due to some unknown error, "
                                  "exception or failure."};
    kp->log(call->cw->local->node, KP_LOG_ERROR, "cloudwatch.trouble", "error=\"%s\"",
            sqlite3_errmsg(call->cw->store.db));
    return false;
}

static bool malformed(struct cw_call *call)
{
    call->err = (struct cw_error){400, "SerializationException", "MalformedInput",
                                  "The request is malformed."};
    return false;
}

/* ---- operations */

static const struct operation {
    const char *name;
    bool (*run)(struct cw_call *call);
    bool is_silent; /* without a Result element in XML */
} operations[] = {
    {"PutMetricData", cw_put_metric_data, true},
    {"GetMetricData", cw_get_metric_data, false},
    {"GetMetricStatistics", cw_get_metric_statistics, false},
    {"ListMetrics", cw_list_metrics, false},
    {"PutMetricAlarm", cw_put_metric_alarm, true},
    {"DescribeAlarms", cw_describe_alarms, false},
    {"DeleteAlarms", cw_delete_alarms, true},
};

static const struct operation *find_operation(const char *name)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (!strcmp(operations[i].name, name))
            return &operations[i];
    return NULL;
}

/* ---- requests */

static bool is_gzip(const kp_server_request *request)
{
    kp_slice coding = local_header(request, "content-encoding");

    return kpw_slice_is_nocase(kpw_slice_trim(kpw_slice(coding.ptr, coding.len)), "gzip");
}

/* The body as it was before a client compressed it; `room` may hold it. False: it is no gzip, or
 * too large. */
static bool plain_body(const kp_server_request *request, struct kpw_buf *room,
                       struct kpw_slice *ret)
{
    *ret = kpw_slice(request->body.ptr, request->body.len);
    if (!is_gzip(request))
        return ret->len <= CW_BODY_MAX;
    if (kpw_inflate(room, ret->ptr, ret->len, KPW_INFLATE_GZIP, CW_BODY_MAX) != KPW_INFLATE_OK)
        return false;
    *ret = kpw_buf_slice(room);
    return true;
}

/* A compressed form hides its Action from the front end. */
static void classify(const kp_server_request *request, struct local_target *target)
{
    struct kpw_buf room = KPW_BUF_INIT;
    struct kpw_slice body, action;

    if (target->form != LOCAL_FORM_QUERY || target->operation[0] || !is_gzip(request))
        return;
    if (plain_body(request, &room, &body) && kpw_query_find(body, "Action", &action) &&
        action.len < sizeof target->operation) {
        memcpy(target->operation, action.ptr, action.len);
        target->operation[action.len] = '\0';
        target->is_query = true;
    }
    kpw_buf_fini(&room);
}

/* [new reference] NULL: malformed. */
static json_t *read_input(const kp_server_request *request, enum local_form form,
                          struct kpw_slice body)
{
    if (form == LOCAL_FORM_QUERY)
        return cw_read_form(body, kpw_slice(request->query.ptr, request->query.len));
    if (form == LOCAL_FORM_RPC_CBOR || form == LOCAL_FORM_CBOR_11)
        return cw_read_cbor(body);
    return cw_read_json(body);
}

/* ---- answers */

static void answer_trouble(struct local *local, kp_exchange *x, int form)
{
    bool is_query = form == LOCAL_FORM_QUERY;

    local_refuse(
        local, x,
        &(struct local_target){.service = LOCAL_CLOUDWATCH, .form = (enum local_form)form},
        &(struct local_refusal){.status = 500,
                                .code = is_query ? "InternalServiceError" : "InternalServiceFault",
                                .query_code = "InternalServiceError"});
}

/* Now, or when what it tells is on the disk. */
static void reply(struct cw_call *call, kp_exchange *x, enum local_form form,
                  const struct local_answer *answer)
{
    commit_answer(&call->cw->commit, x,
                  &(struct commit_reply){.answer = answer, .form = (int)form});
}

static void answer_xml(struct cw_call *call, kp_exchange *x, const struct operation *operation)
{
    struct local *local = call->cw->local;
    struct kpw_buf body = KPW_BUF_INIT;
    char name[80], id[KPW_UUID_SIZE];

    local_request_id(local, id);
    snprintf(name, sizeof name, "%sResponse", operation->name);
    kpw_xml_put_open(&body, name, local_cloudwatch.xmlns);
    if (!operation->is_silent) {
        snprintf(name, sizeof name, "%sResult", operation->name);
        kpw_xml_put_open(&body, name, NULL);
        kpw_buf_put_slice(&body, kpw_buf_slice(&call->out->buf));
        kpw_xml_put_close(&body, name);
    }
    kpw_xml_put_open(&body, "ResponseMetadata", NULL);
    kpw_xml_put_element_cstr(&body, "RequestId", id);
    kpw_xml_put_close(&body, "ResponseMetadata");
    snprintf(name, sizeof name, "%sResponse", operation->name);
    kpw_xml_put_close(&body, name);
    reply(call, x, LOCAL_FORM_QUERY,
          &(struct local_answer){.status = body.failed ? 500 : 200,
                                 .content_type = "text/xml",
                                 .request_id = id,
                                 .body = {body.ptr, body.failed ? 0 : body.len}});
    kpw_buf_fini(&body);
}

static void answer(struct cw_call *call, kp_exchange *x, const struct local_target *target,
                   const struct operation *operation)
{
    static const kp_http_header protocol = {{"smithy-protocol", 15}, {"rpc-v2-cbor", 11}};
    const struct kpw_buf *buf = &call->out->buf;
    bool is_rpc = target->form == LOCAL_FORM_RPC_CBOR;

    if (call->out->form == CW_XML) {
        answer_xml(call, x, operation);
        return;
    }
    reply(call, x, target->form,
          &(struct local_answer){.status = buf->failed ? 500 : 200,
                                 .content_type = is_rpc ? "application/cbor"
                                                 : call->out->form == CW_CBOR
                                                     ? "application/x-amz-cbor-1.1"
                                                     : LOCAL_JSON_10,
                                 .headers = &protocol,
                                 .n_headers = is_rpc,
                                 .body = {buf->ptr, buf->failed ? 0 : buf->len}});
}

static void answer_error(struct cw_call *call, kp_exchange *x, const struct local_target *target)
{
    const struct cw_error *err = &call->err;
    bool is_query = target->form == LOCAL_FORM_QUERY;

    local_refuse(call->cw->local, x, target,
                 &(struct local_refusal){.status = err->status,
                                         .code = is_query ? err->code : err->shape,
                                         .query_code = err->code,
                                         .message = err->text});
}

static void serve(struct local *local, kp_exchange *x, const kp_server_request *request,
                  const struct local_target *target)
{
    const struct operation *operation = find_operation(target->operation);
    struct kpw_buf room = KPW_BUF_INIT;
    struct kpw_slice body;
    struct cw_out out;
    struct cw_call call = {.cw = local->state[LOCAL_CLOUDWATCH],
                           .is_query = target->form == LOCAL_FORM_QUERY,
                           .out = &out,
                           .now_ms = local_now_ms(local)};
    bool ok;

    if (!operation) {
        local_refuse_unknown(local, x, target);
        return;
    }
    cw_out_begin(&out, target->form == LOCAL_FORM_QUERY ? CW_XML
                       : target->form == LOCAL_FORM_RPC_CBOR || target->form == LOCAL_FORM_CBOR_11
                           ? CW_CBOR
                           : CW_JSON);
    call.in = plain_body(request, &room, &body) ? read_input(request, target->form, body) : NULL;
    commit_begin(&call.cw->commit);
    ok = call.in ? operation->run(&call) : malformed(&call);
    commit_end(&call.cw->commit);
    cw_out_end(&out);
    if (ok)
        answer(&call, x, target, operation);
    else
        answer_error(&call, x, target);
    json_decref(call.in);
    cw_out_fini(&out);
    kpw_buf_fini(&room);
}

/* ---- life */

static void sweep(kp_node *node, void *arg)
{
    struct cloudwatch *cw = arg;

    (void)node;
    cw_store_sweep(&cw->store, local_now_ms(cw->local));
}

static bool open_service(struct local *local, char *why, size_t cap)
{
    struct cloudwatch *cw = calloc(1, sizeof *cw);

    snprintf(why, cap, "out of memory, or the log of state.db cannot be opened");
    local->state[LOCAL_CLOUDWATCH] = cw;
    if (!cw)
        return false;
    cw->local = local;
    cw->sweep = local->timer_ext->create(local->node, sweep, cw);
    if (!cw->sweep)
        return false;
    if (!cw_store_open(&cw->store, local->db)) {
        snprintf(why, cap, "cannot make the tables of CloudWatch: %s", sqlite3_errmsg(local->db));
        return false;
    }
    cw->commit.trouble = answer_trouble;
    if (!commit_open(&cw->commit, local))
        return false;
    local->timer_ext->start(cw->sweep, CW_SWEEP_MS, CW_SWEEP_MS);
    return true;
}

static void close_service(struct local *local)
{
    struct cloudwatch *cw = local->state[LOCAL_CLOUDWATCH];

    if (!cw)
        return;
    if (cw->sweep)
        local->timer_ext->destroy(cw->sweep);
    commit_close(&cw->commit);
    cw_store_close(&cw->store);
    free(cw);
    local->state[LOCAL_CLOUDWATCH] = NULL;
}

static const struct local_throttle throttles[] = {
    {NULL, 400, "ThrottlingException", "Throttling", "Rate exceeded"}};

const struct local_row local_cloudwatch = {
    .name = "cloudwatch",
    .label = "CloudWatch",
    .scope = "monitoring",
    .targets = "GraniteServiceVersion20100801",
    .version = "2010-08-01",
    .xmlns = "http://monitoring.amazonaws.com/doc/2010-08-01/",
    .form = LOCAL_FORM_QUERY,
    .has_rpc = true,
    .open = open_service,
    .serve = serve,
    .close = close_service,
    .classify = classify,
    .report = cw_report,
    .throttles = throttles,
};
