/* sandbox.h - a Lua state with limits and a safe library.
 *
 * Used by the loader (one state per file) and by the workers (lua_run.h). There
 * is string, table, math, utf8, json (lua_json.h) and the base functions that cannot reach outside;
 * no io, os, debug, load, print, coroutine or metatables. The library is
 * read-only. Memory is bounded by the allocator, time by an instruction hook
 * that measures the thread's CPU time; pattern matching, the one thing in C that
 * can take for ever, looks at the clock itself (lua_pattern.h).
 *
 * Owned by: the loader, a worker.   Threads: its owner's.
 */
#ifndef KPIPE_CONFIG_SANDBOX_H
#define KPIPE_CONFIG_SANDBOX_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sdk/wire/slice.h"

struct sandbox {
    lua_State *L;           /* [owned] its extra space points back here */
    size_t used, limit;     /* bytes */
    int64_t budget_ns;      /* CPU time of a call; 0: none */
    int64_t end_ns;         /* when the call under way is over its budget; 0: not measured yet */
    int64_t look_ns;        /* by the wall clock: before this it cannot be over */
    size_t churn;           /* bytes allocated since the time was looked at */
    bool is_nudged;         /* the hook comes at the next instruction */
    bool is_over;           /* the call was ended by its time budget */
    bool is_full;           /* an allocation was refused since this was cleared */
    const char *what;       /* "loading", for the message [static] */
    struct kpw_buf scratch; /* of json.encode */
};

bool sandbox_init(struct sandbox *sandbox, size_t limit, const char *what);
void sandbox_fini(struct sandbox *sandbox);
struct sandbox *sandbox_of(lua_State *L);

/* The time of a call begins; nothing but two stores, the clock is read by the hook. */
static inline void sandbox_start(struct sandbox *sandbox, int64_t budget_ns)
{
    sandbox->budget_ns = budget_ns;
    sandbox->end_ns = 0;
}

/* Puts the hook back to its usual pace after a call that was ended for its time. */
void sandbox_rearm(struct sandbox *sandbox);

/* For long work in C: raises the error of the time budget when it is used up. */
void sandbox_look(lua_State *L);

/* Pushes the table of the safe library [owned by the state]. */
void sandbox_push_library(lua_State *L);
/* "string.format" pushes that value of the library, nil when there is none. */
void sandbox_push_named(lua_State *L, const char *path);
/* The name of the library value at `index` ("string.format"), or NULL. [owned by the state] */
const char *sandbox_name_of(lua_State *L, int index);
/* Why `name` is not there, for names other Lua programs have; NULL: it is simply unknown. */
const char *sandbox_why_not(const char *name);
/* Takes the value at the top and makes it what reads of the table below go to; writes go to
 * `refuse`, and the metatable cannot be had. */
void sandbox_guard(lua_State *L, lua_CFunction refuse);
/* Makes the table at the top read-only: pushes an empty proxy in its place. */
void sandbox_freeze(lua_State *L);

/* Keys of the registry of functions that need no string. */
extern const char sandbox_library_key, sandbox_names_key;

#endif
