/* dynamodb.c - DynamoDB over HTTP: JSON in, JSON out, and the checksum its clients verify. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/dynamodb/call.h"
#include "plugins/local-aws/local.h"
#include "sdk/wire/hash.h"

enum { REQUEST_ID_LENGTH = 52 };

struct ddb_service {
    struct ddb_store store;
};

bool ddb_service_open(struct local *local, char *why, size_t cap)
{
    struct ddb_service *service = calloc(1, sizeof(*service));

    if (!service) {
        snprintf(why, cap, "out of memory");
        return false;
    }
    local->ddb = service;
    if (ddb_store_open(&service->store, local->db))
        return true;
    snprintf(why, cap, "cannot make the tables of DynamoDB: %s", sqlite3_errmsg(local->db));
    return false;
}

void ddb_service_close(struct local *local)
{
    if (!local->ddb)
        return;
    ddb_store_close(&local->ddb->store);
    free(local->ddb);
    local->ddb = NULL;
}

/* ---- answers ---- */

static void make_request_id(struct local *local, char out[REQUEST_ID_LENGTH + 1])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

    for (int i = 0; i < REQUEST_ID_LENGTH; i++)
        out[i] = letters[kpw_random_below(&local->random, sizeof(letters) - 1)];
    out[REQUEST_ID_LENGTH] = '\0';
}

static void answer(struct local *local, kp_exchange *x, int status, const char *type,
                   const json_t *document)
{
    char *text = json_dumps(document, JSON_COMPACT);
    const char *body = text ? text : "{}";
    char id[REQUEST_ID_LENGTH + 1], sum[16];
    kp_http_header crc = {{"x-amz-crc32", 11}, {sum, 0}};

    make_request_id(local, id);
    crc.value.len =
        (size_t)snprintf(sum, sizeof(sum), "%lu", (unsigned long)kpw_crc32(0, body, strlen(body)));
    local_answer(local, x,
                 &(struct local_answer){.status = text ? status : 500,
                                        .content_type = type,
                                        .body = {body, strlen(body)},
                                        .request_id = id,
                                        .headers = &crc,
                                        .n_headers = 1});
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
    if (err->text[0] != '\0')
        json_object_set_new(document, "message", json_string(err->text));
    if (err->item)
        json_object_set(document, "Item", err->item);
    if (err->reasons)
        json_object_set(document, "CancellationReasons", err->reasons);
    answer(local, x, strcmp(type, "InternalServerError") == 0 ? 500 : 400, content_type, document);
    json_decref(document);
}

/* ---- requests ---- */

/* Old clients say application/json and want to hear it. */
static const char *answer_type(const kp_server_request *request)
{
    kp_slice type = local_header(request, "content-type");

    return kpw_slice_starts(kpw_slice(type.ptr, type.len), "application/json") ? "application/json"
                                                                               : LOCAL_JSON_10;
}

static bool run(struct local *local, const struct local_target *target, json_t *in, json_t *out,
                struct ddb_error *err)
{
    char scope[80];
    struct ddb_call call = {.store = &local->ddb->store, .in = in, .out = out, .err = err};

    /* Whatever region a request is signed for: there is one, as for the other services. */
    snprintf(scope, sizeof(scope), "%s/%s", local->region, local->account);
    call.scope = scope;
    call.place = (struct ddb_place){local->region, local->account, (double)kp->wall_ms() / 1000};
    return dynamodb_run(&call, target->operation);
}

void ddb_service_serve(struct local *local, kp_exchange *x, const kp_server_request *request,
                       const struct local_target *target)
{
    const char *type = answer_type(request);
    json_t *in = json_loadb(request->body.len ? request->body.ptr : "", request->body.len,
                            JSON_ALLOW_NUL, NULL);
    json_t *out = json_object();
    struct ddb_error err = {0};

    if (!json_is_object(in)) {
        ddb_refuse(&err, "SerializationException", "%s", "");
        answer_error(local, x, type, &err);
    } else if (run(local, target, in, out, &err)) {
        answer(local, x, 200, type, out);
    } else {
        answer_error(local, x, type, &err);
    }
    ddb_error_fini(&err);
    json_decref(out);
    json_decref(in);
}
