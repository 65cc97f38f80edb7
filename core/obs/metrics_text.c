/* metrics_text.c - see metrics.h: the text that Prometheus reads.
 *
 * All samples of one name must stand together under one HELP and TYPE, so the names are the outer
 * loop and flows, stages and lanes the inner ones. Counters and lanes are fetched once per answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/config/plan.h"
#include "core/obs/metrics.h"
#include "core/run/host.h"
#include "sdk/wire/slice.h"
#include "sdk/wire/utf8.h"

/* What one answer is made of. */
struct page {
    const struct host *host;
    const struct plan *plan;
    struct kpw_buf *out;
    struct page_stage *stages; /* [owned] of all flows, one after the other */
    size_t n_stages;
    struct page_flow *flows; /* [owned] */
};

struct page_stage {
    size_t flow;
    struct stage_stats stats;
    struct stage_counter counters[STAGE_COUNTERS];
    size_t n_counters;
};

struct page_flow {
    const char *name, *source;
    struct lane_stats *lanes; /* [owned] */
    size_t n_lanes;
    uint64_t in_flight;
};

/* ---- lines */

/* Label values are UTF-8 with backslash, quote and newline escaped; what is no UTF-8 becomes "?".
 */
static void put_label(struct kpw_buf *out, const char *name, const char *value)
{
    const char *end = value + strlen(value);

    kpw_buf_appendf(out, "%s=\"", name);
    while (value < end) {
        size_t n = kpw_utf8_len(value, end);

        if (*value == '\\' || *value == '"')
            kpw_buf_putc(out, '\\');
        if (*value == '\n')
            kpw_buf_puts(out, "\\n");
        else if (n)
            kpw_buf_append(out, value, n);
        else
            kpw_buf_putc(out, '?');
        value += n ? n : 1;
    }
    kpw_buf_putc(out, '"');
}

/* A plugin's name may have other characters than a metric's. */
static void put_name(struct kpw_buf *out, const char *prefix, const char *name, const char *suffix)
{
    kpw_buf_puts(out, prefix);
    for (; *name; name++) {
        bool ok = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
                  (*name >= '0' && *name <= '9');

        kpw_buf_putc(out, ok ? *name : '_');
    }
    kpw_buf_puts(out, suffix);
}

struct family {
    const char *prefix, *name, *suffix, *type, *help;
};

static void put_head(struct page *page, const struct family *family)
{
    kpw_buf_puts(page->out, "# HELP ");
    put_name(page->out, family->prefix, family->name, family->suffix);
    kpw_buf_appendf(page->out, " %s\n# TYPE ", family->help);
    put_name(page->out, family->prefix, family->name, family->suffix);
    kpw_buf_appendf(page->out, " %s\n", family->type);
}

/* NULL labels are left out. */
static void put_sample(struct page *page, const struct family *family, const char *const labels[3])
{
    static const char *const names[] = {"flow", "stage", "shard"};

    put_name(page->out, family->prefix, family->name, family->suffix);
    kpw_buf_putc(page->out, '{');
    put_label(page->out, "pipeline", page->plan->name);
    for (int i = 0; i < 3 && labels[i]; i++) {
        kpw_buf_putc(page->out, ',');
        put_label(page->out, names[i], labels[i]);
    }
    kpw_buf_puts(page->out, "} ");
}

/* ---- stages */

static const struct stage_family {
    const char *name, *help;
    size_t offset; /* in struct stage_stats */
} stage_families[] = {
#define ROW(name, field, help)                          \
    {                                                   \
        name, help, offsetof(struct stage_stats, field) \
    }
    ROW("read_records", read, "Records given to the stage; of a source: read."),
    ROW("read_bytes", read_bytes, "Bytes of their payloads."),
    ROW("passed_records", passed, "Records the stage passed on."),
    ROW("delivered_records", delivered, "Records delivered; of a source: of those it read."),
    ROW("filtered_records", filtered, "Records dropped on purpose; of a source: of those it read."),
    ROW("dead_lettered_records", dead_lettered,
        "Records that could not succeed; of a source: of those it read."),
    ROW("retried_records", retried, "Times a record was given to the stage again."),
    ROW("unsettled_records", unsettled,
        "Records that ended without an outcome; the next run reads "
        "them again."),
#undef ROW
};

static const char *flow_name(const struct page *page, size_t flow)
{
    return page->plan->flows[flow].name;
}

static void put_stages(struct page *page)
{
    for (size_t f = 0; f < sizeof stage_families / sizeof *stage_families; f++) {
        const struct stage_family *row = &stage_families[f];
        const struct family family = {"kpipe_stage_", row->name, "_total", "counter", row->help};

        put_head(page, &family);
        for (size_t i = 0; i < page->n_stages; i++) {
            const struct page_stage *stage = &page->stages[i];
            const char *const labels[3] = {flow_name(page, stage->flow), stage->stats.stage};
            uint64_t value;

            memcpy(&value, (const char *)&stage->stats + row->offset, sizeof value);
            put_sample(page, &family, labels);
            kpw_buf_appendf(page->out, "%llu\n", (unsigned long long)value);
        }
    }
}

static void put_flows(struct page *page)
{
    static const struct family in_flight = {"kpipe_", "records_in_flight", "", "gauge",
                                            "Records that were read and have not ended."};
    static const struct family lanes = {"kpipe_", "lanes", "", "gauge",
                                        "Lanes (shards) with figures that are read now."};

    put_head(page, &in_flight);
    for (size_t i = 0; i < page->plan->n_flows; i++) {
        put_sample(page, &in_flight, (const char *const[3]){flow_name(page, i)});
        kpw_buf_appendf(page->out, "%llu\n", (unsigned long long)page->flows[i].in_flight);
    }
    put_head(page, &lanes);
    for (size_t i = 0; i < page->plan->n_flows; i++) {
        put_sample(page, &lanes, (const char *const[3]){flow_name(page, i)});
        kpw_buf_appendf(page->out, "%zu\n", page->flows[i].n_lanes);
    }
}

/* ---- what plugins count */

struct names {
    struct named {
        const char *name;
        bool is_gauge;
    } * items; /* [owned] */
    size_t n, cap;
};

static void add_name(struct names *names, const char *name, bool is_gauge)
{
    for (size_t i = 0; i < names->n; i++)
        if (names->items[i].name == name || !strcmp(names->items[i].name, name))
            return;
    mem_room(&names->items, &names->cap, names->n, sizeof *names->items);
    names->items[names->n++] = (struct named){name, is_gauge};
}

/* A plugin's counter must not get the name of one of the host's. */
static const char *counter_prefix(const char *name)
{
    bool is_taken = !strncmp(name, "stage_", 6) || !strncmp(name, "lane_", 5);

    return is_taken ? "kpipe_plugin_" : "kpipe_";
}

static void put_counters(struct page *page)
{
    struct names names = {0};

    for (size_t i = 0; i < page->n_stages; i++)
        for (size_t k = 0; k < page->stages[i].n_counters; k++)
            add_name(&names, page->stages[i].counters[k].name, false);
    for (size_t f = 0; f < names.n; f++) {
        const char *name = names.items[f].name;
        const struct family family = {counter_prefix(name), name, "_total", "counter",
                                      "Counted by the plugin of the stage; its README explains."};

        put_head(page, &family);
        for (size_t i = 0; i < page->n_stages; i++) {
            const struct page_stage *stage = &page->stages[i];

            for (size_t k = 0; k < stage->n_counters; k++) {
                if (strcmp(stage->counters[k].name, name) != 0)
                    continue;
                put_sample(
                    page, &family,
                    (const char *const[3]){flow_name(page, stage->flow), stage->stats.stage});
                kpw_buf_appendf(page->out, "%llu\n", (unsigned long long)stage->counters[k].value);
            }
        }
    }
    free(names.items);
}

static void put_lane(struct page *page, const struct family *family, const struct page_flow *flow,
                     const struct lane_stats *lane)
{
    bool is_gauge = !*family->suffix;

    for (uint32_t i = 0; i < lane->n; i++) {
        const struct lane_stat *stat = &lane->stats[i];

        if (strcmp(stat->name, family->name) != 0 || stat->is_gauge != is_gauge)
            continue;
        put_sample(page, family, (const char *const[3]){flow->name, flow->source, lane->lane});
        kpw_buf_appendf(page->out, "%lld\n", (long long)stat->value);
    }
}

static void put_lanes(struct page *page)
{
    struct names names = {0};

    for (size_t f = 0; f < page->plan->n_flows; f++)
        for (size_t i = 0; i < page->flows[f].n_lanes; i++)
            for (uint32_t k = 0; k < page->flows[f].lanes[i].n; k++)
                add_name(&names, page->flows[f].lanes[i].stats[k].name,
                         page->flows[f].lanes[i].stats[k].is_gauge);
    for (size_t k = 0; k < names.n; k++) {
        const struct family family = {
            "kpipe_lane_", names.items[k].name, names.items[k].is_gauge ? "" : "_total",
            names.items[k].is_gauge ? "gauge" : "counter",
            names.items[k].is_gauge ? "Measured by the plugin of the source for one shard."
                                    : "Counted by the plugin of the source for one shard."};

        put_head(page, &family);
        for (size_t f = 0; f < page->plan->n_flows; f++)
            for (size_t i = 0; i < page->flows[f].n_lanes; i++)
                put_lane(page, &family, &page->flows[f], &page->flows[f].lanes[i]);
    }
    free(names.items);
}

/* ---- the process */

/* Resident bytes; 0 when /proc is not there. */
static unsigned long long resident(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long long pages = 0;

    if (file) {
        if (fscanf(file, "%*u %llu", &pages) != 1)
            pages = 0;
        fclose(file);
    }
    return pages * (unsigned long long)sysconf(_SC_PAGESIZE);
}

static void put_process(struct page *page)
{
    struct kpw_buf *out = page->out;
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    kpw_buf_appendf(out,
                    "# HELP process_cpu_seconds_total User and system CPU time.\n"
                    "# TYPE process_cpu_seconds_total counter\n"
                    "process_cpu_seconds_total %.6f\n"
                    "# HELP process_resident_memory_bytes Resident memory.\n"
                    "# TYPE process_resident_memory_bytes gauge\n"
                    "process_resident_memory_bytes %llu\n",
                    (double)clock_cpu_ns() / 1e9, resident());
    kpw_buf_appendf(out,
                    "# HELP kpipe_peak_memory_bytes Most resident memory there was.\n"
                    "# TYPE kpipe_peak_memory_bytes gauge\n"
                    "kpipe_peak_memory_bytes %llu\n"
                    "# HELP kpipe_build_info 1; the version is a label.\n"
                    "# TYPE kpipe_build_info gauge\n"
                    "kpipe_build_info{version=\"%s\"} 1\n",
                    (unsigned long long)usage.ru_maxrss * 1024, KPIPE_VERSION);
}

/* ---- the page */

static void fetch(struct page *page)
{
    const struct plan *plan = page->plan;

    for (size_t f = 0; f < plan->n_flows; f++) {
        const struct plan_flow *from = &plan->flows[f];
        struct page_flow *flow = &page->flows[f];

        flow->name = from->name;
        flow->source = from->nodes[0].stage;
        flow->lanes = host_lane_stats(page->host, f, false, &flow->n_lanes);
        flow->in_flight = host_open_records(page->host, f);
        for (size_t i = 0; i < from->n_nodes + (from->on_failure != NULL); i++) {
            struct page_stage *stage = &page->stages[page->n_stages++];

            stage->flow = f;
            host_stage_stats(page->host, f, i, &stage->stats);
            stage->n_counters =
                host_stage_counters(page->host, f, i, stage->counters, STAGE_COUNTERS);
        }
    }
}

void metrics_write(const struct host *host, struct kpw_buf *out)
{
    struct page page = {.host = host, .plan = host->options.plan, .out = out};
    size_t n_stages = 0;

    for (size_t f = 0; f < page.plan->n_flows; f++)
        n_stages += page.plan->flows[f].n_nodes + 1;
    page.stages = mem_new((n_stages + 1) * sizeof *page.stages);
    page.flows = mem_new((page.plan->n_flows + 1) * sizeof *page.flows);
    fetch(&page);
    put_stages(&page);
    put_flows(&page);
    put_counters(&page);
    put_lanes(&page);
    put_process(&page);
    for (size_t f = 0; f < page.plan->n_flows; f++)
        host_lane_stats_free(page.flows[f].lanes, page.flows[f].n_lanes);
    free(page.flows);
    free(page.stages);
}
