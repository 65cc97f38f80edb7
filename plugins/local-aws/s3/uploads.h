/* uploads.h - multipart uploads under way: their rows and the files of their parts.
 *
 * A part is a file in .tmp that a row names; a file no row names is swept when the
 * store opens. Replacing a part writes the row first and removes the old file then.
 *
 * Threads: the service's worker.   Not here: what a request means (multipart.c).
 */
#ifndef KPIPE_LOCAL_AWS_S3_UPLOADS_H
#define KPIPE_LOCAL_AWS_S3_UPLOADS_H

#include "plugins/local-aws/s3/store.h"
#include "sdk/wire/slice.h"

#define S3_UPLOAD_ID_MAX 72
#define S3_PARTS_MAX     10000

struct s3_upload {
    char id[S3_UPLOAD_ID_MAX];
    struct kpw_slice key; /* [owned] */
    int64_t created_ms;
    json_t *headers;             /* the object will have [owned] */
    enum s3_algorithm algorithm; /* S3_SUM_NONE: none was asked for */
    bool is_composite;
    bool was_touched; /* the key was written or deleted since the upload began */
};

/* False: no such upload of this key. s3_upload_fini() in any case. */
bool s3_upload_find(struct s3_store *store, const struct s3_key *key, const char *id,
                    struct s3_upload *ret);
void s3_upload_fini(struct s3_upload *upload);
bool s3_upload_add(struct s3_store *store, const struct s3_key *key,
                   const struct s3_upload *upload);
/* With all parts and their files. */
bool s3_upload_remove(struct s3_store *store, const char *id);
/* Calls fn for the uploads of a bucket in order of key and id, while it answers true. */
typedef bool (*s3_upload_fn)(void *arg, const struct s3_upload *);
void s3_upload_each(struct s3_store *store, const char *bucket, s3_upload_fn fn, void *arg);

struct s3_part {
    uint32_t number;
    uint64_t size;
    char etag[S3_ETAG_MAX], checksum[S3_CHECKSUM_MAX];
    enum s3_algorithm algorithm;
    int64_t modified_ms;
    char file[48]; /* below the store's root */
};

/* The content of `temp` becomes the part. */
bool s3_part_put(struct s3_store *store, const char *upload, const struct s3_part *part,
                 struct s3_temp *temp);
/* [owned by caller, free()] All parts in order of number; NULL: none, or out of memory. */
struct s3_part *s3_part_list(struct s3_store *store, const char *upload, size_t *ret_n);

#endif
