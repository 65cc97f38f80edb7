/* plugins.h - finding, checking and loading plugins.
 *
 * Each .so of the search path is first looked at in a child process, so that a
 * crashing plugin becomes one line with its path. What the child saw of its
 * elements makes the catalog; a plugin is opened here (RTLD_NOW | RTLD_LOCAL) when
 * one of its elements is asked for, and kept for the life of the process. A
 * pipeline so maps no plugin that it does not use.
 *
 * Owned by: main.   Threads: main; the elements found are read-only for all.
 */
#ifndef KPIPE_PLUGIN_PLUGINS_H
#define KPIPE_PLUGIN_PLUGINS_H

#include <kpipe/plugin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/config/catalog.h"

struct error;
struct plugins;

struct plugin_info {
    char *path;              /* [owned by plugins] */
    const kp_plugin *plugin; /* NULL: refused */
    char *problem;           /* why it was refused, else NULL */
};

/* Looks at what is in the folders of `path` (colon-separated; NULL: $KPIPE_PLUGINS, else the folder
 * "plugins" beside the executable, else PREFIX/lib/kpipe/plugins). A refused plugin is no error
 * here. `host` is handed to the plugins [borrowed for ever]. */
struct plugins *plugins_load(const char *path, const kp_host *host, struct error *err);
void plugins_free(struct plugins *plugins); /* the code stays mapped */

size_t plugins_count(const struct plugins *plugins);
/* Opens the plugin, if that was not done yet. */
const struct plugin_info *plugins_at(struct plugins *plugins, size_t i);
/* find and each of a catalog (each opens all); validate is left NULL for core/run to fill. */
struct catalog plugins_catalog(struct plugins *plugins);

/* Writes one line per problem of a .so, looked at in a child process; returns how many. */
size_t plugin_problems(const char *so_path, const kp_host *host, FILE *out);
/* One line of what is wrong with a .so, looked at in a child process; true when it is fine. */
bool plugin_check(const char *so_path, const kp_host *host, struct error *err);

#endif
