/* table.c - the host table: what plugins call, put together from core/run. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/budget.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/base/slab.h"
#include "core/run/batch.h"
#include "core/run/boundary.h"
#include "core/run/extensions.h"
#include "core/run/flow.h"
#include "core/run/hop.h"
#include "core/run/host.h"
#include "core/run/lane.h"
#include "core/run/lane_metrics.h"
#include "core/run/node.h"
#include "core/run/offer.h"

/* ---- services */

static void log_row(kp_node *node, int level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void log_row(kp_node *node, int level, const char *event, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    node_log(node, level, event, fmt, args);
    va_end(args);
}

static const kp_info *info_row(kp_node *node)
{
    return &node->info;
}

/* ---- sources */

static void tell_main(kp_node *node)
{
    if (node->worker)
        host_nudge(node->worker->host);
}

static void ended_row(kp_node *node)
{
    node->has_ended = true;
    if (node->flow)
        node->flow->has_ended = true;
    tell_main(node);
}

static void caught_up_row(kp_node *node)
{
    node->has_caught_up = true;
    if (node->flow)
        node->flow->has_caught_up = true;
    tell_main(node);
}

static void ready_row(kp_node *node, const char *url)
{
    free(node->url);
    node->url = mem_dup(url ? url : "");
    node->is_ready = true; /* after the text: main reads it then */
    tell_main(node);
}

static bool reserve_row(kp_node *node, size_t bytes)
{
    if (!node->is_stopped && budget_take(node->budget, bytes)) {
        node->reserved += bytes;
        return true;
    }
    node->wants_room = true;
    return false;
}

static void unreserve_row(kp_node *node, size_t bytes)
{
    if (bytes > node->reserved)
        bug("%s gives back %zu bytes and had reserved %zu", node->who, bytes, node->reserved);
    node->reserved -= bytes;
    budget_give(node->budget, bytes);
}

/* ---- memory */

static kp_slab *slab_new_row(kp_node *node, size_t capacity)
{
    size_t drawn = capacity < node->reserved ? capacity : node->reserved;

    node->reserved -= drawn;
    budget_force(node->budget, capacity - drawn);
    return slab_new(node->budget, capacity);
}

static char *slab_data_row(kp_slab *slab)
{
    return slab->data;
}

static kp_batch *batch_new_row(kp_node *node, uint32_t expected)
{
    return batch_new(node->budget, &node->own, expected);
}

static kp_group *group_new_row(kp_node *node)
{
    (void)node;
    return group_new();
}

/* ---- the pool */

struct pool_work {
    uv_work_t uv; /* must be first */
    kp_node *node;
    void (*fn)(void *);
    void (*after)(kp_node *, void *);
    void *arg;
};

static void work_runs(uv_work_t *uv)
{
    struct pool_work *work = (struct pool_work *)(void *)uv;

    work->fn(work->arg);
}

static void work_ended(uv_work_t *uv, int status)
{
    struct pool_work *work = (struct pool_work *)(void *)uv;

    (void)status;
    work->node->works--;
    work->after(work->node, work->arg);
    tell_main(work->node);
    free(work);
}

static void work_row(kp_node *node, void (*fn)(void *), void (*after)(kp_node *, void *), void *arg)
{
    struct pool_work *work = mem_new(sizeof *work);

    work->node = node;
    work->fn = fn;
    work->after = after;
    work->arg = arg;
    node->works++;
    if (uv_queue_work(&node->worker->loop, &work->uv, work_runs, work_ended))
        bug("%s: the work pool takes no work", node->who);
}

static const kp_host table = {
    .size = sizeof(kp_host),
    .abi_major = KP_ABI_MAJOR,
    .abi_minor = KP_ABI_MINOR,
    .log = log_row,
    .now_ms = clock_mono_ms,
    .wall_ms = clock_wall_ms,
    .extension = extensions_find,
    .info = info_row,
    .fail = node_fail,
    .lane_open = lane_open,
    .lane_close = lane_close,
    .lane_ready = lane_ready,
    .reserve = reserve_row,
    .unreserve = unreserve_row,
    .submit = lane_submit,
    .ended = ended_row,
    .caught_up = caught_up_row,
    .slab_new = slab_new_row,
    .slab_data = slab_data_row,
    .slab_ref = slab_ref,
    .slab_unref = slab_unref,
    .batch_new = batch_new_row,
    .append = batch_append,
    .keep = batch_keep,
    .alloc = batch_alloc,
    .ref = batch_ref,
    .release = hop_release,
    .writable = batch_writable,
    .set = batch_set,
    .point = batch_point,
    .set_key = batch_set_key,
    .set_type = batch_set_type,
    .move = batch_move,
    .derive = batch_derive,
    .group_new = group_new_row,
    .group_take = group_take,
    .group_count = group_count,
    .append_group = batch_append_group,
    .group_free = group_free,
    .deliver = batch_deliver,
    .deliver_all = batch_deliver_all,
    .filter = batch_filter,
    .reject = batch_reject,
    .reject_with = batch_reject_with,
    .retry = batch_retry,
    .emit = hop_emit,
    .done = hop_done,
    .work = work_row,
    .ready = ready_row,
    .count = node_count,
    .lane_about = lane_about,
    .lane_offer = offer_lane,
    .lanes_offered = offer_end,
    .lane_prepare = boundary_prepare,
    .lane_pending = boundary_pending,
    .lane_count = lane_metrics_count,
    .lane_gauge = lane_metrics_gauge,
};

const kp_host *host_table(void)
{
    return &table;
}
