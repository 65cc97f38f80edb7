/* lua_record.c - see lua_record.h.
 *
 * values[i] is what member i (from 1) was set to, or the table that was made of
 * it; values[-i] keeps the name of an added member alive.
 */
#include "core/config/lua_record.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/config/lua_json.h"

enum member_state {
    AS_READ,
    AS_TABLE, /* a table was handed out: it may have been changed */
    SET,
    REMOVED
};

struct member {
    struct kpw_slice name;  /* [borrowed] as in the payload; of an added member the plain text */
    struct kpw_slice value; /* [borrowed] as kpw_json_value() gives it */
    enum kpw_json_type type;
    enum member_state state;
    bool name_has_escape, has_escape, is_integer, is_added;
};

/* ---- finding members */

static int broken(lua_State *L, const struct kpw_json *r)
{
    uint32_t line, column;

    kpw_json_position(r, &line, &column);
    return luaL_error(L, "the record is not JSON: %s (line %d, column %d)", r->error, (int)line,
                      (int)column);
}

static void check_is_there(lua_State *L, const struct lua_record *record)
{
    if (!record->b)
        luaL_error(L, "a record can only be used while its function runs");
}

static void begin(lua_State *L, struct lua_record *record)
{
    check_is_there(L, record);
    kpw_json_init(&record->r, record->record->data, record->record->data_len);
    if (kpw_json_next(&record->r) == KPW_JSON_ERROR)
        broken(L, &record->r);
    if (record->r.type != KPW_JSON_OBJECT)
        luaL_error(L, "the record is no JSON object; see the second argument's data");
    record->is_begun = true;
}

/* Finds one member more; false at the end, or when the text is broken. */
static bool find_next(struct lua_record *record)
{
    struct kpw_json *r = &record->r;
    struct member *member;

    if (kpw_json_next(r) != KPW_JSON_KEY) {
        record->is_read = r->type == KPW_JSON_OBJECT_END && kpw_json_next(r) == KPW_JSON_END;
        return false;
    }
    mem_room(&record->members, &record->cap, record->n, sizeof *record->members);
    member = &record->members[record->n];
    member->name = r->value;
    member->name_has_escape = r->has_escape;
    member->type = kpw_json_value(r, &member->value);
    if (member->type == KPW_JSON_ERROR)
        return false;
    member->state = AS_READ;
    member->has_escape = r->has_escape;
    member->is_integer = r->is_integer;
    member->is_added = false;
    record->n++;
    return true;
}

static bool has_name(const struct member *member, const char *name, size_t len)
{
    struct kpw_slice given = kpw_slice(name, len);
    struct kpw_buf plain = KPW_BUF_INIT;
    bool same;

    if (!member->name_has_escape)
        return kpw_slice_eq(member->name, given);
    kpw_json_unescape(member->name, &plain);
    same = kpw_slice_eq(kpw_buf_slice(&plain), given);
    kpw_buf_fini(&plain);
    return same;
}

/* The index of the member, or record->n. Of equal names the first counts. */
static size_t find(lua_State *L, struct lua_record *record, const char *name, size_t len)
{
    size_t i = 0;

    if (!record->is_begun)
        begin(L, record);
    for (;; i++) {
        if (i == record->n && (record->is_read || !find_next(record)))
            break;
        if (has_name(&record->members[i], name, len))
            return i;
    }
    if (!record->is_read)
        broken(L, &record->r);
    return record->n;
}

/* ---- e.name */

static struct kpw_json reader_of(const struct member *member)
{
    struct kpw_json r;

    kpw_json_init(&r, member->value.ptr, member->value.len);
    kpw_json_next(&r);
    return r;
}

static void push_string(lua_State *L, const struct member *member)
{
    luaL_Buffer b;
    char *out;

    if (!member->has_escape) {
        lua_pushlstring(L, member->value.ptr, member->value.len);
        return;
    }
    out = luaL_buffinitsize(L, &b, member->value.len);
    luaL_pushresultsize(&b, kpw_json_unescape_to(member->value, out));
}

/* Pushes a table made from the member and remembers it. */
static void push_table(lua_State *L, struct lua_record *record, size_t i)
{
    struct member *member = &record->members[i];
    struct kpw_json r = reader_of(member);

    lua_json_push(L, &r);
    lua_pushvalue(L, -1);
    record->has_values = true;
    lua_rawseti(L, lua_upvalueindex(1), (lua_Integer)i + 1);
    member->state = AS_TABLE;
}

static void push_member(lua_State *L, struct lua_record *record, size_t i)
{
    struct member *member = &record->members[i];

    if (member->state == REMOVED) {
        lua_pushnil(L);
        return;
    }
    if (member->state != AS_READ) {
        lua_rawgeti(L, lua_upvalueindex(1), (lua_Integer)i + 1);
        if (lua_json_is_null(L, -1))
            lua_pushnil(L);
        return;
    }
    switch (member->type) {
    case KPW_JSON_STRING: push_string(L, member); break;
    case KPW_JSON_NUMBER: lua_json_push_number(L, member->value, member->is_integer); break;
    case KPW_JSON_TRUE: lua_pushboolean(L, 1); break;
    case KPW_JSON_FALSE: lua_pushboolean(L, 0); break;
    case KPW_JSON_OBJECT:
    case KPW_JSON_ARRAY: push_table(L, record, i); break;
    default: lua_pushnil(L);
    }
}

static const char *check_name(lua_State *L, size_t *ret_len)
{
    if (lua_type(L, 2) != LUA_TSTRING)
        luaL_error(L, "the members of a record have names, got %s", luaL_typename(L, 2));
    return lua_tolstring(L, 2, ret_len);
}

static int read_member(lua_State *L)
{
    struct lua_record *record = lua_record_of(L);
    size_t len, i;
    const char *name = check_name(L, &len);

    i = find(L, record, name, len);
    if (i == record->n)
        lua_pushnil(L);
    else
        push_member(L, record, i);
    return 1;
}

static void check_value(lua_State *L, const char *name)
{
    switch (lua_type(L, 3)) {
    case LUA_TNIL:
    case LUA_TBOOLEAN:
    case LUA_TNUMBER:
    case LUA_TSTRING:
    case LUA_TTABLE: return;
    default:
        if (!lua_json_is_null(L, 3))
            luaL_error(L, "'%s' cannot be set to a %s", name, luaL_typename(L, 3));
    }
}

static int write_member(lua_State *L)
{
    struct lua_record *record = lua_record_of(L);
    size_t len, i;
    const char *name = check_name(L, &len);

    check_value(L, name);
    i = find(L, record, name, len);
    if (i == record->n) {
        if (lua_isnil(L, 3))
            return 0;
        record->has_values = true;
        lua_pushvalue(L, 2);
        lua_rawseti(L, lua_upvalueindex(1), -(lua_Integer)i - 1);
        mem_room(&record->members, &record->cap, record->n, sizeof *record->members);
        record->members[record->n++] =
            (struct member){.name = {name, len}, .state = REMOVED, .is_added = true};
    }
    record->has_values = record->is_changed = true;
    lua_settop(L, 3);
    if (lua_isnil(L, 3)) {
        record->members[i].state = REMOVED;
        return 0;
    }
    lua_rawseti(L, lua_upvalueindex(1), (lua_Integer)i + 1);
    record->members[i].state = SET;
    return 0;
}

/* ---- pairs(e), tostring(e) */

static void push_name(lua_State *L, const struct member *member)
{
    luaL_Buffer b;
    char *out;

    if (!member->name_has_escape) {
        lua_pushlstring(L, member->name.ptr, member->name.len);
        return;
    }
    out = luaL_buffinitsize(L, &b, member->name.len);
    luaL_pushresultsize(&b, kpw_json_unescape_to(member->name, out));
}

static int next_member(lua_State *L)
{
    struct lua_record *record = lua_record_of(L);
    size_t i = 0;

    lua_settop(L, 2);
    if (!record->is_begun)
        begin(L, record);
    if (!lua_isnil(L, 2)) {
        size_t len;
        const char *name = check_name(L, &len);

        i = find(L, record, name, len) + 1;
    }
    for (; i < record->n || (!record->is_read && find_next(record)); i++) {
        size_t len;
        const char *name;

        push_name(L, &record->members[i]);
        name = lua_tolstring(L, -1, &len);
        if (find(L, record, name, len) == i) { /* not the second one of its name */
            push_member(L, record, i);
            if (!lua_isnil(L, -1))
                return 2;
        }
        lua_settop(L, 2);
    }
    if (!record->is_read)
        broken(L, &record->r);
    lua_pushnil(L);
    return 1;
}

static int begin_pairs(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, next_member, 1);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

static int payload_text(lua_State *L)
{
    const struct lua_record *record = lua_record_of(L);

    check_is_there(L, record);
    lua_pushlstring(L, record->record->data, record->record->data_len);
    return 1;
}

/* ---- r.name */

static int read_context(lua_State *L)
{
    const struct lua_record *record = lua_record_of(L);
    const kp_record *of = record->record;
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";

    check_is_there(L, record);
    if (!strcmp(name, "data"))
        lua_pushlstring(L, of->data, of->data_len);
    else if (!strcmp(name, "key"))
        lua_pushlstring(L, of->key ? of->key : "", of->key ? of->key_len : 0);
    else if (!strcmp(name, "sequence"))
        lua_pushlstring(L, of->sequence ? of->sequence : "", of->sequence ? of->sequence_len : 0);
    else if (!strcmp(name, "sub_sequence"))
        lua_pushinteger(L, (lua_Integer)of->sub_sequence);
    else if (!strcmp(name, "arrival_ms"))
        lua_pushinteger(L, of->arrival_ms);
    else if (!strcmp(name, "lane"))
        lua_pushlstring(L, record->b->lane_name.ptr, record->b->lane_name.len);
    else if (!strcmp(name, "type"))
        lua_pushstring(L, of->type); /* NULL gives nil */
    else
        return luaL_error(L,
                          "the context has no '%s': data, key, sequence, sub_sequence, "
                          "arrival_ms, lane, type",
                          name);
    return 1;
}

static int write_context(lua_State *L)
{
    return luaL_error(L, "the context of a record is read-only");
}

/* ---- for lua_run.c */

/* A userdata without content whose metatable has these rows; upvalue 1 of all is the values. */
static void push_object(lua_State *L, const char *name, const luaL_Reg *rows)
{
    lua_newuserdatauv(L, 0, 0);
    lua_newtable(L);
    lua_pushvalue(L, SLOT_VALUES);
    luaL_setfuncs(L, rows, 1);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

void lua_record_open(lua_State *L)
{
    static const luaL_Reg record_rows[] = {{"__index", read_member},
                                           {"__newindex", write_member},
                                           {"__pairs", begin_pairs},
                                           {"__tostring", payload_text},
                                           {NULL, NULL}};
    static const luaL_Reg context_rows[] = {
        {"__index", read_context}, {"__newindex", write_context}, {NULL, NULL}};

    lua_settop(L, SLOT_LAST);
    lua_newtable(L);
    lua_replace(L, SLOT_VALUES);
    push_object(L, "record", record_rows);
    lua_replace(L, SLOT_RECORD);
    push_object(L, "context", context_rows);
    lua_replace(L, SLOT_CONTEXT);
}

void lua_record_fini(struct lua_record *record)
{
    free(record->members);
    *record = (struct lua_record){0};
}

void lua_record_begin(lua_State *L, struct lua_record *record, const kp_batch *b, uint32_t i)
{
    if (record->has_values) {
        lua_pushnil(L);
        while (lua_next(L, SLOT_VALUES)) {
            lua_pop(L, 1);
            lua_pushvalue(L, -1);
            lua_pushnil(L);
            lua_rawset(L, SLOT_VALUES); /* the key is there: nothing is allocated */
        }
    }
    record->b = b;
    record->record = b ? kp_at(b, i) : NULL;
    record->is_begun = record->is_read = record->is_changed = record->has_values = false;
    record->n = 0;
}

void lua_record_end(struct lua_record *record)
{
    record->b = NULL;
    record->is_begun = false;
    record->n = 0;
}

static void put_name(const struct member *member, struct kpw_buf *out)
{
    if (out->ptr[out->len - 1] != '{')
        kpw_buf_putc(out, ',');
    if (member->is_added)
        kpw_json_put_string(out, member->name.ptr, member->name.len);
    else
        kpw_buf_append(out, member->name.ptr - 1, member->name.len + 2);
    kpw_buf_putc(out, ':');
}

static const char *put_member(lua_State *L, const struct lua_record *record, size_t i,
                              struct kpw_buf *out, bool *changed)
{
    const struct member *member = &record->members[i];
    bool is_text = member->type == KPW_JSON_STRING;
    const char *why;

    if (member->state == AS_READ) {
        kpw_buf_append(out, member->value.ptr - is_text, member->value.len + 2 * is_text);
        return NULL;
    }
    lua_rawgeti(L, SLOT_VALUES, (lua_Integer)i + 1);
    why = member->state == AS_TABLE ? lua_json_merge(L, -1, member->value, out, changed)
                                    : lua_json_put(L, -1, out);
    lua_pop(L, 1);
    return why;
}

const char *lua_record_put(lua_State *L, struct lua_record *record, struct kpw_buf *out,
                           bool *ret_changed)
{
    const char *why = NULL;

    *ret_changed = record->is_changed;
    if (!record->has_values)
        return NULL;
    while (!record->is_read && find_next(record))
        ;
    if (!record->is_read)
        return record->r.error;
    kpw_buf_putc(out, '{');
    for (size_t i = 0; i < record->n && !why && !out->failed; i++) {
        if (record->members[i].state == REMOVED)
            continue;
        put_name(&record->members[i], out);
        why = put_member(L, record, i, out, ret_changed);
    }
    kpw_buf_putc(out, '}');
    return out->failed ? "the record becomes too large" : why;
}
