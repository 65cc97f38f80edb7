/* aws_client.c - see aws_client.h.
 *
 * A call is in one of three lists: sent, waiting (for its time or for credentials), idle. One timer
 * rings for the earliest of the waiting ones; answers that are known without a request go through
 * it too, so that none comes from inside call(). Sending goes on inside the answer of the attempt
 * before. Retrying: the standard mode; beside it, whatever `attempts` says, one more attempt
 * after the credentials had expired and one after the clock was corrected, because such requests
 * were refused before they did anything.
 */
#include "core/aws/aws_client.h"

#include <stdlib.h>
#include <string.h>

#include "core/aws/aws_call.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/net/http_client.h"
#include "sdk/wire/time.h"

#define KEEP_IDLE   1024
#define MAX_SKEW_MS 240000 /* less is within every service's window */
#define NOT_YET     INT64_MAX

struct aws_client {
    struct http_client *http;  /* [borrowed] */
    struct aws_config *config; /* [borrowed] */
    uv_timer_t timer;
    struct aws_user user;
    int n_open;                   /* handles */
    struct aws_service *services; /* [owned] */
    struct kp_aws_call *sent, *waiting, *due, *idle;
    size_t n_idle;
    struct kpw_random random;
};

static void attempt(struct kp_aws_call *call);

/* ---- lists */

static void list_take(struct kp_aws_call *call)
{
    if (!call->list)
        return;
    if (call->prev)
        call->prev->next = call->next;
    else
        *call->list = call->next;
    if (call->next)
        call->next->prev = call->prev;
    call->list = NULL;
    call->prev = call->next = NULL;
}

static void list_put(struct kp_aws_call **list, struct kp_aws_call *call)
{
    list_take(call);
    call->list = list;
    call->next = *list;
    if (*list)
        (*list)->prev = call;
    *list = call;
}

static void call_free(struct kp_aws_call *call)
{
    list_take(call);
    aws_call_fini(call);
    free(call);
}

static void give_back(struct kp_aws_call *call)
{
    struct aws_client *client = call->client;

    call->state = AWS_CALL_FREE;
    if (client->n_idle >= KEEP_IDLE) {
        call_free(call);
        return;
    }
    list_put(&client->idle, call);
    client->n_idle++;
}

static struct kp_aws_call *call_take(struct aws_client *client)
{
    struct kp_aws_call *call = client->idle;

    if (call) {
        list_take(call);
        client->n_idle--;
    } else {
        call = mem_new(sizeof *call);
        call->client = client;
    }
    return call;
}

/* ---- waiting */

static void on_timer(uv_timer_t *timer);

static void set_timer(struct aws_client *client)
{
    int64_t first = NOT_YET, now = clock_mono_ms();

    for (const struct kp_aws_call *call = client->waiting; call; call = call->next)
        if (call->due_ms < first)
            first = call->due_ms;
    if (first == NOT_YET)
        uv_timer_stop(&client->timer);
    else
        uv_timer_start(&client->timer, on_timer, first > now ? (uint64_t)(first - now) : 0, 0);
}

static void wait_until(struct kp_aws_call *call, int64_t due_ms)
{
    call->state = AWS_CALL_WAITING;
    call->due_ms = due_ms;
    list_put(&call->client->waiting, call);
}

/* Hands the answer over from the timer. */
static void answer_later(struct kp_aws_call *call)
{
    call->is_answered = true;
    wait_until(call, clock_mono_ms());
    set_timer(call->client);
}

/* ---- answering */

static void answer(struct kp_aws_call *call, const kp_http_response *http)
{
    struct aws_answer *answer = &call->answer;
    kp_aws_response response = {.size = sizeof response, .message = ""};

    if (http) {
        response.status = http->status;
        response.body = http->body;
        response.http = http->status ? http : NULL;
    }
    if (answer->is_error) {
        response.error = answer->code;
        response.message = kpw_buf_cstr(&answer->message);
        response.retryable = answer->fault != AWS_FAULT_NONE;
        response.throttled = answer->fault == AWS_FAULT_THROTTLE;
        response.retry_after_ms = answer->retry_after_ms;
    }
    list_take(call);
    call->state = AWS_CALL_ANSWERING;
    call->fn(call->node, call->arg, &response);
    give_back(call);
}

/* Takes their clock from the answer. False: the request was not refused for its date. */
static bool correct_skew(struct kp_aws_call *call, const kp_http_response *response)
{
    struct aws_service *service = call->service;
    kp_slice date = kp_http_header_get(response, "date");
    int64_t their_s, away_ms;

    if (!kpw_http_date_parse(kpw_slice(date.ptr, date.len), &their_s))
        return false;
    away_ms = their_s * 1000 - clock_wall_ms();
    if (llabs(away_ms - call->skew_ms) < MAX_SKEW_MS)
        return false;
    if (llabs(away_ms - service->skew_ms) >= MAX_SKEW_MS) { /* else another call found out first */
        service->skew_ms = away_ms;
        log_warn("clock.corrected", "service=%s by_ms=%lld", service->name, (long long)away_ms);
    }
    return true;
}

/* True: the call goes on because the refusal can be mended. */
static bool mend(struct kp_aws_call *call, const kp_http_response *response)
{
    struct aws_client *client = call->client;

    if (call->answer.is_expired && !call->was_renewed) {
        call->was_renewed = true;
        if (call->identity == client->user.number) /* nobody has renewed them meanwhile */
            aws_user_refused(&client->user);
        attempt(call);
        return true;
    }
    if (call->answer.is_skewed && !call->was_skewed && correct_skew(call, response)) {
        call->was_skewed = true;
        attempt(call);
        return true;
    }
    return false;
}

/* True: the call waits for its next attempt. */
static bool retry(struct kp_aws_call *call)
{
    struct aws_client *client = call->client;
    struct aws_service *service = call->service;
    struct aws_retry_delay delay = {
        .mode = client->config->retry,
        .fault = call->answer.fault,
        .is_dynamodb = service->is_dynamodb,
        .retry = call->attempt,
        .hint_ms = call->answer.retry_after_ms,
    };
    int64_t wait_ms;

    if (!delay.fault || call->attempt >= call->max_attempts)
        return false;
    call->paid = aws_retry_take(&service->bucket, delay.mode, delay.fault);
    if (!call->paid)
        return false;
    delay.unit = kpw_random_unit(&client->random);
    wait_ms = aws_retry_delay_ms(&delay);
    log_debug("aws.retried", "service=%s error=%s attempt=%d wait_ms=%lld", service->name,
              call->answer.code, call->attempt, (long long)wait_ms);
    call->attempt++;
    wait_until(call, clock_mono_ms() + wait_ms);
    set_timer(client);
    return true;
}

static void on_http(kp_node *node, void *arg, const kp_http_response *response)
{
    struct kp_aws_call *call = arg;

    (void)node;
    call->http = NULL;
    aws_answer_read(&call->answer, response,
                    call->service->is_s3 && strcmp(call->request.method, "GET") != 0);
    if (!call->answer.is_error)
        aws_retry_refund(&call->service->bucket, call->paid);
    else if (mend(call, response) || retry(call))
        return;
    answer(call, response);
}

/* ---- sending */

static bool on_piece(kp_node *node, void *arg, kp_slice piece)
{
    struct kp_aws_call *call = arg;

    return call->request.piece(node, call->arg, piece);
}

static void attempt(struct kp_aws_call *call)
{
    struct aws_client *client = call->client;
    struct error err = ERROR_INIT;
    kp_http_request request;
    bool may_pass = false;

    switch (aws_user_get(&client->user, &err, &may_pass)) {
    case AWS_READY: break;
    case AWS_PENDING:
        call->needs_identity = true;
        wait_until(call, NOT_YET);
        return;
    case AWS_NONE:
        aws_answer_set(&call->answer, "NoCredentials", err.text);
        call->answer.fault = may_pass ? AWS_FAULT_TRANSIENT : AWS_FAULT_NONE;
        answer_later(call);
        return;
    }
    if (!aws_call_sign(call, client->config, client->user.identity, &request)) {
        answer_later(call);
        return;
    }
    if (call->request.piece)
        request.piece = on_piece;
    call->identity = client->user.number;
    call->state = AWS_CALL_SENT;
    list_put(&client->sent, call);
    call->http = http_client_send(client->http, call->node, &request, on_http, call);
}

/* Calls may be made, answered and cancelled while this goes through them: it takes the list away
 * and puts back what is not due. */
static void run_waiting(struct aws_client *client)
{
    int64_t now = clock_mono_ms();

    while (client->waiting)
        list_put(&client->due, client->waiting);
    while (client->due) {
        struct kp_aws_call *call = client->due;

        list_put(&client->waiting, call);
        if (call->due_ms > now)
            continue;
        if (call->is_answered)
            answer(call, NULL);
        else
            attempt(call);
    }
    set_timer(client);
}

static void on_timer(uv_timer_t *timer)
{
    run_waiting(timer->data);
}

void aws_client_tick(struct aws_client *client)
{
    run_waiting(client);
}

static void on_identity(void *arg)
{
    struct aws_client *client = arg;

    for (struct kp_aws_call *call = client->waiting; call; call = call->next) {
        if (call->needs_identity)
            call->due_ms = clock_mono_ms();
        call->needs_identity = false;
    }
    run_waiting(client);
}

static struct aws_service *find_service(struct aws_client *client, const char *name)
{
    struct aws_service *service = client->services;

    while (service && strcmp(service->name, name) != 0)
        service = service->next;
    if (!service) {
        service = mem_new(sizeof *service);
        aws_service_init(service, client->config, name);
        service->next = client->services;
        client->services = service;
    }
    return service;
}

static int max_attempts(const struct aws_client *client, const struct kp_aws_call *call)
{
    const struct aws_config *config = client->config;

    if (call->request.attempts > 0)
        return call->request.attempts;
    if (config->max_attempts)
        return config->max_attempts;
    return call->service->is_dynamodb ? config->retry->dynamodb_attempts : config->retry->attempts;
}

static bool is_service_name(const char *name)
{
    size_t n = name ? strlen(name) : 0;

    return n && n <= 63 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == n;
}

kp_aws_call *aws_client_call(struct aws_client *client, kp_node *node,
                             const kp_aws_request *request, kp_aws_fn fn, void *arg)
{
    struct kp_aws_call *call = call_take(client);
    kp_aws_request known = {0};

    memcpy(&known, request, request->size < sizeof known ? request->size : sizeof known);
    call->node = node;
    call->fn = fn;
    call->arg = arg;
    call->is_answered = call->needs_identity = call->was_renewed = call->was_skewed = false;
    call->attempt = 1;
    call->paid = 0;
    if (!is_service_name(known.service)) {
        aws_answer_set(&call->answer, "InvalidRequest", "the request names no service");
        answer_later(call);
        return call;
    }
    call->service = find_service(client, known.service);
    if (!aws_call_take(call, client->config, &known)) {
        answer_later(call);
        return call;
    }
    call->max_attempts = max_attempts(client, call);
    kpw_random_uuid(&client->random, call->id);
    attempt(call);
    return call;
}

void aws_client_cancel(kp_aws_call *call)
{
    if (!call || call->state == AWS_CALL_FREE || call->state == AWS_CALL_ANSWERING)
        return;
    if (call->state == AWS_CALL_SENT)
        http_client_cancel(call->http);
    call->http = NULL;
    give_back(call);
}

void aws_client_resume(kp_aws_call *call)
{
    if (call && call->state == AWS_CALL_SENT)
        http_client_resume(call->http);
}

static void forget_in(struct kp_aws_call *list, const kp_node *node)
{
    for (struct kp_aws_call *call = list, *next; call; call = next) {
        next = call->next;
        if (call->node == node)
            aws_client_cancel(call);
    }
}

void aws_client_forget(struct aws_client *client, const kp_node *node)
{
    forget_in(client->sent, node);
    forget_in(client->waiting, node);
    forget_in(client->due, node);
}

/* ---- the client */

struct aws_client *aws_client_new(uv_loop_t *loop, struct http_client *http,
                                  struct aws_config *config)
{
    struct aws_client *client = mem_new(sizeof *client);

    if (config->ca_bundle)
        http_client_trust(http, config->ca_bundle);
    client->http = http;
    client->config = config;
    kpw_random_init(&client->random);
    uv_timer_init(loop, &client->timer);
    client->timer.data = client;
    client->user.config = config;
    client->user.http = http;
    client->user.wake = on_identity;
    client->user.closed = NULL; /* set when it is closed */
    client->user.arg = client;
    aws_user_open(&client->user, loop);
    client->n_open = 2;
    return client;
}

static void on_closed(void *arg)
{
    struct aws_client *client = arg;

    if (--client->n_open)
        return;
    while (client->services) {
        struct aws_service *service = client->services;

        client->services = service->next;
        aws_service_fini(service);
        free(service);
    }
    free(client);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_closed(handle->data);
}

void aws_client_free(struct aws_client *client)
{
    if (!client)
        return;
    while (client->sent)
        aws_client_cancel(client->sent);
    while (client->waiting)
        aws_client_cancel(client->waiting);
    while (client->due)
        aws_client_cancel(client->due);
    while (client->idle)
        call_free(client->idle);
    client->user.closed = on_closed;
    aws_user_close(&client->user);
    uv_close((uv_handle_t *)&client->timer, on_timer_closed);
}
