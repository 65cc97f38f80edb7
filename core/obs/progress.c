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
    char read[32], rate[32], delivered[32], filtered[32], dead[32], open[32];
    double per_second = 0;

    host_stage_stats(host, flow, 0, &stats);
    if (seconds > 0)
        per_second = (double)(stats.read - progress->read[flow]) / seconds;
    progress->read[flow] = stats.read;
    fprintf(stderr, "%-14.14s %12s %10s %12s %12s %8s %10s\n", host->options.plan->flows[flow].name,
            grouped(stats.read, read), grouped((uint64_t)per_second, rate),
            grouped(stats.delivered, delivered), grouped(stats.filtered, filtered),
            grouped(stats.dead_lettered, dead), grouped(host_open_records(host, flow), open));
    progress->rows++;
}

static void draw(struct host *host, struct progress *progress)
{
    int64_t now = clock_mono_ms();
    double seconds = progress->drawn_ms ? (double)(now - progress->drawn_ms) / 1000 : 0;

    pthread_mutex_lock(&screen);
    clear(progress);
    fprintf(stderr, "%-14s %12s %10s %12s %12s %8s %10s\n", "flow", "read", "per s", "delivered",
            "filtered", "dead", "in flight");
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

        host_stage_stats(host, i, 0, &stats);
        log_info("run.progress",
                 "flow=%s read=%llu delivered=%llu filtered=%llu dead_lettered=%llu in_flight=%llu",
                 host->options.plan->flows[i].name, (unsigned long long)stats.read,
                 (unsigned long long)stats.delivered, (unsigned long long)stats.filtered,
                 (unsigned long long)stats.dead_lettered,
                 (unsigned long long)host_open_records(host, i));
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
