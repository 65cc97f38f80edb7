/* cli.h - what the subcommands of `kpipe` share.
 *
 * Each subcommand is one file, cmd_NAME.c, with one function that gets its own
 * argv (argv[0] is the subcommand), reads options with cli_option() and
 * returns an exit code. `--help` prints the usage text to standard output.
 *
 * Threads: main.
 */
#ifndef KPIPE_CLI_CLI_H
#define KPIPE_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "core/config/plan.h"

enum exit_code {
    EXIT_DELIVERED = 0,    /* all is well */
    EXIT_FAILED = 1,       /* a stage failed, or the user asked twice to stop */
    EXIT_CONFIG = 2,       /* the command line or the pipeline file is wrong */
    EXIT_DEAD_LETTERS = 3, /* finished, but some records were dead-lettered */
    EXIT_DEADLINE = 4,     /* the drain deadline came first: some records will be read again */
};

int cmd_run(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_graph(int argc, char **argv);
int cmd_plugins(int argc, char **argv);
int cmd_plugin(int argc, char **argv);
int cmd_new(int argc, char **argv);
int cmd_local(int argc, char **argv);
int cmd_provision(int argc, char **argv);
int cmd_leases(int argc, char **argv);

struct option;

/* getopt_long() with -h: '?' after saying what is wrong, in one line. */
int cli_option(int argc, char **argv, const struct option *options);

/* False after saying that the value of --listen is no address. */
bool cli_check_address(const char *value);

/* The pipeline file of check, show, graph, run and provision. Start with zeroes. */
struct cli_plan {
    struct plugins *plugins; /* [owned] */
    struct catalog *catalog; /* [owned] */
    struct plan_set *sets;   /* [owned] */
    size_t n_sets, sets_cap;
    struct plan *plan; /* [owned] */
};

/* Keeps a --set NAME=VALUE for cli_plan_load(); false after saying what is wrong with it. */
bool cli_plan_set(struct cli_plan *loaded, const char *assignment);
/* Loads the plugins and the file; false after every problem was printed to standard error. */
bool cli_plan_load(struct cli_plan *loaded, const char *file, bool local);
void cli_plan_fini(struct cli_plan *loaded);
/* Streams that are waited for are not made: those that only sources with the option `wait` use.
 * `all`: every source that has the option gets it (--wait). */
void cli_plan_await(struct plan *plan, bool all);

/* A command that only looks at a pipeline file: check, show and graph. */
struct cli_look {
    const char *usage;
    const struct option *options; /* besides its own: 's' for --set, 'a' for --aws, 'h' */
    /* Called for its own options; NULL: it has none. */
    void (*set)(void *arg, int option);
    void (*look)(const void *arg, const char *file, const struct plan *plan);
    void *arg; /* [borrowed] */
};

/* Reads the command line, loads the file and looks at it. Returns the exit code. */
int cli_look(int argc, char **argv, const struct cli_look *command);

#endif
