/* read.c - members of a request, and what is said of those that are wrong. Texts name a member as
 * the query protocol does ("MetricData.member.1.Value") whichever protocol it came in.
 */
#include <math.h>
#include <stdlib.h>

#include "plugins/local-aws/cloudwatch/cloudwatch.h"
#include "sdk/wire/base64.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/json.h"
#include "sdk/wire/time.h"

#define REAL_MAX 0x1p360 /* the largest value CloudWatch takes */

const json_t *cw_member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_null(value) ? NULL : value;
}

/* Characters of UTF-8. */
static size_t n_chars(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

bool cw_text(struct cw_call *call, const json_t *object, const struct cw_text_rule *rule,
             const char **ret)
{
    const json_t *value = cw_member(object, rule->name);
    const char *text = json_string_value(value);
    size_t n;

    *ret = NULL;
    if (!value)
        return !rule->required || cw_missing(call, rule->path);
    if (!text)
        return cw_invalid(call, "The value for parameter %s must be a string.", rule->path);
    n = n_chars(text);
    if (n < rule->min)
        return rule->required && n == 0
                   ? cw_missing(call, rule->path)
                   : cw_invalid(call, "The parameter %s must be at least %zu characters long.",
                                rule->path, rule->min);
    if (n > rule->max)
        return cw_invalid(call,
                          "The value for parameter %s is longer than %zu characters and invalid.",
                          rule->path, rule->max);
    *ret = text;
    return true;
}

/* A number, as a text only in the query protocol; NaN and infinities are texts everywhere. */
static bool number_of(const struct cw_call *call, const json_t *value, double *ret)
{
    const char *text = json_string_value(value);

    if (json_is_number(value)) {
        *ret = json_number_value(value);
        return true;
    }
    return text && call->is_query && kpw_json_to_double(kpw_slice_cstr(text), ret);
}

bool cw_real(struct cw_call *call, const json_t *value, const char *path, double *ret)
{
    const char *text = json_string_value(value);
    double n;

    if (!value)
        return true;
    if (!number_of(call, value, &n))
        return cw_invalid(call, "The value %.60s for parameter %s is invalid.", text ? text : "",
                          path);
    if (!isfinite(n) || fabs(n) > REAL_MAX)
        return cw_invalid(call, "The value %g for parameter %s is invalid.", n, path);
    *ret = n;
    return true;
}

bool cw_integer(struct cw_call *call, const json_t *value, const char *path, int64_t *ret)
{
    double n = 0;

    if (!value)
        return true;
    if (!cw_real(call, value, path, &n))
        return false;
    if (floor(n) != n || fabs(n) > 0x1p53)
        return cw_invalid(call, "The value %g for parameter %s is invalid.", n, path);
    *ret = (int64_t)n;
    return true;
}

bool cw_time(struct cw_call *call, const json_t *value, const char *path, int64_t *ret_ms)
{
    const char *text = json_string_value(value);
    double n = 0;

    if (!value)
        return true;
    if (text && call->is_query && kpw_iso8601_parse(kpw_slice_cstr(text), ret_ms))
        return true;
    if (!number_of(call, value, &n) || !isfinite(n) || fabs(n) > 253402300799.0)
        return cw_invalid(call, "The value %.60s for parameter %s is invalid.", text ? text : "",
                          path);
    *ret_ms = (int64_t)floor(n * 1000 + 0.5);
    return true;
}

bool cw_bool(const json_t *value, bool fallback)
{
    const char *text = json_string_value(value);

    if (json_is_boolean(value))
        return json_is_true(value);
    return text ? !strcmp(text, "true") : fallback;
}

bool cw_list(struct cw_call *call, const json_t *object, const char *name, size_t max,
             const json_t **ret)
{
    const json_t *value = cw_member(object, name);
    const char *text = json_string_value(value);

    *ret = NULL;
    if (!value || (text && call->is_query && !*text))
        return true;
    if (!json_is_array(value))
        return cw_invalid(call, "The parameter %s must be a list.", name);
    if (json_array_size(value) > max)
        return cw_invalid(call, "The collection %s must not have a size greater than %zu.", name,
                          max);
    *ret = value;
    return true;
}

/* ---- dimensions */

struct pair {
    const char *name, *value;
};

static int by_name(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static bool read_pair(struct cw_call *call, const json_t *item, const char *path, size_t i,
                      struct pair *ret)
{
    char name_path[200], value_path[200];
    struct cw_text_rule name = {"Name", name_path, 1, 255, true};
    struct cw_text_rule value = {"Value", value_path, 1, 1024, true};

    snprintf(name_path, sizeof name_path, "%s.member.%zu.Name", path, i + 1);
    snprintf(value_path, sizeof value_path, "%s.member.%zu.Value", path, i + 1);
    return cw_text(call, item, &name, &ret->name) && cw_text(call, item, &value, &ret->value);
}

bool cw_dimensions(struct cw_call *call, const json_t *object, const char *path,
                   struct kpw_buf *out)
{
    struct pair pairs[CW_DIMENSIONS_MAX];
    const json_t *list;
    size_t n;

    kpw_buf_clear(out);
    if (!cw_list(call, object, "Dimensions", CW_DIMENSIONS_MAX, &list))
        return false;
    n = list ? json_array_size(list) : 0;
    for (size_t i = 0; i < n; i++)
        if (!read_pair(call, json_array_get(list, i), path, i, &pairs[i]))
            return false;
    qsort(pairs, n, sizeof *pairs, by_name);
    kpw_buf_putc(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i && !strcmp(pairs[i].name, pairs[i - 1].name))
            return cw_invalid(call, "The dimension %s is there more than once in %s.",
                              pairs[i].name, path);
        kpw_buf_puts(out, i ? ",[" : "[");
        kpw_json_put_cstr(out, pairs[i].name);
        kpw_buf_putc(out, ',');
        kpw_json_put_cstr(out, pairs[i].value);
        kpw_buf_putc(out, ']');
    }
    kpw_buf_putc(out, ']');
    return kpw_buf_cstr(out) || cw_trouble(call);
}

void cw_put_dimensions(struct cw_out *out, const char *dimensions)
{
    json_t *list = json_loads(dimensions, 0, NULL), *pair;
    size_t i;

    cw_open_list(out, "Dimensions");
    json_array_foreach(list, i, pair)
    {
        const char *name = json_string_value(json_array_get(pair, 0));
        const char *value = json_string_value(json_array_get(pair, 1));

        cw_open_object(out, NULL);
        cw_put_text(out, "Name", name ? name : "");
        cw_put_text(out, "Value", value ? value : "");
        cw_close(out);
    }
    cw_close(out);
    json_decref(list);
}

bool cw_is_unit(const char *text)
{
    static const char *const units[] = {"Seconds",
                                        "Microseconds",
                                        "Milliseconds",
                                        "Bytes",
                                        "Kilobytes",
                                        "Megabytes",
                                        "Gigabytes",
                                        "Terabytes",
                                        "Bits",
                                        "Kilobits",
                                        "Megabits",
                                        "Gigabits",
                                        "Terabits",
                                        "Percent",
                                        "Count",
                                        "Bytes/Second",
                                        "Kilobytes/Second",
                                        "Megabytes/Second",
                                        "Gigabytes/Second",
                                        "Terabytes/Second",
                                        "Bits/Second",
                                        "Kilobits/Second",
                                        "Megabits/Second",
                                        "Gigabits/Second",
                                        "Terabits/Second",
                                        "Count/Second",
                                        "None"};

    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (!strcmp(text, units[i]))
            return true;
    return false;
}

/* ---- tokens: numbers with a check sum, so that a wrong one is noticed */

void cw_token_write(struct cw_out *out, const int64_t *numbers, size_t n)
{
    unsigned char bytes[4 * sizeof *numbers + 4];
    uint32_t sum = kpw_crc32c(0, numbers, n * sizeof *numbers);
    char text[64];

    memcpy(bytes, numbers, n * sizeof *numbers);
    memcpy(bytes + n * sizeof *numbers, &sum, sizeof sum);
    text[kpw_base64_encode(bytes, n * sizeof *numbers + sizeof sum, text)] = '\0';
    cw_put_text(out, "NextToken", text);
}

bool cw_token_read(struct cw_call *call, int64_t *ret, size_t n)
{
    const char *text = json_string_value(cw_member(call->in, "NextToken"));
    unsigned char bytes[4 * sizeof *ret + 8];
    uint32_t sum;
    size_t len;

    if (!cw_member(call->in, "NextToken") || (text && !*text))
        return true;
    if (!text || strlen(text) > 4 * sizeof bytes / 3 - 4 ||
        !kpw_base64_decode(text, strlen(text), bytes, &len) || len != n * sizeof *ret + sizeof sum)
        return cw_bad_token(call);
    memcpy(&sum, bytes + n * sizeof *ret, sizeof sum);
    if (sum != kpw_crc32c(0, bytes, n * sizeof *ret))
        return cw_bad_token(call);
    memcpy(ret, bytes, n * sizeof *ret);
    return true;
}
