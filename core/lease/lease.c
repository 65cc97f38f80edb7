/* lease.c - see lease.h. */
#include "core/lease/lease.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

void lease_copy(struct lease *to, const struct lease *from)
{
    *to = *from;
    to->key = mem_dup(from->key);
    to->owner = mem_dup(from->owner);
    to->checkpoint_owner = mem_dup(from->checkpoint_owner);
    to->checkpoint = mem_dup(from->checkpoint);
    to->pending = mem_dup(from->pending);
    for (int i = 0; i < 2; i++) {
        to->parents[i] = mem_dup(from->parents[i]);
        to->children[i] = mem_dup(from->children[i]);
    }
    to->low = mem_dup(from->low);
    to->high = mem_dup(from->high);
}

void lease_fini(struct lease *lease)
{
    free(lease->key);
    free(lease->owner);
    free(lease->checkpoint_owner);
    free(lease->checkpoint);
    free(lease->pending);
    for (int i = 0; i < 2; i++) {
        free(lease->parents[i]);
        free(lease->children[i]);
    }
    free(lease->low);
    free(lease->high);
    *lease = (struct lease){0};
}

bool lease_has_ended(const struct lease *lease)
{
    return lease->checkpoint && !strcmp(lease->checkpoint, LEASE_SHARD_END);
}

const char *lease_worker(const struct lease *lease)
{
    return lease->checkpoint_owner ? lease->checkpoint_owner : lease->owner;
}

/* ---- order of checkpoints */

enum rank { RANK_TIMESTAMP, RANK_HORIZON, RANK_LATEST, RANK_NUMBER, RANK_TEXT, RANK_END };

/* RANK_TEXT: a position of a source that is not Kinesis, which only that source understands. */
static enum rank rank_of(const char *checkpoint)
{
    static const struct {
        const char *word;
        enum rank rank;
    } words[] = {
        {LEASE_AT_TIMESTAMP, RANK_TIMESTAMP},
        {LEASE_TRIM_HORIZON, RANK_HORIZON},
        {LEASE_LATEST, RANK_LATEST},
        {LEASE_SHARD_END, RANK_END},
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(checkpoint, words[i].word))
            return words[i].rank;
    return *checkpoint && !checkpoint[strspn(checkpoint, "0123456789")] ? RANK_NUMBER : RANK_TEXT;
}

static int compare_numbers(const char *a, const char *b)
{
    size_t a_len, b_len;

    a += strspn(a, "0");
    b += strspn(b, "0");
    a_len = strlen(a);
    b_len = strlen(b);
    if (a_len != b_len)
        return a_len < b_len ? -1 : 1;
    return strcmp(a, b);
}

int lease_compare_checkpoints(const char *a, uint64_t a_sub, const char *b, uint64_t b_sub)
{
    enum rank a_rank = rank_of(a), b_rank = rank_of(b);
    int order = 0;

    if (a_rank != b_rank)
        return a_rank < b_rank ? -1 : 1;
    if (a_rank == RANK_NUMBER)
        order = compare_numbers(a, b);
    else if (a_rank == RANK_TEXT)
        order = strcmp(a, b);
    if (order)
        return order;
    return a_sub < b_sub ? -1 : a_sub > b_sub;
}
