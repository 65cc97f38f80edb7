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
#include "core/base/mem.h"
#include "core/cli/cli.h"
#include "core/config/catalog.h"
#include "core/plugin/describe.h"
#include "core/plugin/plugins.h"
#include "core/run/host.h"

static const char usage[] =
    "usage: kpipe plugins [NAME] [--json]\n"
    "\n"
    "Lists every stage the installed plugins bring, or the options of the stage NAME.\n"
    "Plugins are looked for in $KPIPE_PLUGINS (folders with ':' between), else in \"plugins\"\n"
    "beside the program, else in ../lib/kpipe/plugins.\n";

struct listing {
    const char *name; /* NULL: all */
    size_t n;
    json_t *json; /* [owned] an array; NULL: text */
};

/* ---- as text */

static const char *default_of(const kp_option *row)
{
    return row->dflt == KP_REQUIRED ? "required" : *row->dflt ? row->dflt : "-";
}

static size_t widest(const kp_option *rows, size_t indent)
{
    size_t width = 0;

    for (; rows->name; rows++) {
        size_t len = indent + strlen(rows->name);
        size_t inner = rows->type == KP_T_GROUP ? widest(rows->rows, indent + 2) : 0;

        width = len > width ? len : width;
        width = inner > width ? inner : width;
    }
    return width;
}

static void print_rows(const kp_option *rows, size_t indent, size_t width)
{
    for (; rows->name; rows++) {
        printf("  %*s%-*s  %-8s  %-12s  %s\n", (int)indent, "", (int)(width - indent), rows->name,
               describe_type(rows->type), default_of(rows), rows->help);
        if (rows->check)
            printf("  %*s  %8s  %12s  %s\n", (int)width, "", "", "", rows->check);
        if (rows->type == KP_T_GROUP)
            print_rows(rows->rows, indent + 2, width);
    }
}

static void print_options(const kp_element *element)
{
    size_t width = widest(element->options, 0);

    printf("k.%s[\"%s\"] - %s\n", describe_kind(element->kind), element->name, element->help);
    if (!element->options->name) {
        printf("  no options\n");
        return;
    }
    width = width < 6 ? 6 : width;
    printf("  %-*s  %-8s  %-12s  %s\n", (int)width, "OPTION", "TYPE", "DEFAULT", "MEANING, RANGE");
    print_rows(element->options, 0, width);
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

    if (listing->name && strcmp(listing->name, element->name))
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

static void list_refused(const struct plugins *plugins, json_t *refused)
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

static int print_json(const struct plugins *plugins, struct listing *listing)
{
    json_t *refused = json_array();
    json_t *all = json_pack("{s:o, s:o}", "elements", listing->json, "refused", refused);

    list_refused(plugins, refused);
    json_dumpf(all, stdout, JSON_INDENT(2));
    printf("\n");
    json_decref(all);
    return 0;
}

static int list(const struct plugins *plugins, const struct catalog *catalog,
                struct listing *listing)
{
    struct error err = ERROR_INIT;

    if (!listing->name && !listing->json)
        printf("%-22s %-12s %s\n", "NAME", "KIND", "MEANING");
    catalog->each(catalog->arg, list_element, listing);
    if (listing->json && (listing->n || !listing->name))
        return print_json(plugins, listing);
    json_decref(listing->json);
    if (listing->name && !listing->n) {
        catalog->find(catalog->arg, KP_SINK, listing->name, &err);
        fprintf(stderr, "kpipe: no plugin brings \"%s\"%s%s\n", listing->name,
                *err.text ? "; " : "", err.text);
        return 2;
    }
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
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'j') {
            json = true;
            continue;
        }
        fputs(usage, option == 'h' ? stdout : stderr);
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
