/* store.h - metrics and their samples in state.db.
 *
 * A metric is (namespace, name, dimensions); its samples are summed up per minute (per second with
 * StorageResolution 1) and unit. Rows older than CW_KEEP_MS go, and the oldest of more than
 * CW_POINTS_MAX.
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_CLOUDWATCH_STORE_H
#define KPIPE_LOCAL_AWS_CLOUDWATCH_STORE_H

#include <sqlite3.h>
#include <stdint.h>

#include "plugins/local-aws/cloudwatch/stat.h"

#define CW_KEEP_MS    (INT64_C(15) * 86400000)
#define CW_POINTS_MAX INT64_C(1000000)

struct cw_store {
    sqlite3 *db; /* [borrowed] */
    sqlite3_stmt *find_metric, *add_metric, *touch_metric, *find_point, *put_point, *list_points;
    sqlite3_stmt *list_metrics, *put_alarm, *list_alarms, *delete_alarm;
};

bool cw_store_open(struct cw_store *store, sqlite3 *db);
void cw_store_close(struct cw_store *store);

struct cw_metric {
    int64_t id;
    const char *space, *name, *dimensions; /* dimensions as cw_dimensions() writes them */
    int64_t last_ms;                       /* when it was last written to */
};

/* The id of a metric; 0: there is none. */
int64_t cw_store_find(struct cw_store *store, const struct cw_metric *metric);
/* The same, made if need be; last_ms is noted. 0: trouble. */
int64_t cw_store_touch(struct cw_store *store, const struct cw_metric *metric);

/* Adds samples to those of a moment (already cut down to its minute or second). */
bool cw_store_add(struct cw_store *store, int64_t metric, int64_t at_ms, const char *unit,
                  const struct cw_stat *stat);

/* Calls fn for each moment of [from, to) in order; unit NULL: all units. False: trouble, or fn
 * said so. */
typedef bool (*cw_point_fn)(void *arg, int64_t at_ms, const char *unit, const struct cw_stat *stat);
struct cw_span {
    int64_t metric, from_ms, to_ms;
    const char *unit;
};
bool cw_store_points(struct cw_store *store, const struct cw_span *span, cw_point_fn fn, void *arg);

/* Calls fn for each metric behind `after` in order of id, while it returns true; space, name NULL:
 * all. */
struct cw_filter {
    const char *space, *name;
    int64_t after, since_ms; /* since_ms: last written then or later */
};
typedef bool (*cw_metric_fn)(void *arg, const struct cw_metric *metric);
void cw_store_list(struct cw_store *store, const struct cw_filter *filter, cw_metric_fn fn,
                   void *arg);

/* Lets go of what is too old or too much. */
void cw_store_sweep(struct cw_store *store, int64_t now_ms);
void cw_store_count(struct cw_store *store, int64_t *ret_metrics, int64_t *ret_points);

/* Alarms: a JSON text each. */
bool cw_store_put_alarm(struct cw_store *store, const char *name, const char *text);
/* True: there was one. */
bool cw_store_delete_alarm(struct cw_store *store, const char *name);
typedef bool (*cw_alarm_fn)(void *arg, const char *name, const char *text);
/* In order of name, those behind `after` with this prefix, while fn returns true. */
void cw_store_alarms(struct cw_store *store, const char *prefix, const char *after, cw_alarm_fn fn,
                     void *arg);

#endif
