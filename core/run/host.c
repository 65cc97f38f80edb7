/* host.c - see host.h: the course of a run, step by step on main.
 *
 * Main waits by running its loop until something holds; workers nudge it when
 * they have news, and a tick looks at the counters meanwhile.
 */
#include "core/run/host.h"

#include <stdlib.h>
#include <string.h>

#include "core/aws/aws_client.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/config/plan.h"
#include "core/net/http_client.h"
#include "core/plugin/plugins.h"
#include "core/run/flow.h"
#include "core/run/leases.h"
#include "core/run/service.h"

enum {
    TICK_MS = 50,
    BURST_MS = 300, /* signals that come together count as one */
    DEFAULT_DRAIN_MS = 30000,
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

static void set_failure(struct host *host, const char *text)
{
    pthread_mutex_lock(&host->lock);
    if (!host->failure)
        host->failure = mem_dup(text);
    pthread_mutex_unlock(&host->lock);
    host->has_failed = true;
}

void host_failed(struct host *host, const kp_node *node)
{
    set_failure(host, node->failure);
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

struct lease_row *host_lease_row(kp_node *node, const char *lane, kp_position *ret_start)
{
    struct host *host = node->worker->host;

    return host->leases ? leases_row(host->leases, node->flow->index, lane, ret_start) : NULL;
}

const char *host_local_url(const struct host *host)
{
    return host->local ? service_url(host->local) : NULL;
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

static bool fail(struct host *host, struct error *err)
{
    set_failure(host, err->text);
    host->failure_kind = err->kind;
    return false;
}

/* ---- before the flows */

static bool start_local(struct host *host, struct error *err)
{
    const struct host_options *o = &host->options;
    const kp_element *element = o->catalog->find(o->catalog->arg, KP_SERVICE, "local-aws", err);
    const struct service_option options[] = {
        {"listen", o->local_listen ? o->local_listen : "127.0.0.1:0"},
        {"dir", o->local_dir},
        {"no_limits", o->no_limits ? "true" : "false"},
        {"verify_signatures", o->verify_signatures ? "true" : "false"},
        {"durability", o->local_durability},
    };

    if (!element) {
        if (!err->kind)
            error_set(err, ERROR_CONFIG,
                      "the plugin local-aws is not there; use --aws for the real services");
        return false;
    }
    host->local = service_start(host, element, options, sizeof options / sizeof *options, err);
    return host->local && service_wait(host->local, err);
}

static bool make_clients(struct host *host, struct error *err)
{
    host->aws_config = aws_config_new(host_local_url(host), err);
    if (!host->aws_config)
        return false;
    host->http = http_client_new(&host->loop, err);
    if (!host->http)
        return false;
    host->aws = aws_client_new(&host->loop, host->http, host->aws_config);
    return true;
}

static bool provision(struct host *host, const char *action, struct error *err)
{
    const struct catalog *catalog = host->options.catalog;
    const kp_element *element = catalog->find(catalog->arg, KP_PROVISIONER, "provision", err);
    const struct service_option option = {"action", action};
    struct service *service;
    bool ok;

    if (!element) {
        if (!err->kind)
            error_set(err, ERROR_CONFIG, "the plugin provision is not there");
        return false;
    }
    service = service_start(host, element, &option, 1, err);
    ok = service && service_wait(service, err);
    service_stop(service);
    return ok;
}

static bool make_workers(struct host *host, struct error *err)
{
    host->workers = mem_new(host->n_workers * sizeof *host->workers);
    for (uint32_t i = 0; i < host->n_workers; i++) {
        if (!worker_init(&host->workers[i], host, i, err)) {
            host->n_workers = i;
            return false;
        }
        worker_set_aws(&host->workers[i], host->aws_config);
    }
    return true;
}

static void budget_freed(void *arg)
{
    struct host *host = arg;

    for (uint32_t i = 0; i < host->n_workers; i++) {
        host->workers[i].has_room = true;
        inbox_wake(&host->workers[i].inbox);
    }
}

static void make_flows(struct host *host)
{
    const struct plan *plan = host->options.plan;

    host->flow_budgets = mem_new((plan->n_flows + 1) * sizeof *host->flow_budgets);
    host->budget.freed = budget_freed;
    host->budget.arg = host;
    for (size_t f = 0; f < plan->n_flows; f++) {
        host->flow_budgets[f] = (struct budget){.name = plan->flows[f].name,
                                                .limit = plan->flows[f].memory,
                                                .parent = &host->budget,
                                                .freed = budget_freed,
                                                .arg = host};
    }
    for (uint32_t w = 0; w < host->n_workers; w++) {
        struct worker *worker = &host->workers[w];

        worker->flows = mem_new((plan->n_flows + 1) * sizeof *worker->flows);
        for (size_t f = 0; f < plan->n_flows; f++)
            worker->flows[worker->n_flows++] =
                flow_new(&(struct flow_place){.worker = worker,
                                              .plan = &plan->flows[f],
                                              .pipeline = plan->name,
                                              .index = (uint32_t)f,
                                              .home = (uint32_t)f % host->n_workers,
                                              .budget = &host->flow_budgets[f]});
    }
}

struct opening {
    size_t flow;
    bool ok;
    struct error err;
};

static void do_open(struct worker *worker, void *arg)
{
    struct opening *opening = arg;

    opening->ok = flow_open(worker->flows[opening->flow], &opening->err);
}

static bool open_flows(struct host *host, struct error *err)
{
    for (uint32_t w = 0; w < host->n_workers; w++)
        if (!worker_start(&host->workers[w], err))
            return false;
    for (size_t f = 0; f < host->options.plan->n_flows; f++) {
        for (uint32_t w = 0; w < host->n_workers; w++) {
            struct opening opening = {.flow = f};

            worker_call(&host->workers[w], do_open, &opening);
            if (!opening.ok) {
                *err = opening.err;
                return false;
            }
        }
    }
    return true;
}

static bool prepare(struct host *host)
{
    struct error err = ERROR_INIT;
    const struct plan *plan = host->options.plan;

    if (host->options.local_dir && !start_local(host, &err))
        return fail(host, &err);
    if (!make_clients(host, &err))
        return fail(host, &err);
    if (plan->n_resources && !provision(host, "ensure", &err))
        return fail(host, &err);
    if (!make_workers(host, &err))
        return fail(host, &err);
    make_flows(host);
    host->leases =
        leases_new(plan, host->aws, &host->loop, !host->options.local_dir, &host->n_signals);
    if (!leases_load(host->leases, &err) || !open_flows(host, &err))
        return fail(host, &err);
    return true;
}

/* ---- while the flows run */

static void do_start(struct worker *worker, void *arg)
{
    flow_start(worker->flows[*(size_t *)arg]);
}

static void do_stop(struct worker *worker, void *arg)
{
    flow_stop(worker->flows[*(size_t *)arg]);
}

static void all_workers(struct host *host, void (*fn)(struct worker *worker, void *arg), void *arg)
{
    for (uint32_t w = 0; w < host->n_workers; w++)
        if (host->workers[w].runs)
            worker_call(&host->workers[w], fn, arg);
}

/* fn on every flow that answers requests, or every other. */
static void flows_where(struct host *host, bool is_request,
                        void (*fn)(struct worker *worker, void *arg))
{
    for (size_t f = 0; f < host->options.plan->n_flows; f++)
        if (flow_is_request(host_flow(host, (uint32_t)f, 0)) == is_request)
            all_workers(host, fn, &f);
}

static void look_after(struct host *host)
{
    int64_t now = clock_mono_ms();
    int64_t interval = host->options.checkpoint_ms ? host->options.checkpoint_ms
                                                   : host->options.plan->checkpoint_interval_ms;

    if (!host->options.local_dir && interval > 3000)
        interval = 3000; /* leases must be renewed before others take them for lost */
    if (now - host->published_ms >= interval) {
        host->published_ms = now;
        leases_publish(host->leases, false);
    }
    if (host->leases->failure)
        set_failure(host, host->leases->failure);
    if (host->options.progress && now - host->progress_ms >= 1000) {
        host->progress_ms = now;
        host->options.progress(host, host->options.arg);
    }
}

/* Room is short and nothing moves: buffers may hold what the sources wait for. */
static void relieve(struct host *host)
{
    bool is_short = atomic_load(&host->budget.starved);

    for (size_t f = 0; f < host->options.plan->n_flows && !is_short; f++) {
        is_short = atomic_load(&host->flow_budgets[f].starved);
        for (uint32_t w = 0; w < host->n_workers && !is_short; w++)
            is_short = host_flow(host, (uint32_t)f, w)->has_full_lane;
    }
    if (is_short)
        until_flush_quiet(host);
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

    host->started_ms = host->published_ms = host->progress_ms = clock_mono_ms();
    until_init(&host->until, &goal);
    /* Doors first: other flows may knock. */
    flows_where(host, true, do_start);
    flows_where(host, false, do_start);
    while (!host->n_signals && !host->has_failed && !until_look(host, &host->until)) {
        host_turn(host);
        look_after(host);
        relieve(host);
    }
}

/* ---- the end */

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
    flows_where(host, is_request, do_stop);
    while (!is_settled(host, is_request)) {
        if (host->n_signals > 1) /* the first asked for what is going on already */
            return HOST_KILLED;
        if (clock_mono_ms() >= deadline)
            return HOST_DEADLINE;
        until_flush_quiet(host);
        host_turn(host);
        look_after(host);
    }
    return HOST_DONE;
}

static enum host_end drain_all(struct host *host)
{
    int64_t drain_ms = host->options.drain_ms ? host->options.drain_ms : DEFAULT_DRAIN_MS;
    int64_t deadline = clock_mono_ms() + drain_ms;
    enum host_end end = drain(host, false, deadline), doors;

    if (end == HOST_KILLED)
        return end;
    /* Doors last: what drained may have needed them. */
    doors = drain(host, true, deadline);
    return doors != HOST_DONE ? doors : end;
}

static void write_checkpoints(struct host *host)
{
    int64_t deadline = clock_mono_ms() + 10000;
    struct leases *leases = host->leases;

    if (!leases)
        return;
    leases_publish(leases, true);
    /* After a failure nothing is sent any more, but what is under way is waited for. */
    while (leases->failure ? leases->store->is_busy(leases) : !leases_is_clean(leases)) {
        if (clock_mono_ms() >= deadline || host->n_signals > 1) {
            log_warn("leases.left", "text=\"the last checkpoints were not written; some records "
                                    "will be read again\"");
            break;
        }
        host_turn(host);
        if (!leases->failure)
            leases_publish(leases, true);
    }
    if (leases->failure)
        set_failure(host, leases->failure);
}

static uint32_t works_of(const struct flow *flow)
{
    uint32_t works = 0;

    for (uint32_t i = 0; i < flow->n_nodes + flow->has_failure_node; i++)
        works += flow->nodes[i].works;
    return works;
}

/* Closes the flows that have nothing on the pool; *left counts the others. */
static void do_close(struct worker *worker, void *left)
{
    for (size_t f = 0; f < worker->n_flows; f++) {
        if (works_of(worker->flows[f]))
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

static void do_free(struct worker *worker, void *arg)
{
    (void)arg;
    for (size_t f = 0; f < worker->n_flows; f++)
        flow_free(worker->flows[f]);
    worker->n_flows = 0;
}

static void close_flows(struct host *host)
{
    uint32_t left;

    host->is_closing = true;
    for (size_t f = 0; f < host->options.plan->n_flows; f++)
        all_workers(host, do_stop, &f);
    for (;;) {
        left = 0;
        all_workers(host, do_close, &left);
        if (!left)
            break;
        host_turn(host); /* what the pool works on still uses the nodes */
    }
    all_workers(host, do_give_up, NULL);
    all_workers(host, do_give_up, NULL); /* relays may have brought some back */
    host->ended_ms = clock_mono_ms();
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
        all_workers(host, do_free, NULL);
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

    begin(host, options);
    if (!prepare(host)) {
        if (host->workers && host->n_workers && host->workers[0].runs)
            close_flows(host);
        return HOST_FAILED;
    }
    run_flows(host);
    end = drain_all(host);
    if (end != HOST_KILLED)
        write_checkpoints(host);
    if (host->options.progress)
        host->options.progress(host, host->options.arg);
    close_flows(host);
    return host->has_failed ? HOST_FAILED : end;
}

enum host_end host_run_service(struct host *host, const struct host_options *options,
                               void (*ready)(const char *url))
{
    struct error err = ERROR_INIT;

    begin(host, options);
    if (!start_local(host, &err)) {
        fail(host, &err);
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
        ((options->local_dir && !start_local(host, &err)) || !make_clients(host, &err))) {
        fail(host, &err);
        return HOST_FAILED;
    }
    if (!provision(host, action, &err)) {
        fail(host, &err);
        return HOST_FAILED;
    }
    return HOST_DONE;
}

/* ---- for looking */

static bool has_flow(const struct host *host, uint32_t worker, size_t flow)
{
    return host->workers && worker < host->n_workers && flow < host->workers[worker].n_flows;
}

void host_stage_stats(const struct host *host, size_t flow, size_t node, struct stage_stats *ret)
{
    const struct plan_flow *plan = &host->options.plan->flows[flow];
    const struct plan_node *place = node < plan->n_nodes ? &plan->nodes[node] : plan->on_failure;

    *ret = (struct stage_stats){.stage = place->stage, .kind = place->element->kind};
    for (uint32_t w = 0; has_flow(host, w, flow); w++) {
        const struct node_counts *counts = &host->workers[w].flows[flow]->nodes[node].counts;

        ret->read += count_get(&counts->read);
        ret->read_bytes += count_get(&counts->read_bytes);
        ret->passed += count_get(&counts->passed);
        ret->delivered += count_get(&counts->delivered);
        ret->filtered += count_get(&counts->filtered);
        ret->dead_lettered += count_get(&counts->dead_lettered);
        ret->retried += count_get(&counts->retried);
        ret->unsettled += count_get(&counts->unsettled);
    }
}

uint64_t host_open_records(const struct host *host, size_t flow)
{
    uint64_t open = 0;

    for (uint32_t w = 0; has_flow(host, w, flow); w++)
        open += flow_open_records(host->workers[w].flows[flow]);
    return open;
}

/* ---- the catalog */

static bool validate(void *arg, const kp_element *element, const char *stage, const void *config,
                     struct error *err)
{
    kp_node node = {.element = element, .config = config, .info = {.size = sizeof node.info}};
    bool ok;

    (void)arg;
    node.info.pipeline = node.info.flow = node.info.application = node.info.local_dir = "";
    node.info.stage = stage;
    ok = !element->validate || element->validate(&node, config) == KP_OK;
    if (!ok)
        error_set(err, ERROR_CONFIG, "%s",
                  node.failure ? node.failure + strlen(stage) + 2 : "refused without a reason");
    free(node.failure);
    return ok;
}

struct catalog host_catalog(struct plugins *plugins)
{
    struct catalog catalog = plugins_catalog(plugins);

    catalog.validate = validate;
    return catalog;
}
