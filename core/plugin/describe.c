/* describe.c - see describe.h. */
#include "core/plugin/describe.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/units.h"

#define MAX_ROWS     500
#define MAX_DEPTH    4
#define MAX_NAME     64
#define MAX_ELEMENTS 200

/* Structs of an older minor version are shorter, never shorter than in 1.0. */
#define PLUGIN_1_0  (offsetof(kp_plugin, elements) + sizeof(void *))
#define ELEMENT_1_0 (offsetof(kp_element, close) + sizeof(void *))

struct check {
    uint16_t minor; /* of the plugin's ABI */
    describe_report *report;
    void *arg;
    char where[300]; /* "sink file: option path: " */
};

static const struct type {
    const char *name;
    size_t size, align;
} types[] = {
    [KP_T_STRING] = {"string", sizeof(char *), _Alignof(char *)},
    [KP_T_INT] = {"int", sizeof(int64_t), _Alignof(int64_t)},
    [KP_T_NUMBER] = {"number", sizeof(double), _Alignof(double)},
    [KP_T_BOOL] = {"bool", sizeof(bool), _Alignof(bool)},
    [KP_T_BYTES] = {"bytes", sizeof(int64_t), _Alignof(int64_t)},
    [KP_T_DURATION] = {"duration", sizeof(int64_t), _Alignof(int64_t)},
    [KP_T_ENUM] = {"enum", sizeof(int), _Alignof(int)},
    [KP_T_SECRET] = {"secret", sizeof(char *), _Alignof(char *)},
    [KP_T_LIST] = {"list", sizeof(kp_list), _Alignof(kp_list)},
    [KP_T_MAP] = {"map", sizeof(kp_map), _Alignof(kp_map)},
    [KP_T_FUNCTION] = {"function", sizeof(kp_function *), _Alignof(kp_function *)},
    [KP_T_VALUE] = {"value", sizeof(kp_value), _Alignof(kp_value)},
    [KP_T_RESOURCE] = {"resource", sizeof(kp_resource *), _Alignof(kp_resource *)},
    [KP_T_GROUP] = {"group", 0, 1},
};

const char *describe_kind(kp_kind kind)
{
    static const char *const names[] = {[KP_SOURCE] = "source",
                                        [KP_TRANSFORM] = "transform",
                                        [KP_SINK] = "sink",
                                        [KP_PROVISIONER] = "provisioner",
                                        [KP_SERVICE] = "service"};

    return kind >= KP_SOURCE && kind <= KP_SERVICE ? names[kind] : "unknown";
}

const char *describe_type(kp_type type)
{
    return type >= KP_T_STRING && type <= KP_T_GROUP ? types[type].name : "unknown";
}

__attribute__((format(printf, 2, 3))) static void problem(struct check *check, const char *fmt, ...)
{
    char text[1000];
    size_t at = (size_t)snprintf(text, sizeof text, "%s", check->where);
    va_list args;

    va_start(args, fmt);
    vsnprintf(text + at, sizeof text - at, fmt, args);
    va_end(args);
    check->report(check->arg, text);
}

/* ---- texts of an option row */

/* A number in the type's own notation; units as in the pipeline file. */
static bool parse_quantity(kp_type type, const char *text, double *ret)
{
    int64_t whole = 0;
    char *end;

    errno = 0;
    switch (type) {
    case KP_T_BYTES:
        if (!units_bytes(text, &whole))
            return false;
        *ret = (double)whole;
        return true;
    case KP_T_DURATION:
        if (!units_duration(text, &whole))
            return false;
        *ret = (double)whole;
        return true;
    case KP_T_INT: *ret = (double)strtoll(text, &end, 10); return *text && !*end && !errno;
    default: *ret = strtod(text, &end); return *text && !*end && !errno;
    }
}

static bool is_quantity(kp_type type)
{
    return type == KP_T_INT || type == KP_T_NUMBER || type == KP_T_BYTES || type == KP_T_DURATION;
}

/* "1..1000", either end may be left out. */
static bool parse_range(kp_type type, const char *check, double *ret_min, double *ret_max)
{
    const char *dots = strstr(check, "..");
    char low[40];

    *ret_min = -1e300;
    *ret_max = 1e300;
    if (!dots || (size_t)(dots - check) >= sizeof low)
        return false;
    snprintf(low, sizeof low, "%.*s", (int)(dots - check), check);
    if (*low && !parse_quantity(type, low, ret_min))
        return false;
    if (dots[2] && !parse_quantity(type, dots + 2, ret_max))
        return false;
    return *ret_min <= *ret_max;
}

static bool has_choice(const char *choices, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = choices; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (!strncmp(at, name, len) && (at[len] == '|' || !at[len]))
            return true;
    return false;
}

static void check_quantity(struct check *check, const kp_option *row)
{
    double min = -1e300, max = 1e300, value;

    if (row->check && !parse_range(row->type, row->check, &min, &max)) {
        problem(check, "\"%s\" is not a range of type %s", row->check, types[row->type].name);
        return;
    }
    if (!row->dflt || !*row->dflt)
        return;
    if (!parse_quantity(row->type, row->dflt, &value))
        problem(check, "the default \"%s\" is not of type %s", row->dflt, types[row->type].name);
    else if (value < min || value > max)
        problem(check, "the default %s is outside of %s", row->dflt, row->check);
}

static void check_choice(struct check *check, const kp_option *row, bool given)
{
    if (!row->check || !*row->check)
        problem(check, "an enum needs its choices in check, \"a|b|c\"");
    else if (given && !has_choice(row->check, row->dflt))
        problem(check, "the default \"%s\" is none of %s", row->dflt, row->check);
}

static bool has_no_default(kp_type type)
{
    switch (type) {
    case KP_T_LIST:
    case KP_T_MAP:
    case KP_T_FUNCTION:
    case KP_T_RESOURCE:
    case KP_T_SECRET:
    case KP_T_GROUP: return true;
    default: return false;
    }
}

static void check_default(struct check *check, const kp_option *row)
{
    bool given = row->dflt && *row->dflt;

    if (is_quantity(row->type))
        check_quantity(check, row);
    else if (row->type == KP_T_ENUM)
        check_choice(check, row, given);
    else if (given && row->type == KP_T_BOOL && strcmp(row->dflt, "true") &&
             strcmp(row->dflt, "false"))
        problem(check, "the default \"%s\" is neither true nor false", row->dflt);
    else if (given && has_no_default(row->type))
        problem(check, "type %s can have no default", types[row->type].name);
}

/* ---- rows */

static bool is_option_name(const char *name)
{
    size_t len = strlen(name);

    if (!len || len > MAX_NAME || !(isalpha((unsigned char)name[0]) || name[0] == '_'))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '_')
            return false;
    return true;
}

static void check_rows(struct check *check, const kp_option *rows, size_t base, size_t config_size,
                       int depth);

static void check_row(struct check *check, const kp_option *row, size_t base, size_t config_size,
                      int depth)
{
    const struct type *type;

    if (!is_option_name(row->name))
        problem(check, "a name has letters, digits and _ and begins with a letter");
    if (row->type < KP_T_STRING || row->type > KP_T_GROUP) {
        problem(check, "unknown type %d", (int)row->type);
        return;
    }
    type = &types[row->type];
    if (base + row->offset + type->size > config_size)
        problem(check, "its field ends at byte %zu of a config struct of %zu",
                base + row->offset + type->size, config_size);
    if ((base + row->offset) % type->align)
        problem(check, "offset %zu does not fit type %s", base + row->offset, type->name);
    if (!row->help || !*row->help || strchr(row->help, '\n'))
        problem(check, "needs one line of help");
    check_default(check, row);
    if (row->type == KP_T_GROUP && (!row->rows || depth >= MAX_DEPTH))
        problem(check, row->rows ? "nested too deeply" : "a group needs rows");
    else if (row->type == KP_T_GROUP)
        check_rows(check, row->rows, base + row->offset, config_size, depth + 1);
    else if (row->rows)
        problem(check, "only a group has rows");
}

static void check_rows(struct check *check, const kp_option *rows, size_t base, size_t config_size,
                       int depth)
{
    size_t at = strlen(check->where);

    for (size_t i = 0; rows[i].name; i++) {
        if (i == MAX_ROWS) {
            problem(check, "more than %d options: is the last row {0}?", MAX_ROWS);
            break;
        }
        snprintf(check->where + at, sizeof check->where - at, "option %.*s: ", MAX_NAME,
                 rows[i].name);
        for (size_t k = 0; k < i; k++)
            if (!strcmp(rows[k].name, rows[i].name))
                problem(check, "is there twice");
        check_row(check, &rows[i], base, config_size, depth);
    }
    check->where[at] = '\0';
}

/* ---- elements */

static bool is_element_name(const char *name)
{
    size_t len = name ? strlen(name) : 0;

    if (!len || len > MAX_NAME || !islower((unsigned char)name[0]) || name[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) && name[i] != '-')
            return false;
    return true;
}

/* A source gets its lanes from the host, or it does not. */
static void check_grants(struct check *check, const kp_element *element)
{
    if (element->size < sizeof(kp_element))
        return;
    if (!element->grant != !element->revoke || !element->grant != !element->offer)
        problem(check, "needs all of grant(), revoke() and offer(), or none");
    if (element->grant && element->kind != KP_SOURCE)
        problem(check, "grant() is for sources");
}

static void check_calls(struct check *check, const kp_element *element)
{
    bool takes = element->kind == KP_TRANSFORM || element->kind == KP_SINK;

    if (takes && !element->process)
        problem(check, "needs process()");
    if (!takes && !element->start)
        problem(check, "needs start()");
    if ((element->flags & KP_STREAM) && !element->catch_up)
        problem(check, "KP_STREAM needs catch_up()");
    if ((element->flags & KP_TAKES_FAILURES) && element->kind != KP_SINK)
        problem(check, "KP_TAKES_FAILURES is for sinks");
    check_grants(check, element);
    if (element->flags >= (uint32_t)KP_NONDETERMINISTIC << 1)
        problem(check, "unknown flags 0x%x", element->flags);
}

static bool is_size(const struct check *check, size_t size, size_t oldest, size_t newest)
{
    return check->minor == KP_ABI_MINOR ? size == newest : size >= oldest && size <= newest;
}

static void check_element(struct check *check, const kp_element *element)
{
    check->where[0] = '\0';
    if (!is_size(check, element->size, ELEMENT_1_0, sizeof *element)) {
        problem(check, "has an element of %u bytes, kp_element of ABI %d.%d has %zu", element->size,
                KP_ABI_MAJOR, KP_ABI_MINOR, sizeof *element);
        return;
    }
    if (element->kind < KP_SOURCE || element->kind > KP_SERVICE) {
        problem(check, "has an element %.*s of unknown kind %d", MAX_NAME,
                element->name ? element->name : "", (int)element->kind);
        return;
    }
    if (!is_element_name(element->name)) {
        problem(
            check,
            "has an element \"%.*s\": a name is of lower-case letters, digits and -, at most %d",
            MAX_NAME, element->name ? element->name : "", MAX_NAME);
        return;
    }
    snprintf(check->where, sizeof check->where,
             "has a mistake: %s %s: ", describe_kind(element->kind), element->name);
    if (!element->help || !*element->help || strchr(element->help, '\n'))
        problem(check, "needs one line of help");
    check_calls(check, element);
    if (!element->options)
        problem(check, "has no option rows; none at all are written as {{0}}");
    else
        check_rows(check, element->options, 0, element->config_size, 0);
    check->where[0] = '\0';
}

static bool check_version(struct check *check, const kp_plugin *plugin)
{
    if (plugin->abi_major != KP_ABI_MAJOR)
        problem(check, "was built for kpipe ABI %u.%u, this is %d.%d: rebuild it",
                plugin->abi_major, plugin->abi_minor, KP_ABI_MAJOR, KP_ABI_MINOR);
    else if (plugin->abi_minor > KP_ABI_MINOR)
        problem(check, "was built for kpipe ABI %u.%u, this is %d.%d: update kpipe or rebuild it",
                plugin->abi_major, plugin->abi_minor, KP_ABI_MAJOR, KP_ABI_MINOR);
    else if (!is_size(check, plugin->size, PLUGIN_1_0, sizeof *plugin))
        problem(check, "has a description of %u bytes, kp_plugin of ABI %d.%d has %zu",
                plugin->size, KP_ABI_MAJOR, KP_ABI_MINOR, sizeof *plugin);
    else
        return true;
    return false;
}

static bool is_same_stage(const kp_element *a, const kp_element *b)
{
    return a->kind == b->kind && a->name && b->name && !strcmp(a->name, b->name);
}

static void check_self(struct check *check, const kp_plugin *plugin)
{
    if (!plugin->name || !is_element_name(plugin->name))
        problem(check, "has no good name of its own: lower-case letters, digits and -");
    if (!plugin->version || !*plugin->version || !plugin->license || !*plugin->license)
        problem(check, "gives no version or no license");
}

void describe_check(const kp_plugin *plugin, describe_report *report, void *arg)
{
    struct check check = {.report = report, .arg = arg};
    const kp_element *const *list;

    if (!plugin) {
        problem(&check, "returned NULL from kpipe_plugin()");
        return;
    }
    check.minor = plugin->abi_minor;
    if (!check_version(&check, plugin))
        return;
    check_self(&check, plugin);
    list = plugin->elements;
    if (!list || !list[0]) {
        problem(&check, "brings no elements");
        return;
    }
    for (size_t i = 0; list[i]; i++) {
        if (i == MAX_ELEMENTS) {
            problem(&check, "has more than %d elements: is the list ended by NULL?", MAX_ELEMENTS);
            return;
        }
        check_element(&check, list[i]);
        for (size_t k = 0; k < i; k++)
            if (is_same_stage(list[k], list[i]))
                problem(&check, "brings %s %s twice", describe_kind(list[i]->kind), list[i]->name);
    }
}
