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

/* ---- streams that are waited for */

/* The option of that name and type, not one of a group; NULL: there is none. */
static const kp_option *option_of(const struct plan_node *node, const char *name, kp_type type)
{
    for (const kp_option *row = node->element->options; row && row->name; row++)
        if (row->type == type && !strcmp(row->name, name))
            return row;
    return NULL;
}

static bool uses(const struct plan_node *node, const kp_resource *resource)
{
    for (const kp_option *row = node->element->options; row && row->name; row++) {
        const kp_resource *const *used =
            (const kp_resource *const *)((const char *)node->config + row->offset);

        if (row->type == KP_T_RESOURCE && *used && !strcmp((*used)->kind, resource->kind) &&
            !strcmp((*used)->name, resource->name))
            return true;
    }
    return false;
}

static bool waits(const struct plan_node *source, bool all)
{
    const kp_option *row = option_of(source, "wait", KP_T_BOOL);
    bool *is_set = row ? (bool *)((char *)source->config + row->offset) : NULL;

    if (is_set && all)
        *is_set = true;
    return is_set && *is_set;
}

static bool is_awaited(const struct plan *plan, const kp_resource *resource, bool all)
{
    bool awaited = false;

    for (size_t f = 0; f < plan->n_flows; f++) {
        const struct plan_flow *flow = &plan->flows[f];

        if (flow->on_failure && uses(flow->on_failure, resource))
            return false;
        for (size_t i = 0; i < flow->n_nodes; i++) {
            if (!uses(&flow->nodes[i], resource))
                continue;
            if (i || !waits(&flow->nodes[i], all))
                return false;
            awaited = true;
        }
    }
    return awaited;
}

void cli_plan_await(struct plan *plan, bool all)
{
    size_t n = 0;

    for (size_t i = 0; i < plan->n_resources; i++)
        if (!is_awaited(plan, plan->resources[i], all))
            plan->resources[n++] = plan->resources[i];
    plan->n_resources = n;
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
