/* slab.h - counted memory that records point into.
 *
 * A slab is one block with an atomic reference count, counted against a budget for as long as it
 * lives; a large one has pages of its own, which the system gets back when it ends. It is the
 * kp_slab of the plugin ABI.
 *
 * Owned by: whoever holds a reference.   Threads: any.
 */
#ifndef KPIPE_BASE_SLAB_H
#define KPIPE_BASE_SLAB_H

#include <stdatomic.h>
#include <stddef.h>

struct budget;
struct kp_slab {
    _Atomic unsigned refs;
    size_t capacity;
    struct budget *budget; /* [borrowed] NULL: not counted */
    char *data;            /* [owned] follows the struct */
};

/* One reference, bytes already taken from `budget` by the caller. NULL without memory (the
 * bytes are then given back). */
struct kp_slab *slab_new(struct budget *budget, size_t capacity);
void slab_ref(struct kp_slab *slab);
void slab_unref(struct kp_slab *slab); /* NULL is fine */

#endif
