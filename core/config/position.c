/* position.c - see position.h. The tokeniser knows just enough of Lua: names, strings in all their
 * forms, numbers, comments; everything else is single characters.
 */
#include "core/config/position.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "core/config/arena.h"

#define ANCHOR_REACH 200 /* tokens between the line of a call and its table */
#define DEPTH_MAX    100

/* ---- tokens */

struct scan {
    const char *at, *end;
    int line;
};

static char peek(const struct scan *scan, size_t ahead)
{
    return (size_t)(scan->end - scan->at) > ahead ? scan->at[ahead] : '\0';
}

static void step(struct scan *scan)
{
    if (*scan->at++ == '\n')
        scan->line++;
}

/* The level of a long bracket that begins here, "[==[" is 2; -1: none. */
static int long_level(const struct scan *scan)
{
    int level = 0;

    if (peek(scan, 0) != '[')
        return -1;
    while (peek(scan, (size_t)level + 1) == '=')
        level++;
    return peek(scan, (size_t)level + 1) == '[' ? level : -1;
}

static bool long_closes(const struct scan *scan, int level)
{
    if (peek(scan, 0) != ']')
        return false;
    for (int i = 0; i < level; i++)
        if (peek(scan, (size_t)i + 1) != '=')
            return false;
    return peek(scan, (size_t)level + 1) == ']';
}

static void skip_long(struct scan *scan, int level)
{
    for (int i = 0; i < level + 2; i++)
        step(scan);
    while (scan->at < scan->end && !long_closes(scan, level))
        step(scan);
    for (int i = 0; i < level + 2 && scan->at < scan->end; i++)
        step(scan);
}

static void skip_comment(struct scan *scan)
{
    int level;

    scan->at += 2;
    level = long_level(scan);
    if (level >= 0) {
        skip_long(scan, level);
        return;
    }
    while (scan->at < scan->end && *scan->at != '\n')
        step(scan);
}

static void skip_blank(struct scan *scan)
{
    while (scan->at < scan->end) {
        if (isspace((unsigned char)*scan->at))
            step(scan);
        else if (*scan->at == '-' && peek(scan, 1) == '-')
            skip_comment(scan);
        else
            return;
    }
}

static void skip_quoted(struct scan *scan)
{
    char quote = *scan->at;

    step(scan);
    while (scan->at < scan->end && *scan->at != quote && *scan->at != '\n') {
        if (*scan->at == '\\' && scan->end - scan->at > 1)
            step(scan);
        step(scan);
    }
    if (scan->at < scan->end && *scan->at == quote)
        step(scan);
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* The next token; kind 0 at the end. */
static struct token next(struct scan *scan, const char *base)
{
    struct token token;
    const char *from;
    size_t trim = 0;

    skip_blank(scan);
    from = scan->at;
    token = (struct token){.at = (uint32_t)(from - base), .line = scan->line};
    if (from == scan->end)
        return token;
    token.kind = *from;
    if (*from == '"' || *from == '\'') {
        token.kind = 's';
        skip_quoted(scan);
        trim = 1;
    } else if (long_level(scan) >= 0) {
        token.kind = 's';
        trim = (size_t)long_level(scan) + 2;
        skip_long(scan, (int)trim - 2);
    } else if (is_word(*from)) {
        token.kind = isdigit((unsigned char)*from) ? '0' : 'n';
        while (scan->at < scan->end && is_word(*scan->at))
            step(scan);
    } else {
        step(scan);
    }
    token.len = (uint32_t)(scan->at - from);
    if (token.len >= 2 * trim) {
        token.at += (uint32_t)trim;
        token.len -= (uint32_t)(2 * trim);
    }
    return token;
}

struct text *position_read(struct arena *arena, const char *file, const char *data, size_t len)
{
    struct text *text = arena_alloc(arena, sizeof *text);
    struct scan scan = {data, data + len, 1};
    size_t cap = 0;

    *text = (struct text){.file = file, .data = data, .len = len};
    if (len >= 3 && !memcmp(data, "\xef\xbb\xbf", 3))
        scan.at += 3;
    if (scan.at < scan.end && *scan.at == '#')
        while (scan.at < scan.end && *scan.at != '\n')
            scan.at++;
    do {
        arena_room(arena, &text->tokens, &cap, text->n_tokens, sizeof *text->tokens);
        text->tokens[text->n_tokens] = next(&scan, data);
    } while (text->tokens[text->n_tokens++].kind);
    return text;
}

/* ---- finding tables */

static bool is(const struct text *text, size_t i, const char *word)
{
    const struct token *token = i < text->n_tokens ? &text->tokens[i] : NULL;
    size_t len = strlen(word);

    return token && (token->kind == 'n' || token->kind == 's') && token->len == len &&
           memcmp(text->data + token->at, word, len) == 0;
}

static char kind(const struct text *text, size_t i)
{
    return i < text->n_tokens ? text->tokens[i].kind : '\0';
}

/* +1 for a word that begins a block with an end, -1 for one that ends it. */
static int block_of(const struct text *text, size_t i)
{
    static const char *const begins[] = {"function", "do", "if", "repeat"};

    if (kind(text, i) != 'n')
        return 0;
    for (size_t k = 0; k < sizeof begins / sizeof *begins; k++)
        if (is(text, i, begins[k]))
            return 1;
    return is(text, i, "end") || is(text, i, "until") ? -1 : 0;
}

static size_t token_of_line(const struct text *text, int line)
{
    size_t low = 0, high = text->n_tokens;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (text->tokens[middle].line < line)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A value that begins at token i, as the token of its "{"; n_tokens: it is none. A name stands for
 * the last table it was given before. */
static size_t table_at(const struct text *text, size_t i)
{
    size_t name = i;
    char after = kind(text, i + 1);

    if (kind(text, i) == '{')
        return i;
    if (kind(text, i) != 'n' || after == '.' || after == '(' || after == '[' || after == ':')
        return text->n_tokens;
    for (; i > 0; i--)
        if (kind(text, i) == '=' && kind(text, i + 1) == '{' && kind(text, i - 1) == 'n' &&
            text->tokens[i - 1].len == text->tokens[name].len &&
            !memcmp(text->data + text->tokens[i - 1].at, text->data + text->tokens[name].at,
                    text->tokens[name].len))
            return i + 1;
    return text->n_tokens;
}

/* The last return outside of all functions. */
static size_t find_return(const struct text *text)
{
    size_t found = text->n_tokens;
    int depth = 0;

    for (size_t i = 0; i < text->n_tokens; i++) {
        depth += block_of(text, i);
        if (depth == 0 && kind(text, i) == 'n' && is(text, i, "return"))
            found = i;
    }
    return found;
}

static size_t find_table(const struct position *position)
{
    const struct text *text = position->text;
    size_t i;

    if (!position->anchor) {
        i = find_return(text);
        return i < text->n_tokens ? table_at(text, i + 1) : i;
    }
    i = token_of_line(text, position->line);
    for (size_t last = i + ANCHOR_REACH; i < last && i < text->n_tokens; i++) {
        size_t at = i + 1;

        if (!is(text, i, position->anchor))
            continue;
        at += kind(text, at) == ']';
        at += kind(text, at) == '(';
        if (kind(text, at) == '{')
            return at;
        if (kind(text, at - 1) == '(')
            return table_at(text, at);
    }
    return text->n_tokens;
}

/* ---- keys of a table */

/* One entry of a table: its key and where its value begins. */
struct entry {
    size_t key;    /* token of the name; n_tokens: positional */
    size_t value;  /* token */
    int64_t index; /* of a positional one */
};

static struct entry entry_at(const struct text *text, size_t i)
{
    if (kind(text, i) == 'n' && kind(text, i + 1) == '=' && kind(text, i + 2) != '=')
        return (struct entry){i, i + 2, 0};
    if (kind(text, i) == '[' && kind(text, i + 2) == ']' && kind(text, i + 3) == '=')
        return (struct entry){i + 1, i + 4, 0};
    return (struct entry){text->n_tokens, i, 0};
}

/* The token after the value that begins at i: a separator or the end of the table. */
static size_t skip_value(const struct text *text, size_t i)
{
    int depth = 0;

    for (; i < text->n_tokens; i++) {
        char c = kind(text, i);

        if (depth == 0 && (c == ',' || c == ';' || c == '}'))
            return i;
        if (c == '(' || c == '{' || c == '[')
            depth++;
        else if (c == ')' || c == '}' || c == ']')
            depth--;
        else
            depth += block_of(text, i);
    }
    return i;
}

/* Walks the entries after the "{" at `open`; fn says true to stop. */
static bool each_entry(const struct text *text, size_t open,
                       bool (*fn)(void *arg, const struct text *, const struct entry *), void *arg)
{
    int64_t index = 0;
    size_t i = open + 1;

    while (i < text->n_tokens && kind(text, i) && kind(text, i) != '}') {
        struct entry entry = entry_at(text, i);

        if (entry.key == text->n_tokens)
            entry.index = ++index;
        if (fn(arg, text, &entry))
            return true;
        i = skip_value(text, entry.value);
        i += kind(text, i) == ',' || kind(text, i) == ';';
    }
    return false;
}

struct wanted {
    const struct key_path *key;
    struct entry found;
};

static bool is_wanted(void *arg, const struct text *text, const struct entry *entry)
{
    struct wanted *wanted = arg;
    bool same = wanted->key->key
                    ? entry->key < text->n_tokens && is(text, entry->key, wanted->key->key)
                    : entry->index == wanted->key->index;

    if (same)
        wanted->found = *entry;
    return same;
}

/* Goes down the path; *line follows what is found. Returns the "{" of the last table, n_tokens
 * when there is none. */
static size_t descend(const struct text *text, size_t open, const struct key_path *path, int *line)
{
    const struct key_path *steps[DEPTH_MAX];
    size_t n = 0;

    for (; path && n < DEPTH_MAX; path = path->up)
        steps[n++] = path;
    while (n-- > 0 && open < text->n_tokens) {
        struct wanted wanted = {.key = steps[n]};
        const struct entry *found = &wanted.found;

        if (!each_entry(text, open, is_wanted, &wanted))
            return text->n_tokens;
        *line = text->tokens[found->key < text->n_tokens ? found->key : found->value].line;
        open = table_at(text, found->value);
    }
    return open;
}

int position_line(const struct position *position, const struct key_path *path)
{
    int line = position->line;
    size_t open;

    if (!position->text)
        return line;
    open = position->anchor ? 0 : find_return(position->text);
    if (!position->anchor && open < position->text->n_tokens)
        line = position->text->tokens[open].line;
    open = find_table(position);
    if (open < position->text->n_tokens)
        descend(position->text, open, path, &line);
    return line;
}

struct keys_call {
    void (*fn)(void *arg, const char *name, size_t len);
    void *arg;
};

static bool tell_key(void *arg, const struct text *text, const struct entry *entry)
{
    const struct keys_call *call = arg;

    if (entry->key < text->n_tokens)
        call->fn(call->arg, text->data + text->tokens[entry->key].at, text->tokens[entry->key].len);
    return false;
}

void position_keys(const struct position *position, const struct key_path *path,
                   void (*fn)(void *arg, const char *name, size_t len), void *arg)
{
    struct keys_call call = {fn, arg};
    int line = 0;
    size_t open;

    if (!position->text)
        return;
    open = find_table(position);
    if (open < position->text->n_tokens)
        open = descend(position->text, open, path, &line);
    if (open < position->text->n_tokens)
        each_entry(position->text, open, tell_key, &call);
}
