/* slab.c - see slab.h. */
#include "core/base/slab.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "core/base/budget.h"

/* From this size on a slab has pages of its own: the kernel fills them 2 MiB at a time where it
 * can, and gets them back at once. Smaller ones come again and again (an answer of GetRecords has
 * 1.5 MiB): what malloc() keeps of them is warm, and filling new pages each time costs more than
 * all the rest of a read. */
#define MAPPED_FROM ((size_t)4 << 20)

static struct kp_slab *map_block(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED)
        return NULL;
    madvise(at, size, MADV_HUGEPAGE); /* advice: it may not be taken */
    return at;
}

struct kp_slab *slab_new(struct budget *budget, size_t capacity)
{
    size_t size = sizeof(struct kp_slab) + capacity;
    struct kp_slab *slab = capacity < MAPPED_FROM ? malloc(size) : map_block(size);

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
    if (slab->capacity < MAPPED_FROM)
        free(slab);
    else
        munmap(slab, sizeof *slab + slab->capacity);
}
