/* folder.c - making and removing folders; never outside of the root, never through links.
 */
#include "plugins/local-aws/kinesis/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/local-aws/kinesis/seq.h"

void folder_name(const char *stream, char out[FOLDER_NAME_SIZE])
{
    snprintf(out, FOLDER_NAME_SIZE, "%s%s", *stream == '.' ? "%2E" : "",
             *stream == '.' ? stream + 1 : stream);
}

char *folder_of_shard(const char *stream, uint32_t shard)
{
    char name[FOLDER_NAME_SIZE], id[KINESIS_SHARD_ID], *path = NULL;

    folder_name(stream, name);
    kinesis_shard_id(shard, id);
    return asprintf(&path, "%s/%s", name, id) < 0 ? NULL : path;
}

bool folder_make_shard(int root, const char *stream, uint32_t shard)
{
    char name[FOLDER_NAME_SIZE], *path = folder_of_shard(stream, shard);
    bool ok = path != NULL;

    folder_name(stream, name);
    ok = ok && (mkdirat(root, name, 0700) == 0 || errno == EEXIST) &&
         (mkdirat(root, path, 0700) == 0 || errno == EEXIST);
    free(path);
    return ok;
}

bool folder_sync(int root, const char *stream)
{
    char name[FOLDER_NAME_SIZE];
    bool ok;
    int fd;

    folder_name(stream, name);
    fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    ok = fd >= 0 && fsync(fd) == 0 && fsync(root) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

/* Empties a folder of the depth that there can be, and removes it. */
static void remove_tree(int parent, const char *name, int depth)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (!dir && fd >= 0)
        close(fd);
    while (dir && (entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (unlinkat(dirfd(dir), entry->d_name, 0) && depth > 0)
            remove_tree(dirfd(dir), entry->d_name, depth - 1);
    }
    if (dir)
        closedir(dir);
    unlinkat(parent, name, AT_REMOVEDIR);
}

void folder_drop(int root, const char *stream)
{
    char name[FOLDER_NAME_SIZE];

    folder_name(stream, name);
    remove_tree(root, name, 2);
}

void folder_drop_shard(int root, const char *stream, uint32_t shard)
{
    char *path = folder_of_shard(stream, shard);

    if (path)
        remove_tree(root, path, 1);
    free(path);
}

void folder_sweep(int root, bool (*fn)(void *arg, const char *folder), void *arg)
{
    int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (!dir && fd >= 0)
        close(fd);
    while (dir && (entry = readdir(dir)))
        if (*entry->d_name != '.' && !fn(arg, entry->d_name))
            remove_tree(root, entry->d_name, 2);
    if (dir)
        closedir(dir);
}
