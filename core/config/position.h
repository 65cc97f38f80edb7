/* position.h - which line of the pipeline file a key stands on.
 *
 * Lua tells only the line of a call. From there the text is searched for the
 * key itself, over tokens, so that strings, comments and function bodies do not
 * mislead. What is not found has the line of what was found last.
 *
 * Owned by: the loader's arena.   Threads: main.
 */
#ifndef KPIPE_CONFIG_POSITION_H
#define KPIPE_CONFIG_POSITION_H

#include <stddef.h>
#include <stdint.h>

struct arena;

/* Where something stands in the tables of a file: "batch.wait", linked from its end upwards. */
struct key_path {
    const struct key_path *up; /* NULL: the outermost key */
    const char *key;           /* NULL: a positional item */
    int64_t index;             /* of a positional item, from 1 */
};

struct token {
    uint32_t at, len; /* for a string: what is between its quotes */
    int line;
    char kind; /* 'n' name or keyword, 's' string, '0' number, else the character itself */
};

struct text {
    const char *file; /* as shown to the user */
    const char *data;
    size_t len;
    struct token *tokens; /* ends with one of kind 0 */
    size_t n_tokens;
};

/* Tokenises; `file` and `data` are kept [borrowed]. */
struct text *position_read(struct arena *arena, const char *file, const char *data, size_t len);

/* A table of the file: the one after `anchor` (the constructor's name) from `line` on, or the one
 * the file returns when anchor is NULL. */
struct position {
    const struct text *text; /* NULL: unknown, `line` is all there is */
    const char *anchor;
    int line;
};

int position_line(const struct position *position, const struct key_path *path);
/* Calls fn for every named key of the table at `path` (NULL: the table itself), in file order. */
void position_keys(const struct position *position, const struct key_path *path,
                   void (*fn)(void *arg, const char *name, size_t len), void *arg);

#endif
