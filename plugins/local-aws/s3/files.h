/* files.h - the files below S3's root folder. Part of store.c.
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_S3_FILES_H
#define KPIPE_LOCAL_AWS_S3_FILES_H

#include "plugins/local-aws/s3/store.h"

/* "bucket/path" for a new key, beside what is there. */
bool s3_files_place(int root, const struct s3_key *key, char *out, size_t size);
/* `sync`: what is made is on the disk when it returns. */
bool s3_files_make_folders(int root, const char *path, bool sync);
bool s3_files_sync_folder(int root, const char *path);
/* Removes a file, and the folders above it that are empty then; never the bucket. */
void s3_files_remove(int root, const char *path);
void s3_files_remove_tree(int root, const char *path);
/* Throws away what lies in .tmp without being a part of an upload. */
void s3_files_sweep(struct s3_store *store);

#endif
