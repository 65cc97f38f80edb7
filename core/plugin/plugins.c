/* plugins.c - see plugins.h: the search path, loading what the scan found fine, and the catalog.
 *
 * Elements are kept in one array sorted by name and kind, first by name only: the
 * element itself is known once its plugin is opened. A name that two plugins bring
 * is refused with the second one.
 */
#include "core/plugin/plugins.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/plugin/describe.h"
#include "core/plugin/scan.h"

#define LIMIT_MS 5000 /* for opening one plugin */

struct found {
    kp_kind kind;
    char *name;                /* [owned] */
    const kp_element *element; /* [borrowed from the plugin's code] NULL: not opened yet */
    struct plugin_info *info;
};

struct plugins {
    const kp_host *host;       /* [borrowed for ever] */
    struct plugin_info *infos; /* [owned] */
    size_t n_infos, infos_cap;
    struct found *seen; /* [owned] by the scan, in its order; the names are moved to found */
    size_t n_seen, seen_cap;
    struct found *found; /* [owned] sorted */
    size_t n_found, found_cap;
};

/* ---- the search path */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct plugin_info *)a)->path, ((const struct plugin_info *)b)->path);
}

static bool add_folder(struct plugins *plugins, const char *folder, struct error *err)
{
    size_t first = plugins->n_infos, len;
    DIR *dir = opendir(folder);
    struct dirent *entry;

    if (!dir) {
        error_sys(err, errno, "plugin folder %s", folder);
        if (err)
            err->kind = ERROR_CONFIG;
        return false;
    }
    while ((entry = readdir(dir))) {
        len = strlen(entry->d_name);
        if (len < 4 || entry->d_name[0] == '.' || strcmp(entry->d_name + len - 3, ".so"))
            continue;
        mem_room(&plugins->infos, &plugins->infos_cap, plugins->n_infos, sizeof *plugins->infos);
        plugins->infos[plugins->n_infos++] =
            (struct plugin_info){.path = mem_fmt("%s/%s", folder, entry->d_name)};
    }
    closedir(dir);
    if (plugins->n_infos > first)
        qsort(plugins->infos + first, plugins->n_infos - first, sizeof *plugins->infos, by_path);
    return true;
}

/* The folder "plugins" beside the executable, else the installed one; NULL: neither exists. */
static char *default_folder(void)
{
    static const char *const places[] = {"plugins", "../lib/kpipe/plugins"};
    char exe[PATH_MAX], *slash, *folder;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    struct stat st;

    if (n <= 0)
        return NULL;
    exe[n] = '\0';
    slash = strrchr(exe, '/');
    if (!slash)
        return NULL;
    *slash = '\0';
    for (size_t i = 0; i < 2; i++) {
        folder = mem_fmt("%s/%s", exe, places[i]);
        if (!stat(folder, &st) && S_ISDIR(st.st_mode))
            return folder;
        free(folder);
    }
    return NULL;
}

static bool add_path(struct plugins *plugins, const char *path, struct error *err)
{
    char *copy, *folder, *rest;
    bool ok = true;

    if (!path || !*path)
        path = getenv("KPIPE_PLUGINS");
    copy = path && *path ? mem_dup(path) : default_folder();
    if (!copy)
        return true; /* none installed: every element will be unknown */
    for (folder = copy; ok && folder; folder = rest) {
        rest = path && *path ? strchr(folder, ':') : NULL;
        if (rest)
            *rest++ = '\0';
        if (*folder)
            ok = add_folder(plugins, folder, err);
    }
    free(copy);
    return ok;
}

/* ---- loading */

static void refuse(void *arg, size_t i, const char *problem)
{
    struct plugin_info *info = &((struct plugins *)arg)->infos[i];

    if (!info->problem) /* the first of several */
        info->problem = mem_dup(problem);
}

static void see(void *arg, size_t i, kp_kind kind, const char *name)
{
    struct plugins *plugins = arg;

    mem_room(&plugins->seen, &plugins->seen_cap, plugins->n_seen, sizeof *plugins->seen);
    plugins->seen[plugins->n_seen++] =
        (struct found){kind, mem_dup(name), NULL, &plugins->infos[i]};
}

static int compare(kp_kind kind, const char *name, const struct found *found)
{
    int order = strcmp(name, found->name);

    return order ? order : (int)kind - (int)found->kind;
}

/* Where (kind, name) stands or would stand. */
static size_t position(const struct plugins *plugins, kp_kind kind, const char *name,
                       bool *ret_is_there)
{
    size_t low = 0, high = plugins->n_found;

    *ret_is_there = false;
    while (low < high) {
        size_t mid = (low + high) / 2;
        int order = compare(kind, name, &plugins->found[mid]);

        if (order == 0) {
            *ret_is_there = true;
            return mid;
        }
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

/* Refuses the plugin when another brings one of its elements already. */
static void refuse_twins(struct plugins *plugins, struct plugin_info *info)
{
    for (size_t i = 0; i < plugins->n_seen && !info->problem; i++) {
        const struct found *seen = &plugins->seen[i];
        bool is_there = false;
        size_t at = seen->info == info ? position(plugins, seen->kind, seen->name, &is_there) : 0;

        if (is_there)
            info->problem =
                mem_fmt("brings %s %s, which %s brings already", describe_kind(seen->kind),
                        seen->name, plugins->found[at].info->path);
    }
}

/* [consumes seen] */
static void add_element(struct plugins *plugins, const struct found *seen)
{
    bool is_there;
    size_t at = position(plugins, seen->kind, seen->name, &is_there);

    mem_room(&plugins->found, &plugins->found_cap, plugins->n_found, sizeof *plugins->found);
    memmove(&plugins->found[at + 1], &plugins->found[at],
            (plugins->n_found++ - at) * sizeof *plugins->found);
    plugins->found[at] = *seen;
}

static void scan_all(struct plugins *plugins)
{
    char **paths = mem_new((plugins->n_infos + 1) * sizeof *paths);

    for (size_t i = 0; i < plugins->n_infos; i++)
        paths[i] = plugins->infos[i].path;
    scan_files(&(struct scan_job){.paths = paths,
                                  .n = plugins->n_infos,
                                  .host = plugins->host,
                                  .limit_ms = LIMIT_MS,
                                  .problem = refuse,
                                  .element = see,
                                  .arg = plugins});
    free(paths);
    for (size_t i = 0, at = 0; i < plugins->n_infos; i++) {
        struct plugin_info *info = &plugins->infos[i];

        refuse_twins(plugins, info);
        for (; at < plugins->n_seen && plugins->seen[at].info == info; at++) {
            if (info->problem)
                free(plugins->seen[at].name);
            else
                add_element(plugins, &plugins->seen[at]);
        }
    }
    plugins->n_seen = 0;
}

static void open_plugin(struct plugins *plugins, struct plugin_info *info)
{
    char problem[600];

    if (info->plugin || info->problem)
        return;
    info->plugin = scan_open(info->path, plugins->host, problem, sizeof problem);
    if (!info->plugin) {
        info->problem = mem_dup(problem);
        return;
    }
    for (size_t i = 0; info->plugin->elements[i]; i++) {
        const kp_element *element = info->plugin->elements[i];
        bool is_there;
        size_t at = position(plugins, element->kind, element->name, &is_there);

        if (is_there && plugins->found[at].info == info)
            plugins->found[at].element = element;
    }
}

struct plugins *plugins_load(const char *path, const kp_host *host, struct error *err)
{
    struct plugins *plugins = mem_new(sizeof *plugins);

    plugins->host = host;
    if (!add_path(plugins, path, err)) {
        plugins_free(plugins);
        return NULL;
    }
    scan_all(plugins);
    return plugins;
}

void plugins_free(struct plugins *plugins)
{
    if (!plugins)
        return;
    for (size_t i = 0; i < plugins->n_infos; i++) {
        free(plugins->infos[i].path);
        free(plugins->infos[i].problem);
    }
    for (size_t i = 0; i < plugins->n_found; i++)
        free(plugins->found[i].name);
    free(plugins->infos);
    free(plugins->seen);
    free(plugins->found);
    free(plugins);
}

size_t plugins_count(const struct plugins *plugins)
{
    return plugins->n_infos;
}

const struct plugin_info *plugins_at(struct plugins *plugins, size_t i)
{
    open_plugin(plugins, &plugins->infos[i]);
    return &plugins->infos[i];
}

/* ---- the catalog */

static bool is_named(const char *path, const char *name)
{
    const char *base = strrchr(path, '/') + 1;
    size_t len = strlen(name);

    return !strncmp(base, name, len) && !strcmp(base + len, ".so");
}

/* An unknown element may be one of a refused plugin: the one of its name, else any. */
static const struct plugin_info *suspect(const struct plugins *plugins, const char *name)
{
    const struct plugin_info *any = NULL;

    for (size_t i = 0; i < plugins->n_infos; i++) {
        const struct plugin_info *info = &plugins->infos[i];

        if (info->problem && is_named(info->path, name))
            return info;
        if (info->problem && !any)
            any = info;
    }
    return any;
}

static const kp_element *catalog_find(void *arg, kp_kind kind, const char *name, struct error *err)
{
    struct plugins *plugins = arg;
    const struct plugin_info *info;
    bool is_there;
    size_t at = position(plugins, kind, name, &is_there);

    if (is_there)
        open_plugin(plugins, plugins->found[at].info);
    if (is_there && plugins->found[at].element)
        return plugins->found[at].element;
    info = is_there ? plugins->found[at].info : suspect(plugins, name);
    if (info)
        error_set(err, ERROR_CONFIG, "%s %s", info->path, info->problem);
    return NULL;
}

static void catalog_each(void *arg, void (*fn)(void *fn_arg, const kp_element *element),
                         void *fn_arg)
{
    struct plugins *plugins = arg;

    for (size_t i = 0; i < plugins->n_infos; i++)
        open_plugin(plugins, &plugins->infos[i]);
    for (size_t i = 0; i < plugins->n_found; i++)
        if (plugins->found[i].element)
            fn(fn_arg, plugins->found[i].element);
}

struct catalog plugins_catalog(struct plugins *plugins)
{
    return (struct catalog){.arg = plugins, .find = catalog_find, .each = catalog_each};
}

/* ---- one file */

struct printer {
    FILE *out;
    const char *path;
    size_t n;
    char first[1000];
};

static void print_problem(void *arg, size_t i, const char *problem)
{
    struct printer *printer = arg;

    (void)i;
    if (!printer->n++)
        snprintf(printer->first, sizeof printer->first, "%s", problem);
    if (printer->out)
        fprintf(printer->out, "%s %s\n", printer->path, problem);
}

size_t plugin_problems(const char *so_path, const kp_host *host, FILE *out)
{
    struct printer printer = {.out = out, .path = so_path};
    /* A name without a slash would be looked for in the library path. */
    char *path = strchr(so_path, '/') ? mem_dup(so_path) : mem_fmt("./%s", so_path);

    scan_files(&(struct scan_job){.paths = &path,
                                  .n = 1,
                                  .host = host,
                                  .limit_ms = LIMIT_MS,
                                  .problem = print_problem,
                                  .arg = &printer});
    free(path);
    return printer.n;
}

bool plugin_check(const char *so_path, const kp_host *host, struct error *err)
{
    struct printer printer = {.path = so_path};
    char *path = strchr(so_path, '/') ? mem_dup(so_path) : mem_fmt("./%s", so_path);

    scan_files(&(struct scan_job){.paths = &path,
                                  .n = 1,
                                  .host = host,
                                  .limit_ms = LIMIT_MS,
                                  .problem = print_problem,
                                  .arg = &printer});
    free(path);
    if (printer.n)
        error_set(err, ERROR_CONFIG, "%s %s", so_path, printer.first);
    return !printer.n;
}
