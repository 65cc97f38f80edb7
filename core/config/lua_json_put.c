/* lua_json_put.c - see lua_json.h: writing.
 *
 * It uses only calls of Lua that neither allocate nor raise, so the buffer of the
 * caller is never lost; the keys of a table are sorted in C memory.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/config/lua_json.h"

#define DEPTH_MAX 200 /* levels of what is written; lua_checkstack() and the C stack bear it */

/* A name of a table; the string itself lies on the Lua stack, so that it can be looked up without
 * being made again. */
struct key {
    const char *ptr; /* [borrowed from the string] */
    size_t len;
    int slot; /* on the stack */
    bool is_used;
};

struct keys {
    struct key *list, room[16];
    size_t n, cap;
    int top; /* of the stack, without them */
};

static const char *put(lua_State *L, int index, struct kpw_buf *out, int depth);
static const char *merge(lua_State *L, int index, struct kpw_json *r, struct kpw_buf *out,
                         bool *changed, int depth);

static int compare_keys(const void *a, const void *b)
{
    const struct key *one = a, *other = b;
    size_t n = one->len < other->len ? one->len : other->len;
    int order = memcmp(one->ptr, other->ptr, n);

    return order ? order : (one->len > other->len) - (one->len < other->len);
}

static void keys_fini(lua_State *L, struct keys *keys)
{
    lua_settop(L, keys->top);
    if (keys->list != keys->room)
        free(keys->list);
}

static void keys_add(struct keys *keys, struct key key)
{
    if (keys->n == keys->cap) {
        bool is_first = keys->list == keys->room;
        struct key *grown = is_first ? mem_new(2 * keys->cap * sizeof *grown)
                                     : mem_grow(keys->list, 2 * keys->cap * sizeof *grown);

        if (is_first)
            memcpy(grown, keys->room, sizeof keys->room);
        keys->list = grown;
        keys->cap *= 2;
    }
    keys->list[keys->n++] = key;
}

/* The names of the table at `index`, sorted. NULL, or why not; then nothing is to be freed. */
static const char *keys_of(lua_State *L, int index, struct keys *keys)
{
    const char *why = NULL;

    *keys = (struct keys){.cap = sizeof keys->room / sizeof *keys->room, .top = lua_gettop(L)};
    keys->list = keys->room;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        struct key key = {.slot = lua_gettop(L) - 1};

        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            why = "a table is a list without holes (1 to n, json.null fills them) or has text keys";
        else if (!lua_checkstack(L, 8))
            why = "not enough memory";
        if (why) {
            keys_fini(L, keys);
            return why;
        }
        key.ptr = lua_tolstring(L, -1, &key.len);
        keys_add(keys, key);
        lua_pushvalue(L, -1); /* for lua_next(); the first stays */
    }
    qsort(keys->list, keys->n, sizeof *keys->list, compare_keys);
    return NULL;
}

static void push_member(lua_State *L, int index, const struct key *key)
{
    lua_pushvalue(L, key->slot);
    lua_rawget(L, index);
}

/* True when the keys are exactly 1..n; also for the empty table. */
static bool is_list(lua_State *L, int index, lua_Unsigned *ret_n)
{
    lua_Unsigned n = lua_rawlen(L, index), found = 0;

    *ret_n = n;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_Integer at = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;

        lua_pop(L, 1);
        found++;
        if (at < 1 || (lua_Unsigned)at > n) {
            lua_pop(L, 1);
            return false;
        }
    }
    return found == n;
}

static const char *put_list(lua_State *L, int index, lua_Unsigned n, struct kpw_buf *out, int depth)
{
    const char *why = NULL;

    kpw_buf_putc(out, '[');
    for (lua_Unsigned i = 1; i <= n && !why; i++) {
        if (i > 1)
            kpw_buf_putc(out, ',');
        lua_rawgeti(L, index, (lua_Integer)i);
        why = put(L, lua_gettop(L), out, depth);
        lua_pop(L, 1);
    }
    kpw_buf_putc(out, ']');
    return why;
}

/* "key":value of the table at `index`. */
static const char *put_pair(lua_State *L, int index, const struct key *key, struct kpw_buf *out,
                            int depth)
{
    const char *why;

    kpw_json_put_string(out, key->ptr, key->len);
    kpw_buf_putc(out, ':');
    push_member(L, index, key);
    why = put(L, lua_gettop(L), out, depth);
    lua_pop(L, 1);
    return why;
}

static const char *put_object(lua_State *L, int index, struct kpw_buf *out, int depth)
{
    struct keys keys;
    const char *why = keys_of(L, index, &keys);

    if (why)
        return why;
    kpw_buf_putc(out, '{');
    for (size_t i = 0; i < keys.n && !why; i++) {
        if (i)
            kpw_buf_putc(out, ',');
        why = put_pair(L, index, &keys.list[i], out, depth);
    }
    kpw_buf_putc(out, '}');
    keys_fini(L, &keys);
    return why;
}

static const char *put_number(lua_State *L, int index, struct kpw_buf *out)
{
    double value = lua_tonumber(L, index);

    if (lua_isinteger(L, index)) {
        kpw_json_put_int(out, lua_tointeger(L, index));
        return NULL;
    }
    if (!isfinite(value))
        return "JSON has no infinite numbers and no NaN";
    kpw_json_put_double(out, value);
    return NULL;
}

static const char *put_table(lua_State *L, int index, struct kpw_buf *out, int depth)
{
    lua_Unsigned n;

    if (depth == DEPTH_MAX)
        return "a table is nested too deeply, or holds itself";
    if (!lua_json_is_object(L, index) && is_list(L, index, &n))
        return put_list(L, index, n, out, depth + 1);
    return put_object(L, index, out, depth + 1);
}

static const char *put(lua_State *L, int index, struct kpw_buf *out, int depth)
{
    size_t len;
    const char *text;

    if (!lua_checkstack(L, 8))
        return "not enough memory";
    switch (lua_type(L, index)) {
    case LUA_TNIL: kpw_buf_puts(out, "null"); return NULL;
    case LUA_TBOOLEAN: kpw_json_put_bool(out, lua_toboolean(L, index)); return NULL;
    case LUA_TNUMBER: return put_number(L, index, out);
    case LUA_TSTRING:
        text = lua_tolstring(L, index, &len);
        kpw_json_put_string(out, text, len);
        return NULL;
    case LUA_TTABLE: return put_table(L, index, out, depth);
    case LUA_TFUNCTION: return "a function cannot be written as JSON";
    default: break;
    }
    if (!lua_json_is_null(L, index))
        return "this value cannot be written as JSON";
    kpw_buf_puts(out, "null");
    return NULL;
}

const char *lua_json_put(lua_State *L, int index, struct kpw_buf *out)
{
    return put(L, lua_absindex(L, index), out, 0);
}

/* ---- writing what was read */

/* True if the scalar token is still the value at the top. */
static bool is_same(lua_State *L, const struct kpw_json *r)
{
    size_t len;
    const char *text;
    bool same;

    switch (r->type) {
    case KPW_JSON_NULL: return lua_isnil(L, -1) || lua_json_is_null(L, -1);
    case KPW_JSON_TRUE: return lua_isboolean(L, -1) && lua_toboolean(L, -1);
    case KPW_JSON_FALSE: return lua_isboolean(L, -1) && !lua_toboolean(L, -1);
    case KPW_JSON_NUMBER:
        lua_json_push_number(L, r->value, r->is_integer);
        same = lua_rawequal(L, -1, -2) && lua_isinteger(L, -1) == lua_isinteger(L, -2);
        lua_pop(L, 1);
        return same;
    case KPW_JSON_STRING:
        if (lua_type(L, -1) != LUA_TSTRING)
            return false;
        text = lua_tolstring(L, -1, &len);
        return r->has_escape ? strlen(text) == len && kpw_json_text_is(r->value, text)
                             : kpw_slice_eq(r->value, kpw_slice(text, len));
    default: return false;
    }
}

static void put_raw(const struct kpw_json *r, struct kpw_buf *out)
{
    bool is_text = r->type == KPW_JSON_STRING;

    kpw_buf_append(out, r->value.ptr - is_text, r->value.len + 2 * is_text);
}

/* The value at the top against the value whose first token r holds; reads up to that value's end.
 */
static const char *merge_value(lua_State *L, struct kpw_json *r, struct kpw_buf *out, bool *changed,
                               int depth)
{
    bool is_nested = r->type == KPW_JSON_OBJECT || r->type == KPW_JSON_ARRAY;

    if (is_nested && lua_istable(L, -1) && depth < DEPTH_MAX)
        return merge(L, lua_gettop(L), r, out, changed, depth + 1);
    if (!is_nested && is_same(L, r)) {
        put_raw(r, out);
        return NULL;
    }
    *changed = true;
    if (is_nested && !kpw_json_skip(r))
        return r->error;
    return put(L, lua_gettop(L), out, depth);
}

/* The key of the token among the sorted ones, or NULL. */
static struct key *find_key(struct keys *keys, struct kpw_json *r, struct kpw_buf *scratch)
{
    struct key wanted = {.ptr = r->value.ptr, .len = r->value.len};

    if (r->has_escape) {
        kpw_buf_clear(scratch);
        kpw_json_unescape(r->value, scratch);
        wanted = (struct key){.ptr = scratch->ptr, .len = scratch->len};
    }
    return keys->n ? bsearch(&wanted, keys->list, keys->n, sizeof wanted, compare_keys) : NULL;
}

static void put_comma(struct kpw_buf *out)
{
    if (out->len && out->ptr[out->len - 1] != '{' && out->ptr[out->len - 1] != '[')
        kpw_buf_putc(out, ',');
}

/* The member whose name r holds: its key is `key`, NULL when the table has no such member now. */
static const char *merge_member(lua_State *L, int index, struct key *key, struct kpw_json *r,
                                struct kpw_buf *out, bool *changed, int depth)
{
    struct kpw_slice name = r->value;
    const char *why = NULL;

    kpw_json_next(r);
    if (key ? key->is_used : r->type != KPW_JSON_NULL) {
        *changed |= !key;
        kpw_json_skip(r);
        return NULL;
    }
    put_comma(out);
    kpw_buf_append(out, name.ptr - 1, name.len + 2);
    kpw_buf_putc(out, ':');
    if (key) {
        key->is_used = true;
        push_member(L, index, key);
    } else {
        lua_pushnil(L);
    }
    why = merge_value(L, r, out, changed, depth);
    lua_pop(L, 1);
    return why;
}

static const char *merge_object(lua_State *L, int index, struct kpw_json *r, struct kpw_buf *out,
                                bool *changed, int depth)
{
    struct kpw_buf scratch = KPW_BUF_INIT;
    struct keys keys;
    const char *why = keys_of(L, index, &keys);

    if (why)
        return why;
    kpw_buf_putc(out, '{');
    while (!why && kpw_json_next(r) == KPW_JSON_KEY)
        why = merge_member(L, index, find_key(&keys, r, &scratch), r, out, changed, depth);
    for (size_t i = 0; i < keys.n && !why; i++) {
        if (keys.list[i].is_used)
            continue;
        *changed = true;
        put_comma(out);
        why = put_pair(L, index, &keys.list[i], out, depth);
    }
    kpw_buf_putc(out, '}');
    keys_fini(L, &keys);
    kpw_buf_fini(&scratch);
    return why;
}

static const char *merge_array(lua_State *L, int index, struct kpw_json *r, struct kpw_buf *out,
                               bool *changed, int depth)
{
    const char *why = NULL;
    lua_Unsigned n, i = 0;

    if (!is_list(L, index, &n))
        return "a list has holes (json.null fills them) or text keys";
    kpw_buf_putc(out, '[');
    while (!why && kpw_json_next(r) != KPW_JSON_ARRAY_END && r->type != KPW_JSON_ERROR) {
        if (i++ >= n) {
            *changed = true;
            kpw_json_skip(r);
            continue;
        }
        if (i > 1)
            kpw_buf_putc(out, ',');
        lua_rawgeti(L, index, (lua_Integer)i);
        why = merge_value(L, r, out, changed, depth);
        lua_pop(L, 1);
    }
    for (; i < n && !why; i++) {
        *changed = true;
        if (i)
            kpw_buf_putc(out, ',');
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        why = put(L, lua_gettop(L), out, depth);
        lua_pop(L, 1);
    }
    kpw_buf_putc(out, ']');
    return why;
}

/* A table that became the other kind is written as it is now. */
static const char *merge(lua_State *L, int index, struct kpw_json *r, struct kpw_buf *out,
                         bool *changed, int depth)
{
    bool is_object = r->type == KPW_JSON_OBJECT, same_kind;
    lua_Unsigned n;

    if (!lua_checkstack(L, 8))
        return "not enough memory";
    same_kind = is_object == lua_json_is_object(L, index);
    if (same_kind && is_object)
        return merge_object(L, index, r, out, changed, depth);
    if (same_kind && is_list(L, index, &n))
        return merge_array(L, index, r, out, changed, depth);
    *changed = true;
    if (!kpw_json_skip(r))
        return r->error;
    return put_table(L, index, out, depth);
}

const char *lua_json_merge(lua_State *L, int index, struct kpw_slice raw, struct kpw_buf *out,
                           bool *ret_changed)
{
    struct kpw_json r;

    kpw_json_init(&r, raw.ptr, raw.len);
    kpw_json_next(&r);
    return merge(L, lua_absindex(L, index), &r, out, ret_changed, 0);
}
