/* uploads.c - multipart uploads under way: their rows and the files of their parts. */
#include "plugins/local-aws/s3/uploads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/local-aws/s3/files.h"
#include "plugins/local-aws/s3/statements.h"
#include "plugins/local-aws/sql.h"

_Static_assert((int)S3_SLOTS <= (int)S3_STATEMENTS, "every statement has a slot");

static sqlite3_stmt *use(struct s3_store *store, enum s3_slot slot, const char *text)
{
    return sql_use(store->db, &store->st[slot], text);
}

/* ---- uploads ---- */

/* Columns id, key, created, headers, algorithm, composite, touched. */
static bool read_upload(sqlite3_stmt *st, struct s3_upload *ret)
{
    size_t len = (size_t)sqlite3_column_bytes(st, 1);
    char *key = malloc(len + 1);

    snprintf(ret->id, sizeof(ret->id), "%s", sql_text(st, 0));
    if (key) {
        memcpy(key, len ? sqlite3_column_blob(st, 1) : "", len);
        key[len] = '\0';
    }
    ret->key = kpw_slice(key, key ? len : 0);
    ret->created_ms = sqlite3_column_int64(st, 2);
    ret->headers = json_loads(sql_text(st, 3), 0, NULL);
    ret->algorithm = (enum s3_algorithm)sqlite3_column_int(st, 4);
    ret->is_composite = sqlite3_column_int(st, 5) != 0;
    ret->was_touched = sqlite3_column_int(st, 6) != 0;
    return key && ret->headers;
}

bool s3_upload_find(struct s3_store *store, const struct s3_key *key, const char *id,
                    struct s3_upload *ret)
{
    sqlite3_stmt *st = use(store, S3_UPLOAD_GET,
                           "SELECT id, key, created, headers, algorithm, composite, touched FROM"
                           " s3_upload WHERE id = ? AND bucket = ? AND key = ?");
    bool ok;

    memset(ret, 0, sizeof(*ret));
    sql_bind_text(st, 1, id);
    sql_bind_text(st, 2, key->bucket);
    sql_bind_bytes(st, 3, key->key, key->len);
    if (!sql_row(st))
        return false;
    ok = read_upload(st, ret);
    sqlite3_reset(st);
    return ok;
}

void s3_upload_fini(struct s3_upload *upload)
{
    free((char *)upload->key.ptr);
    json_decref(upload->headers);
    memset(upload, 0, sizeof(*upload));
}

bool s3_upload_add(struct s3_store *store, const struct s3_key *key, const struct s3_upload *upload)
{
    sqlite3_stmt *st = use(store, S3_UPLOAD_ADD,
                           "INSERT INTO s3_upload(id, bucket, key, created, headers, algorithm,"
                           " composite) VALUES(?, ?, ?, ?, ?, ?, ?)");
    char *headers = json_dumps(upload->headers, JSON_COMPACT);
    bool ok;

    sql_bind_text(st, 1, upload->id);
    sql_bind_text(st, 2, key->bucket);
    sql_bind_bytes(st, 3, key->key, key->len);
    sql_bind_int(st, 4, upload->created_ms);
    sql_bind_text(st, 5, headers);
    sql_bind_int(st, 6, upload->algorithm);
    sql_bind_int(st, 7, upload->is_composite);
    ok = headers && sql_run(st);
    free(headers);
    return ok;
}

bool s3_upload_remove(struct s3_store *store, const char *id)
{
    size_t n = 0;
    struct s3_part *parts = s3_part_list(store, id, &n);
    bool ok = sql_begin(store->db);
    sqlite3_stmt *st;

    if (ok) {
        st = use(store, S3_UPLOAD_DROP_PARTS, "DELETE FROM s3_part WHERE upload = ?");
        sql_bind_text(st, 1, id);
        ok = sql_run(st);
        st = use(store, S3_UPLOAD_DROP, "DELETE FROM s3_upload WHERE id = ?");
        sql_bind_text(st, 1, id);
        ok = sql_run(st) && ok;
        ok = sql_end(store->db, ok);
    }
    for (size_t i = 0; ok && i < n; i++)
        unlinkat(store->root, parts[i].file, 0);
    free(parts);
    return ok;
}

void s3_upload_each(struct s3_store *store, const char *bucket, s3_upload_fn fn, void *arg)
{
    sqlite3_stmt *st = use(store, S3_UPLOAD_LIST,
                           "SELECT id, key, created, headers, algorithm, composite, touched FROM"
                           " s3_upload WHERE bucket = ? ORDER BY key, id");
    bool more = true;

    sql_bind_text(st, 1, bucket);
    while (more && sql_row(st)) {
        struct s3_upload upload = {0};

        more = read_upload(st, &upload) && fn(arg, &upload);
        s3_upload_fini(&upload);
    }
    if (st)
        sqlite3_reset(st);
}

/* ---- parts ---- */

static bool find_file(struct s3_store *store, const char *upload, uint32_t number, char out[48])
{
    sqlite3_stmt *st =
        use(store, S3_PART_OLD_FILE, "SELECT file FROM s3_part WHERE upload = ? AND number = ?");

    sql_bind_text(st, 1, upload);
    sql_bind_int(st, 2, number);
    if (!sql_row(st))
        return false;
    snprintf(out, 48, "%s", sql_text(st, 0));
    sqlite3_reset(st);
    return true;
}

bool s3_part_put(struct s3_store *store, const char *upload, const struct s3_part *part,
                 struct s3_temp *temp)
{
    sqlite3_stmt *st = use(store, S3_PART_PUT,
                           "INSERT OR REPLACE INTO s3_part(upload, number, size, etag, checksum,"
                           " algorithm, modified, file) VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
    char old[48];
    bool replaces = find_file(store, upload, part->number, old);

    /* The caller has synced the bytes; their name is to stay, too. */
    if (store->sync && !s3_files_sync_folder(store->root, temp->name))
        return false;
    sql_bind_text(st, 1, upload);
    sql_bind_int(st, 2, part->number);
    sql_bind_int(st, 3, (long long)part->size);
    sql_bind_text(st, 4, part->etag);
    sql_bind_text(st, 5, part->checksum);
    sql_bind_int(st, 6, part->algorithm);
    sql_bind_int(st, 7, part->modified_ms);
    sql_bind_text(st, 8, temp->name);
    if (!sql_run(st))
        return false;
    temp->name[0] = '\0'; /* moved */
    if (replaces)
        unlinkat(store->root, old, 0);
    return true;
}

static void read_part(sqlite3_stmt *st, struct s3_part *ret)
{
    ret->number = (uint32_t)sqlite3_column_int(st, 0);
    ret->size = (uint64_t)sqlite3_column_int64(st, 1);
    snprintf(ret->etag, sizeof(ret->etag), "%s", sql_text(st, 2));
    snprintf(ret->checksum, sizeof(ret->checksum), "%s", sql_text(st, 3));
    ret->algorithm = (enum s3_algorithm)sqlite3_column_int(st, 4);
    ret->modified_ms = sqlite3_column_int64(st, 5);
    snprintf(ret->file, sizeof(ret->file), "%s", sql_text(st, 6));
}

struct s3_part *s3_part_list(struct s3_store *store, const char *upload, size_t *ret_n)
{
    sqlite3_stmt *st = use(store, S3_PART_LIST,
                           "SELECT number, size, etag, checksum, algorithm, modified, file"
                           " FROM s3_part WHERE upload = ? ORDER BY number");
    struct s3_part *parts = NULL;
    size_t n = 0, room = 0;

    *ret_n = 0;
    sql_bind_text(st, 1, upload);
    while (sql_row(st)) {
        if (n == room) {
            struct s3_part *more = realloc(parts, (room = room * 2 + 16) * sizeof(*parts));

            if (!more) {
                sqlite3_reset(st);
                free(parts);
                return NULL;
            }
            parts = more;
        }
        read_part(st, &parts[n++]);
    }
    *ret_n = n;
    return parts;
}
