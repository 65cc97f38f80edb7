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

static void set(void *json, int option)
{
    (void)option; /* there is only --json */
    *(bool *)json = true;
}

static void look(const void *json, const char *file, const struct plan *plan)
{
    (void)file;
    plan_show(plan, *(const bool *)json, stdout);
}

int cmd_show(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"set", required_argument, NULL, 's'},
                                            {"aws", no_argument, NULL, 'a'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    bool json = false;

    return cli_look(
        argc, argv,
        &(struct cli_look){
            .usage = usage, .options = options, .set = set, .look = look, .arg = &json});
}
