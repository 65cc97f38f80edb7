/* cmd_leases.c - `kpipe leases FILE`: who reads which shard, and how far; `kpipe leases reset
 * FILE`.
 *
 * Nothing is ever created: a table that is not there is said not to be there.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/aws/aws_client.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/suggest.h"
#include "core/cli/cli.h"
#include "core/cli/lease_list.h"
#include "core/lease/dynamodb.h"
#include "core/lease/file.h"
#include "core/run/host.h"

static const char usage[] =
    "usage: kpipe leases [OPTION ...] FILE.lua\n"
    "       kpipe leases reset [OPTION ...] FILE.lua\n"
    "\n"
    "Prints the lease table of each flow: who reads which shard, how far it is, who gets it next;\n"
    "and what KCL 3 workers keep beside it. It only reads.\n"
    "reset forgets the leases, so that the next run begins at the `start` of its sources. It "
    "refuses\n"
    "when somebody still works on one of them.\n"
    "\n"
    "  --flow NAME        only this flow\n"
    "  --live             watches for the fail-over time and says which leases were renewed in it\n"
    "  --wide             sequence numbers in full\n"
    "  --json             everything as JSON\n"
    "  --set NAME=VALUE   gives a parameter of k.params a value; may be repeated\n"
    "  --aws              the tables of the real AWS, or those at AWS_ENDPOINT_URL\n"
    "  --local DIR        data directory of the local AWS (default .kpipe/local); when a process "
    "runs\n"
    "                     on it, that process is asked\n";

enum { OPT_FLOW = 256, OPT_LIVE, OPT_WIDE, OPT_JSON, OPT_SET, OPT_AWS, OPT_LOCAL };

static const struct option long_options[] = {
    {"flow", required_argument, NULL, OPT_FLOW},
    {"live", no_argument, NULL, OPT_LIVE},
    {"wide", no_argument, NULL, OPT_WIDE},
    {"json", no_argument, NULL, OPT_JSON},
    {"set", required_argument, NULL, OPT_SET},
    {"aws", no_argument, NULL, OPT_AWS},
    {"local", required_argument, NULL, OPT_LOCAL},
    {"help", no_argument, NULL, 'h'},
    {0},
};

enum {
    WATCH_MORE_MS = 500, /* beyond the fail-over time: a renewal may be on its way */
    STALE_S = 60,        /* KCL 3 takes a worker whose metrics are older for gone */
};

struct leases_command {
    struct cli_plan loaded;
    const char *file_path; /* of leases = "file:PATH"; NULL: they are in DynamoDB */
    const char *only;      /* --flow; NULL: all */
    const char *local_dir;
    bool live, wide, json, aws, resets;
    struct host host;
    bool has_host;
    char *url;               /* [owned] of the process that runs the embedded AWS */
    struct lease_file *file; /* [owned] of leases = "file:PATH" */
    bool is_missing;         /* there is nothing to read: no file, no data directory */
    bool has_shown;          /* a flow */
    json_t *flows;           /* [owned] with --json */
};

/* ---- one flow's table */

struct table {
    struct leases_command *command; /* [borrowed] */
    const struct plan_flow *flow;   /* [borrowed] */
    char *name;                     /* [owned] */
    struct lease_io *io;            /* [owned] NULL: there is nothing to read */
    struct lease_scan scan;         /* [owned] */
    bool exists;
    bool *is_live; /* [owned] one per lease; NULL: not looked */
    bool is_answered, has_failed, is_refused;
    char *failure; /* [owned] */
};

static void table_fini(struct table *table)
{
    if (table->io)
        table->io->free(table->io);
    lease_scan_fini(&table->scan);
    free(table->is_live);
    free(table->failure);
    free(table->name);
}

static void copy_scan(struct lease_scan *to, const struct lease_scan *from)
{
    *to = *from;
    to->leases = mem_new((from->n_leases + 1) * sizeof *to->leases);
    for (size_t i = 0; i < from->n_leases; i++)
        lease_copy(&to->leases[i], &from->leases[i]);
    to->workers = mem_new((from->n_workers + 1) * sizeof *to->workers);
    for (size_t i = 0; i < from->n_workers; i++) {
        to->workers[i] = from->workers[i];
        to->workers[i].id = mem_dup(from->workers[i].id);
    }
    to->lock.owner = mem_dup(from->lock.owner);
    to->lock.version = mem_dup(from->lock.version);
    to->client_version = mem_dup(from->client_version);
    to->table_migration = mem_dup(from->table_migration);
}

static void answered(void *arg, const struct lease_reply *reply)
{
    struct table *table = arg;

    table->is_answered = true;
    table->has_failed = reply->status == LEASE_FAILED;
    table->is_refused = reply->status == LEASE_REFUSED;
    if (table->has_failed) {
        free(table->failure);
        table->exists = !reply->error || strcmp(reply->error, "ResourceNotFoundException") != 0;
        table->failure = mem_dup(reply->message && *reply->message ? reply->message
                                 : reply->error                    ? reply->error
                                                                   : "no answer");
    } else if (reply->scan) {
        table->exists = true;
        lease_scan_fini(&table->scan);
        copy_scan(&table->scan, reply->scan);
    }
}

/* False after saying why there is no answer. */
static bool ask(struct table *table, const struct lease_call *call)
{
    struct host *host = &table->command->host;

    table->is_answered = false;
    table->io->call(table->io, call, answered, table);
    while (!table->is_answered && !host->n_signals)
        host_turn(host);
    if (!table->is_answered)
        return false; /* by a signal: that is answer enough */
    if (table->has_failed && !table->exists)
        return true;
    if (table->has_failed)
        fprintf(stderr, "kpipe: %s\n", table->failure);
    return !table->has_failed;
}

static bool scan(struct table *table)
{
    return ask(table, &(struct lease_call){.op = LEASE_SCAN, .layout = LEASE_LAYOUT_KCL3_TABLES});
}

static const struct lease *find(const struct lease_scan *scan, const char *key)
{
    for (size_t i = 0; i < scan->n_leases; i++)
        if (!strcmp(scan->leases[i].key, key))
            return &scan->leases[i];
    return NULL;
}

/* Reads the table again after the fail-over time: what was renewed or taken meanwhile is live. */
static bool watch(struct table *table)
{
    struct host *host = &table->command->host;
    int64_t ms = table->command->loaded.plan->coordination.failover_ms;
    int64_t end_ms = clock_mono_ms() + ms + WATCH_MORE_MS;
    struct lease_scan before = table->scan;
    bool ok;

    fprintf(stderr, "watching table %s for %" PRId64 " s ...\n", table->name, ms / 1000);
    while (clock_mono_ms() < end_ms && !host->n_signals)
        host_turn(host);
    table->scan = (struct lease_scan){0}; /* moved */
    ok = !host->n_signals && scan(table) && table->exists;
    if (ok)
        table->is_live = mem_new((table->scan.n_leases + 1) * sizeof *table->is_live);
    for (size_t i = 0; ok && i < table->scan.n_leases; i++) {
        const struct lease *now = &table->scan.leases[i], *was = find(&before, now->key);

        table->is_live[i] = !was || was->counter != now->counter;
    }
    lease_scan_fini(&before);
    return ok;
}

/* ---- listing */

static bool list(struct table *table)
{
    struct leases_command *command = table->command;
    struct lease_view view = {.flow = table->flow->name,
                              .table = table->name,
                              .is_file = command->file_path != NULL,
                              .is_stream = table->flow->nodes[0].element->flags & KP_STREAM,
                              .scan = table->exists ? &table->scan : NULL,
                              .is_live = table->is_live,
                              .wall_s = clock_wall_ms() / 1000,
                              .layout = command->loaded.plan->coordination.layout,
                              .is_wide = command->wide};

    if (command->json) {
        json_array_append_new(command->flows, lease_list_json(&view));
        return true;
    }
    if (command->has_shown)
        putchar('\n');
    lease_list_text(&view, stdout);
    return true;
}

/* ---- forgetting */

/* Who keeps the leases from being forgotten; NULL: nobody. */
static const char *who_reports(const struct lease_scan *scan)
{
    for (size_t i = 0; i < scan->n_workers; i++)
        if (clock_wall_ms() / 1000 - scan->workers[i].updated_s <= STALE_S)
            return scan->workers[i].id;
    return NULL;
}

static const char *who_renews(const struct table *table)
{
    for (size_t i = 0; table->is_live && i < table->scan.n_leases; i++)
        if (table->is_live[i])
            return lease_worker(&table->scan.leases[i]) ? lease_worker(&table->scan.leases[i])
                                                        : "another worker";
    return NULL;
}

static bool forget(struct table *table)
{
    const char *who;
    size_t n = 0;

    if (!table->exists) {
        printf("flow %s: %s does not exist, there is nothing to forget\n", table->flow->name,
               table->name);
        return true;
    }
    who = table->io->is_private ? NULL : who_reports(&table->scan);
    if (!who && !table->io->is_private && table->scan.n_leases) {
        if (!watch(table))
            return false;
        who = who_renews(table);
    }
    if (who) {
        fprintf(stderr,
                "kpipe: nothing was forgotten of %s: %s works with it; stop all workers of the "
                "application first (one that was killed counts for a minute)\n",
                table->name, who);
        return false;
    }
    for (; n < table->scan.n_leases; n++) {
        const struct lease *lease = &table->scan.leases[n];

        if (!ask(table, &(struct lease_call){.op = LEASE_DELETE, .was = *lease}))
            return false;
        if (table->is_refused) {
            fprintf(stderr, "kpipe: %s of %s has moved on: somebody works with it\n", lease->key,
                    table->name);
            return false;
        }
    }
    printf("flow %s: %zu lease%s of %s forgotten; the next run begins at its `start`\n",
           table->flow->name, n, n == 1 ? "" : "s", table->name);
    return true;
}

/* ---- all flows */

static bool open_table(struct table *table)
{
    struct leases_command *command = table->command;
    struct host *host = &command->host;
    const struct plan *plan = command->loaded.plan;

    if (command->is_missing)
        return true;
    if (command->file)
        table->io = lease_file_io(command->file, table->flow->name);
    else
        table->io = dynamodb_io_new(
            &(struct dynamodb_io_config){.aws = host->aws,
                                         .loop = &host->loop,
                                         .table = table->name,
                                         .region = aws_config_region(host->aws_config),
                                         .is_private = host->local != NULL,
                                         .failover_ms = plan->coordination.failover_ms});
    return scan(table);
}

static bool do_flow(struct leases_command *command, size_t i)
{
    const struct plan *plan = command->loaded.plan;
    struct table table = {.command = command, .flow = &plan->flows[i]};
    bool ok;

    table.name = plan_lease_table(plan, i);
    if (!table.name)
        return true;
    if (command->file_path) {
        free(table.name);
        table.name = mem_dup(command->file_path);
    }
    ok = open_table(&table);
    if (ok && command->resets)
        ok = forget(&table);
    else if (ok)
        ok = (!command->live || !table.exists || command->file_path || watch(&table)) &&
             list(&table);
    command->has_shown |= ok;
    table_fini(&table);
    return ok;
}

static bool check_flow(const struct leases_command *command)
{
    const struct plan *plan = command->loaded.plan;
    struct suggest suggest = suggest_for(command->only ? command->only : "");
    const char *best;

    for (size_t i = 0; i < plan->n_flows; i++) {
        if (!command->only || !strcmp(plan->flows[i].name, command->only))
            return true;
        suggest_try(&suggest, plan->flows[i].name);
    }
    best = suggest_best(&suggest);
    fprintf(stderr, "kpipe: the pipeline has no flow '%s'%s%s%s\n", command->only,
            best ? "; did you mean '" : "", best ? best : "", best ? "'?" : "");
    return false;
}

/* The URL of the process that runs the embedded AWS on a directory [owned by caller]; NULL: none.
 */
static char *url_of(const char *dir)
{
    char *path = mem_fmt("%s/lock", dir), text[300] = "", *url = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = 0;

    free(path);
    if (fd < 0)
        return NULL;
    if (flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK)
        len = pread(fd, text, sizeof text - 1, 0);
    close(fd); /* the lock goes with it */
    text[len > 0 ? len : 0] = '\0';
    url = strchr(text, '\n');
    if (!url || strncmp(++url, "http://", 7) != 0)
        return NULL;
    return mem_dupn(url, strcspn(url, "\n"));
}

/* Reaches what keeps the leases. False after saying why not. */
static bool reach(struct leases_command *command)
{
    const struct plan *plan = command->loaded.plan;
    const char *path = command->file_path;
    const char *dir = command->aws || path ? NULL : command->local_dir;
    struct host_options options = {
        .plan = plan, .catalog = command->loaded.catalog, .local_dir = dir};
    struct error err = ERROR_INIT;

    command->is_missing = (path && access(path, F_OK) != 0) || (dir && access(dir, F_OK) != 0);
    if (command->is_missing)
        return true;
    options.local_url = command->url = dir ? url_of(dir) : NULL;
    command->has_host = true;
    if (!host_connect(&command->host, &options)) {
        fprintf(stderr, "kpipe: %s\n", host_failure(&command->host));
        return false;
    }
    if (path)
        command->file = (command->resets ? lease_file_new : lease_file_look)(
            path, plan->application, &command->host.loop, &err);
    if (path && !command->file)
        fprintf(stderr, "kpipe: %s\n", err.text);
    return !path || command->file;
}

static void print_json(const struct leases_command *command)
{
    json_t *root = json_pack("{s:s, s:s, s:O}", "pipeline", command->loaded.plan->name, "leases",
                             command->loaded.plan->leases, "flows", command->flows);

    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
}

static bool do_flows(struct leases_command *command)
{
    const struct plan *plan = command->loaded.plan;

    for (size_t i = 0; i < plan->n_flows; i++)
        if ((!command->only || !strcmp(plan->flows[i].name, command->only)) && !do_flow(command, i))
            return false;
    if (!command->has_shown && !command->json)
        printf("no flow of the pipeline keeps its position: they answer requests\n");
    return true;
}

static int do_file(struct leases_command *command, const char *path)
{
    const char *leases;
    bool is_kept;

    if (!cli_plan_load(&command->loaded, path, !command->aws) || !check_flow(command))
        return EXIT_CONFIG;
    leases = command->loaded.plan->leases;
    is_kept = strcmp(leases, "none") != 0;
    command->file_path = strncmp(leases, "file:", 5) ? NULL : leases + 5;
    command->flows = json_array();
    if (is_kept && (!reach(command) || !do_flows(command)))
        return EXIT_FAILED;
    if (command->json && !command->resets)
        print_json(command);
    else if (!is_kept)
        printf("leases = \"none\": no progress is kept, every run begins at its `start`\n");
    return EXIT_DELIVERED;
}

static bool set_option(struct leases_command *command, int option)
{
    switch (option) {
    case OPT_FLOW: command->only = optarg; return true;
    case OPT_LIVE: command->live = true; return true;
    case OPT_WIDE: command->wide = true; return true;
    case OPT_JSON: command->json = true; return true;
    case OPT_SET: return cli_plan_set(&command->loaded, optarg);
    case OPT_AWS: command->aws = true; return true;
    case OPT_LOCAL: command->local_dir = optarg; return true;
    default: return false;
    }
}

static void command_fini(struct leases_command *command)
{
    lease_file_free(command->file);
    if (command->has_host)
        host_free(&command->host);
    json_decref(command->flows);
    free(command->url);
    cli_plan_fini(&command->loaded);
}

int cmd_leases(int argc, char **argv)
{
    struct leases_command command = {.local_dir = ".kpipe/local"};
    int option, code = EXIT_CONFIG;

    while ((option = cli_option(argc, argv, long_options)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            code = EXIT_DELIVERED;
            goto out;
        }
        if (!set_option(&command, option))
            goto out;
    }
    command.resets = optind < argc && !strcmp(argv[optind], "reset");
    if (argc - optind != 1 + command.resets) {
        fputs(usage, stderr);
        goto out;
    }
    if (command.resets && (command.live || command.wide || command.json)) {
        fputs("kpipe: leases reset takes no --live, --wide or --json\n", stderr);
        goto out;
    }
    log_setup(LOG_WARN, false);
    code = do_file(&command, argv[argc - 1]);
out:
    command_fini(&command);
    return code;
}
