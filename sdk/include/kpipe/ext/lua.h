/* lua.h - extension "lua/1": functions of the pipeline file. [worker]
 *
 * Each worker has its own Lua state in which the functions are made again;
 * they share no variables with other workers. A record is seen as one reused
 * cursor with lazy fields: e.name reads the JSON member, e.name = v changes it.
 * Budgets (time, memory) are enforced; going over one is an error of that call.
 */
#ifndef KPIPE_EXT_LUA_H
#define KPIPE_EXT_LUA_H

#include <kpipe/plugin.h>

typedef enum kp_lua_result {
    KP_LUA_ERROR = -1, /* *ret is the error text [borrowed until the next call] */
    KP_LUA_NIL = 0,    /* nil or false */
    KP_LUA_SAME = 1,   /* true, or the record unchanged */
    KP_LUA_TEXT = 2,   /* *ret is a string, a number as text, or the JSON of a table or record */
} kp_lua_result;

typedef struct kp_lua_ext {
    uint32_t size;
    /* fn(record, context). *ret is [borrowed until the next call of this table on this worker]. */
    kp_lua_result (*record)(kp_node *, const kp_function *fn, const kp_batch *, uint32_t i,
                            kp_slice *ret);
    /* fn(event, context): event decoded from JSON; the answer is JSON. `context` is JSON too and
     * may be empty. time_ms: 0 = no limit. */
    kp_lua_result (*handler)(kp_node *, const kp_function *fn, kp_slice event, kp_slice context,
                             int64_t time_ms, kp_slice *ret);
    /* Resolves a kp_value (text, field, function) for a record; KP_LUA_NIL when there is none. */
    kp_lua_result (*value)(kp_node *, const kp_value *, const kp_batch *, uint32_t i,
                           kp_slice *ret);
} kp_lua_ext;

#endif
