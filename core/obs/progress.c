/* progress.c - see progress.h. */
#include "core/obs/progress.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/config/plan.h"
#include "core/run/host.h"

enum { SAY_EVERY_MS = 10000 };

static struct progress *live; /* whose table is on the screen; the log hook has no argument */
static pthread_mutex_t screen = PTHREAD_MUTEX_INITIALIZER; /* who may write on it: workers log */

/* 1234567 as 1,234,567. Returns out. */
static const char *grouped(uint64_t n, char out[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), at = 0;

    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

/* How far a lane is behind: "350 ms", "12.0 s", "3.5 min", "2.0 h"; "" when it is not known. */
static const char *short_time(int64_t ms, char out[32])
{
    if (ms < 0)
        *out = '\0';
    else if (ms < 1000)
        snprintf(out, 32, "%lld ms", (long long)ms);
    else if (ms < 60000)
        snprintf(out, 32, "%.1f s", (double)ms / 1e3);
    else if (ms < 3600000)
        snprintf(out, 32, "%.1f min", (double)ms / 6e4);
    else
        snprintf(out, 32, "%.1f h", (double)ms / 3.6e6);
    return out;
}

static void clear(struct progress *progress)
{
    if (progress->rows)
        fprintf(stderr, "\r\033[%dA\033[J", progress->rows);
    progress->rows = 0;
}

void progress_clear(struct progress *progress)
{
    pthread_mutex_lock(&screen);
    clear(progress);
    pthread_mutex_unlock(&screen);
}

/* Log lines go above the table; the next second draws it again. */
static void around_log(bool before)
{
    if (before) {
        pthread_mutex_lock(&screen);
        clear(live);
    } else {
        pthread_mutex_unlock(&screen);
    }
}

void progress_init(struct progress *progress, bool is_quiet)
{
    const char *term = getenv("TERM");

    *progress = (struct progress){0};
    progress->is_live = !is_quiet && isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
    if (is_quiet)
        progress->said_ms = INT64_MAX / 2;
    if (progress->is_live) {
        live = progress;
        log_hook(around_log);
    }
}

void progress_fini(struct progress *progress)
{
    if (live == progress) {
        log_hook(NULL); /* before the screen is locked: who logs has locked the log first */
        live = NULL;
    }
    progress_clear(progress);
    free(progress->read);
    progress->read = NULL;
}

static void draw_flow(struct host *host, struct progress *progress, size_t flow, double seconds)
{
    struct stage_stats stats;
    struct lane_lag lag;
    char read[32], rate[32], delivered[32], filtered[32], dead[32], open[32], lanes[32], behind[32];
    double per_second = 0;

    host_stage_stats(host, flow, 0, &stats);
    if (seconds > 0)
        per_second = (double)(stats.read - progress->read[flow]) / seconds;
    progress->read[flow] = stats.read;
    host_lane_lag(host, flow, &lag);
    fprintf(stderr, "%-14.14s %12s %10s %12s %12s %8s %10s %6s %9s\n",
            host->options.plan->flows[flow].name, grouped(stats.read, read),
            grouped((uint64_t)per_second, rate), grouped(stats.delivered, delivered),
            grouped(stats.filtered, filtered), grouped(stats.dead_lettered, dead),
            grouped(host_open_records(host, flow), open),
            lag.n_lanes ? grouped(lag.n_lanes, lanes) : "", short_time(lag.behind_ms, behind));
    progress->rows++;
}

static void draw(struct host *host, struct progress *progress)
{
    int64_t now = clock_mono_ms();
    double seconds = progress->drawn_ms ? (double)(now - progress->drawn_ms) / 1000 : 0;

    pthread_mutex_lock(&screen);
    clear(progress);
    fprintf(stderr, "%-14s %12s %10s %12s %12s %8s %10s %6s %9s\n", "flow", "read", "per s",
            "delivered", "filtered", "dead", "in flight", "lanes", "behind");
    progress->rows = 1;
    for (size_t i = 0; i < host->options.plan->n_flows; i++)
        draw_flow(host, progress, i, seconds);
    progress->drawn_ms = now;
    pthread_mutex_unlock(&screen);
}

static void say(struct host *host)
{
    for (size_t i = 0; i < host->options.plan->n_flows; i++) {
        struct stage_stats stats;
        struct lane_lag lag;
        char lanes[80] = "";

        host_stage_stats(host, i, 0, &stats);
        host_lane_lag(host, i, &lag);
        if (lag.n_lanes && lag.behind_ms >= 0)
            snprintf(lanes, sizeof lanes, " lanes=%u behind_ms=%lld", (unsigned)lag.n_lanes,
                     (long long)lag.behind_ms);
        else if (lag.n_lanes)
            snprintf(lanes, sizeof lanes, " lanes=%u", (unsigned)lag.n_lanes);
        log_info("run.progress",
                 "flow=%s read=%llu delivered=%llu filtered=%llu dead_lettered=%llu "
                 "in_flight=%llu%s",
                 host->options.plan->flows[i].name, (unsigned long long)stats.read,
                 (unsigned long long)stats.delivered, (unsigned long long)stats.filtered,
                 (unsigned long long)stats.dead_lettered,
                 (unsigned long long)host_open_records(host, i), lanes);
    }
}

void progress_show(struct host *host, void *arg)
{
    struct progress *progress = arg;

    if (!progress->read)
        progress->read = mem_new((host->options.plan->n_flows + 1) * sizeof *progress->read);
    if (progress->is_live)
        draw(host, progress);
    else if (clock_mono_ms() - progress->said_ms >= SAY_EVERY_MS) {
        if (progress->said_ms) /* not before there is something to say */
            say(host);
        progress->said_ms = clock_mono_ms();
    }
}

static void balance_of_flow(struct host *host, size_t flow, FILE *out)
{
    struct stage_stats stats;
    char read[32], delivered[32], filtered[32], dead[32], open[32];

    host_stage_stats(host, flow, 0, &stats);
    fprintf(out, "  %-12s read %s, delivered %s, filtered %s, dead-lettered %s",
            host->options.plan->flows[flow].name, grouped(stats.read, read),
            grouped(stats.delivered, delivered), grouped(stats.filtered, filtered),
            grouped(stats.dead_lettered, dead));
    if (stats.unsettled + host_open_records(host, flow))
        fprintf(out, ", left unsettled %s (will be read again)",
                grouped(stats.unsettled + host_open_records(host, flow), open));
    fputc('\n', out);
}

void progress_balance(struct host *host, FILE *out)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    fprintf(out, "%s: %.1f s, %.1f s of CPU, %.1f MiB at most\n", host->options.plan->name,
            host_seconds(host), (double)clock_cpu_ns() / 1e9, (double)usage.ru_maxrss / 1024);
    for (size_t i = 0; i < host->options.plan->n_flows; i++)
        balance_of_flow(host, i, out);
}
