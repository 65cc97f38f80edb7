/* list.c - ListMetrics: 500 a page, in the order the metrics first came. */
#include <stdlib.h>

#include "plugins/local-aws/cloudwatch/cloudwatch.h"

enum { PAGE = 500, FILTERS_MAX = 30 };
#define ACTIVE_MS (INT64_C(3) * 3600000)
#define SHOWN_MS  (INT64_C(14) * 86400000) /* what got no data for so long is not listed */

struct listing {
    struct cw_call *call;
    const json_t *filters;
    size_t n;
    int64_t last;
    bool has_more;
};

static bool has_dimension(const json_t *dimensions, const json_t *filter)
{
    const char *name = json_string_value(cw_member(filter, "Name"));
    const char *value = json_string_value(cw_member(filter, "Value"));
    size_t i;
    json_t *pair;

    json_array_foreach(dimensions, i, pair)
    {
        const char *own = json_string_value(json_array_get(pair, 1));

        if (name && !strcmp(name, json_string_value(json_array_get(pair, 0))) &&
            (!value || !strcmp(value, own)))
            return true;
    }
    return false;
}

static bool fits(const struct listing *l, const struct cw_metric *metric)
{
    json_t *dimensions;
    bool ok = true;

    if (!l->filters)
        return true;
    dimensions = json_loads(metric->dimensions, 0, NULL);
    for (size_t i = 0; ok && i < json_array_size(l->filters); i++)
        ok = has_dimension(dimensions, json_array_get(l->filters, i));
    json_decref(dimensions);
    return ok;
}

static bool list_one(void *arg, const struct cw_metric *metric)
{
    struct listing *l = arg;
    struct cw_out *out = l->call->out;

    if (!fits(l, metric))
        return true;
    if (l->n == PAGE) {
        l->has_more = true;
        return false;
    }
    l->n++;
    l->last = metric->id;
    cw_open_object(out, NULL);
    cw_put_text(out, "Namespace", metric->space);
    cw_put_text(out, "MetricName", metric->name);
    cw_put_dimensions(out, metric->dimensions);
    cw_close(out);
    return true;
}

static bool check_filters(struct cw_call *call, const json_t *filters)
{
    for (size_t i = 0; filters && i < json_array_size(filters); i++) {
        char name[60], value[60];
        const char *text;

        snprintf(name, sizeof name, "Dimensions.member.%zu.Name", i + 1);
        snprintf(value, sizeof value, "Dimensions.member.%zu.Value", i + 1);
        if (!cw_text(call, json_array_get(filters, i),
                     &(struct cw_text_rule){"Name", name, 1, 255, true}, &text) ||
            !cw_text(call, json_array_get(filters, i),
                     &(struct cw_text_rule){"Value", value, 1, 1024, false}, &text))
            return false;
    }
    return true;
}

bool cw_list_metrics(struct cw_call *call)
{
    static const struct cw_text_rule space = {"Namespace", "Namespace", 1, 255, false},
                                     name = {"MetricName", "MetricName", 1, 255, false},
                                     active = {"RecentlyActive", "RecentlyActive", 1, 20, false};
    struct listing l = {.call = call};
    struct cw_filter filter = {.since_ms = call->now_ms - SHOWN_MS};
    const char *recently;

    if (!cw_text(call, call->in, &space, &filter.space) ||
        !cw_text(call, call->in, &name, &filter.name) ||
        !cw_text(call, call->in, &active, &recently) ||
        !cw_list(call, call->in, "Dimensions", FILTERS_MAX, &l.filters) ||
        !check_filters(call, l.filters) || !cw_token_read(call, &filter.after, 1))
        return false;
    if (recently && strcmp(recently, "PT3H") != 0)
        return cw_validation(
            call,
            "1 validation error detected: Value '%s' at 'recentlyActive' failed to "
            "satisfy constraint: Member must satisfy enum value set: [PT3H]",
            recently);
    if (recently)
        filter.since_ms = call->now_ms - ACTIVE_MS;
    cw_open_list(call->out, "Metrics");
    cw_store_list(&call->cw->store, &filter, list_one, &l);
    cw_close(call->out);
    if (l.has_more)
        cw_token_write(call->out, &l.last, 1);
    return true;
}
