/* store.h - S3's buckets and objects on disk.
 *
 * Contents are plain files at DIR/BUCKET/PATH (name.h), attributes are rows of
 * SQLite. A content is written to DIR/.tmp and renamed into place. A row of
 * s3_pending, written before the rename, holds the new attributes and the file's
 * inode; so a crash at any moment leaves either the old or the new object, and
 * s3_store_open() finishes what was begun. With `sync` a power cut is such a crash:
 * the content, the pending row and the folders are on the disk before anybody hears
 * of it; the last commit need not be, for it can be found out again.
 *
 * Threads: the service's worker.   Not here: what a request means.
 */
#ifndef KPIPE_LOCAL_AWS_S3_STORE_H
#define KPIPE_LOCAL_AWS_S3_STORE_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "plugins/local-aws/s3/name.h"
#include "plugins/local-aws/s3/sum.h"

#define S3_ETAG_MAX     48 /* 32 hex, "-10000" and its NUL */
#define S3_CHECKSUM_MAX 64 /* base64, "-10000" and its NUL */

enum { S3_STATEMENTS = 40 };

struct s3_store {
    sqlite3 *db;                     /* [borrowed] */
    sqlite3_stmt *st[S3_STATEMENTS]; /* [owned] */
    int root;                        /* folder of the buckets */
    bool sync;                       /* contents are on the disk before they count */
    uint64_t n_temps;
    bool is_unsettled; /* the end of a change could not be written (disk full) */
};

/* What is known about an object beside its content. */
struct s3_meta {
    uint64_t size;
    char etag[S3_ETAG_MAX]; /* without quotes */
    int64_t modified_ms;
    json_t *headers; /* names in lower case to values, as stored [owned] */
    enum s3_algorithm algorithm;
    char checksum[S3_CHECKSUM_MAX];
    bool is_composite; /* the checksum is one of the parts' checksums */
    uint32_t parts;    /* of a multipart object, else 0 */
    /* of a multipart object see layout.h; s3_object_find() leaves it
     * out, see s3_object_layout() [owned] */
    char *layout;
};

struct s3_object {
    struct s3_meta meta;
    char *path; /* below the root, "bucket/path" [owned] */
};

struct s3_key {
    const char *bucket;
    const char *key;
    size_t len;
};

/* A content that is being written. */
struct s3_temp {
    int fd;
    char name[48]; /* below the root */
};

/* `dir`: DIR/s3, made when missing. False: `why` says what went wrong. */
bool s3_store_open(struct s3_store *store, sqlite3 *db, const char *dir, char *why, size_t size);
void s3_store_close(struct s3_store *store);
/* Ends the changes that could not be ended when they were made. False: still not, and what is
 * kept of some object may not fit its content. Costs nothing when there are none. */
bool s3_store_settle(struct s3_store *store);

/* ---- buckets ---- */

struct s3_bucket {
    char name[64];
    int64_t created_ms;
    char region[40];
};

bool s3_bucket_find(struct s3_store *store, const char *name, struct s3_bucket *ret);
bool s3_bucket_add(struct s3_store *store, const char *name, const char *region, int64_t now_ms);
bool s3_bucket_is_empty(struct s3_store *store, const char *name);
bool s3_bucket_remove(struct s3_store *store, const char *name);
/* Calls fn for every bucket in order of names. */
void s3_bucket_each(struct s3_store *store, void (*fn)(void *arg, const struct s3_bucket *),
                    void *arg);

/* Documents kept for a bucket as they were put: "policy", "versioning", ... */
char *s3_config_get(struct s3_store *store, const char *bucket, const char *name); /* [owned] */
bool s3_config_put(struct s3_store *store, const char *bucket, const char *name, const char *text,
                   size_t len);
bool s3_config_remove(struct s3_store *store, const char *bucket, const char *name);

/* ---- objects ---- */

bool s3_object_find(struct s3_store *store, const struct s3_key *key, struct s3_object *ret);
void s3_object_fini(struct s3_object *object);
void s3_meta_fini(struct s3_meta *meta);
/* The content; -1: gone or unreadable. */
int s3_object_open(struct s3_store *store, const struct s3_object *object);

bool s3_temp_open(struct s3_store *store, struct s3_temp *temp);
/* All bytes, or false (disk full, ...). */
bool s3_temp_write(struct s3_temp *temp, const void *data, size_t len);
void s3_temp_drop(struct s3_store *store, struct s3_temp *temp); /* after publish: nothing */
/* The bytes are on the disk when it returns true. [any] */
bool s3_temp_sync(struct s3_temp *temp);
/* The content of `temp`, synced by the caller if the store wants that, becomes the object. */
bool s3_object_publish(struct s3_store *store, const struct s3_key *key, struct s3_temp *temp,
                       const struct s3_meta *meta);
/* Changes attributes only. */
bool s3_object_touch(struct s3_store *store, const struct s3_key *key, const struct s3_meta *meta);
/* The layout of a multipart object, "" for another one [owned by caller]; NULL: none there. */
char *s3_object_layout(struct s3_store *store, const struct s3_key *key);
/* True also when there was none. */
bool s3_object_delete(struct s3_store *store, const struct s3_key *key);
/* All of them or, on false, none. */
bool s3_objects_delete(struct s3_store *store, const struct s3_key *keys, size_t n);

/* Walks keys behind (or from) `from`, in order of bytes, while fn answers true. */
struct s3_entry {
    const char *key;
    size_t len;
    uint64_t size;
    const char *etag;
    int64_t modified_ms;
    enum s3_algorithm algorithm;
    bool is_composite;
    const char *storage_class; /* "": STANDARD */
};
typedef bool (*s3_entry_fn)(void *arg, const struct s3_entry *);
void s3_object_each(struct s3_store *store, const struct s3_key *from, bool included,
                    s3_entry_fn fn, void *arg);

#endif
