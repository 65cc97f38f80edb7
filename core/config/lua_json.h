/* lua_json.h - JSON as Lua values and back.
 *
 * Reading: an object is a table marked as one, an array a plain list; a number
 * without fraction and exponent that fits 64 bits is an integer, any other a
 * float; null is nil as a member and json.null as an item. Of equal names the
 * first counts.
 * Writing: a table with text keys is an object, its members sorted by name, so
 * that equal tables give equal bytes; a list 1..n is an array; an empty table is
 * an array unless it was read as an object or made by json.object {}. NaN and
 * infinities are errors.
 *
 * Owned by: the sandbox it was opened in.   Threads: its owner's.
 */
#ifndef KPIPE_CONFIG_LUA_JSON_H
#define KPIPE_CONFIG_LUA_JSON_H

#include <lua.h>
#include <stdbool.h>

#include "sdk/wire/json.h"

/* Pushes the module `json`: null, object(t), encode(value), decode(text). */
void lua_json_open(lua_State *L);

/* Pushes the value whose first token r holds. False when the text is broken (nil is pushed).
 * Raises a Lua error when memory is out. */
bool lua_json_push(lua_State *L, struct kpw_json *r);
/* The same for a whole text. */
bool lua_json_push_text(lua_State *L, struct kpw_slice text, struct kpw_json *r);
void lua_json_push_number(lua_State *L, struct kpw_slice number, bool is_integer);

/* Appends the value as JSON. NULL, or why it cannot be [static]; never raises an error. */
const char *lua_json_put(lua_State *L, int index, struct kpw_buf *out);

/* Appends what the table at `index`, once made from the object or array `raw`, is now: what was not
 * changed keeps its text, order and nulls. Sets *ret_changed when something was, else leaves it. */
const char *lua_json_merge(lua_State *L, int index, struct kpw_slice raw, struct kpw_buf *out,
                           bool *ret_changed);

/* True for a table that was read as an object or made by json.object {}. */
bool lua_json_is_object(lua_State *L, int index);

/* json.null */
void lua_json_push_null(lua_State *L);
bool lua_json_is_null(lua_State *L, int index);

#endif
