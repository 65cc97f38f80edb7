/* module.c - see load.h: what `require "kpipe"` gives. */
#include <ctype.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/config/catalog.h"
#include "core/config/load.h"
#include "core/config/schema.h"

/* ---- a stage: host options beside the plugin's own */

struct host_options {
    const char *stage;
    struct plan_retry retry;
};

static const kp_option retry_rows[] = {
    {"attempts", KP_T_INT, offsetof(struct plan_retry, attempts), "0", "0..1000000",
     "deliveries of one record before it is rejected; 0: no end", NULL},
    {"base", KP_T_DURATION, offsetof(struct plan_retry, base_ms), "100ms", "1ms..1h",
     "first back-off, doubled each time", NULL},
    {"max", KP_T_DURATION, offsetof(struct plan_retry, max_ms), "20s", "1ms..1d",
     "longest back-off", NULL},
    {0},
};

static const kp_option stage_row = {"stage",     KP_T_STRING, offsetof(struct host_options, stage),
                                    KP_OPTIONAL, NULL,        "name in logs and counters",
                                    NULL};
static const kp_option retry_row = {"retry",     KP_T_GROUP, offsetof(struct host_options, retry),
                                    KP_OPTIONAL, NULL,       "what is done again, and how often",
                                    retry_rows};

static bool has_row(const kp_element *element, const char *name)
{
    for (const kp_option *row = element->options; row->name; row++)
        if (!strcmp(row->name, name))
            return true;
    return false;
}

static bool is_retried(const kp_element *element)
{
    return element->kind != KP_SOURCE && !(element->flags & KP_OWN_RETRY);
}

/* A plugin's own row of that name goes before the host's. */
static void host_rows(const kp_element *element, kp_option *rows)
{
    size_t n = 0;

    if (!has_row(element, "stage"))
        rows[n++] = stage_row;
    if (is_retried(element) && !has_row(element, "retry"))
        rows[n++] = retry_row;
    rows[n] = (kp_option){0};
}

static void check_host(struct schema *schema, int table, const struct stage *stage)
{
    const kp_element *element = stage->element;
    struct key_path retry = {NULL, "retry", 0}, name = {NULL, "stage", 0};
    bool is_given;

    lua_getfield(schema->load->L, table, "retry");
    is_given = !lua_isnil(schema->load->L, -1) && !has_row(element, "retry");
    lua_pop(schema->load->L, 1);
    if (is_given && element->kind == KP_SOURCE)
        schema_problem(schema, &retry, "a source is not retried, transforms and sinks are");
    else if (is_given && !is_retried(element))
        schema_problem(schema, &retry, "%s retries by its own rules", element->name);
    else if (is_given && stage->retry.base_ms > stage->retry.max_ms)
        schema_problem(schema, &retry, "base is longer than max");
    for (const char *at = stage->name; at && *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("_-.", *at)) {
            schema_problem(schema, &name, "is of letters, digits, '-', '_' and '.', got \"%s\"",
                           stage->name);
            break;
        }
}

/* k.sink.NAME { ... } */
static int make_stage(lua_State *L)
{
    struct load *load = load_of(L);
    const kp_element *element = lua_touserdata(L, lua_upvalueindex(1));
    struct stage *stage = arena_alloc(load->arena, sizeof *stage);
    struct schema schema = {.load = load, .who = element->name, .position = load_caller(L, 1)};
    struct host_options host = {0};
    static const char *const retry_only[] = {"retry", NULL};
    kp_option rows[3];

    schema.position.anchor = element->name;
    schema.others = is_retried(element) || has_row(element, "retry") ? NULL : retry_only;
    schema.hides_others = true;
    *stage = (struct stage){.next = load->stages, .element = element, .line = schema.position.line};
    load->stages = stage;
    stage->file = schema.position.text ? schema.position.text->file : load->file;
    stage->config = arena_alloc(load->arena, element->config_size);
    stage->values = arena_alloc(load->arena, sizeof *stage->values);
    stage->values->kind = SETTING_GROUP;
    host_rows(element, rows);
    if (lua_istable(L, 1) && lua_gettop(L) == 1) {
        struct schema_part parts[] = {{element->options, stage->config, stage->values},
                                      {rows, (char *)&host, stage->values}};

        schema_read(&schema, 1, NULL, parts, 2);
        stage->name = host.stage && *host.stage ? host.stage : NULL;
        stage->retry = host.retry;
        check_host(&schema, 1, stage);
    } else if (!poison_is(L, 1)) {
        schema_problem(&schema, NULL, "is made with one table of options: k.%s[\"%s\"] { ... }",
                       module_kind_name(element->kind), element->name);
    } else {
        schema.is_bad = true;
    }
    stage->is_broken = schema.is_bad;
    value_push(L, VALUE_STAGE, stage);
    return 1;
}

/* ---- k.source.NAME */

struct names {
    kp_kind kind;
    struct suggest *suggest;
    const char *wanted;
    char known[500];
    const char *other; /* the kind that has an element of the wanted name */
};

static void try_element(void *arg, const kp_element *element)
{
    struct names *names = arg;
    size_t at = strlen(names->known);

    if (element->kind > KP_SINK)
        return;
    if (element->kind != names->kind) {
        if (!strcmp(element->name, names->wanted))
            names->other = module_kind_name(element->kind);
        return;
    }
    suggest_try(names->suggest, element->name);
    snprintf(names->known + at, sizeof names->known - at, "%s%s", at ? ", " : "", element->name);
}

static void unknown_element(lua_State *L, kp_kind kind, const char *name, const struct error *err)
{
    struct load *load = load_of(L);
    const struct catalog *catalog = load->options->catalog;
    struct position at = load_caller(L, 1);
    struct suggest suggest = suggest_for(name);
    struct names names = {.kind = kind, .suggest = &suggest, .wanted = name};
    const char *kind_name = module_kind_name(kind), *best;

    catalog->each(catalog->arg, try_element, &names);
    best = suggest_best(&suggest);
    if (names.other)
        load_problem_at(load, &at, "no %s called '%s', but there is k.%s[\"%s\"]", kind_name, name,
                        names.other, name);
    else if (best && *err->text) /* or the refused plugin has it */
        load_problem_at(load, &at, "no %s called '%s', did you mean '%s'? (%s)", kind_name, name,
                        best, err->text);
    else if (best)
        load_problem_at(load, &at, "no %s called '%s', did you mean '%s'?", kind_name, name, best);
    else if (*err->text)
        load_problem_at(load, &at, "%s '%s' cannot be used: %s", kind_name, name, err->text);
    else
        load_problem_at(load, &at, "no %s called '%s' (known: %s)", kind_name, name,
                        *names.known ? names.known : "none");
}

static int get_element(lua_State *L)
{
    struct load *load = load_of(L);
    const struct catalog *catalog = load->options->catalog;
    kp_kind kind = (kp_kind)lua_tointeger(L, lua_upvalueindex(1));
    const char *name = luaL_checkstring(L, 2);
    struct error err = ERROR_INIT;
    const kp_element *element = catalog->find(catalog->arg, kind, name, &err);

    if (!element) {
        unknown_element(L, kind, name, &err);
        poison_push(L);
        return 1;
    }
    lua_pushlightuserdata(L, (void *)(uintptr_t)element);
    lua_pushcclosure(L, make_stage, 1);
    return 1;
}

/* ---- k.env, k.secret, k.field, k.file */

/* A variable's text takes the type of the default: "4" is a number where 2 stands for it. */
static bool push_like(lua_State *L, const char *text, int like)
{
    if (lua_type(L, like) == LUA_TNUMBER) {
        if (!lua_stringtonumber(L, text))
            return false;
        return true;
    }
    if (lua_isboolean(L, like)) {
        lua_pushboolean(L, !strcmp(text, "true"));
        return !strcmp(text, "true") || !strcmp(text, "false");
    }
    lua_pushstring(L, text);
    return true;
}

static int call_env(lua_State *L)
{
    struct load *load = load_of(L);
    const char *name = luaL_checkstring(L, 1);
    const char *text = getenv(name);
    struct position at = load_caller(L, 1);

    if (text && push_like(L, text, 2))
        return 1;
    if (text)
        load_problem_at(load, &at, "k.env: %s must be %s, it is \"%.40s\"", name,
                        lua_isboolean(L, 2) ? "true or false" : "a number", text);
    else if (lua_gettop(L) >= 2 && !lua_isnil(L, 2))
        return lua_settop(L, 2), 1;
    else
        load_problem_at(load, &at,
                        "k.env: the environment variable %s is not set and has no default", name);
    poison_push(L);
    return 1;
}

static const char *secret_of_env(struct load *load, const char *name, const char **ret_why)
{
    const char *text = getenv(name);

    if (text && *text)
        return arena_dup(load->arena, text);
    *ret_why = arena_fmt(load->arena, "the environment variable %s is not set", name);
    return NULL;
}

/* Without the newlines at its end. */
static const char *secret_of_file(struct load *load, const char *name, const char **ret_why)
{
    const char *path = *name == '/' ? name : arena_fmt(load->arena, "%s%s", load->dir, name);
    const char *why = "";
    struct text *file = load_read(load, path, &why);
    size_t len = file ? file->len : 0;

    while (len && (file->data[len - 1] == '\n' || file->data[len - 1] == '\r'))
        len--;
    if (!file)
        *ret_why = arena_fmt(load->arena, "%s %s", path, why);
    else if (!len)
        *ret_why = "the file is empty";
    else if (memchr(file->data, '\0', len))
        *ret_why = "the file holds a NUL byte";
    else
        return arena_dupn(load->arena, file->data, len);
    return NULL;
}

/* The text of "env:NAME" or "file:PATH"; NULL with *ret_why. */
static const char *resolve_secret(struct load *load, const char *reference, const char **ret_why)
{
    if (!strncmp(reference, "env:", 4) && reference[4])
        return secret_of_env(load, reference + 4, ret_why);
    if (!strncmp(reference, "file:", 5) && reference[5])
        return secret_of_file(load, reference + 5, ret_why);
    *ret_why = "must be \"env:NAME\" or \"file:PATH\", never the secret itself";
    return NULL;
}

static int call_secret(lua_State *L)
{
    struct load *load = load_of(L);
    struct secret *secret = arena_alloc(load->arena, sizeof *secret);
    struct position at = load_caller(L, 1);
    const char *why = "";

    secret->reference = arena_dup(load->arena, luaL_checkstring(L, 1));
    secret->text = resolve_secret(load, secret->reference, &why);
    if (secret->text) {
        value_push(L, VALUE_SECRET, secret);
    } else {
        load_problem_at(load, &at, "k.secret: %s", why);
        poison_push(L);
    }
    return 1;
}

/* "$", then .name, [0] or ['name'] any number of times. */
static bool is_json_path(const char *path)
{
    if (*path++ != '$')
        return false;
    while (*path) {
        size_t n = 0;

        if (*path == '.') {
            n = strcspn(path + 1, ".[") + 1;
            if (n == 1)
                return false;
        } else if (path[0] == '[' && (path[1] == '\'' || path[1] == '"')) {
            const char *end = strchr(path + 2, path[1]);

            if (!end || end[1] != ']')
                return false;
            n = (size_t)(end - path) + 2;
        } else if (*path == '[') {
            n = strspn(path + 1, "0123456789") + 2;
            if (n < 3 || path[n - 1] != ']')
                return false;
        }
        if (!n)
            return false;
        path += n;
    }
    return true;
}

static int call_field(lua_State *L)
{
    struct load *load = load_of(L);
    const char *path = luaL_checkstring(L, 1);
    struct position at = load_caller(L, 1);

    if (is_json_path(path)) {
        value_push(L, VALUE_FIELD, arena_dup(load->arena, path));
        return 1;
    }
    load_problem_at(load, &at, "k.field: \"%s\" is no path such as \"$.order.lines[0].sku\"", path);
    poison_push(L);
    return 1;
}

static int call_file(lua_State *L)
{
    struct load *load = load_of(L);
    const char *name = luaL_checkstring(L, 1);
    const char *path = *name == '/' ? name : arena_fmt(load->arena, "%s%s", load->dir, name);
    struct position at = load_caller(L, 1);
    char real[PATH_MAX];

    if (realpath(path, real)) {
        lua_pushstring(L, real);
        return 1;
    }
    load_problem_at(load, &at, "k.file: %s does not exist (looked for %s)", name, path);
    poison_push(L);
    return 1;
}

/* ---- k itself */

/* upvalues: the table of rows, the prefix of a name ("k") */
static int read_module(lua_State *L)
{
    struct load *load = load_of(L);
    struct position at = load_caller(L, 1);
    const char *name;
    struct suggest suggest;

    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (!lua_isnil(L, -1))
        return 1;
    name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
    suggest = suggest_for(name);
    lua_pushnil(L);
    while (lua_next(L, lua_upvalueindex(1))) {
        suggest_try(&suggest, lua_tostring(L, -2));
        lua_pop(L, 1);
    }
    if (suggest_best(&suggest))
        load_problem_at(load, &at, "k.%s does not exist, did you mean k.%s?", name,
                        suggest_best(&suggest));
    else
        load_problem_at(load, &at, "k.%s does not exist", name);
    poison_push(L);
    return 1;
}

static int write_module(lua_State *L)
{
    return luaL_error(L, "the kpipe module is read-only");
}

/* A proxy whose reads go to the closure at the top, in whose place it is put. */
static void push_proxy(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 3);
    lua_rotate(L, -3, -1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, write_module);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

void module_push(struct load *load)
{
    static const luaL_Reg calls[] = {
        {"env", call_env},   {"secret", call_secret}, {"field", call_field},
        {"file", call_file}, {"params", params_call}, {NULL, NULL},
    };
    lua_State *L = load->L;

    lua_newtable(L);
    luaL_setfuncs(L, calls, 0);
    for (int kind = KP_SOURCE; kind <= KP_SINK; kind++) {
        lua_pushinteger(L, kind);
        lua_pushcclosure(L, get_element, 1);
        push_proxy(L);
        lua_setfield(L, -2, module_kind_name((kp_kind)kind));
    }
    lua_pushcfunction(L, resource_get_kind);
    push_proxy(L);
    lua_setfield(L, -2, "resource");
    lua_pushboolean(L, load->options->local);
    lua_setfield(L, -2, "is_local");
    value_set_index(L, VALUE_RESOURCE, resource_read);
    lua_pushcclosure(L, read_module, 1);
    push_proxy(L);
}
