/* stat.h - samples of a metric in a span of time: their statistics, and enough of them for
 * percentiles.
 *
 * Distinct values are kept as pairs (value, how often) sorted by value. Over CW_PAIRS_MAX
 * neighbours are merged, so memory is bounded and a percentile is off by the width of such a merge
 * at most. A statistic set says nothing of its single values, unless all are equal: then there are
 * none.
 *
 * Threads: [any]
 */
#ifndef KPIPE_LOCAL_AWS_CLOUDWATCH_STAT_H
#define KPIPE_LOCAL_AWS_CLOUDWATCH_STAT_H

#include <stdbool.h>
#include <stddef.h>

enum { CW_PAIRS_MAX = 1000 };

struct cw_pair {
    double value, count;
};

struct cw_stat {
    double count, sum, min, max;
    bool is_opaque;        /* a statistic set is in it: no percentiles */
    struct cw_pair *pairs; /* [owned] sorted by value */
    size_t n_pairs, pairs_cap;
};

/* All zero is an empty one. False: out of memory. */
bool cw_stat_add(struct cw_stat *stat, double value, double count);
/* A statistic set. */
bool cw_stat_add_set(struct cw_stat *stat, const struct cw_stat *set);
/* All of `other`. */
bool cw_stat_merge(struct cw_stat *stat, const struct cw_stat *other);
void cw_stat_fini(struct cw_stat *stat);

/* "Average", "p99.9", ...: false when it is no statistic. */
bool cw_stat_is_name(const char *name);
/* The value of a statistic; false: there is none (no samples, or percentiles of statistic sets). */
bool cw_stat_value(const struct cw_stat *stat, const char *name, double *ret);

#endif
