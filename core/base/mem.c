/* mem.c - see mem.h. */
#include "core/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *p, size_t bytes)
{
    if (p || !bytes)
        return p;
    fprintf(stderr, "kpipe: out of memory (%zu bytes asked for)\n", bytes);
    exit(1);
}

void *mem_new(size_t bytes)
{
    return checked(calloc(1, bytes ? bytes : 1), bytes);
}

void *mem_grow(void *p, size_t bytes)
{
    return checked(realloc(p, bytes ? bytes : 1), bytes);
}

char *mem_dupn(const char *text, size_t n)
{
    char *copy = mem_new(n + 1);

    if (n)
        memcpy(copy, text, n);
    return copy;
}

char *mem_dup(const char *text)
{
    return text ? mem_dupn(text, strlen(text)) : NULL;
}

char *mem_fmt(const char *fmt, ...)
{
    va_list args;
    char *text = NULL;
    int n;

    va_start(args, fmt);
    n = vasprintf(&text, fmt, args);
    va_end(args);
    return checked(n < 0 ? NULL : text, 1);
}

void mem_room(void *array, size_t *cap, size_t n, size_t item)
{
    void **at = array;

    if (n < *cap)
        return;
    *cap = *cap ? *cap * 2 : 8;
    *at = mem_grow(*at, *cap * item);
}
