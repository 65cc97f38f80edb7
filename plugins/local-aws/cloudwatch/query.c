/* query.c - GetMetricStatistics and GetMetricData: samples gathered into periods.
 *
 * Periods begin at multiples of the period since the epoch; the start is inclusive and goes down to
 * such a beginning, the end is exclusive.
 */
#include <ctype.h>
#include <stdlib.h>

#include "plugins/local-aws/cloudwatch/cloudwatch.h"

enum {
    UNITS_MAX = 32,        /* of one moment; there are 27 */
    STATISTICS_MAX = 20,   /* 5 and 10 extended ones at most */
    DATAPOINTS_MAX = 1440, /* of GetMetricStatistics */
    QUERIES_MAX = 500,
    MAX_DATAPOINTS = 100800,
    ID_MAX = 255,
};

/* A metric over a span, in periods. */
struct series {
    struct cw_span span;
    int64_t period_ms;
    bool mixes_units; /* samples of all units count as one */
    /* of the period in hand */
    int64_t at_ms;
    struct {
        char unit[24];
        struct cw_stat stat;
    } groups[UNITS_MAX];
    size_t n_groups;
    /* what is done with a period that has ended */
    bool (*emit)(void *arg, int64_t at_ms, const char *unit, const struct cw_stat *stat);
    void *arg;
};

static bool end_period(struct series *s)
{
    bool ok = true;

    for (size_t i = 0; i < s->n_groups; i++) {
        ok = ok && s->emit(s->arg, s->at_ms, s->groups[i].unit, &s->groups[i].stat);
        cw_stat_fini(&s->groups[i].stat);
    }
    s->n_groups = 0;
    return ok;
}

static bool take_point(void *arg, int64_t at_ms, const char *unit, const struct cw_stat *stat)
{
    struct series *s = arg;
    int64_t start_ms = at_ms - at_ms % s->period_ms;
    size_t i = 0;

    if (s->n_groups && start_ms != s->at_ms && !end_period(s))
        return false;
    s->at_ms = start_ms;
    while (i < s->n_groups && !s->mixes_units && strcmp(s->groups[i].unit, unit) != 0)
        i++;
    if (i == UNITS_MAX)
        return false;
    if (i == s->n_groups) {
        memset(&s->groups[i].stat, 0, sizeof s->groups[i].stat);
        snprintf(s->groups[i].unit, sizeof s->groups[i].unit, "%s", unit);
        s->n_groups++;
    }
    return cw_stat_merge(&s->groups[i].stat, stat);
}

/* False: trouble, or emit() said so. */
static bool run_series(struct cw_call *call, struct series *s)
{
    bool ok = !s->span.metric || cw_store_points(&call->cw->store, &s->span, take_point, s);

    return end_period(s) && ok;
}

/* ---- what both operations read */

static bool read_period(struct cw_call *call, const json_t *value, const char *path,
                        int64_t *ret_ms)
{
    int64_t s = 0;

    if (!value)
        return cw_missing(call, path);
    if (!cw_integer(call, value, path, &s))
        return false;
    if (s != 1 && s != 5 && s != 10 && s != 20 && s != 30 && (s < 60 || s % 60 || s > 86400 * 365))
        return cw_invalid(call, "The parameter %s must be 1, 5, 10, 20, 30 or a multiple of 60.",
                          path);
    *ret_ms = s * 1000;
    return true;
}

static bool read_span(struct cw_call *call, int64_t *ret_from_ms, int64_t *ret_to_ms)
{
    const json_t *from = cw_member(call->in, "StartTime"), *to = cw_member(call->in, "EndTime");

    if (!from || !to)
        return cw_missing(call, from ? "EndTime" : "StartTime");
    if (!cw_time(call, from, "StartTime", ret_from_ms) || !cw_time(call, to, "EndTime", ret_to_ms))
        return false;
    if (*ret_from_ms >= *ret_to_ms)
        return cw_invalid(call, "The parameter StartTime must be less than the parameter EndTime.");
    return true;
}

/* Namespace, MetricName and Dimensions of an object; the id of that metric, 0: nobody wrote it. */
static bool read_metric(struct cw_call *call, const json_t *object, const char *prefix,
                        int64_t *ret_id, const char **ret_name)
{
    char space_path[120], name_path[120], dimensions_path[120];
    struct cw_text_rule space = {"Namespace", space_path, 1, 255, true};
    struct cw_text_rule name = {"MetricName", name_path, 1, 255, true};
    struct kpw_buf dimensions = KPW_BUF_INIT;
    struct cw_metric metric = {0};
    bool ok;

    snprintf(space_path, sizeof space_path, "%sNamespace", prefix);
    snprintf(name_path, sizeof name_path, "%sMetricName", prefix);
    snprintf(dimensions_path, sizeof dimensions_path, "%sDimensions", prefix);
    ok = cw_text(call, object, &space, &metric.space) &&
         cw_text(call, object, &name, &metric.name) &&
         cw_dimensions(call, object, dimensions_path, &dimensions);
    if (ok) {
        metric.dimensions = dimensions.ptr;
        *ret_id = cw_store_find(&call->cw->store, &metric);
        *ret_name = metric.name;
    }
    kpw_buf_fini(&dimensions);
    return ok;
}

static bool read_unit(struct cw_call *call, const json_t *object, const char *path,
                      const char **ret)
{
    if (!cw_text(call, object, &(struct cw_text_rule){"Unit", path, 1, 64, false}, ret))
        return false;
    return !*ret || cw_is_unit(*ret) ||
           cw_invalid(call, "The value %s for parameter %s is invalid.", *ret, path);
}

/* Statistics of ranges (trimmed means and the like) exist; they are not here. */
static bool check_statistic(struct cw_call *call, const char *name, const char *path)
{
    static const char *const ranges[] = {"tm", "wm", "tc", "ts", "pr", "TM",
                                         "WM", "TC", "TS", "PR", "IQM"};

    if (cw_stat_is_name(name))
        return true;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (!strncmp(name, ranges[i], strlen(ranges[i])))
            return cw_validation(
                call,
                "The local AWS does not support the statistic '%s' at '%s'; it has "
                "SampleCount, Average, Sum, Minimum, Maximum and percentiles.",
                name, path);
    return cw_invalid(call, "The value %s for parameter %s is invalid.", name, path);
}

/* ---- GetMetricStatistics */

struct statistics {
    struct cw_call *call;
    const char *names[STATISTICS_MAX]; /* first the plain ones, then the percentiles */
    size_t n, n_plain;
};

static bool emit_datapoint(void *arg, int64_t at_ms, const char *unit, const struct cw_stat *stat)
{
    const struct statistics *s = arg;
    struct cw_out *out = s->call->out;
    double value;

    cw_open_object(out, NULL);
    cw_put_time(out, "Timestamp", at_ms);
    for (size_t i = 0; i < s->n_plain; i++)
        if (cw_stat_value(stat, s->names[i], &value))
            cw_put_real(out, s->names[i], value);
    cw_put_text(out, "Unit", unit);
    if (s->n > s->n_plain) {
        cw_open_map(out, "ExtendedStatistics");
        for (size_t i = s->n_plain; i < s->n; i++)
            if (cw_stat_value(stat, s->names[i], &value))
                cw_put_entry(out, s->names[i], value);
        cw_close(out);
    }
    cw_close(out);
    return true;
}

static bool read_names(struct cw_call *call, struct statistics *s, const char *member, size_t max,
                       bool are_percentiles)
{
    const json_t *list;
    char path[60];

    if (!cw_list(call, call->in, member, max, &list))
        return false;
    for (size_t i = 0; list && i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));

        snprintf(path, sizeof path, "%s.member.%zu", member, i + 1);
        if (!name || !check_statistic(call, name, path))
            return name ? false : cw_invalid(call, "The value for parameter %s is invalid.", path);
        if ((name[0] == 'p') != are_percentiles)
            return cw_invalid(call, "The value %s for parameter %s is invalid.", name, path);
        s->names[s->n++] = name;
    }
    return true;
}

static bool check_datapoints(struct cw_call *call, int64_t from_ms, int64_t to_ms,
                             int64_t period_ms)
{
    int64_t n = (to_ms - from_ms) / period_ms;

    return n <= DATAPOINTS_MAX ||
           cw_conflict(call,
                       "You have requested up to %lld datapoints, which exceeds the limit of %d. "
                       "You may reduce the datapoints requested by increasing Period, or "
                       "decreasing the time range.",
                       (long long)n, DATAPOINTS_MAX);
}

bool cw_get_metric_statistics(struct cw_call *call)
{
    struct statistics st = {.call = call};
    struct series s = {.emit = emit_datapoint, .arg = &st};
    const char *name;
    bool ok;

    if (!read_metric(call, call->in, "", &s.span.metric, &name) ||
        !read_span(call, &s.span.from_ms, &s.span.to_ms) ||
        !read_period(call, cw_member(call->in, "Period"), "Period", &s.period_ms) ||
        !check_datapoints(call, s.span.from_ms, s.span.to_ms, s.period_ms) ||
        !read_unit(call, call->in, "Unit", &s.span.unit) ||
        !read_names(call, &st, "Statistics", 5, false))
        return false;
    st.n_plain = st.n;
    if (!read_names(call, &st, "ExtendedStatistics", 10, true))
        return false;
    if (!st.n)
        return cw_conflict(call, "Must specify either Statistics or ExtendedStatistics");
    s.span.from_ms -= s.span.from_ms % s.period_ms;
    cw_put_text(call->out, "Label", name);
    cw_open_list(call->out, "Datapoints");
    ok = run_series(call, &s);
    cw_close(call->out);
    return ok || cw_trouble(call);
}

/* ---- GetMetricData */

struct point {
    int64_t at_ms;
    double value;
};

/* One query. */
struct query {
    const char *id, *label, *stat;
    bool is_returned;
    struct series series;
    struct point *points; /* [owned] in order of time */
    size_t n, cap;
};

static bool emit_point(void *arg, int64_t at_ms, const char *unit, const struct cw_stat *stat)
{
    struct query *q = arg;
    double value;

    (void)unit;
    if (!cw_stat_value(stat, q->stat, &value))
        return true;
    if (q->n == q->cap) {
        size_t cap = q->cap ? 2 * q->cap : 64;
        struct point *points = reallocarray(q->points, cap, sizeof *points);

        if (!points)
            return false;
        q->points = points;
        q->cap = cap;
    }
    q->points[q->n++] = (struct point){at_ms, value};
    return true;
}

static bool is_id(const char *id)
{
    if (*id < 'a' || *id > 'z')
        return false;
    while (*id && (isalnum((unsigned char)*id) || *id == '_'))
        id++;
    return !*id;
}

/* Id, Label, ReturnData, and that it is no expression. */
static bool read_head(struct cw_call *call, const json_t *item, const char *path, struct query *q)
{
    char id[120], label[120];

    snprintf(id, sizeof id, "%s.Id", path);
    snprintf(label, sizeof label, "%s.Label", path);
    if (!cw_text(call, item, &(struct cw_text_rule){"Id", id, 1, ID_MAX, true}, &q->id) ||
        !cw_text(call, item, &(struct cw_text_rule){"Label", label, 0, 500, false}, &q->label))
        return false;
    if (!is_id(q->id))
        return cw_validation(call,
                             "The value for parameter %s must begin with a lower case letter "
                             "and hold letters, digits and underscores: '%s'.",
                             id, q->id);
    if (cw_member(item, "Expression"))
        return cw_validation(call,
                             "The local AWS does not evaluate expressions: %s.Expression. Ask for "
                             "MetricStat and compute with its values.",
                             path);
    q->is_returned = cw_bool(cw_member(item, "ReturnData"), true);
    return true;
}

static bool read_query(struct cw_call *call, const json_t *item, size_t i, struct query *q)
{
    const json_t *stat = cw_member(item, "MetricStat");
    char path[60], prefix[100], at[140];
    const char *name;

    snprintf(path, sizeof path, "MetricDataQueries.member.%zu", i + 1);
    if (!read_head(call, item, path, q))
        return false;
    snprintf(at, sizeof at, "%s.MetricStat", path);
    if (!stat)
        return cw_missing(call, at);
    snprintf(prefix, sizeof prefix, "%s.MetricStat.Metric.", path);
    snprintf(at, sizeof at, "%s.MetricStat.Stat", path);
    if (!read_metric(call, cw_member(stat, "Metric"), prefix, &q->series.span.metric, &name) ||
        !cw_text(call, stat, &(struct cw_text_rule){"Stat", at, 1, 100, true}, &q->stat) ||
        !check_statistic(call, q->stat, at))
        return false;
    snprintf(at, sizeof at, "%s.MetricStat.Period", path);
    if (!read_period(call, cw_member(stat, "Period"), at, &q->series.period_ms))
        return false;
    snprintf(at, sizeof at, "%s.MetricStat.Unit", path);
    if (!read_unit(call, stat, at, &q->series.span.unit))
        return false;
    if (!q->label || !*q->label)
        q->label = name;
    return true;
}

/* The whole request. */
struct data {
    struct query *queries; /* [owned] */
    size_t n;
    int64_t from_ms, to_ms, max;
    bool is_ascending;
    int64_t at[2]; /* of the token: query, point */
};

static void data_fini(struct data *d)
{
    for (size_t i = 0; i < d->n; i++)
        free(d->queries[i].points);
    free(d->queries);
}

static bool read_order(struct cw_call *call, struct data *d)
{
    const char *order = "TimestampDescending";

    if (!cw_text(call, call->in, &(struct cw_text_rule){"ScanBy", "ScanBy", 1, 40, false}, &order))
        return false;
    d->is_ascending = order && !strcmp(order, "TimestampAscending");
    return !order || d->is_ascending || !strcmp(order, "TimestampDescending") ||
           cw_validation(call,
                         "1 validation error detected: Value '%s' at 'scanBy' failed to satisfy "
                         "constraint: Member must satisfy enum value set: [TimestampDescending, "
                         "TimestampAscending]",
                         order);
}

static bool read_data(struct cw_call *call, struct data *d)
{
    const json_t *list;

    d->max = MAX_DATAPOINTS;
    if (!cw_list(call, call->in, "MetricDataQueries", QUERIES_MAX, &list) ||
        !read_span(call, &d->from_ms, &d->to_ms) || !read_order(call, d) ||
        !cw_integer(call, cw_member(call->in, "MaxDatapoints"), "MaxDatapoints", &d->max) ||
        !cw_token_read(call, d->at, 2))
        return false;
    if (d->max < 1 || d->max > MAX_DATAPOINTS)
        return cw_invalid(call, "The parameter MaxDatapoints must be from 1 to %d.",
                          MAX_DATAPOINTS);
    if (!list || !json_array_size(list))
        return cw_missing(call, "MetricDataQueries");
    d->queries = calloc(json_array_size(list), sizeof *d->queries);
    if (!d->queries)
        return cw_trouble(call);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct query *q = &d->queries[d->n++];

        if (!read_query(call, json_array_get(list, i), i, q))
            return false;
        for (size_t j = 0; j < i; j++)
            if (!strcmp(d->queries[j].id, q->id))
                return cw_validation(
                    call, "The values for parameter id in MetricDataQueries are not unique.");
    }
    return true;
}

/* `room` points at most from number `from` on. Returns how many there were. */
static size_t put_result(struct cw_call *call, const struct data *d, const struct query *q,
                         size_t from, size_t room)
{
    size_t n = q->n > from ? q->n - from : 0, take = n < room ? n : room;

    cw_open_object(call->out, NULL);
    cw_put_text(call->out, "Id", q->id);
    cw_put_text(call->out, "Label", q->label);
    cw_open_list(call->out, "Timestamps");
    for (size_t i = 0; i < take; i++) {
        size_t at = d->is_ascending ? from + i : q->n - 1 - from - i;

        cw_put_time(call->out, NULL, q->points[at].at_ms);
    }
    cw_close(call->out);
    cw_open_list(call->out, "Values");
    for (size_t i = 0; i < take; i++) {
        size_t at = d->is_ascending ? from + i : q->n - 1 - from - i;

        cw_put_real(call->out, NULL, q->points[at].value);
    }
    cw_close(call->out);
    cw_put_text(call->out, "StatusCode", take < n ? "PartialData" : "Complete");
    cw_close(call->out);
    return take;
}

static bool put_results(struct cw_call *call, struct data *d)
{
    size_t room = (size_t)d->max, i = d->at[0] > 0 ? (size_t)d->at[0] : 0;
    size_t from = d->at[1] > 0 ? (size_t)d->at[1] : 0;
    int64_t next[2] = {-1, 0};
    bool ok = true;

    cw_open_list(call->out, "MetricDataResults");
    for (; ok && i < d->n; i++, from = 0) {
        struct query *q = &d->queries[i];
        size_t n;

        if (!q->is_returned)
            continue;
        if (!room) {
            next[0] = (int64_t)i;
            break;
        }
        q->series.mixes_units = true;
        q->series.emit = emit_point;
        q->series.arg = q;
        q->series.span.from_ms = d->from_ms - d->from_ms % q->series.period_ms;
        q->series.span.to_ms = d->to_ms;
        ok = run_series(call, &q->series);
        n = put_result(call, d, q, from, room);
        room -= n;
        if (from + n < q->n) {
            next[0] = (int64_t)i;
            next[1] = (int64_t)(from + n);
            break;
        }
    }
    cw_close(call->out);
    cw_open_list(call->out, "Messages");
    cw_close(call->out);
    if (next[0] >= 0)
        cw_token_write(call->out, next, 2);
    return ok || cw_trouble(call);
}

bool cw_get_metric_data(struct cw_call *call)
{
    struct data d = {0};
    bool ok = read_data(call, &d) && put_results(call, &d);

    data_fini(&d);
    return ok;
}
