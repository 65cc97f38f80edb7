/* cli_plan.c - the pipeline file a subcommand works on; see cli.h. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/cli/cli.h"
#include "core/plugin/plugins.h"
#include "core/run/host.h"

bool cli_plan_set(struct cli_plan *loaded, const char *assignment)
{
    const char *equals = strchr(assignment, '=');

    if (!equals || equals == assignment) {
        fprintf(stderr, "kpipe: --set wants NAME=VALUE, not \"%s\"\n", assignment);
        return false;
    }
    mem_room(&loaded->sets, &loaded->sets_cap, loaded->n_sets, sizeof *loaded->sets);
    loaded->sets[loaded->n_sets++] =
        (struct plan_set){mem_dupn(assignment, (size_t)(equals - assignment)), equals + 1};
    return true;
}

bool cli_plan_load(struct cli_plan *loaded, const char *file, bool local)
{
    struct error err = ERROR_INIT;

    loaded->plugins = plugins_load(NULL, host_table(), &err);
    if (!loaded->plugins) {
        fprintf(stderr, "kpipe: %s\n", err.text);
        return false;
    }
    loaded->catalog = mem_new(sizeof *loaded->catalog);
    *loaded->catalog = host_catalog(loaded->plugins);
    loaded->plan = plan_load(file,
                             &(struct plan_options){.catalog = loaded->catalog,
                                                    .sets = loaded->sets,
                                                    .n_sets = loaded->n_sets,
                                                    .local = local},
                             stderr);
    return loaded->plan != NULL;
}

void cli_plan_fini(struct cli_plan *loaded)
{
    for (size_t i = 0; i < loaded->n_sets; i++)
        free((void *)(uintptr_t)loaded->sets[i].name);
    free(loaded->sets);
    plan_free(loaded->plan);
    free(loaded->catalog);
    plugins_free(loaded->plugins);
    *loaded = (struct cli_plan){0};
}

int cli_look(int argc, char **argv, const struct cli_look *command)
{
    struct cli_plan loaded = {0};
    int code = EXIT_CONFIG, option;
    bool local = true;

    while ((option = cli_option(argc, argv, command->options)) != -1) {
        if (option == 'h') {
            fputs(command->usage, stdout);
            code = EXIT_DELIVERED;
            goto out;
        }
        if (option == '?' || (option == 's' && !cli_plan_set(&loaded, optarg)))
            goto out;
        if (option == 'a')
            local = false;
        else if (option != 's')
            command->set(command->arg, option);
    }
    if (argc != optind + 1) {
        fputs(command->usage, stderr);
        goto out;
    }
    if (cli_plan_load(&loaded, argv[optind], local)) {
        command->look(command->arg, argv[optind], loaded.plan);
        code = EXIT_DELIVERED;
    }
out:
    cli_plan_fini(&loaded);
    return code;
}
