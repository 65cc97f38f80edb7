/* lua_json.c - see lua_json.h: reading, and the module that files see. */
#include "core/config/lua_json.h"

#include <lauxlib.h>
#include <math.h>

#include "core/config/sandbox.h"

static const char object_key = 0; /* registry: the metatable that marks objects */

/* ---- reading */

void lua_json_push_null(lua_State *L)
{
    lua_pushlightuserdata(L, NULL);
}

bool lua_json_is_null(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TLIGHTUSERDATA && !lua_touserdata(L, index);
}

/* Up to 15 digits with up to 15 of them behind the point, which is nearly every number: then both
 * parts are exact and one division rounds correctly. False: another way must be taken. */
static bool push_short_number(lua_State *L, struct kpw_slice number, bool is_integer)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    bool negative = number.ptr[0] == '-';
    size_t point = number.len;
    int64_t digits = 0;

    if (number.len > 16)
        return false;
    for (size_t i = negative; i < number.len; i++) {
        char c = number.ptr[i];

        if (c >= '0' && c <= '9')
            digits = digits * 10 + (c - '0');
        else if (c == '.')
            point = i + 1;
        else
            return false; /* an exponent */
    }
    if ((negative && !digits) || (is_integer && number.len > 15))
        return false;
    if (negative)
        digits = -digits;
    if (is_integer)
        lua_pushinteger(L, digits);
    else
        lua_pushnumber(L, (double)digits / powers[number.len - point]);
    return true;
}

void lua_json_push_number(lua_State *L, struct kpw_slice number, bool is_integer)
{
    int64_t integer;
    double value;

    if (push_short_number(L, number, is_integer))
        return;
    if (is_integer && kpw_json_to_int64(number, &integer) && (integer || number.ptr[0] != '-'))
        lua_pushinteger(L, integer);
    else if (kpw_json_to_double(number, &value))
        lua_pushnumber(L, value);
    else
        lua_pushnumber(L, number.ptr[0] == '-' ? -HUGE_VAL : HUGE_VAL);
}

/* The text of a KEY or STRING token, unescaped. */
static void push_text(lua_State *L, const struct kpw_json *r)
{
    luaL_Buffer b;
    char *out;

    if (!r->has_escape) {
        lua_pushlstring(L, r->value.ptr, r->value.len);
        return;
    }
    out = luaL_buffinitsize(L, &b, r->value.len);
    luaL_pushresultsize(&b, kpw_json_unescape_to(r->value, out));
}

static bool push_array(lua_State *L, struct kpw_json *r)
{
    lua_newtable(L);
    for (lua_Integer i = 1; kpw_json_next(r) != KPW_JSON_ARRAY_END; i++) {
        if (!lua_json_push(L, r))
            return false;
        if (lua_isnil(L, -1))
            lua_json_push_null(L), lua_replace(L, -2);
        lua_rawseti(L, -2, i);
    }
    return true;
}

static bool push_object(lua_State *L, struct kpw_json *r)
{
    lua_newtable(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &object_key);
    lua_setmetatable(L, -2);
    while (kpw_json_next(r) == KPW_JSON_KEY) {
        push_text(L, r);
        lua_pushvalue(L, -1);
        lua_rawget(L, -3); /* of equal names the first counts */
        kpw_json_next(r);
        if (!lua_json_push(L, r))
            return false;
        if (lua_isnil(L, -2)) {
            lua_remove(L, -2);
            lua_rawset(L, -3);
        } else {
            lua_pop(L, 3);
        }
    }
    return r->type == KPW_JSON_OBJECT_END;
}

bool lua_json_push(lua_State *L, struct kpw_json *r)
{
    int top = lua_gettop(L);
    bool ok = true;

    luaL_checkstack(L, 8, "JSON is nested too deeply");
    switch (r->type) {
    case KPW_JSON_STRING: push_text(L, r); break;
    case KPW_JSON_NUMBER: lua_json_push_number(L, r->value, r->is_integer); break;
    case KPW_JSON_TRUE: lua_pushboolean(L, 1); break;
    case KPW_JSON_FALSE: lua_pushboolean(L, 0); break;
    case KPW_JSON_NULL: lua_pushnil(L); break;
    case KPW_JSON_ARRAY: ok = push_array(L, r); break;
    case KPW_JSON_OBJECT: ok = push_object(L, r); break;
    default: ok = false;
    }
    if (!ok) {
        lua_settop(L, top);
        lua_pushnil(L);
    }
    return ok;
}

bool lua_json_push_text(lua_State *L, struct kpw_slice text, struct kpw_json *r)
{
    kpw_json_init(r, text.ptr, text.len);
    kpw_json_next(r);
    if (!lua_json_push(L, r))
        return false;
    if (kpw_json_next(r) == KPW_JSON_END)
        return true;
    lua_pop(L, 1);
    lua_pushnil(L);
    return false;
}

bool lua_json_is_object(lua_State *L, int index)
{
    bool same = false;

    if (lua_getmetatable(L, index)) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &object_key);
        same = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
    }
    return same;
}

/* ---- the module */

static int call_encode(lua_State *L)
{
    struct sandbox *sandbox = sandbox_of(L);
    const char *why;

    luaL_checkany(L, 1);
    if (sandbox->scratch.failed || sandbox->scratch.cap > 1 << 20)
        kpw_buf_fini(&sandbox->scratch);
    kpw_buf_clear(&sandbox->scratch);
    why = lua_json_put(L, 1, &sandbox->scratch);
    if (why || sandbox->scratch.failed)
        return luaL_error(L, "json.encode: %s", why ? why : "not enough memory");
    lua_pushlstring(L, sandbox->scratch.ptr, sandbox->scratch.len);
    return 1;
}

static int call_decode(lua_State *L)
{
    struct kpw_slice text;
    struct kpw_json r;

    text.ptr = luaL_checklstring(L, 1, &text.len);
    if (!lua_json_push_text(L, text, &r))
        return luaL_error(L, "json.decode: %s", r.error);
    return 1;
}

static int call_object(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &object_key);
    lua_setmetatable(L, 1);
    return 1;
}

void lua_json_open(lua_State *L)
{
    static const luaL_Reg calls[] = {
        {"encode", call_encode}, {"decode", call_decode}, {"object", call_object}, {NULL, NULL}};

    lua_createtable(L, 0, 1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &object_key);
    lua_newtable(L);
    luaL_setfuncs(L, calls, 0);
    lua_json_push_null(L);
    lua_setfield(L, -2, "null");
}
