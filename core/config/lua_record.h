/* lua_record.h - a record as a function of the pipeline file sees it. Private to core/config.
 *
 *     each = function(e, r) ... end
 *
 * e is the payload, a JSON object: e.name reads a member (nil when it is missing or null),
 * e.name = v sets it, e.name = nil removes it, json.null sets null. Objects and arrays inside come
 * as tables and may be changed in place. pairs(e) visits the members, tostring(e) is the payload
 * as it came. A payload that is no JSON object has r.data only.
 * r is about the record: r.data, r.key, r.sequence (texts), r.sub_sequence, r.arrival_ms (Unix
 * milliseconds), r.lane, r.type.
 *
 * Both are one userdata each that serve every record in turn: they are of the record of the call
 * under way and must not be kept. A field is searched when it is asked for; members that were
 * passed on the way are remembered for the rest of the call.
 *
 * Owned by: lua_run.   Threads: its worker only.
 */
#ifndef KPIPE_CONFIG_LUA_RECORD_H
#define KPIPE_CONFIG_LUA_RECORD_H

#include <kpipe/plugin.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "sdk/wire/json.h"

struct member;

struct lua_record {
    const kp_batch *b; /* [borrowed for the call] NULL: no record is at hand */
    const kp_record *record;
    struct kpw_json r;      /* stands behind the last member that was found */
    bool is_begun, is_read; /* r was started; all members are known */
    bool is_changed;        /* a member was set or removed */
    bool has_values;        /* something lies in the table of values */
    struct member *members; /* [owned] */
    size_t n, cap;
};

/* Where the three values of a record lie on the stack, for as long as the state lives. */
enum { SLOT_RECORD = 1, SLOT_CONTEXT, SLOT_VALUES, SLOT_LAST = SLOT_VALUES };

/* Pushes the values of those slots on the empty stack; lua_record_of() must give the record. */
void lua_record_open(lua_State *L);
void lua_record_fini(struct lua_record *record);
struct lua_record *lua_record_of(lua_State *L); /* of lua_run.c */

/* The next call is about record i. */
void lua_record_begin(lua_State *L, struct lua_record *record, const kp_batch *b, uint32_t i);

/* The call is over: until the next one a record that was kept is an error. */
void lua_record_end(struct lua_record *record);

/* Appends the payload as it is now. Sets *ret_changed when that is not what came, else `out` is not
 * to be used. NULL, or why not [static]; never raises an error. */
const char *lua_record_put(lua_State *L, struct lua_record *record, struct kpw_buf *out,
                           bool *ret_changed);

#endif
