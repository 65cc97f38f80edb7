/* arena.c - see arena.h: a list of blocks, each filled from its beginning. */
#include "core/config/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

#define BLOCK_BYTES 16384
#define ALIGN       _Alignof(max_align_t)

struct block {
    struct block *next;
    size_t size, used;
    max_align_t data[];
};

struct arena {
    struct block *blocks; /* the first one is being filled [owned] */
    size_t used, limit;
    void (*full)(void *arg);
    void *arg;
};

struct arena *arena_new(size_t limit, void (*full)(void *arg), void *arg)
{
    struct arena *arena = mem_new(sizeof *arena);

    *arena = (struct arena){.limit = limit, .full = full, .arg = arg};
    return arena;
}

void arena_free(struct arena *arena)
{
    while (arena && arena->blocks) {
        struct block *block = arena->blocks;

        arena->blocks = block->next;
        explicit_bzero(block->data, block->used);
        free(block);
    }
    free(arena);
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    struct block *block = arena->blocks;
    size_t size = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    void *at;

    if (size < bytes || size > arena->limit - arena->used)
        arena->full(arena->arg);
    if (!block || block->size - block->used < size) {
        size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;

        block = mem_new(sizeof *block + room);
        block->size = room;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    at = (char *)block->data + block->used;
    block->used += size;
    arena->used += size;
    return at;
}

char *arena_dupn(struct arena *arena, const char *text, size_t n)
{
    char *copy = arena_alloc(arena, n + 1);

    if (n)
        memcpy(copy, text, n);
    return copy;
}

char *arena_dup(struct arena *arena, const char *text)
{
    return text ? arena_dupn(arena, text, strlen(text)) : NULL;
}

char *arena_vfmt(struct arena *arena, const char *fmt, va_list args)
{
    va_list again;
    char *text;
    int n;

    va_copy(again, args);
    n = vsnprintf(NULL, 0, fmt, args);
    text = arena_alloc(arena, (size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}

char *arena_fmt(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    char *text;

    va_start(args, fmt);
    text = arena_vfmt(arena, fmt, args);
    va_end(args);
    return text;
}

void arena_room(struct arena *arena, void *array, size_t *cap, size_t n, size_t item)
{
    void **at = array;
    size_t more = *cap ? *cap * 2 : 8;
    void *grown;

    if (n < *cap)
        return;
    grown = arena_alloc(arena, more * item);
    if (n)
        memcpy(grown, *at, n * item);
    *at = grown;
    *cap = more;
}
