/* s3.c - S3 over HTTP: runs a call and sends its answer, a text or a part of a file.
 *
 * A part of a file is read into a slab that the connection gives up when it has
 * been sent; a large part is read on the pool, so that the loop goes on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/local-aws/local.h"
#include "plugins/local-aws/s3/call.h"

enum { READ_AT_ONCE = 512 * 1024 }; /* bytes; more is read on the pool */

struct s3_service {
    struct s3_store store;
};

/* One request until it is answered. */
struct job {
    struct local *local;
    kp_exchange *exchange;
    struct s3_call call;
    char region[40];
    kp_slab *slab; /* [owned] what is read of the file */
    char *data;    /* slab's memory */
    bool is_read;
};

bool s3_service_open(struct local *local, char *why, size_t cap)
{
    struct s3_service *service = calloc(1, sizeof(*service));
    char path[4096];

    if (!service) {
        snprintf(why, cap, "out of memory");
        return false;
    }
    local->s3 = service;
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

void s3_service_close(struct local *local)
{
    if (!local->s3)
        return;
    s3_store_close(&local->s3->store);
    free(local->s3);
    local->s3 = NULL;
}

/* ---- the answer ---- */

static void job_free(struct job *job)
{
    if (job->slab)
        kp->slab_unref(job->slab);
    s3_call_fini(&job->call);
    free(job);
}

static void send_body(struct job *job, kp_slice body)
{
    struct s3_call *call = &job->call;
    kp_http_header headers[S3_HEADERS_MAX + 2];
    char id2[S3_SUM_TEXT_MAX];
    size_t n = call->n_headers;

    s3_base64((const uint8_t *)call->request_id, strlen(call->request_id), id2);
    memcpy(headers, call->headers, n * sizeof(headers[0]));
    headers[n++] =
        (kp_http_header){{"x-amz-request-id", 16}, {call->request_id, strlen(call->request_id)}};
    headers[n++] = (kp_http_header){{"x-amz-id-2", 10}, {id2, strlen(id2)}};
    job->local->server_ext->respond(job->exchange, call->status, headers, n, body, job->slab);
    job->slab = NULL; /* consumed */
    job_free(job);
}

static void send_text(struct job *job)
{
    const struct kpw_buf *body = &job->call.body;

    send_body(job, (kp_slice){body->len ? body->ptr : "", body->len});
}

static void slow_down(struct job *job)
{
    s3_refuse(&job->call, "SlowDown", "Please reduce your request rate.", NULL);
    send_text(job);
}

static void read_file(void *arg)
{
    struct job *job = arg;
    const struct s3_call *call = &job->call;
    uint64_t at = 0;

    while (at < call->file_len) {
        ssize_t n =
            pread(call->file, job->data + at, call->file_len - at, (off_t)(call->file_from + at));

        if (n <= 0)
            return; /* cut off behind our back, or a broken disk */
        at += (uint64_t)n;
    }
    job->is_read = true;
}

static void send_file(kp_node *node, void *arg)
{
    struct job *job = arg;

    (void)node;
    if (job->is_read) {
        send_body(job, (kp_slice){job->data, job->call.file_len});
        return;
    }
    kp->slab_unref(job->slab);
    job->slab = NULL;
    s3_trouble(&job->call);
    send_text(job);
}

static void answer(struct job *job)
{
    struct s3_call *call = &job->call;

    if (call->file < 0) {
        send_text(job);
        return;
    }
    /* The answer to HEAD tells the length and sends nothing: no memory for it either. */
    job->slab = kp->slab_new(job->local->node, call->is_head ? 1 : call->file_len);
    job->data = job->slab ? kp->slab_data(job->slab) : NULL;
    if (!job->slab) {
        slow_down(job);
    } else if (call->is_head) {
        send_body(job, (kp_slice){job->data, call->file_len});
    } else if (call->file_len > READ_AT_ONCE) {
        kp->work(job->local->node, read_file, send_file, job);
    } else {
        read_file(job);
        send_file(job->local->node, job);
    }
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

void s3_service_serve(struct local *local, kp_exchange *x, const kp_server_request *request,
                      const struct local_target *target)
{
    struct job *job = calloc(1, sizeof(*job));

    if (!job) {
        out_of_memory(local, x);
        return;
    }
    job->local = local;
    job->exchange = x;
    s3_call_init(&job->call, &local->s3->store, request);
    snprintf(job->region, sizeof(job->region), "%.*s",
             (int)(target->region.len < 30 ? target->region.len : 30),
             target->region.len > 0 ? target->region.ptr : "");
    job->call.region = job->region[0] ? job->region : local->region;
    job->call.now_ms = kp->wall_ms();
    snprintf(job->call.request_id, sizeof(job->call.request_id), "%016llX",
             (unsigned long long)kpw_random_next(&local->random));
    s3_route(&job->call);
    answer(job);
}
