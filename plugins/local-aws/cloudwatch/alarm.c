/* alarm.c - alarms are stored and described, and never evaluated: their state stays
 * INSUFFICIENT_DATA, as that of a new one is.
 */
#include "plugins/local-aws/cloudwatch/cloudwatch.h"

enum { PAGE = 50, PAGE_MAX = 100, NAMES_MAX = 100 };

enum kind { TEXT, INTEGER, REAL, BOOL, TEXTS };

/* In the order DescribeAlarms shows them. */
static const struct alarm_member {
    const char *name;
    enum kind kind;
    size_t max;
    bool required;
} members[] = {
    {"AlarmDescription", TEXT, 1024, false},
    {"ActionsEnabled", BOOL, 0, false},
    {"OKActions", TEXTS, 5, false},
    {"AlarmActions", TEXTS, 5, false},
    {"InsufficientDataActions", TEXTS, 5, false},
    {"MetricName", TEXT, 255, false},
    {"Namespace", TEXT, 255, false},
    {"Statistic", TEXT, 20, false},
    {"ExtendedStatistic", TEXT, 20, false},
    {"Period", INTEGER, 0, false},
    {"Unit", TEXT, 30, false},
    {"EvaluationPeriods", INTEGER, 0, true},
    {"DatapointsToAlarm", INTEGER, 0, false},
    {"Threshold", REAL, 0, false},
    {"ComparisonOperator", TEXT, 100, true},
    {"TreatMissingData", TEXT, 255, false},
    {"EvaluateLowSampleCountPercentile", TEXT, 255, false},
};
enum { N_MEMBERS = sizeof members / sizeof *members };

/* ---- PutMetricAlarm */

static bool read_texts(struct cw_call *call, const struct alarm_member *m, json_t *ret)
{
    const json_t *list;

    if (!cw_list(call, call->in, m->name, m->max, &list))
        return false;
    for (size_t i = 0; list && i < json_array_size(list); i++)
        if (!json_is_string(json_array_get(list, i)))
            return cw_invalid(call, "The value for parameter %s.member.%zu is invalid.", m->name,
                              i + 1);
    json_object_set_new(ret, m->name, list ? json_deep_copy(list) : json_array());
    return true;
}

/* Puts a member into the stored alarm with the type it has there. */
static bool read_member(struct cw_call *call, const struct alarm_member *m, json_t *ret)
{
    const json_t *value = cw_member(call->in, m->name);
    const char *text;
    int64_t n = 0;
    double real = 0;

    if (m->kind == TEXTS)
        return read_texts(call, m, ret);
    if (m->kind == BOOL) {
        json_object_set_new(ret, m->name, json_boolean(cw_bool(value, true)));
        return true;
    }
    if (!value)
        return !m->required || cw_missing(call, m->name);
    if (m->kind == TEXT) {
        struct cw_text_rule rule = {m->name, m->name, 0, m->max, m->required};

        if (!cw_text(call, call->in, &rule, &text))
            return false;
        json_object_set_new(ret, m->name, json_string(text));
    } else if (m->kind == INTEGER) {
        if (!cw_integer(call, value, m->name, &n))
            return false;
        if (n < 1)
            return cw_invalid(call, "The parameter %s must be at least 1.", m->name);
        json_object_set_new(ret, m->name, json_integer(n));
    } else {
        if (!cw_real(call, value, m->name, &real))
            return false;
        json_object_set_new(ret, m->name, json_real(real));
    }
    return true;
}

bool cw_put_metric_alarm(struct cw_call *call)
{
    static const struct cw_text_rule rule = {"AlarmName", "AlarmName", 1, 255, true};
    struct kpw_buf dimensions = KPW_BUF_INIT;
    json_t *alarm = json_object();
    const char *name;
    char *text = NULL;
    bool ok = cw_text(call, call->in, &rule, &name);

    if (ok && cw_member(call->in, "Metrics"))
        ok = cw_validation(call, "The local AWS does not evaluate expressions: Metrics.");
    for (size_t i = 0; ok && i < N_MEMBERS; i++)
        ok = read_member(call, &members[i], alarm);
    ok = ok && cw_dimensions(call, call->in, "Dimensions", &dimensions);
    if (ok) {
        json_object_set_new(alarm, "Dimensions", json_string(dimensions.ptr));
        json_object_set_new(alarm, "Updated", json_integer(call->now_ms));
        text = json_dumps(alarm, JSON_COMPACT);
        ok = (text && cw_store_put_alarm(&call->cw->store, name, text)) || cw_trouble(call);
    }
    free(text);
    json_decref(alarm);
    kpw_buf_fini(&dimensions);
    return ok;
}

/* ---- DescribeAlarms */

struct describing {
    struct cw_call *call;
    const json_t *names; /* NULL: all */
    size_t n, max;
    char last[1100]; /* 255 characters of UTF-8 */
    bool has_more;
};

static bool is_asked(const struct describing *d, const char *name)
{
    for (size_t i = 0; d->names && i < json_array_size(d->names); i++) {
        const char *one = json_string_value(json_array_get(d->names, i));

        if (one && !strcmp(one, name))
            return true;
    }
    return !d->names;
}

static void put_member(struct cw_out *out, const struct alarm_member *m, const json_t *value)
{
    size_t i;
    json_t *item;

    switch (m->kind) {
    case TEXT: cw_put_text(out, m->name, json_string_value(value)); break;
    case INTEGER: cw_put_int(out, m->name, json_integer_value(value)); break;
    case REAL: cw_put_real(out, m->name, json_number_value(value)); break;
    case BOOL: cw_put_bool(out, m->name, json_is_true(value)); break;
    case TEXTS:
        cw_open_list(out, m->name);
        json_array_foreach(value, i, item) cw_put_text(out, NULL, json_string_value(item));
        cw_close(out);
        break;
    }
}

static bool describe_one(void *arg, const char *name, const char *text)
{
    struct describing *d = arg;
    struct local *local = d->call->cw->local;
    struct cw_out *out = d->call->out;
    json_t *alarm;
    char arn[1300];

    if (!is_asked(d, name))
        return true;
    if (d->n == d->max) {
        d->has_more = true;
        return false;
    }
    d->n++;
    snprintf(d->last, sizeof d->last, "%s", name);
    snprintf(arn, sizeof arn, "arn:aws:cloudwatch:%s:%s:alarm:%s", local->region, local->account,
             name);
    alarm = json_loads(text, 0, NULL);
    cw_open_object(out, NULL);
    cw_put_text(out, "AlarmName", name);
    cw_put_text(out, "AlarmArn", arn);
    for (size_t i = 0; i < N_MEMBERS; i++) {
        const json_t *value = json_object_get(alarm, members[i].name);

        if (value)
            put_member(out, &members[i], value);
    }
    cw_put_dimensions(out, json_string_value(json_object_get(alarm, "Dimensions")));
    cw_put_time(out, "AlarmConfigurationUpdatedTimestamp",
                json_integer_value(json_object_get(alarm, "Updated")));
    cw_put_text(out, "StateValue", "INSUFFICIENT_DATA");
    cw_put_text(out, "StateReason", "Unchecked: Initial alarm creation");
    cw_put_time(out, "StateUpdatedTimestamp",
                json_integer_value(json_object_get(alarm, "Updated")));
    cw_close(out);
    json_decref(alarm);
    return true;
}

bool cw_describe_alarms(struct cw_call *call)
{
    static const struct cw_text_rule prefix_rule = {"AlarmNamePrefix", "AlarmNamePrefix", 1, 255,
                                                    false},
                                     token_rule = {"NextToken", "NextToken", 0, 1024, false},
                                     state_rule = {"StateValue", "StateValue", 1, 40, false};
    struct describing d = {.call = call};
    const char *prefix, *after, *state;
    int64_t max = PAGE;

    if (!cw_list(call, call->in, "AlarmNames", NAMES_MAX, &d.names) ||
        !cw_text(call, call->in, &prefix_rule, &prefix) ||
        !cw_text(call, call->in, &token_rule, &after) ||
        !cw_text(call, call->in, &state_rule, &state) ||
        !cw_integer(call, cw_member(call->in, "MaxRecords"), "MaxRecords", &max))
        return false;
    if (max < 1 || max > PAGE_MAX)
        return cw_invalid(call, "The parameter MaxRecords must be from 1 to %d.", PAGE_MAX);
    d.max = (size_t)max;
    cw_open_list(call->out, "MetricAlarms");
    if (!state || !strcmp(state, "INSUFFICIENT_DATA"))
        cw_store_alarms(&call->cw->store, prefix ? prefix : "", after ? after : "", describe_one,
                        &d);
    cw_close(call->out);
    cw_open_list(call->out, "CompositeAlarms");
    cw_close(call->out);
    if (d.has_more)
        cw_put_text(call->out, "NextToken", d.last);
    return true;
}

bool cw_delete_alarms(struct cw_call *call)
{
    const json_t *names;

    if (!cw_list(call, call->in, "AlarmNames", NAMES_MAX, &names))
        return false;
    if (!names)
        return cw_missing(call, "AlarmNames");
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));

        if (name)
            (void)cw_store_delete_alarm(&call->cw->store, name); /* one that is not there is fine */
    }
    return true;
}
