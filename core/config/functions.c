/* functions.c - see load.h: a Lua function of the file becomes bytecode and constants.
 *
 * The same function is taken once, so that two stages that share it share its
 * id. A function that captures itself finds itself in the table of taken ones.
 */
#include <lauxlib.h>
#include <string.h>

#include "core/config/function.h"
#include "core/config/load.h"

#define CODE_MAX  (4 << 20)
#define DEPTH_MAX 50

static const char taken_key = 0;

struct take {
    struct load *load;
    const char *why; /* NULL: fine so far */
    int depth;
};

static struct kp_function *take(struct take *call, int index);

/* registry[taken_key], a table of function to light userdata. */
static void push_taken(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &taken_key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &taken_key);
}

struct code {
    struct load *load;
    char *data;
    size_t len, cap;
};

static int add_code(lua_State *L, const void *piece, size_t len, void *arg)
{
    struct code *code = arg;

    (void)L;
    if (code->len + len > CODE_MAX)
        return 1;
    while (code->len + len > code->cap) {
        size_t cap = code->cap ? code->cap * 2 : 1024;
        char *grown = arena_alloc(code->load->arena, cap);

        if (code->len)
            memcpy(grown, code->data, code->len);
        code->data = grown;
        code->cap = cap;
    }
    memcpy(code->data + code->len, piece, len);
    code->len += len;
    return 0;
}

static const char *hint_of(lua_State *L, int index)
{
    if (environment_is_module(L, index))
        return "the kpipe module (what a function needs of it, it takes out before)";
    if (lua_istable(L, index))
        return "a table (take what you need out of it first: local limit = t.limit)";
    return value_describe(load_of(L), index);
}

/* The captured value at the top; false with call->why when it cannot travel. */
static bool take_constant(struct take *call, const char *name, const struct kp_function *fn,
                          struct constant *ret)
{
    struct load *load = call->load;
    lua_State *L = load->L;
    const char *library = sandbox_name_of(L, lua_gettop(L)), *text;

    if (library) {
        *ret = (struct constant){.kind = CONSTANT_LIBRARY, .text = arena_dup(load->arena, library)};
        return true;
    }
    switch (lua_type(L, -1)) {
    case LUA_TNIL: ret->kind = CONSTANT_NIL; return true;
    case LUA_TBOOLEAN:
        *ret = (struct constant){.kind = CONSTANT_BOOL, .integer = lua_toboolean(L, -1)};
        return true;
    case LUA_TNUMBER:
        ret->kind = lua_isinteger(L, -1) ? CONSTANT_INT : CONSTANT_NUMBER;
        ret->integer = lua_tointeger(L, -1);
        ret->number = lua_tonumber(L, -1);
        return true;
    case LUA_TSTRING:
        text = lua_tolstring(L, -1, &ret->text_len);
        ret->kind = CONSTANT_STRING;
        ret->text = arena_dupn(load->arena, text, ret->text_len);
        return true;
    case LUA_TFUNCTION:
        ret->kind = CONSTANT_FUNCTION;
        ret->fn = take(call, lua_gettop(L));
        return ret->fn;
    default: break;
    }
    if (poison_is(L, -1)) /* was complained about where it was made */
        return true;
    call->why = arena_fmt(load->arena,
                          "the function of %s captures the variable '%s', which is %s; only "
                          "constants and functions may be captured",
                          fn->where, name, hint_of(L, lua_gettop(L)));
    return false;
}

static bool take_upvalues(struct take *call, int index, struct kp_function *fn)
{
    struct load *load = call->load;
    lua_State *L = load->L;
    size_t cap = 0;
    const char *name;

    for (int i = 1; (name = lua_getupvalue(L, index, i)); i++) {
        struct constant constant = {0};
        bool ok = true, is_env;

        environment_push(L);
        is_env = lua_rawequal(L, -1, -2);
        lua_pop(L, 1);
        if (is_env)
            constant.kind = CONSTANT_ENV;
        else
            ok = take_constant(call, name, fn, &constant);
        lua_pop(L, 1);
        if (!ok)
            return false;
        arena_room(load->arena, &fn->upvalues, &cap, fn->n_upvalues, sizeof *fn->upvalues);
        fn->upvalues[fn->n_upvalues++] = constant;
    }
    return true;
}

static const char *where_of(struct load *load, int index)
{
    struct source_file *file;
    lua_Debug ar;

    lua_pushvalue(load->L, index);
    lua_getinfo(load->L, ">S", &ar);
    file = load_file_of(load, ar.source);
    return arena_fmt(load->arena, "%s:%d", file ? file->path : ar.short_src, ar.linedefined);
}

/* Bytecode and values of the function at `index`; registered before its upvalues are looked at. */
static struct kp_function *take_new(struct take *call, int index)
{
    struct load *load = call->load;
    lua_State *L = load->L;
    struct kp_function *fn = arena_alloc(load->arena, sizeof *fn);
    struct code code = {.load = load};

    fn->id = ++load->n_functions;
    fn->where = arena_dup(load->arena, where_of(load, index));
    push_taken(L);
    lua_pushvalue(L, index);
    lua_pushlightuserdata(L, fn);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    lua_pushvalue(L, index);
    if (lua_dump(L, add_code, &code, 0) != 0) {
        lua_pop(L, 1);
        call->why = "the function is too large";
        return NULL;
    }
    lua_pop(L, 1);
    fn->code = code.data;
    fn->code_len = code.len;
    function_check_globals(load, fn);
    return take_upvalues(call, index, fn) ? fn : NULL;
}

static struct kp_function *take(struct take *call, int index)
{
    struct load *load = call->load;
    lua_State *L = load->L;
    struct kp_function *fn;

    luaL_checkstack(L, 20, "functions nested too deeply");
    if (lua_iscfunction(L, index)) {
        call->why = "a function of the kpipe module cannot be used on records";
        return NULL;
    }
    if (call->depth == DEPTH_MAX) {
        call->why = "functions capture each other too deeply";
        return NULL;
    }
    push_taken(L);
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    fn = lua_touserdata(L, -1);
    lua_pop(L, 2);
    if (fn)
        return fn;
    call->depth++;
    fn = take_new(call, index);
    call->depth--;
    return fn;
}

const struct kp_function *function_take(struct load *load, int index, const char **ret_why)
{
    struct take call = {.load = load};
    const char *library = sandbox_name_of(load->L, index);
    const struct kp_function *fn;

    if (library) {
        *ret_why = arena_fmt(load->arena, "must be a function of the file, got %s", library);
        return NULL;
    }
    fn = take(&call, index);
    *ret_why = call.why;
    return fn;
}
