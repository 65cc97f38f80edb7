/* resources.c - see load.h: k.resource.stream {...} and its kin, in the rows plugins use.
 *
 * What AWS allows is checked here, so that a name with a blank is one line now
 * and not a refused call later.
 */
#include <ctype.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/suggest.h"
#include "core/config/load.h"
#include "core/config/schema.h"

struct config {
    const char *name, *encryption, *runtime, *handler;
    int64_t shards, retention_ms, visibility_ms, timeout_ms, memory;
    int mode;
    bool fifo;
};

#define AT(field) offsetof(struct config, field)

static const kp_option stream_rows[] = {
    {"name", KP_T_STRING, AT(name), KP_REQUIRED, NULL, "name of the stream", NULL},
    {"shards", KP_T_INT, AT(shards), "1", "1..10000", "open shards", NULL},
    {"retention", KP_T_DURATION, AT(retention_ms), "24h", "24h..365d", "how long records are kept",
     NULL},
    {"mode", KP_T_ENUM, AT(mode), "provisioned", "provisioned|on-demand", "capacity mode", NULL},
    {"encryption", KP_T_STRING, AT(encryption), KP_OPTIONAL, NULL,
     "KMS key or alias; \"none\" for none", NULL},
    {0},
};

static const kp_option bucket_rows[] = {
    {"name", KP_T_STRING, AT(name), KP_REQUIRED, NULL, "name of the bucket", NULL},
    {0},
};

static const kp_option queue_rows[] = {
    {"name", KP_T_STRING, AT(name), KP_REQUIRED, NULL, "name of the queue", NULL},
    {"retention", KP_T_DURATION, AT(retention_ms), "14d", "1m..14d", "how long messages are kept",
     NULL},
    {"visibility", KP_T_DURATION, AT(visibility_ms), "30s", "0s..12h",
     "how long a received message is hidden", NULL},
    {"fifo", KP_T_BOOL, AT(fifo), "false", NULL, "keeps order; the name ends with .fifo", NULL},
    {0},
};

static const kp_option table_rows[] = {
    {"name", KP_T_STRING, AT(name), KP_REQUIRED, NULL, "name of the table", NULL},
    {0},
};

static const kp_option function_rows[] = {
    {"name", KP_T_STRING, AT(name), KP_REQUIRED, NULL, "name of the function", NULL},
    {"runtime", KP_T_STRING, AT(runtime), KP_OPTIONAL, NULL, "e.g. \"nodejs20.x\"", NULL},
    {"handler", KP_T_STRING, AT(handler), KP_OPTIONAL, NULL, "e.g. \"index.handler\"", NULL},
    {"timeout", KP_T_DURATION, AT(timeout_ms), "1m", "1s..15m", "longest run of one call", NULL},
    {"memory", KP_T_BYTES, AT(memory), "128MiB", "128MiB..10240MiB", "memory of one instance",
     NULL},
    {0},
};

static const struct kind {
    const char *name;
    const kp_option *rows;
    size_t min, max;   /* length of a name */
    const char *marks; /* allowed in a name beside letters and digits */
} kinds[] = {
    {"stream", stream_rows, 1, 128, "_.-"},   {"bucket", bucket_rows, 3, 63, ".-"},
    {"queue", queue_rows, 1, 80, "_-"},       {"table", table_rows, 3, 255, "_.-"},
    {"function", function_rows, 1, 64, "_-"},
};

#define N_KINDS (sizeof kinds / sizeof *kinds)

/* ---- checks of what rows cannot say */

static void check_name(struct schema *schema, const struct kind *kind, const struct config *config)
{
    struct key_path path = {NULL, "name", 0};
    bool is_bucket = kind->rows == bucket_rows;
    size_t len;

    if (!config->name)
        return; /* was complained about */
    len = strlen(config->name);
    if (config->fifo && len > 5 && !strcmp(config->name + len - 5, ".fifo"))
        len -= 5;
    else if (config->fifo)
        schema_problem(schema, &path, "the name of a fifo queue ends with .fifo");
    if (len < kind->min || len > kind->max)
        schema_problem(schema, &path, "must have %zu to %zu characters, got %zu", kind->min,
                       kind->max, len);
    for (size_t i = 0; i < len; i++) {
        char c = config->name[i];

        if ((isalnum((unsigned char)c) && !(is_bucket && isupper((unsigned char)c))) ||
            strchr(kind->marks, c))
            continue;
        schema_problem(schema, &path, "is of %sletters, digits and %s, got \"%s\"",
                       is_bucket ? "lower-case " : "", kind->marks, config->name);
        break;
    }
}

static void check_more(struct schema *schema, const struct kind *kind, const struct config *config)
{
    struct key_path path = {NULL, "retention", 0};

    if (kind->rows == stream_rows && config->retention_ms % 3600000)
        schema_problem(schema, &path, "must be whole hours");
}

/* ---- what plugins see */

static const char *property_text(struct load *load, const kp_option *row, const char *field)
{
    switch (row->type) {
    case KP_T_STRING: return *(const char *const *)(const void *)field;
    case KP_T_BOOL: return *(const bool *)field ? "true" : "false";
    case KP_T_ENUM: {
        const char *at = row->check;

        for (int i = *(const int *)(const void *)field; i > 0; i--)
            at = strchr(at, '|') + 1;
        return arena_dupn(load->arena, at, strcspn(at, "|"));
    }
    default:
        return arena_fmt(load->arena, "%lld", (long long)*(const int64_t *)(const void *)field);
    }
}

static void fill_properties(struct load *load, struct resource *resource, const struct kind *kind,
                            const char *config)
{
    size_t n = 0, max = 0;
    kp_property *list;

    while (kind->rows[max].name)
        max++;
    list = arena_alloc(load->arena, max * sizeof *list);
    for (const kp_option *row = kind->rows + 1; row->name; row++) { /* the first one is the name */
        const char *text = property_text(load, row, config + row->offset);

        if (text && *text)
            list[n++] = (kp_property){row->name, text};
    }
    resource->shared.properties = list;
    resource->shared.n_properties = n;
}

/* k.resource.stream { ... } */
static int make_resource(lua_State *L)
{
    struct load *load = load_of(L);
    const struct kind *kind = lua_touserdata(L, lua_upvalueindex(1));
    struct resource *resource = arena_alloc(load->arena, sizeof *resource);
    struct schema schema = {.load = load, .who = kind->name, .position = load_caller(L, 1)};
    struct config config = {0};

    if (load->last_resource)
        load->last_resource->next = resource;
    else
        load->resources = resource;
    load->last_resource = resource;
    schema.position.anchor = kind->name;
    resource->line = schema.position.line;
    resource->file = schema.position.text ? schema.position.text->file : load->file;
    resource->values = arena_alloc(load->arena, sizeof *resource->values);
    resource->values->kind = SETTING_GROUP;
    if (lua_istable(L, 1) && lua_gettop(L) == 1) {
        struct schema_part part = {kind->rows, (char *)&config, resource->values};

        schema_read(&schema, 1, NULL, &part, 1);
        check_name(&schema, kind, &config);
        check_more(&schema, kind, &config);
    } else if (!poison_is(L, 1)) {
        schema_problem(&schema, NULL, "is made with one table of options: k.resource.%s { ... }",
                       kind->name);
    } else {
        schema.is_bad = true;
    }
    resource->is_broken = schema.is_bad;
    resource->shared = (kp_resource){
        .size = sizeof(kp_resource), .kind = kind->name, .name = config.name ? config.name : "?"};
    fill_properties(load, resource, kind, (const char *)&config);
    value_push(L, VALUE_RESOURCE, resource);
    return 1;
}

int resource_get_kind(lua_State *L)
{
    const char *name = luaL_checkstring(L, 2);
    struct suggest suggest = suggest_for(name);
    struct position at;

    for (size_t i = 0; i < N_KINDS; i++) {
        if (!strcmp(kinds[i].name, name)) {
            lua_pushlightuserdata(L, (void *)(uintptr_t)&kinds[i]);
            lua_pushcclosure(L, make_resource, 1);
            return 1;
        }
        suggest_try(&suggest, kinds[i].name);
    }
    at = load_caller(L, 1);
    if (suggest_best(&suggest))
        load_problem_at(load_of(L), &at, "no resource called '%s', did you mean '%s'?", name,
                        suggest_best(&suggest));
    else
        load_problem_at(load_of(L), &at,
                        "no resource called '%s' (known: stream, bucket, queue, table, function)",
                        name);
    poison_push(L);
    return 1;
}

/* ---- stream.name */

static const struct kind *kind_named(const char *name)
{
    for (size_t i = 0; i < N_KINDS; i++)
        if (!strcmp(kinds[i].name, name))
            return &kinds[i];
    return NULL;
}

static void push_setting(lua_State *L, const struct setting *setting)
{
    if (setting->kind != SETTING_BARE)
        lua_pushstring(L, setting->text);
    else if (!strcmp(setting->text, "true") || !strcmp(setting->text, "false"))
        lua_pushboolean(L, *setting->text == 't');
    else
        lua_pushinteger(L, strtoll(setting->text, NULL, 10));
}

int resource_read(lua_State *L)
{
    const struct resource *resource = value_get(L, 1, VALUE_RESOURCE);
    const char *name = luaL_checkstring(L, 2);
    const struct setting *setting;
    const struct kind *kind;
    struct suggest suggest = suggest_for(name);
    struct position at;

    if (!resource)
        return luaL_error(L, "this is no resource");
    setting = setting_find(resource->values, name);
    if (setting) {
        push_setting(L, setting);
        return 1;
    }
    kind = kind_named(resource->shared.kind);
    for (const kp_option *row = kind->rows; row->name; row++) {
        suggest_try(&suggest, row->name);
        if (!strcmp(row->name, name)) { /* optional and not given, or wrong and complained about */
            if (resource->is_broken)
                poison_push(L);
            else
                lua_pushnil(L);
            return 1;
        }
    }
    at = load_caller(L, 1);
    if (suggest_best(&suggest))
        load_problem_at(load_of(L), &at, "a %s has no '%s', did you mean '%s'?", kind->name, name,
                        suggest_best(&suggest));
    else
        load_problem_at(load_of(L), &at, "a %s has no '%s'", kind->name, name);
    poison_push(L);
    return 1;
}
