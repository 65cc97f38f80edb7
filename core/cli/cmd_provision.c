/* cmd_provision.c - `kpipe provision synth|ensure FILE`: the resources of a pipeline. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "core/cli/cli.h"
#include "core/run/host.h"

static const char usage[] =
    "usage: kpipe provision synth [--set NAME=VALUE ...] FILE.lua\n"
    "       kpipe provision ensure [--set NAME=VALUE ...] [--aws | --local DIR] FILE.lua\n"
    "\n"
    "synth prints a CloudFormation template of the pipeline's streams, buckets and queues.\n"
    "ensure makes those that are missing by calls of their services, as `kpipe run` does.\n";

static const struct option long_options[] = {
    {"set", required_argument, NULL, 's'},
    {"aws", no_argument, NULL, 'a'},
    {"local", required_argument, NULL, 'l'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static int provision(struct cli_plan *loaded, const char *action, const char *file,
                     const char *local_dir)
{
    struct host_options options = {.local_dir = local_dir};
    struct host host;
    enum host_end end;

    if (!cli_plan_load(loaded, file, local_dir != NULL))
        return EXIT_CONFIG;
    options.plan = loaded->plan;
    options.catalog = loaded->catalog;
    end = host_provision(&host, &options, action);
    if (end != HOST_DONE)
        fprintf(stderr, "kpipe: %s\n", host_failure(&host));
    host_free(&host);
    return end == HOST_DONE ? EXIT_DELIVERED : EXIT_FAILED;
}

int cmd_provision(int argc, char **argv)
{
    struct cli_plan loaded = {0};
    const char *local_dir = ".kpipe/local";
    int option, code = EXIT_CONFIG;

    while ((option = cli_option(argc, argv, long_options)) != -1) {
        switch (option) {
        case 's':
            if (!cli_plan_set(&loaded, optarg))
                goto out;
            break;
        case 'a': local_dir = NULL; break;
        case 'l': local_dir = optarg; break;
        case 'h':
            fputs(usage, stdout);
            code = EXIT_DELIVERED;
            goto out;
        default: goto out;
        }
    }
    if (argc - optind != 2 ||
        (strcmp(argv[optind], "synth") != 0 && strcmp(argv[optind], "ensure") != 0)) {
        fputs(usage, stderr);
        goto out;
    }
    code = provision(&loaded, argv[optind], argv[optind + 1], local_dir);
out:
    cli_plan_fini(&loaded);
    return code;
}
