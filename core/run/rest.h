/* rest.h - when a process that is at rest gives memory back to the system.
 *
 * What a start or a burst needed lies in pieces between what is still in use, and malloc() keeps
 * it: a third of a reader of 1,000 quiet shards. While records move it is used again at once and is
 * left alone.
 *
 * Threads: main.
 */
#ifndef KPIPE_RUN_REST_H
#define KPIPE_RUN_REST_H

#include <stdbool.h>
#include <stdint.h>

struct rest { /* zeroes at the start */
    uint64_t activity;
    int64_t moved_ms, gave_ms; /* when activity last moved, when memory was last given back */
};

/* True when nothing has moved for REST_MS, and then every REST_AGAIN_MS: quiet work leaves some
 * too. `activity` is any sum that moves with the records. */
enum { REST_MS = 3000, REST_AGAIN_MS = 10000 };
bool rest_is_due(struct rest *rest, uint64_t activity, int64_t now_ms);
void rest_give_back(void);

#endif
