/* params.c - see load.h: k.params {...} and --set NAME=VALUE. */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "core/base/suggest.h"
#include "core/base/units.h"
#include "core/config/load.h"
#include "core/config/schema.h"

enum type { TYPE_TEXT, TYPE_INT, TYPE_NUMBER, TYPE_BOOL, TYPE_DURATION, TYPE_BYTES, TYPE_UNKNOWN };

struct param_config {
    const char *help;
    int type;
};

static const kp_option param_rows[] = {
    {"help", KP_T_STRING, offsetof(struct param_config, help), KP_OPTIONAL, NULL,
     "what it is for, one line", NULL},
    {"type", KP_T_ENUM, offsetof(struct param_config, type), "infer",
     "text|integer|number|boolean|duration|bytes|infer", "when it cannot be seen at the default",
     NULL},
    {0},
};

static const char *const other_keys[] = {"default", "min", "max", "choices", NULL};
static const char *const type_words[] = {"a text",
                                         "a whole number",
                                         "a number",
                                         "true or false",
                                         "a duration such as \"30s\"",
                                         "a size such as \"5MiB\""};

/* One parameter while it is read; its table is at the stack index `spec`. */
struct reading {
    struct schema *schema;
    const char *name;
    const struct key_path *path;
    int spec;
    enum type type;
    const char *from_set; /* "--set NAME=VALUE", or NULL when the default is used */
};

/* ---- types and values */

static enum type type_of_text(const char *text)
{
    int64_t ignored;

    if (units_duration(text, &ignored))
        return TYPE_DURATION;
    return units_bytes(text, &ignored) ? TYPE_BYTES : TYPE_TEXT;
}

static enum type infer(lua_State *L, int index, bool has_range)
{
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN: return TYPE_BOOL;
    case LUA_TNUMBER: return lua_isinteger(L, index) ? TYPE_INT : TYPE_NUMBER;
    case LUA_TSTRING: return has_range ? type_of_text(lua_tostring(L, index)) : TYPE_TEXT;
    default: return TYPE_UNKNOWN;
    }
}

/* The type as written, or as default, min, max or the first choice have it. */
static enum type find_type(lua_State *L, int spec, int written)
{
    static const char *const keys[] = {"default", "min", "max"};
    enum type type = TYPE_UNKNOWN;
    bool has_range;

    if (written != TYPE_UNKNOWN)
        return (enum type)written;
    has_range =
        lua_getfield(L, spec, "min") != LUA_TNIL || lua_getfield(L, spec, "max") != LUA_TNIL;
    lua_settop(L, spec);
    for (size_t i = 0; i < 3 && type == TYPE_UNKNOWN; i++) {
        lua_getfield(L, spec, keys[i]);
        type = infer(L, -1, has_range);
        lua_pop(L, 1);
    }
    if (type == TYPE_UNKNOWN && lua_getfield(L, spec, "choices") == LUA_TTABLE) {
        lua_rawgeti(L, -1, 1);
        type = infer(L, -1, false);
    }
    lua_settop(L, spec);
    return type == TYPE_UNKNOWN ? TYPE_TEXT : type;
}

static bool fits(lua_State *L, int index, enum type type)
{
    int64_t ignored;

    switch (type) {
    case TYPE_INT: return lua_isinteger(L, index);
    case TYPE_NUMBER: return lua_type(L, index) == LUA_TNUMBER;
    case TYPE_BOOL: return lua_isboolean(L, index);
    case TYPE_DURATION:
        return lua_type(L, index) == LUA_TSTRING &&
               units_duration(lua_tostring(L, index), &ignored);
    case TYPE_BYTES:
        return lua_type(L, index) == LUA_TSTRING && units_bytes(lua_tostring(L, index), &ignored);
    default: return lua_type(L, index) == LUA_TSTRING;
    }
}

/* What was written behind --set NAME=, as a Lua value. */
static void push_text_as(lua_State *L, const char *text, enum type type)
{
    if ((type == TYPE_INT || type == TYPE_NUMBER) && lua_stringtonumber(L, text))
        return;
    if (type == TYPE_BOOL && (!strcmp(text, "true") || !strcmp(text, "false")))
        lua_pushboolean(L, *text == 't');
    else
        lua_pushstring(L, text);
}

/* Negative, 0 or positive as a is below, at or above b; both fit the type. */
static int compare(lua_State *L, int a, int b, enum type type)
{
    int64_t x = 0, y = 0;

    if (type == TYPE_DURATION || type == TYPE_BYTES) {
        bool (*parse)(const char *, int64_t *) =
            type == TYPE_DURATION ? units_duration : units_bytes;

        parse(lua_tostring(L, a), &x);
        parse(lua_tostring(L, b), &y);
        return x < y ? -1 : x > y;
    }
    if (lua_compare(L, a, b, LUA_OPLT))
        return -1;
    return lua_compare(L, b, a, LUA_OPLT);
}

/* ---- problems */

__attribute__((format(printf, 2, 3))) static void complain(struct reading *r, const char *fmt, ...)
{
    struct load *load = r->schema->load;
    char text[400];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (r->from_set)
        load_problem(load, load->file, 0, "%s: %s", r->from_set, text);
    else
        schema_problem(r->schema, r->path, "%s", text);
}

/* A limit of the table, pushed; false (nothing pushed) when it is not there or of the wrong type.
 */
static bool push_limit(struct reading *r, const char *key)
{
    lua_State *L = r->schema->load->L;
    struct key_path path = {r->path, key, 0};

    if (lua_getfield(L, r->spec, key) != LUA_TNIL && !poison_is(L, -1)) {
        if (r->type != TYPE_BOOL &&
            (fits(L, -1, r->type) || (r->type == TYPE_INT && lua_type(L, -1) == LUA_TNUMBER)))
            return true;
        schema_problem(r->schema, &path, "must be %s like the default, got %s",
                       r->type == TYPE_BOOL ? "left out" : type_words[r->type],
                       value_describe(r->schema->load, -1));
    }
    lua_pop(L, 1);
    return false;
}

static const char *show(struct reading *r, int index)
{
    lua_State *L = r->schema->load->L;
    const char *text;

    lua_pushvalue(L, index);
    text = arena_dup(r->schema->load->arena, lua_tostring(L, -1));
    lua_pop(L, 1);
    return text;
}

static void check_range(struct reading *r, int value)
{
    lua_State *L = r->schema->load->L;
    bool has_min = push_limit(r, "min");
    int min = lua_gettop(L);
    bool has_max = push_limit(r, "max");
    int max = lua_gettop(L);
    bool low = has_min && compare(L, value, min, r->type) < 0;
    bool high = has_max && compare(L, value, max, r->type) > 0;

    if ((low || high) && has_min && has_max)
        complain(r, "must be between %s and %s, got %s", show(r, min), show(r, max),
                 show(r, value));
    else if (low)
        complain(r, "must be at least %s, got %s", show(r, min), show(r, value));
    else if (high)
        complain(r, "must be at most %s, got %s", show(r, max), show(r, value));
    lua_settop(L, value);
}

static void check_choices(struct reading *r, int value)
{
    lua_State *L = r->schema->load->L;
    struct key_path path = {r->path, "choices", 0};
    char list[300] = "";
    int type = lua_getfield(L, r->spec, "choices");
    bool found = type == LUA_TNIL;

    if (type != LUA_TNIL && type != LUA_TTABLE) {
        schema_problem(r->schema, &path, "must be a list, got %s",
                       value_describe(r->schema->load, -1));
        found = true;
    }
    for (lua_Integer i = 1; type == LUA_TTABLE && lua_rawgeti(L, value + 1, i) != LUA_TNIL; i++) {
        size_t at = strlen(list);

        found |= lua_compare(L, value, -1, LUA_OPEQ);
        if (lua_type(L, -1) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER)
            snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "", show(r, -1));
        lua_pop(L, 1);
    }
    if (!found)
        complain(r, "must be one of %s, got %s", list, show(r, value));
    lua_settop(L, value);
}

/* ---- k.params */

static const char *find_set(struct load *load, const char *name)
{
    const char *value = NULL;

    for (size_t i = 0; i < load->options->n_sets; i++)
        if (!strcmp(load->options->sets[i].name, name)) {
            load->set_used[i] = true;
            value = load->options->sets[i].value;
        }
    return value;
}

/* Pushes the value of the parameter whose table is at r->spec; poison after complaining. */
static void push_param(struct reading *r)
{
    struct load *load = r->schema->load;
    lua_State *L = load->L;
    const char *set = find_set(load, r->name);
    int value = lua_gettop(L) + 1;

    if (set) {
        r->from_set = arena_fmt(load->arena, "--set %s=%s", r->name, set);
        push_text_as(L, set, r->type);
    } else if (lua_getfield(L, r->spec, "default") == LUA_TNIL) {
        schema_problem(r->schema, r->path, "has no default: give it with --set %s=...", r->name);
    }
    if (!lua_isnil(L, value) && !poison_is(L, value)) {
        if (fits(L, value, r->type)) {
            check_range(r, value);
            check_choices(r, value);
            return;
        }
        complain(r, "must be %s, got %s", type_words[r->type], value_describe(load, value));
    }
    lua_pop(L, 1);
    poison_push(L);
}

/* The parameter `name`, whose table is at the top: its value is pushed. */
static void read_param(struct schema *schema, const char *name)
{
    struct load *load = schema->load;
    lua_State *L = load->L;
    struct key_path path = {NULL, name, 0};
    struct param_config config = {.type = TYPE_UNKNOWN};
    struct schema_part part = {param_rows, (char *)&config, NULL};
    struct reading r = {.schema = schema, .name = name, .path = &path, .spec = lua_gettop(L)};
    struct param *param;

    for (param = load->params; param; param = param->next)
        if (!strcmp(param->name, name))
            schema_problem(schema, &path, "is a parameter already");
    param = arena_alloc(load->arena, sizeof *param);
    *param = (struct param){load->params, name};
    load->params = param;
    if (!lua_istable(L, -1)) {
        find_set(load, name);
        if (!poison_is(L, -1))
            schema_problem(schema, &path, "must be a table such as { default = 1 }, got %s",
                           value_describe(load, -1));
        poison_push(L);
        return;
    }
    schema_read(schema, r.spec, &path, &part, 1);
    r.type = find_type(L, r.spec, config.type);
    push_param(&r);
}

/* p.NAME; upvalue 1: the values. */
static int read_unknown(lua_State *L)
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
    for (struct param *param = load->params; param; param = param->next)
        suggest_try(&suggest, param->name);
    if (suggest_best(&suggest))
        load_problem_at(load, &at, "no parameter called '%s', did you mean '%s'?", name,
                        suggest_best(&suggest));
    else
        load_problem_at(load, &at, "no parameter called '%s'", name);
    poison_push(L);
    return 1;
}

static int refuse_write(lua_State *L)
{
    return luaL_error(L, "parameters are set with --set, not in the file");
}

int params_call(lua_State *L)
{
    struct load *load = load_of(L);
    struct schema schema = {.load = load, .who = "params", .position = load_caller(L, 1)};
    int values;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    schema.position.anchor = "params";
    schema.others = other_keys;
    lua_newtable(L);
    values = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            read_param(&schema, arena_dup(load->arena, lua_tostring(L, -2)));
            lua_pushvalue(L, -3);
            lua_insert(L, -2);
            lua_rawset(L, values);
        } else {
            schema_problem(&schema, NULL, "parameters have names: Name = { default = 1 }");
        }
        lua_pop(L, 1);
    }
    lua_newtable(L);
    lua_pushvalue(L, values);
    lua_pushcclosure(L, read_unknown, 1);
    sandbox_guard(L, refuse_write);
    return 1;
}

void params_check_sets(struct load *load)
{
    for (size_t i = 0; i < load->options->n_sets; i++) {
        const char *name = load->options->sets[i].name;
        struct suggest suggest = suggest_for(name);

        if (load->set_used[i])
            continue;
        for (struct param *param = load->params; param; param = param->next)
            suggest_try(&suggest, param->name);
        if (suggest_best(&suggest))
            load_problem(load, load->file, 0, "--set %s: no such parameter, did you mean '%s'?",
                         name, suggest_best(&suggest));
        else
            load_problem(load, load->file, 0, "--set %s: the file has no such parameter", name);
    }
}
