/* convert_many.c - see schema.h: lists, maps, and the order the file gives to names. */
#include <lauxlib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/config/schema.h"

/* ---- lists and maps */

static const char *take_item(struct schema *schema, const struct key_path *path,
                             struct setting *shown)
{
    lua_State *L = schema->load->L;
    const char *text;

    if (poison_is(L, -1)) {
        schema->is_bad = true;
        return NULL;
    }
    if (lua_type(L, -1) != LUA_TSTRING) {
        schema_problem(schema, path, "must be a text, got %s", value_describe(schema->load, -1));
        return NULL;
    }
    text = convert_text(schema, path);
    if (text && shown)
        setting_add(schema->load->arena, shown, NULL, SETTING_TEXT, text);
    return text;
}

/* Anything but 1..n makes it no list. */
static bool is_list(struct schema *schema, const struct key_path *path, lua_Integer n)
{
    lua_State *L = schema->load->L;
    lua_Integer count = 0;

    lua_pushnil(L);
    while (lua_next(L, -2)) {
        if (!lua_isinteger(L, -2)) {
            schema_problem(schema, path, "is a list and has no names, got the key %s",
                           value_describe(schema->load, -2));
            lua_pop(L, 2);
            return false;
        }
        count++;
        lua_pop(L, 1);
    }
    if (count == n)
        return true;
    schema_problem(schema, path, "is a list with holes: %lld values, the last one at %lld",
                   (long long)count, (long long)n);
    return false;
}

void convert_list(struct schema *schema, const struct key_path *path, const kp_option *row,
                  char *field, struct setting *shown)
{
    lua_State *L = schema->load->L;
    struct arena *arena = schema->load->arena;
    bool is_one = lua_type(L, -1) == LUA_TSTRING; /* one text stands for a list of it */
    struct setting *items = NULL;
    const char **texts;
    lua_Integer n;

    if (!is_one && !lua_istable(L, -1)) {
        convert_mismatch(schema, path, row);
        return;
    }
    n = is_one ? 1 : (lua_Integer)lua_rawlen(L, -1);
    if (!is_one && !is_list(schema, path, n))
        return;
    if (shown)
        items = setting_add(arena, shown, row->name, SETTING_LIST, NULL);
    texts = arena_alloc(arena, (size_t)n * sizeof *texts);
    for (lua_Integer i = 1; i <= n; i++) {
        struct key_path item = {path, NULL, i};

        if (is_one)
            lua_pushvalue(L, -1);
        else
            lua_rawgeti(L, -1, i);
        texts[i - 1] = take_item(schema, is_one ? path : &item, items);
        lua_pop(L, 1);
    }
    *(kp_list *)(void *)field = (kp_list){texts, (size_t)n};
}

/* ---- names in the order of the file */

struct ordering {
    struct ordered *names;
    size_t n, next;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct ordered *)a)->name, ((const struct ordered *)b)->name);
}

static int by_rank(const void *a_, const void *b_)
{
    const struct ordered *a = a_, *b = b_;

    return a->rank != b->rank ? (a->rank < b->rank ? -1 : 1) : strcmp(a->name, b->name);
}

static void rank_name(void *arg, const char *name, size_t len)
{
    struct ordering *ordering = arg;
    size_t low = 0, high = ordering->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strncmp(ordering->names[middle].name, name, len);

        if (!order)
            order = ordering->names[middle].name[len] != '\0';
        if (!order) {
            ordering->names[middle].rank = ordering->next++;
            return;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
}

/* The keys of the table at the top; NULL after complaining about one that is no name. */
struct ordered *convert_names(struct schema *schema, const struct key_path *path, size_t *n)
{
    lua_State *L = schema->load->L;
    struct arena *arena = schema->load->arena;
    struct ordering ordering = {0};
    size_t cap = 0;

    lua_pushnil(L);
    while (lua_next(L, -2)) {
        struct ordered one = {.rank = SIZE_MAX, .is_number = lua_isinteger(L, -2)};

        if (!one.is_number && lua_type(L, -2) != LUA_TSTRING) {
            schema_problem(schema, path, "a key must be a text, got %s",
                           value_describe(schema->load, -2));
            lua_pop(L, 2);
            return NULL;
        }
        one.number = lua_tointeger(L, -2);
        one.name = one.is_number ? arena_fmt(arena, "%lld", (long long)one.number)
                                 : arena_dup(arena, lua_tostring(L, -2));
        arena_room(arena, &ordering.names, &cap, ordering.n, sizeof *ordering.names);
        ordering.names[ordering.n++] = one;
        lua_pop(L, 1);
    }
    if (ordering.n) {
        qsort(ordering.names, ordering.n, sizeof *ordering.names, by_name);
        position_keys(&schema->position, path, rank_name, &ordering);
        qsort(ordering.names, ordering.n, sizeof *ordering.names, by_rank);
    }
    *n = ordering.n;
    return ordering.n ? ordering.names : arena_alloc(arena, sizeof *ordering.names);
}

void convert_map(struct schema *schema, const struct key_path *path, const kp_option *row,
                 char *field, struct setting *shown)
{
    lua_State *L = schema->load->L;
    struct setting *group = NULL;
    struct ordered *names;
    kp_map_item *items;
    size_t n = 0;

    if (!lua_istable(L, -1)) {
        convert_mismatch(schema, path, row);
        return;
    }
    names = convert_names(schema, path, &n);
    if (!names)
        return;
    if (shown)
        group = setting_add(schema->load->arena, shown, row->name, SETTING_GROUP, NULL);
    items = arena_alloc(schema->load->arena, n * sizeof *items);
    for (size_t i = 0; i < n; i++) {
        struct key_path item = {path, names[i].name, 0};

        if (names[i].is_number)
            lua_rawgeti(L, -1, names[i].number);
        else
            lua_getfield(L, -1, names[i].name);
        items[i].name = names[i].name;
        if (poison_is(L, -1))
            schema->is_bad = true;
        else
            convert_any(schema, &item, &items[i].value, group, names[i].name);
        lua_pop(L, 1);
    }
    *(kp_map *)(void *)field = (kp_map){items, n};
}
