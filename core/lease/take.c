/* take.c - see take.h.
 *
 * Leases are sorted by owner once, so each owner is one run of an index array; what is free belongs
 * to nobody. Every move goes from an owner that has at least two leases more than we have, so a
 * fleet in balance stays still:
 *   surplus >= 1: theirs > target > mine; needed > 1: theirs >= target >= mine + 2.
 */
#include "core/lease/take.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

/* The leases of one owner: order[first ...]. */
struct crew {
    const char *owner;
    size_t first, n;
    size_t n_movable; /* of these, in front; in random order */
    bool hands_over;
};

struct round {
    const struct take_input *in;
    size_t *order; /* [owned] indices of what is not free, by owner */
    size_t n_held;
    struct crew *crews; /* [owned] without us */
    size_t n_crews;
    size_t mine;
    size_t room; /* how many more we may have at all */
    struct take_step *steps;
    struct take_result ret;
};

static void shuffle(struct kpw_random *random, size_t *array, size_t n)
{
    while (n > 1) {
        size_t at = kpw_random_below(random, n--), kept = array[at];

        array[at] = array[n];
        array[n] = kept;
    }
}

static int by_owner(const void *a, const void *b, void *arg)
{
    const struct take_lease *leases = arg;

    return strcmp(leases[*(const size_t *)a].owner, leases[*(const size_t *)b].owner);
}

static void count(struct round *round)
{
    const struct take_input *in = round->in;

    for (size_t i = 0; i < in->n; i++)
        if (!in->leases[i].is_free && in->leases[i].owner)
            round->order[round->n_held++] = i;
    qsort_r(round->order, round->n_held, sizeof *round->order, by_owner,
            (void *)(uintptr_t)in->leases);
    for (size_t i = 0, n; i < round->n_held; i += n) {
        const char *owner = in->leases[round->order[i]].owner;

        for (n = 1; i + n < round->n_held; n++)
            if (strcmp(in->leases[round->order[i + n]].owner, owner) != 0)
                break;
        if (strcmp(owner, in->me) == 0)
            round->mine = n;
        else
            round->crews[round->n_crews++] = (struct crew){.owner = owner, .first = i, .n = n};
    }
}

static void set_target(struct round *round)
{
    const struct take_input *in = round->in;
    size_t n_workers = round->n_crews + 1;
    size_t max = in->max_leases ? in->max_leases : SIZE_MAX;
    size_t target = n_workers >= in->n ? 1 : (in->n + n_workers - 1) / n_workers;

    if (target > max) {
        round->ret.spilled = in->n - n_workers * max;
        target = max;
    }
    round->ret.target = target;
    round->room = round->mine < max ? max - round->mine : 0;
}

static void take(struct round *round, size_t lease, enum take_what what)
{
    round->steps[round->ret.n++] = (struct take_step){lease, what};
    round->mine++;
    round->room--;
}

/* How many more of our fair share. */
static size_t needed(const struct round *round)
{
    size_t n = round->mine < round->ret.target ? round->ret.target - round->mine : 0;

    return n < round->room ? n : round->room;
}

/* What nobody has cared for during three fail-over times has no worker that would get round to it:
 * all of it. Of the rest, our share. True when anything was free. */
static bool take_free(struct round *round)
{
    const struct take_input *in = round->in;
    size_t *free_ones = mem_new((in->n + 1) * sizeof *free_ones), n = 0, n_old = 0;

    for (size_t i = 0; i < in->n; i++) {
        if (!in->leases[i].is_free)
            continue;
        free_ones[n++] = i;
        if (in->leases[i].is_very_old) { /* these in front */
            free_ones[n - 1] = free_ones[n_old];
            free_ones[n_old++] = i;
        }
    }
    shuffle(in->random, free_ones, n_old);
    shuffle(in->random, free_ones + n_old, n - n_old);
    for (size_t i = 0; i < n; i++)
        if (i < n_old ? round->room > 0 : needed(round) > 0)
            take(round, free_ones[i], TAKE_FREE);
    free(free_ones);
    return n > 0;
}

static void sort_out_movable(struct round *round, struct crew *crew)
{
    size_t *order = round->order + crew->first;

    for (size_t i = 0; i < crew->n; i++) {
        size_t lease = order[i];

        if (!round->in->leases[lease].is_moving) {
            order[i] = order[crew->n_movable];
            order[crew->n_movable++] = lease;
        }
    }
    shuffle(round->in->random, order, crew->n_movable);
    crew->hands_over = crew->n_movable && round->in->leases[order[0]].hands_over;
}

/* Of owners with as many leases, one that hands over. */
static int compare_crews(const struct crew *a, const struct crew *b)
{
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    return (int)a->hands_over - (int)b->hands_over;
}

/* The owner with most leases that can spare one; of equals any. */
static struct crew *richest(struct round *round, size_t n_steals, size_t n_asks)
{
    struct crew *best = NULL;
    size_t n_equal = 0;

    for (size_t i = 0; i < round->n_crews; i++) {
        struct crew *crew = &round->crews[i];
        int order = best ? compare_crews(crew, best) : 1;

        if (!crew->n_movable || !(crew->hands_over ? n_asks : n_steals) || order < 0)
            continue;
        n_equal = order > 0 ? 1 : n_equal + 1;
        if (kpw_random_below(round->in->random, n_equal) == 0)
            best = crew;
    }
    return best;
}

/* Who is asked goes on until it has handed the lease over: that may be many at a time, but not all
 * at once, as others may ask too. A lease taken from a worker is read twice in part, so these are
 * few. */
static void steal(struct round *round)
{
    size_t target = round->ret.target, n;
    size_t n_steals = round->in->max_steals ? round->in->max_steals : 1;
    size_t n_asks = needed(round) / 2 > n_steals ? needed(round) / 2 : n_steals;
    struct crew *from;

    if (!needed(round))
        return;
    for (size_t i = 0; i < round->n_crews; i++)
        sort_out_movable(round, &round->crews[i]);
    while ((n = needed(round)) && (from = richest(round, n_steals, n_asks))) {
        size_t lease = round->order[from->first + from->n_movable - 1];

        if (from->n < target || (from->n == target && n == 1))
            return;
        take(round, lease, from->hands_over ? TAKE_ASK : TAKE_STEAL);
        if (from->hands_over) {
            n_asks--;
            n_steals = 0; /* no need for force in this round */
        } else {
            n_steals--;
        }
        from->n--;
        from->n_movable--;
    }
}

struct take_result take_plan(const struct take_input *in, struct take_step *steps)
{
    struct round round = {.in = in, .steps = steps};

    round.order = mem_new((in->n + 1) * sizeof *round.order);
    round.crews = mem_new((in->n + 1) * sizeof *round.crews);
    count(&round);
    set_target(&round);
    if (!take_free(&round))
        steal(&round);
    free(round.order);
    free(round.crews);
    return round.ret;
}
