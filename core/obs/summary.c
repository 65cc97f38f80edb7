/* summary.c - see summary.h. */
#include "core/obs/summary.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/config/plan.h"
#include "core/plugin/describe.h"
#include "core/run/host.h"

enum { SUMMARY_LANES = 1000 };

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
    struct stage_counter counters[STAGE_COUNTERS];
    size_t n = host_stage_counters(host, flow, node, counters, STAGE_COUNTERS);
    json_t *object;

    if (!n)
        return;
    object = json_object();
    for (size_t i = 0; i < n; i++)
        set(object, counters[i].name, counters[i].value);
    json_object_set_new(stage, "counters", object);
}

/* ---- lanes */

static int64_t behind_of(const struct lane_stats *lane)
{
    for (uint32_t i = 0; i < lane->n; i++)
        if (!strcmp(lane->stats[i].name, "millis_behind_latest"))
            return lane->stats[i].value;
    return -1;
}

static int by_lag(const void *a, const void *b)
{
    int64_t x = behind_of(a), y = behind_of(b);

    return (x < y) - (x > y);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct lane_stats *)a)->lane, ((const struct lane_stats *)b)->lane);
}

static json_t *lane_object(const struct lane_stats *lane)
{
    json_t *object = json_object();

    for (uint32_t i = 0; i < lane->n; i++)
        json_object_set_new(object, lane->stats[i].name, json_integer(lane->stats[i].value));
    return object;
}

/* Of very many lanes those that are furthest behind are shown; the counters of all are in those of
 * the source. A name that is no UTF-8 cannot be in JSON and is left out. */
static void set_lanes(json_t *flow, struct host *host, size_t index)
{
    size_t n, shown;
    struct lane_stats *lanes = host_lane_stats(host, index, true, &n);
    json_t *object;

    if (!n)
        return;
    shown = n < SUMMARY_LANES ? n : SUMMARY_LANES;
    if (shown < n) {
        qsort(lanes, n, sizeof *lanes, by_lag);
        qsort(lanes, shown, sizeof *lanes, by_name);
    }
    object = json_object();
    for (size_t i = 0; i < shown; i++)
        json_object_set_new(object, lanes[i].lane, lane_object(&lanes[i]));
    json_object_set_new(flow, "lanes", object);
    if (shown < n)
        set(flow, "lanes_left_out", n - shown);
    host_lane_stats_free(lanes, n);
}

/* ---- flows */

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
    set_lanes(object, host, flow);
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
