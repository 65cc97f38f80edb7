/* lua_run.h - calling the pipeline file's functions on a worker.
 *
 * One Lua state per worker; functions are made in it when first called. Records
 * are seen through one reused cursor userdata with lazy fields, so a call makes
 * no garbage unless the script does.
 *
 * Owned by: the worker.   Threads: its worker only.
 */
#ifndef KPIPE_CONFIG_LUA_RUN_H
#define KPIPE_CONFIG_LUA_RUN_H

#include <kpipe/ext/lua.h>
#include <kpipe/plugin.h>

struct lua_run;

struct lua_run *lua_run_new(int64_t memory_bytes /* of the whole state; 0 = 64 MiB */);
void lua_run_free(struct lua_run *run); /* NULL is fine */

/* As the rows of kp_lua_ext. */
kp_lua_result lua_run_record(struct lua_run *run, const kp_function *fn, const kp_batch *b,
                             uint32_t i, kp_slice *ret);
kp_lua_result lua_run_handler(struct lua_run *run, const kp_function *fn, kp_slice event,
                              kp_slice context, int64_t time_ms, kp_slice *ret);
kp_lua_result lua_run_value(struct lua_run *run, const kp_value *value, const kp_batch *b,
                            uint32_t i, kp_slice *ret);

#endif
