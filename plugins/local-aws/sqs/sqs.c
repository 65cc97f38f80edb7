/* sqs.c - SQS over HTTP: the JSON and the query protocol in front of the same operations. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/sqs/call.h"
#include "plugins/local-aws/sqs/report.h"

static void answer_trouble(struct local *local, kp_exchange *x, int form);

static bool open_service(struct local *local, char *why, size_t cap)
{
    struct sqs_service *service = calloc(1, sizeof(*service));

    if (!service) {
        snprintf(why, cap, "out of memory");
        return false;
    }
    local->state[LOCAL_SQS] = service;
    service->local = local;
    service->commit.trouble = answer_trouble;
    if (sqs_store_open(&service->store, local->db) && sqs_moves_open(service) &&
        commit_open(&service->commit, local))
        return true;
    snprintf(why, cap, "cannot make the tables of SQS: %s", sqlite3_errmsg(local->db));
    return false;
}

static void close_service(struct local *local)
{
    struct sqs_service *service = local->state[LOCAL_SQS];

    if (!service)
        return;
    sqs_waiters_free(service);
    sqs_moves_close(service);
    commit_close(&service->commit);
    sqs_store_close(&service->store);
    free(service);
    local->state[LOCAL_SQS] = NULL;
}

/* ---- answers ---- */

static void send(struct sqs_call *call, const struct local_answer *answer)
{
    commit_answer(&call->service->commit, call->exchange,
                  &(struct commit_reply){
                      .answer = answer, .form = call->is_query, .is_watched = call->has_waited});
}

static void send_xml(struct sqs_call *call, int status, char *xml, const char *id)
{
    static const char trouble[] = "<?xml version=\"1.0\"?><ErrorResponse/>";
    const char *text = xml ? xml : trouble;

    send(call, &(struct local_answer){.status = xml ? status : 500,
                                      .content_type = "text/xml",
                                      .body = {text, strlen(text)},
                                      .request_id = id});
    free(xml);
}

static void answer_query(struct sqs_call *call, bool ok)
{
    const struct sqs_error_row *row = ok ? NULL : sqs_error_row(call->err.shape);
    char id[KPW_UUID_SIZE];

    local_request_id(call->service->local, id);
    if (ok)
        send_xml(call, 200, sqs_xml_answer(call->operation, call->out, id), id);
    else
        send_xml(call, row->status, sqs_xml_error(row->query_code, call->err.text, id), id);
}

static void send_json(struct sqs_call *call, int status, const json_t *document,
                      const kp_http_header *headers, size_t n_headers)
{
    char *text = json_dumps(document, JSON_COMPACT);
    const char *body = text ? text : "{}";

    send(call, &(struct local_answer){.status = text ? status : 500,
                                      .content_type = LOCAL_JSON_10,
                                      .body = {body, strlen(body)},
                                      .headers = headers,
                                      .n_headers = n_headers});
    free(text);
}

/* The disk is in trouble: this must not wait for it again. */
static void answer_trouble(struct local *local, kp_exchange *x, int form)
{
    static const char json[] = "{\"__type\":\"com.amazon.coral.service#InternalError\"}";
    kp_http_header header = {{"x-amzn-query-error", 18}, {"InternalError;Receiver", 22}};
    char id[KPW_UUID_SIZE], *xml = NULL;

    local_request_id(local, id);
    if (form)
        xml = sqs_xml_error("InternalError", "The disk is in trouble.", id);
    local_answer(local, x,
                 &(struct local_answer){.status = 500,
                                        .content_type = xml ? "text/xml" : LOCAL_JSON_10,
                                        .body = {xml ? xml : json, strlen(xml ? xml : json)},
                                        .request_id = id,
                                        .headers = &header,
                                        .n_headers = 1});
    free(xml);
}

static void answer_json_error(struct sqs_call *call)
{
    const struct sqs_error_row *row = sqs_error_row(call->err.shape);
    bool is_unknown = strcmp(row->shape, "InvalidAction") == 0;
    json_t *document = json_object();
    char code[120];
    kp_http_header header = {{"x-amzn-query-error", 18}, {code, 0}};

    json_object_set_new(document, "__type",
                        json_sprintf("%s%s", row->name_space,
                                     is_unknown ? "UnknownOperationException" : row->shape));
    json_object_set_new(document, "message", json_string(call->err.text));
    header.value.len = (size_t)snprintf(code, sizeof(code), "%s;%s", row->query_code,
                                        row->status < 500 ? "Sender" : "Receiver");
    send_json(call, row->status, document, &header, is_unknown ? 0 : 1);
    json_decref(document);
}

void sqs_answer(struct sqs_call *call, bool ok)
{
    if (call->is_query)
        answer_query(call, ok);
    else if (ok)
        send_json(call, 200, call->out, NULL, 0);
    else
        answer_json_error(call);
}

/* ---- requests ---- */

static void copy(kp_slice text, char *out, size_t size)
{
    snprintf(out, size, "%.*s", (int)(text.len < size ? text.len : size - 1),
             text.ptr ? text.ptr : "");
}

/* [new reference] The query protocol takes parameters from the body and from the URL. */
static json_t *read_form(const kp_server_request *request)
{
    json_t *input = json_object();

    if (sqs_form_add(input, request->body.ptr ? request->body.ptr : "", request->body.len) &&
        sqs_form_add(input, request->query.ptr ? request->query.ptr : "", request->query.len) &&
        sqs_form_finish(input))
        return input;
    json_decref(input);
    return NULL;
}

static json_t *read_json(const kp_server_request *request)
{
    json_t *input = json_loadb(request->body.ptr ? request->body.ptr : "", request->body.len,
                               JSON_ALLOW_NUL, NULL);

    if (json_is_object(input))
        return input;
    json_decref(input);
    return NULL;
}

/* Can it let a waiting request go on? What a receive takes nobody was waiting for. */
static bool may_wake(const struct sqs_call *call)
{
    static const char *const loud[] = {"SendMessage",
                                       "SendMessageBatch",
                                       "DeleteMessage",
                                       "DeleteMessageBatch",
                                       "ChangeMessageVisibility",
                                       "ChangeMessageVisibilityBatch",
                                       "SetQueueAttributes",
                                       "DeleteQueue"};

    for (size_t i = 0; i < sizeof(loud) / sizeof(loud[0]); i++)
        if (strcmp(loud[i], call->operation) == 0)
            return call->touched != 0;
    return call->service->moved;
}

static void serve(struct local *local, kp_exchange *x, const kp_server_request *request,
                  const struct local_target *target)
{
    struct sqs_service *service = local->state[LOCAL_SQS];
    struct sqs_call call = {.service = service,
                            .store = &service->store,
                            .exchange = x,
                            .operation = target->operation,
                            .is_query = target->is_query,
                            .is_tls = request->size > offsetof(kp_server_request, is_tls) &&
                                      request->is_tls,
                            .now_ms = local_now_ms(local)};
    bool ok;

    /* Whatever region a request is signed for: there is one, as for the other services. */
    snprintf(call.region, sizeof(call.region), "%s", local->region);
    copy(local_header(request, "host"), call.host, sizeof(call.host));
    copy(request->path, call.path, sizeof(call.path));
    call.in = call.is_query ? read_form(request) : read_json(request);
    call.out = json_object();
    commit_begin(&service->commit);
    ok = call.in ? sqs_run(&call)
                 : sqs_refuse(&call.err, "SerializationException", "The request is malformed.");
    commit_end(&service->commit);
    if (!call.waits)
        sqs_answer(&call, ok);
    json_decref(call.out);
    json_decref(call.in);
    if (ok && may_wake(&call))
        sqs_wake(service, call.touched);
}

/* What a fault that throttles says. */
static const struct local_throttle throttles[] = {
    {NULL, 400, "RequestThrottled", NULL, "Rate exceeded."},
};

const struct local_row local_sqs = {
    .name = "sqs",
    .label = "SQS",
    .hosts = "queue",
    .targets = "AmazonSQS",
    .version = "2012-11-05",
    .xmlns = "http://queue.amazonaws.com/doc/2012-11-05/",
    .prefix = "com.amazonaws.sqs#",
    .form = LOCAL_FORM_JSON_10,
    .open = open_service,
    .serve = serve,
    .close = close_service,
    .report = sqs_report,
    .throttles = throttles,
};
