/* pipeline.c - see load.h: the table a file returns becomes the flows of the plan. */
#include <ctype.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/config/catalog.h"
#include "core/config/coordination.h"
#include "core/config/load.h"
#include "core/config/schema.h"

struct pipeline_config {
    const char *name, *application, *leases;
    int64_t checkpoint_interval_ms;
    int delivery;
    struct coordination_config coordination;
};

static const kp_option pipeline_rows[] = {
    {"name", KP_T_STRING, offsetof(struct pipeline_config, name), KP_REQUIRED, NULL,
     "name of the pipeline", NULL},
    {"application", KP_T_STRING, offsetof(struct pipeline_config, application), KP_OPTIONAL, NULL,
     "name of the lease table and consumer; default: name", NULL},
    {"leases", KP_T_STRING, offsetof(struct pipeline_config, leases), "dynamodb", NULL,
     "where progress is kept: \"dynamodb\", \"file:PATH\", or \"none\" (nowhere)", NULL},
    {"checkpoint_interval", KP_T_DURATION, offsetof(struct pipeline_config, checkpoint_interval_ms),
     "5s", "100ms..1h", "how often progress is written", NULL},
    {"delivery", KP_T_ENUM, offsetof(struct pipeline_config, delivery), "at-least-once",
     "at-least-once|exactly-once", "of flows that do not say it themselves", NULL},
    {"coordination", KP_T_GROUP, offsetof(struct pipeline_config, coordination), KP_OPTIONAL, NULL,
     "among the processes that share the lease table", coordination_rows},
    {0},
};

const kp_option *plan_rows(void)
{
    return pipeline_rows;
}

static const char *const pipeline_others[] = {"kpipe",      "resources", "flows",
                                              "on_failure", "memory",    NULL};

struct flow_config {
    int delivery;
    int64_t memory;
};

static const kp_option flow_rows[] = {
    {"delivery", KP_T_ENUM, offsetof(struct flow_config, delivery), KP_OPTIONAL,
     "at-least-once|exactly-once", "what a crash may do", NULL},
    {"memory", KP_T_BYTES, offsetof(struct flow_config, memory), KP_OPTIONAL, "64KiB..",
     "records the flow may hold", NULL},
    {0},
};

static const char *const flow_others[] = {"on_failure", NULL};

struct reading {
    struct schema schema;
    struct pipeline_config config;
    int table; /* stack index of the returned table */
    const char **flow_names;
    size_t resources_cap;
    bool has_resources; /* the file lists them */
    bool is_lost;       /* a flow could not be read: its stages are no longer known */
};

/* ---- small checks */

static bool is_name(const char *name, size_t max)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("_.-", name[i]))
            return false;
    return len > 0 && len <= max;
}

static void check_level(struct reading *r)
{
    struct key_path path = {NULL, "kpipe", 0};
    lua_State *L = r->schema.load->L;

    if (lua_getfield(L, r->table, "kpipe") == LUA_TNIL)
        schema_problem(&r->schema, &path, "is required: kpipe = 1 is the level of the language");
    else if (!poison_is(L, -1) && !(lua_isinteger(L, -1) && lua_tointeger(L, -1) == 1))
        schema_problem(&r->schema, &path, "must be 1, the level this kpipe speaks, got %s",
                       value_describe(r->schema.load, -1));
    lua_pop(L, 1);
}

static void check_leases(struct reading *r)
{
    struct key_path path = {NULL, "leases", 0};
    const char *leases = r->config.leases;
    struct suggest suggest;

    if (!leases || !strcmp(leases, "dynamodb") || !strcmp(leases, "none") ||
        (!strncmp(leases, "file:", 5) && leases[5]))
        return;
    suggest = suggest_for(leases);
    suggest_try(&suggest, "dynamodb");
    suggest_try(&suggest, "none");
    if (suggest_best(&suggest))
        schema_problem(
            &r->schema, &path,
            "must be \"dynamodb\", \"file:PATH\" or \"none\", got \"%.100s\", did you mean "
            "\"%s\"?",
            leases, suggest_best(&suggest));
    else
        schema_problem(&r->schema, &path,
                       "must be \"dynamodb\", \"file:PATH\" or \"none\", got \"%.100s\"", leases);
}

static void check_names(struct reading *r)
{
    struct key_path name = {NULL, "name", 0}, application = {NULL, "application", 0};
    const struct pipeline_config *config = &r->config;

    if (config->name && !is_name(config->name, 128))
        schema_problem(&r->schema, &name,
                       "is of letters, digits, '-', '_' and '.', at most 128, got \"%.40s\"",
                       config->name);
    if (config->application && !is_name(config->application, 255))
        schema_problem(&r->schema, &application,
                       "is of letters, digits, '-', '_' and '.', at most 255, got \"%.40s\"",
                       config->application);
    check_leases(r);
    coordination_check(&r->schema, &config->coordination);
}

/* ---- resources */

static struct resource *listed_like(const struct plan *plan, const struct resource *resource)
{
    for (size_t i = 0; i < plan->n_resources; i++) {
        struct resource *other = (struct resource *)plan->resources[i];

        if (!strcmp(other->shared.kind, resource->shared.kind) &&
            !strcmp(other->shared.name, resource->shared.name))
            return other;
    }
    return NULL;
}

static void list_resource(struct reading *r, struct resource *resource)
{
    struct plan *plan = r->schema.load->plan;

    arena_room(r->schema.load->arena, &plan->resources, &r->resources_cap, plan->n_resources,
               sizeof *plan->resources);
    plan->resources[plan->n_resources++] = &resource->shared;
    resource->is_listed = true;
}

static void add_resource(struct reading *r, const struct key_path *path)
{
    struct load *load = r->schema.load;
    struct resource *resource = value_get(load->L, -1, VALUE_RESOURCE);

    if (poison_is(load->L, -1))
        return;
    if (!resource)
        schema_problem(&r->schema, path, "must be a k.resource.KIND { ... }, got %s",
                       value_describe(load, -1));
    else if (listed_like(load->plan, resource))
        schema_problem(&r->schema, path, "the %s '%s' is listed twice", resource->shared.kind,
                       resource->shared.name);
    else
        list_resource(r, resource);
}

static bool same_properties(const struct resource *a, const struct resource *b)
{
    const kp_resource *one = &a->shared, *other = &b->shared;
    bool same = one->n_properties == other->n_properties;

    for (size_t i = 0; same && i < one->n_properties; i++)
        same = !strcmp(one->properties[i].name, other->properties[i].name) &&
               !strcmp(one->properties[i].value, other->properties[i].value);
    return same;
}

/* A file that lists resources lists all that its stages use; for one that does not, they are. */
static void check_used(struct reading *r, struct resource *resource)
{
    struct load *load = r->schema.load;
    const struct resource *other;

    if (!resource->used_by || resource->is_listed || resource->is_broken)
        return;
    other = listed_like(load->plan, resource);
    if (other && !same_properties(other, resource))
        load_problem(load, resource->file, resource->line,
                     "the %s '%s' is declared otherwise at %s:%d: declare it once and use the "
                     "variable",
                     resource->shared.kind, resource->shared.name, other->file, other->line);
    else if (!other && r->has_resources)
        load_problem(load, resource->used_file, resource->used_line,
                     "%s: the %s '%s' is not in resources = { ... }", resource->used_by,
                     resource->shared.kind, resource->shared.name);
    else if (!other)
        list_resource(r, resource);
}

static void read_resources(struct reading *r)
{
    struct load *load = r->schema.load;
    lua_State *L = load->L;
    struct key_path path = {NULL, "resources", 0};
    lua_Integer n = 0;

    r->has_resources = lua_getfield(L, r->table, "resources") == LUA_TTABLE;
    if (r->has_resources) {
        n = (lua_Integer)lua_rawlen(L, -1);
        lua_pushnil(L);
        while (lua_next(L, -2)) {
            if (!lua_isinteger(L, -2))
                schema_problem(&r->schema, &path, "is a list { stream, bucket }, got the key %s",
                               value_describe(load, -2));
            lua_pop(L, 1);
        }
    } else if (!lua_isnil(L, -1) && !poison_is(L, -1)) {
        schema_problem(&r->schema, &path, "must be a list { stream, bucket }, got %s",
                       value_describe(load, -1));
    }
    for (lua_Integer i = 1; i <= n; i++) {
        struct key_path item = {&path, NULL, i};

        lua_rawgeti(L, -1, i);
        add_resource(r, &item);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* ---- stages of a flow */

/* The stage at the top, claimed for one place; NULL after complaining (or for poison). */
static struct stage *claim(struct reading *r, const struct key_path *path, const char *place)
{
    struct load *load = r->schema.load;
    struct stage *stage = value_get(load->L, -1, VALUE_STAGE);

    if (!stage)
        r->is_lost = true;
    if (poison_is(load->L, -1))
        return NULL;
    if (!stage) {
        schema_problem(&r->schema, path, "must be a stage, e.g. k.sink.stdout {}, got %s",
                       value_describe(load, -1));
        return NULL;
    }
    if (stage->used_in) {
        schema_problem(&r->schema, path,
                       "%s (line %d) is %s already: a second stage needs a constructor of its own",
                       value_describe(load, -1), stage->line, stage->used_in);
        return NULL;
    }
    stage->used_in = place;
    return stage;
}

static void check_step(struct reading *r, const struct key_path *path, const struct stage *stage,
                       size_t i, size_t n)
{
    kp_kind kind = i == 0 ? KP_SOURCE : i + 1 == n ? KP_SINK : KP_TRANSFORM;
    const kp_element *element = stage->element;

    if (element->kind != kind)
        schema_problem(&r->schema, path, "must be a %s%s, got the %s '%s' (line %d)",
                       module_kind_name(kind),
                       i == 0       ? ", the first of its flow"
                       : i + 1 == n ? ", the last of its flow"
                                    : "",
                       module_kind_name(element->kind), element->name, stage->line);
    else if ((element->flags & KP_SINGLETON) && i > 0 && i + 1 < n)
        schema_problem(&r->schema, path,
                       "'%s' exists once for the whole process and cannot stand in the middle",
                       element->name);
}

/* A name no other node of the flow has: given ones go first, then NAME, NAME-2 and so on. */
static bool is_taken(const struct plan_flow *flow, const char *name)
{
    for (size_t i = 0; i < flow->n_nodes; i++)
        if (flow->nodes[i].stage && !strcmp(flow->nodes[i].stage, name))
            return true;
    return flow->on_failure && flow->on_failure->stage && !strcmp(flow->on_failure->stage, name);
}

static void give_name(struct load *load, struct plan_flow *flow, struct plan_node *node)
{
    char *name = arena_dup(load->arena, node->element->name);

    for (int i = 2; is_taken(flow, name); i++)
        name = arena_fmt(load->arena, "%s-%d", node->element->name, i);
    node->stage = name;
}

static void fill_node(struct reading *r, struct plan_flow *flow, struct plan_node *node,
                      const struct stage *stage)
{
    struct load *load = r->schema.load;

    if (stage->name && is_taken(flow, stage->name))
        load_problem(load, stage->file, stage->line, "%s.stage: flow '%s' has a stage '%s' already",
                     stage->element->name, flow->name, stage->name);
    *node = (struct plan_node){.element = stage->element,
                               .stage = arena_dup(load->arena, stage->name),
                               .config = stage->config,
                               .retry = stage->retry,
                               .file = arena_dup(load->arena, stage->file),
                               .line = stage->line,
                               .values = stage->values};
    pipeline_validate(load, stage);
}

void pipeline_validate(struct load *load, const struct stage *stage)
{
    const struct catalog *catalog = load->options->catalog;
    const char *name = stage->name ? stage->name : stage->element->name;
    struct error err = ERROR_INIT;

    if (stage->is_broken || !catalog->validate ||
        catalog->validate(catalog->arg, stage->element, name, stage->config, &err))
        return;
    load_problem(load, stage->file, stage->line, "%s: %s", name,
                 *err.text ? err.text : "the plugin refused its options without a reason");
}

/* How many steps the table at the top has; 0 after complaining. */
static size_t count_steps(struct reading *r, const struct key_path *path)
{
    lua_State *L = r->schema.load->L;
    lua_Integer count = 0, last = 0;

    lua_pushnil(L);
    while (lua_next(L, -2)) {
        if (lua_isinteger(L, -2)) {
            count++;
            last = lua_tointeger(L, -2) > last ? lua_tointeger(L, -2) : last;
        }
        lua_pop(L, 1);
    }
    if (count != last)
        schema_problem(&r->schema, path, "has a step that is nil");
    else if (count < 2)
        schema_problem(&r->schema, path, "needs a source and a sink, it has %lld stage%s",
                       (long long)count, count == 1 ? "" : "s");
    return count == last && count >= 2 ? (size_t)count : 0;
}

static void read_steps(struct reading *r, const struct key_path *path, struct plan_flow *flow)
{
    struct load *load = r->schema.load;
    lua_State *L = load->L;
    size_t n = count_steps(r, path);

    r->is_lost |= n == 0;
    flow->nodes = arena_alloc(load->arena, n * sizeof *flow->nodes);
    for (size_t i = 0; i < n; i++) {
        struct key_path item = {path, NULL, (int64_t)i + 1};
        struct stage *stage;

        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        stage = claim(r, &item, arena_fmt(load->arena, "step %zu of flow '%s'", i + 1, flow->name));
        if (stage) {
            check_step(r, &item, stage, i, n);
            fill_node(r, flow, &flow->nodes[flow->n_nodes++], stage);
        }
        lua_pop(L, 1);
    }
}

/* ---- flows */

static void read_on_failure(struct reading *r, const struct key_path *path, struct plan_flow *flow)
{
    struct load *load = r->schema.load;
    struct stage *stage;

    if (flow->on_failure) {
        schema_problem(&r->schema, path, "flow '%s' has an on_failure of its own", flow->name);
        return;
    }
    stage = claim(r, path, arena_fmt(load->arena, "on_failure of flow '%s'", flow->name));
    if (!stage)
        return;
    if (stage->element->kind != KP_SINK) {
        schema_problem(&r->schema, path, "must be a sink, got %s", value_describe(load, -1));
        return;
    }
    flow->on_failure = arena_alloc(load->arena, sizeof *flow->on_failure);
    fill_node(r, flow, flow->on_failure, stage);
}

static void check_exactly_once(struct reading *r, const struct key_path *path,
                               const struct plan_flow *flow)
{
    for (size_t i = 0; flow->exactly_once && i < flow->n_nodes; i++) {
        struct key_path item = {path, NULL, (int64_t)i + 1};

        if (flow->nodes[i].element->flags & KP_NONDETERMINISTIC)
            schema_problem(&r->schema, &item,
                           "'%s' gives other results when records are read again, which "
                           "delivery = \"exactly-once\" cannot have",
                           flow->nodes[i].element->name);
    }
}

/* The flow whose value is at the top. */
static void read_flow(struct reading *r, const struct key_path *path, struct plan_flow *flow)
{
    struct load *load = r->schema.load;
    lua_State *L = load->L;
    struct flow_config config = {.delivery = r->config.delivery};
    struct schema_part part = {flow_rows, (char *)&config, NULL};
    struct key_path failure = {path, "on_failure", 0};

    r->is_lost |= !lua_istable(L, -1);
    if (poison_is(L, -1))
        return;
    if (!lua_istable(L, -1)) {
        schema_problem(&r->schema, path, "must be a list of stages { source, sink }, got %s",
                       value_describe(load, -1));
        return;
    }
    r->schema.others = flow_others;
    r->schema.has_items = true;
    schema_read(&r->schema, lua_gettop(L), path, &part, 1);
    r->schema.has_items = false;
    flow->exactly_once = config.delivery == 1;
    if (flow->exactly_once)
        schema_problem(&r->schema, path,
                       "delivery = \"exactly-once\" is not there yet, \"at-least-once\" is");
    flow->memory = config.memory;
    read_steps(r, path, flow);
    if (lua_getfield(L, -1, "on_failure") != LUA_TNIL)
        read_on_failure(r, &failure, flow);
    lua_pop(L, 1);
    check_exactly_once(r, path, flow);
}

static void read_flows(struct reading *r)
{
    struct load *load = r->schema.load;
    struct plan *plan = load->plan;
    lua_State *L = load->L;
    struct key_path path = {NULL, "flows", 0};
    struct ordered *names = NULL;
    size_t n = 0;

    r->is_lost = lua_getfield(L, r->table, "flows") != LUA_TTABLE;
    if (!r->is_lost)
        names = convert_names(&r->schema, &path, &n);
    else if (lua_isnil(L, -1))
        schema_problem(&r->schema, &path, "is required: flows = { main = { source, sink } }");
    else if (!poison_is(L, -1))
        schema_problem(&r->schema, &path, "must be a table { main = { source, sink } }, got %s",
                       value_describe(load, -1));
    if (names && !n)
        schema_problem(&r->schema, &path, "is empty: flows = { main = { source, sink } }");
    plan->flows = arena_alloc(load->arena, n * sizeof *plan->flows);
    r->flow_names = arena_alloc(load->arena, (n + 1) * sizeof *r->flow_names);
    for (size_t i = 0; i < n; i++) {
        struct key_path item = {&path, names[i].name, names[i].number};
        struct plan_flow *flow = &plan->flows[plan->n_flows];

        if (names[i].is_number || !is_name(names[i].name, 64)) {
            r->is_lost = true;
            item.key = names[i].is_number ? NULL : item.key;
            schema_problem(&r->schema, &item,
                           "a flow has a name of letters, digits, '-', '_' and "
                           "'.': flows = { main = { source, sink } }");
            continue;
        }
        r->flow_names[plan->n_flows++] = names[i].name;
        flow->name = arena_dup(load->arena, names[i].name);
        lua_getfield(L, -1, names[i].name);
        read_flow(r, &item, flow);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* ---- on_failure = { flow = sink }, memory = { flow = "64MiB" } */

/* Pushes the table r.key; its names are flows. False (nothing pushed) when it is not there. */
static bool push_by_flow(struct reading *r, const struct key_path *path)
{
    static const kp_option none[] = {{0}};
    struct schema_part part = {none, NULL, NULL};
    lua_State *L = r->schema.load->L;

    if (lua_getfield(L, r->table, path->key) == LUA_TTABLE) {
        size_t before = r->schema.load->problems.n;

        r->schema.others = r->flow_names;
        schema_read(&r->schema, lua_gettop(L), path, &part, 1);
        r->is_lost |= r->schema.load->problems.n != before;
        return true;
    }
    r->is_lost |= !lua_isnil(L, -1);
    if (!lua_isnil(L, -1) && !poison_is(L, -1))
        schema_problem(&r->schema, path, "must be a table { FLOW = ... }, got %s",
                       value_describe(r->schema.load, -1));
    lua_pop(L, 1);
    return false;
}

static void read_memory(struct reading *r, const struct key_path *path, struct plan_flow *flow)
{
    if (flow->memory)
        schema_problem(&r->schema, path, "flow '%s' has a memory of its own", flow->name);
    else if (!poison_is(r->schema.load->L, -1))
        convert_value(&r->schema, path, &flow_rows[1], (char *)&flow->memory, NULL);
}

static void read_by_flow(struct reading *r, const char *key,
                         void (*read)(struct reading *, const struct key_path *,
                                      struct plan_flow *))
{
    struct plan *plan = r->schema.load->plan;
    lua_State *L = r->schema.load->L;
    struct key_path path = {NULL, key, 0};

    if (!push_by_flow(r, &path))
        return;
    for (size_t i = 0; i < plan->n_flows; i++) {
        struct key_path item = {&path, plan->flows[i].name, 0};

        if (lua_getfield(L, -1, plan->flows[i].name) != LUA_TNIL)
            read(r, &item, &plan->flows[i]);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* ---- all of it */

static void name_nodes(struct load *load)
{
    for (size_t i = 0; i < load->plan->n_flows; i++) {
        struct plan_flow *flow = &load->plan->flows[i];

        for (size_t k = 0; k < flow->n_nodes; k++)
            if (!flow->nodes[k].stage)
                give_name(load, flow, &flow->nodes[k]);
        if (flow->on_failure && !flow->on_failure->stage)
            give_name(load, flow, flow->on_failure);
    }
}

/* A stage that was made and stands nowhere is a mistake, unless where it stands was. */
static void check_wired(struct load *load)
{
    for (const struct stage *stage = load->stages; stage; stage = stage->next)
        if (!stage->used_in)
            load_problem(load, stage->file, stage->line, "the %s '%s' stands in no flow",
                         module_kind_name(stage->element->kind), stage->element->name);
}

void pipeline_read(struct load *load, int index)
{
    struct reading r = {.schema = {.load = load, .who = ""}, .table = index};
    struct setting shown = {.kind = SETTING_GROUP};
    struct schema_part part = {pipeline_rows, (char *)&r.config, &shown};
    struct plan *plan = load->plan;

    for (struct source_file *file = load->files; file; file = file->next)
        if (!file->module)
            r.schema.position.text = file->text;
    r.schema.others = pipeline_others;
    schema_read(&r.schema, index, NULL, &part, 1);
    check_level(&r);
    check_names(&r);
    plan->name = arena_dup(load->arena, r.config.name);
    plan->application =
        arena_dup(load->arena, r.config.application ? r.config.application : r.config.name);
    plan->leases = arena_dup(load->arena, r.config.leases);
    plan->checkpoint_interval_ms = r.config.checkpoint_interval_ms;
    plan->coordination = coordination_of(&r.config.coordination,
                                         (void *)(uintptr_t)setting_find(&shown, "coordination"));
    read_resources(&r);
    read_flows(&r);
    read_by_flow(&r, "on_failure", read_on_failure);
    read_by_flow(&r, "memory", read_memory);
    name_nodes(load);
    for (struct resource *at = load->resources; at; at = at->next) {
        check_used(&r, at);
        sandbox_look(load->L);
    }
    if (r.is_lost)
        return;
    check_wired(load);
    if (!load->problems.n)
        coordination_check_tables(&r.schema, plan, r.config.application != NULL);
}
