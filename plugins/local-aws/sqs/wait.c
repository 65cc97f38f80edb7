/* wait.c - long polling: requests that wait until a message comes or their time is over.
 *
 * Waiters stand in one line, oldest first. They are looked at when an operation may
 * have made something visible, and by one timer that is set to the next moment at
 * which a hidden message comes back or a waiter's time is over.
 */
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/sql.h"
#include "plugins/local-aws/sqs/call.h"

struct sqs_waiter {
    struct sqs_waiter *next;
    struct sqs_service *service; /* [borrowed] */
    kp_exchange *exchange;
    bool is_query;
    char region[40];
    int64_t queue;
    int64_t deadline_ms; /* wall */
    struct sqs_receive receive;
};

static void waiter_free(struct sqs_waiter *waiter)
{
    sqs_receive_fini(&waiter->receive);
    free(waiter);
}

/* Looks for messages. True: it was answered and is no more. */
static bool try(struct sqs_service *service, struct sqs_waiter *waiter)
{
    struct sqs_call call = {.service = service,
                            .store = &service->store,
                            .exchange = waiter->exchange,
                            .operation = "ReceiveMessage",
                            .is_query = waiter->is_query,
                            .has_waited = true,
                            .now_ms = local_now_ms(service->local)};
    bool is_over = call.now_ms >= waiter->deadline_ms, ok;
    struct sqs_queue queue;
    json_t *messages = NULL;

    memcpy(call.region, waiter->region, sizeof(call.region));
    call.out = json_object();
    commit_begin(&service->commit);
    ok = sql_begin(service->store.db) || sqs_trouble(&call.err);
    if (ok && !sqs_queue_find_id(&service->store, waiter->queue, &queue))
        sqs_refuse(&call.err, "QueueDoesNotExist", "The specified queue does not exist%s.",
                   call.is_query ? " for this wsdl version" : "");
    else if (ok)
        messages = sqs_take(&call, &queue, &waiter->receive);
    if (ok) {
        sqs_queue_fini(&queue);
        if (!sql_end(service->store.db, messages != NULL) && messages)
            ok = sqs_trouble(&call.err);
    }
    commit_end(&service->commit);
    ok = ok && messages;
    if (ok && json_array_size(messages) > 0)
        json_object_set(call.out, "Messages", messages);
    is_over = is_over || !ok || json_array_size(messages) > 0;
    if (is_over) {
        sqs_answer(&call, ok);
        waiter_free(waiter);
    }
    json_decref(messages);
    json_decref(call.out);
    return is_over;
}

static void look(struct sqs_service *service, int64_t queue)
{
    struct sqs_waiter **link = &service->waiters;

    while (*link) {
        struct sqs_waiter *waiter = *link, *next = waiter->next;

        if (queue != 0 && waiter->queue != queue) {
            link = &waiter->next;
            continue;
        }
        if (try(service, waiter))
            *link = next;
        else
            link = &waiter->next;
    }
}

/* ---- the timer ---- */

static void set_timer(struct sqs_service *service)
{
    const kp_timer_ext *ext = service->local->timer_ext;
    int64_t now_ms = local_now_ms(service->local), first_ms = INT64_MAX;

    for (const struct sqs_waiter *w = service->waiters; w; w = w->next) {
        int64_t visible_ms = sqs_message_next(&service->store, w->queue, now_ms);

        if (w->deadline_ms < first_ms)
            first_ms = w->deadline_ms;
        if (visible_ms > 0 && visible_ms < first_ms)
            first_ms = visible_ms;
    }
    if (first_ms == INT64_MAX)
        ext->stop(service->timer);
    else
        ext->start(service->timer, first_ms > now_ms ? first_ms - now_ms : 0, 0);
}

static void timer_fired(kp_node *node, void *arg)
{
    (void)node;
    sqs_wake(arg, 0);
}

void sqs_wake(struct sqs_service *service, int64_t queue)
{
    bool all = queue == 0 || service->moved;

    do {
        service->moved = false;
        look(service, all ? 0 : queue);
        all = true; /* what moved may be waited for elsewhere */
    } while (service->moved);
    if (service->timer)
        set_timer(service);
}

/* The peer of a waiting request has gone: no message may be taken for it any more. */
static void peer_gone(kp_node *node, void *arg, kp_exchange *exchange)
{
    struct sqs_waiter *waiter = arg, **link = &waiter->service->waiters;

    (void)node;
    local_drop(waiter->service->local, exchange);
    while (*link && *link != waiter)
        link = &(*link)->next;
    if (*link)
        *link = waiter->next;
    waiter_free(waiter);
}

static void watch(struct sqs_waiter *waiter)
{
    const kp_server_ext *ext = waiter->service->local->server_ext;

    if (ext->size > offsetof(kp_server_ext, watch) && ext->watch)
        ext->watch(waiter->exchange, peer_gone, waiter);
}

bool sqs_wait(struct sqs_call *call, const struct sqs_queue *queue, struct sqs_receive *receive,
              int64_t wait_s)
{
    struct sqs_service *service = call->service;
    struct sqs_waiter *waiter = calloc(1, sizeof(*waiter)), **last = &service->waiters;

    if (waiter && !service->timer)
        service->timer =
            service->local->timer_ext->create(service->local->node, timer_fired, service);
    if (!waiter || !service->timer) {
        free(waiter);
        return sqs_trouble(&call->err);
    }
    waiter->service = service;
    waiter->exchange = call->exchange;
    waiter->is_query = call->is_query;
    memcpy(waiter->region, call->region, sizeof(waiter->region));
    waiter->queue = queue->id;
    waiter->deadline_ms = call->now_ms + wait_s * 1000;
    waiter->receive = *receive;
    receive->system = receive->attributes = receive->attempt = NULL; /* moved */
    while (*last)
        last = &(*last)->next;
    *last = waiter;
    call->waits = true;
    watch(waiter);
    set_timer(service);
    return true;
}

void sqs_waiters_free(struct sqs_service *service)
{
    while (service->waiters) {
        struct sqs_waiter *next = service->waiters->next;

        /* The connection may be gone, its exchange is ours until now. */
        service->local->server_ext->abort(service->waiters->exchange);
        waiter_free(service->waiters);
        service->waiters = next;
    }
    if (service->timer)
        service->local->timer_ext->destroy(service->timer);
    service->timer = NULL;
}
