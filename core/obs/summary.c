/* summary.c - see summary.h. */
#include "core/obs/summary.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/config/plan.h"
#include "core/plugin/describe.h"
#include "core/run/host.h"
#include "core/run/node.h"

static void set(json_t *object, const char *name, uint64_t n)
{
    json_object_set_new(object, name, json_integer((json_int_t)n));
}

static void set_counts(json_t *object, const struct stage_stats *stats)
{
    set(object, "read", stats->read);
    set(object, "delivered", stats->delivered);
    set(object, "filtered", stats->filtered);
    set(object, "dead_lettered", stats->dead_lettered);
    set(object, "retried", stats->retried);
    set(object, "unsettled", stats->unsettled);
}

/* What the plugin counts beside records: errors, throttles, calls. */
static void set_counters(json_t *stage, struct host *host, size_t flow, size_t node)
{
    struct stage_counter counters[NODE_COUNTERS];
    size_t n = host_stage_counters(host, flow, node, counters, NODE_COUNTERS);
    json_t *object;

    if (!n)
        return;
    object = json_object();
    for (size_t i = 0; i < n; i++)
        set(object, counters[i].name, counters[i].value);
    json_object_set_new(stage, "counters", object);
}

static json_t *stage_object(struct host *host, size_t flow, size_t node, struct stage_stats *stats)
{
    json_t *object = json_object();

    host_stage_stats(host, flow, node, stats);
    json_object_set_new(object, "stage", json_string(stats->stage));
    json_object_set_new(object, "kind", json_string(describe_kind(stats->kind)));
    set_counts(object, stats);
    set(object, "read_bytes", stats->read_bytes);
    set(object, "passed", stats->passed);
    set_counters(object, host, flow, node);
    return object;
}

/* The source knows how its records ended; retries happen at the other stages. */
static json_t *flow_object(struct host *host, size_t flow, struct stage_stats *ret_total)
{
    const struct plan_flow *plan = &host->options.plan->flows[flow];
    json_t *object = json_object(), *stages = json_array();
    struct stage_stats total = {0};

    for (size_t i = 0; i < plan->n_nodes + (plan->on_failure != NULL); i++) {
        struct stage_stats stats;

        json_array_append_new(stages, stage_object(host, flow, i, &stats));
        if (i)
            total.retried += stats.retried;
        else
            total = stats;
    }
    total.unsettled += host_open_records(host, flow);
    set_counts(object, &total);
    json_object_set_new(object, "stages", stages);
    ret_total->read += total.read;
    ret_total->delivered += total.delivered;
    ret_total->filtered += total.filtered;
    ret_total->dead_lettered += total.dead_lettered;
    ret_total->retried += total.retried;
    ret_total->unsettled += total.unsettled;
    return object;
}

static json_t *summary_object(struct host *host, int exit_code)
{
    json_t *object = json_object(), *flows = json_object();
    struct stage_stats total = {0};
    struct rusage usage;
    const char *failure = host_failure(host);

    getrusage(RUSAGE_SELF, &usage);
    for (size_t i = 0; i < host->options.plan->n_flows; i++)
        json_object_set_new(flows, host->options.plan->flows[i].name, flow_object(host, i, &total));
    json_object_set_new(object, "pipeline", json_string(host->options.plan->name));
    json_object_set_new(object, "exit_code", json_integer(exit_code));
    if (failure)
        json_object_set_new(object, "failure", json_string(failure));
    json_object_set_new(object, "seconds", json_real(host_seconds(host)));
    json_object_set_new(object, "cpu_seconds", json_real((double)clock_cpu_ns() / 1e9));
    set(object, "peak_rss_bytes", (uint64_t)usage.ru_maxrss * 1024);
    set_counts(object, &total);
    json_object_set_new(object, "flows", flows);
    return object;
}

/* Something else than a file, such as /dev/stdout, must not be replaced by one. */
static bool is_special(const char *path)
{
    struct stat st;

    return !stat(path, &st) && !S_ISREG(st.st_mode);
}

bool summary_write(struct host *host, int exit_code, const char *path, struct error *err)
{
    bool in_place = is_special(path), ok;
    char *next = in_place ? mem_dup(path) : mem_fmt("%s.next", path);
    json_t *object = summary_object(host, exit_code);

    errno = 0;
    ok = !json_dump_file(object, next, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    if (ok && !in_place)
        ok = !rename(next, path);
    if (!ok) {
        error_sys(err, errno ? errno : EIO, "cannot write the summary %s", path);
        if (!in_place)
            unlink(next);
    }
    json_decref(object);
    free(next);
    return ok;
}
