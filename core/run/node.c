/* node.c - see node.h. */
#include "core/run/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/aws/aws_client.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/config/plan.h"
#include "core/lease/sync.h"
#include "core/net/http_client.h"
#include "core/run/extensions.h"
#include "core/run/flow.h"
#include "core/run/host.h"

static void wake_source(struct task *task)
{
    struct kp_node *node =
        (struct kp_node *)(void *)((char *)task - offsetof(struct kp_node, wake_task));

    if (!node->is_started || node->is_stopped || !node->element->wake)
        return;
    /* For all lanes: those that were refused for want of memory need no call of their own. */
    for (struct kp_lane *lane = node->lanes; lane; lane = lane->next)
        lane->wants_room = false;
    if (node->flow)
        node->flow->has_full_lane = false;
    node->element->wake(node, node->state, NULL, NULL);
}

bool node_offers(const kp_element *element)
{
    return element->kind == KP_SOURCE &&
           element->size >= offsetof(kp_element, offer) + sizeof element->offer && element->grant &&
           element->revoke && element->offer;
}

void node_init(struct kp_node *node, const struct node_place *place)
{
    *node = (struct kp_node){.worker = place->worker,
                             .flow = place->flow,
                             .index = place->index,
                             .element = place->element,
                             .config = place->config,
                             .plan = place->plan,
                             .who = mem_dup(place->who)};
    node->budget = place->flow ? place->flow->budget : host_budget(place->worker->host);
    node->wake_task.run = wake_source;
    lane_board_init(&node->board);
    host_info(place->worker->host, &node->info);
    node->info.worker = place->worker->index;
    node->info.flow = place->flow ? place->flow->plan->name : "";
    node->info.stage = place->plan ? place->plan->stage : place->element->name;
}

bool node_open(struct kp_node *node)
{
    const kp_element *element = node->element;

    node->state = mem_new(element->state_size ? element->state_size : 1);
    node->is_open = true;
    if (element->open && element->open(node, node->config, node->state) != KP_OK) {
        node_fail(node, "it would not open and did not say why");
        return false;
    }
    return !node->has_failed;
}

bool node_start(struct kp_node *node)
{
    node->is_started = true;
    if (node->element->start && node->element->start(node, node->state) != KP_OK)
        node_fail(node, "it would not start and did not say why");
    return !node->has_failed;
}

void node_stop(struct kp_node *node)
{
    if (!node->is_started || node->is_stopped)
        return;
    node->is_stopped = true;
    if (node->element->stop)
        node->element->stop(node, node->state);
}

void node_flush(struct kp_node *node)
{
    if (node->element->flush && !node->has_failed)
        node->element->flush(node, node->state);
}

void node_close(struct kp_node *node)
{
    if (!node->is_open)
        return;
    node_stop(node);
    node->is_closing = true;
    if (node->element->close)
        node->element->close(node, node->state);
    node->is_open = false;
    extensions_forget(node);
    worker_undefer(node->worker, &node->wake_task);
    if (node->reserved)
        budget_give(node->budget, node->reserved);
    node->reserved = 0;
    free(node->state);
    node->state = NULL;
}

void node_fini(struct kp_node *node)
{
    lane_free_all(node);
    if (node->own.name)
        lane_fini(&node->own);
    lane_board_fini(&node->board);
    listing_free(node->offer);
    free(node->who);
    free(node->url);
    free(node->failure);
}

kp_status node_fail_text(kp_node *node, const char *text)
{
    if (node->failure) /* the first reason counts */
        return KP_FATAL;
    node->failure =
        node->plan && node->plan->file
            ? mem_fmt("%s:%d: %s: %s", node->plan->file, node->plan->line, node->info.stage, text)
            : mem_fmt("%s: %s", node->info.stage, text);
    node->has_failed = true; /* after the text: main reads it then */
    if (node->worker)
        host_failed(node->worker->host, node);
    return KP_FATAL;
}

kp_status node_fail(kp_node *node, const char *fmt, ...)
{
    char text[1000];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return node_fail_text(node, text);
}

void node_log(kp_node *node, int level, const char *event, const char *fmt, va_list args)
{
    static const enum log_level levels[] = {LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG};

    log_vwrite(levels[level & 3], node ? node->who : NULL, event, fmt, args);
}

void node_count(kp_node *node, const char *name, int64_t by)
{
    uint32_t n = node->n_counters;

    for (uint32_t i = 0; i < n; i++) {
        if (node->counters[i].name == name || !strcmp(node->counters[i].name, name)) {
            count_add(&node->counters[i].value, (uint64_t)by);
            return;
        }
    }
    if (n == NODE_COUNTERS)
        return;
    node->counters[n].name = name;
    count_add(&node->counters[n].value, (uint64_t)by);
    node->n_counters = n + 1; /* readers see whole rows only */
}

void node_has_room(struct kp_node *node)
{
    if (!node->wants_room)
        return;
    node->wants_room = false;
    worker_defer(node->worker, &node->wake_task);
}
