/* cmd_local.c - `kpipe local`: the embedded AWS alone, for any SDK or the AWS CLI. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/cli/cli.h"
#include "core/plugin/plugins.h"
#include "core/run/host.h"

static const char usage[] =
    "usage: kpipe local [--port N] [--dir DIR] [--no-limits] [--verify-signatures]\n"
    "\n"
    "Serves Kinesis, DynamoDB, S3 and SQS on 127.0.0.1 until a signal comes. Prints one line,\n"
    "\"ready http://127.0.0.1:PORT\", when it can be used.\n"
    "\n"
    "  --port N              0 is any free port (default 4566)\n"
    "  --listen ADDRESS      instead of --port: \"0.0.0.0:4566\" lets other machines in\n"
    "  --dir DIR             where its data lies (default .kpipe/local)\n"
    "  --durability HOW      fsync, os or memory (default os: survives the process, not the "
    "machine)\n"
    "  --no-limits           no throttling\n"
    "  --verify-signatures   requests must be signed with the key test/test\n"
    "  --log LEVEL           error, warn, info or debug (default info)\n";

enum { OPT_PORT = 256, OPT_LISTEN, OPT_DIR, OPT_DURABILITY, OPT_NO_LIMITS, OPT_VERIFY, OPT_LOG };

static const struct option long_options[] = {
    {"port", required_argument, NULL, OPT_PORT},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"dir", required_argument, NULL, OPT_DIR},
    {"durability", required_argument, NULL, OPT_DURABILITY},
    {"no-limits", no_argument, NULL, OPT_NO_LIMITS},
    {"verify-signatures", no_argument, NULL, OPT_VERIFY},
    {"log", required_argument, NULL, OPT_LOG},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static void say_ready(const char *url)
{
    printf("ready %s\n", url);
    fflush(stdout);
}

static int serve(struct host_options *options)
{
    struct error err = ERROR_INIT;
    struct plugins *plugins = plugins_load(NULL, host_table(), &err);
    struct catalog catalog;
    struct host host;
    enum host_end end;

    if (!plugins) {
        fprintf(stderr, "kpipe: %s\n", err.text);
        return EXIT_CONFIG;
    }
    catalog = host_catalog(plugins);
    options->catalog = &catalog;
    end = host_run_service(&host, options, say_ready);
    if (end != HOST_DONE)
        fprintf(stderr, "kpipe: %s\n", host_failure(&host));
    host_free(&host);
    plugins_free(plugins);
    return end == HOST_DONE ? EXIT_DELIVERED : EXIT_FAILED;
}

static bool set_port(struct host_options *options, const char *value, char **ret_owned)
{
    char *end;
    unsigned long port = strtoul(value, &end, 10);

    if (*end || *value == '-' || *value == '\0' || port > 65535) {
        fprintf(stderr, "kpipe: --port wants a number from 0 to 65535, not \"%s\"\n", value);
        return false;
    }
    free(*ret_owned);
    options->local_listen = *ret_owned = mem_fmt("127.0.0.1:%lu", port);
    return true;
}

static bool set_level(const char *value)
{
    enum log_level level;

    if (!log_level_from(value, &level)) {
        fprintf(stderr, "kpipe: --log wants error, warn, info or debug, not \"%s\"\n", value);
        return false;
    }
    log_setup(level, false);
    return true;
}

static bool set_durability(struct host_options *options, const char *value)
{
    options->local_durability = value;
    if (!strcmp(value, "fsync") || !strcmp(value, "os") || !strcmp(value, "memory"))
        return true;
    fprintf(stderr, "kpipe: --durability wants fsync, os or memory, not \"%s\"\n", value);
    return false;
}

static bool set_option(struct host_options *options, int option, char **ret_owned)
{
    switch (option) {
    case OPT_PORT: return set_port(options, optarg, ret_owned);
    case OPT_LISTEN: options->local_listen = optarg; return cli_check_address(optarg);
    case OPT_DIR: options->local_dir = optarg; return true;
    case OPT_DURABILITY: return set_durability(options, optarg);
    case OPT_NO_LIMITS: options->no_limits = true; return true;
    case OPT_VERIFY: options->verify_signatures = true; return true;
    case OPT_LOG: return set_level(optarg);
    default: return false;
    }
}

int cmd_local(int argc, char **argv)
{
    struct host_options options = {.local_dir = ".kpipe/local", .local_listen = "127.0.0.1:4566"};
    char *owned = NULL;
    int option, code = EXIT_CONFIG;

    while ((option = cli_option(argc, argv, long_options)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            code = EXIT_DELIVERED;
            goto out;
        }
        if (!set_option(&options, option, &owned))
            goto out;
    }
    if (argc != optind) {
        fputs(usage, stderr);
        goto out;
    }
    code = serve(&options);
out:
    free(owned);
    return code;
}
