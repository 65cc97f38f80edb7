/* main.c - the kpipe program: finds the subcommand and gives it the rest of the line. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>

#include "core/base/suggest.h"
#include "core/cli/cli.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static int cmd_help(int argc, char **argv);
static int cmd_version(int argc, char **argv);

static const struct command commands[] = {
    {"run", cmd_run, "runs a pipeline file"},
    {"check", cmd_check, "says what is wrong with a pipeline file, without running it"},
    {"show", cmd_show, "prints a pipeline as it was understood, defaults filled in"},
    {"graph", cmd_graph, "draws the flows as text, DOT or Mermaid"},
    {"plugins", cmd_plugins, "lists what is loaded, or the options of one stage"},
    {"plugin", cmd_plugin, "checks a plugin file"},
    {"new", cmd_new, "makes the source of a new plugin"},
    {"local", cmd_local, "runs the embedded AWS alone"},
    {"provision", cmd_provision, "prints or makes the resources of a pipeline"},
    {"leases", cmd_leases, "says who reads which shard, and how far; forgets it on demand"},
    {"help", cmd_help, "prints this"},
    {"version", cmd_version, "prints the version"},
    {0},
};

static int cmd_help(int argc, char **argv)
{
    (void)argc, (void)argv;
    printf("kpipe %s: stream pipelines on Kinesis, as one small program\n\n", KPIPE_VERSION);
    for (const struct command *command = commands; command->name; command++)
        printf("  kpipe %-10s %s\n", command->name, command->help);
    printf("\n`kpipe COMMAND --help` tells the options of one.\n");
    return EXIT_DELIVERED;
}

static int cmd_version(int argc, char **argv)
{
    (void)argc, (void)argv;
    printf("kpipe %s\n", KPIPE_VERSION);
    return EXIT_DELIVERED;
}

static int unknown(const char *name)
{
    struct suggest suggest = suggest_for(name);

    for (const struct command *command = commands; command->name; command++)
        suggest_try(&suggest, command->name);
    if (suggest_best(&suggest))
        fprintf(stderr, "kpipe: there is no command '%s'; did you mean '%s'?\n", name,
                suggest_best(&suggest));
    else
        fprintf(stderr, "kpipe: there is no command '%s'; `kpipe help` lists them\n", name);
    return EXIT_CONFIG;
}

/* Descriptors 0 to 2 must be open, or a data file could become standard error. */
static void open_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;

    open_standard_descriptors();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is an error of the write, as a full disk is */
    if (!name) {
        cmd_help(argc, argv);
        return EXIT_CONFIG;
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h"))
        name = "help";
    if (!strcmp(name, "--version") || !strcmp(name, "-V"))
        name = "version";
    for (const struct command *command = commands; command->name; command++)
        if (!strcmp(command->name, name))
            return command->run(argc - 1, argv + 1);
    return unknown(name);
}
