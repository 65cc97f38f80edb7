/* load.c - plan_load(): the state, the file, the order of things; see load.h. */
#include "core/config/load.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/mem.h"

#define LOAD_MS    2000
#define LOAD_BYTES ((int64_t)64 << 20)
#define FILE_MAX   (1 << 20)

struct load *load_of(lua_State *L)
{
    return (struct load *)sandbox_of(L);
}

/* ---- problems and where they are */

void load_problem(struct load *load, const char *file, int line, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    problems_vadd(&load->problems, file, line, fmt, args);
    va_end(args);
}

void load_problem_at(struct load *load, const struct position *position, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    problems_vadd(&load->problems, position->text ? position->text->file : load->file,
                  position->line, fmt, args);
    va_end(args);
}

struct source_file *load_file_of(struct load *load, const char *chunkname)
{
    if (*chunkname == '@')
        chunkname++;
    for (struct source_file *file = load->files; file; file = file->next)
        if (!strcmp(file->path, chunkname))
            return file;
    return NULL;
}

/* The nearest Lua frame from `level` on. */
struct position load_caller(lua_State *L, int level)
{
    struct position position = {0};
    struct source_file *file;
    lua_Debug ar;

    for (; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline <= 0)
            continue;
        file = load_file_of(load_of(L), ar.source);
        position.text = file ? file->text : NULL;
        position.line = ar.currentline;
        break;
    }
    return position;
}

/* ---- files */

static bool read_all(int fd, char *data, size_t len, size_t *ret_len)
{
    size_t at = 0;
    ssize_t n = 1;

    while (at < len && n != 0) {
        n = read(fd, data + at, len - at);
        if (n < 0 && errno != EINTR)
            return false;
        at += n > 0 ? (size_t)n : 0;
    }
    *ret_len = at;
    return true;
}

struct text *load_read(struct load *load, const char *path, const char **ret_why)
{
    struct stat st;
    char *data;
    size_t len = 0;
    bool ok;
    int fd;

    if (stat(path, &st) < 0) {
        *ret_why = arena_fmt(load->arena, "cannot be read: %s", strerror(errno));
        return NULL;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
        *ret_why = S_ISREG(st.st_mode) ? "is larger than 1MiB" : "is not a file";
        return NULL;
    }
    data = arena_alloc(load->arena, (size_t)st.st_size + 1); /* first: it may not return */
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ok = fd >= 0 && read_all(fd, data, (size_t)st.st_size, &len);
    if (!ok)
        *ret_why = arena_fmt(load->arena, "cannot be read: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok ? position_read(load->arena, path, data, len) : NULL;
}

/* ---- running the file */

/* "file:12: text" of the Lua compiler: the line, and *text moves behind it. */
static int split_position(const char **text)
{
    const char *at = *text;

    while ((at = strchr(at, ':'))) {
        char *end;
        long line = strtol(++at, &end, 10);

        if (end == at || end[0] != ':' || end[1] != ' ')
            continue;
        *text = end + 2;
        return (int)line;
    }
    return 0;
}

/* The uncaught error at the top of the stack becomes a problem. */
static int report_error(lua_State *L)
{
    struct load *load = load_of(L);
    struct position at = load_caller(L, 1);
    const char *text = lua_type(L, 1) == LUA_TSTRING ? lua_tostring(L, 1) : NULL;
    lua_Debug ar;
    char prefix[LUA_IDSIZE + 20];

    if (!text) {
        load_problem_at(load, &at, "error() was called with %s", value_describe(load, 1));
        return 0;
    }
    for (int level = 1; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        snprintf(prefix, sizeof prefix, "%s:%d: ", ar.short_src, ar.currentline);
        if (ar.currentline <= 0 || strncmp(text, prefix, strlen(prefix)) != 0)
            continue;
        text += strlen(prefix);
        break;
    }
    if (!load->problems.n || !strstr(text, "undefined value")) /* poison was reported before */
        load_problem_at(load, &at, "%s", text);
    return 0;
}

/* The bytes of a byte order mark and of a first line "#!/usr/bin/env ...", without its newline. */
static size_t first_line(const struct text *text)
{
    size_t at = text->len >= 3 && !memcmp(text->data, "\xef\xbb\xbf", 3) ? 3 : 0;

    if (at < text->len && text->data[at] == '#')
        while (at < text->len && text->data[at] != '\n')
            at++;
    return at;
}

bool load_chunk(struct load *load, const struct source_file *file)
{
    lua_State *L = load->L;
    const char *name = arena_fmt(load->arena, "@%s", file->path), *text;
    size_t skip;
    int line;

    skip = first_line(file->text);
    if (file->text->len && file->text->data[0] == LUA_SIGNATURE[0]) {
        load_problem(load, file->path, 0, "this is compiled Lua, a pipeline file is text");
        return false;
    }
    switch (luaL_loadbufferx(L, file->text->data + skip, file->text->len - skip, name, "t")) {
    case LUA_OK: break;
    case LUA_ERRSYNTAX:
        text = lua_tostring(L, -1);
        line = split_position(&text);
        load_problem(load, file->path, line, "%s", text);
        lua_pop(L, 1);
        return false;
    case LUA_ERRRUN: /* nested too deeply; report_error() has told it already */
        lua_pop(L, 1);
        return false;
    default: lua_error(L);
    }
    environment_push(L);
    if (!lua_setupvalue(L, -2, 1))
        lua_pop(L, 1); /* a file without any global look-up */
    return true;
}

/* Everything that touches Lua; lua_pcall() stands around it. */
static int run_file(lua_State *L)
{
    struct load *load = load_of(L);
    struct source_file *file = arena_alloc(load->arena, sizeof *file);
    const char *why = NULL;
    int n;

    *file = (struct source_file){.path = load->file};
    file->text = load_read(load, load->file, &why);
    if (!file->text) {
        load_problem(load, load->file, 0, "%s", why);
        return 0;
    }
    load->files = file;
    value_open(L);
    environment_open(load);
    if (!load_chunk(load, file))
        return 0;
    lua_call(L, 0, LUA_MULTRET);
    n = lua_gettop(L);
    if (n == 1 && lua_istable(L, 1))
        pipeline_read(load, 1);
    else if (n != 1)
        load_problem(load, load->file, 0, "the file returns %s: it ends with return { ... }",
                     n ? "more than one value" : "nothing");
    else if (!poison_is(L, 1))
        load_problem(load, load->file, 0, "the file must return a table, it returns %s",
                     value_describe(load, 1));
    params_check_sets(load);
    return 0;
}

/* ---- plan_load() */

static void arena_is_full(void *arg)
{
    struct load *load = arg;

    load->sandbox.is_full = true;
    luaL_error(load->L, "not enough memory");
}

static const char *folder_of(struct arena *arena, const char *file)
{
    const char *slash = strrchr(file, '/');

    return arena_dupn(arena, file, slash ? (size_t)(slash - file) + 1 : 0);
}

static void run_protected(struct load *load, int64_t limit)
{
    lua_State *L = load->L;
    int status;

    lua_pushcfunction(L, report_error);
    lua_pushcfunction(L, run_file);
    status = lua_pcall(L, 0, 0, 1);
    if (status == LUA_ERRMEM)
        load_problem(load, load->file, 0, "loading the file needs more than %lld MiB of memory",
                     (long long)(limit >> 20));
    else if (status != LUA_OK && !load->problems.n)
        load_problem(load, load->file, 0, "loading ended with an error in an error");
}

struct plan *plan_load(const char *file, const struct plan_options *options, FILE *problems)
{
    int64_t limit = options->load_bytes > 0 ? options->load_bytes : LOAD_BYTES;
    int64_t limit_ms = options->load_ms > 0 ? options->load_ms : LOAD_MS;
    struct load load = {.options = options, .file = file};
    struct plan *plan = mem_new(sizeof *plan);

    load.plan = plan;
    load.arena = arena_new((size_t)limit, arena_is_full, &load);
    plan->owned = load.arena;
    load.set_used = mem_new(options->n_sets * sizeof *load.set_used);
    if (sandbox_init(&load.sandbox, (size_t)limit, "loading the file")) {
        load.L = load.sandbox.L;
        load.dir = folder_of(load.arena, file);
        load.file = plan->file = arena_dup(load.arena, file);
        sandbox_start(&load.sandbox, limit_ms * 1000000);
        run_protected(&load, limit);
    } else {
        load_problem(&load, file, 0, "no memory for Lua");
    }
    sandbox_fini(&load.sandbox);
    if (load.problems.n) {
        problems_write(&load.problems, file, problems);
        plan_free(plan);
        plan = NULL;
    }
    problems_fini(&load.problems);
    free(load.set_used);
    return plan;
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    arena_free(plan->owned);
    free(plan);
}
