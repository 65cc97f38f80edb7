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

static void print_summary(const void *arg, const char *file, const struct plan *plan)
{
    size_t n_stages = 0;

    (void)arg;
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

    return cli_look(argc, argv,
                    &(struct cli_look){.usage = usage, .options = options, .look = print_summary});
}
