/* sandbox.c - see sandbox.h. */
#include "core/config/sandbox.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/config/lua_json.h"
#include "core/config/lua_pattern.h"

#define HOOK_EVERY 1000      /* instructions, some microseconds; a call into C may be one of them */
#define CHURN_MAX  (4 << 20) /* bytes of memory that are as good as HOOK_EVERY instructions */
#define COARSE_NS  10000000  /* the coarse clock may be that late */

const char sandbox_library_key = 0, sandbox_names_key = 0;

static const char *const base_names[] = {
    "assert", "error",  "ipairs", "next",     "pairs",    "pcall", "rawequal",
    "rawget", "rawlen", "select", "tonumber", "tostring", "type",  "_VERSION",
};

static int open_json(lua_State *L)
{
    lua_json_open(L);
    return 1;
}

static const struct module {
    const char *name;
    lua_CFunction open;
} modules[] = {
    {"string", luaopen_string}, {"table", luaopen_table}, {"math", luaopen_math},
    {"utf8", luaopen_utf8},     {"json", open_json},
};

/* ---- limits */

static void check_time(lua_State *L, lua_Debug *ar);

static void *allocate(void *arg, void *block, size_t old_size, size_t size)
{
    struct sandbox *sandbox = arg;
    size_t old = block ? old_size : 0;
    void *fresh;

    if (size == 0) {
        sandbox->used -= old;
        free(block);
        return NULL;
    }
    if (size > old && size - old > sandbox->limit - sandbox->used) {
        sandbox->is_full = true;
        return NULL;
    }
    fresh = realloc(block, size);
    if (!fresh)
        return NULL;
    sandbox->used += size - old; /* wraps correctly when it shrinks */
    sandbox->churn += size;
    if (sandbox->churn > CHURN_MAX && sandbox->L && !sandbox->is_nudged && !sandbox->is_over) {
        sandbox->is_nudged = true; /* few instructions can fill much memory, which takes time */
        lua_sethook(sandbox->L, check_time, LUA_MASKCOUNT, 1);
    }
    return fresh;
}

static int64_t clock_ns(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* True when the call's CPU time is used up. The thread's clock is a system call, so the coarse one
 * is asked first: CPU time never runs faster than it. */
static bool is_late(struct sandbox *sandbox)
{
    int64_t now, wall;

    if (!sandbox->budget_ns)
        return false;
    if (sandbox->is_over)
        return true;
    wall = clock_ns(CLOCK_MONOTONIC_COARSE);
    if (sandbox->end_ns && wall < sandbox->look_ns)
        return false;
    now = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    if (!sandbox->end_ns)
        sandbox->end_ns = now + sandbox->budget_ns;
    sandbox->look_ns = wall + sandbox->end_ns - now - COARSE_NS;
    return now >= sandbox->end_ns;
}

static void end_call(lua_State *L, struct sandbox *sandbox)
{
    /* From now on at every instruction, so that no pcall() in a loop can swallow it. */
    sandbox->is_over = true;
    lua_sethook(L, check_time, LUA_MASKCOUNT, 1);
    luaL_error(L, "%s took longer than %d ms of CPU time", sandbox->what,
               (int)(sandbox->budget_ns / 1000000));
}

static void check_time(lua_State *L, lua_Debug *ar)
{
    struct sandbox *sandbox = sandbox_of(L);

    (void)ar;
    sandbox->churn = 0;
    if (sandbox->is_nudged && !sandbox->is_over) {
        sandbox->is_nudged = false;
        lua_sethook(L, check_time, LUA_MASKCOUNT, HOOK_EVERY);
    }
    if (is_late(sandbox))
        end_call(L, sandbox);
}

void sandbox_look(lua_State *L)
{
    struct sandbox *sandbox = sandbox_of(L);

    if (is_late(sandbox))
        end_call(L, sandbox);
}

void sandbox_rearm(struct sandbox *sandbox)
{
    sandbox->is_over = sandbox->is_nudged = false;
    sandbox->churn = 0;
    lua_sethook(sandbox->L, check_time, LUA_MASKCOUNT, HOOK_EVERY);
}

struct sandbox *sandbox_of(lua_State *L)
{
    struct sandbox *sandbox;

    memcpy(&sandbox, lua_getextraspace(L), sizeof sandbox);
    return sandbox;
}

/* ---- the library */

static int refuse_write(lua_State *L)
{
    return luaL_error(L, "the library is read-only: '%s' cannot be set",
                      lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "this");
}

void sandbox_guard(lua_State *L, lua_CFunction refuse)
{
    lua_createtable(L, 0, 3);
    lua_insert(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

void sandbox_freeze(lua_State *L)
{
    lua_newtable(L);
    lua_pushvalue(L, -2);
    sandbox_guard(L, refuse_write);
    lua_remove(L, -2);
}

/* names[value at the top] = path; the value stays. */
static void remember_name(lua_State *L, int names, const char *path)
{
    lua_pushvalue(L, -1);
    lua_pushstring(L, path);
    lua_rawset(L, names);
}

/* The module at the top: its functions get names, it becomes read-only. */
static void add_module(lua_State *L, int library, int names, const char *name)
{
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        if (lua_isfunction(L, -1) || lua_islightuserdata(L, -1)) {
            lua_pushfstring(L, "%s.%s", name, lua_tostring(L, -2));
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, names);
        }
        lua_pop(L, 1);
    }
    sandbox_freeze(L);
    remember_name(L, names, name);
    lua_setfield(L, library, name);
}

static int build_library(lua_State *L)
{
    int library, names;

    lua_newtable(L);
    library = lua_gettop(L);
    lua_newtable(L);
    names = lua_gettop(L);
    luaL_requiref(L, "_G", luaopen_base, 0);
    for (size_t i = 0; i < sizeof base_names / sizeof *base_names; i++) {
        lua_getfield(L, -1, base_names[i]);
        if (lua_isfunction(L, -1))
            remember_name(L, names, base_names[i]);
        lua_setfield(L, library, base_names[i]);
    }
    lua_pop(L, 1);
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        luaL_requiref(L, modules[i].name, modules[i].open, 0);
        if (!strcmp(modules[i].name, "string")) { /* bytecode is nobody's business here */
            lua_pushnil(L);
            lua_setfield(L, -2, "dump");
            lua_pattern_open(L);
        }
        add_module(L, library, names, modules[i].name);
    }
    /* Nothing but the safe library may be found from here on. */
    lua_pushglobaltable(L);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, -4);
    }
    lua_pop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &sandbox_names_key);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &sandbox_library_key);
    return 0;
}

bool sandbox_init(struct sandbox *sandbox, size_t limit, const char *what)
{
    lua_State *L;

    *sandbox = (struct sandbox){.limit = limit, .what = what, .scratch = {.limit = limit}};
    L = lua_newstate(allocate, sandbox);
    if (!L)
        return false;
    sandbox->L = L;
    memcpy(lua_getextraspace(L), &sandbox, sizeof sandbox);
    lua_pushcfunction(L, build_library);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
        sandbox_fini(sandbox);
        return false;
    }
    sandbox_rearm(sandbox);
    return true;
}

void sandbox_fini(struct sandbox *sandbox)
{
    if (sandbox->L)
        lua_close(sandbox->L);
    sandbox->L = NULL;
    kpw_buf_fini(&sandbox->scratch);
}

void sandbox_push_library(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &sandbox_library_key);
}

void sandbox_push_named(lua_State *L, const char *path)
{
    const char *dot = strchr(path, '.');

    sandbox_push_library(L);
    lua_pushlstring(L, path, dot ? (size_t)(dot - path) : strlen(path));
    lua_rawget(L, -2);
    if (dot && lua_istable(L, -1)) {
        lua_getfield(L, -1, dot + 1);
        lua_remove(L, -2);
    }
    lua_remove(L, -2);
}

const char *sandbox_name_of(lua_State *L, int index)
{
    const char *name;

    lua_pushvalue(L, index);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &sandbox_names_key);
    lua_insert(L, -2);
    lua_rawget(L, -2);
    name = lua_tostring(L, -1);
    lua_pop(L, 2);
    return name;
}

const char *sandbox_why_not(const char *name)
{
    static const struct {
        const char *name, *why;
    } known[] = {
        {"io", "a pipeline file reads no files; see k.file and k.secret"},
        {"os", "a pipeline file does not see the system; see k.env"},
        {"print", "a pipeline file has no output; see kpipe show"},
        {"debug", "a pipeline file cannot look into Lua"},
        {"load", "a pipeline file is all there is; see require"},
        {"loadstring", "a pipeline file is all there is; see require"},
        {"loadfile", "see require"},
        {"dofile", "see require"},
        {"package", "require finds files beside the pipeline file"},
        {"coroutine", "a pipeline file runs to its end at once"},
        {"collectgarbage", "memory is looked after"},
        {"setmetatable", "a pipeline file makes plain tables only"},
        {"getmetatable", "a pipeline file makes plain tables only"},
        {"rawset", "a pipeline file makes plain tables only"},
        {"xpcall", "see pcall"},
        {"_G", "a pipeline file has no globals"},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, name))
            return known[i].why;
    return NULL;
}
