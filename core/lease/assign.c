/* assign.c - see assign.h.
 *
 * Load has one scale for all, `value`, on which an average worker has 1: the percentage of CPU of
 * those who say it, by the average of these; the weight of the leases of the others, by the average
 * of all. Counting is the same with one weight for all leases.
 *
 * Measures flutter, and the more the smaller they are; a lease that moves costs a pause. So a lease
 * weighs BASE_KBPS even when nothing comes through it, and a worker's CPU counts with BASE_CPU on
 * top, shared among all by weight: a fleet with little to do is balanced by the number of leases,
 * which does not flutter, one with much to do by what it measures.
 *
 * A lease moves only from a worker above the average to one that stays below it (or, to one
 * without any lease, when that is better than before): each move makes the fleet more even, so
 * unchanged measures end in rest.
 */
#include "core/lease/assign.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

#define BASE_KBPS 10.0
#define BASE_CPU  20.0
#define EPSILON   1e-9

static const size_t nobody = SIZE_MAX;

struct member {
    const struct lease_worker *worker;
    size_t n; /* leases */
    double weight, value;
    double leaving, coming; /* weight that is being handed over, not measured where it will be */
    bool says_cpu;
    double cpu;
    bool lets_expire; /* a lease of its own has run out: probably dead, though its metrics are fresh
                       */
};

struct plan {
    const struct assign_input *in;
    struct assign_step *steps;
    size_t n_steps;
    struct member *members; /* [owned] */
    size_t *holder;         /* [owned] per lease: which member has it, or nobody */
    double *weights;        /* [owned] per lease */
    double mean_weight;     /* per worker */
    double mean_cpu;        /* of those who say it */
    double cpu_per_weight;
};

static size_t member_of(const struct plan *plan, const char *id)
{
    for (size_t i = 0; id && i < plan->in->n_workers; i++)
        if (strcmp(plan->members[i].worker->id, id) == 0)
            return i;
    return nobody;
}

static void weigh_leases(struct plan *plan)
{
    const struct assign_input *in = plan->in;
    double sum = 0, mean;
    size_t n = 0;

    for (size_t i = 0; i < in->n_leases; i++)
        if (in->leases[i].lease->throughput >= 0) {
            sum += in->leases[i].lease->throughput;
            n++;
        }
    mean = n ? sum / (double)n : 0;
    for (size_t i = 0; i < in->n_leases; i++) {
        double kbps = in->leases[i].lease->throughput;

        plan->weights[i] = in->by_count ? 1 : BASE_KBPS + (kbps >= 0 ? kbps : mean);
    }
}

static void count_leases(struct plan *plan)
{
    const struct assign_input *in = plan->in;
    double total = 0;
    size_t from;

    for (size_t i = 0; i < in->n_leases; i++) {
        const struct assign_lease *lease = &in->leases[i];
        size_t owner = member_of(plan, lease->lease->owner);

        plan->holder[i] = lease->is_free ? nobody : owner;
        if (lease->is_free || owner != nobody)
            total += plan->weights[i];
        if (owner == nobody)
            continue;
        if (lease->is_free) {
            plan->members[owner].lets_expire |= !lease->is_moving;
            continue;
        }
        plan->members[owner].n++;
        plan->members[owner].weight += plan->weights[i];
        if (!lease->is_moving)
            continue;
        plan->members[owner].coming += plan->weights[i];
        from = member_of(plan, lease->lease->checkpoint_owner);
        if (from != nobody)
            plan->members[from].leaving += plan->weights[i];
    }
    plan->mean_weight = total / (double)in->n_workers;
}

/* What is being handed over burns CPU where it was; it is counted where it will be. */
static void measure_members(struct plan *plan)
{
    const struct assign_input *in = plan->in;
    double weight = 0, cpu = 0;
    size_t n = 0;

    for (size_t i = 0; i < in->n_workers; i++) {
        struct member *member = &plan->members[i];

        member->says_cpu = !in->by_count && member->worker->cpu >= 0;
        if (!member->says_cpu)
            continue;
        cpu += member->worker->cpu;
        weight += member->weight - member->coming + member->leaving;
        n++;
    }
    plan->mean_cpu = n ? cpu / (double)n : 0;
    plan->cpu_per_weight = weight > 0 ? cpu / weight : 0;
    for (size_t i = 0; i < in->n_workers; i++) {
        struct member *member = &plan->members[i];
        double had = member->weight - member->coming + member->leaving;

        if (!member->says_cpu)
            continue;
        member->cpu = member->worker->cpu + member->coming * plan->cpu_per_weight;
        if (member->leaving > 0)
            member->cpu -= member->worker->cpu * member->leaving / had;
    }
}

static double value_of(const struct plan *plan, const struct member *member, double weight,
                       double cpu)
{
    double share = plan->mean_weight > 0 ? weight / plan->mean_weight : 0;

    if (!member->says_cpu)
        return share;
    return (cpu + BASE_CPU * share) / (plan->mean_cpu + BASE_CPU);
}

/* How a member would stand with so much more weight, which costs so much CPU each. */
struct outlook {
    double weight, cpu, value;
};

static struct outlook outlook(const struct plan *plan, const struct member *member, double weight,
                              double cpu_per_weight)
{
    struct outlook to = {.weight = member->weight + weight};

    to.cpu = member->cpu + (member->says_cpu ? weight * cpu_per_weight : 0);
    to.value = value_of(plan, member, to.weight, to.cpu);
    return to;
}

static void become(struct member *member, struct outlook to, int leases)
{
    member->n = leases < 0 ? member->n - 1 : member->n + 1;
    member->weight = to.weight;
    member->cpu = to.cpu;
    member->value = to.value;
}

static bool is_over_limit(const struct member *member, double cpu)
{
    return member->says_cpu && member->worker->cpu_limit > 0 && cpu > member->worker->cpu_limit;
}

/* May it have one more lease at all? */
static bool has_room(const struct plan *plan, const struct member *member)
{
    return !plan->in->max_leases || member->n < plan->in->max_leases;
}

/* Who is the better place for a lease. */
static bool is_freer(const struct member *a, const struct member *b)
{
    bool a_is_over = is_over_limit(a, a->cpu), b_is_over = is_over_limit(b, b->cpu);

    if (a->lets_expire != b->lets_expire)
        return b->lets_expire;
    if (a_is_over != b_is_over)
        return b_is_over;
    if (a->value < b->value - EPSILON || a->value > b->value + EPSILON)
        return a->value < b->value;
    return a->n < b->n;
}

/* Of equals any, so that two leaders one after the other do not load the same one. */
static size_t freest(const struct plan *plan)
{
    size_t n = plan->in->n_workers, first = kpw_random_below(plan->in->random, n), best = nobody;

    for (size_t i = 0; i < n; i++) {
        size_t at = (first + i) % n;

        if (has_room(plan, &plan->members[at]) &&
            (best == nobody || is_freer(&plan->members[at], &plan->members[best])))
            best = at;
    }
    return best;
}

static void give(struct plan *plan, size_t lease, size_t to, bool is_graceful)
{
    plan->steps[plan->n_steps++] = (struct assign_step){lease, to, is_graceful};
    plan->holder[lease] = to;
}

/* ---- what is free */

static int by_movement(const void *a, const void *b, void *arg)
{
    const struct assign_lease *leases = arg;
    size_t i = *(const size_t *)a, j = *(const size_t *)b;

    if (leases[i].moved_ms != leases[j].moved_ms)
        return leases[i].moved_ms < leases[j].moved_ms ? -1 : 1;
    return i < j ? -1 : 1;
}

/* A hand-over that came to nothing had a new owner chosen: it still is, unless it seems dead. */
static size_t place_for(const struct plan *plan, const struct assign_lease *lease)
{
    size_t chosen = lease->is_moving ? member_of(plan, lease->lease->owner) : nobody;

    if (chosen != nobody && !plan->members[chosen].lets_expire &&
        has_room(plan, &plan->members[chosen]))
        return chosen;
    return freest(plan);
}

static void assign_free(struct plan *plan)
{
    const struct assign_input *in = plan->in;
    size_t *order = mem_new((in->n_leases + 1) * sizeof *order), n = 0;

    for (size_t i = 0; i < in->n_leases; i++)
        if (in->leases[i].is_free)
            order[n++] = i;
    qsort_r(order, n, sizeof *order, by_movement, (void *)(uintptr_t)in->leases);
    for (size_t i = 0; i < n; i++) {
        size_t to = place_for(plan, &in->leases[order[i]]);

        if (to == nobody)
            break;
        become(&plan->members[to],
               outlook(plan, &plan->members[to], plan->weights[order[i]], plan->cpu_per_weight), 1);
        give(plan, order[i], to, false);
    }
    free(order);
}

/* ---- balance */

/* May this lease leave its owner: it works there, and nobody has decided otherwise. */
static bool is_movable(const struct plan *plan, size_t lease, size_t from)
{
    const struct assign_lease *at = &plan->in->leases[lease];

    return plan->holder[lease] == from && !at->is_free && !at->is_moving &&
           strcmp(at->lease->owner, plan->members[from].worker->id) == 0;
}

struct move {
    size_t lease, to;
    struct outlook giver, receiver;
};

/* Does it make the fleet more even? */
static bool is_better(const struct plan *plan, size_t from, const struct move *move, double fair)
{
    const struct member *giver = &plan->members[from], *receiver = &plan->members[move->to];

    if (is_over_limit(receiver, move->receiver.cpu))
        return false;
    if (receiver->n == 0 && giver->n > 1)
        return move->receiver.value < giver->value - EPSILON;
    if (plan->in->by_count)
        return receiver->n + 1 < giver->n;
    return move->receiver.value <= fair + EPSILON;
}

/* Can `lease` go from `from` to the freest member? */
static bool try_move(const struct plan *plan, size_t from, size_t lease, double fair,
                     struct move *ret)
{
    const struct member *giver = &plan->members[from];
    double each =
        giver->says_cpu && giver->weight > 0 ? giver->cpu / giver->weight : plan->cpu_per_weight;
    double weight = plan->weights[lease];

    *ret = (struct move){.lease = lease, .to = freest(plan)};
    if (ret->to == nobody || ret->to == from || plan->members[ret->to].lets_expire)
        return false;
    ret->giver = outlook(plan, giver, -weight, each);
    ret->receiver = outlook(plan, &plan->members[ret->to], weight, each);
    return is_better(plan, from, ret, fair);
}

static void do_move(struct plan *plan, size_t from, const struct move *move)
{
    become(&plan->members[from], move->giver, -1);
    become(&plan->members[move->to], move->receiver, 1);
    give(plan, move->lease, move->to, true);
}

/* The lightest lease that can go. */
static bool try_lightest(const struct plan *plan, size_t from, double fair, struct move *ret)
{
    size_t lightest = nobody;

    for (size_t i = 0; i < plan->in->n_leases; i++)
        if (is_movable(plan, i, from) &&
            (lightest == nobody || plan->weights[i] < plan->weights[lightest]))
            lightest = i;
    return lightest != nobody && try_move(plan, from, lightest, fair, ret);
}

/* Moves leases that weigh `surplus` at most, picked at random; or one, if all weigh more. */
static void unload(struct plan *plan, size_t from, double surplus, double fair)
{
    size_t n = plan->in->n_leases, first = kpw_random_below(plan->in->random, n), n_moved = 0;
    struct move move;

    for (size_t i = 0; i < n && surplus > 0; i++) {
        size_t lease = (first + i) % n;

        if (!is_movable(plan, lease, from) || plan->weights[lease] > surplus + EPSILON ||
            !try_move(plan, from, lease, fair, &move))
            continue;
        surplus -= plan->weights[lease];
        do_move(plan, from, &move);
        n_moved++;
    }
    if (!n_moved && try_lightest(plan, from, fair, &move))
        do_move(plan, from, &move);
}

/* How much of a member's weight has to go. */
static double surplus_of(const struct plan *plan, const struct member *member, double fair)
{
    double part = member->value > fair ? (member->value - fair) / member->value : 0;
    double over = is_over_limit(member, member->cpu)
                      ? (member->cpu - member->worker->cpu_limit) / member->cpu
                      : 0;

    return (over > part ? over : part) * plan->in->dampening / 100 * member->weight;
}

static bool is_uneven(const struct plan *plan, double fair)
{
    double width = fair * plan->in->threshold / 100 + EPSILON;

    for (size_t i = 0; i < plan->in->n_workers; i++) {
        const struct member *member = &plan->members[i];

        if (member->value > fair + width || member->value < fair - width ||
            is_over_limit(member, member->cpu))
            return true;
    }
    return false;
}

static double fair_value(const struct plan *plan)
{
    double sum = 0;

    for (size_t i = 0; i < plan->in->n_workers; i++)
        sum += plan->members[i].value;
    return sum / (double)plan->in->n_workers;
}

/* The most loaded of those not yet marked. */
static size_t next_giver(const struct plan *plan, const bool *done)
{
    size_t best = nobody;

    for (size_t i = 0; i < plan->in->n_workers; i++)
        if (!done[i] && (best == nobody || plan->members[i].value > plan->members[best].value))
            best = i;
    return best;
}

static void balance_load(struct plan *plan)
{
    double fair = fair_value(plan), surplus;
    bool *done = mem_new(plan->in->n_workers * sizeof *done);
    size_t from;

    if (is_uneven(plan, fair))
        while ((from = next_giver(plan, done)) != nobody) {
            done[from] = true;
            surplus = surplus_of(plan, &plan->members[from], fair);
            if (surplus > 0)
                unload(plan, from, surplus, fair);
        }
    free(done);
}

static void balance_count(struct plan *plan)
{
    bool *done = mem_new(plan->in->n_workers * sizeof *done);
    struct move move;
    size_t from;

    while ((from = next_giver(plan, done)) != nobody)
        if (try_lightest(plan, from, 0, &move))
            do_move(plan, from, &move);
        else
            done[from] = true; /* what it has moves already, or it has not too much */
    free(done);
}

size_t assign_plan(const struct assign_input *in, struct assign_step *steps)
{
    struct plan plan = {.in = in, .steps = steps};

    if (!in->n_workers || !in->n_leases)
        return 0;
    plan.members = mem_new(in->n_workers * sizeof *plan.members);
    plan.holder = mem_new(in->n_leases * sizeof *plan.holder);
    plan.weights = mem_new(in->n_leases * sizeof *plan.weights);
    for (size_t i = 0; i < in->n_workers; i++)
        plan.members[i].worker = &in->workers[i];
    weigh_leases(&plan);
    count_leases(&plan);
    measure_members(&plan);
    for (size_t i = 0; i < in->n_workers; i++)
        plan.members[i].value =
            value_of(&plan, &plan.members[i], plan.members[i].weight, plan.members[i].cpu);
    assign_free(&plan);
    if (in->balances && in->by_count)
        balance_count(&plan);
    else if (in->balances)
        balance_load(&plan);
    free(plan.members);
    free(plan.holder);
    free(plan.weights);
    return plan.n_steps;
}
