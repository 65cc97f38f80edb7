/* store.c - S3's buckets and objects on disk. */
#include "plugins/local-aws/s3/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/local-aws/s3/files.h"
#include "plugins/local-aws/s3/statements.h"
#include "plugins/local-aws/sql.h"

static const char schema_text[] =
    "CREATE TABLE IF NOT EXISTS s3_bucket(name TEXT PRIMARY KEY, region TEXT NOT NULL,"
    " created INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS s3_config(bucket TEXT NOT NULL, name TEXT NOT NULL,"
    " body TEXT NOT NULL, PRIMARY KEY(bucket, name)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS s3_object(bucket TEXT NOT NULL, key BLOB NOT NULL,"
    " path TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL, modified INTEGER NOT NULL,"
    " headers TEXT NOT NULL, algorithm INTEGER NOT NULL, checksum TEXT NOT NULL,"
    " composite INTEGER NOT NULL, parts INTEGER NOT NULL, PRIMARY KEY(bucket, key)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS s3_pending(id INTEGER PRIMARY KEY, temp TEXT, inode INTEGER,"
    " bucket TEXT NOT NULL, key BLOB NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL,"
    " etag TEXT NOT NULL, modified INTEGER NOT NULL, headers TEXT NOT NULL,"
    " algorithm INTEGER NOT NULL, checksum TEXT NOT NULL, composite INTEGER NOT NULL,"
    " parts INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS s3_upload(id TEXT PRIMARY KEY, bucket TEXT NOT NULL,"
    " key BLOB NOT NULL, created INTEGER NOT NULL, headers TEXT NOT NULL,"
    " algorithm INTEGER NOT NULL, composite INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS s3_part(upload TEXT NOT NULL, number INTEGER NOT NULL,"
    " size INTEGER NOT NULL, etag TEXT NOT NULL, checksum TEXT NOT NULL, algorithm INTEGER NOT "
    "NULL,"
    " modified INTEGER NOT NULL, file TEXT NOT NULL, PRIMARY KEY(upload, number)) WITHOUT ROWID;";

/* What came later, for folders that are older; "duplicate column name" is fine. */
static const char *const additions[] = {
    "ALTER TABLE s3_object ADD COLUMN layout TEXT",
    "ALTER TABLE s3_pending ADD COLUMN layout TEXT",
    "ALTER TABLE s3_upload ADD COLUMN touched INTEGER NOT NULL DEFAULT 0",
};

static bool make_tables(sqlite3 *db)
{
    if (!sql_exec(db, schema_text))
        return false;
    for (size_t i = 0; i < sizeof(additions) / sizeof(additions[0]); i++)
        if (!sql_exec(db, additions[i]) && !strstr(sqlite3_errmsg(db), "duplicate column"))
            return false;
    return true;
}

static sqlite3_stmt *use(struct s3_store *store, enum s3_slot slot, const char *text)
{
    return sql_use(store->db, &store->st[slot], text);
}

/* ---- opening, and finishing what a crash interrupted ---- */

/* A commit that a crash may take back: what it says is found out again by s3_store_settle(). */
static void be_lax(const struct s3_store *store, bool lax)
{
    if (store->sync)
        sql_exec(store->db, lax ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL");
}

static bool drop_pending(struct s3_store *store, sqlite3_int64 id)
{
    sqlite3_stmt *st = use(store, S3_PENDING_DROP, "DELETE FROM s3_pending WHERE id = ?");

    sql_bind_int(st, 1, id);
    return sql_run(st);
}

/* The content is in place: the row of the object is written, the pending one goes. */
static bool finish_pending(struct s3_store *store, sqlite3_int64 id)
{
    sqlite3_stmt *st;
    bool ok;

    be_lax(store, true);
    ok = sql_begin(store->db);
    if (ok) {
        st = use(store, S3_OBJECT_FROM_PENDING,
                 "INSERT OR REPLACE INTO s3_object(bucket, key, path, size, etag, modified,"
                 " headers, algorithm, checksum, composite, parts, layout)"
                 " SELECT bucket, key, path, size, etag, modified, headers, algorithm, checksum,"
                 " composite, parts, layout FROM s3_pending WHERE id = ?");
        sql_bind_int(st, 1, id);
        ok = sql_end(store->db, sql_run(st) && drop_pending(store, id));
    }
    be_lax(store, false);
    return ok;
}

struct pending {
    sqlite3_int64 id;
    char temp[48], *path;
    bool is_put;
    ino_t inode;
};

static bool first_pending(struct s3_store *store, struct pending *ret)
{
    sqlite3_stmt *st =
        use(store, S3_PENDING_FIRST, "SELECT id, temp, inode, path FROM s3_pending ORDER BY id");

    if (!sql_row(st))
        return false;
    ret->id = sqlite3_column_int64(st, 0);
    ret->is_put = sqlite3_column_type(st, 1) != SQLITE_NULL;
    snprintf(ret->temp, sizeof(ret->temp), "%s", sql_text(st, 1));
    ret->inode = (ino_t)sqlite3_column_int64(st, 2);
    ret->path = strdup(sql_text(st, 3));
    sqlite3_reset(st);
    return ret->path != NULL;
}

/* Was the file renamed into place before the crash? While the temporary one is there it was not,
 * and its inode cannot be another file's. */
static bool was_renamed(const struct s3_store *store, const struct pending *p)
{
    struct stat st;

    return fstatat(store->root, p->temp, &st, 0) != 0 &&
           fstatat(store->root, p->path, &st, 0) == 0 && st.st_ino == p->inode;
}

/* A key that was written again after its deletion keeps its file. */
static void remove_deleted(struct s3_store *store, const struct pending *p)
{
    sqlite3_stmt *st = use(store, S3_PENDING_REBORN,
                           "SELECT 1 FROM s3_object WHERE (bucket, key) ="
                           " (SELECT bucket, key FROM s3_pending WHERE id = ?)");

    sql_bind_int(st, 1, p->id);
    if (sql_row(st))
        sqlite3_reset(st);
    else
        s3_files_remove(store->root, p->path);
}

bool s3_store_settle(struct s3_store *store)
{
    struct pending p;
    bool ok = true;

    if (!store->is_unsettled)
        return true;
    while (ok && first_pending(store, &p)) {
        if (!p.is_put)
            remove_deleted(store, &p);
        ok = p.is_put && was_renamed(store, &p) ? finish_pending(store, p.id)
                                                : drop_pending(store, p.id);
        free(p.path);
    }
    store->is_unsettled = !ok;
    return ok;
}

bool s3_store_open(struct s3_store *store, sqlite3 *db, const char *dir, char *why, size_t size)
{
    memset(store, 0, sizeof(*store));
    store->db = db;
    store->root = -1;
    if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
        snprintf(why, size, "cannot make %s: %s", dir, strerror(errno));
        return false;
    }
    store->root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->root < 0 || (mkdirat(store->root, ".tmp", 0777) != 0 && errno != EEXIST)) {
        snprintf(why, size, "cannot use %s: %s", dir, strerror(errno));
        return false;
    }
    if (!make_tables(db)) {
        snprintf(why, size, "cannot make the tables of S3: %s", sqlite3_errmsg(db));
        return false;
    }
    store->is_unsettled = true;
    if (!s3_store_settle(store)) {
        snprintf(why, size, "cannot finish what S3 had begun: %s", sqlite3_errmsg(db));
        return false;
    }
    s3_files_sweep(store);
    return true;
}

void s3_store_close(struct s3_store *store)
{
    for (int i = 0; i < S3_STATEMENTS; i++)
        sqlite3_finalize(store->st[i]);
    if (store->root >= 0)
        close(store->root);
    memset(store, 0, sizeof(*store));
    store->root = -1;
}

/* ---- buckets ---- */

static void read_bucket(sqlite3_stmt *st, struct s3_bucket *ret)
{
    snprintf(ret->name, sizeof(ret->name), "%s", sql_text(st, 0));
    snprintf(ret->region, sizeof(ret->region), "%s", sql_text(st, 1));
    ret->created_ms = sqlite3_column_int64(st, 2);
}

bool s3_bucket_find(struct s3_store *store, const char *name, struct s3_bucket *ret)
{
    sqlite3_stmt *st =
        use(store, S3_BUCKET_GET, "SELECT name, region, created FROM s3_bucket WHERE name = ?");

    sql_bind_text(st, 1, name);
    if (!sql_row(st))
        return false;
    read_bucket(st, ret);
    sqlite3_reset(st);
    return true;
}

bool s3_bucket_add(struct s3_store *store, const char *name, const char *region, int64_t now_ms)
{
    sqlite3_stmt *st =
        use(store, S3_BUCKET_ADD, "INSERT INTO s3_bucket(name, region, created) VALUES(?, ?, ?)");

    if ((mkdirat(store->root, name, 0777) != 0 && errno != EEXIST) ||
        (store->sync && fsync(store->root) != 0))
        return false;
    sql_bind_text(st, 1, name);
    sql_bind_text(st, 2, region);
    sql_bind_int(st, 3, now_ms);
    return sql_run(st);
}

bool s3_bucket_is_empty(struct s3_store *store, const char *name)
{
    sqlite3_stmt *st =
        use(store, S3_BUCKET_FULL, "SELECT 1 FROM s3_object WHERE bucket = ? LIMIT 1");
    bool full;

    sql_bind_text(st, 1, name);
    full = sql_row(st);
    if (full)
        sqlite3_reset(st);
    return !full;
}

bool s3_bucket_remove(struct s3_store *store, const char *name)
{
    static const char *const texts[] = {"DELETE FROM s3_config WHERE bucket = ?",
                                        ("DELETE FROM s3_part WHERE upload IN (SELECT id FROM "
                                         "s3_upload WHERE bucket = ?)"),
                                        "DELETE FROM s3_upload WHERE bucket = ?",
                                        "DELETE FROM s3_bucket WHERE name = ?"};
    bool ok = sql_begin(store->db);

    if (!ok)
        return false;
    for (int i = 0; ok && i < 4; i++) {
        sqlite3_stmt *st = use(store, (enum s3_slot)(S3_BUCKET_DROP + i), texts[i]);

        sql_bind_text(st, 1, name);
        ok = sql_run(st);
    }
    if (!sql_end(store->db, ok))
        return false;
    s3_files_remove_tree(store->root, name);
    return true;
}

void s3_bucket_each(struct s3_store *store, void (*fn)(void *arg, const struct s3_bucket *),
                    void *arg)
{
    sqlite3_stmt *st =
        use(store, S3_BUCKET_LIST, "SELECT name, region, created FROM s3_bucket ORDER BY name");
    struct s3_bucket bucket;

    while (sql_row(st)) {
        read_bucket(st, &bucket);
        fn(arg, &bucket);
    }
}

char *s3_config_get(struct s3_store *store, const char *bucket, const char *name)
{
    sqlite3_stmt *st =
        use(store, S3_CONFIG_GET, "SELECT body FROM s3_config WHERE bucket = ? AND name = ?");
    char *ret;

    sql_bind_text(st, 1, bucket);
    sql_bind_text(st, 2, name);
    if (!sql_row(st))
        return NULL;
    ret = strdup(sql_text(st, 0));
    sqlite3_reset(st);
    return ret;
}

bool s3_config_put(struct s3_store *store, const char *bucket, const char *name, const char *text,
                   size_t len)
{
    sqlite3_stmt *st =
        use(store, S3_CONFIG_PUT, "INSERT OR REPLACE INTO s3_config VALUES(?, ?, ?)");

    sql_bind_text(st, 1, bucket);
    sql_bind_text(st, 2, name);
    if (st)
        sqlite3_bind_text64(st, 3, text, len, SQLITE_STATIC, SQLITE_UTF8);
    return sql_run(st);
}

bool s3_config_remove(struct s3_store *store, const char *bucket, const char *name)
{
    sqlite3_stmt *st =
        use(store, S3_CONFIG_DROP, "DELETE FROM s3_config WHERE bucket = ? AND name = ?");

    sql_bind_text(st, 1, bucket);
    sql_bind_text(st, 2, name);
    return sql_run(st);
}

/* ---- objects ---- */

static void bind_key(sqlite3_stmt *st, int at, const struct s3_key *key)
{
    sql_bind_text(st, at, key->bucket);
    sql_bind_bytes(st, at + 1, key->key, key->len);
}

bool s3_object_find(struct s3_store *store, const struct s3_key *key, struct s3_object *ret)
{
    sqlite3_stmt *st = use(store, S3_OBJECT_GET,
                           "SELECT path, size, etag, modified, headers, algorithm, checksum,"
                           " composite, parts FROM s3_object WHERE bucket = ? AND key = ?");

    memset(ret, 0, sizeof(*ret));
    bind_key(st, 1, key);
    if (!sql_row(st))
        return false;
    ret->path = strdup(sql_text(st, 0));
    ret->meta.size = (uint64_t)sqlite3_column_int64(st, 1);
    snprintf(ret->meta.etag, sizeof(ret->meta.etag), "%s", sql_text(st, 2));
    ret->meta.modified_ms = sqlite3_column_int64(st, 3);
    ret->meta.headers = json_loads(sql_text(st, 4), 0, NULL);
    ret->meta.algorithm = (enum s3_algorithm)sqlite3_column_int(st, 5);
    snprintf(ret->meta.checksum, sizeof(ret->meta.checksum), "%s", sql_text(st, 6));
    ret->meta.is_composite = sqlite3_column_int(st, 7) != 0;
    ret->meta.parts = (uint32_t)sqlite3_column_int(st, 8);
    sqlite3_reset(st);
    if (ret->path)
        return true;
    s3_object_fini(ret);
    return false;
}

void s3_meta_fini(struct s3_meta *meta)
{
    json_decref(meta->headers);
    free(meta->layout);
    memset(meta, 0, sizeof(*meta));
}

void s3_object_fini(struct s3_object *object)
{
    s3_meta_fini(&object->meta);
    free(object->path);
    object->path = NULL;
}

int s3_object_open(struct s3_store *store, const struct s3_object *object)
{
    return openat(store->root, object->path, O_RDONLY | O_CLOEXEC);
}

/* Binds size .. parts at eight parameters; *headers_text is to be freed afterwards. */
static void bind_meta(sqlite3_stmt *st, int at, const struct s3_meta *meta, char **headers_text)
{
    *headers_text = meta->headers ? json_dumps(meta->headers, JSON_COMPACT) : NULL;
    sql_bind_int(st, at, (long long)meta->size);
    sql_bind_text(st, at + 1, meta->etag);
    sql_bind_int(st, at + 2, meta->modified_ms);
    sql_bind_text(st, at + 3, *headers_text ? *headers_text : "{}");
    sql_bind_int(st, at + 4, meta->algorithm);
    sql_bind_text(st, at + 5, meta->checksum);
    sql_bind_int(st, at + 6, meta->is_composite);
    sql_bind_int(st, at + 7, meta->parts);
}

struct change {
    const struct s3_key *key;
    const char *path;
    const struct s3_temp *temp; /* NULL: the object is to be deleted */
    const struct s3_meta *meta;
};

static bool add_pending(struct s3_store *store, const struct change *change, sqlite3_int64 *ret_id)
{
    sqlite3_stmt *st = use(store, S3_PENDING_ADD,
                           "INSERT INTO s3_pending(temp, inode, bucket, key, path, size, etag,"
                           " modified, headers, algorithm, checksum, composite, parts, layout)"
                           " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    struct s3_meta none = {0};
    struct stat info = {0};
    char *headers;
    bool ok;

    if (change->temp && fstat(change->temp->fd, &info) != 0)
        return false;
    if (change->temp) {
        sql_bind_text(st, 1, change->temp->name);
        sql_bind_int(st, 2, (long long)info.st_ino);
    }
    bind_key(st, 3, change->key);
    sql_bind_text(st, 5, change->path);
    bind_meta(st, 6, change->meta ? change->meta : &none, &headers);
    sql_bind_text(st, 14, change->meta ? change->meta->layout : NULL);
    ok = sql_run(st);
    free(headers);
    *ret_id = sqlite3_last_insert_rowid(store->db);
    return ok;
}

/* Uploads under way for a key learn that it changed since they began. */
static bool touch_uploads(struct s3_store *store, const struct s3_key *key)
{
    sqlite3_stmt *st = use(store, S3_UPLOAD_TOUCH,
                           "UPDATE s3_upload SET touched = 1 WHERE bucket = ? AND key = ?");

    bind_key(st, 1, key);
    return sql_run(st);
}

static bool begin_publish(struct s3_store *store, const struct change *change,
                          sqlite3_int64 *ret_id)
{
    return sql_begin(store->db) && sql_end(store->db, add_pending(store, change, ret_id) &&
                                                          touch_uploads(store, change->key));
}

bool s3_object_publish(struct s3_store *store, const struct s3_key *key, struct s3_temp *temp,
                       const struct s3_meta *meta)
{
    char path[S3_PATH_MAX];
    struct s3_object old;
    sqlite3_int64 id;
    bool ok;

    if (s3_object_find(store, key, &old)) {
        snprintf(path, sizeof(path), "%s", old.path);
        s3_object_fini(&old);
    } else if (!s3_files_place(store->root, key, path, sizeof(path))) {
        return false;
    }
    if (!s3_files_make_folders(store->root, path, store->sync) ||
        !begin_publish(store, &(struct change){key, path, temp, meta}, &id))
        return false;
    if (renameat(store->root, temp->name, store->root, path) != 0) {
        store->is_unsettled = !drop_pending(store, id);
        return false;
    }
    temp->name[0] = '\0'; /* moved */
    ok = !store->sync || s3_files_sync_folder(store->root, path);
    store->is_unsettled = !finish_pending(store, id);
    return ok && !store->is_unsettled;
}

bool s3_object_touch(struct s3_store *store, const struct s3_key *key, const struct s3_meta *meta)
{
    sqlite3_stmt *st = use(store, S3_OBJECT_TOUCH,
                           "UPDATE s3_object SET size = ?, etag = ?, modified = ?, headers = ?,"
                           " algorithm = ?, checksum = ?, composite = ?, parts = ?"
                           " WHERE bucket = ? AND key = ?");
    char *headers;
    bool ok;

    bind_meta(st, 1, meta, &headers);
    bind_key(st, 9, key);
    ok = sql_run(st);
    free(headers);
    return ok;
}

char *s3_object_layout(struct s3_store *store, const struct s3_key *key)
{
    sqlite3_stmt *st =
        use(store, S3_OBJECT_LAYOUT, "SELECT layout FROM s3_object WHERE bucket = ? AND key = ?");
    char *ret;

    bind_key(st, 1, key);
    if (!sql_row(st))
        return NULL;
    ret = strdup(sql_text(st, 0));
    sqlite3_reset(st);
    return ret;
}

/* ---- deleting: the row goes first, together with a pending one for the file */

static bool drop_object(struct s3_store *store, const struct s3_key *key, sqlite3_int64 *ret_id)
{
    sqlite3_stmt *st;
    struct s3_object object;
    bool ok;

    *ret_id = 0;
    if (!s3_object_find(store, key, &object))
        return true;
    ok = add_pending(store, &(struct change){.key = key, .path = object.path}, ret_id) &&
         touch_uploads(store, key);
    st = use(store, S3_OBJECT_DROP, "DELETE FROM s3_object WHERE bucket = ? AND key = ?");
    bind_key(st, 1, key);
    ok = ok && sql_run(st);
    s3_object_fini(&object);
    return ok;
}

static void remove_file_of(struct s3_store *store, sqlite3_int64 id)
{
    sqlite3_stmt *st = use(store, S3_PENDING_PATH, "SELECT path FROM s3_pending WHERE id = ?");

    sql_bind_int(st, 1, id);
    if (!sql_row(st))
        return;
    s3_files_remove(store->root, sql_text(st, 0));
    sqlite3_reset(st);
}

/* What fails here is done again by s3_store_settle(). */
static void remove_files(struct s3_store *store, const sqlite3_int64 *ids, size_t n)
{
    bool ok = true;

    for (size_t i = 0; i < n; i++)
        if (ids[i] != 0)
            remove_file_of(store, ids[i]);
    be_lax(store, true);
    if (sql_begin(store->db)) {
        for (size_t i = 0; ok && i < n; i++)
            ok = ids[i] == 0 || drop_pending(store, ids[i]);
        ok = sql_end(store->db, ok);
    } else {
        ok = false;
    }
    store->is_unsettled = !ok;
    be_lax(store, false);
}

bool s3_objects_delete(struct s3_store *store, const struct s3_key *keys, size_t n)
{
    sqlite3_int64 *ids = calloc(n + 1, sizeof(*ids));
    bool ok = ids && sql_begin(store->db);

    if (ok) {
        for (size_t i = 0; ok && i < n; i++)
            ok = drop_object(store, &keys[i], &ids[i]);
        ok = sql_end(store->db, ok);
    }
    if (ok)
        remove_files(store, ids, n);
    free(ids);
    return ok;
}

bool s3_object_delete(struct s3_store *store, const struct s3_key *key)
{
    return s3_objects_delete(store, key, 1);
}

#define ENTRY                                                 \
    "SELECT key, size, etag, modified, algorithm, composite," \
    " json_extract(headers, '$.\"x-amz-storage-class\"') FROM s3_object"

void s3_object_each(struct s3_store *store, const struct s3_key *from, bool included,
                    s3_entry_fn fn, void *arg)
{
    sqlite3_stmt *st =
        included ? use(store, S3_OBJECT_FROM, ENTRY " WHERE bucket = ? AND key >= ? ORDER BY key")
                 : use(store, S3_OBJECT_AFTER, ENTRY " WHERE bucket = ? AND key > ? ORDER BY key");
    bool more = true;

    bind_key(st, 1, from);
    while (more && sql_row(st)) {
        struct s3_entry entry = {.key = sqlite3_column_blob(st, 0),
                                 .len = (size_t)sqlite3_column_bytes(st, 0),
                                 .size = (uint64_t)sqlite3_column_int64(st, 1),
                                 .etag = sql_text(st, 2),
                                 .modified_ms = sqlite3_column_int64(st, 3),
                                 .algorithm = (enum s3_algorithm)sqlite3_column_int(st, 4),
                                 .is_composite = sqlite3_column_int(st, 5) != 0,
                                 .storage_class = sql_text(st, 6)};

        more = fn(arg, &entry);
    }
    if (st)
        sqlite3_reset(st);
}
