/* stall.c - see stall.h: a list by the order of giving, each with its records by their places. */
#include "core/run/stall.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/run/batch.h"

struct stall {
    uint64_t order;  /* of the batch's giving at the hop */
    uint32_t first;  /* place of the first record that is not back, or STALL_NONE */
    kp_batch *ready; /* [owned] what is back, by place; NULL: nothing */
    struct stall *next;
};

/* The place lies in the record's reserved bytes, so batch_move() and batch_derive() take it along.
 */
void stall_number(kp_batch *b)
{
    struct batch *batch = batch_of(b);

    for (uint32_t i = 0; i < b->count; i++)
        memcpy(batch->records[i].reserved, &i, sizeof i);
}

uint32_t stall_place(const kp_record *record)
{
    uint32_t place;

    memcpy(&place, record->reserved, sizeof place);
    return place;
}

bool stall_is_needed(const struct stall *stalls, uint64_t order, uint32_t first)
{
    return first != STALL_NONE || (stalls && stalls->order <= order);
}

static struct stall *find_or_make(struct stall **stalls, uint64_t order)
{
    struct stall **link = stalls, *stall;

    while (*link && (*link)->order < order)
        link = &(*link)->next;
    if (*link && (*link)->order == order)
        return *link;
    stall = mem_new(sizeof *stall);
    *stall = (struct stall){.order = order, .first = STALL_NONE, .next = *link};
    return *link = stall;
}

static void take(kp_batch *to, kp_batch *from, uint32_t i)
{
    if (!batch_move(to, from, i))
        bug("out of memory for a record that waits");
}

static kp_batch *like(const kp_batch *b, uint32_t count)
{
    const struct batch *batch = (const struct batch *)(const void *)b;
    kp_batch *made = batch_new(batch->budget, batch->mixed_lane, count);

    made->lane = b->lane;
    made->lane_name = b->lane_name;
    return made;
}

/* [consumes both] */
static kp_batch *merge(kp_batch *a, kp_batch *b)
{
    kp_batch *all;
    uint32_t i = 0, k = 0;

    if (!a || !a->count) {
        if (a)
            batch_free(a);
        return b;
    }
    all = like(a, a->count + b->count);
    while (i < a->count || k < b->count) {
        if (k == b->count || (i < a->count && stall_place(kp_at(a, i)) < stall_place(kp_at(b, k))))
            take(all, a, i++);
        else
            take(all, b, k++);
    }
    all->lane = a->lane;
    all->lane_name = a->lane_name;
    batch_free(a);
    batch_free(b);
    return all;
}

void stall_keep(struct stall **stalls, uint64_t order, uint32_t first, kp_batch *b)
{
    struct stall *stall = find_or_make(stalls, order);

    stall->first = first;
    stall->ready = merge(stall->ready, b);
}

/* Those in front of the first that is not back. */
static kp_batch *take_front(struct stall *stall)
{
    kp_batch *front, *rest;
    uint32_t n = 0, count = stall->ready->count;

    while (n < count && stall_place(kp_at(stall->ready, n)) < stall->first)
        n++;
    if (!n)
        return NULL;
    front = like(stall->ready, n);
    rest = like(stall->ready, count - n);
    for (uint32_t i = 0; i < count; i++)
        take(i < n ? front : rest, stall->ready, i);
    batch_free(stall->ready);
    stall->ready = rest;
    return front;
}

kp_batch *stall_next(struct stall **stalls)
{
    while (*stalls) {
        struct stall *stall = *stalls;
        kp_batch *ready = stall->ready;

        if (stall->first != STALL_NONE)
            return ready ? take_front(stall) : NULL;
        *stalls = stall->next;
        free(stall);
        if (ready && ready->count)
            return ready;
        if (ready)
            batch_free(ready);
    }
    return NULL;
}

void stall_free_all(struct stall **stalls)
{
    while (*stalls) {
        struct stall *stall = *stalls;

        *stalls = stall->next;
        if (stall->ready)
            batch_free(stall->ready);
        free(stall);
    }
}
