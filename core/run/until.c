/* until.c - see until.h. All flows are looked at from main, through their counters. */
#include "core/run/until.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/units.h"
#include "core/config/plan.h"
#include "core/run/flow.h"
#include "core/run/host.h"
#include "core/run/leases.h"

enum { QUIET_MS = 150 }; /* no record moved for so long: stages are asked for what they hold */

static bool read_count(const char *text, int64_t *ret)
{
    char *end;

    errno = 0;
    if (*text < '0' || *text > '9')
        return false;
    *ret = strtoll(text, &end, 10);
    return !*end && !errno && *ret > 0;
}

bool until_parse(const char *text, struct until_goal *ret, struct error *err)
{
    *ret = (struct until_goal){UNTIL_STOPPED, 0};
    if (!strcmp(text, "end"))
        ret->kind = UNTIL_END;
    else if (!strncmp(text, "idle:", 5) && units_duration(text + 5, &ret->value))
        ret->kind = UNTIL_IDLE;
    else if (!strncmp(text, "time:", 5) && units_duration(text + 5, &ret->value))
        ret->kind = UNTIL_TIME;
    else if (!strncmp(text, "records:", 8) && read_count(text + 8, &ret->value))
        ret->kind = UNTIL_RECORDS;
    if (ret->kind != UNTIL_STOPPED)
        return true;
    error_set(err, ERROR_CONFIG, "--until wants end, idle:30s, records:1000 or time:5m, not \"%s\"",
              text);
    return false;
}

void until_init(struct until *until, const struct until_goal *goal)
{
    *until = (struct until){.goal = *goal, .active_ms = clock_mono_ms()};
}

static void do_flush(struct worker *worker, void *arg)
{
    flow_flush(worker->flows[*(size_t *)arg]);
}

static void do_catch_up(struct worker *worker, void *arg)
{
    flow_catch_up(worker->flows[*(size_t *)arg]);
}

static void on_all_workers(struct host *host, size_t flow,
                           void (*fn)(struct worker *worker, void *arg))
{
    for (uint32_t i = 0; i < host->n_workers; i++)
        worker_call(&host->workers[i], fn, &flow);
}

/* What a flow did, in one number that changes with every record. */
static uint64_t activity_of(struct host *host, size_t flow)
{
    uint64_t sum = 0;

    for (uint32_t w = 0; w < host->n_workers; w++)
        sum += count_get(&host_flow(host, (uint32_t)flow, w)->activity);
    return sum;
}

static bool is_idle(struct host *host, struct until *until)
{
    uint64_t activity = 0;

    for (size_t i = 0; i < host->options.plan->n_flows; i++)
        activity += activity_of(host, i);
    if (activity != until->activity) {
        until->activity = activity;
        until->active_ms = clock_mono_ms();
    }
    return clock_mono_ms() - until->active_ms >= until->goal.value;
}

/* Each flow for itself: a busy door must not keep another flow's buffers full. */
static bool is_quiet(struct host *host, size_t flow)
{
    struct flow_watch *watch = &host_flow(host, (uint32_t)flow, 0)->watch;
    uint64_t activity = activity_of(host, flow);
    int64_t now = clock_mono_ms();

    if (activity != watch->activity) {
        watch->activity = activity;
        watch->active_ms = now;
    }
    return now - watch->active_ms >= QUIET_MS && now - watch->flushed_ms >= QUIET_MS;
}

void until_flush_quiet(struct host *host, size_t flow)
{
    if (!is_quiet(host, flow) || !host_open_records(host, flow))
        return;
    host_flow(host, (uint32_t)flow, 0)->watch.flushed_ms = clock_mono_ms();
    on_all_workers(host, flow, do_flush);
}

struct look {
    bool all_ended;          /* bounded sources */
    bool all_caught_up;      /* streams */
    bool is_settled;         /* but for requests under way */
    bool is_bounded_settled; /* what bounded sources read */
    bool has_stream;
    uint64_t stream_read;
    uint64_t most_read; /* by one flow */
};

static void look_at(struct host *host, uint32_t flow, struct look *look)
{
    const struct plan_flow *plan = &host->options.plan->flows[flow];
    uint32_t flags = plan->nodes[0].element->flags;
    uint64_t read = 0;

    for (uint32_t w = 0; w < host->n_workers; w++) {
        struct flow *instance = host_flow(host, flow, w);

        if (flags & KP_BOUNDED && !instance->has_ended)
            look->all_ended = false;
        if (flags & KP_STREAM && !instance->has_caught_up)
            look->all_caught_up = false;
        /* After the flags: what was read before they were set must be seen. */
        read += count_get(&instance->nodes[0].counts.read);
    }
    if (read > look->most_read)
        look->most_read = read;
    if (flags & KP_STREAM) {
        look->has_stream = true;
        /* Lanes that were granted meanwhile may hold what came before: another round. */
        look->stream_read += read + leases_grants(host->leases, flow);
        look->all_caught_up &= leases_are_settled(host->leases, flow);
    }
    if (!(flags & KP_REQUEST) && host_open_records(host, flow)) {
        look->is_settled = false;
        look->is_bounded_settled &= !(flags & KP_BOUNDED);
    }
}

static struct look look_at_all(struct host *host)
{
    struct look look = {
        .all_ended = true, .all_caught_up = true, .is_settled = true, .is_bounded_settled = true};

    for (uint32_t i = 0; i < host->options.plan->n_flows; i++)
        look_at(host, i, &look);
    return look;
}

static void catch_up_all(struct host *host)
{
    for (size_t i = 0; i < host->options.plan->n_flows; i++)
        if (flow_is_stream(host_flow(host, (uint32_t)i, 0)))
            on_all_workers(host, i, do_catch_up);
}

static void flush_quiet(struct host *host, bool bounded_only)
{
    for (size_t i = 0; i < host->options.plan->n_flows; i++)
        if (!bounded_only || host->options.plan->flows[i].nodes[0].element->flags & KP_BOUNDED)
            until_flush_quiet(host, i);
}

/* Bounded flows first. Then the streams are asked to catch up, so that no buffer is emptied while
 * its stream still has more for it. Then come the rounds: one begins when all is settled, so what
 * one flow wrote for another was written before it. */
static bool has_reached_end(struct host *host, struct until *until)
{
    struct look look = look_at_all(host);

    if (!look.all_ended)
        return false;
    if (!look.is_bounded_settled) {
        flush_quiet(host, true);
        return false;
    }
    if (look.has_stream && !until->has_asked) {
        until->has_asked = true;
        catch_up_all(host);
        return false;
    }
    if (!look.all_caught_up)
        return false;
    if (!look.is_settled) {
        flush_quiet(host, false);
        return false;
    }
    if (!look.has_stream || (until->is_catching_up && look.stream_read == until->read_before))
        return true;
    until->is_catching_up = true;
    until->read_before = look.stream_read;
    catch_up_all(host);
    return false;
}

bool until_look(struct host *host, struct until *until)
{
    struct look look;

    switch (until->goal.kind) {
    case UNTIL_STOPPED: return false;
    case UNTIL_TIME: return clock_mono_ms() - host->started_ms >= until->goal.value;
    case UNTIL_RECORDS:
        look = look_at_all(host);
        return look.most_read >= (uint64_t)until->goal.value;
    case UNTIL_IDLE: return is_idle(host, until);
    case UNTIL_END: break;
    }
    return has_reached_end(host, until);
}
