/* objects.h - which files a replay reads, in which order.
 *
 * A path is a directory (all files below it), a glob pattern or one file; its
 * objects are sorted by name as S3 sorts keys: by bytes. A list is taken in its
 * own order. Names ending in README.md are no data and are left out, as
 * amazon-kinesis-replay does. Hidden files are left out too.
 *
 * Owned by: the replay source.   Threads: one at a time.
 * Not here: opening and decoding them (reader.h).
 */
#ifndef KPIPE_REPLAY_OBJECTS_H
#define KPIPE_REPLAY_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>

struct replay_object {
    char *path; /* to open [owned] */
    char *name; /* below the directory or pattern; what a position carries [owned] */
};

struct replay_objects {
    struct replay_object *items; /* [owned] */
    size_t count;
    size_t room;
};

/* Adds what `path` stands for. False: nothing is there, or it cannot be read; text in `why`. */
bool replay_objects_add(struct replay_objects *o, const char *path, char *why, size_t why_size);
void replay_objects_sort(struct replay_objects *o);
void replay_objects_fini(struct replay_objects *o);

#endif
