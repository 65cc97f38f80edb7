/* stat.c - statistics over samples. Percentiles lie on the line between the two nearest ranks. */
#include "plugins/local-aws/cloudwatch/stat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/wire/json.h"

static void add_sums(struct cw_stat *stat, const struct cw_stat *other)
{
    stat->min = stat->count == 0 ? other->min : fmin(stat->min, other->min);
    stat->max = stat->count == 0 ? other->max : fmax(stat->max, other->max);
    stat->count += other->count;
    stat->sum += other->sum;
    stat->is_opaque = stat->is_opaque || other->is_opaque;
}

/* Two neighbours become one, all along. */
static void halve(struct cw_stat *stat)
{
    size_t n = 0;

    for (size_t i = 0; i < stat->n_pairs; i += 2) {
        struct cw_pair a = stat->pairs[i];

        if (i + 1 < stat->n_pairs) {
            struct cw_pair b = stat->pairs[i + 1];

            a.value = (a.value * a.count + b.value * b.count) / (a.count + b.count);
            a.count += b.count;
        }
        stat->pairs[n++] = a;
    }
    stat->n_pairs = n;
}

static bool add_pair(struct cw_stat *stat, double value, double count)
{
    size_t low = 0, high = stat->n_pairs;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (stat->pairs[middle].value < value)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < stat->n_pairs && stat->pairs[low].value == value) {
        stat->pairs[low].count += count;
        return true;
    }
    if (stat->n_pairs == stat->pairs_cap) {
        size_t cap = stat->pairs_cap ? 2 * stat->pairs_cap : 8;
        struct cw_pair *pairs = reallocarray(stat->pairs, cap, sizeof *pairs);

        if (!pairs)
            return false;
        stat->pairs = pairs;
        stat->pairs_cap = cap;
    }
    memmove(&stat->pairs[low + 1], &stat->pairs[low], (stat->n_pairs - low) * sizeof *stat->pairs);
    stat->pairs[low] = (struct cw_pair){value, count};
    if (++stat->n_pairs > CW_PAIRS_MAX)
        halve(stat);
    return true;
}

bool cw_stat_add(struct cw_stat *stat, double value, double count)
{
    struct cw_stat one = {.count = count, .sum = value * count, .min = value, .max = value};

    if (!add_pair(stat, value, count))
        return false;
    add_sums(stat, &one);
    return true;
}

bool cw_stat_add_set(struct cw_stat *stat, const struct cw_stat *set)
{
    if (set->min == set->max && set->sum == set->min * set->count)
        return cw_stat_add(stat, set->min, set->count);
    add_sums(stat, set);
    stat->is_opaque = true;
    return true;
}

bool cw_stat_merge(struct cw_stat *stat, const struct cw_stat *other)
{
    for (size_t i = 0; i < other->n_pairs; i++)
        if (!add_pair(stat, other->pairs[i].value, other->pairs[i].count))
            return false;
    add_sums(stat, other);
    return true;
}

void cw_stat_fini(struct cw_stat *stat)
{
    free(stat->pairs);
    *stat = (struct cw_stat){0};
}

/* ---- reading */

/* "p99.9" */
static bool percentile_of(const char *name, double *ret)
{
    if (*name != 'p' || strspn(name + 1, "0123456789.") != strlen(name) - 1)
        return false;
    return kpw_json_to_double(kpw_slice_cstr(name + 1), ret) && *ret >= 0 && *ret <= 100;
}

/* The sample at a rank from 0; samples are in order of value. */
static double at_rank(const struct cw_stat *stat, double rank)
{
    double below = 0;

    for (size_t i = 0; i < stat->n_pairs; i++) {
        below += stat->pairs[i].count;
        if (rank < below)
            return stat->pairs[i].value;
    }
    return stat->max;
}

static bool percentile(const struct cw_stat *stat, double p, double *ret)
{
    double rank = p / 100 * (stat->count - 1), low, high;

    if (stat->is_opaque || !stat->n_pairs)
        return false;
    if (rank < 0)
        rank = 0; /* less than one sample: counts need not be whole */
    low = at_rank(stat, floor(rank));
    high = at_rank(stat, ceil(rank));
    *ret = low + (high - low) * (rank - floor(rank));
    return true;
}

bool cw_stat_is_name(const char *name)
{
    static const char *const names[] = {"SampleCount", "Sum", "Average", "Minimum", "Maximum"};
    double p;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i]))
            return true;
    return percentile_of(name, &p);
}

bool cw_stat_value(const struct cw_stat *stat, const char *name, double *ret)
{
    double p;

    if (stat->count <= 0)
        return false;
    if (percentile_of(name, &p))
        return percentile(stat, p, ret);
    if (!strcmp(name, "SampleCount"))
        *ret = stat->count;
    else if (!strcmp(name, "Sum"))
        *ret = stat->sum;
    else if (!strcmp(name, "Average"))
        *ret = stat->sum / stat->count;
    else if (!strcmp(name, "Minimum"))
        *ret = stat->min;
    else if (!strcmp(name, "Maximum"))
        *ret = stat->max;
    else
        return false;
    return true;
}
