/* host.c - see host.h: the course of a run, step by step on main.
 *
 * Main waits by running its loop until something holds; workers nudge it when
 * they have news, and a tick looks at the counters meanwhile.
 */
#include "core/run/host_internal.h"

#include <stdlib.h>
#include <string.h>

#include "core/aws/aws_client.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/config/plan.h"
#include "core/net/http_client.h"
#include "core/run/flow.h"
#include "core/run/leases.h"
#include "core/run/rest.h"
#include "core/run/service.h"

enum {
    TICK_MS = 50,
    BURST_MS = 300, /* signals that come together count as one */
    DEFAULT_MEMORY = 256 << 20,
};

/* ---- small things others ask for */

struct flow *host_flow(struct host *host, uint32_t flow, uint32_t worker)
{
    return host->workers[worker].flows[flow];
}

struct budget *host_budget(struct host *host)
{
    return &host->budget;
}

struct aws_config *host_aws_config(struct host *host)
{
    return host->aws_config;
}

void host_nudge(struct host *host)
{
    inbox_wake(&host->inbox);
}

void host_info(struct host *host, kp_info *ret)
{
    const struct plan *plan = host->options.plan;

    *ret = (kp_info){.size = sizeof *ret,
                     .n_workers = host->n_workers,
                     .pipeline = plan ? plan->name : "",
                     .application = plan ? plan->application : "",
                     .local = host->options.local_dir != NULL,
                     .no_limits = host->options.no_limits,
                     .local_dir = host->options.local_dir ? host->options.local_dir : "",
                     .resources = plan ? (const kp_resource *const *)plan->resources : NULL,
                     .n_resources = plan ? plan->n_resources : 0};
}

void host_set_failure(struct host *host, const char *text)
{
    pthread_mutex_lock(&host->lock);
    if (!host->failure)
        host->failure = mem_dup(text);
    pthread_mutex_unlock(&host->lock);
    host->has_failed = true;
}

void host_failed(struct host *host, const kp_node *node)
{
    host_set_failure(host, node->failure);
    host_nudge(host);
}

bool host_is_over(const struct host *host)
{
    return host->is_closing || host->has_failed;
}

const char *host_failure(struct host *host)
{
    return host->has_failed ? host->failure : NULL;
}

bool host_is_misconfigured(const struct host *host)
{
    return host->failure_kind == ERROR_CONFIG && !host->started_ms;
}

const char *host_local_url(const struct host *host)
{
    return host->local ? service_url(host->local) : host->options.local_url;
}

double host_seconds(const struct host *host)
{
    int64_t end = host->ended_ms ? host->ended_ms : clock_mono_ms();

    return host->started_ms ? (double)(end - host->started_ms) / 1000 : 0;
}

/* ---- main's loop */

static void signalled(uv_signal_t *uv, int number)
{
    struct host *host = uv->data;
    int64_t now = clock_mono_ms();

    /* timeout(1), for one, sends its signal to us and to our process group. */
    if (host->n_signals && now - host->signalled_ms < BURST_MS)
        return;
    host->signalled_ms = now;
    host->n_signals++;
    log_info("run.stopping", "signal=%d", number);
}

static void ticked(uv_timer_t *uv)
{
    (void)uv; /* only wakes the loop */
}

static void begin(struct host *host, const struct host_options *options)
{
    static const int numbers[HOST_SIGNALS] = {SIGINT, SIGTERM};

    *host = (struct host){.options = *options};
    pthread_mutex_init(&host->lock, NULL);
    uv_loop_init(&host->loop);
    inbox_init(&host->inbox, &host->loop);
    uv_timer_init(&host->loop, &host->tick);
    /* Repeats: libuv runs timers before it waits, and would wait for ever after the only one. */
    uv_timer_start(&host->tick, ticked, TICK_MS, TICK_MS);
    for (int i = 0; i < HOST_SIGNALS; i++) {
        uv_signal_init(&host->loop, &host->signals[i]);
        host->signals[i].data = host;
        uv_signal_start(&host->signals[i], signalled, numbers[i]);
    }
    host->n_workers =
        options->n_workers ? options->n_workers : (uint32_t)uv_available_parallelism();
    host->budget.name = "process";
    host->budget.limit = options->memory_bytes ? options->memory_bytes : DEFAULT_MEMORY;
}

void host_turn(struct host *host)
{
    uv_run(&host->loop, UV_RUN_ONCE);
}

bool host_fail(struct host *host, struct error *err)
{
    host_set_failure(host, err->text);
    host->failure_kind = err->kind;
    return false;
}

/* ---- while the flows run */

static void do_start(struct worker *worker, void *arg)
{
    flow_start(worker->flows[*(size_t *)arg]);
}

void host_all_workers(struct host *host, void (*fn)(struct worker *worker, void *arg), void *arg)
{
    for (uint32_t w = 0; w < host->n_workers; w++)
        if (host->workers[w].runs)
            worker_call(&host->workers[w], fn, arg);
}

/* fn on every flow that answers requests, or every other. */
void host_flows_where(struct host *host, bool is_request,
                      void (*fn)(struct worker *worker, void *arg))
{
    for (size_t f = 0; f < host->options.plan->n_flows; f++)
        if (flow_is_request(host_flow(host, (uint32_t)f, 0)) == is_request)
            host_all_workers(host, fn, &f);
}

static void look_at_rest(struct host *host, int64_t now)
{
    uint64_t activity = 0;

    for (uint32_t w = 0; w < host->n_workers; w++)
        for (size_t f = 0; f < host->workers[w].n_flows; f++)
            activity += count_get(&host->workers[w].flows[f]->activity);
    if (rest_is_due(&host->rest, activity, now))
        rest_give_back();
}

void host_look_after(struct host *host)
{
    int64_t now = clock_mono_ms();

    if (leases_failure(host->leases))
        host_set_failure(host, leases_failure(host->leases));
    if (host->options.progress && now - host->progress_ms >= 1000) {
        host->progress_ms = now;
        host->options.progress(host, host->options.arg);
    }
    look_at_rest(host, now);
}

static bool is_short_of_room(struct host *host, uint32_t flow)
{
    bool is_short =
        atomic_load(&host->budget.starved) || atomic_load(&host->flow_budgets[flow].starved);

    for (uint32_t w = 0; w < host->n_workers && !is_short; w++)
        is_short = host_flow(host, flow, w)->has_full_lane;
    return is_short;
}

/* Room is short and nothing moves: buffers may hold what the sources wait for. */
static void relieve(struct host *host)
{
    for (uint32_t f = 0; f < host->options.plan->n_flows; f++)
        if (is_short_of_room(host, f))
            until_flush_quiet(host, f);
}

/* A pipeline that can come to its end by itself does, whether or not anybody said so. */
static struct until_goal goal_of(const struct host *host)
{
    struct until_goal goal = host->options.until;
    bool all_bounded = true;

    for (size_t f = 0; f < host->options.plan->n_flows; f++)
        all_bounded &= (host->options.plan->flows[f].nodes[0].element->flags & KP_BOUNDED) != 0;
    if (goal.kind == UNTIL_STOPPED && all_bounded)
        goal.kind = UNTIL_END;
    return goal;
}

static void run_flows(struct host *host)
{
    const struct until_goal goal = goal_of(host);

    host->started_ms = host->progress_ms = clock_mono_ms();
    until_init(&host->until, &goal);
    /* Doors first: other flows may knock. */
    host_flows_where(host, true, do_start);
    host_flows_where(host, false, do_start);
    leases_begin(host->leases);
    while (!host->n_signals && !host->has_failed && !until_look(host, &host->until)) {
        host_turn(host);
        host_look_after(host);
        relieve(host);
    }
}

/* ---- the end */

static void do_free(struct worker *worker, void *arg)
{
    (void)arg;
    for (size_t f = 0; f < worker->n_flows; f++)
        flow_free(worker->flows[f]);
    worker->n_flows = 0;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void host_free(struct host *host)
{
    bool ran = host->workers && host->n_workers && host->workers[0].runs;

    if (ran)
        host_all_workers(host, do_free, NULL);
    service_stop(host->local);
    host->budget.freed = NULL; /* nobody has record memory any more */
    for (uint32_t w = 0; host->workers && w < host->n_workers; w++) {
        if (!host->workers[w].runs)
            do_free(&host->workers[w], NULL);
        worker_fini(&host->workers[w]);
    }
    leases_free(host->leases);
    aws_client_free(host->aws);
    http_client_free(host->http);
    aws_config_free(host->aws_config);
    inbox_fini(&host->inbox);
    uv_walk(&host->loop, close_handle, NULL);
    uv_run(&host->loop, UV_RUN_DEFAULT);
    uv_loop_close(&host->loop);
    pthread_mutex_destroy(&host->lock);
    free(host->workers);
    free(host->flow_budgets);
    free(host->failure);
}

enum host_end host_run(struct host *host, const struct host_options *options)
{
    enum host_end end = HOST_DONE;
    struct error err = ERROR_INIT;

    begin(host, options);
    if (options->begun && !options->begun(host, options->arg, &err)) {
        host_fail(host, &err);
        return HOST_FAILED;
    }
    if (!host_prepare(host)) {
        if (host->workers && host->n_workers && host->workers[0].runs)
            host_close_flows(host);
        return HOST_FAILED;
    }
    run_flows(host);
    end = host_drain(host);
    if (end != HOST_KILLED)
        host_write_checkpoints(host);
    if (host->options.progress)
        host->options.progress(host, host->options.arg);
    host_close_flows(host);
    return host->has_failed ? HOST_FAILED : end;
}

enum host_end host_run_service(struct host *host, const struct host_options *options,
                               void (*ready)(const char *url))
{
    struct error err = ERROR_INIT;

    begin(host, options);
    if (!host_start_local(host, &err)) {
        host_fail(host, &err);
        return HOST_FAILED;
    }
    ready(host_local_url(host));
    while (!host->n_signals && !host->has_failed)
        host_turn(host);
    return host->has_failed ? HOST_FAILED : HOST_DONE;
}

enum host_end host_provision(struct host *host, const struct host_options *options,
                             const char *action)
{
    struct error err = ERROR_INIT;

    begin(host, options);
    if (strcmp(action, "synth") != 0 &&
        ((options->local_dir && !host_start_local(host, &err)) || !host_make_clients(host, &err))) {
        host_fail(host, &err);
        return HOST_FAILED;
    }
    if (!host_ensure(host, action, &err)) {
        host_fail(host, &err);
        return HOST_FAILED;
    }
    return HOST_DONE;
}

bool host_connect(struct host *host, const struct host_options *options)
{
    struct error err = ERROR_INIT;

    begin(host, options);
    if (strcmp(options->plan->leases, "dynamodb") != 0)
        return true;
    if (options->local_dir && !options->local_url && !host_start_local(host, &err))
        return host_fail(host, &err);
    return host_make_clients(host, &err) || host_fail(host, &err);
}
