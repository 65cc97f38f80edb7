/* dynamodb.c - DynamoDB over HTTP: JSON in, JSON out, and the checksum its clients verify. Its
 * timer lets items expire. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/commit.h"
#include "plugins/local-aws/dynamodb/call.h"
#include "plugins/local-aws/dynamodb/report.h"
#include "plugins/local-aws/dynamodb/ttl.h"
#include "plugins/local-aws/local.h"
#include "sdk/wire/hash.h"

enum { REQUEST_ID_LENGTH = 52, REQUEST_MAX = 16 << 20, SCOPE_MAX = 80 };

struct ddb_service {
    struct local *local; /* [borrowed] */
    struct ddb_store store;
    struct commit commit;
    struct ddb_ttl ttl;
    kp_timer *sweeper; /* runs while there are tables whose items expire [owned] */
    char scope[SCOPE_MAX];
};

/* ---- expiry ---- */

static void sweep(kp_node *node, void *arg)
{
    struct ddb_service *service = arg;
    long n;

    commit_begin(&service->commit);
    n = ddb_ttl_step(&service->ttl, &service->store, service->scope,
                     (double)local_now_ms(service->local) / 1000);
    commit_end(&service->commit);
    if (n > 0)
        kp->count(node, "dynamodb_expired_items", n);
    if (!ddb_ttl_is_used(&service->store, service->scope))
        service->local->timer_ext->stop(service->sweeper);
}

static void set_sweeper(struct ddb_service *service)
{
    const kp_timer_ext *ext = service->local->timer_ext;

    if (!ddb_ttl_is_used(&service->store, service->scope))
        return;
    if (!service->sweeper)
        service->sweeper = ext->create(service->local->node, sweep, service);
    if (service->sweeper && !ext->active(service->sweeper))
        ext->start(service->sweeper, DDB_TTL_EVERY_MS, DDB_TTL_EVERY_MS);
}

/* ---- life ---- */

static void answer_trouble(struct local *local, kp_exchange *x, int form);

static bool open_service(struct local *local, char *why, size_t cap)
{
    struct ddb_service *service = calloc(1, sizeof(*service));

    if (!service) {
        snprintf(why, cap, "out of memory");
        return false;
    }
    local->state[LOCAL_DYNAMODB] = service;
    service->local = local;
    service->commit.trouble = answer_trouble;
    /* Whatever region a request is signed for: there is one, as for the other services. */
    snprintf(service->scope, sizeof(service->scope), "%s/%s", local->region, local->account);
    if (!ddb_store_open(&service->store, local->db)) {
        snprintf(why, cap, "cannot make the tables of DynamoDB: %s", sqlite3_errmsg(local->db));
        return false;
    }
    if (!ddb_ttl_open(&service->ttl) || !commit_open(&service->commit, local)) {
        snprintf(why, cap, "cannot open the log of state.db");
        return false;
    }
    set_sweeper(service);
    return true;
}

static void close_service(struct local *local)
{
    struct ddb_service *service = local->state[LOCAL_DYNAMODB];

    if (!service)
        return;
    if (service->sweeper)
        local->timer_ext->destroy(service->sweeper);
    commit_close(&service->commit);
    ddb_ttl_close(&service->ttl);
    ddb_store_close(&service->store);
    free(service);
    local->state[LOCAL_DYNAMODB] = NULL;
}

/* ---- answers ---- */

static void make_request_id(struct local *local, char out[REQUEST_ID_LENGTH + 1])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

    for (int i = 0; i < REQUEST_ID_LENGTH; i++)
        out[i] = letters[kpw_random_below(&local->random, sizeof(letters) - 1)];
    out[REQUEST_ID_LENGTH] = '\0';
}

static void answer_text(struct local *local, kp_exchange *x, int status, const char *type,
                        const char *body)
{
    struct ddb_service *service = local->state[LOCAL_DYNAMODB];
    char id[REQUEST_ID_LENGTH + 1], sum[16];
    kp_http_header crc = {{"x-amz-crc32", 11}, {sum, 0}};
    struct local_answer answer = {.status = status,
                                  .content_type = type,
                                  .body = {body, strlen(body)},
                                  .request_id = id,
                                  .headers = &crc,
                                  .n_headers = 1};

    make_request_id(local, id);
    crc.value.len =
        (size_t)snprintf(sum, sizeof(sum), "%lu", (unsigned long)kpw_crc32(0, body, strlen(body)));
    commit_answer(&service->commit, x, &(struct commit_reply){.answer = &answer});
}

static void answer(struct local *local, kp_exchange *x, int status, const char *type,
                   const json_t *document)
{
    char *text = json_dumps(document, JSON_COMPACT);

    answer_text(local, x, text ? status : 500, type, text ? text : "{}");
    free(text);
}

static const char *name_space(const char *type)
{
    static const char *const coral[] = {"SerializationException", "UnknownOperationException"};

    for (size_t i = 0; i < sizeof(coral) / sizeof(coral[0]); i++)
        if (strcmp(type, coral[i]) == 0)
            return "com.amazon.coral.service#";
    return strcmp(type, "ValidationException") == 0 ? "com.amazon.coral.validate#"
                                                    : "com.amazonaws.dynamodb.v20120810#";
}

static void answer_error(struct local *local, kp_exchange *x, const char *content_type,
                         const struct ddb_error *err)
{
    const char *type = err->type ? err->type : "InternalServerError";
    json_t *document = json_object();

    json_object_set_new(document, "__type", json_sprintf("%s%s", name_space(type), type));
    /* What is wrong with the form of a request is said by another layer, in another letter. */
    if (err->text[0] != '\0')
        json_object_set_new(document,
                            strcmp(type, "SerializationException") == 0 ? "Message" : "message",
                            json_string(err->text));
    if (err->item)
        json_object_set(document, "Item", err->item);
    if (err->reasons)
        json_object_set(document, "CancellationReasons", err->reasons);
    answer(local, x, strcmp(type, "InternalServerError") == 0 ? 500 : 400, content_type, document);
    json_decref(document);
}

/* The disk is in trouble: this must not wait for it again. */
static void answer_trouble(struct local *local, kp_exchange *x, int form)
{
    static const char body[] =
        "{\"__type\":\"com.amazonaws.dynamodb.v20120810#InternalServerError\"}";
    char sum[16];
    kp_http_header crc = {{"x-amz-crc32", 11}, {sum, 0}};

    (void)form;
    crc.value.len = (size_t)snprintf(sum, sizeof(sum), "%lu",
                                     (unsigned long)kpw_crc32(0, body, sizeof(body) - 1));
    local_answer(local, x,
                 &(struct local_answer){.status = 500,
                                        .content_type = LOCAL_JSON_10,
                                        .body = {body, sizeof(body) - 1},
                                        .headers = &crc,
                                        .n_headers = 1});
}

/* ---- requests ---- */

static bool has_type(const kp_server_request *request, const char *type)
{
    kp_slice given = local_header(request, "content-type");

    return kpw_slice_starts(kpw_slice(given.ptr, given.len), type);
}

/* Old clients say application/json and want to hear it. */
static const char *answer_type(const kp_server_request *request)
{
    return has_type(request, "application/json") ? "application/json" : LOCAL_JSON_10;
}

/* What is no call at all: a look at the service's health, another protocol, too much. True: it was
 * answered. */
static bool answer_others(struct local *local, kp_exchange *x, const kp_server_request *request)
{
    kp_slice type = local_header(request, "content-type");
    bool is_get = kpw_slice_is(kpw_slice(request->method.ptr, request->method.len), "GET");
    bool is_post = kpw_slice_is(kpw_slice(request->method.ptr, request->method.len), "POST");
    char text[80];

    if (is_get && request->path.len == 1) {
        snprintf(text, sizeof(text), "healthy: dynamodb.%s.amazonaws.com ", local->region);
        answer_text(local, x, 200, NULL, text);
    } else if (!is_post || (type.len && !has_type(request, "application/json") &&
                            !has_type(request, LOCAL_JSON_10))) {
        answer_text(local, x, 404, NULL, "<UnknownOperationException/>\n");
    } else if (request->body.len > REQUEST_MAX) {
        answer_text(local, x, 413, NULL, "");
    } else {
        return false;
    }
    return true;
}

struct entry_fault {
    struct local *local;
    const kp_exchange *x;
};

static bool fails_entry(void *arg)
{
    struct entry_fault *fault = arg;

    return local_fault_entry(fault->local, fault->x);
}

static bool run(struct local *local, const char *operation, struct ddb_call *call)
{
    struct ddb_service *service = local->state[LOCAL_DYNAMODB];
    const char *endpoint = strstr(local->url, "://");
    bool ok;

    call->store = &service->store;
    call->scope = service->scope;
    call->endpoint = endpoint ? endpoint + 3 : local->url;
    call->place =
        (struct ddb_place){local->region, local->account, (double)local_now_ms(local) / 1000,
                           (double)local->config->transition_ms / 1000};
    commit_begin(&service->commit);
    ok = dynamodb_run(call, operation);
    commit_end(&service->commit);
    if (ok && strcmp(operation, "UpdateTimeToLive") == 0)
        set_sweeper(service);
    return ok;
}

static void serve(struct local *local, kp_exchange *x, const kp_server_request *request,
                  const struct local_target *target)
{
    const char *type = answer_type(request);
    struct ddb_error err = {0};
    struct entry_fault fault = {local, x};
    struct ddb_call call = {.err = &err, .skips_entry = fails_entry, .arg = &fault};

    if (answer_others(local, x, request))
        return;
    call.in = json_loadb(request->body.len ? request->body.ptr : "", request->body.len,
                         JSON_ALLOW_NUL, NULL);
    call.out = json_object();
    if (!json_is_object(call.in)) {
        ddb_refuse(&err, "SerializationException", "%s", "");
        answer_error(local, x, type, &err);
    } else if (!run(local, target->operation, &call)) {
        answer_error(local, x, type, &err);
    } else if (call.is_silent) {
        answer_text(local, x, 200, type, "");
    } else {
        answer(local, x, 200, type, call.out);
    }
    ddb_error_fini(&err);
    json_decref(call.out);
    json_decref(call.in);
}

/* What a fault that throttles says. */
static const struct local_throttle throttles[] = {
    {"GetItem PutItem UpdateItem DeleteItem Query Scan BatchGetItem BatchWriteItem "
     "TransactGetItems TransactWriteItems",
     400, "ProvisionedThroughputExceededException", NULL,
     "The level of configured provisioned throughput for the table was exceeded. Consider "
     "increasing your provisioning level with the UpdateTable API."},
    {NULL, 400, "ThrottlingException", NULL, "Rate of requests exceeds the allowed throughput."},
};

const struct local_row local_dynamodb = {
    .name = "dynamodb",
    .label = "DynamoDB",
    .targets = "DynamoDB_20120810 DynamoDBStreams_20120810",
    .prefix = "com.amazonaws.dynamodb.v20120810#",
    .form = LOCAL_FORM_JSON_10,
    .open = open_service,
    .serve = serve,
    .close = close_service,
    .report = dynamodb_report,
    .throttles = throttles,
};
