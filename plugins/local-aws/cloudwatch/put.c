/* put.c - PutMetricData: each datum's samples are added to those of its minute (or second). The
 * whole request is checked before anything is kept.
 */
#include <math.h>
#include <stdlib.h>

#include "plugins/local-aws/cloudwatch/cloudwatch.h"
#include "plugins/local-aws/sql.h"

enum { DATA_MAX = 1000, VALUES_MAX = 150, PATH_MAX_LEN = 160 };
#define BACK_MS    (INT64_C(14) * 86400000)
#define FORWARD_MS (INT64_C(2) * 3600000)

/* One datum being read. */
struct datum {
    const json_t *json; /* [borrowed] */
    char path[PATH_MAX_LEN];
    const char *name, *unit;
    struct kpw_buf dimensions;
    struct cw_stat stat;
    int64_t at_ms;
};

static void path_of(const struct datum *d, const char *member, char out[PATH_MAX_LEN + 80])
{
    snprintf(out, PATH_MAX_LEN + 80, "%s.%s", d->path, member);
}

static bool both(struct cw_call *call, const struct datum *d, const char *a, const char *b)
{
    return cw_conflict(call,
                       "The parameters %s.%s and %s.%s are mutually exclusive and you have "
                       "specified both.",
                       d->path, a, d->path, b);
}

static bool read_set(struct cw_call *call, struct datum *d, const json_t *set)
{
    static const char *const names[] = {"SampleCount", "Sum", "Minimum", "Maximum"};
    struct cw_stat stat = {0};
    double *const to[] = {&stat.count, &stat.sum, &stat.min, &stat.max};

    for (size_t i = 0; i < 4; i++) {
        const json_t *value = cw_member(set, names[i]);
        char member[40], path[PATH_MAX_LEN + 80];

        snprintf(member, sizeof member, "StatisticValues.%s", names[i]);
        path_of(d, member, path);
        if (!value)
            return cw_missing(call, path);
        if (!cw_real(call, value, path, to[i]))
            return false;
    }
    if (stat.count < 0)
        return cw_invalid(call,
                          "The value %g for parameter %s.StatisticValues.SampleCount is "
                          "invalid.",
                          stat.count, d->path);
    if (stat.min > stat.max)
        return cw_invalid(call,
                          "The parameter %s.StatisticValues.Maximum must be greater than %s."
                          "StatisticValues.Minimum.",
                          d->path, d->path);
    return stat.count == 0 || cw_stat_add_set(&d->stat, &stat) || cw_trouble(call);
}

static bool read_values(struct cw_call *call, struct datum *d, const json_t *values)
{
    const json_t *counts;
    char path[PATH_MAX_LEN + 80];

    if (!cw_list(call, d->json, "Counts", VALUES_MAX, &counts))
        return false;
    if (counts && json_array_size(counts) != json_array_size(values))
        return cw_invalid(call, "The parameters %s.Values and %s.Counts must be of the same size.",
                          d->path, d->path);
    for (size_t i = 0; i < json_array_size(values); i++) {
        double value = 0, count = 1;

        snprintf(path, sizeof path, "%s.Values.member.%zu", d->path, i + 1);
        if (!cw_real(call, json_array_get(values, i), path, &value))
            return false;
        snprintf(path, sizeof path, "%s.Counts.member.%zu", d->path, i + 1);
        if (counts && !cw_real(call, json_array_get(counts, i), path, &count))
            return false;
        if (count < 0)
            return cw_invalid(call, "The value %g for parameter %s is invalid.", count, path);
        if (count > 0 && !cw_stat_add(&d->stat, value, count))
            return cw_trouble(call);
    }
    return true;
}

/* Exactly one of Value, Values and StatisticValues. */
static bool read_samples(struct cw_call *call, struct datum *d)
{
    const json_t *value = cw_member(d->json, "Value"), *set = cw_member(d->json, "StatisticValues");
    const json_t *values;
    char path[PATH_MAX_LEN + 80];
    double n = 0;

    if (!cw_list(call, d->json, "Values", VALUES_MAX, &values))
        return false;
    if (value && set)
        return both(call, d, "Value", "StatisticValues");
    if (value && values)
        return both(call, d, "Value", "Values");
    if (values && set)
        return both(call, d, "Values", "StatisticValues");
    if (values)
        return read_values(call, d, values);
    if (set)
        return read_set(call, d, set);
    if (!value)
        return cw_conflict(call,
                           "At least one of the parameters must be specified: %s.Value, %s.Values, "
                           "%s.StatisticValues.",
                           d->path, d->path, d->path);
    path_of(d, "Value", path);
    return cw_real(call, value, path, &n) && (cw_stat_add(&d->stat, n, 1) || cw_trouble(call));
}

/* The start of the minute or second a datum belongs to. */
static bool read_moment(struct cw_call *call, struct datum *d)
{
    char path[PATH_MAX_LEN + 80];
    int64_t resolution = 60, step_ms;

    d->at_ms = call->now_ms;
    path_of(d, "Timestamp", path);
    if (!cw_time(call, cw_member(d->json, "Timestamp"), path, &d->at_ms))
        return false;
    if (d->at_ms < call->now_ms - BACK_MS || d->at_ms > call->now_ms + FORWARD_MS)
        return cw_invalid(call,
                          "The parameter %s must specify a time within the past two weeks or the "
                          "next two hours.",
                          path);
    path_of(d, "StorageResolution", path);
    if (!cw_integer(call, cw_member(d->json, "StorageResolution"), path, &resolution))
        return false;
    if (resolution != 1 && resolution != 60)
        return cw_invalid(call, "The value %lld for parameter %s is invalid: it must be 1 or 60.",
                          (long long)resolution, path);
    step_ms = resolution * 1000;
    d->at_ms -= d->at_ms % step_ms;
    return true;
}

static bool read_datum(struct cw_call *call, struct datum *d)
{
    char name[PATH_MAX_LEN + 80], unit[PATH_MAX_LEN + 80], dimensions[PATH_MAX_LEN + 80];

    path_of(d, "MetricName", name);
    path_of(d, "Unit", unit);
    path_of(d, "Dimensions", dimensions);
    if (!json_is_object(d->json))
        return cw_invalid(call, "The parameter %s must be a structure.", d->path);
    if (!cw_text(call, d->json, &(struct cw_text_rule){"MetricName", name, 1, 255, true},
                 &d->name) ||
        !cw_dimensions(call, d->json, dimensions, &d->dimensions) || !read_moment(call, d) ||
        !cw_text(call, d->json, &(struct cw_text_rule){"Unit", unit, 0, 64, false}, &d->unit) ||
        !read_samples(call, d))
        return false;
    if (!d->unit)
        d->unit = "None";
    return cw_is_unit(d->unit) ||
           cw_invalid(call, "The value %s for parameter %s is invalid.", d->unit, unit);
}

/* ---- the request */

/* All its data, read. */
struct batch {
    const char *space;
    struct datum *data; /* [owned] */
    size_t n;
};

static void batch_fini(struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        kpw_buf_fini(&batch->data[i].dimensions);
        cw_stat_fini(&batch->data[i].stat);
    }
    free(batch->data);
}

static bool read_data(struct cw_call *call, struct batch *batch, const json_t *list,
                      const char *path)
{
    size_t n = json_array_size(list);
    struct datum *data;

    if (batch->n + n > DATA_MAX)
        return cw_invalid(call, "The collection MetricData must not have a size greater than %d.",
                          DATA_MAX);
    data = reallocarray(batch->data, batch->n + n + 1, sizeof *data);
    if (!data)
        return cw_trouble(call);
    batch->data = data;
    for (size_t i = 0; i < n; i++) {
        struct datum *d = &batch->data[batch->n++];

        *d = (struct datum){.json = json_array_get(list, i)};
        snprintf(d->path, sizeof d->path, "%s.member.%zu", path, i + 1);
        if (!read_datum(call, d))
            return false;
    }
    return true;
}

static bool read_batch(struct cw_call *call, struct batch *batch)
{
    static const struct cw_text_rule space = {"Namespace", "Namespace", 1, 255, true};
    const json_t *data, *entities;

    if (!cw_text(call, call->in, &space, &batch->space) ||
        !cw_list(call, call->in, "MetricData", DATA_MAX, &data) ||
        !cw_list(call, call->in, "EntityMetricData", DATA_MAX, &entities))
        return false;
    if (batch->space[0] == ':' || !strncmp(batch->space, "AWS/", 4))
        return cw_invalid(call, "The value %s for parameter Namespace is invalid.", batch->space);
    if (!data && !entities)
        return cw_missing(call, "MetricData");
    if (data && !read_data(call, batch, data, "MetricData"))
        return false;
    for (size_t i = 0; entities && i < json_array_size(entities); i++) {
        const json_t *list;
        char path[80];

        snprintf(path, sizeof path, "EntityMetricData.member.%zu.MetricData", i + 1);
        if (!cw_list(call, json_array_get(entities, i), "MetricData", DATA_MAX, &list) ||
            !read_data(call, batch, list, path))
            return false;
    }
    return batch->n > 0 || cw_missing(call, "MetricData");
}

static bool keep(struct cw_call *call, const struct batch *batch)
{
    struct cw_store *store = &call->cw->store;
    bool ok = sql_begin(store->db);

    for (size_t i = 0; ok && i < batch->n; i++) {
        const struct datum *d = &batch->data[i];
        int64_t id = cw_store_touch(store, &(struct cw_metric){.space = batch->space,
                                                               .name = d->name,
                                                               .dimensions = d->dimensions.ptr,
                                                               .last_ms = call->now_ms});

        ok = id && (d->stat.count == 0 || cw_store_add(store, id, d->at_ms, d->unit, &d->stat));
    }
    return sql_end(store->db, ok) || cw_trouble(call);
}

bool cw_put_metric_data(struct cw_call *call)
{
    struct batch batch = {0};
    bool ok = read_batch(call, &batch) && keep(call, &batch);

    batch_fini(&batch);
    return ok;
}
