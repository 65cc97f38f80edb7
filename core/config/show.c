/* show.c - plan_show(): the plan as a pipeline file again, or as JSON.
 *
 * Every option stands with the value it has, defaults too. A secret stands as
 * the reference it was written as; a function as its place in the file.
 */
#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/units.h"
#include "core/config/load.h"
#include "sdk/wire/json.h"

#define WIDTH 96 /* a table that is longer gets one line per item */

struct show {
    const struct plan *plan;
    char **names; /* of the local variables of the resources [owned] */
    struct kpw_buf out;
};

/* ---- words */

static bool is_identifier(const char *name)
{
    static const char *const reserved[] = {
        "and",      "break",  "do",   "else", "elseif", "end",   "false", "for",
        "function", "goto",   "if",   "in",   "local",  "nil",   "not",   "or",
        "repeat",   "return", "then", "true", "until",  "while",
    };

    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (!strcmp(reserved[i], name))
            return false;
    if (!isalpha((unsigned char)*name) && *name != '_')
        return false;
    while (isalnum((unsigned char)*name) || *name == '_')
        name++;
    return !*name;
}

static void put_text(struct kpw_buf *out, const char *text)
{
    kpw_buf_putc(out, '"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '\n')
            kpw_buf_puts(out, "\\n");
        else if (c < ' ' || c == 127)
            kpw_buf_appendf(out, "\\%03d", c);
        else if (c == '"' || c == '\\')
            kpw_buf_appendf(out, "\\%c", c);
        else
            kpw_buf_putc(out, *text);
    }
    kpw_buf_putc(out, '"');
}

static void put_name(struct kpw_buf *out, const char *name)
{
    if (!name)
        return;
    if (is_identifier(name)) {
        kpw_buf_puts(out, name);
    } else {
        kpw_buf_putc(out, '[');
        put_text(out, name);
        kpw_buf_putc(out, ']');
    }
    kpw_buf_puts(out, " = ");
}

static void put_indent(struct kpw_buf *out, int indent)
{
    for (int i = 0; i < indent; i++)
        kpw_buf_puts(out, "  ");
}

static const char *name_of(const struct show *show, const kp_resource *resource)
{
    for (size_t i = 0; i < show->plan->n_resources; i++)
        if (show->plan->resources[i] == resource)
            return show->names[i];
    return "nil";
}

/* "stream_taxi_trips", with a number when that is there already. */
static char *make_name(const struct show *show, size_t n, const kp_resource *resource)
{
    char *base = mem_fmt("%s_%s", resource->kind, resource->name), *name;

    for (char *at = base; *at; at++)
        if (!isalnum((unsigned char)*at))
            *at = '_';
    name = mem_dup(base);
    for (size_t i = 0, number = 2; i < n; i++)
        if (!strcmp(show->names[i], name)) {
            free(name);
            name = mem_fmt("%s_%zu", base, number++);
            i = (size_t)-1; /* from the beginning */
        }
    free(base);
    return name;
}

/* ---- values as Lua */

static void put_value(const struct show *show, struct kpw_buf *out, const struct setting *setting,
                      int indent);

/* Nothing is broken over lines when indent is negative. */
static void put_items(const struct show *show, struct kpw_buf *out, const struct setting *group,
                      int indent)
{
    kpw_buf_puts(out, "{");
    for (const struct setting *at = group->first; at; at = at->next) {
        if (indent >= 0) {
            kpw_buf_putc(out, '\n');
            put_indent(out, indent + 1);
        } else {
            kpw_buf_putc(out, ' ');
        }
        put_name(out, at->name);
        put_value(show, out, at, indent < 0 ? indent : indent + 1);
        if (indent >= 0 || at->next)
            kpw_buf_putc(out, ',');
    }
    if (indent >= 0) {
        kpw_buf_putc(out, '\n');
        put_indent(out, indent);
    } else if (group->first) {
        kpw_buf_putc(out, ' ');
    }
    kpw_buf_puts(out, "}");
}

static void put_table(const struct show *show, struct kpw_buf *out, const struct setting *group,
                      int indent)
{
    struct kpw_buf line = KPW_BUF_INIT;

    put_items(show, &line, group, -1);
    if (indent < 0 || line.len + 2 * (size_t)indent + 24 <= WIDTH)
        kpw_buf_put_slice(out, kpw_buf_slice(&line));
    else
        put_items(show, out, group, indent);
    kpw_buf_fini(&line);
}

static void put_value(const struct show *show, struct kpw_buf *out, const struct setting *setting,
                      int indent)
{
    switch (setting->kind) {
    case SETTING_TEXT: put_text(out, setting->text); break;
    case SETTING_BARE: kpw_buf_puts(out, setting->text); break;
    case SETTING_FIELD:
        kpw_buf_puts(out, "k.field ");
        put_text(out, setting->text);
        break;
    case SETTING_SECRET:
        kpw_buf_puts(out, "k.secret ");
        put_text(out, setting->text);
        break;
    case SETTING_FUNCTION: kpw_buf_appendf(out, "function() --[[ %s ]] end", setting->text); break;
    case SETTING_RESOURCE: kpw_buf_puts(out, name_of(show, setting->resource)); break;
    case SETTING_LIST:
    case SETTING_GROUP: put_table(show, out, setting, indent); break;
    }
}

static void put_maker(struct kpw_buf *out, const char *kind, const char *name)
{
    kpw_buf_appendf(out, is_identifier(name) ? "k.%s.%s " : "k.%s[\"%s\"] ", kind, name);
}

static void put_stage(const struct show *show, struct kpw_buf *out, const struct plan_node *node,
                      int indent)
{
    put_maker(out, module_kind_name(node->element->kind), node->element->name);
    put_table(show, out, node->values, indent);
    kpw_buf_puts(out, ",\n");
}

static void put_flow(const struct show *show, struct kpw_buf *out, const struct plan_flow *flow)
{
    char size[40];

    put_indent(out, 2);
    put_name(out, flow->name);
    kpw_buf_puts(out, "{\n");
    for (size_t i = 0; i < flow->n_nodes; i++) {
        put_indent(out, 3);
        put_stage(show, out, &flow->nodes[i], 3);
    }
    if (flow->on_failure) {
        put_indent(out, 3);
        put_name(out, "on_failure");
        put_stage(show, out, flow->on_failure, 3);
    }
    if (flow->memory) {
        put_indent(out, 3);
        kpw_buf_appendf(out, "memory = \"%s\",\n",
                        units_show_bytes(flow->memory, size, sizeof size));
    }
    put_indent(out, 3);
    kpw_buf_appendf(out, "delivery = \"%s\",\n",
                    flow->exactly_once ? "exactly-once" : "at-least-once");
    put_indent(out, 2);
    kpw_buf_puts(out, "},\n");
}

static void put_resources(const struct show *show, struct kpw_buf *out)
{
    const struct plan *plan = show->plan;

    for (size_t i = 0; i < plan->n_resources; i++) {
        const struct resource *resource = (const struct resource *)plan->resources[i];

        kpw_buf_appendf(out, "local %s = ", show->names[i]);
        put_maker(out, "resource", resource->shared.kind);
        put_table(show, out, resource->values, 0);
        kpw_buf_putc(out, '\n');
    }
    if (plan->n_resources)
        kpw_buf_putc(out, '\n');
}

static void put_member(struct kpw_buf *out, const char *name, const char *text)
{
    put_indent(out, 1);
    put_name(out, name);
    put_text(out, text);
    kpw_buf_puts(out, ",\n");
}

static void show_lua(const struct show *show, struct kpw_buf *out)
{
    const struct plan *plan = show->plan;
    char interval[40];

    kpw_buf_puts(out, "local k = require \"kpipe\"\n\n");
    put_resources(show, out);
    kpw_buf_puts(out, "return {\n  kpipe = 1,\n");
    put_member(out, "name", plan->name);
    put_member(out, "application", plan->application);
    put_member(out, "leases", plan->leases);
    put_member(out, "checkpoint_interval",
               units_show_duration(plan->checkpoint_interval_ms, interval, sizeof interval));
    put_indent(out, 1);
    kpw_buf_puts(out, "coordination = ");
    put_table(show, out, plan->coordination.values, 1);
    kpw_buf_puts(out, ",\n");
    if (plan->n_resources) {
        kpw_buf_puts(out, "  resources = {");
        for (size_t i = 0; i < plan->n_resources; i++)
            kpw_buf_appendf(out, "%s %s", i ? "," : "", show->names[i]);
        kpw_buf_puts(out, " },\n");
    }
    kpw_buf_puts(out, "  flows = {\n");
    for (size_t i = 0; i < plan->n_flows; i++)
        put_flow(show, out, &plan->flows[i]);
    kpw_buf_puts(out, "  },\n}\n");
}

/* ---- as JSON */

static json_t *json_of(const struct setting *setting);

/* Bytes that are no UTF-8, which JSON cannot have, become U+FFFD. */
static json_t *json_text(const char *text)
{
    struct kpw_buf quoted = KPW_BUF_INIT;
    json_t *value;

    kpw_json_put_cstr(&quoted, text);
    value = json_loadb(quoted.ptr, quoted.len, JSON_DECODE_ANY, NULL);
    kpw_buf_fini(&quoted);
    return value;
}

static json_t *json_bare(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

    return value ? value : json_text(text); /* inf */
}

static json_t *json_group(const struct setting *group)
{
    json_t *object = json_object();

    for (const struct setting *at = group->first; at; at = at->next)
        json_object_set_new(object, at->name, json_of(at));
    return object;
}

static json_t *json_list(const struct setting *list)
{
    json_t *array = json_array();

    for (const struct setting *at = list->first; at; at = at->next)
        json_array_append_new(array, json_of(at));
    return array;
}

static json_t *json_of(const struct setting *setting)
{
    switch (setting->kind) {
    case SETTING_BARE: return json_bare(setting->text);
    case SETTING_FIELD: return json_pack("{s:o}", "field", json_text(setting->text));
    case SETTING_SECRET: return json_pack("{s:o}", "secret", json_text(setting->text));
    case SETTING_FUNCTION: return json_pack("{s:o}", "function", json_text(setting->text));
    case SETTING_RESOURCE:
        return json_pack("{s:s, s:s}", "resource", setting->resource->kind, "name",
                         setting->resource->name);
    case SETTING_LIST: return json_list(setting);
    case SETTING_GROUP: return json_group(setting);
    case SETTING_TEXT: break;
    }
    return json_text(setting->text);
}

static json_t *json_node(const struct plan_node *node)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:i, s:o}", "kind",
                     module_kind_name(node->element->kind), "element", node->element->name, "stage",
                     node->stage, "file", json_text(node->file), "line", node->line, "options",
                     json_group(node->values));
}

static json_t *json_flow(const struct plan_flow *flow)
{
    json_t *stages = json_array(), *object;

    for (size_t i = 0; i < flow->n_nodes; i++)
        json_array_append_new(stages, json_node(&flow->nodes[i]));
    object = json_pack("{s:o, s:s}", "stages", stages, "delivery",
                       flow->exactly_once ? "exactly-once" : "at-least-once");
    if (flow->on_failure)
        json_object_set_new(object, "on_failure", json_node(flow->on_failure));
    if (flow->memory)
        json_object_set_new(object, "memory", json_integer(flow->memory));
    return object;
}

static void show_json(const struct plan *plan, FILE *out)
{
    json_t *resources = json_array(), *flows = json_object(), *root;

    for (size_t i = 0; i < plan->n_resources; i++) {
        const struct resource *resource = (const struct resource *)plan->resources[i];
        json_t *object = json_pack("{s:s}", "kind", resource->shared.kind);
        json_t *options = json_group(resource->values);

        json_object_update(object, options);
        json_decref(options);
        json_array_append_new(resources, object);
    }
    for (size_t i = 0; i < plan->n_flows; i++)
        json_object_set_new(flows, plan->flows[i].name, json_flow(&plan->flows[i]));
    root = json_pack("{s:i, s:s, s:s, s:o, s:I, s:o, s:o, s:o}", "kpipe", 1, "name", plan->name,
                     "application", plan->application, "leases", json_text(plan->leases),
                     "checkpoint_interval_ms", (json_int_t)plan->checkpoint_interval_ms,
                     "coordination", json_group(plan->coordination.values), "resources", resources,
                     "flows", flows);
    json_dumpf(root, out, JSON_INDENT(2));
    fputc('\n', out);
    json_decref(root);
}

void plan_show(const struct plan *plan, bool json, FILE *out)
{
    struct show show = {.plan = plan};

    if (json) {
        show_json(plan, out);
        return;
    }
    show.names = mem_new((plan->n_resources + 1) * sizeof *show.names);
    for (size_t i = 0; i < plan->n_resources; i++)
        show.names[i] = make_name(&show, i, plan->resources[i]);
    show_lua(&show, &show.out);
    fwrite(show.out.ptr, 1, show.out.len, out);
    for (size_t i = 0; i < plan->n_resources; i++)
        free(show.names[i]);
    free(show.names);
    kpw_buf_fini(&show.out);
}
