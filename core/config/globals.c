/* globals.c - see load.h: the global names a function uses, found in its bytecode.
 *
 * A misspelt name in a function would only show when a record comes by, and then
 * reject every record. The file is not run there while loading, so the bytecode
 * of lua_dump() is read: each access to a global is one instruction on the upvalue
 * _ENV. Whatever is not as Lua 5.4 writes it ends the search, which then finds
 * less, never something wrong.
 */
#include <lauxlib.h>
#include <string.h>

#include "core/base/suggest.h"
#include "core/config/function.h"
#include "core/config/load.h"

#define HEADER_LEN \
    32 /* signature, version, format, data, three sizes, an integer, a number, count */
#define GET_GLOBAL  11 /* OP_GETTABUP: A = upvalue B [constant C] */
#define SET_GLOBAL  15 /* OP_SETTABUP: upvalue A [constant B] = C */
#define NUMBER_TAG  0x13
#define INTEGER_TAG 0x03
#define SHORT_TAG   0x04
#define LONG_TAG    0x14
#define ABSOLUTE    (-128) /* in the lines: the line stands in the other list */

struct reader {
    struct load *load;
    const struct source_file *file;
    const unsigned char *at, *end;
    bool is_lost;
};

struct piece {
    const char *ptr;
    size_t len;
};

/* One function of the dump; everything is borrowed from it. */
struct proto {
    int line;
    size_t n_code, n_constants, n_upvalues, n_lines, n_marks;
    const unsigned char *code, *lines;
    struct piece *constants, *upvalues; /* [owned by the arena] len 0: no text */
    struct mark {
        size_t pc;
        int line;
    } * marks; /* [owned by the arena] */
};

/* ---- reading */

static const unsigned char *take(struct reader *r, size_t n)
{
    const unsigned char *at = r->at;

    if (r->is_lost || (size_t)(r->end - at) < n) {
        r->is_lost = true;
        return NULL;
    }
    r->at += n;
    return at;
}

static unsigned take_byte(struct reader *r)
{
    const unsigned char *at = take(r, 1);

    return at ? *at : 0;
}

/* Seven bits a byte, the highest first; the last one has its top bit set. */
static size_t take_size(struct reader *r)
{
    size_t value = 0;
    unsigned byte;

    do {
        byte = take_byte(r);
        value = value << 7 | (byte & 0x7f);
    } while (!(byte & 0x80) && !r->is_lost && value < ((size_t)1 << 32));
    r->is_lost |= value >= ((size_t)1 << 31);
    return r->is_lost ? 0 : value;
}

/* A count of things of at least `least` bytes each. */
static size_t take_count(struct reader *r, size_t least)
{
    size_t n = take_size(r);

    if (n * least > (size_t)(r->end - r->at))
        r->is_lost = true;
    return r->is_lost ? 0 : n;
}

static struct piece take_text(struct reader *r)
{
    size_t size = take_size(r); /* 0: none, else the length and one */
    const unsigned char *at = size ? take(r, size - 1) : NULL;

    return (struct piece){(const char *)at, at ? size - 1 : 0};
}

static void take_constants(struct reader *r, struct proto *p)
{
    p->n_constants = take_count(r, 1);
    p->constants = arena_alloc(r->load->arena, p->n_constants * sizeof *p->constants);
    for (size_t i = 0; i < p->n_constants && !r->is_lost; i++) {
        unsigned tag = take_byte(r);

        if (tag == NUMBER_TAG || tag == INTEGER_TAG)
            take(r, 8);
        else if (tag == SHORT_TAG || tag == LONG_TAG)
            p->constants[i] = take_text(r);
    }
}

static void take_debug(struct reader *r, struct proto *p)
{
    size_t n;

    p->n_lines = take_count(r, 1);
    p->lines = take(r, p->n_lines);
    p->n_marks = take_count(r, 2);
    p->marks = arena_alloc(r->load->arena, p->n_marks * sizeof *p->marks);
    for (size_t i = 0; i < p->n_marks; i++) {
        p->marks[i].pc = take_size(r);
        p->marks[i].line = (int)take_size(r);
    }
    n = take_count(r, 3);
    for (size_t i = 0; i < n && !r->is_lost; i++) { /* names of local variables */
        take_text(r);
        take_size(r);
        take_size(r);
    }
    p->n_upvalues = take_count(r, 1);
    p->upvalues = arena_alloc(r->load->arena, p->n_upvalues * sizeof *p->upvalues);
    for (size_t i = 0; i < p->n_upvalues; i++)
        p->upvalues[i] = take_text(r);
}

/* ---- what was found */

static int line_of(const struct proto *p, size_t pc)
{
    int line = p->line;

    for (size_t i = 0, mark = 0; i <= pc && i < p->n_lines; i++) {
        int step = (signed char)p->lines[i];

        if (step != ABSOLUTE)
            line += step;
        else if (mark < p->n_marks)
            line = p->marks[mark++].line;
    }
    return line;
}

/* Names that were perhaps meant: those of the library and all that the file itself uses. */
static const char *nearest(struct reader *r, const char *name)
{
    const struct text *text = r->file->text;
    struct suggest suggest = suggest_for(name);

    for (size_t i = 0; i < text->n_tokens; i++) {
        const struct token *token = &text->tokens[i];
        bool is_same =
            token->len == strlen(name) && !memcmp(text->data + token->at, name, token->len);

        if (token->kind == 'n' && !is_same && token->len < 64)
            suggest_try(&suggest, arena_dupn(r->load->arena, text->data + token->at, token->len));
    }
    environment_suggest_library(r->load->L, &suggest);
    return suggest_best(&suggest);
}

static void complain(struct reader *r, int line, const char *name)
{
    struct load *load = r->load;
    const char *file = r->file->path, *why = sandbox_why_not(name), *best = nearest(r, name);

    if (!strcmp(name, "require"))
        load_problem(load, file, line, "a function cannot require files, do it outside of it");
    else if (why)
        load_problem(load, file, line, "'%s' is not available here: %s", name, why);
    else if (best)
        load_problem(load, file, line, "'%s' is not defined, did you mean '%s'?", name, best);
    else
        load_problem(load, file, line, "'%s' is not defined", name);
}

static bool is_env(const struct proto *p, size_t upvalue)
{
    return upvalue < p->n_upvalues && p->upvalues[upvalue].len == 4 &&
           !memcmp(p->upvalues[upvalue].ptr, "_ENV", 4);
}

static bool is_known(lua_State *L, const char *name)
{
    bool known;

    sandbox_push_library(L);
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    known = !lua_isnil(L, -1) && strcmp(name, "require") != 0;
    lua_pop(L, 2);
    return known;
}

static void check_code(struct reader *r, const struct proto *p)
{
    struct load *load = r->load;

    for (size_t pc = 0; pc < p->n_code; pc++) {
        uint32_t word;
        unsigned op, a, b, c;
        const char *name;
        size_t constant;

        memcpy(&word, p->code + 4 * pc, sizeof word);
        op = word & 0x7f, a = word >> 7 & 0xff, b = word >> 16 & 0xff, c = word >> 24;
        constant = op == GET_GLOBAL ? c : b;
        if ((op != GET_GLOBAL && op != SET_GLOBAL) || !is_env(p, op == GET_GLOBAL ? b : a) ||
            constant >= p->n_constants || !p->constants[constant].len)
            continue;
        name = arena_dupn(load->arena, p->constants[constant].ptr, p->constants[constant].len);
        if (op == GET_GLOBAL && !is_known(load->L, name))
            complain(r, line_of(p, pc), name);
        else if (op == SET_GLOBAL)
            load_problem(load, r->file->path, line_of(p, pc),
                         "use 'local %s': a pipeline file has no globals", name);
    }
}

static void take_function(struct reader *r, int depth)
{
    struct proto p = {0};
    struct piece source;
    size_t n;

    source = take_text(r);
    if (!r->file && source.len)
        r->file = load_file_of(r->load, arena_dupn(r->load->arena, source.ptr, source.len));
    r->is_lost |= !r->file;
    p.line = (int)take_size(r);
    take_size(r); /* last line */
    take(r, 3);   /* parameters, varargs, stack */
    p.n_code = take_count(r, 4);
    p.code = take(r, 4 * p.n_code);
    take_constants(r, &p);
    n = take_count(r, 3);
    take(r, 3 * n); /* where upvalues come from */
    n = take_count(r, 1);
    r->is_lost |= depth == 200;
    for (size_t i = 0; i < n && !r->is_lost; i++)
        take_function(r, depth + 1);
    take_debug(r, &p);
    if (!r->is_lost)
        check_code(r, &p);
}

void function_check_globals(struct load *load, const struct kp_function *fn)
{
    static const char begins[] = LUA_SIGNATURE "\x54\x00\x19\x93\r\n\x1a\n\x04\x08\x08";
    struct reader r = {.load = load};

    r.at = (const unsigned char *)fn->code;
    r.end = r.at + fn->code_len;
    if (fn->code_len < HEADER_LEN || memcmp(fn->code, begins, sizeof begins - 1) != 0)
        return;
    take(&r, HEADER_LEN);
    take_function(&r, 0);
}
