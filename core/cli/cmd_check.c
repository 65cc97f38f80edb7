/* cmd_check.c - `kpipe check FILE`: everything `kpipe run` does before it starts anything. */
#include <getopt.h>
#include <stdio.h>

#include "core/cli/cli.h"

static const char usage[] =
    "usage: kpipe check FILE [--set NAME=VALUE] [--aws]\n"
    "\n"
    "Reads the pipeline file as `kpipe run` would: its text, every option of every stage, and "
    "what\n"
    "the plugins themselves check. All problems are printed, sorted by line.\n"
    "\n"
    "  --set NAME=VALUE   gives a parameter of k.params a value; may be repeated\n"
    "  --aws              as on the real AWS: k.is_local is false\n"
    "\n"
    "Exit code 0: the file is good, 2: it has problems, nothing was started.\n";

static void print_summary(const char *file, const struct plan *plan)
{
    size_t n_stages = 0;

    for (size_t i = 0; i < plan->n_flows; i++)
        n_stages += plan->flows[i].n_nodes + (plan->flows[i].on_failure != NULL);
    printf("%s: ok\n", file);
    printf("pipeline '%s': %zu flow%s, %zu stage%s, %zu resource%s\n", plan->name, plan->n_flows,
           plan->n_flows == 1 ? "" : "s", n_stages, n_stages == 1 ? "" : "s", plan->n_resources,
           plan->n_resources == 1 ? "" : "s");
}

int cmd_check(int argc, char **argv)
{
    static const struct option options[] = {{"set", required_argument, NULL, 's'},
                                            {"aws", no_argument, NULL, 'a'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct cli_plan loaded = {0};
    int code = EXIT_CONFIG, c;
    bool local = true;

    while ((c = cli_option(argc, argv, options)) != -1) {
        if (c == 'h') {
            fputs(usage, stdout);
            code = EXIT_DELIVERED;
            goto out;
        }
        if (c == 'a')
            local = false;
        else if (c != 's' || !cli_plan_set(&loaded, optarg))
            goto out;
    }
    if (argc != optind + 1) {
        fputs(usage, stderr);
        goto out;
    }
    if (cli_plan_load(&loaded, argv[optind], local)) {
        print_summary(argv[optind], loaded.plan);
        code = EXIT_DELIVERED;
    }
out:
    cli_plan_fini(&loaded);
    return code;
}
