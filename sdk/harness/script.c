/* script.c - http/1 and aws/1 with answers written by the test.
 *
 * Every request is kept for the test to look at. It takes the first unused answer
 * whose `match` is part of its line; without one it waits, and times out on the
 * fake clock as it would in the host. Answers come from the pump.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/slab.h"
#include "sdk/harness/internal.h"

#define HTTP_TIMEOUT_MS 60000
#define PIECE           (16 * 1024) /* of a scripted body, bytes */
#define AWS_TIMEOUT_MS  30000
#define MAX_BODY        (16 << 20)

static struct harness_request *request_of_timeout(struct harness_event *event)
{
    return (struct harness_request *)(void *)((char *)event -
                                              offsetof(struct harness_request, timeout_event));
}

/* ---- answering */

static bool is_throttle(const char *error)
{
    return error && (strstr(error, "Throttl") || strstr(error, "ThroughputExceeded") ||
                     strstr(error, "SlowDown") || strstr(error, "TooManyRequests") ||
                     strstr(error, "LimitExceeded") || strstr(error, "RequestLimitExceeded"));
}

/* The service's text: "message" or "Message" of a JSON body, <Message> of an XML one. */
static const char *message_of(kp_slice body, char *out, size_t cap)
{
    static const char *const marks[] = {"\"message\":\"", "\"Message\":\"", "\"message\": \"",
                                        "\"Message\": \"", "<Message>"};

    out[0] = '\0';
    for (size_t i = 0; body.len && i < sizeof marks / sizeof *marks; i++) {
        const char *at = memmem(body.ptr, body.len, marks[i], strlen(marks[i]));
        size_t len = 0, left;

        if (!at)
            continue;
        at += strlen(marks[i]);
        left = body.len - (size_t)(at - body.ptr);
        while (len < left && len + 1 < cap && at[len] != '"' && at[len] != '<')
            len++;
        memcpy(out, at, len);
        out[len] = '\0';
        break;
    }
    return out;
}

static void tell_aws(struct harness_request *request, const kp_http_response *http)
{
    const struct harness_answer *answer = request->answer;
    char message[300];
    kp_aws_response response = {
        .size = sizeof response, .status = http->status, .body = http->body};
    const char *error = answer ? answer->error : http->timed_out ? "Timeout" : "NetworkError";

    if (!http->status && request->too_long)
        error = "BodyTooLarge";
    else if (!error && (http->status < 200 || http->status > 299))
        error = http->status ? "UnknownError" : "NetworkError";
    response.error = error;
    response.message = message_of(http->body, message, sizeof message);
    response.throttled = is_throttle(error) || http->status == 429;
    response.retryable =
        error && !request->too_long && (response.throttled || http->status >= 500 || !http->status);
    response.http = http->status ? http : NULL;
    request->aws_fn(&request->harness->node, request->arg, &response);
}

static void end_request(struct harness_request *request, kp_http_response *response)
{
    struct harness *h = request->harness;

    harness_event_stop(h, &request->answer_event);
    harness_event_stop(h, &request->timeout_event);
    request->ended = true;
    response->size = sizeof *response;
    response->took_ms = clock_mono_ms() - request->sent_ms;
    if (request->aws)
        tell_aws(request, response);
    else
        request->http_fn(&h->node, request->arg, response);
}

static void fire_timeout(struct harness_event *event)
{
    kp_http_response response = {
        .error = "no answer within the time limit", .timed_out = true, .connected = true};

    end_request(request_of_timeout(event), &response);
}

static bool give_piece(struct harness_request *request, const void *ptr, size_t len)
{
    if (request->piece(&request->harness->node, request->arg, (kp_slice){ptr, len}))
        return true;
    free(request->held);
    request->held = mem_dupn(ptr, len);
    request->held_len = len;
    return false;
}

/* The scripted body of an answer in pieces. False: one is held; resume() goes on behind it. */
static bool give_body(struct harness_request *request)
{
    const struct harness_answer *answer = request->answer;

    while (request->given < answer->body_len) {
        size_t left = answer->body_len - request->given, n = left < PIECE ? left : PIECE;
        const char *at = answer->body + request->given;

        request->given += n;
        if (!give_piece(request, at, n))
            return false;
    }
    return true;
}

static void fire_answer(struct harness_event *event)
{
    struct harness_request *request = (struct harness_request *)(void *)event;
    const struct harness_answer *answer = request->answer;
    bool is_pieced = request->piece && answer->status >= 200 && answer->status <= 299;
    size_t limit = request->into ? request->into_capacity : request->max_body;
    kp_http_response response = {.status = answer->status,
                                 .body = {answer->body, answer->body_len},
                                 .headers = answer->headers,
                                 .n_headers = answer->n_headers,
                                 .connected = true};

    if (is_pieced && !give_body(request))
        return;
    if (is_pieced) {
        response.body = (kp_slice){"", 0};
    } else if (!answer->status) {
        response.error = answer->body_len ? answer->body : "connection refused";
        response.body = (kp_slice){"", 0};
        response.connected = false;
    } else if (answer->body_len > limit) {
        request->too_long = true;
        response =
            (kp_http_response){.error = "the answer is longer than allowed", .connected = true};
    } else if (request->into) {
        memcpy(request->into->data, answer->body, answer->body_len);
        response.body.ptr = request->into->data;
    }
    end_request(request, &response);
}

static void match_request(struct harness *h, struct harness_request *request)
{
    for (size_t i = 0; i < h->n_answers && !request->answer && !request->ended; i++) {
        struct harness_answer *answer = h->answers[i];

        if (answer->taken || answer->aws != request->aws || !strstr(request->line, answer->match))
            continue;
        answer->taken = true;
        request->answer = answer;
        harness_event_start(h, &request->answer_event, answer->after_ms);
    }
}

/* ---- sending */

static void put_header(struct harness_request *request, const char *name, size_t name_len,
                       const char *value, size_t value_len)
{
    char *copy = mem_dupn(name, name_len);
    kp_http_header *header;

    for (size_t i = 0; i < name_len; i++)
        if (copy[i] >= 'A' && copy[i] <= 'Z')
            copy[i] = (char)(copy[i] + 32);
    mem_room(&request->headers, &request->headers_cap, request->n_headers, sizeof *header);
    header = &request->headers[request->n_headers++];
    header->name = (kp_slice){copy, name_len};
    header->value = (kp_slice){mem_dupn(value, value_len), value_len};
}

static struct harness_request *keep_request(kp_node *node, char *line, kp_slice body,
                                            const kp_http_header *headers, size_t n_headers)
{
    struct harness *h = harness_of(node);
    struct harness_request *request = mem_new(sizeof *request);

    request->answer_event.fire = fire_answer;
    request->timeout_event.fire = fire_timeout;
    request->harness = h;
    request->line = line; /* moved */
    request->body = mem_dupn(body.ptr ? body.ptr : "", body.len);
    request->body_len = body.len;
    request->sent_ms = clock_mono_ms();
    for (size_t i = 0; i < n_headers; i++)
        put_header(request, headers[i].name.ptr, headers[i].name.len, headers[i].value.ptr,
                   headers[i].value.len);
    mem_room(&h->requests, &h->requests_cap, h->n_requests, sizeof(struct harness_request *));
    h->requests[h->n_requests++] = request;
    return request;
}

static void send_request(struct harness_request *request, kp_slab *into, size_t into_capacity,
                         size_t max_body, int64_t timeout_ms)
{
    request->into = into;
    request->into_capacity = into_capacity;
    request->max_body = max_body ? max_body : MAX_BODY;
    if (timeout_ms)
        harness_event_start(request->harness, &request->timeout_event, timeout_ms);
    match_request(request->harness, request);
}

/* An answer in pieces may go on for ever. */
static int64_t timeout_of(int64_t asked, const struct harness_request *request, int64_t usual)
{
    return asked ? asked : request->piece ? 0 : usual;
}

static kp_http_call *http_send(kp_node *node, const kp_http_request *r, kp_http_fn fn, void *arg)
{
    char *line = mem_fmt("%s %s", r->method ? r->method : "GET", r->url);
    struct harness_request *request = keep_request(node, line, r->body, r->headers, r->n_headers);

    request->http_fn = fn;
    request->arg = arg;
    if (r->size > offsetof(kp_http_request, piece))
        request->piece = r->piece;
    send_request(request, r->into, r->into_capacity, r->max_body,
                 timeout_of(r->timeout_ms, request, HTTP_TIMEOUT_MS));
    return (kp_http_call *)(void *)request;
}

static void cancel_request(struct harness_request *request)
{
    if (request->ended)
        harness_complain("a request was cancelled after its answer: %s", request->line);
    request->ended = true;
    harness_event_stop(request->harness, &request->answer_event);
    harness_event_stop(request->harness, &request->timeout_event);
}

static void http_cancel(kp_http_call *call)
{
    cancel_request((struct harness_request *)(void *)call);
}

/* "kinesis PutRecords", or "s3 PUT /bucket/key?uploads". */
static char *aws_line(const kp_aws_request *r)
{
    const char *operation = r->target ? strrchr(r->target, '.') : NULL;

    if (r->target)
        return mem_fmt("%s %s", r->service, operation ? operation + 1 : r->target);
    return mem_fmt("%s %s %s%s%s", r->service, r->method ? r->method : "POST",
                   r->path ? r->path : "/", r->query ? "?" : "", r->query ? r->query : "");
}

static kp_aws_call *aws_call(kp_node *node, const kp_aws_request *r, kp_aws_fn fn, void *arg)
{
    struct harness_request *request =
        keep_request(node, aws_line(r), r->body, r->headers, r->n_headers);
    const char *type = r->content_type ? r->content_type
                       : r->target     ? "application/x-amz-json-1.1"
                                       : NULL;

    request->aws = true;
    request->aws_fn = fn;
    request->arg = arg;
    if (r->size > offsetof(kp_aws_request, piece))
        request->piece = r->piece;
    if (r->target)
        put_header(request, "x-amz-target", 12, r->target, strlen(r->target));
    if (type)
        put_header(request, "content-type", 12, type, strlen(type));
    send_request(request, r->into, r->into_capacity, r->max_body,
                 timeout_of(r->timeout_ms, request, AWS_TIMEOUT_MS));
    return (kp_aws_call *)(void *)request;
}

static void aws_cancel(kp_aws_call *call)
{
    cancel_request((struct harness_request *)(void *)call);
}

static const char *aws_region(kp_node *node)
{
    (void)node;
    return "us-east-1";
}

static const char *aws_endpoint(kp_node *node, const char *service)
{
    (void)node, (void)service;
    return "http://127.0.0.1:4566";
}

/* ---- answers in pieces */

bool harness_piece(struct harness *h, const char *match, const void *ptr, size_t len)
{
    for (size_t i = h->n_requests; i--;) {
        struct harness_request *request = h->requests[i];

        if (request->ended || !request->piece || !strstr(request->line, match))
            continue;
        if (request->held) {
            harness_complain("a piece was sent before the one before it was taken");
            return false;
        }
        if (!give_piece(request, ptr, len))
            return false;
        harness_pump(h);
        return true;
    }
    harness_complain("no open request with pieces has \"%s\"", match);
    return false;
}

static void resume_request(struct harness_request *request)
{
    char *held = request->held;

    request->held = NULL;
    if (held && give_piece(request, held, request->held_len) && request->answer)
        harness_event_start(request->harness, &request->answer_event, 0);
    free(held);
}

static void http_resume(kp_http_call *call)
{
    resume_request((struct harness_request *)(void *)call);
}

static void aws_resume(kp_aws_call *call)
{
    resume_request((struct harness_request *)(void *)call);
}

const kp_http_ext harness_http_ext = {sizeof(kp_http_ext), http_send, http_cancel, http_resume};
const kp_aws_ext harness_aws_ext = {sizeof(kp_aws_ext), aws_call,     aws_cancel,
                                    aws_region,         aws_endpoint, aws_resume};

/* ---- for the test */

static void add_headers(struct harness_answer *answer, const char *lines)
{
    while (lines && *lines) {
        size_t line = strcspn(lines, "\n"), name = strcspn(lines, ":\n");
        const char *value = lines + name + (name < line);
        size_t gap = strspn(value, " ");
        kp_http_header *header;

        if (name == line)
            harness_die("no colon in the answer's header: %.*s", (int)line, lines);
        mem_room(&answer->headers, &answer->headers_cap, answer->n_headers, sizeof *header);
        header = &answer->headers[answer->n_headers++];
        header->name = (kp_slice){mem_dupn(lines, name), name};
        header->value.len = line - name - 1 - gap;
        header->value.ptr = mem_dupn(value + gap, header->value.len);
        lines += line + (lines[line] == '\n');
    }
}

void harness_answer(struct harness *h, const struct harness_reply *reply)
{
    struct harness_answer *answer = mem_new(sizeof *answer);
    const char *body = reply->body ? reply->body : "";

    answer->aws = reply->aws;
    answer->match = mem_dup(reply->match);
    answer->status = reply->status;
    answer->error = mem_dup(reply->error);
    answer->after_ms = reply->after_ms;
    answer->body_len = reply->body_len ? reply->body_len : strlen(body);
    answer->body = mem_dupn(body, answer->body_len);
    add_headers(answer, reply->headers);
    mem_room(&h->answers, &h->answers_cap, h->n_answers, sizeof(struct harness_answer *));
    h->answers[h->n_answers++] = answer;
    for (size_t i = 0; i < h->n_requests; i++)
        match_request(h, h->requests[i]);
    harness_pump(h);
}

void harness_http_answer(struct harness *h, const char *match, int status, const char *body,
                         int64_t after_ms)
{
    struct harness_reply reply = {
        .match = match, .status = status, .body = body, .after_ms = after_ms};

    harness_answer(h, &reply);
}

void harness_aws_answer(struct harness *h, const char *match, int status, const char *error,
                        const char *body, int64_t after_ms)
{
    struct harness_reply reply = {.aws = true,
                                  .match = match,
                                  .status = status,
                                  .error = error,
                                  .body = body,
                                  .after_ms = after_ms};

    harness_answer(h, &reply);
}

size_t harness_requests(const struct harness *h)
{
    return h->n_requests;
}

static const struct harness_request *request_at(const struct harness *h, size_t i)
{
    if (i >= h->n_requests)
        harness_die("asked for request %zu of %zu", i, h->n_requests);
    return h->requests[i];
}

bool harness_request_is_open(const struct harness *h, size_t i)
{
    return i < h->n_requests && !h->requests[i]->ended;
}

const char *harness_request_line(const struct harness *h, size_t i)
{
    return request_at(h, i)->line;
}

const char *harness_request_body(const struct harness *h, size_t i, size_t *ret_len)
{
    const struct harness_request *request = request_at(h, i);

    if (ret_len)
        *ret_len = request->body_len;
    return request->body;
}

const char *harness_request_header(const struct harness *h, size_t i, const char *name)
{
    const struct harness_request *request = request_at(h, i);

    for (size_t k = 0; k < request->n_headers; k++)
        if (!strcasecmp(request->headers[k].name.ptr, name))
            return request->headers[k].value.ptr;
    return NULL;
}

/* ---- the end */

static void free_headers(kp_http_header *headers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((char *)headers[i].name.ptr);
        free((char *)headers[i].value.ptr);
    }
    free(headers);
}

/* Requests that are still under way at close() are cancelled, as the host does. */
void harness_script_fini(struct harness *h)
{
    for (size_t i = 0; i < h->n_requests; i++) {
        struct harness_request *request = h->requests[i];

        harness_event_stop(h, &request->answer_event);
        harness_event_stop(h, &request->timeout_event);
        free_headers(request->headers, request->n_headers);
        free(request->line);
        free(request->body);
        free(request->held);
        free(request);
    }
    for (size_t i = 0; i < h->n_answers; i++) {
        struct harness_answer *answer = h->answers[i];

        if (!answer->taken)
            harness_complain("nobody asked for the answer to \"%s\"", answer->match);
        free_headers(answer->headers, answer->n_headers);
        free(answer->match);
        free(answer->error);
        free(answer->body);
        free(answer);
    }
    free(h->requests);
    free(h->answers);
}
