/* lua_pattern.c - see lua_pattern.h.
 *
 * A backtracking matcher over the pattern's text, as in Lua's lstrlib.c, whose
 * rules and error texts it keeps; every step is counted.
 */
#include "core/config/lua_pattern.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/config/sandbox.h"

#define ESCAPE       '%'
#define CAPTURES_MAX 32
#define DEPTH_MAX    200   /* calls of match() in each other */
#define LOOK_EVERY   16384 /* steps; a few hundred microseconds at most */
#define OPEN         (-1)  /* length of a capture that is not closed */
#define POSITION     (-2)  /* length of "()" */

struct capture {
    const char *at;
    ptrdiff_t len;
};

struct match {
    lua_State *L;
    const char *text, *text_end; /* both end with a NUL that is not counted */
    const char *pattern_end;
    int depth, n;
    uint32_t steps;
    struct capture captures[CAPTURES_MAX];
};

static const char *match(struct match *m, const char *s, const char *p);

static void count_step(struct match *m)
{
    if (++m->steps % LOOK_EVERY == 0)
        sandbox_look(m->L);
}

/* ---- one character */

/* Behind the class that begins at p: "a", "%a", "[^a-z]". */
static const char *class_end(const struct match *m, const char *p)
{
    char c = *p++;

    if (c == ESCAPE) {
        if (p == m->pattern_end)
            luaL_error(m->L, "malformed pattern (ends with '%%')");
        return p + 1;
    }
    if (c != '[')
        return p;
    if (*p == '^')
        p++;
    do { /* a ']' that comes first belongs to the set */
        if (p == m->pattern_end)
            luaL_error(m->L, "malformed pattern (missing ']')");
        if (*p++ == ESCAPE && p < m->pattern_end)
            p++;
    } while (*p != ']');
    return p + 1;
}

static bool in_class(int c, int class)
{
    bool yes;

    switch (tolower(class)) {
    case 'a': yes = isalpha(c); break;
    case 'c': yes = iscntrl(c); break;
    case 'd': yes = isdigit(c); break;
    case 'g': yes = isgraph(c); break;
    case 'l': yes = islower(c); break;
    case 'p': yes = ispunct(c); break;
    case 's': yes = isspace(c); break;
    case 'u': yes = isupper(c); break;
    case 'w': yes = isalnum(c); break;
    case 'x': yes = isxdigit(c); break;
    default: return class == c;
    }
    return isupper(class) ? !yes : yes;
}

/* The set from its '[' to its ']' at `end`. */
static bool in_set(int c, const char *p, const char *end)
{
    bool yes = true;

    if (p[1] == '^') {
        yes = false;
        p++;
    }
    while (++p < end) {
        if (*p == ESCAPE) {
            p++;
            if (in_class(c, (uint8_t)*p))
                return yes;
        } else if (p[1] == '-' && p + 2 < end) {
            p += 2;
            if ((uint8_t)p[-2] <= c && c <= (uint8_t)*p)
                return yes;
        } else if ((uint8_t)*p == c) {
            return yes;
        }
    }
    return !yes;
}

/* True if the character at s is of the class from p to `end`. */
static bool is_one(struct match *m, const char *s, const char *p, const char *end)
{
    int c;

    if (s >= m->text_end)
        return false;
    count_step(m);
    c = (uint8_t)*s;
    switch (*p) {
    case '.': return true;
    case ESCAPE: return in_class(c, (uint8_t)p[1]);
    case '[': return in_set(c, p, end - 1);
    default: return (uint8_t)*p == c;
    }
}

/* ---- repetition */

static const char *match_most(struct match *m, const char *s, const char *p, const char *end)
{
    ptrdiff_t n = 0;

    while (is_one(m, s + n, p, end))
        n++;
    for (; n >= 0; n--) {
        const char *found = match(m, s + n, end + 1);

        if (found)
            return found;
    }
    return NULL;
}

static const char *match_fewest(struct match *m, const char *s, const char *p, const char *end)
{
    for (;; s++) {
        const char *found = match(m, s, end + 1);

        if (found || !is_one(m, s, p, end))
            return found;
    }
}

/* ---- captures */

static const char *open_capture(struct match *m, const char *s, const char *p, ptrdiff_t len)
{
    const char *found;

    if (m->n >= CAPTURES_MAX)
        luaL_error(m->L, "too many captures");
    m->captures[m->n++] = (struct capture){s, len};
    found = match(m, s, p);
    if (!found)
        m->n--;
    return found;
}

static const char *close_capture(struct match *m, const char *s, const char *p)
{
    int i = m->n - 1;
    const char *found;

    while (i >= 0 && m->captures[i].len != OPEN)
        i--;
    if (i < 0)
        luaL_error(m->L, "invalid pattern capture");
    m->captures[i].len = s - m->captures[i].at;
    found = match(m, s, p);
    if (!found)
        m->captures[i].len = OPEN;
    return found;
}

/* "%1": the text that the capture has found, again. */
static const char *match_again(struct match *m, const char *s, int digit)
{
    int i = digit - '1';
    size_t len;

    if (i < 0 || i >= m->n || m->captures[i].len == OPEN)
        luaL_error(m->L, "invalid capture index %%%d", i + 1);
    len = (size_t)m->captures[i].len; /* of a position: too much for any text */
    if ((size_t)(m->text_end - s) < len || memcmp(m->captures[i].at, s, len) != 0)
        return NULL;
    m->steps += (uint32_t)(len % LOOK_EVERY / 2);
    count_step(m);
    return s + len;
}

/* "%b()" */
static const char *match_balanced(struct match *m, const char *s, const char *p)
{
    int open = 1;

    if (p >= m->pattern_end - 1)
        luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
    if (*s != *p)
        return NULL;
    while (++s < m->text_end) {
        count_step(m);
        if (*s == p[1]) {
            if (--open == 0)
                return s + 1;
        } else if (*s == *p) {
            open++;
        }
    }
    return NULL;
}

/* "%f[set]": between a character outside of the set and one inside. */
static bool is_frontier(struct match *m, const char *s, const char *p, const char **ret_end)
{
    int before = s == m->text ? 0 : (uint8_t)s[-1];

    if (*p != '[')
        luaL_error(m->L, "missing '[' after '%%f' in pattern");
    *ret_end = class_end(m, p);
    return !in_set(before, p, *ret_end - 1) && in_set((uint8_t)*s, p, *ret_end - 1);
}

/* ---- all of it */

/* A class with what follows it. True: go on at *s and *p; false: *s is the result. */
static bool match_class(struct match *m, const char **s, const char **p)
{
    const char *end = class_end(m, *p), *found;

    if (!is_one(m, *s, *p, end)) {
        if (*end == '*' || *end == '?' || *end == '-') {
            *p = end + 1;
            return true;
        }
        *s = NULL;
        return false;
    }
    switch (*end) {
    case '?':
        found = match(m, *s + 1, end + 1);
        if (!found) {
            *p = end + 1;
            return true;
        }
        *s = found;
        return false;
    case '+': *s = match_most(m, *s + 1, *p, end); return false;
    case '*': *s = match_most(m, *s, *p, end); return false;
    case '-': *s = match_fewest(m, *s, *p, end); return false;
    default:
        ++*s;
        *p = end;
        return true;
    }
}

/* What begins with '%'; like match_class(). */
static bool match_escape(struct match *m, const char **s, const char **p)
{
    const char *end;
    char c = (*p)[1];

    if (c == 'f') {
        if (is_frontier(m, *s, *p + 2, &end)) {
            *p = end;
            return true;
        }
        *s = NULL;
        return false;
    }
    if (c == 'b') {
        *s = match_balanced(m, *s, *p + 2);
        *p += 4;
        return *s;
    }
    if (isdigit((uint8_t)c)) {
        *s = match_again(m, *s, c);
        *p += 2;
        return *s;
    }
    return match_class(m, s, p);
}

/* Where the match of p that begins at s ends; NULL: there is none. */
static const char *match(struct match *m, const char *s, const char *p)
{
    bool goes_on = true;

    if (m->depth-- == 0)
        luaL_error(m->L, "pattern too complex");
    count_step(m);
    while (goes_on && p != m->pattern_end) {
        if (*p == '(') {
            bool is_position = p[1] == ')';

            s = open_capture(m, s, p + 1 + is_position, is_position ? POSITION : OPEN);
            break;
        }
        if (*p == ')') {
            s = close_capture(m, s, p + 1);
            break;
        }
        if (*p == '$' && p + 1 == m->pattern_end) {
            s = s == m->text_end ? s : NULL;
            break;
        }
        goes_on = *p == ESCAPE ? match_escape(m, &s, &p) : match_class(m, &s, &p);
    }
    m->depth++;
    return s;
}

static struct match match_of(lua_State *L, int text, int pattern)
{
    struct match m = {.L = L};
    size_t len;

    m.text = luaL_checklstring(L, text, &len);
    m.text_end = m.text + len;
    m.pattern_end = luaL_checklstring(L, pattern, &len);
    m.pattern_end += len;
    return m;
}

static const char *match_from(struct match *m, const char *s, const char *p)
{
    m->n = 0;
    m->depth = DEPTH_MAX;
    return match(m, s, p);
}

/* ---- results */

/* Pushes capture i; the first one is the whole match when the pattern has none. */
static void push_capture(struct match *m, int i, const char *from, const char *to)
{
    const struct capture *capture = &m->captures[i];

    if (i >= m->n) {
        if (i)
            luaL_error(m->L, "invalid capture index %%%d", i + 1);
        lua_pushlstring(m->L, from, (size_t)(to - from));
    } else if (capture->len == POSITION) {
        lua_pushinteger(m->L, capture->at - m->text + 1);
    } else if (capture->len == OPEN) {
        luaL_error(m->L, "unfinished capture");
    } else {
        lua_pushlstring(m->L, capture->at, (size_t)capture->len);
    }
}

/* All captures; without any the whole match, if it is wanted (`from` is not NULL). */
static int push_captures(struct match *m, const char *from, const char *to)
{
    int n = !m->n && from ? 1 : m->n;

    luaL_checkstack(m->L, n, "too many captures");
    for (int i = 0; i < n; i++)
        push_capture(m, i, from, to);
    return n;
}

/* An argument such as -3 as an offset into a text of `len` bytes; more than len: behind it. */
static size_t start_of(lua_State *L, int arg, size_t len)
{
    lua_Integer at = luaL_optinteger(L, arg, 1);

    if (at > 0)
        return at - 1 > (lua_Integer)len ? len + 1 : (size_t)(at - 1);
    return at == 0 || at < -(lua_Integer)len ? 0 : (size_t)((lua_Integer)len + at);
}

/* ---- string.find, string.match */

static int find_plain(lua_State *L, const struct match *m, const char *from, const char *pattern)
{
    size_t len = (size_t)(m->pattern_end - pattern);
    const char *found = memmem(from, (size_t)(m->text_end - from), pattern, len);

    if (m->text_end - from > LOOK_EVERY)
        sandbox_look(L);
    if (!found) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, found - m->text + 1);
    lua_pushinteger(L, found - m->text + (lua_Integer)len);
    return 2;
}

static int search(lua_State *L, bool find)
{
    struct match m = match_of(L, 1, 2);
    const char *p = lua_tostring(L, 2);
    size_t start = start_of(L, 3, (size_t)(m.text_end - m.text));
    const char *s = m.text + start, *end;
    bool is_anchored = *p == '^' && p < m.pattern_end;

    if (s > m.text_end) {
        lua_pushnil(L);
        return 1;
    }
    if (find && (lua_toboolean(L, 4) || strcspn(p, "^$*+?.([%-") == (size_t)(m.pattern_end - p)))
        return find_plain(L, &m, s, p);
    p += is_anchored;
    do {
        end = match_from(&m, s, p);
        if (end && !find)
            return push_captures(&m, s, end);
        if (end) {
            lua_pushinteger(L, s - m.text + 1);
            lua_pushinteger(L, end - m.text);
            return push_captures(&m, NULL, NULL) + 2;
        }
    } while (s++ < m.text_end && !is_anchored);
    lua_pushnil(L);
    return 1;
}

static int call_find(lua_State *L)
{
    return search(L, true);
}

static int call_match(lua_State *L)
{
    return search(L, false);
}

/* ---- string.gmatch: upvalues text, pattern, offset of the next try, of the last end (-1: none) */

static int next_match(lua_State *L)
{
    struct match m = match_of(L, lua_upvalueindex(1), lua_upvalueindex(2));
    const char *p = lua_tostring(L, lua_upvalueindex(2));
    lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));

    for (const char *s = m.text + lua_tointeger(L, lua_upvalueindex(3)); s <= m.text_end; s++) {
        const char *end = match_from(&m, s, p);

        if (!end || end - m.text == last)
            continue;
        lua_pushinteger(L, end - m.text);
        lua_pushvalue(L, -1);
        lua_replace(L, lua_upvalueindex(3));
        lua_replace(L, lua_upvalueindex(4));
        return push_captures(&m, s, end);
    }
    return 0;
}

static int call_gmatch(lua_State *L)
{
    struct match m = match_of(L, 1, 2);
    size_t start = start_of(L, 3, (size_t)(m.text_end - m.text));

    lua_settop(L, 2);
    lua_pushinteger(L, (lua_Integer)start);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, next_match, 4);
    return 1;
}

/* ---- string.gsub */

/* The replacement text with its %0 to %9. */
static void add_text(struct match *m, luaL_Buffer *out, const char *from, const char *to)
{
    size_t len;
    const char *text = lua_tolstring(m->L, 3, &len), *end = text + len, *mark;

    while ((mark = memchr(text, ESCAPE, (size_t)(end - text)))) {
        luaL_addlstring(out, text, (size_t)(mark - text));
        mark++;
        if (*mark == ESCAPE) {
            luaL_addchar(out, *mark);
        } else if (*mark == '0') {
            luaL_addlstring(out, from, (size_t)(to - from));
        } else if (isdigit((uint8_t)*mark)) {
            push_capture(m, *mark - '1', from, to);
            luaL_tolstring(m->L, -1, NULL); /* a position is a number */
            lua_remove(m->L, -2);
            luaL_addvalue(out);
        } else {
            luaL_error(m->L, "invalid use of '%%' in replacement string");
        }
        text = mark + 1;
    }
    luaL_addlstring(out, text, (size_t)(end - text));
}

/* What stands for the match; false when that is the match itself. */
static bool add_value(struct match *m, luaL_Buffer *out, const char *from, const char *to)
{
    lua_State *L = m->L;

    switch (lua_type(L, 3)) {
    case LUA_TFUNCTION:
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(m, from, to), 1);
        break;
    case LUA_TTABLE:
        push_capture(m, 0, from, to);
        lua_gettable(L, 3);
        break;
    default: add_text(m, out, from, to); return true;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(out, from, (size_t)(to - from));
        return false;
    }
    if (!lua_isstring(L, -1))
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    luaL_addvalue(out);
    return true;
}

static int call_gsub(lua_State *L)
{
    struct match m = match_of(L, 1, 2);
    const char *s = m.text, *p = lua_tostring(L, 2), *last = NULL;
    int type = lua_type(L, 3);
    lua_Integer most = luaL_optinteger(L, 4, m.text_end - m.text + 1), n = 0;
    bool is_anchored = *p == '^' && p < m.pattern_end, is_changed = false;
    luaL_Buffer out;

    luaL_argexpected(L,
                     type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION ||
                         type == LUA_TTABLE,
                     3, "string/function/table");
    p += is_anchored;
    luaL_buffinit(L, &out);
    while (n < most) {
        const char *end = match_from(&m, s, p);

        if (end && end != last) {
            n++;
            is_changed |= add_value(&m, &out, s, end);
            s = last = end;
        } else if (s < m.text_end) {
            luaL_addchar(&out, *s++);
        } else {
            break;
        }
        if (is_anchored)
            break;
    }
    if (is_changed) {
        luaL_addlstring(&out, s, (size_t)(m.text_end - s));
        luaL_pushresult(&out);
    } else {
        lua_pushvalue(L, 1);
    }
    lua_pushinteger(L, n);
    return 2;
}

void lua_pattern_open(lua_State *L)
{
    static const luaL_Reg calls[] = {{"find", call_find},
                                     {"match", call_match},
                                     {"gmatch", call_gmatch},
                                     {"gsub", call_gsub},
                                     {NULL, NULL}};

    luaL_setfuncs(L, calls, 0);
}
