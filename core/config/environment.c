/* environment.c - see load.h: the globals of a pipeline file (there are none), poison, require.
 *
 * A look-up that fails is a problem and gives poison: a value that swallows
 * whatever is done with it, so that one misspelt name is one line of output.
 */
#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#include "core/base/suggest.h"
#include "core/config/load.h"

static const char environment_key = 0, poison_key = 0, written_key = 0, loaded_key = 0;

/* ---- poison */

static int give_poison(lua_State *L)
{
    poison_push(L);
    return 1;
}

/* A loop over poison ends at once. */
static int index_poison(lua_State *L)
{
    if (lua_type(L, 2) == LUA_TNUMBER)
        lua_pushnil(L);
    else
        poison_push(L);
    return 1;
}

static int ignore(lua_State *L)
{
    (void)L;
    return 0;
}

static int poison_length(lua_State *L)
{
    lua_pushinteger(L, 0);
    return 1;
}

static int poison_false(lua_State *L)
{
    lua_pushboolean(L, 0);
    return 1;
}

static int poison_text(lua_State *L)
{
    lua_pushliteral(L, "(undefined)");
    return 1;
}

static int poison_next(lua_State *L)
{
    lua_pushnil(L);
    return 1;
}

static int poison_pairs(lua_State *L)
{
    lua_pushcfunction(L, poison_next);
    return 1;
}

static void open_poison(lua_State *L)
{
    static const char *const operators[] = {
        "__add",  "__sub", "__mul",  "__div", "__mod", "__pow",  "__unm",    "__idiv",
        "__band", "__bor", "__bxor", "__shl", "__shr", "__bnot", "__concat", "__call"};
    static const luaL_Reg rows[] = {
        {"__index", index_poison}, {"__newindex", ignore},      {"__len", poison_length},
        {"__eq", poison_false},    {"__lt", poison_false},      {"__le", poison_false},
        {"__pairs", poison_pairs}, {"__tostring", poison_text}, {NULL, NULL},
    };

    lua_newuserdatauv(L, 1, 0);
    lua_newtable(L);
    luaL_setfuncs(L, rows, 0);
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        lua_pushcfunction(L, give_poison);
        lua_setfield(L, -2, operators[i]);
    }
    lua_pushliteral(L, "undefined value"); /* appears in "got undefined value" */
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &poison_key);
}

void poison_push(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &poison_key);
}

bool poison_is(lua_State *L, int index)
{
    bool same;

    index = lua_absindex(L, index);
    poison_push(L);
    same = lua_rawequal(L, -1, index);
    lua_pop(L, 1);
    return same;
}

/* ---- globals */

void environment_suggest_locals(lua_State *L, int level, struct suggest *suggest)
{
    lua_Debug ar;
    const char *name;

    if (!lua_getstack(L, level, &ar))
        return;
    for (int i = 1; (name = lua_getlocal(L, &ar, i)); i++) {
        lua_pop(L, 1);
        if (*name != '(')
            suggest_try(suggest, name);
    }
    lua_getinfo(L, "f", &ar);
    for (int i = 1; (name = lua_getupvalue(L, -1, i)); i++) {
        lua_pop(L, 1);
        if (*name && strcmp(name, "_ENV"))
            suggest_try(suggest, name);
    }
    lua_pop(L, 1);
}

void environment_suggest_library(lua_State *L, struct suggest *suggest)
{
    sandbox_push_library(L);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        if (lua_type(L, -2) == LUA_TSTRING)
            suggest_try(suggest, lua_tostring(L, -2)); /* the library keeps it alive */
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* A name that was written before was complained about then. */
static bool was_written(lua_State *L, int key)
{
    bool written;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &written_key);
    lua_pushvalue(L, key);
    lua_rawget(L, -2);
    written = lua_toboolean(L, -1);
    lua_pop(L, 2);
    return written;
}

static void complain_unknown(lua_State *L, const char *name)
{
    struct load *load = load_of(L);
    struct position at = load_caller(L, 1);
    struct suggest suggest = suggest_for(name);
    const char *why = sandbox_why_not(name);

    environment_suggest_locals(L, 1, &suggest);
    environment_suggest_library(L, &suggest);
    if (why)
        load_problem_at(load, &at, "'%s' is not available here: %s", name, why);
    else if (!strcmp(name, "kpipe") || !strcmp(name, "k"))
        load_problem_at(load, &at, "'%s' is not defined: begin with local k = require \"kpipe\"",
                        name);
    else if (suggest_best(&suggest))
        load_problem_at(load, &at, "'%s' is not defined, did you mean '%s'?", name,
                        suggest_best(&suggest));
    else
        load_problem_at(load, &at, "'%s' is not defined", name);
}

static int read_global(lua_State *L)
{
    lua_settop(L, 2);
    sandbox_push_library(L);
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    if (!lua_isnil(L, -1))
        return 1;
    if (lua_type(L, 2) == LUA_TSTRING && !was_written(L, 2))
        complain_unknown(L, lua_tostring(L, 2));
    poison_push(L);
    return 1;
}

static int write_global(lua_State *L)
{
    struct load *load = load_of(L);
    struct position at = load_caller(L, 1);
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";

    load_problem_at(load, &at, "use 'local %s': a pipeline file has no globals", name);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &written_key);
    lua_pushvalue(L, 2);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    return 0;
}

void environment_push(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &environment_key);
}

void environment_open(struct load *load)
{
    lua_State *L = load->L;

    open_poison(L);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &written_key);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &loaded_key);
    sandbox_push_library(L);
    lua_pushcfunction(L, environment_require);
    lua_setfield(L, -2, "require");
    lua_pop(L, 1);
    lua_newtable(L);
    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, read_global);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, write_global);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &environment_key);
}

/* ---- require */

/* "lib.rules" is lib/rules.lua; dots alone, slashes and empty parts would leave the folder. */
static bool is_module_name(const char *name)
{
    bool begins = true;

    for (; *name; name++) {
        if (*name == '.' ? begins : !isalnum((unsigned char)*name) && !strchr("_-", *name))
            return false;
        begins = *name == '.';
    }
    return !begins;
}

static const char *module_path(struct load *load, const char *name)
{
    char *path = arena_fmt(load->arena, "%s%s.lua", load->dir, name);

    for (char *at = path + strlen(load->dir); strcmp(at, ".lua"); at++)
        if (*at == '.')
            *at = '/';
    return path;
}

static int load_module(lua_State *L, const char *name)
{
    struct load *load = load_of(L);
    struct source_file *file = arena_alloc(load->arena, sizeof *file);
    struct position at = load_caller(L, 1);
    const char *why = NULL;

    *file = (struct source_file){.module = arena_dup(load->arena, name)};
    file->path = module_path(load, name);
    file->text = load_read(load, file->path, &why);
    if (!file->text) {
        load_problem_at(load, &at, "require \"%s\": %s %s", name, file->path, why);
        poison_push(L);
        return 1;
    }
    file->next = load->files;
    load->files = file;
    if (load_chunk(load, file))
        lua_call(L, 0, 1);
    else
        poison_push(L);
    return 1;
}

bool environment_is_module(lua_State *L, int index)
{
    bool same;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &loaded_key);
    lua_getfield(L, -1, "kpipe");
    same = lua_istable(L, index) && lua_rawequal(L, -1, index);
    lua_pop(L, 2);
    return same;
}

int environment_require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    struct load *load = load_of(L);

    if (!is_module_name(name)) {
        struct position at = load_caller(L, 1);

        load_problem_at(load, &at,
                        "require \"%s\": a name is \"kpipe\", or that of a file below the "
                        "pipeline's folder without .lua, folders divided by dots",
                        name);
        poison_push(L);
        return 1;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &loaded_key);
    if (lua_getfield(L, -1, name) == LUA_TBOOLEAN)
        return luaL_error(L, "require \"%s\": the file requires itself", name);
    if (!lua_isnil(L, -1))
        return 1;
    lua_pop(L, 1);
    if (!strcmp(name, "kpipe")) {
        module_push(load);
    } else {
        lua_pushboolean(L, 0); /* on its way */
        lua_setfield(L, -2, name);
        load_module(L, name);
        if (lua_isnil(L, -1) || lua_isboolean(L, -1))
            return luaL_error(L, "require \"%s\": the file returns no value", name);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, name);
    return 1;
}
