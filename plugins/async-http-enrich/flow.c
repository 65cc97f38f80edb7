/* flow.c - see enrich.h: which call is next, and what is passed on when.
 *
 * All lanes of the worker share the in_flight calls. Unordered, a record that
 * has ended is moved into one batch that is passed on once per turn of the loop;
 * ordered, records are changed in place and a batch is passed on when all of it
 * has ended and no earlier batch of its lane is held.
 */
#include <stdlib.h>
#include <string.h>

#include "plugins/async-http-enrich/enrich.h"

/* ---- passing on */

static void unlink_held(struct enrich *enrich, struct held *held)
{
    struct held **at = &enrich->first, *before = NULL;

    while (*at != held) {
        before = *at;
        at = &(*at)->later;
    }
    *at = held->later;
    if (enrich->last == held)
        enrich->last = before;
    if (enrich->start == held)
        enrich->start = held->later;
}

void flow_emit(struct enrich *enrich)
{
    kp_batch *out = enrich->out;

    enrich->out = NULL;
    if (out)
        kp->emit(enrich->node, out);
}

static bool is_first_of_lane(const struct enrich *enrich, const struct held *held)
{
    const struct held *at = enrich->first;

    while (at != held && at->b->lane != held->b->lane)
        at = at->later;
    return at == held;
}

/* Passing a batch on may bring the next one in, so the search begins anew each time. */
static void emit_in_order(struct enrich *enrich)
{
    struct held *held = enrich->first;

    while (held) {
        kp_batch *b = held->b;

        if (held->open || !is_first_of_lane(enrich, held)) {
            held = held->later;
            continue;
        }
        unlink_held(enrich, held);
        free(held);
        kp->emit(enrich->node, b);
        held = enrich->first;
    }
}

static void mark(kp_batch *b, uint32_t i, const struct ending *ending)
{
    if (ending->rule == RULE_REJECT)
        kp->reject(b, i, "%s", ending->reason);
    else if (ending->rule == RULE_RETRY)
        kp->retry(b, i, ending->after_ms, "%s", ending->reason);
    else if (ending->rule == RULE_FILTER)
        kp->filter(b, i);
    else if (ending->data.ptr && !kp->set(b, i, ending->data.ptr, ending->data.len))
        kp->retry(b, i, 0, "out of memory");
}

static void end_unordered(struct enrich *enrich, struct held *held, uint32_t i,
                          const struct ending *ending)
{
    if (!enrich->out) {
        enrich->out = kp->batch_new(enrich->node, 64);
        enrich->timer->start(enrich->turn, 0, 0);
    }
    if (enrich->out && kp->move(enrich->out, held->b, i))
        mark(enrich->out, enrich->out->count - 1, ending);
    else
        kp->retry(held->b, i, 0, "out of memory");
    if (--held->open)
        return;
    unlink_held(enrich, held);
    kp->release(enrich->node, held->b);
    free(held);
}

static void end_record(struct enrich *enrich, struct held *held, uint32_t i,
                       const struct ending *ending)
{
    if (!enrich->config->ordered) {
        end_unordered(enrich, held, i, ending);
        return;
    }
    mark(held->b, i, ending);
    if (--held->open == 0)
        emit_in_order(enrich);
}

/* ---- calling */

static void start_call(struct enrich *enrich, struct held *held, uint32_t i)
{
    struct call *call = enrich->free;
    struct ending ending = {.rule = RULE_REJECT};

    call->held = held;
    call->i = i;
    if (request_build(enrich, call, ending.reason, sizeof ending.reason)) {
        enrich->free = call->next;
        enrich->in_flight++;
        request_send(enrich, call);
        return;
    }
    call->held = NULL;
    end_record(enrich, held, i, &ending);
}

static void start_calls(struct enrich *enrich)
{
    if (enrich->starting)
        return;
    enrich->starting = true;
    while (enrich->free && enrich->start) {
        struct held *held = enrich->start;

        if (held->next == held->b->count)
            enrich->start = held->later;
        else
            start_call(enrich, held, held->next++);
    }
    enrich->starting = false;
}

void flow_answered(kp_node *node, void *arg, const kp_http_response *response)
{
    struct call *call = arg;
    struct enrich *enrich = call->enrich;
    struct held *held = call->held;
    struct ending ending = {.rule = RULE_KEEP};
    uint32_t i = call->i;

    (void)node;
    call->http = NULL;
    answer_read(enrich, call, response, &ending);
    call->held = NULL;
    call->next = enrich->free;
    enrich->free = call;
    enrich->in_flight--;
    end_record(enrich, held, i, &ending);
    start_calls(enrich);
}

bool flow_add(struct enrich *enrich, kp_batch *b)
{
    struct held *held = calloc(1, sizeof *held);

    if (!held)
        return false;
    held->b = b;
    held->open = b->count;
    if (enrich->last)
        enrich->last->later = held;
    else
        enrich->first = held;
    enrich->last = held;
    if (!enrich->start)
        enrich->start = held;
    start_calls(enrich);
    return true;
}

static void leave_open(struct enrich *enrich, kp_batch *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        if (kp_at(b, i)->outcome == KP_NONE)
            kp->retry(b, i, 0, "closed before the answer came or was passed on");
    kp->release(enrich->node, b);
}

/* What has no end stays unsettled and is read again, also what has not been passed on: the stages
 * behind may be closed already. */
void flow_close(struct enrich *enrich)
{
    for (uint32_t k = 0; k < enrich->n_calls; k++) {
        struct call *call = &enrich->calls[k];

        if (call->http)
            enrich->http->cancel(call->http);
        kpw_buf_fini(&call->url);
        kpw_buf_fini(&call->body);
        kpw_buf_fini(&call->headers);
    }
    free(enrich->calls);
    if (enrich->out)
        leave_open(enrich, enrich->out);
    enrich->out = NULL;
    while (enrich->first) {
        struct held *held = enrich->first;

        enrich->first = held->later;
        leave_open(enrich, held->b);
        free(held);
    }
}
