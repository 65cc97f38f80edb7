/* http_client.c - see http_client.h.
 *
 * Calls are in one of two lists: free ones, and those whose answer is to come.
 * What cannot be sent is answered by a timer, so that an answer never comes from
 * inside send().
 */
#include "core/net/http_client.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/net/curl_pool.h"
#include "core/net/http_call.h"

#define KEEP_CALLS 1024 /* free ones, with their memory */

struct http_client {
    uv_loop_t *loop;        /* [borrowed] */
    struct curl_pool *pool; /* [owned] NULL before the first request */
    uv_timer_t refusals;    /* answers what could not be sent */
    char *ca_file;          /* [owned] NULL: the system's */
    struct kp_http_call *open, *idle;
    size_t n_idle;
};

static void list_put(struct kp_http_call **list, struct kp_http_call *call)
{
    call->prev = NULL;
    call->next = *list;
    if (*list)
        (*list)->prev = call;
    *list = call;
}

static void list_take(struct kp_http_call **list, struct kp_http_call *call)
{
    if (call->prev)
        call->prev->next = call->next;
    else
        *list = call->next;
    if (call->next)
        call->next->prev = call->prev;
}

/* ---- calls */

static struct kp_http_call *call_take(struct http_client *client)
{
    struct kp_http_call *call = client->idle;

    if (call) {
        list_take(&client->idle, call);
        client->n_idle--;
    } else {
        call = http_call_new(client);
    }
    list_put(&client->open, call);
    return call;
}

static void call_give_back(struct kp_http_call *call)
{
    struct http_client *client = call->client;

    list_take(&client->open, call);
    call->state = HTTP_CALL_FREE;
    if (client->n_idle >= KEEP_CALLS) {
        http_call_free(call);
        return;
    }
    http_call_trim(call);
    list_put(&client->idle, call);
    client->n_idle++;
}

static void call_answer(struct kp_http_call *call, CURLcode result)
{
    kp_http_response response = http_call_response(call, result);

    call->state = HTTP_CALL_ANSWERING;
    call->fn(call->node, call->arg, &response);
    call_give_back(call);
}

static void on_ended(void *arg, CURL *easy, CURLcode result)
{
    char *private = NULL;

    (void)arg;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    call_answer((struct kp_http_call *)(void *)private, result);
}

/* The list may change with each answer, so the search begins anew; refusals are rare. */
static void on_refusals(uv_timer_t *timer)
{
    struct http_client *client = timer->data;
    struct kp_http_call *call;

    do {
        for (call = client->open; call && call->state != HTTP_CALL_FAILED;)
            call = call->next;
        if (call)
            call_answer(call, CURLE_FAILED_INIT);
    } while (call);
}

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_started;

static void start_curl(void)
{
    curl_started = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* The pool is made with the first request: a pipeline that calls nobody does without its memory. */
static bool pool_open(struct http_client *client, struct error *err)
{
    if (client->pool)
        return true;
    pthread_once(&curl_once, start_curl);
    if (curl_started)
        error_set(err, ERROR_FAILED, "libcurl does not start: %s",
                  curl_easy_strerror(curl_started));
    else
        client->pool = curl_pool_new(client->loop, on_ended, client, err);
    return client->pool != NULL;
}

/* Gives the call what it needs of curl. False: its `problem` says why there is none. */
static bool call_open(struct kp_http_call *call)
{
    struct http_client *client = call->client;
    struct error err = ERROR_INIT;

    if (call->easy)
        return true;
    if (!pool_open(client, &err)) {
        http_call_refuse(call, err.text);
        return false;
    }
    if (!http_call_open(call))
        bug("libcurl gives no easy handle: out of memory");
    curl_pool_adopt(client->pool, call->easy);
    if (client->ca_file)
        curl_easy_setopt(call->easy, CURLOPT_CAINFO, client->ca_file);
    return true;
}

kp_http_call *http_client_send(struct http_client *client, kp_node *node,
                               const kp_http_request *request, kp_http_fn fn, void *arg)
{
    struct kp_http_call *call = call_take(client);
    kp_http_request known = {0};

    memcpy(&known, request, request->size < sizeof known ? request->size : sizeof known);
    call->node = node;
    call->fn = fn;
    call->arg = arg;
    call->began_ns = clock_mono_ns();
    call->state = HTTP_CALL_FAILED;
    if (call_open(call) && http_call_prepare(call, &known)) {
        call->lane = curl_pool_add(client->pool, call->easy, call->is_http2);
        if (call->lane)
            call->state = HTTP_CALL_RUNNING;
    }
    if (call->state == HTTP_CALL_FAILED)
        uv_timer_start(&client->refusals, on_refusals, 0, 0);
    return call;
}

void http_client_cancel(kp_http_call *call)
{
    if (!call || call->state == HTTP_CALL_ANSWERING || call->state == HTTP_CALL_FREE)
        return;
    if (call->state == HTTP_CALL_RUNNING)
        curl_pool_remove(call->lane, call->easy);
    call_give_back(call);
}

void http_client_resume(kp_http_call *call)
{
    if (call)
        http_call_resume(call);
}

void http_client_forget(struct http_client *client, const kp_node *node)
{
    for (struct kp_http_call *call = client->open, *next; call; call = next) {
        next = call->next;
        if (call->node == node)
            http_client_cancel(call);
    }
}

/* ---- life */

struct http_client *http_client_new(uv_loop_t *loop, struct error *err)
{
    struct http_client *client = mem_new(sizeof *client);
    int result = uv_timer_init(loop, &client->refusals);

    if (result) {
        error_set(err, ERROR_FAILED, "no timer for the HTTP client: %s", uv_strerror(result));
        free(client);
        return NULL;
    }
    client->loop = loop;
    client->refusals.data = client;
    return client;
}

void http_client_trust(struct http_client *client, const char *ca_file)
{
    client->ca_file = mem_dup(ca_file);
}

static void on_refusals_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void http_client_free(struct http_client *client)
{
    struct kp_http_call *call;

    if (!client)
        return;
    while ((call = client->open)) {
        if (call->state == HTTP_CALL_ANSWERING)
            bug("an HTTP client is freed from inside an answer");
        http_client_cancel(call);
    }
    while ((call = client->idle)) {
        list_take(&client->idle, call);
        http_call_free(call);
    }
    curl_pool_free(client->pool);
    free(client->ca_file);
    uv_close((uv_handle_t *)&client->refusals, on_refusals_closed);
}
