/* lua_pattern.h - string.find, match, gmatch and gsub that can be interrupted.
 *
 * They do what Lua 5.4's own do. A hopeless pattern ("a*a*a*a*b" on a long
 * text) keeps Lua's own busy for hours inside one call, where no instruction
 * hook comes; these look at the sandbox's clock as they go.
 *
 * Owned by: the sandbox they were opened in.   Threads: its owner's.
 */
#ifndef KPIPE_CONFIG_LUA_PATTERN_H
#define KPIPE_CONFIG_LUA_PATTERN_H

#include <lua.h>

/* Puts the four into the table of the string library at the top of the stack. */
void lua_pattern_open(lua_State *L);

#endif
