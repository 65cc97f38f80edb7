/* sqs-dlq.c - sink "sqs-dlq": what failed, as messages in an SQS queue.
 *
 * As on_failure sink it sends one message for the records of a batch that failed together, in the
 * form Lambda uses for a failed Kinesis batch; as a plain sink each record's payload is a message.
 * Messages go out by SendMessageBatch, at most ten and `max_message` bytes together; entries the
 * queue could not take are sent again with back-off, and go back to the host as retry when that
 * does not help.
 *
 * The MD5 that SQS answers is compared with the body: a message that arrived damaged is sent again.
 *
 * Owned by: the sink node.   Threads: its worker.
 */
#include "plugins/sqs-dlq/message.h"
#include "plugins/sqs-dlq/outcome.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/json.h"
#include "sdk/wire/random.h"

#include <kpipe/ext/aws.h>
#include <kpipe/ext/timer.h>
#include <kpipe/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX   10
#define IN_FLIGHT_MAX 2
#define TRIES_MAX     8
#define RETRY_BASE_MS 100
#define RETRY_MAX_MS  5000

struct dlq_config {
    const kp_resource *queue;
    bool payload;
    int64_t max_message;
};

/* A batch in hand: given back when all its messages have ended. */
struct held {
    kp_batch *b;   /* [owned] */
    uint32_t *at;  /* its records, those that failed together side by side [owned] */
    uint32_t open; /* messages */
};

struct message {
    struct held *held; /* [borrowed] */
    uint32_t from, n;  /* of held->at */
    char *body;        /* [owned] */
    size_t len;
    unsigned tries;
    int64_t not_before;
    struct message *next;
};

struct request {
    struct dlq *dlq; /* [borrowed] */
    kp_aws_call *call;
    bool is_busy; /* being filled, under way, or its answer is being read */
    struct kpw_buf body;
    struct message *messages[ENTRIES_MAX]; /* [owned] while under way */
    uint32_t count;
};

struct dlq {
    const struct dlq_config *config;
    kp_node *node;
    const kp_info *info;
    const kp_aws_ext *aws;
    const kp_timer_ext *timers;
    kp_timer *timer;     /* [owned by node] */
    kp_aws_call *lookup; /* of the queue's URL */
    struct kpw_buf lookup_body;
    char *url; /* [owned] NULL until it is known */
    char account[16];
    struct message *first, **last; /* to send, in order [owned] */
    struct request requests[IN_FLIGHT_MAX];
    unsigned lookup_tries;
    struct kpw_random random;
    bool failed, has_complained;
};

static void send_all(struct dlq *dlq);

static int64_t backoff_ms(struct dlq *dlq, unsigned tries)
{
    int64_t most = (int64_t)RETRY_BASE_MS << (tries < 10 ? tries : 10);

    most = most < RETRY_MAX_MS ? most : RETRY_MAX_MS;
    return RETRY_BASE_MS / 2 + (int64_t)kpw_random_below(&dlq->random, (uint64_t)most);
}

/* ---- failing -------------------------------------------------------------------------------- */

static kp_status fail_call(struct dlq *dlq, const char *action, const kp_aws_response *response)
{
    const char *queue = dlq->config->queue->name, *region = dlq->aws->region(dlq->node);
    const char *error = response->error, *message = response->message ? response->message : "";

    dlq->failed = true;
    if (outcome_is_missing(error))
        return kp->fail(dlq->node, "queue %s does not exist in %s (sqs:%s)", queue, region, action);
    if (response->status == 403 || strstr(error, "AccessDenied"))
        return kp->fail(dlq->node, "not allowed: sqs:%s on queue %s in %s (%s: %s)", action, queue,
                        region, error, message);
    return kp->fail(dlq->node, "sqs:%s on queue %s in %s failed: %s%s%s", action, queue, region,
                    error, *message ? ": " : "", message);
}

static void complain(struct dlq *dlq, const char *error, const char *message)
{
    kp->count(dlq->node, "send_errors", 1);
    if (!dlq->has_complained)
        kp->log(dlq->node, KP_LOG_WARN, "message.failed", "queue=%s error=%s message=%s",
                dlq->config->queue->name, error, message ? message : "");
    dlq->has_complained = true;
}

/* ---- the end of messages -------------------------------------------------------------------- */

static void end_message(struct dlq *dlq, struct message *m)
{
    struct held *held = m->held;

    free(m->body);
    free(m);
    if (--held->open)
        return;
    kp->done(dlq->node, held->b);
    free(held->at);
    free(held);
}

static void deliver(struct dlq *dlq, struct message *m, const kp_slice *message_id)
{
    kp_receipt receipt = {.size = sizeof(receipt), .status = 200, .sequence = *message_id};

    for (uint32_t i = 0; i < m->n; i++)
        kp->deliver(m->held->b, m->held->at[m->from + i], &receipt);
    end_message(dlq, m);
}

static void reject(struct dlq *dlq, struct message *m, const char *reason)
{
    for (uint32_t i = 0; i < m->n; i++)
        kp->reject(m->held->b, m->held->at[m->from + i], "%s", reason);
    end_message(dlq, m);
}

/* Behind the others, after a pause; or back to the host when it was tried often enough. */
static void send_again(struct dlq *dlq, struct message *m, const char *reason)
{
    if (++m->tries >= TRIES_MAX) {
        for (uint32_t i = 0; i < m->n; i++)
            kp->retry(m->held->b, m->held->at[m->from + i], 0, "%s", reason);
        end_message(dlq, m);
        return;
    }
    m->not_before = kp->now_ms() + backoff_ms(dlq, m->tries);
    m->next = NULL;
    *dlq->last = m;
    dlq->last = &m->next;
}

/* ---- answers -------------------------------------------------------------------------------- */

static bool md5_is(const struct message *m, kp_slice hex)
{
    uint8_t sum[KPW_MD5_SIZE];
    char text[2 * KPW_MD5_SIZE];

    kpw_md5(m->body, m->len, sum);
    kpw_hex(sum, sizeof(sum), text);
    return hex.len == sizeof(text) && memcmp(hex.ptr, text, sizeof(text)) == 0;
}

static void entry_answered(void *arg, const struct outcome *o)
{
    struct request *request = arg;
    struct dlq *dlq = request->dlq;
    struct message *m;
    char reason[300];

    if (o->id >= request->count || !request->messages[o->id])
        return; /* an entry we did not send, or one named twice */
    m = request->messages[o->id];
    request->messages[o->id] = NULL; /* moved */
    if (o->is_sent && md5_is(m, o->md5)) {
        dlq->has_complained = false;
        deliver(dlq, m, &o->message_id);
        return;
    }
    snprintf(reason, sizeof(reason), "%.*s: %.*s", o->is_sent ? 11 : (int)o->code.len,
             o->is_sent ? "MD5Mismatch" : o->code.ptr, (int)o->message.len, o->message.ptr);
    complain(dlq, reason, NULL);
    if (!o->is_sent && o->is_own_fault)
        reject(dlq, m, reason);
    else
        send_again(dlq, m, reason);
}

/* Giving a batch back may bring the next one at once, which must not get this request: it is busy
 * until the last of its messages is dealt with. */
static void batch_answered(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct request *request = arg;
    struct dlq *dlq = request->dlq;
    const char *reason = response->error;
    bool fatal = reason && !response->retryable && !response->throttled;

    (void)node;
    request->call = NULL;
    if (!reason && !outcome_parse(response->body, entry_answered, request))
        reason = "MalformedAnswer";
    if (reason)
        complain(dlq, reason, response->message);
    for (uint32_t i = 0; i < request->count; i++)
        if (request->messages[i]) /* not named in the answer, or no answer at all */
            send_again(dlq, request->messages[i], reason ? reason : "the answer leaves it out");
    request->count = 0;
    kpw_buf_fini(&request->body);
    request->is_busy = false;
    if (fatal)
        (void)fail_call(dlq, "SendMessage", response);
    send_all(dlq);
}

/* ---- the queue's URL ------------------------------------------------------------------------ */

static void look_up(struct dlq *dlq);

/* The account stands in the URL: https://sqs.eu-west-1.amazonaws.com/123456789012/name */
static void take_account(struct dlq *dlq)
{
    const char *name = strrchr(dlq->url, '/'), *at = name;

    snprintf(dlq->account, sizeof(dlq->account), "000000000000");
    while (at && at > dlq->url && at[-1] != '/')
        at--;
    if (at && name - at == 12 && strspn(at, "0123456789") == 12)
        memcpy(dlq->account, at, 12);
}

static void looked_up(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct dlq *dlq = arg;

    dlq->lookup = NULL;
    if (response->error && !response->retryable && !response->throttled) {
        (void)fail_call(dlq, "GetQueueUrl", response);
        return;
    }
    if (!response->error)
        dlq->url = outcome_queue_url(response->body);
    if (!dlq->url) {
        complain(dlq, response->error ? response->error : "MalformedAnswer", response->message);
        dlq->timers->start(dlq->timer, backoff_ms(dlq, dlq->lookup_tries++), 0);
        return;
    }
    (void)node;
    dlq->has_complained = false;
    take_account(dlq);
    send_all(dlq);
}

static void look_up(struct dlq *dlq)
{
    kp_aws_request request = {
        .size = sizeof(request),
        .service = "sqs",
        .target = "AmazonSQS.GetQueueUrl",
        .content_type = "application/x-amz-json-1.0",
        .attempts = 1,
    };

    kpw_buf_fini(&dlq->lookup_body);
    kpw_buf_puts(&dlq->lookup_body, "{");
    kpw_json_put_member_cstr(&dlq->lookup_body, "QueueName", dlq->config->queue->name);
    kpw_buf_puts(&dlq->lookup_body, "}");
    if (dlq->lookup_body.failed) {
        dlq->timers->start(dlq->timer, RETRY_BASE_MS, 0);
        return;
    }
    request.body = (kp_slice){dlq->lookup_body.ptr, dlq->lookup_body.len};
    dlq->lookup = dlq->aws->call(dlq->node, &request, looked_up, dlq);
}

/* ---- sending -------------------------------------------------------------------------------- */

/* The only stream of the pipeline, or "". */
static const char *only_stream(const kp_info *info)
{
    const char *name = "";

    for (size_t i = 0; i < info->n_resources; i++) {
        if (strcmp(info->resources[i]->kind, "stream") != 0)
            continue;
        if (*name)
            return "";
        name = info->resources[i]->name;
    }
    return name;
}

/* Makes the text of a message. It has to wait for the queue's URL, which names the account.
 * False: out of memory. */
static bool make_body(struct dlq *dlq, struct message *m)
{
    const kp_batch *b = m->held->b;
    const uint32_t *at = m->held->at + m->from;
    const kp_record *r = kp_at(b, at[0]);
    char id[KPW_UUID_SIZE];
    struct message_frame frame = {
        .pipeline = dlq->info->pipeline,
        .flow = dlq->info->flow,
        .region = dlq->aws->region(dlq->node),
        .account = dlq->account,
        .stream = only_stream(dlq->info),
        .now_ms = kp->wall_ms(),
        .request_id = id,
        .payload = dlq->config->payload,
        .max_bytes = (size_t)dlq->config->max_message,
    };

    if (m->body)
        return true;
    kpw_random_uuid(&dlq->random, id);
    if (r->failure)
        return message_of_failure(&frame, b, at, m->n, &m->body, &m->len);
    m->body = malloc(r->data_len + 1);
    if (!m->body)
        return false;
    memcpy(m->body, r->data, r->data_len);
    m->len = r->data_len;
    return true;
}

/* Takes the messages of the next request off the queue. */
static void take(struct dlq *dlq, struct request *request)
{
    struct message **at = &dlq->first;
    int64_t now = kp->now_ms();
    size_t bytes = 0;

    while (*at && request->count < ENTRIES_MAX) {
        struct message *m = *at;

        if (m->not_before > now || !make_body(dlq, m)) {
            if (m->not_before <= now)
                m->not_before = now + RETRY_BASE_MS;
            at = &m->next;
            continue;
        }
        if (request->count && bytes + m->len > (size_t)dlq->config->max_message)
            break;
        bytes += m->len;
        request->messages[request->count++] = m;
        *at = m->next;
        if (!*at)
            dlq->last = at;
    }
}

static bool make_request(struct dlq *dlq, struct request *request)
{
    struct kpw_buf *body = &request->body;

    kpw_buf_puts(body, "{\"QueueUrl\":");
    kpw_json_put_cstr(body, dlq->url);
    kpw_buf_puts(body, ",\"Entries\":[");
    for (uint32_t i = 0; i < request->count; i++) {
        kpw_buf_appendf(body, "%s{\"Id\":\"%u\",\"MessageBody\":", i ? "," : "", i);
        kpw_json_put_string(body, request->messages[i]->body, request->messages[i]->len);
        kpw_buf_putc(body, '}');
    }
    kpw_buf_puts(body, "]}");
    return !body->failed;
}

static void send_request(struct dlq *dlq, struct request *request)
{
    kp_aws_request call = {
        .size = sizeof(call),
        .service = "sqs",
        .target = "AmazonSQS.SendMessageBatch",
        .content_type = "application/x-amz-json-1.0",
        .attempts = 1,
    };

    if (!make_request(dlq, request)) {
        for (uint32_t i = 0; i < request->count; i++)
            send_again(dlq, request->messages[i], "out of memory");
        request->count = 0;
        kpw_buf_fini(&request->body);
        request->is_busy = false;
        return;
    }
    call.body = (kp_slice){request->body.ptr, request->body.len};
    request->call = dlq->aws->call(dlq->node, &call, batch_answered, request);
}

static void plan_timer(struct dlq *dlq)
{
    int64_t at = 0;

    for (const struct message *m = dlq->first; m; m = m->next)
        if (!at || m->not_before < at)
            at = m->not_before;
    if (at > kp->now_ms())
        dlq->timers->start(dlq->timer, at - kp->now_ms(), 0);
}

static void send_all(struct dlq *dlq)
{
    if (dlq->failed || dlq->lookup || !dlq->first)
        return;
    if (!dlq->url) {
        if (!dlq->timers->active(dlq->timer))
            look_up(dlq);
        return;
    }
    for (int i = 0; i < IN_FLIGHT_MAX && dlq->first; i++) {
        struct request *request = &dlq->requests[i];

        if (request->is_busy)
            continue;
        take(dlq, request);
        request->is_busy = request->count > 0;
        if (request->is_busy)
            send_request(dlq, request);
    }
    plan_timer(dlq);
}

static void timer_rang(kp_node *node, void *arg)
{
    (void)node;
    send_all(arg);
}

/* ---- batches -------------------------------------------------------------------------------- */

/* False: out of memory. */
static bool add_message(struct dlq *dlq, struct held *held, uint32_t from, uint32_t n)
{
    struct message *m = calloc(1, sizeof(*m));

    if (!m)
        return false;
    m->held = held;
    m->from = from;
    m->n = n;
    held->open++;
    *dlq->last = m;
    dlq->last = &m->next;
    return true;
}

static bool is_same(const kp_record *a, const kp_record *b)
{
    return a->failure && b->failure && a->failure->batch == b->failure->batch;
}

static int by_failure(const void *x, const void *y, void *arg)
{
    const kp_batch *b = arg;
    uint32_t i = *(const uint32_t *)x, k = *(const uint32_t *)y;
    const kp_failure *f = kp_at(b, i)->failure, *g = kp_at(b, k)->failure;
    uint64_t m = f ? f->batch : 0, n = g ? g->batch : 0;

    if (m != n)
        return m < n ? -1 : 1;
    return i < k ? -1 : i > k;
}

/* Orders the records so that those that failed together are neighbours. */
static void group(kp_batch *b, uint32_t *at)
{
    for (uint32_t i = 0; i < b->count; i++)
        at[i] = i;
    if (b->count > 1)
        qsort_r(at, b->count, sizeof(*at), by_failure, b);
}

static void refuse_batch(kp_node *node, kp_batch *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        kp->retry(b, i, RETRY_BASE_MS, "out of memory");
    kp->done(node, b);
}

/* A payload that SQS does not take as it is can never be sent. */
static bool is_sendable(struct dlq *dlq, kp_batch *b, uint32_t i)
{
    const kp_record *r = kp_at(b, i);

    if (r->failure)
        return true;
    if (r->data_len == 0 || r->data_len > (uint64_t)dlq->config->max_message)
        kp->reject(b, i, "a message has 1 to %lld bytes, the record has %u",
                   (long long)dlq->config->max_message, r->data_len);
    else if (!message_is_text(r->data, r->data_len))
        kp->reject(b, i, "the payload is not the kind of text that SQS takes");
    else
        return true;
    return false;
}

static kp_status dlq_process(kp_node *node, void *state, kp_batch *b)
{
    struct dlq *dlq = state;
    struct held *held = calloc(1, sizeof(*held));
    uint32_t *at = malloc(b->count * sizeof(*at) + 1);
    uint32_t from, to;

    if (!held || !at) {
        free(held);
        free(at);
        refuse_batch(node, b);
        return KP_OK;
    }
    *held = (struct held){.b = b, .at = at, .open = 1};
    group(b, at);
    for (from = 0; from < b->count; from = to) {
        for (to = from + 1; to < b->count && is_same(kp_at(b, at[from]), kp_at(b, at[to]));)
            to++;
        if (!is_sendable(dlq, b, at[from]) || add_message(dlq, held, from, to - from))
            continue;
        for (uint32_t i = from; i < to; i++)
            kp->retry(b, at[i], RETRY_BASE_MS, "out of memory");
    }
    if (--held->open == 0) {
        kp->done(node, b);
        free(at);
        free(held);
    }
    send_all(dlq);
    return KP_OK;
}

/* ---- the element ---------------------------------------------------------------------------- */

static kp_status dlq_validate(kp_node *node, const void *config)
{
    const char *name = ((const struct dlq_config *)config)->queue->name;
    size_t n = strlen(name);

    if (n > 5 && strcmp(name + n - 5, ".fifo") == 0)
        return kp->fail(node, "queue %s is a FIFO queue; sqs-dlq needs a standard queue", name);
    return KP_OK;
}

static kp_status dlq_open(kp_node *node, const void *config, void *state)
{
    struct dlq *dlq = state;

    dlq->config = config;
    dlq->node = node;
    dlq->info = kp->info(node);
    dlq->aws = kp->extension("aws/1");
    dlq->timers = kp->extension("timer/1");
    dlq->last = &dlq->first;
    kpw_random_init(&dlq->random);
    for (int i = 0; i < IN_FLIGHT_MAX; i++)
        dlq->requests[i].dlq = dlq;
    if (!dlq->aws || !dlq->timers)
        return kp->fail(node, "this host has no aws/1 and timer/1");
    dlq->timer = dlq->timers->create(node, timer_rang, dlq);
    return dlq->timer ? KP_OK : kp->fail(node, "out of memory");
}

/* Frees a message that has not ended; its batch goes back as retry with the last of them. */
static void drop_message(struct dlq *dlq, struct message *m)
{
    struct held *held = m->held;

    free(m->body);
    free(m);
    if (--held->open)
        return;
    kp->release(dlq->node, held->b);
    free(held->at);
    free(held);
}

static void dlq_close(kp_node *node, void *state)
{
    struct dlq *dlq = state;

    (void)node;
    if (dlq->lookup)
        dlq->aws->cancel(dlq->lookup);
    for (int i = 0; i < IN_FLIGHT_MAX; i++) {
        struct request *request = &dlq->requests[i];

        if (request->call)
            dlq->aws->cancel(request->call);
        for (uint32_t k = 0; k < request->count; k++)
            if (request->messages[k])
                drop_message(dlq, request->messages[k]);
        kpw_buf_fini(&request->body);
        *request = (struct request){0};
    }
    while (dlq->first) {
        struct message *next = dlq->first->next;

        drop_message(dlq, dlq->first);
        dlq->first = next;
    }
    if (dlq->timer)
        dlq->timers->destroy(dlq->timer);
    dlq->timer = NULL;
    kpw_buf_fini(&dlq->lookup_body);
    free(dlq->url);
    dlq->url = NULL;
}

static const kp_option dlq_options[] = {
    {"queue", KP_T_RESOURCE, offsetof(struct dlq_config, queue), KP_REQUIRED, "queue",
     "the standard queue to send to", NULL},
    {"payload", KP_T_BOOL, offsetof(struct dlq_config, payload), "true", NULL,
     "add the original records under the member kpipe", NULL},
    {"max_message", KP_T_BYTES, offsetof(struct dlq_config, max_message), "256KiB", "4KiB..1MiB",
     "longest message, and longest sum of one request", NULL},
    {0},
};

static const kp_element dlq_element = {
    .size = sizeof(kp_element),
    .kind = KP_SINK,
    .flags = KP_TAKES_FAILURES,
    .name = "sqs-dlq",
    .help = "failed records as messages of an SQS queue, in Lambda's form",
    .options = dlq_options,
    .config_size = sizeof(struct dlq_config),
    .state_size = sizeof(struct dlq),
    .validate = dlq_validate,
    .open = dlq_open,
    .process = dlq_process,
    .close = dlq_close,
};

KP_PLUGIN("sqs-dlq", KPIPE_VERSION, "Apache-2.0", &dlq_element)
