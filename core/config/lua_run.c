/* lua_run.c - see lua_run.h.
 *
 * A call is: push the function and the two reused values, lua_pcall(), look at
 * what came back. The result stays on the stack until the next call, so a text
 * is handed out without a copy. What is done outside of the protected call uses
 * only calls of Lua that do not raise errors.
 */
#include "core/config/lua_run.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/config/function.h"
#include "core/config/lua_json.h"
#include "core/config/lua_record.h"
#include "core/config/sandbox.h"

#define MEMORY_BYTES ((int64_t)64 << 20)
#define RECORD_NS    1000000000 /* CPU time of one call for a record */

struct made {
    const struct kp_function *fn; /* [borrowed from the plan] NULL: not made yet */
    int ref;
};

struct lua_run {
    struct sandbox sandbox; /* first: sandbox_of() gives the run */
    struct lua_record record;
    struct made *made; /* by id [owned] */
    size_t n_made;
    int environment; /* ref */
    struct kpw_buf out;
    /* of the handler call under way */
    const kp_function *fn;
    kp_slice event, context;
};

static struct lua_run *run_of(lua_State *L)
{
    return (struct lua_run *)sandbox_of(L);
}

struct lua_record *lua_record_of(lua_State *L)
{
    return &run_of(L)->record;
}

/* ---- the environment: the library, read-only; everything else is an error */

static int unknown_global(lua_State *L)
{
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
    const char *why = sandbox_why_not(name);

    if (why)
        return luaL_error(L, "'%s' is not available here: %s", name, why);
    return luaL_error(L, "'%s' is not defined", name);
}

static int refuse_global(lua_State *L)
{
    return luaL_error(L, "use 'local %s': a pipeline file has no globals",
                      lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?");
}

static void push_guard(lua_State *L, const char *event, lua_CFunction refuse)
{
    lua_createtable(L, 0, 3);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pushcfunction(L, refuse);
    lua_setfield(L, -2, event);
}

static int open_state(lua_State *L)
{
    struct lua_run *run = run_of(L);

    lua_newtable(L);
    push_guard(L, "__newindex", refuse_global);
    sandbox_push_library(L);
    push_guard(L, "__index", unknown_global);
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    run->environment = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_record_open(L);
    return SLOT_LAST;
}

struct lua_run *lua_run_new(int64_t memory_bytes)
{
    struct lua_run *run = mem_new(sizeof *run);
    size_t limit = (size_t)(memory_bytes > 0 ? memory_bytes : MEMORY_BYTES);

    run->out.limit = limit;
    if (!sandbox_init(&run->sandbox, limit, "the function"))
        bug("no memory for a Lua state");
    lua_pushcfunction(run->sandbox.L, open_state);
    if (lua_pcall(run->sandbox.L, 0, SLOT_LAST, 0) != LUA_OK)
        bug("a Lua state needs more than %zu bytes", limit);
    return run;
}

void lua_run_free(struct lua_run *run)
{
    if (!run)
        return;
    sandbox_fini(&run->sandbox);
    lua_record_fini(&run->record);
    kpw_buf_fini(&run->out);
    free(run->made);
    free(run);
}

/* ---- functions are made when they are first called */

static void make(lua_State *L, struct lua_run *run, const struct kp_function *fn);

static struct made *made_of(struct lua_run *run, uint32_t id)
{
    size_t n = run->n_made;

    if (id >= n) {
        run->n_made = (size_t)id + 16;
        run->made = mem_grow(run->made, run->n_made * sizeof *run->made);
        memset(run->made + n, 0, (run->n_made - n) * sizeof *run->made);
    }
    return &run->made[id];
}

static void push_function(lua_State *L, struct lua_run *run, const struct kp_function *fn)
{
    if (made_of(run, fn->id)->fn != fn)
        make(L, run, fn);
    lua_rawgeti(L, LUA_REGISTRYINDEX, made_of(run, fn->id)->ref);
}

static void push_constant(lua_State *L, struct lua_run *run, const struct constant *constant)
{
    switch (constant->kind) {
    case CONSTANT_NIL: lua_pushnil(L); break;
    case CONSTANT_BOOL: lua_pushboolean(L, constant->integer != 0); break;
    case CONSTANT_INT: lua_pushinteger(L, constant->integer); break;
    case CONSTANT_NUMBER: lua_pushnumber(L, constant->number); break;
    case CONSTANT_STRING: lua_pushlstring(L, constant->text, constant->text_len); break;
    case CONSTANT_FUNCTION: push_function(L, run, constant->fn); break;
    case CONSTANT_ENV: lua_rawgeti(L, LUA_REGISTRYINDEX, run->environment); break;
    case CONSTANT_LIBRARY: sandbox_push_named(L, constant->text); break;
    }
}

/* Registered before its upvalues are made: a function may capture itself. */
static void make(lua_State *L, struct lua_run *run, const struct kp_function *fn)
{
    int ref;

    luaL_checkstack(L, 8, "functions nested too deeply");
    if (luaL_loadbufferx(L, fn->code, fn->code_len, fn->where, "b") != LUA_OK)
        lua_error(L);
    lua_pushvalue(L, -1);
    ref = luaL_ref(L, LUA_REGISTRYINDEX);
    *made_of(run, fn->id) = (struct made){fn, ref};
    for (size_t i = 0; i < fn->n_upvalues; i++) {
        push_constant(L, run, &fn->upvalues[i]);
        if (!lua_setupvalue(L, -2, (int)i + 1))
            lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static int make_protected(lua_State *L)
{
    struct lua_run *run = run_of(L);

    push_function(L, run, run->fn);
    return 1;
}

/* ---- results */

__attribute__((format(printf, 3, 4))) static kp_lua_result fail(struct lua_run *run, kp_slice *ret,
                                                                const char *fmt, ...)
{
    va_list args;

    kpw_buf_fini(&run->out);
    va_start(args, fmt);
    kpw_buf_vappendf(&run->out, fmt, args);
    va_end(args);
    *ret = (kp_slice){run->out.ptr ? run->out.ptr : "", run->out.len};
    return KP_LUA_ERROR;
}

/* The error at the top of the stack. */
static kp_lua_result call_failed(struct lua_run *run, const kp_function *fn, int status,
                                 kp_slice *ret)
{
    lua_State *L = run->sandbox.L;

    if (run->sandbox.is_over || run->sandbox.is_nudged)
        sandbox_rearm(&run->sandbox);
    if (status == LUA_ERRMEM) {
        lua_settop(L, SLOT_LAST);
        lua_gc(L, LUA_GCCOLLECT);
        return fail(run, ret, "%s: the functions need more than %zu MiB of memory", fn->where,
                    run->sandbox.limit >> 20);
    }
    if (lua_type(L, -1) == LUA_TSTRING) {
        ret->ptr = lua_tolstring(L, -1, &ret->len);
        return KP_LUA_ERROR;
    }
    kpw_buf_clear(&run->out);
    if (lua_isnumber(L, -1) || lua_istable(L, -1)) {
        const char *why = lua_json_put(L, -1, &run->out);

        if (!why && !run->out.failed) {
            *ret = (kp_slice){run->out.ptr, run->out.len};
            return KP_LUA_ERROR;
        }
    }
    return fail(run, ret, "%s: error() was called with a %s", fn->where,
                lua_typename(L, lua_type(L, -1)));
}

static kp_lua_result give_out(struct lua_run *run, kp_slice *ret)
{
    if (run->out.failed)
        return fail(run, ret, "the result needs more than %zu MiB", run->sandbox.limit >> 20);
    *ret = (kp_slice){run->out.ptr ? run->out.ptr : "", run->out.len};
    return KP_LUA_TEXT;
}

/* The value at the top as JSON. */
static kp_lua_result give_json(struct lua_run *run, const kp_function *fn, kp_slice *ret)
{
    const char *why = lua_json_put(run->sandbox.L, -1, &run->out);

    if (why)
        return fail(run, ret, "%s: the result: %s", fn->where, why);
    return give_out(run, ret);
}

static kp_lua_result give_record(struct lua_run *run, const kp_function *fn, kp_slice *ret)
{
    bool is_changed = false;
    const char *why = lua_record_put(run->sandbox.L, &run->record, &run->out, &is_changed);

    if (why)
        return fail(run, ret, "%s: the record: %s", fn->where, why);
    return is_changed ? give_out(run, ret) : KP_LUA_SAME;
}

/* What a function of a record returned, at the top. */
static kp_lua_result take_result(struct lua_run *run, const kp_function *fn, kp_slice *ret)
{
    lua_State *L = run->sandbox.L;

    switch (lua_type(L, -1)) {
    case LUA_TNIL: return KP_LUA_NIL;
    case LUA_TBOOLEAN: return lua_toboolean(L, -1) ? KP_LUA_SAME : KP_LUA_NIL;
    case LUA_TSTRING: ret->ptr = lua_tolstring(L, -1, &ret->len); return KP_LUA_TEXT;
    case LUA_TUSERDATA:
        if (lua_rawequal(L, -1, SLOT_RECORD))
            return give_record(run, fn, ret);
        break;
    default: break;
    }
    return give_json(run, fn, ret);
}

/* ---- calls */

/* The stack as it must be, out empty; pushes fn. A status of Lua, with the error at the top. */
static int begin_call(struct lua_run *run, const kp_function *fn)
{
    lua_State *L = run->sandbox.L;

    lua_settop(L, SLOT_LAST);
    if (run->out.failed || run->out.cap > 1 << 20)
        kpw_buf_fini(&run->out);
    kpw_buf_clear(&run->out);
    if (fn->id < run->n_made && run->made[fn->id].fn == fn) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, run->made[fn->id].ref);
        return LUA_OK;
    }
    run->fn = fn;
    lua_pushcfunction(L, make_protected);
    return lua_pcall(L, 0, 1, 0);
}

kp_lua_result lua_run_record(struct lua_run *run, const kp_function *fn, const kp_batch *b,
                             uint32_t i, kp_slice *ret)
{
    lua_State *L = run->sandbox.L;
    kp_lua_result result;
    int status = begin_call(run, fn);

    *ret = (kp_slice){"", 0};
    if (status != LUA_OK)
        return call_failed(run, fn, status, ret);
    lua_record_begin(L, &run->record, b, i);
    lua_pushvalue(L, SLOT_RECORD);
    lua_pushvalue(L, SLOT_CONTEXT);
    sandbox_start(&run->sandbox, RECORD_NS);
    status = lua_pcall(L, 2, 1, 0);
    result = status == LUA_OK ? take_result(run, fn, ret) : call_failed(run, fn, status, ret);
    lua_record_end(&run->record);
    return result;
}

static void push_json(lua_State *L, kp_slice text, const char *what)
{
    struct kpw_json r;

    if (!lua_json_push_text(L, kpw_slice(text.ptr, text.len), &r))
        luaL_error(L, "the %s is not JSON: %s", what, r.error);
}

static int handler_body(lua_State *L)
{
    struct lua_run *run = run_of(L);

    push_function(L, run, run->fn);
    push_json(L, run->event, "event");
    if (run->context.len)
        push_json(L, run->context, "context");
    else
        lua_newtable(L);
    lua_call(L, 2, 1);
    return 1;
}

kp_lua_result lua_run_handler(struct lua_run *run, const kp_function *fn, kp_slice event,
                              kp_slice context, int64_t time_ms, kp_slice *ret)
{
    lua_State *L = run->sandbox.L;
    int status = begin_call(run, fn);

    *ret = (kp_slice){"", 0};
    if (status != LUA_OK)
        return call_failed(run, fn, status, ret);
    lua_settop(L, SLOT_LAST);
    run->event = event;
    run->context = context;
    run->fn = fn;
    lua_pushcfunction(L, handler_body);
    sandbox_start(&run->sandbox, time_ms > 0 ? time_ms * 1000000 : 0);
    status = lua_pcall(L, 0, 1, 0);
    if (status != LUA_OK)
        return call_failed(run, fn, status, ret);
    return lua_isnil(L, -1) ? KP_LUA_NIL : give_json(run, fn, ret);
}

static kp_lua_result find_field(struct lua_run *run, const char *path, const kp_record *record,
                                kp_slice *ret)
{
    struct kpw_slice raw;

    switch (kpw_json_find(kpw_slice(record->data, record->data_len), path, &raw)) {
    case KPW_JSON_END:
    case KPW_JSON_NULL: return KP_LUA_NIL;
    case KPW_JSON_ERROR: return fail(run, ret, "%s: the record is not JSON", path);
    case KPW_JSON_STRING:
        if (memchr(raw.ptr, '\\', raw.len)) {
            kpw_json_unescape(raw, &run->out);
            return give_out(run, ret);
        }
        /* fall through */
    default: *ret = (kp_slice){raw.ptr, raw.len}; return KP_LUA_TEXT;
    }
}

kp_lua_result lua_run_value(struct lua_run *run, const kp_value *value, const kp_batch *b,
                            uint32_t i, kp_slice *ret)
{
    *ret = (kp_slice){"", 0};
    if (run->out.failed)
        kpw_buf_fini(&run->out);
    switch (value->kind) {
    case KP_V_TEXT:
    case KP_V_SECRET: *ret = (kp_slice){value->text, strlen(value->text)}; return KP_LUA_TEXT;
    case KP_V_FIELD:
        kpw_buf_clear(&run->out);
        return find_field(run, value->text, kp_at(b, i), ret);
    case KP_V_FUNCTION: return lua_run_record(run, value->fn, b, i, ret);
    case KP_V_NONE: break;
    }
    return KP_LUA_NIL;
}
