/* s3.h - what the files of the s3 sink share.
 *
 * s3.c     options, opening and closing, which record goes where
 * build.c  plain records become objects
 * put.c    objects become PUT requests, answers become outcomes
 *
 * Threads: the worker's.
 */
#ifndef KPIPE_S3_S3_H
#define KPIPE_S3_S3_H

#include <kpipe/ext/aws.h>
#include <kpipe/ext/lua.h>
#include <kpipe/plugin.h>

#include "sdk/objects/key.h"
#include "sdk/objects/objects.h"
#include "sdk/objects/partition.h"

struct s3;

enum compression { COMPRESSION_NONE = 0, COMPRESSION_GZIP };

struct s3_config {
    const kp_resource *bucket;
    const char *prefix, *delimiter, *extension, *content_type;
    kp_value partition_by;
    int compression, storage_class;
    int64_t roll_size, roll_interval_ms, max_open, max_buffered;
    int64_t in_flight;
    int64_t timeout_ms;
};

struct held { /* a batch until all its objects are written [owned by s3] */
    kp_batch *b;
    uint32_t next; /* first record without a request */
    uint32_t open; /* records without an end */
    struct held *later;
};

struct put { /* a request under way */
    struct s3 *s3;
    struct held *held; /* NULL: free */
    uint32_t i;
    kp_aws_call *call;
    struct put *next; /* in the free list */
    char path[KPO_KEY_MAX * 3 + 128];
    char checksum[16];
};

struct s3 {
    kp_node *node;
    const struct s3_config *config;
    const kp_aws_ext *aws;
    const kp_lua_ext *lua;
    struct held *first, *last, *start; /* start: first one with records to be requested */
    struct put *puts, *free;
    uint32_t n_puts;
    bool starting;
    struct kpo_config objects_config;
    struct kpo_objects *objects;
    struct kpo_partition *partition; /* NULL: none, or a function */
    char run[KPO_UUID_LENGTH + 1];   /* in the names of built objects */
    uint64_t counter;
};

/* put.c: [consumes b] Writes a batch of object records. */
void put_add(struct s3 *s3, kp_batch *b);
bool put_open(struct s3 *s3);
void put_close(struct s3 *s3);

/* build.c */
bool build_open(struct s3 *s3);
/* Takes record i of b into an object, or gives it an outcome. */
void build_add(struct s3 *s3, kp_batch *b, uint32_t i);
void build_close(struct s3 *s3);

#endif
