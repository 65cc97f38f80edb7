/* value.c - see load.h: stages, resources, secrets and fields as Lua values.
 *
 * A value is a userdata that holds one pointer into the arena. Nothing can be
 * done with it but to hand it on; a secret complains about being printed.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "core/config/load.h"

static const char tables_key[VALUE_FIELD + 1];

static const char *const kind_names[] = {[VALUE_STAGE] = "a stage",
                                         [VALUE_RESOURCE] = "a resource",
                                         [VALUE_SECRET] = "a secret",
                                         [VALUE_FIELD] = "a k.field"};

void *value_get(lua_State *L, int index, enum value_kind kind)
{
    void **box = lua_touserdata(L, index);
    bool same;

    if (!box || lua_islightuserdata(L, index) || !lua_getmetatable(L, index))
        return NULL;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &tables_key[kind]);
    same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same ? *box : NULL;
}

void value_push(lua_State *L, enum value_kind kind, void *object)
{
    void **box = lua_newuserdatauv(L, sizeof *box, 0);

    *box = object;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &tables_key[kind]);
    lua_setmetatable(L, -2);
}

const char *module_kind_name(kp_kind kind)
{
    static const char *const names[] = {[KP_SOURCE] = "source",
                                        [KP_TRANSFORM] = "transform",
                                        [KP_SINK] = "sink",
                                        [KP_PROVISIONER] = "provisioner",
                                        [KP_SERVICE] = "service"};

    return kind >= KP_SOURCE && kind <= KP_SERVICE ? names[kind] : "element";
}

static const char *describe_object(struct load *load, int index)
{
    const struct stage *stage = value_get(load->L, index, VALUE_STAGE);
    const struct resource *resource = value_get(load->L, index, VALUE_RESOURCE);
    const char *field = value_get(load->L, index, VALUE_FIELD);

    if (stage)
        return arena_fmt(load->arena, "the %s '%s'", module_kind_name(stage->element->kind),
                         stage->element->name);
    if (resource)
        return arena_fmt(load->arena, "the %s '%s'", resource->shared.kind, resource->shared.name);
    if (field)
        return arena_fmt(load->arena, "k.field \"%s\"", field);
    return value_get(load->L, index, VALUE_SECRET) ? "a secret" : "an undefined value";
}

const char *value_describe(struct load *load, int index)
{
    lua_State *L = load->L;
    const char *text;

    index = lua_absindex(L, index);
    switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL: return "nothing";
    case LUA_TBOOLEAN: return lua_toboolean(L, index) ? "true" : "false";
    case LUA_TSTRING:
        text = lua_tostring(L, index);
        return arena_fmt(load->arena,
                         strlen(text) > 40 ? "the text \"%.37s...\"" : "the text \"%s\"", text);
    case LUA_TNUMBER:
        lua_pushvalue(L, index);
        text = arena_fmt(load->arena, "the number %s", lua_tostring(L, -1));
        lua_pop(L, 1);
        return text;
    case LUA_TTABLE: return "a table";
    case LUA_TFUNCTION: return "a function";
    default: return describe_object(load, index);
    }
}

/* ---- what cannot be done with them */

static enum value_kind kind_of(lua_State *L, int index)
{
    for (int kind = VALUE_STAGE; kind <= VALUE_FIELD; kind++)
        if (value_get(L, index, (enum value_kind)kind))
            return (enum value_kind)kind;
    return 0;
}

static int refuse(lua_State *L)
{
    enum value_kind left = kind_of(L, 1);
    enum value_kind kind = left ? left : kind_of(L, 2);

    if (kind == VALUE_SECRET)
        return luaL_error(L, "a secret cannot be printed, joined, compared or changed; hand it to "
                             "an option as it is");
    if (kind == VALUE_FIELD)
        return luaL_error(L, "k.field names a member of each record; it has no value here");
    return luaL_error(L, "%s cannot be used this way; hand it on as it is",
                      kind ? kind_names[kind] : "this");
}

static void make_table(lua_State *L, enum value_kind kind)
{
    static const char *const events[] = {
        "__index", "__newindex", "__add",  "__sub",    "__mul",  "__div",   "__mod",     "__pow",
        "__unm",   "__idiv",     "__band", "__bor",    "__shl",  "__shr",   "__bnot",    "__bxor",
        "__len",   "__lt",       "__le",   "__concat", "__call", "__pairs", "__tostring"};

    lua_createtable(L, 0, (int)(sizeof events / sizeof *events) + 2);
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        lua_pushcfunction(L, refuse);
        lua_setfield(L, -2, events[i]);
    }
    lua_pushstring(L, kind_names[kind]);
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &tables_key[kind]);
}

void value_open(lua_State *L)
{
    for (int kind = VALUE_STAGE; kind <= VALUE_FIELD; kind++)
        make_table(L, (enum value_kind)kind);
}

void value_set_index(lua_State *L, enum value_kind kind, lua_CFunction index)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &tables_key[kind]);
    lua_pushcfunction(L, index);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
