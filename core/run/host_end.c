/* host_end.c - how a run ends: lanes drain, the last checkpoints are written, stages close. */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/config/plan.h"
#include "core/run/flow.h"
#include "core/run/host_internal.h"
#include "core/run/leases.h"

enum { DEFAULT_DRAIN_MS = 30000, RELEASE_MS = 10000 };

static void do_stop(struct worker *worker, void *arg)
{
    flow_stop(worker->flows[*(size_t *)arg]);
}

static bool is_settled(struct host *host, bool is_request)
{
    for (size_t f = 0; f < host->options.plan->n_flows; f++) {
        bool is_failed = false;

        if (flow_is_request(host_flow(host, (uint32_t)f, 0)) != is_request)
            continue;
        for (uint32_t w = 0; w < host->n_workers; w++) {
            struct flow *flow = host_flow(host, (uint32_t)f, w);

            for (uint32_t i = 0; i < flow->n_nodes + flow->has_failure_node; i++)
                is_failed |= flow->nodes[i].has_failed;
        }
        if (!is_failed && host_open_records(host, f))
            return false;
    }
    return true;
}

/* Stops the sources of one kind and waits for their records. */
static enum host_end drain(struct host *host, bool is_request, int64_t deadline)
{
    host_flows_where(host, is_request, do_stop);
    while (!is_settled(host, is_request)) {
        if (host->n_signals > 1) /* the first asked for what is going on already */
            return HOST_KILLED;
        if (clock_mono_ms() >= deadline)
            return HOST_DEADLINE;
        for (size_t f = 0; f < host->options.plan->n_flows; f++)
            until_flush_quiet(host, f);
        host_turn(host);
        host_look_after(host);
    }
    return HOST_DONE;
}

static void count_untold(struct worker *worker, void *left)
{
    for (size_t f = 0; f < worker->n_flows; f++)
        *(uint32_t *)left += flow_source(worker->flows[f])->untold;
}

/* Sources hear how their last batches ended: only then do watermarks stand where they belong. */
static void hear_all(struct host *host)
{
    uint32_t left;

    for (;;) {
        left = 0;
        host_all_workers(host, count_untold, &left);
        if (!left || host->n_signals > 1)
            return;
        host_turn(host);
    }
}

enum host_end host_drain(struct host *host)
{
    int64_t drain_ms = host->options.drain_ms ? host->options.drain_ms : DEFAULT_DRAIN_MS;
    int64_t deadline = clock_mono_ms() + drain_ms;
    enum host_end end = drain(host, false, deadline), doors;

    if (end == HOST_KILLED)
        return end;
    /* Doors last: what drained may have needed them. */
    doors = drain(host, true, deadline);
    hear_all(host);
    return doors != HOST_DONE ? doors : end;
}

void host_write_checkpoints(struct host *host)
{
    int64_t deadline = clock_mono_ms() + RELEASE_MS;

    if (!host->leases)
        return;
    leases_release(host->leases);
    while (!leases_are_released(host->leases) && !leases_failure(host->leases)) {
        if (clock_mono_ms() >= deadline || host->n_signals > 1) {
            log_warn("leases.left", "text=\"the last checkpoints were not written; some records "
                                    "will be read again\"");
            break;
        }
        host_turn(host);
    }
    if (leases_failure(host->leases))
        host_set_failure(host, leases_failure(host->leases));
}

/* Something is on the pool, or a source has not heard yet how a batch ended. */
static bool is_busy(const struct flow *flow)
{
    for (uint32_t i = 0; i < flow->n_nodes + flow->has_failure_node; i++)
        if (flow->nodes[i].works || flow->nodes[i].untold)
            return true;
    return false;
}

/* Closes the flows that are not busy; *left counts the others. */
static void do_close(struct worker *worker, void *left)
{
    for (size_t f = 0; f < worker->n_flows; f++) {
        if (is_busy(worker->flows[f]))
            ++*(uint32_t *)left;
        else
            flow_close(worker->flows[f]);
    }
}

static void do_give_up(struct worker *worker, void *arg)
{
    (void)arg;
    for (size_t f = 0; f < worker->n_flows; f++)
        flow_give_up(worker->flows[f]);
}

void host_close_flows(struct host *host)
{
    uint32_t left;

    host->is_closing = true;
    leases_silence(host->leases); /* an order must not meet a flow that is gone */
    for (size_t f = 0; f < host->options.plan->n_flows; f++)
        host_all_workers(host, do_stop, &f);
    for (;;) {
        left = 0;
        host_all_workers(host, do_close, &left);
        if (!left)
            break;
        host_turn(host); /* what the pool works on still uses the nodes */
    }
    host_all_workers(host, do_give_up, NULL);
    host_all_workers(host, do_give_up, NULL); /* relays may have brought some back */
    host->ended_ms = clock_mono_ms();
}
