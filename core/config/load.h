/* load.h - what the files of the loader share. Private to core/config.
 *
 *   load.c          plan_load(): the state, the file, the order of things
 *   environment.c   globals, require, poison
 *   module.c        what `require "kpipe"` gives: k.source.NAME {...} and so on
 *   value.c         stages, resources, secrets and fields as Lua values
 *   resources.c     k.resource.KIND {...}, params.c k.params {...}
 *   schema.c        option rows -> config structs; convert.c one value, convert_many.c lists, maps
 *   functions.c     Lua functions -> kp_function; globals.c the names they use
 *   pipeline.c      the returned table -> flows
 *
 * Everything runs inside one protected call; an error of the user is added to
 * the problems and work goes on, a Lua error (longjmp) ends the loading.
 *
 * Owned by: plan_load().   Threads: main.
 */
#ifndef KPIPE_CONFIG_LOAD_H
#define KPIPE_CONFIG_LOAD_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config/arena.h"
#include "core/config/plan.h"
#include "core/config/position.h"
#include "core/config/problems.h"
#include "core/config/sandbox.h"
#include "core/config/setting.h"

struct kp_function;

/* One loaded .lua file. */
struct source_file {
    struct source_file *next;
    const char *module; /* as given to require; NULL: the pipeline file */
    const char *path;   /* as shown to the user */
    struct text *text;
};

/* A parameter of k.params, for --set. */
struct param {
    struct param *next;
    const char *name;
};

struct load {
    struct sandbox sandbox; /* first: sandbox_of() gives the load */
    lua_State *L;           /* sandbox.L */
    const struct plan_options *options;
    struct plan *plan;
    struct arena *arena; /* [borrowed from the plan] */
    struct problems problems;
    const char *file; /* as given */
    const char *dir;  /* of the file, ends with '/' or is empty */
    struct source_file *files;
    struct param *params;
    struct stage *stages;                       /* all that were made, the last one first */
    struct resource *resources, *last_resource; /* all that were made, the first one first */
    bool *set_used;                             /* one per options->sets */
    uint32_t n_functions;
};

struct load *load_of(lua_State *L);

/* A line of the file that called into C, and the file's text. level 1: the caller. */
struct position load_caller(lua_State *L, int level);
struct source_file *load_file_of(struct load *load, const char *chunkname);

__attribute__((format(printf, 4, 5))) void load_problem(struct load *load, const char *file,
                                                        int line, const char *fmt, ...);
__attribute__((format(printf, 3, 4))) void load_problem_at(struct load *load,
                                                           const struct position *position,
                                                           const char *fmt, ...);

/* Reads a file of the pipeline into the arena; NULL with *ret_why filled when it cannot:
 * "is not a file". */
struct text *load_read(struct load *load, const char *path, const char **ret_why);

/* Compiles a file and pushes its function; false after complaining (nothing pushed). */
bool load_chunk(struct load *load, const struct source_file *file);

/* ---- environment.c */

void environment_open(struct load *load); /* makes the environment and poison */
void environment_push(lua_State *L);      /* pushes _ENV */
void poison_push(lua_State *L);           /* what a failed look-up gives; nobody complains again */
bool poison_is(lua_State *L, int index);
/* Adds what can be seen where the Lua code of `level` stands: its locals and upvalues. */
struct suggest;
void environment_suggest_locals(lua_State *L, int level, struct suggest *suggest);
bool environment_is_module(lua_State *L, int index); /* what require "kpipe" gave */
void environment_suggest_library(lua_State *L, struct suggest *suggest);
/* require() of a file below the pipeline's folder. */
int environment_require(lua_State *L);

/* ---- values of the file; all are userdata around a pointer into the arena */

enum value_kind { VALUE_STAGE = 1, VALUE_RESOURCE, VALUE_SECRET, VALUE_FIELD };

struct stage {
    struct stage *next;
    const kp_element *element;
    void *config;
    const char *name; /* stage = "...", or NULL */
    struct plan_retry retry;
    struct setting *values;
    const char *file;
    int line;
    bool is_broken;      /* has problems; validate() is not asked */
    const char *used_in; /* "flow 'main', step 1"; NULL: not yet */
};

struct resource {
    kp_resource shared; /* first: what plugins see */
    struct resource *next;
    struct setting *values;
    const char *file;
    int line;
    bool is_broken;
    bool is_listed;        /* in `resources` */
    const char *used_by;   /* "kinesis.stream", the first option it is given to, or NULL */
    const char *used_file; /* where that is */
    int used_line;
};

struct secret {
    const char *reference; /* "env:NAME" */
    const char *text;
};

/* The arena object behind the value at `index`, or NULL when it is not of this kind. */
void *value_get(lua_State *L, int index, enum value_kind kind);
void value_push(lua_State *L, enum value_kind kind, void *object);
/* "number 5", "text \"abc\"", "a table", "the sink 's3'": what somebody wrote, for a message. */
const char *value_describe(struct load *load, int index);
/* The metatables of all kinds; rows of `kind` may be added by the file that knows it. */
void value_open(lua_State *L);
void value_set_index(lua_State *L, enum value_kind kind, lua_CFunction index);

/* ---- the other files */

void module_push(struct load *load); /* the kpipe module */
int module_resource_index(lua_State *L);
const char *module_kind_name(kp_kind kind);

int resource_get_kind(lua_State *L); /* __index of k.resource */
int resource_read(lua_State *L);     /* __index of a resource */
int params_call(lua_State *L);       /* k.params */
void params_check_sets(struct load *load);

const struct kp_function *function_take(struct load *load, int index, const char **ret_why);

/* globals.c: complains about the names of globals in it that do not exist. */
void function_check_globals(struct load *load, const struct kp_function *fn);

void pipeline_read(struct load *load, int index);
void pipeline_validate(struct load *load, const struct stage *stage);

#endif
