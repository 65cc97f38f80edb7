/* slab.c - see slab.h. */
#include "core/base/slab.h"

#include <stdlib.h>

#include "core/base/budget.h"

struct kp_slab *slab_new(struct budget *budget, size_t capacity)
{
    struct kp_slab *slab = malloc(sizeof *slab + capacity);

    if (!slab) {
        budget_give(budget, capacity);
        return NULL;
    }
    atomic_init(&slab->refs, 1);
    slab->capacity = capacity;
    slab->budget = budget;
    slab->data = (char *)(slab + 1);
    return slab;
}

void slab_ref(struct kp_slab *slab)
{
    atomic_fetch_add_explicit(&slab->refs, 1, memory_order_relaxed);
}

void slab_unref(struct kp_slab *slab)
{
    if (!slab || atomic_fetch_sub_explicit(&slab->refs, 1, memory_order_acq_rel) != 1)
        return;
    budget_give(slab->budget, slab->capacity);
    free(slab);
}
