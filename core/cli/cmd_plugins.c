/* cmd_plugins.c - `kpipe plugins [NAME] [--json]`: what is installed, and the options of one.
 *
 * Everything printed comes from the option rows, as do the manual and the checks.
 */
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/cli/cli.h"
#include "core/config/catalog.h"
#include "core/config/plan.h"
#include "core/plugin/describe.h"
#include "core/plugin/plugins.h"
#include "core/run/host.h"

static const char usage[] =
    "usage: kpipe plugins [NAME] [--json]\n"
    "\n"
    "Lists every stage the installed plugins bring, or the options of the stage NAME, or of all\n"
    "stages of the plugin NAME. NAME may be \"pipeline\": the options beside the flows.\n"
    "Plugins are looked for in $KPIPE_PLUGINS (folders with ':' between), else in \"plugins\"\n"
    "beside the program, else in ../lib/kpipe/plugins.\n";

struct listing {
    const char *name;        /* NULL: all */
    const kp_plugin *plugin; /* NAME is this plugin and no stage; else NULL */
    size_t n;
    json_t *json; /* [owned] an array; NULL: text */
};

/* ---- what NAME means */

static bool brings(const kp_plugin *plugin, const kp_element *element)
{
    for (size_t i = 0; plugin->elements[i]; i++)
        if (plugin->elements[i] == element)
            return true;
    return false;
}

static bool is_asked_for(const struct listing *listing, const kp_element *element)
{
    if (listing->plugin)
        return brings(listing->plugin, element);
    return !listing->name || !strcmp(listing->name, element->name);
}

static void count_element(void *arg, const kp_element *element)
{
    struct listing *listing = arg;

    listing->n += is_asked_for(listing, element);
}

/* A stage goes before a plugin of the same name. */
static void find_plugin(struct plugins *plugins, const struct catalog *catalog,
                        struct listing *listing)
{
    catalog->each(catalog->arg, count_element, listing);
    for (size_t i = 0; !listing->n && i < plugins_count(plugins); i++) {
        const kp_plugin *plugin = plugins_at(plugins, i)->plugin;

        if (plugin && !strcmp(plugin->name, listing->name))
            listing->plugin = plugin;
    }
    listing->n = 0;
}

static void suggest_element(void *arg, const kp_element *element)
{
    suggest_try(arg, element->name);
}

static int say_unknown(const struct catalog *catalog, const char *name)
{
    struct suggest suggest = suggest_for(name);
    struct error err = ERROR_INIT;

    catalog->each(catalog->arg, suggest_element, &suggest);
    catalog->find(catalog->arg, KP_SINK, name, &err); /* a refused plugin may be the reason */
    fprintf(stderr, "kpipe: no plugin brings \"%s\"", name);
    if (suggest_best(&suggest))
        fprintf(stderr, ", did you mean \"%s\"?", suggest_best(&suggest));
    fprintf(stderr, "%s%s\n", *err.text ? "; " : "", err.text);
    return EXIT_CONFIG;
}

/* ---- as text */

#define TYPE_MAX  30 /* a longer range or list of choices gets a line of its own */
#define TEXT_SIZE 200

struct widths {
    size_t name, type, dflt;
};

/* A default as it would be written in the file: control characters escaped. */
static const char *default_of(const kp_option *row, char *out, size_t size)
{
    size_t n = 0;

    if (row->dflt == KP_REQUIRED || !*row->dflt)
        return row->dflt == KP_REQUIRED ? "required" : "-";
    for (const char *at = row->dflt; *at && n + 3 < size; at++) {
        if (*at == '\n' || *at == '\t' || *at == '\r')
            out[n++] = '\\';
        out[n++] = *at == '\n' ? 'n' : *at == '\t' ? 't' : *at == '\r' ? 'r' : *at;
    }
    out[n] = '\0';
    return out;
}

/* "int 1..64", "a|b|c". */
static bool is_long(const kp_option *row)
{
    return row->check && strlen(row->check) + strlen(describe_type(row->type)) > TYPE_MAX;
}

static const char *type_of(const kp_option *row, char *out, size_t size)
{
    const char *type = describe_type(row->type);

    if (!row->check || is_long(row))
        snprintf(out, size, "%s", type);
    else if (row->type == KP_T_ENUM)
        snprintf(out, size, "%s", row->check);
    else
        snprintf(out, size, "%s %s", type, row->check);
    return out;
}

static void grow(size_t *width, size_t len)
{
    if (len > *width)
        *width = len;
}

static void measure(const kp_option *rows, size_t indent, struct widths *widths)
{
    char text[TEXT_SIZE];

    for (; rows->name; rows++) {
        grow(&widths->name, indent + strlen(rows->name));
        grow(&widths->type, strlen(type_of(rows, text, sizeof text)));
        grow(&widths->dflt, strlen(default_of(rows, text, sizeof text)));
        if (rows->type == KP_T_GROUP)
            measure(rows->rows, indent + 2, widths);
    }
}

static void print_rows(const kp_option *rows, size_t indent, const struct widths *widths)
{
    char type[TEXT_SIZE], dflt[TEXT_SIZE];

    for (; rows->name; rows++) {
        printf("  %*s%-*s  %-*s  %-*s  %s\n", (int)indent, "", (int)(widths->name - indent),
               rows->name, (int)widths->type, type_of(rows, type, sizeof type), (int)widths->dflt,
               default_of(rows, dflt, sizeof dflt), rows->help);
        if (is_long(rows))
            printf("  %*s  %s\n", (int)widths->name, "", rows->check);
        if (rows->type == KP_T_GROUP)
            print_rows(rows->rows, indent + 2, widths);
    }
}

static void print_table(const kp_option *rows)
{
    struct widths widths = {strlen("OPTION"), strlen("TYPE"), strlen("DEFAULT")};

    measure(rows, 0, &widths);
    printf("  %-*s  %-*s  %-*s  %s\n", (int)widths.name, "OPTION", (int)widths.type, "TYPE",
           (int)widths.dflt, "DEFAULT", "MEANING");
    print_rows(rows, 0, &widths);
}

static void print_options(const kp_element *element)
{
    bool is_word = !strchr(element->name, '-'); /* else Lua needs the brackets */

    printf(is_word ? "k.%s.%s - %s\n" : "k.%s[\"%s\"] - %s\n", describe_kind(element->kind),
           element->name, element->help);
    if (element->options->name)
        print_table(element->options);
    else
        printf("  no options\n");
}

/* ---- as JSON */

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *rows_json(const kp_option *rows)
{
    json_t *list = json_array();

    for (; rows->name; rows++) {
        json_t *row =
            json_pack("{s:s, s:s, s:b, s:o, s:o, s:s}", "name", rows->name, "type",
                      describe_type(rows->type), "required", rows->dflt == KP_REQUIRED, "default",
                      text_or_null(rows->dflt && *rows->dflt ? rows->dflt : NULL), "check",
                      text_or_null(rows->check), "help", rows->help);

        if (rows->type == KP_T_GROUP)
            json_object_set_new(row, "options", rows_json(rows->rows));
        json_array_append_new(list, row);
    }
    return list;
}

/* ---- the listing */

static void list_element(void *arg, const kp_element *element)
{
    struct listing *listing = arg;
    json_t *entry;

    if (!is_asked_for(listing, element))
        return;
    listing->n++;
    if (listing->json) {
        entry = json_pack("{s:s, s:s, s:s}", "name", element->name, "kind",
                          describe_kind(element->kind), "help", element->help);
        json_object_set_new(entry, "options", rows_json(element->options));
        json_array_append_new(listing->json, entry);
    } else if (listing->name) {
        if (listing->n > 1)
            printf("\n");
        print_options(element);
    } else {
        printf("%-22s %-12s %s\n", element->name, describe_kind(element->kind), element->help);
    }
}

/* The table that a file returns is no plugin's, and has options too. */
static void list_pipeline(struct listing *listing)
{
    static const char help[] =
        "the table a file returns, beside kpipe, resources, flows, on_failure and memory";
    json_t *entry;

    listing->n++;
    if (!listing->json) {
        printf("pipeline - %s\n", help);
        print_table(plan_rows());
        return;
    }
    entry = json_pack("{s:s, s:s, s:s}", "name", "pipeline", "kind", "pipeline", "help", help);
    json_object_set_new(entry, "options", rows_json(plan_rows()));
    json_array_append_new(listing->json, entry);
}

static void list_refused(struct plugins *plugins, json_t *refused)
{
    for (size_t i = 0; i < plugins_count(plugins); i++) {
        const struct plugin_info *info = plugins_at(plugins, i);

        if (!info->problem)
            continue;
        if (refused)
            json_array_append_new(
                refused, json_pack("{s:s, s:s}", "path", info->path, "problem", info->problem));
        else
            printf("refused: %s %s\n", info->path, info->problem);
    }
}

static int print_json(struct plugins *plugins, struct listing *listing)
{
    json_t *refused = json_array();
    json_t *all = json_pack("{s:o, s:o}", "elements", listing->json, "refused", refused);

    list_refused(plugins, refused);
    json_dumpf(all, stdout, JSON_INDENT(2));
    printf("\n");
    json_decref(all);
    return 0;
}

static int list(struct plugins *plugins, const struct catalog *catalog, struct listing *listing)
{
    if (listing->name)
        find_plugin(plugins, catalog, listing);
    if (!listing->name && !listing->json)
        printf("%-22s %-12s %s\n", "NAME", "KIND", "MEANING");
    catalog->each(catalog->arg, list_element, listing);
    if (!listing->n && listing->name && !strcmp(listing->name, "pipeline"))
        list_pipeline(listing);
    if (listing->json && (listing->n || !listing->name))
        return print_json(plugins, listing);
    json_decref(listing->json);
    if (listing->name && !listing->n)
        return say_unknown(catalog, listing->name);
    if (!listing->name)
        list_refused(plugins, NULL);
    return 0;
}

int cmd_plugins(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    struct listing listing = {0};
    struct error err = ERROR_INIT;
    struct plugins *plugins;
    struct catalog catalog;
    bool json = false;
    int option, code;

    optind = 1;
    while ((option = cli_option(argc, argv, options)) != -1) {
        if (option == 'j') {
            json = true;
            continue;
        }
        if (option == 'h')
            fputs(usage, stdout);
        return option == 'h' ? 0 : 2;
    }
    if (argc - optind > 1) {
        fputs(usage, stderr);
        return 2;
    }
    plugins = plugins_load(NULL, host_table(), &err);
    if (!plugins) {
        fprintf(stderr, "kpipe: %s\n", err.text);
        return 2;
    }
    listing.name = optind < argc ? argv[optind] : NULL;
    listing.json = json ? json_array() : NULL;
    catalog = plugins_catalog(plugins);
    code = list(plugins, &catalog, &listing);
    plugins_free(plugins);
    return code;
}
