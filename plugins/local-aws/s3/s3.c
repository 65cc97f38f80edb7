/* s3.c - S3 over HTTP: runs a call, in one step or three, and sends its answer.
 *
 * A part of a file goes out by the server itself, which reads it on the pool piece by piece: no
 * answer is ever in memory as a whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/local-aws/local.h"
#include "plugins/local-aws/s3/call.h"
#include "plugins/local-aws/s3/report.h"
#include "sdk/wire/base64.h"

struct s3_service {
    struct s3_store store;
};

/* One request until it is answered. */
struct job {
    struct local *local;
    kp_exchange *exchange;
    struct s3_call call;
    char region[40];
    kp_server_request request; /* the server keeps the bytes of it, but neither this nor the next */
    kp_http_header headers[];
};

static bool open_service(struct local *local, char *why, size_t cap)
{
    struct s3_service *service = calloc(1, sizeof(*service));
    char path[4096];

    if (!service) {
        snprintf(why, cap, "out of memory");
        return false;
    }
    local->state[LOCAL_S3] = service;
    service->store.root = -1;
    if (snprintf(path, sizeof(path), "%s/s3", local->dir) >= (int)sizeof(path)) {
        snprintf(why, cap, "the path of the data folder is too long");
        return false;
    }
    if (!s3_store_open(&service->store, local->db, path, why, cap))
        return false;
    service->store.sync = local->durability == LOCAL_FSYNC;
    return true;
}

static void close_service(struct local *local)
{
    struct s3_service *service = local->state[LOCAL_S3];

    if (!service)
        return;
    s3_store_close(&service->store);
    free(service);
    local->state[LOCAL_S3] = NULL;
}

/* ---- the answer ---- */

static void send_answer(struct local *local, kp_exchange *x, struct s3_call *call)
{
    kp_http_header headers[S3_HEADERS_MAX + 2];
    kp_slice body;
    size_t n;

    if (call->body.failed)
        s3_trouble(call);
    n = call->n_headers;
    memcpy(headers, call->headers, n * sizeof(headers[0]));
    headers[n++] =
        (kp_http_header){{"x-amz-request-id", 16}, {call->request_id, strlen(call->request_id)}};
    headers[n++] = (kp_http_header){{"x-amz-id-2", 10}, {call->id2, strlen(call->id2)}};
    if (call->file >= 0) {
        kp_server_file file = {.size = sizeof(file),
                               .fd = call->file,
                               .offset = call->file_from,
                               .len = call->file_len};

        call->file = -1; /* moved */
        local_respond_file(local, x, call->status,
                           &(struct local_body){headers, n, {NULL, 0}, NULL}, &file);
        return;
    }
    body = (kp_slice){call->body.len ? call->body.ptr : "", call->body.len};
    local_respond(local, x, call->status, &(struct local_body){headers, n, body, NULL});
}

static void end_job(struct job *job)
{
    send_answer(job->local, job->exchange, &job->call);
    s3_call_fini(&job->call);
    free(job);
}

static void run_work(void *arg)
{
    struct job *job = arg;

    job->call.work(&job->call);
}

static void run_finish(kp_node *node, void *arg)
{
    struct job *job = arg;

    (void)node;
    job->call.finish(&job->call);
    end_job(job);
}

static void out_of_memory(struct local *local, kp_exchange *x)
{
    static const char body[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SlowDown"
                               "</Code><Message>Please reduce your request rate.</Message></Error>";

    local_answer(local, x,
                 &(struct local_answer){.status = 503,
                                        .content_type = "application/xml",
                                        .body = {body, sizeof(body) - 1}});
}

static void prepare(struct local *local, struct s3_call *call, const kp_server_request *request)
{
    struct s3_service *service = local->state[LOCAL_S3];
    uint64_t noise[6];

    s3_call_init(call, &service->store, request);
    call->local = local;
    call->account = local->account;
    call->now_ms = local_now_ms(local);
    snprintf(call->request_id, sizeof(call->request_id), "%016llX",
             (unsigned long long)kpw_random_next(&local->random));
    for (size_t i = 0; i < 6; i++)
        noise[i] = kpw_random_next(&local->random);
    call->id2[kpw_base64_encode(noise, sizeof(noise), call->id2)] = '\0';
}

/* The chunks of a body are signed like its headers: from those on. */
static bool prepare_chunks(struct local *local, struct s3_call *call)
{
    if (!local->verify_signatures ||
        !kpw_slice_starts(s3_header(call, "x-amz-content-sha256"), KPW_SIGV4_STREAMING))
        return true;
    call->proves_chunks = auth_chunks(local, call->request, &call->chunks);
    if (!call->proves_chunks)
        s3_refuse(call, "AccessDenied", "Access Denied", NULL);
    return call->proves_chunks;
}

static void serve(struct local *local, kp_exchange *x, const kp_server_request *request,
                  const struct local_target *target)
{
    struct job *job = calloc(1, sizeof(*job) + request->n_headers * sizeof(job->headers[0]));

    if (!job) {
        out_of_memory(local, x);
        return;
    }
    job->local = local;
    job->exchange = x;
    job->request = *request;
    job->request.headers = job->headers;
    memcpy(job->headers, request->headers, request->n_headers * sizeof(job->headers[0]));
    prepare(local, &job->call, &job->request);
    job->call.exchange = x;
    snprintf(job->region, sizeof(job->region), "%.*s",
             (int)(target->region.len < 30 ? target->region.len : 30),
             target->region.len > 0 ? target->region.ptr : "");
    job->call.region = job->region[0] ? job->region : local->region;
    if (prepare_chunks(local, &job->call))
        s3_route(&job->call);
    if (job->call.work)
        kp->work(local->node, run_work, run_finish, job);
    else
        end_job(job);
}

static const struct local_throttle throttles[] = {
    {NULL, 503, "SlowDown", NULL, "Please reduce your request rate."},
};

const struct local_row local_s3 = {
    .name = "s3",
    .label = "S3",
    .form = LOCAL_FORM_S3,
    .open = open_service,
    .serve = serve,
    .close = close_service,
    .classify = s3_classify,
    .report = s3_report,
    .throttles = throttles,
};
