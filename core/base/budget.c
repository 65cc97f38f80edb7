/* budget.c - see budget.h. */
#include "core/base/budget.h"

static void note_peak(struct budget *budget, int64_t used)
{
    int64_t peak = atomic_load_explicit(&budget->peak, memory_order_relaxed);

    while (used > peak && !atomic_compare_exchange_weak(&budget->peak, &peak, used))
        ;
}

static bool take_one(struct budget *budget, int64_t bytes)
{
    int64_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);

    for (;;) {
        if (budget->limit > 0 && used > 0 && used + bytes > budget->limit) {
            /* Mark, then look again: a give-back between the two must not be missed. */
            atomic_store(&budget->starved, true);
            used = atomic_load(&budget->used);
            if (used > 0 && used + bytes > budget->limit)
                return false;
        }
        if (atomic_compare_exchange_weak(&budget->used, &used, used + bytes))
            break;
    }
    note_peak(budget, used + bytes);
    return true;
}

static void give_one(struct budget *budget, int64_t bytes)
{
    atomic_fetch_sub(&budget->used, bytes);
    if (atomic_load(&budget->starved) && atomic_exchange(&budget->starved, false) && budget->freed)
        budget->freed(budget->arg);
}

bool budget_take(struct budget *budget, size_t bytes)
{
    if (!take_one(budget, (int64_t)bytes))
        return false;
    if (budget->parent && !budget_take(budget->parent, bytes)) {
        give_one(budget, (int64_t)bytes); /* who was refused meanwhile must hear of it */
        return false;
    }
    return true;
}

void budget_force(struct budget *budget, size_t bytes)
{
    for (; budget; budget = budget->parent)
        note_peak(budget, atomic_fetch_add(&budget->used, (int64_t)bytes) + (int64_t)bytes);
}

void budget_give(struct budget *budget, size_t bytes)
{
    for (; budget && bytes; budget = budget->parent)
        give_one(budget, (int64_t)bytes);
}

bool budget_has_room(struct budget *budget)
{
    for (; budget; budget = budget->parent) {
        if (budget->limit <= 0 || atomic_load(&budget->used) < budget->limit)
            continue;
        atomic_store(&budget->starved, true);
        if (atomic_load(&budget->used) >= budget->limit)
            return false;
    }
    return true;
}
