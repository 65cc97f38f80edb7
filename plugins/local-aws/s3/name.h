/* name.h - names of buckets and keys, and where a key lives as a file.
 *
 * A key becomes a path below its bucket's folder that a person recognises:
 * "a/b.txt" is a/b.txt. Whatever a file system would read differently is
 * percent-encoded, so no key leaves the folder and no two keys share a path:
 *
 *   "."  %2E   ".."  %2E%2E   empty segment  %e   '%'  %25   control byte  %XX
 *   a segment over 240 bytes is cut into folders whose names end in %+
 *   a folder whose name is taken by an object's file: NAME%d
 *   an object whose name is taken by a folder:        NAME%f
 *
 * Threads: any; nothing is shared.
 */
#ifndef KPIPE_LOCAL_AWS_S3_NAME_H
#define KPIPE_LOCAL_AWS_S3_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "sdk/wire/slice.h"

#define S3_KEY_MAX     1024
#define S3_SEGMENT_MAX 240
/* Every byte encoded, a %+ and '/' per 80 of them, "%d" per segment. */
#define S3_PATH_MAX 8192

bool s3_is_bucket_name(const char *name, size_t len);
/* Percent-decodes a path of a request ('+' stays). Returns the length, or -1 when an escape is
 * broken or the result does not fit. */
long s3_decode(const char *text, size_t len, char *out, size_t size);
/* The same for a query's value, where '+' is a blank. */
long s3_decode_query(const char *text, size_t len, char *out, size_t size);
/* encoding-type=url: unreserved bytes and '/' stay, a blank is '+'. Writes at most 3 * len + 1. */
size_t s3_encode_listed(const char *text, size_t len, char *out);
/* UTF-8 without NUL, as XML and SQLite need it. */
bool s3_is_text(const char *text, size_t len);

/* What the names on the way of a path are at present; see s3_key_path(). */
enum s3_kind { S3_FREE = 0, S3_FILE, S3_FOLDER };
typedef enum s3_kind (*s3_kind_fn)(void *arg, const char *path);

/* Writes the relative path of a key. `kind` tells what already exists, so that folders and files
 * keep out of each other's way; NULL: nothing exists. False: the path is too long. */
bool s3_key_path(struct kpw_slice key, s3_kind_fn kind, void *arg, char *out, size_t size);

#endif
