/* leases.c - see leases.h. */
#include "core/run/leases.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/config/plan.h"
#include "core/lease/thread.h"
#include "core/run/flow.h"
#include "core/run/host.h"
#include "core/run/lane.h"
#include "core/run/node.h"

enum {
    CHECKPOINT_MS = 5000,
    CALLS_MAX = 48, /* under way at a time, per table: what one set of connections carries */
};

struct leases {
    struct host *host; /* [borrowed] */
    struct lease_thread *thread;
    struct lease_flow *flows; /* [owned, and its tables] */
    uint32_t n_flows;
    char *worker;            /* [owned] our id */
    _Atomic uint32_t *loads; /* [owned] lanes per flow and worker */
};

static _Atomic uint32_t *load_of(struct leases *leases, uint32_t flow, uint32_t worker)
{
    return &leases->loads[flow * leases->host->n_workers + worker];
}

/* ---- orders, from the lease thread to a worker */

enum order_kind { ORDER_GRANT, ORDER_REVOKE, ORDER_LOST, ORDER_OFFER };

struct order {
    struct post post; /* must be first */
    struct leases *leases;
    uint32_t flow, worker;
    struct lease_row *row;
    enum order_kind kind;
    /* Of a grant, as they stood then. */
    char text[KP_POSITION_MAX + 1];
    uint64_t sub;
    char *about[4]; /* [owned] parents, low and high hash key; NULL: not known */
};

static kp_node *source_of(const struct order *order)
{
    return flow_source(host_flow(order->leases->host, order->flow, order->worker));
}

static bool is_running(const kp_node *node)
{
    return node->is_started && !node->is_stopped && !node->has_failed;
}

static kp_slice slice_of(const char *text)
{
    return (kp_slice){text, text ? strlen(text) : 0};
}

/* A source that has stopped or failed gets no lanes any more: the run ends, and with it the lease.
 */
static void do_grant(struct order *order)
{
    kp_node *node = source_of(order);
    kp_grant grant = {.size = sizeof grant,
                      .name = slice_of(order->row->name),
                      .start = {slice_of(order->text), order->sub},
                      .about = {.size = sizeof grant.about,
                                .parents = {slice_of(order->about[0]), slice_of(order->about[1])},
                                .low_hash = slice_of(order->about[2]),
                                .high_hash = slice_of(order->about[3])}};

    order->row->is_out = true;
    if (!is_running(node))
        return;
    node->granting = order->row;
    node->element->grant(node, node->state, &grant);
    node->granting = NULL;
}

static void do_revoke(struct order *order)
{
    kp_node *node = source_of(order);
    kp_lane *lane = order->row->host;

    if (!lane && order->row->is_out)
        leases_drained(node, order->row);
    if (!lane || !node->is_open)
        return; /* it has been told back already, or will be with the end of the run */
    if (order->kind == ORDER_LOST)
        lane->is_lost = true;
    if (!lane->is_closed && node->is_started && !node->is_stopped)
        node->element->revoke(node, node->state, lane, lane->state, order->kind == ORDER_LOST);
    if (order->kind == ORDER_LOST)
        lane_give_up(lane);
}

static void do_order(struct post *post)
{
    struct order *order = (struct order *)(void *)post;
    kp_node *node = source_of(order);

    if (order->kind == ORDER_GRANT)
        do_grant(order);
    else if (order->kind != ORDER_OFFER)
        do_revoke(order);
    else if (is_running(node))
        node->element->offer(node, node->state);
    for (size_t i = 0; i < sizeof order->about / sizeof *order->about; i++)
        free(order->about[i]);
    free(order);
}

static void keep_about(struct order *order)
{
    kp_lane_about about;

    lease_row_get_about(order->row, &about);
    for (size_t i = 0; i < sizeof order->about / sizeof *order->about; i++) {
        kp_slice slice = i < 2 ? about.parents[i] : i == 2 ? about.low_hash : about.high_hash;

        order->about[i] = slice.len ? mem_dupn(slice.ptr, slice.len) : NULL;
    }
}

static void send_order(struct leases *leases, uint32_t flow, struct lease_row *row,
                       enum order_kind kind)
{
    struct order *order = mem_new(sizeof *order);

    *order = (struct order){.leases = leases, .flow = flow, .row = row, .kind = kind};
    order->post.run = do_order;
    if (row) {
        order->worker = row->where;
        lease_row_position(row, order->text, &order->sub);
    }
    if (kind == ORDER_GRANT)
        keep_about(order);
    inbox_post(&leases->host->workers[order->worker].inbox, &order->post);
}

/* ---- what the lease thread tells */

static void granted(void *arg, uint32_t flow, struct lease_row *row)
{
    struct leases *leases = arg;
    uint32_t best = 0;

    for (uint32_t w = 1; w < leases->host->n_workers; w++)
        if (*load_of(leases, flow, w) < *load_of(leases, flow, best))
            best = w;
    row->where = best;
    ++*load_of(leases, flow, best);
    send_order(leases, flow, row, ORDER_GRANT);
}

static void revoked(void *arg, uint32_t flow, struct lease_row *row, bool is_lost)
{
    send_order(arg, flow, row, is_lost ? ORDER_LOST : ORDER_REVOKE);
}

static void list_wanted(void *arg, uint32_t flow)
{
    send_order(arg, flow, NULL, ORDER_OFFER);
}

static void changed(void *arg)
{
    host_nudge(((struct leases *)arg)->host);
}

/* ---- life */

static char *make_worker_id(void)
{
    char host[65] = "host";

    gethostname(host, sizeof host - 1);
    return mem_fmt(FLEET_ID_PREFIX "%s:%d:%llx", host, (int)getpid(),
                   (unsigned long long)clock_wall_ms());
}

static struct fleet_config fleet_config_of(struct leases *leases, const struct plan *plan)
{
    const struct plan_coordination *c = &plan->coordination;
    int64_t checkpoint = leases->host->options.checkpoint_ms;

    if (!checkpoint)
        checkpoint = plan->checkpoint_interval_ms ? plan->checkpoint_interval_ms : CHECKPOINT_MS;
    return (struct fleet_config){.worker = leases->worker,
                                 .layout = (enum fleet_layout)c->layout,
                                 .failover_ms = c->failover_ms,
                                 .checkpoint_ms = checkpoint,
                                 .hand_over_ms = c->hand_over_ms,
                                 .max_leases = c->max_leases,
                                 .max_steals = c->max_steals,
                                 .calls = CALLS_MAX,
                                 .by_count = c->by_count,
                                 .seed = (uint64_t)clock_mono_ns() | 1};
}

struct leases *leases_new(struct host *host, struct error *err)
{
    const struct plan *plan = host->options.plan;
    struct leases *leases = mem_new(sizeof *leases);
    struct lease_thread_config config = {
        .leases = plan->leases,
        .application = plan->application,
        .n_flows = (uint32_t)plan->n_flows,
        .aws = host->aws_config,
        .is_private = host->options.local_dir != NULL,
        .ops = {granted, revoked, list_wanted, changed},
        .arg = leases,
    };

    leases->host = host;
    leases->n_flows = config.n_flows;
    leases->flows = mem_new((plan->n_flows + 1) * sizeof *leases->flows);
    leases->loads = mem_new((plan->n_flows + 1) * host->n_workers * sizeof *leases->loads);
    leases->worker = plan->coordination.worker
                         ? mem_fmt(FLEET_ID_PREFIX "%s", plan->coordination.worker)
                         : make_worker_id();
    for (uint32_t i = 0; i < config.n_flows; i++)
        leases->flows[i] = (struct lease_flow){
            .name = plan->flows[i].name,
            .table = plan_lease_table(plan, i),
            .is_shared = node_offers(plan->flows[i].nodes[0].element),
        };
    config.flows = leases->flows;
    config.fleet = fleet_config_of(leases, plan);
    leases->thread = lease_thread_new(&config, err);
    if (leases->thread)
        return leases;
    leases_free(leases);
    return NULL;
}

void leases_free(struct leases *leases)
{
    if (!leases)
        return;
    lease_thread_free(leases->thread);
    for (uint32_t i = 0; i < leases->n_flows; i++)
        free((void *)(uintptr_t)leases->flows[i].table);
    free(leases->flows);
    free((void *)leases->loads);
    free(leases->worker);
    free(leases);
}

bool leases_load(struct leases *leases, struct error *err)
{
    while (!lease_thread_is_loaded(leases->thread)) {
        enum error_kind kind;
        const char *failure = lease_thread_failure(leases->thread, &kind);

        if (failure) {
            error_set(err, kind, "%s", failure);
            return false;
        }
        if (leases->host->n_signals) {
            error_set(err, ERROR_FAILED, "stopped by a signal while the lease table was read");
            return false;
        }
        host_turn(leases->host);
    }
    return true;
}

void leases_begin(struct leases *leases)
{
    lease_thread_begin(leases->thread);
}

const char *leases_failure(const struct leases *leases)
{
    return lease_thread_failure(leases->thread, NULL);
}

bool leases_are_settled(const struct leases *leases, uint32_t flow)
{
    return lease_thread_is_settled(leases->thread, flow);
}

uint64_t leases_grants(const struct leases *leases, uint32_t flow)
{
    return lease_thread_grants(leases->thread, flow);
}

void leases_release(struct leases *leases)
{
    lease_thread_release(leases->thread);
}

bool leases_are_released(const struct leases *leases)
{
    return lease_thread_is_released(leases->thread);
}

void leases_silence(struct leases *leases)
{
    if (leases)
        lease_thread_silence(leases->thread);
}

bool leases_are_silent(const struct leases *leases)
{
    return lease_thread_is_silent(leases->thread);
}

/* ---- for lanes */

static struct leases *leases_of(const kp_node *node)
{
    return node->worker->host->leases;
}

struct lease_row *leases_row(kp_node *node, const char *lane)
{
    struct leases *leases = leases_of(node);

    if (node->granting && !strcmp(node->granting->name, lane))
        return node->granting;
    if (node_offers(node->element))
        return NULL; /* not asked for: it keeps no position */
    return leases ? lease_thread_own(leases->thread, node->flow->index, lane) : NULL;
}

void leases_drained(kp_node *node, struct lease_row *row)
{
    struct leases *leases = leases_of(node);

    if (!row->is_out)
        return;
    row->host = NULL;
    row->is_out = false;
    --*load_of(leases, node->flow->index, row->where);
    lease_thread_drained(leases->thread, row);
}

void leases_offer(kp_node *node, struct listing *listing)
{
    lease_thread_list(leases_of(node)->thread, node->flow->index, listing);
}

bool leases_row_is_stale(const struct lease_row *row)
{
    return clock_mono_ms() >= row->valid_until;
}

void leases_give_up(kp_node *node, struct lease_row *row)
{
    row->is_given_up = true;
    leases_wake(node);
}

void leases_wake(kp_node *node)
{
    struct leases *leases = leases_of(node);

    if (leases) /* a lane of a test has none */
        lease_thread_wake(leases->thread);
}
