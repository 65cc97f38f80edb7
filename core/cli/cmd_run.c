/* cmd_run.c - `kpipe run FILE`: runs a pipeline to its end. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/units.h"
#include "core/cli/cli.h"
#include "core/obs/metrics.h"
#include "core/obs/progress.h"
#include "core/obs/summary.h"
#include "core/run/host.h"

static const char usage[] =
    "usage: kpipe run [OPTION ...] FILE.lua\n"
    "\n"
    "Runs the pipeline on an embedded local AWS, or on the real one with --aws.\n"
    "\n"
    "  --set NAME=VALUE   gives a parameter of the file a value; may be repeated\n"
    "  --until WHEN       ends by itself: end, idle:30s, records:1000 or time:5m\n"
    "  --aws              uses the real AWS: environment, profile, container or instance role\n"
    "  --wait             waits for streams that are not there and only read, instead of making\n"
    "                     them: option `wait` of all sources\n"
    "  --local DIR        data directory of the local AWS (default .kpipe/local)\n"
    "  --listen ADDRESS   of the local AWS (default 127.0.0.1:0, any free port)\n"
    "  --no-limits        the local AWS throttles nothing\n"
    "  --workers N        threads (default: one per core)\n"
    "  --memory SIZE      most memory for records, e.g. 512MiB (default 256MiB)\n"
    "  --drain TIME       how long stopping may take (default 30s)\n"
    "  --checkpoint TIME  how often positions are stored, instead of the file's interval\n"
    "  --summary FILE     writes the counts of all stages and lanes as JSON at the end\n"
    "  --metrics ADDRESS  serves /metrics for Prometheus, /live and /ready; a port, or an address\n"
    "  --log LEVEL        error, warn, info or debug (default info)\n"
    "  --log-json         log lines as JSON\n"
    "  --quiet            no progress\n"
    "\n"
    "Exit codes: 0 all records were delivered or filtered, 1 failed, 2 the command line or the\n"
    "file is wrong, 3 some records were dead-lettered, 4 the drain time was over first.\n"
    "SIGINT and SIGTERM drain and end; a second one ends at once.\n";

struct run {
    struct cli_plan loaded;
    struct host_options options;
    const char *local_dir, *summary, *metrics;
    bool aws, wait, quiet, log_json;
    enum log_level level;
};

enum {
    OPT_SET = 256,
    OPT_UNTIL,
    OPT_AWS,
    OPT_WAIT,
    OPT_LOCAL,
    OPT_LISTEN,
    OPT_NO_LIMITS,
    OPT_WORKERS,
    OPT_MEMORY,
    OPT_DRAIN,
    OPT_CHECKPOINT,
    OPT_SUMMARY,
    OPT_METRICS,
    OPT_LOG,
    OPT_LOG_JSON,
    OPT_QUIET
};

static const struct option long_options[] = {
    {"set", required_argument, NULL, OPT_SET},
    {"until", required_argument, NULL, OPT_UNTIL},
    {"aws", no_argument, NULL, OPT_AWS},
    {"wait", no_argument, NULL, OPT_WAIT},
    {"local", required_argument, NULL, OPT_LOCAL},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"no-limits", no_argument, NULL, OPT_NO_LIMITS},
    {"workers", required_argument, NULL, OPT_WORKERS},
    {"memory", required_argument, NULL, OPT_MEMORY},
    {"drain", required_argument, NULL, OPT_DRAIN},
    {"checkpoint", required_argument, NULL, OPT_CHECKPOINT},
    {"summary", required_argument, NULL, OPT_SUMMARY},
    {"metrics", required_argument, NULL, OPT_METRICS},
    {"log", required_argument, NULL, OPT_LOG},
    {"log-json", no_argument, NULL, OPT_LOG_JSON},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static bool bad_value(const char *option, const char *wants, const char *value)
{
    fprintf(stderr, "kpipe: %s wants %s, not \"%s\"\n", option, wants, value);
    return false;
}

static bool set_workers(struct run *run, const char *value)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (*end || n < 1 || n > 256 || *value == '-')
        return bad_value("--workers", "a number from 1 to 256", value);
    run->options.n_workers = (uint32_t)n;
    return true;
}

static bool set_metrics(struct run *run, const char *value)
{
    run->metrics = value;
    return metrics_is_address(value) ||
           bad_value("--metrics", "a port or an address, such as 9464 or 127.0.0.1:9464", value);
}

static bool set_quantity(struct run *run, int option, const char *value)
{
    struct error err = ERROR_INIT;

    switch (option) {
    case OPT_MEMORY:
        if (units_bytes(value, &run->options.memory_bytes) && run->options.memory_bytes >= 1 << 20)
            return true;
        return bad_value("--memory", "a size of at least 1MiB, such as 512MiB", value);
    case OPT_DRAIN:
        if (units_duration(value, &run->options.drain_ms) && run->options.drain_ms > 0)
            return true;
        return bad_value("--drain", "a time, such as 30s", value);
    case OPT_CHECKPOINT:
        if (units_duration(value, &run->options.checkpoint_ms) && run->options.checkpoint_ms > 0)
            return true;
        return bad_value("--checkpoint", "a time, such as 5s", value);
    case OPT_LOG:
        if (log_level_from(value, &run->level))
            return true;
        return bad_value("--log", "error, warn, info or debug", value);
    case OPT_WORKERS: return set_workers(run, value);
    default:
        if (until_parse(value, &run->options.until, &err))
            return true;
        fprintf(stderr, "kpipe: %s\n", err.text);
        return false;
    }
}

/* False after complaining. */
static bool set_option(struct run *run, int option, const char *value)
{
    switch (option) {
    case OPT_SET: return cli_plan_set(&run->loaded, value);
    case OPT_AWS: run->aws = true; return true;
    case OPT_WAIT: run->wait = true; return true;
    case OPT_LOCAL: run->local_dir = value; return true;
    case OPT_LISTEN: run->options.local_listen = value; return cli_check_address(value);
    case OPT_NO_LIMITS: run->options.no_limits = true; return true;
    case OPT_SUMMARY: run->summary = value; return true;
    case OPT_METRICS: return set_metrics(run, value);
    case OPT_LOG_JSON: run->log_json = true; return true;
    case OPT_QUIET: run->quiet = true; return true;
    case '?': return false;
    default: return set_quantity(run, option, value);
    }
}

static int exit_code_of(struct host *host, enum host_end end)
{
    if (end == HOST_FAILED && host_is_misconfigured(host))
        return EXIT_CONFIG;
    if (end == HOST_FAILED || end == HOST_KILLED)
        return EXIT_FAILED;
    if (end == HOST_DEADLINE)
        return EXIT_DEADLINE;
    for (size_t i = 0; i < host->options.plan->n_flows; i++) {
        struct stage_stats stats;

        host_stage_stats(host, i, 0, &stats);
        /* A door's caller was told about its record; nothing was put aside. */
        if (stats.dead_lettered &&
            (host->options.plan->flows[i].on_failure ||
             !(host->options.plan->flows[i].nodes[0].element->flags & KP_REQUEST)))
            return EXIT_DEAD_LETTERS;
    }
    return EXIT_DELIVERED;
}

/* What looks at a run while it goes on. */
struct watch {
    struct progress progress;
    const char *address;     /* of metrics; NULL: none */
    struct metrics *metrics; /* [owned] */
};

static bool begun(struct host *host, void *arg, struct error *err)
{
    struct watch *watch = arg;

    if (watch->address)
        watch->metrics = metrics_open(host, watch->address, err);
    return watch->metrics || !watch->address;
}

static void show(struct host *host, void *arg)
{
    progress_show(host, &((struct watch *)arg)->progress);
}

static int run_plan(struct run *run)
{
    struct error err = ERROR_INIT;
    struct watch watch = {.address = run->metrics};
    struct host host;
    enum host_end end;
    int code;

    progress_init(&watch.progress, run->quiet);
    run->options.begun = begun;
    run->options.progress = show;
    run->options.arg = &watch;
    end = host_run(&host, &run->options);
    code = exit_code_of(&host, end);
    progress_fini(&watch.progress);
    metrics_close(watch.metrics);
    if (host_failure(&host))
        fprintf(stderr, "kpipe: %s\n", host_failure(&host));
    if (end == HOST_KILLED)
        fputs("kpipe: ended at once by a second signal\n", stderr);
    if (end == HOST_DEADLINE)
        fputs("kpipe: the drain time was over before all records had ended\n", stderr);
    if (!run->quiet && host.started_ms)
        progress_balance(&host, stderr);
    if (run->summary && !summary_write(&host, code, run->summary, &err)) {
        fprintf(stderr, "kpipe: %s\n", err.text);
        code = EXIT_FAILED;
    }
    host_free(&host);
    return code;
}

static int run_file(struct run *run, const char *file)
{
    if (!cli_plan_load(&run->loaded, file, !run->aws))
        return EXIT_CONFIG;
    cli_plan_await(run->loaded.plan, run->wait);
    run->options.plan = run->loaded.plan;
    run->options.catalog = run->loaded.catalog;
    run->options.local_dir = run->aws ? NULL : run->local_dir;
    return run_plan(run);
}

int cmd_run(int argc, char **argv)
{
    struct run run = {.local_dir = ".kpipe/local", .level = LOG_INFO};
    int option, code = EXIT_CONFIG;

    while ((option = cli_option(argc, argv, long_options)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            cli_plan_fini(&run.loaded);
            return EXIT_DELIVERED;
        }
        if (!set_option(&run, option, optarg))
            goto out;
    }
    if (argc - optind != 1) {
        fputs(usage, stderr);
        goto out;
    }
    log_setup(run.level, run.log_json);
    code = run_file(&run, argv[optind]);
out:
    cli_plan_fini(&run.loaded);
    return code;
}
