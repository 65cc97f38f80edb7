/* files.c - the files below S3's root folder. */
#include "plugins/local-aws/s3/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/local-aws/s3/statements.h"
#include "plugins/local-aws/sql.h"

enum { WRITE_PIECE = 1024 * 1024 };

struct bucket_dir {
    int root;
    const char *bucket;
};

static enum s3_kind kind_at(void *arg, const char *path)
{
    const struct bucket_dir *dir = arg;
    char full[S3_PATH_MAX];
    struct stat st;

    if (snprintf(full, sizeof(full), "%s/%s", dir->bucket, path) >= (int)sizeof(full) ||
        fstatat(dir->root, full, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return S3_FREE;
    return S_ISDIR(st.st_mode) ? S3_FOLDER : S3_FILE;
}

bool s3_files_place(int root, const struct s3_key *key, char *out, size_t size)
{
    struct bucket_dir dir = {root, key->bucket};
    size_t n = strlen(key->bucket) + 1;

    if (n >= size)
        return false;
    memcpy(out, key->bucket, n - 1);
    out[n - 1] = '/';
    return s3_key_path(kpw_slice(key->key, key->len), kind_at, &dir, out + n, size - n);
}

/* Cuts the last part off; false: nothing is left above the bucket. */
static bool to_parent(char *path)
{
    char *slash = strrchr(path, '/');

    if (!slash)
        return false;
    *slash = '\0';
    return true;
}

bool s3_files_sync_folder(int root, const char *path)
{
    char folder[S3_PATH_MAX];
    bool ok;
    int fd;

    snprintf(folder, sizeof(folder), "%s", path);
    if (!to_parent(folder))
        return fsync(root) == 0;
    fd = openat(root, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ok = fsync(fd) == 0;
    close(fd);
    return ok;
}

bool s3_files_make_folders(int root, const char *path, bool sync)
{
    char part[S3_PATH_MAX];
    size_t n = strlen(path);

    if (n >= sizeof(part))
        return false;
    memcpy(part, path, n + 1);
    for (size_t i = 1; i < n; i++) {
        if (part[i] != '/')
            continue;
        part[i] = '\0';
        if (mkdirat(root, part, 0777) == 0) {
            if (sync && !s3_files_sync_folder(root, part))
                return false;
        } else if (errno != EEXIST) {
            return false;
        }
        part[i] = '/';
    }
    return true;
}

void s3_files_remove(int root, const char *path)
{
    char folder[S3_PATH_MAX];

    unlinkat(root, path, 0);
    snprintf(folder, sizeof(folder), "%s", path);
    while (to_parent(folder) && strchr(folder, '/'))
        if (unlinkat(root, folder, AT_REMOVEDIR) != 0)
            break;
}

void s3_files_remove_tree(int root, const char *path)
{
    int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            unlinkat(dirfd(dir), entry->d_name, 0) != 0)
            s3_files_remove_tree(dirfd(dir), entry->d_name);
    closedir(dir);
    unlinkat(root, path, AT_REMOVEDIR);
}

/* ---- contents under way ---- */

bool s3_temp_open(struct s3_store *store, struct s3_temp *temp)
{
    /* Parts of uploads may be left by earlier processes of this number. */
    do {
        snprintf(temp->name, sizeof(temp->name), ".tmp/%lx-%llx", (long)getpid(),
                 (unsigned long long)store->n_temps++);
        temp->fd = openat(store->root, temp->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (temp->fd < 0 && errno == EEXIST);
    if (temp->fd < 0)
        temp->name[0] = '\0'; /* nothing to drop */
    return temp->fd >= 0;
}

bool s3_temp_write(struct s3_temp *temp, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(temp->fd, p, len < WRITE_PIECE ? len : WRITE_PIECE);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

bool s3_temp_sync(struct s3_temp *temp)
{
    return fdatasync(temp->fd) == 0;
}

void s3_temp_drop(struct s3_store *store, struct s3_temp *temp)
{
    if (temp->fd >= 0)
        close(temp->fd);
    temp->fd = -1;
    if (temp->name[0] != '\0')
        unlinkat(store->root, temp->name, 0);
    temp->name[0] = '\0';
}

static bool is_part(struct s3_store *store, const char *name)
{
    sqlite3_stmt *st = sql_use(store->db, &store->st[S3_PART_FILE],
                               "SELECT 1 FROM s3_part WHERE file = ? LIMIT 1");
    bool found;

    sql_bind_text(st, 1, name);
    found = sql_row(st);
    if (found)
        sqlite3_reset(st);
    return found;
}

void s3_files_sweep(struct s3_store *store)
{
    int fd = openat(store->root, ".tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    char name[300];

    if (!dir)
        return;
    while ((entry = readdir(dir)) != NULL) {
        snprintf(name, sizeof(name), ".tmp/%s", entry->d_name);
        if (entry->d_name[0] != '.' && !is_part(store, name))
            unlinkat(store->root, name, 0);
    }
    closedir(dir);
}
