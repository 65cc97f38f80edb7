/* convert.c - see schema.h: one value of the file becomes one field of a config struct.
 *
 * The stack's top is the value and stays there. Texts are copied into the arena.
 */
#include "core/config/schema.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/suggest.h"
#include "core/base/units.h"
#include "core/config/function.h"

const char *convert_expects(struct load *load, const kp_option *row)
{
    switch (row->type) {
    case KP_T_STRING: return "a text";
    case KP_T_INT: return "a whole number";
    case KP_T_NUMBER: return "a number";
    case KP_T_BOOL: return "true or false";
    case KP_T_BYTES: return "a size such as \"5MiB\"";
    case KP_T_DURATION: return "a duration such as \"30s\"";
    case KP_T_ENUM: return arena_fmt(load->arena, "one of %s", row->check);
    case KP_T_SECRET: return "k.secret \"env:NAME\" or k.secret \"file:PATH\"";
    case KP_T_LIST: return "a list of texts";
    case KP_T_MAP: return "a table of name = value";
    case KP_T_FUNCTION: return "a function";
    case KP_T_VALUE: return "a text, k.field \"$.path\" or a function";
    case KP_T_RESOURCE:
        return row->check ? arena_fmt(load->arena, "a k.resource.%s", row->check) : "a k.resource";
    default: return "a table of options";
    }
}

void convert_mismatch(struct schema *schema, const struct key_path *path, const kp_option *row)
{
    schema_problem(schema, path, "must be %s, got %s", convert_expects(schema->load, row),
                   value_describe(schema->load, -1));
}

static void show(struct schema *schema, struct setting *shown, const char *name,
                 enum setting_kind kind, const char *text)
{
    if (shown)
        setting_add(schema->load->arena, shown, name, kind, text);
}

/* The text at the top, copied; NULL after complaining that it holds a NUL. */
const char *convert_text(struct schema *schema, const struct key_path *path)
{
    size_t len;
    const char *text = lua_tolstring(schema->load->L, -1, &len);

    if (strlen(text) == len)
        return arena_dupn(schema->load->arena, text, len);
    schema_problem(schema, path, "must not hold a NUL byte");
    return NULL;
}

/* ---- quantities */

static bool parse_whole(kp_type type, const char *text, int64_t *ret)
{
    char *end;

    if (type == KP_T_BYTES)
        return units_bytes(text, ret);
    if (type == KP_T_DURATION)
        return units_duration(text, ret);
    errno = 0;
    *ret = strtoll(text, &end, 10);
    return *text && !*end && !errno;
}

static const char *show_whole(struct load *load, kp_type type, int64_t value)
{
    char text[40];

    if (type == KP_T_BYTES)
        units_show_bytes(value, text, sizeof text);
    else if (type == KP_T_DURATION)
        units_show_duration(value, text, sizeof text);
    else
        snprintf(text, sizeof text, "%lld", (long long)value);
    return arena_dup(load->arena, text);
}

static const char *show_number(struct load *load, double value)
{
    char text[40];

    snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) != value)
        snprintf(text, sizeof text, "%.17g", value);
    return arena_dup(load->arena, text);
}

static bool is_below(kp_type type, const char *bound, int64_t whole, double number, int sign)
{
    int64_t limit = 0;

    if (!*bound)
        return false;
    if (type == KP_T_NUMBER)
        return sign > 0 ? !(number >= strtod(bound, NULL)) : !(number <= strtod(bound, NULL));
    if (!parse_whole(type, bound, &limit))
        return false;
    return sign > 0 ? whole < limit : whole > limit;
}

/* "1s..5m", either end may be missing. */
static void check_range(struct schema *schema, const struct key_path *path, const kp_option *row,
                        int64_t whole, double number, const char *got)
{
    const char *dots = row->check ? strstr(row->check, "..") : NULL;
    char low[40];

    if (!dots || (size_t)(dots - row->check) >= sizeof low)
        return;
    snprintf(low, sizeof low, "%.*s", (int)(dots - row->check), row->check);
    if (!is_below(row->type, low, whole, number, 1) &&
        !is_below(row->type, dots + 2, whole, number, -1))
        return;
    if (!*low)
        schema_problem(schema, path, "must be at most %s, got %s", dots + 2, got);
    else if (!dots[2])
        schema_problem(schema, path, "must be at least %s, got %s", low, got);
    else
        schema_problem(schema, path, "must be between %s and %s, got %s", low, dots + 2, got);
}

static void whole_number(struct schema *schema, const struct key_path *path, const kp_option *row,
                         char *field, struct setting *shown)
{
    lua_State *L = schema->load->L;
    int64_t value = 0;
    int fits = 0;

    if (lua_type(L, -1) == LUA_TNUMBER)
        value = lua_tointegerx(L, -1, &fits);
    if (!fits) {
        convert_mismatch(schema, path, row);
        return;
    }
    check_range(schema, path, row, value, 0, show_whole(schema->load, KP_T_INT, value));
    memcpy(field, &value, sizeof value);
    show(schema, shown, row->name, SETTING_BARE, show_whole(schema->load, KP_T_INT, value));
}

static void any_number(struct schema *schema, const struct key_path *path, const kp_option *row,
                       char *field, struct setting *shown)
{
    lua_State *L = schema->load->L;
    double value = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
    const char *text;

    if (lua_type(L, -1) != LUA_TNUMBER || value != value) {
        convert_mismatch(schema, path, row);
        return;
    }
    text = show_number(schema->load, value);
    check_range(schema, path, row, 0, value, text);
    memcpy(field, &value, sizeof value);
    show(schema, shown, row->name, SETTING_BARE, text);
}

static void with_unit(struct schema *schema, const struct key_path *path, const kp_option *row,
                      char *field, struct setting *shown)
{
    lua_State *L = schema->load->L;
    int64_t value = 0;

    if (lua_type(L, -1) != LUA_TSTRING || !parse_whole(row->type, lua_tostring(L, -1), &value)) {
        convert_mismatch(schema, path, row);
        return;
    }
    check_range(schema, path, row, value, 0, lua_tostring(L, -1));
    memcpy(field, &value, sizeof value);
    show(schema, shown, row->name, SETTING_TEXT, show_whole(schema->load, row->type, value));
}

/* ---- choices */

/* The place of `name` in "a|b|c", -1 when it is not there. */
static int choice_of(const char *choices, const char *name)
{
    size_t len = strcspn(name, "|");
    int index = 0;

    for (const char *at = choices; !name[len]; at = strchr(at, '|') + 1, index++) {
        if (!strncmp(at, name, len) && (at[len] == '|' || !at[len]))
            return index;
        if (!strchr(at, '|'))
            break;
    }
    return -1;
}

static void bad_choice(struct schema *schema, const struct key_path *path, const kp_option *row)
{
    struct load *load = schema->load;
    const char *got = lua_tostring(load->L, -1);
    struct suggest suggest = suggest_for(got);
    char list[300] = "";
    const char *at = row->check;

    while (at) {
        const char *bar = strchr(at, '|');
        size_t n = bar ? (size_t)(bar - at) : strlen(at), used = strlen(list);

        suggest_try(&suggest, arena_dupn(load->arena, at, n));
        snprintf(list + used, sizeof list - used, "%s\"%.*s\"", used ? ", " : "", (int)n, at);
        at = bar ? bar + 1 : NULL;
    }
    if (suggest_best(&suggest))
        schema_problem(schema, path, "must be one of %s, got %s, did you mean \"%s\"?", list,
                       value_describe(load, -1), suggest_best(&suggest));
    else
        schema_problem(schema, path, "must be one of %s, got %s", list, value_describe(load, -1));
}

static void choice(struct schema *schema, const struct key_path *path, const kp_option *row,
                   char *field, struct setting *shown)
{
    lua_State *L = schema->load->L;
    int value;

    if (lua_type(L, -1) != LUA_TSTRING) {
        convert_mismatch(schema, path, row);
        return;
    }
    value = choice_of(row->check, lua_tostring(L, -1));
    if (value < 0) {
        bad_choice(schema, path, row);
        return;
    }
    memcpy(field, &value, sizeof value);
    show(schema, shown, row->name, SETTING_TEXT,
         arena_dup(schema->load->arena, lua_tostring(L, -1)));
}

/* ---- values: text, field, function, secret */

static bool take_function(struct schema *schema, const struct key_path *path, kp_value *ret,
                          struct setting *shown, const char *name)
{
    const char *why = NULL;

    ret->kind = KP_V_FUNCTION;
    ret->fn = function_take(schema->load, lua_gettop(schema->load->L), &why);
    if (!ret->fn) {
        schema_problem(schema, path, "%s", why);
        return false;
    }
    show(schema, shown, name, SETTING_FUNCTION, ret->fn->where);
    return true;
}

bool convert_any(struct schema *schema, const struct key_path *path, kp_value *ret,
                 struct setting *shown, const char *name)
{
    lua_State *L = schema->load->L;
    const struct secret *secret = value_get(L, -1, VALUE_SECRET);
    const char *field = value_get(L, -1, VALUE_FIELD);

    if (field) {
        *ret = (kp_value){KP_V_FIELD, field, NULL};
        show(schema, shown, name, SETTING_FIELD, field);
        return true;
    }
    if (secret) {
        *ret = (kp_value){KP_V_SECRET, secret->text, NULL};
        show(schema, shown, name, SETTING_SECRET, secret->reference);
        return true;
    }
    switch (lua_type(L, -1)) {
    case LUA_TFUNCTION: return take_function(schema, path, ret, shown, name);
    case LUA_TBOOLEAN: ret->text = lua_toboolean(L, -1) ? "true" : "false"; break;
    case LUA_TNUMBER:
        lua_pushvalue(L, -1); /* lua_tolstring() would change the number in its table's place */
        ret->text = convert_text(schema, path);
        lua_pop(L, 1);
        break;
    case LUA_TSTRING: ret->text = convert_text(schema, path); break;
    default:
        schema_problem(schema, path, "must be a text, k.field \"$.path\" or a function, got %s",
                       value_describe(schema->load, -1));
        return false;
    }
    ret->kind = KP_V_TEXT;
    if (ret->text)
        show(schema, shown, name, SETTING_TEXT, ret->text);
    return ret->text;
}

/* ---- the rest */

/* Remembers who used a resource first: it must be listed, or is listed for that. */
static void use_resource(struct schema *schema, const struct key_path *path,
                         struct resource *resource)
{
    const struct text *text = schema->position.text;
    char who[300];

    schema->is_bad |= resource->is_broken;
    if (resource->used_by)
        return;
    schema_show_path(schema->who, path, who, sizeof who);
    resource->used_by = arena_dup(schema->load->arena, who);
    resource->used_file = text ? text->file : schema->load->file;
    resource->used_line = position_line(&schema->position, path);
}

static void simple(struct schema *schema, const struct key_path *path, const kp_option *row,
                   char *field, struct setting *shown)
{
    lua_State *L = schema->load->L;
    const struct secret *secret = value_get(L, -1, VALUE_SECRET);
    struct resource *resource = value_get(L, -1, VALUE_RESOURCE);
    const void *pointer = NULL;
    kp_value function;

    if (row->type == KP_T_SECRET && secret) {
        pointer = secret->text;
        show(schema, shown, row->name, SETTING_SECRET, secret->reference);
    } else if (row->type == KP_T_RESOURCE && resource &&
               (!row->check || !strcmp(row->check, resource->shared.kind))) {
        pointer = &resource->shared;
        use_resource(schema, path, resource);
        if (shown)
            setting_add(schema->load->arena, shown, row->name, SETTING_RESOURCE, NULL)->resource =
                &resource->shared;
    } else if (row->type == KP_T_STRING && lua_type(L, -1) == LUA_TSTRING) {
        pointer = convert_text(schema, path);
        if (pointer)
            show(schema, shown, row->name, SETTING_TEXT, pointer);
    } else if (row->type == KP_T_FUNCTION && lua_isfunction(L, -1)) {
        if (take_function(schema, path, &function, shown, row->name))
            pointer = function.fn;
    } else {
        convert_mismatch(schema, path, row);
    }
    memcpy(field, &pointer, sizeof pointer);
}

static void boolean(struct schema *schema, const struct key_path *path, const kp_option *row,
                    char *field, struct setting *shown)
{
    lua_State *L = schema->load->L;

    if (!lua_isboolean(L, -1)) {
        convert_mismatch(schema, path, row);
        return;
    }
    *(bool *)field = lua_toboolean(L, -1);
    show(schema, shown, row->name, SETTING_BARE, *(bool *)field ? "true" : "false");
}

void convert_value(struct schema *schema, const struct key_path *path, const kp_option *row,
                   char *field, struct setting *shown)
{
    luaL_checkstack(schema->load->L, 10, "values nested too deeply");
    switch (row->type) {
    case KP_T_INT: whole_number(schema, path, row, field, shown); break;
    case KP_T_NUMBER: any_number(schema, path, row, field, shown); break;
    case KP_T_BOOL: boolean(schema, path, row, field, shown); break;
    case KP_T_BYTES:
    case KP_T_DURATION: with_unit(schema, path, row, field, shown); break;
    case KP_T_ENUM: choice(schema, path, row, field, shown); break;
    case KP_T_LIST: convert_list(schema, path, row, field, shown); break;
    case KP_T_MAP: convert_map(schema, path, row, field, shown); break;
    case KP_T_VALUE: convert_any(schema, path, (kp_value *)(void *)field, shown, row->name); break;
    default: simple(schema, path, row, field, shown); break;
    }
}

void convert_default(struct schema *schema, const kp_option *row, char *field,
                     struct setting *shown)
{
    lua_State *L = schema->load->L;

    if (!row->dflt || !*row->dflt)
        return;
    switch (row->type) {
    case KP_T_BOOL: lua_pushboolean(L, !strcmp(row->dflt, "true")); break;
    case KP_T_INT: lua_pushinteger(L, strtoll(row->dflt, NULL, 10)); break;
    case KP_T_NUMBER: lua_pushnumber(L, strtod(row->dflt, NULL)); break;
    default: lua_pushstring(L, row->dflt); break;
    }
    convert_value(schema, NULL, row, field, shown);
    lua_pop(L, 1);
}
