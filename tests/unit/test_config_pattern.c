/* test_config_pattern.c - the sandbox's pattern functions against Lua's own. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

#include "core/config/sandbox.h"
#include "tests/kptest.h"

/* Everything the four functions give for a text and a pattern, as one text. */
static const char script[] =
    "local s, p = ...\n"
    "local all = {}\n"
    "local function add(name, ...)\n"
    "  local list = { name }\n"
    "  for i = 1, select('#', ...) do list[#list + 1] = tostring((select(i, ...))) end\n"
    "  all[#all + 1] = table.concat(list, '|')\n"
    "end\n"
    "local function gather(...)\n"
    "  local list = {}\n"
    "  for a, b, c in string.gmatch(...) do\n"
    "    list[#list + 1] = tostring(a) .. ',' .. tostring(b) .. ',' .. tostring(c)\n"
    "  end\n"
    "  return table.concat(list, ';')\n"
    "end\n"
    "add('find', pcall(string.find, s, p))\n"
    "add('plain', pcall(string.find, s, p, 1, true))\n"
    "add('match', pcall(string.match, s, p))\n"
    "for _, at in ipairs { -100, -2, 0, 2, 3, 100 } do\n"
    "  add('find', pcall(string.find, s, p, at))\n"
    "  add('match', pcall(string.match, s, p, at))\n"
    "  add('gmatch', pcall(gather, s, p, at))\n"
    "end\n"
    "add('gmatch', pcall(gather, s, p))\n"
    "for _, r in ipairs { '<%0>', '%1%%', '[%2]', 'x', '%', '%q', '' } do\n"
    "  add('gsub', pcall(string.gsub, s, p, r))\n"
    "  add('gsub', pcall(string.gsub, s, p, r, 2))\n"
    "end\n"
    "add('gsub', pcall(string.gsub, s, p, function(a, b) return a ~= 'a' and a end))\n"
    "add('gsub', pcall(string.gsub, s, p, { a = 'A', b = false, c = true }))\n"
    "add('gsub', pcall(string.gsub, s, p, true))\n"
    "return table.concat(all, '\\n')\n";

/* The script's result in a state; pushes nothing. */
static const char *ask(lua_State *L, const char *text, const char *pattern, char *out, size_t cap)
{
    REQUIRE(luaL_loadbufferx(L, script, strlen(script), "=script", "t") == LUA_OK);
    sandbox_push_library(L);
    if (lua_isnil(L, -1)) { /* Lua's own state */
        lua_pop(L, 1);
        lua_pushglobaltable(L);
    }
    lua_setupvalue(L, -2, 1);
    lua_pushstring(L, text);
    lua_pushstring(L, pattern);
    if (lua_pcall(L, 2, 1, 0) != LUA_OK)
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
    snprintf(out, cap, "%s", lua_tostring(L, -1));
    lua_pop(L, 1);
    return out;
}

static void same(lua_State *own, lua_State *ours, const char *text, const char *pattern)
{
    static char expected[100000], got[100000];

    ask(own, text, pattern, expected, sizeof expected);
    ask(ours, text, pattern, got, sizeof got);
    if (strcmp(expected, got) != 0)
        fprintf(stderr, "'%s' on '%s'\nLua:\n%s\nhere:\n%s\n", pattern, text, expected, got);
    EQ_STR(got, expected);
}

static const char *const patterns[] = {
    "",
    "a",
    "^a",
    "a$",
    "^a$",
    "$",
    "^",
    ".",
    ".*",
    ".-",
    ".+",
    ".?",
    "a*",
    "a+b",
    "a-b",
    "a?b",
    "%a+",
    "%A+",
    "%d%d",
    "%s",
    "%w*",
    "%x+",
    "%p",
    "%l%u",
    "%c",
    "%g",
    "%%",
    "[abc]+",
    "[^abc]+",
    "[a-c]",
    "[%a_][%w_]*",
    "[]]",
    "[^]]",
    "[a-]",
    "[%-a]",
    "(a)(b)",
    "(a*(b))",
    "()b()",
    "(.)%1",
    "(.-)=(.*)",
    "%b()",
    "%bxy",
    "%f[%w]%w+",
    "%f[%W]",
    "(",
    ")",
    "(a",
    "a)",
    "[a",
    "%",
    "%b",
    "%f",
    "%1",
    "(()%1)",
    "[%",
    "[^",
    "[a%",
    "((((((((((((((((((((((((((((((((((a",
    "a.-b.-c",
    "(%a)(%d)?",
    "^(%-?)([%d.]+)e",
    "\xc3.",
    "[\x80-\xff]+",
    "%z",
    "a**",
    "^*",
    "-a",
    "[[]",
};
static const char *const texts[] = {
    "",
    "a",
    "abc",
    "aaa",
    "aab aab",
    "hello world",
    "x=1, y=22",
    "(a(b)c)",
    "THE (quick) fox",
    "f(a(b)",
    "__name9",
    "1.5e+10 -2e3",
    "a]b-c",
    "\xc3\xa9t\xc3\xa9",
    "aXbYc",
    "xxyyxy",
    "[a][b]",
    "a\n\tb%c",
};
TEST(patterns_mean_what_they_mean_in_lua)
{
    struct sandbox sandbox;
    lua_State *own = luaL_newstate();

    luaL_openlibs(own);
    REQUIRE(sandbox_init(&sandbox, (size_t)64 << 20, "the test"));
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            same(own, sandbox.L, texts[k], patterns[i]);
    sandbox_fini(&sandbox);
    lua_close(own);
}

/* Patterns and texts from a small alphabet, a new one each time, always the same ones. */
TEST(patterns_made_at_random_mean_the_same)
{
    static const char letters[] = "ab%()[]^$*+-?.1bf";
    struct sandbox sandbox;
    lua_State *own = luaL_newstate();
    unsigned seed = 1;

    luaL_openlibs(own);
    REQUIRE(sandbox_init(&sandbox, (size_t)64 << 20, "the test"));
    for (int round = 0; round < 3000; round++) {
        char pattern[9] = "", text[9] = "";

        for (size_t i = 0; i < sizeof pattern - 1; i++) {
            seed = seed * 1103515245 + 12345;
            pattern[i] = letters[(seed >> 16) % (sizeof letters - 1)];
            text[i] = "ab()"[(seed >> 24) % 4];
        }
        pattern[(seed >> 8) % 8] = '\0';
        same(own, sandbox.L, text, pattern);
    }
    sandbox_fini(&sandbox);
    lua_close(own);
}
