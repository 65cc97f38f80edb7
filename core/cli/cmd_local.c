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
    "usage: kpipe local [--port N] [--dir DIR] [--no-limits] [--verify-signatures] [--tls]\n"
    "\n"
    "Serves Kinesis, DynamoDB, SQS, S3, STS and CloudWatch on 127.0.0.1 until a signal comes. Its\n"
    "first line, \"ready http://127.0.0.1:PORT\", says that it can be used; then come the "
    "settings\n"
    "of a client.\n"
    "\n"
    "  --port N              0 is any free port (default 4566)\n"
    "  --listen ADDRESS      instead of --port: \"0.0.0.0:4566\" lets other machines in\n"
    "  --dir DIR             where its data lies (default .kpipe/local)\n"
    "  --durability HOW      fsync, os or memory (default os: survives the process, not the "
    "machine)\n"
    "  --no-limits           no throttling\n"
    "  --verify-signatures   requests must be signed with the key test/test\n"
    "  --tls                 https on the same port, with a certificate made in DIR\n"
    "  --tls-cert FILE       the same with this certificate (PEM) ...\n"
    "  --tls-key FILE        ... and its key\n"
    "  --faults WHEN         POST /_kpipe/faults: auto (only when no other machine is let in), on, "
    "off\n"
    "  --log LEVEL           error, warn, info or debug (default info)\n";

enum {
    OPT_PORT = 256,
    OPT_LISTEN,
    OPT_DIR,
    OPT_DURABILITY,
    OPT_NO_LIMITS,
    OPT_VERIFY,
    OPT_TLS,
    OPT_TLS_CERT,
    OPT_TLS_KEY,
    OPT_FAULTS,
    OPT_LOG
};

static const struct option long_options[] = {
    {"port", required_argument, NULL, OPT_PORT},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"dir", required_argument, NULL, OPT_DIR},
    {"durability", required_argument, NULL, OPT_DURABILITY},
    {"no-limits", no_argument, NULL, OPT_NO_LIMITS},
    {"verify-signatures", no_argument, NULL, OPT_VERIFY},
    {"tls", no_argument, NULL, OPT_TLS},
    {"tls-cert", required_argument, NULL, OPT_TLS_CERT},
    {"tls-key", required_argument, NULL, OPT_TLS_KEY},
    {"faults", required_argument, NULL, OPT_FAULTS},
    {"log", required_argument, NULL, OPT_LOG},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* Of the one run of this command, for say_ready(). */
static const struct host_options *running;

/* The first line is for programs, the others for a shell. A tool that reads only the first may be
 * gone by then: SIGPIPE is ignored. */
static void say_ready(const char *url)
{
    const char *dir = running->local_dir, *port = strrchr(url, ':');
    char *real = realpath(dir, NULL);
    bool has_tls = running->local_tls || running->local_cert;

    printf("ready %s\n", url);
    printf("# data in %s; to use it from another shell:\n", real ? real : dir);
    if (has_tls)
        printf("export AWS_ENDPOINT_URL=https://localhost%s\n", port ? port : "");
    else
        printf("export AWS_ENDPOINT_URL=%s\n", url);
    if (has_tls && !running->local_cert)
        printf("export AWS_CA_BUNDLE=%s/tls.crt\n", real ? real : dir);
    printf("export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test "
           "AWS_DEFAULT_REGION=us-east-1\n");
    fflush(stdout);
    free(real);
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
    running = options;
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

static bool set_faults(struct host_options *options, const char *value)
{
    options->local_faults = value;
    if (!strcmp(value, "auto") || !strcmp(value, "on") || !strcmp(value, "off"))
        return true;
    fprintf(stderr, "kpipe: --faults wants auto, on or off, not \"%s\"\n", value);
    return false;
}

/* The two files go together. */
static bool check_tls(const struct host_options *options)
{
    if (!options->local_cert == !options->local_key)
        return true;
    fputs("kpipe: --tls-cert and --tls-key go together\n", stderr);
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
    case OPT_TLS: options->local_tls = "true"; return true;
    case OPT_TLS_CERT: options->local_cert = optarg; return true;
    case OPT_TLS_KEY: options->local_key = optarg; return true;
    case OPT_FAULTS: return set_faults(options, optarg);
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
    if (check_tls(&options))
        code = serve(&options);
out:
    free(owned);
    return code;
}
