/* arena.h - memory that is freed all at once; an expression and all its nodes live in one. */
#ifndef KPIPE_LOCAL_AWS_DDB_ARENA_H
#define KPIPE_LOCAL_AWS_DDB_ARENA_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct ddb_arena {
    struct ddb_arena *next; /* block before this one */
    size_t used, size;
    _Alignas(16) uint8_t data[];
};

/* Zeroed memory, or NULL when there is none; *arena may be NULL before the first call. */
static inline void *ddb_arena_get(struct ddb_arena **arena, size_t bytes)
{
    struct ddb_arena *a = *arena;
    void *ret;

    bytes = (bytes + 15) & ~(size_t)15;
    if (!a || a->size - a->used < bytes) {
        size_t size = bytes > 4000 ? bytes : 4000;

        a = calloc(1, sizeof(*a) + size);
        if (!a)
            return NULL;
        a->next = *arena;
        a->size = size;
        *arena = a;
    }
    ret = a->data + a->used;
    a->used += bytes;
    return ret;
}

static inline char *ddb_arena_text(struct ddb_arena **arena, const char *text, size_t len)
{
    char *ret = ddb_arena_get(arena, len + 1);

    return ret ? memcpy(ret, text, len) : NULL;
}

static inline void ddb_arena_free(struct ddb_arena *arena)
{
    while (arena) {
        struct ddb_arena *next = arena->next;

        free(arena);
        arena = next;
    }
}

#endif
