/* objects.h - builds objects out of records: one open buffer per name.
 *
 * A buffer opens with its first record and closes when it is full, old enough,
 * when too many are open or memory is short, or on flush. Payloads are copied
 * (or compressed) as they come, so the records' own memory is free at once; the
 * tickets of the records go with the object. Used by firehose-buffer and s3.
 *
 * Owned by: the plugin's state.   Threads: its worker only.
 * Not here: keys (key.h), partitions (partition.h), writing (the plugin).
 */
#ifndef KPIPE_SDK_OBJECTS_OBJECTS_H
#define KPIPE_SDK_OBJECTS_OBJECTS_H

#include <kpipe/plugin.h>
#include <stdbool.h>

/* The type of a record that is a finished object: its key is the object key, its data the body,
 * its encoding the compression. */
#define KPO_OBJECT_TYPE "application/x-kpipe-object"
bool kpo_is_object(const kp_record *record);

struct kpo_objects;

struct kpo_config {
    size_t roll_bytes;     /* before compression */
    int64_t roll_ms;       /* age of the first record; 0: within a second */
    uint64_t roll_records; /* 0: no limit */
    uint32_t max_open;     /* buffers */
    size_t max_bytes;      /* memory of all open buffers together */
    const char *delimiter; /* put behind a record that does not end with it; NULL: nothing */
    bool gzip;
};

/* A closed buffer. The receiver owns body and group. */
struct kpo_object {
    const char *name; /* as given to add() [borrowed for the call] */
    size_t name_len;
    kp_slab *body;     /* [owned by the receiver] */
    size_t len;        /* bytes of the body */
    kp_group *group;   /* [owned by the receiver] */
    uint64_t records;  /* */
    int64_t oldest_ms; /* arrival of its oldest record */
};
typedef void (*kpo_closed_fn)(void *arg, const struct kpo_object *object);

/* NULL: out of memory, or no timer/1. `config` and its delimiter are [borrowed]. */
struct kpo_objects *kpo_objects_new(kp_node *node, const struct kpo_config *config,
                                    kpo_closed_fn closed, void *arg);
/* What is still open is given back unsettled. NULL is fine. */
void kpo_objects_free(struct kpo_objects *objects);

/* Puts record i of b into the buffer of `name` and takes its ticket. False: no memory, nothing was
 * changed. May close buffers. */
bool kpo_objects_add(struct kpo_objects *objects, kp_slice name, kp_batch *b, uint32_t i);
void kpo_objects_flush(struct kpo_objects *objects);
uint32_t kpo_objects_open(const struct kpo_objects *objects); /* how many buffers are open */

/* A batch with one record that stands for the object: body, key and type set. NULL: no memory; body
 * and group are given up then, their records stay unsettled. [consumes body and group] */
kp_batch *kpo_object_batch(kp_node *node, const struct kpo_object *object, const char *key,
                           size_t key_len, bool gzip);

#endif
