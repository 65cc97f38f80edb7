/* cmd_show.c - `kpipe show FILE`: the plan with every default filled in. */
#include <getopt.h>
#include <stdio.h>

#include "core/cli/cli.h"

static const char usage[] =
    "usage: kpipe show FILE [--json] [--set NAME=VALUE] [--aws]\n"
    "\n"
    "Prints what the pipeline file means, as a pipeline file: parameters and environment "
    "resolved,\n"
    "every option with its value, defaults too. Secrets stay references; of a function its place\n"
    "is printed.\n"
    "\n"
    "  --json             the same as JSON\n"
    "  --set NAME=VALUE   gives a parameter of k.params a value; may be repeated\n"
    "  --aws              as on the real AWS: k.is_local is false\n";

int cmd_show(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"set", required_argument, NULL, 's'},
                                            {"aws", no_argument, NULL, 'a'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct cli_plan loaded = {0};
    bool local = true, json = false;
    int code = EXIT_CONFIG, c;

    while ((c = cli_option(argc, argv, options)) != -1) {
        if (c == 'h') {
            fputs(usage, stdout);
            code = EXIT_DELIVERED;
            goto out;
        }
        if (c == 'a')
            local = false;
        else if (c == 'j')
            json = true;
        else if (c != 's' || !cli_plan_set(&loaded, optarg))
            goto out;
    }
    if (argc != optind + 1) {
        fputs(usage, stderr);
        goto out;
    }
    if (cli_plan_load(&loaded, argv[optind], local)) {
        plan_show(loaded.plan, json, stdout);
        code = EXIT_DELIVERED;
    }
out:
    cli_plan_fini(&loaded);
    return code;
}
