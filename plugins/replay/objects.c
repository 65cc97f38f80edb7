/* objects.c - a walk of at most REPLAY_DEPTH_MAX levels, glob(3) for patterns.
 *
 * Symbolic links to files are followed, links to directories are not, so that
 * a loop cannot arise. Bounded: REPLAY_OBJECTS_MAX objects.
 */
#include "plugins/replay/objects.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define REPLAY_DEPTH_MAX   16
#define REPLAY_OBJECTS_MAX 1000000

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && memcmp(text + n - m, end, m) == 0;
}

static bool is_data(const char *name)
{
    const char *base = strrchr(name, '/');

    base = base ? base + 1 : name;
    return base[0] != '.' && !ends_with(name, "README.md");
}

static bool add_file(struct replay_objects *o, const char *path, size_t name_at)
{
    struct replay_object *item;

    if (!is_data(path))
        return true;
    if (o->count == REPLAY_OBJECTS_MAX)
        return false;
    if (o->count == o->room) {
        size_t room = o->room ? o->room * 2 : 64;
        struct replay_object *items = reallocarray(o->items, room, sizeof(*items));

        if (!items)
            return false;
        o->items = items;
        o->room = room;
    }
    item = &o->items[o->count];
    item->path = strdup(path);
    item->name = strdup(path + name_at);
    if (!item->path || !item->name) {
        free(item->path);
        free(item->name);
        return false;
    }
    o->count++;
    return true;
}

static bool add_folder(struct replay_objects *o, const char *path, size_t name_at, int depth);

static bool add_entry(struct replay_objects *o, const char *folder, const char *entry,
                      size_t name_at, int depth)
{
    struct stat st, linked;
    char *path;
    bool ok = true;

    if (asprintf(&path, "%s/%s", folder, entry) < 0)
        return false;
    if (lstat(path, &linked) == 0 && stat(path, &st) == 0) {
        if (S_ISREG(st.st_mode))
            ok = add_file(o, path, name_at);
        else if (S_ISDIR(linked.st_mode))
            ok = add_folder(o, path, name_at, depth + 1);
    }
    free(path);
    return ok;
}

static bool add_folder(struct replay_objects *o, const char *path, size_t name_at, int depth)
{
    DIR *dir;
    struct dirent *entry;
    bool ok = true;

    if (depth > REPLAY_DEPTH_MAX) {
        errno = ELOOP;
        return false;
    }
    dir = opendir(path);
    if (!dir)
        return false;
    while (ok && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            ok = add_entry(o, path, entry->d_name, name_at, depth);
    closedir(dir);
    return ok;
}

/* The fixed part of a pattern, up to the last '/' before its first wildcard. */
static size_t fixed_part(const char *pattern)
{
    size_t wild = strcspn(pattern, "*?["), at = 0;

    for (size_t i = 0; i < wild; i++)
        if (pattern[i] == '/')
            at = i + 1;
    return at;
}

static bool add_glob(struct replay_objects *o, const char *pattern, char *why, size_t why_size)
{
    size_t name_at = fixed_part(pattern), before = o->count;
    glob_t found;
    int rc = glob(pattern, GLOB_NOSORT, NULL, &found);
    bool ok = rc == 0;

    for (size_t i = 0; ok && i < found.gl_pathc; i++) {
        struct stat st;

        if (stat(found.gl_pathv[i], &st) == 0 && S_ISREG(st.st_mode))
            ok = add_file(o, found.gl_pathv[i], name_at);
    }
    if (rc == 0)
        globfree(&found);
    if (ok && o->count > before)
        return true;
    if (rc == 0 && !ok)
        snprintf(why, why_size, "out of memory listing %s", pattern);
    else
        snprintf(why, why_size, "no file matches %s", pattern);
    return false;
}

bool replay_objects_add(struct replay_objects *o, const char *path, char *why, size_t why_size)
{
    size_t len = strlen(path), before = o->count;
    struct stat st;
    const char *base;

    if (stat(path, &st) != 0) {
        if (errno == ENOENT && path[strcspn(path, "*?[")])
            return add_glob(o, path, why, why_size);
        snprintf(why, why_size, "cannot read %s: %s", path, strerror(errno));
        return false;
    }
    errno = ENOMEM;
    if (S_ISDIR(st.st_mode)) {
        char *folder = strndup(path, len > 1 && path[len - 1] == '/' ? len - 1 : len);
        bool ok = folder && add_folder(o, folder, strlen(folder) + 1, 0);

        free(folder);
        if (ok && o->count > before)
            return true;
        if (ok)
            snprintf(why, why_size, "there is no data file in %s", path);
        else
            snprintf(why, why_size, "cannot read %s: %s", path, strerror(errno));
        return false;
    }
    base = strrchr(path, '/');
    if (add_file(o, path, base ? (size_t)(base + 1 - path) : 0))
        return true;
    snprintf(why, why_size, "out of memory listing %s", path);
    return false;
}

static int by_name(const void *a, const void *b)
{
    const struct replay_object *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : strcmp(x->path, y->path);
}

void replay_objects_sort(struct replay_objects *o)
{
    if (o->count)
        qsort(o->items, o->count, sizeof(*o->items), by_name);
}

void replay_objects_fini(struct replay_objects *o)
{
    for (size_t i = 0; i < o->count; i++) {
        free(o->items[i].path);
        free(o->items[i].name);
    }
    free(o->items);
    *o = (struct replay_objects){0};
}
