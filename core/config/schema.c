/* schema.c - see schema.h. */
#include "core/config/schema.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "core/base/suggest.h"

#define SHOW_KNOWN 12 /* names listed when none is near */

const char *schema_show_path(const char *who, const struct key_path *path, char *out, size_t cap)
{
    const struct key_path *steps[16];
    size_t n = 0, at;

    for (; path && n < 16; path = path->up)
        steps[n++] = path;
    at = (size_t)snprintf(out, cap, "%s", who);
    while (n-- > 0 && at < cap) {
        const struct key_path *one = steps[n];

        if (one->key)
            at += (size_t)snprintf(out + at, cap - at, "%s%s", at ? "." : "", one->key);
        else
            at += (size_t)snprintf(out + at, cap - at, "[%lld]", (long long)one->index);
    }
    return out;
}

void schema_problem(struct schema *schema, const struct key_path *path, const char *fmt, ...)
{
    const char *file = schema->position.text ? schema->position.text->file : schema->load->file;
    char where[300], text[500];
    va_list args;

    schema->is_bad = true;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    schema_show_path(schema->who, path, where, sizeof where);
    load_problem(schema->load, file, position_line(&schema->position, path), "%s%s%s", where,
                 *where ? ": " : "", text);
}

/* ---- names nobody knows */

static const kp_option *find_row(const struct schema_part *parts, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        for (const kp_option *row = parts[i].rows; row->name; row++)
            if (!strcmp(row->name, name))
                return row;
    return NULL;
}

static bool is_other(const struct schema *schema, const char *name)
{
    for (const char *const *at = schema->others; at && *at; at++)
        if (!strcmp(*at, name))
            return true;
    return false;
}

static void list_name(char *list, size_t cap, size_t *count, const char *name)
{
    size_t at = strlen(list);

    if ((*count)++ < SHOW_KNOWN)
        snprintf(list + at, cap - at, "%s%s", at ? ", " : "", name);
    else if (*count == SHOW_KNOWN + 2)
        snprintf(list + at, cap - at, " ...");
}

/* "batch.records" for "records": an option of a group that stands outside of it. */
static const char *nearest_inside(struct schema *schema, const char *name,
                                  const struct schema_part *parts, size_t n)
{
    struct suggest suggest = suggest_for(name);
    const char *group = NULL, *best;

    for (size_t i = 0; i < n; i++)
        for (const kp_option *row = parts[i].rows; row->name; row++)
            for (const kp_option *at = row->type == KP_T_GROUP ? row->rows : NULL; at && at->name;
                 at++) {
                const char *before = suggest.best;

                suggest_try(&suggest, at->name);
                group = suggest.best == before ? group : row->name;
            }
    best = suggest_best(&suggest);
    return best ? arena_fmt(schema->load->arena, "%s.%s", group, best) : NULL;
}

static void unknown_key(struct schema *schema, const struct key_path *path, const char *name,
                        const struct schema_part *parts, size_t n)
{
    struct key_path key = {path, name, 0};
    struct suggest suggest = suggest_for(name);
    char known[400] = "";
    const char *best;
    size_t count = 0;

    for (const char *const *at = schema->others; at && *at && !schema->hides_others; at++) {
        suggest_try(&suggest, *at);
        list_name(known, sizeof known, &count, *at);
    }
    for (size_t i = 0; i < n; i++)
        for (const kp_option *row = parts[i].rows; row->name; row++) {
            suggest_try(&suggest, row->name);
            list_name(known, sizeof known, &count, row->name);
        }
    best = suggest_best(&suggest);
    if (!best)
        best = nearest_inside(schema, name, parts, n);
    if (best)
        schema_problem(schema, &key, "no such option, did you mean '%s'?", best);
    else if (count)
        schema_problem(schema, &key, "no such option (known: %s)", known);
    else
        schema_problem(schema, &key, "no such option, there are none");
}

/* Every key of the table must belong to somebody. */
static void check_keys(struct schema *schema, int index, const struct key_path *path,
                       const struct schema_part *parts, size_t n)
{
    lua_State *L = schema->load->L;

    lua_pushnil(L);
    while (lua_next(L, index)) {
        struct key_path item = {path, NULL, 0};

        if (lua_type(L, -2) == LUA_TSTRING) {
            const char *name = lua_tostring(L, -2);

            if (!find_row(parts, n, name) && !is_other(schema, name))
                unknown_key(schema, path, name, parts, n);
        } else if (!lua_isinteger(L, -2)) {
            schema_problem(schema, path, "a key must be a name, got %s",
                           value_describe(schema->load, -2));
        } else if (!schema->has_items && !poison_is(L, -1)) {
            item.index = lua_tointeger(L, -2);
            schema_problem(schema, &item, "%s stands without a name; write name = value",
                           value_describe(schema->load, -1));
        }
        lua_pop(L, 1);
    }
}

/* ---- rows */

static void read_rows(struct schema *schema, int index, const struct key_path *path,
                      const struct schema_part *part);

/* Defaults of a group that was left out. What it requires, it requires only when it is there. */
static void fill_defaults(struct schema *schema, const struct schema_part *part)
{
    for (const kp_option *row = part->rows; row->name; row++) {
        struct setting shown = {.name = row->name, .kind = SETTING_GROUP};
        struct schema_part inner = {row->rows, part->config + row->offset, &shown};

        if (row->type != KP_T_GROUP) {
            convert_default(schema, row, part->config + row->offset, part->shown);
            continue;
        }
        fill_defaults(schema, &inner);
        if (shown.first && part->shown)
            *setting_add(schema->load->arena, part->shown, row->name, SETTING_GROUP, NULL) = shown;
    }
}

static void read_group(struct schema *schema, const struct key_path *path, const kp_option *row,
                       const struct schema_part *part)
{
    lua_State *L = schema->load->L;
    struct setting shown = {.name = row->name, .kind = SETTING_GROUP};
    struct schema_part inner = {row->rows, part->config + row->offset, &shown};
    bool had_items = schema->has_items;
    const char *const *others = schema->others;

    if (lua_isnil(L, -1)) {
        fill_defaults(schema, &inner);
    } else if (!lua_istable(L, -1)) {
        schema_problem(schema, path, "must be a table of options, got %s",
                       value_describe(schema->load, -1));
    } else {
        schema->has_items = false;
        schema->others = NULL;
        check_keys(schema, lua_gettop(L), path, &inner, 1);
        read_rows(schema, lua_gettop(L), path, &inner);
        schema->has_items = had_items;
        schema->others = others;
    }
    if (shown.first && part->shown)
        *setting_add(schema->load->arena, part->shown, row->name, SETTING_GROUP, NULL) = shown;
}

static void read_rows(struct schema *schema, int index, const struct key_path *path,
                      const struct schema_part *part)
{
    lua_State *L = schema->load->L;

    luaL_checkstack(L, 10, "options nested too deeply");
    for (const kp_option *row = part->rows; row->name; row++) {
        struct key_path key = {path, row->name, 0};

        lua_pushstring(L, row->name);
        lua_rawget(L, index);
        if (poison_is(L, -1))
            schema->is_bad = true; /* said where it was made */
        else if (lua_isnil(L, -1) && !row->dflt)
            schema_problem(schema, &key, "is required (%s)", convert_expects(schema->load, row));
        else if (row->type == KP_T_GROUP)
            read_group(schema, &key, row, part);
        else if (lua_isnil(L, -1))
            convert_default(schema, row, part->config + row->offset, part->shown);
        else
            convert_value(schema, &key, row, part->config + row->offset, part->shown);
        lua_pop(L, 1);
    }
}

void schema_read(struct schema *schema, int index, const struct key_path *path,
                 const struct schema_part *parts, size_t n_parts)
{
    check_keys(schema, index, path, parts, n_parts);
    for (size_t i = 0; i < n_parts; i++)
        read_rows(schema, index, path, &parts[i]);
}
