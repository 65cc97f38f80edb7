/* mem.h - allocation that does not fail, and growing arrays.
 *
 * Core ends the process with one line when memory is out (as git does): record
 * memory is bounded by the budget long before that. Plugins get NULL instead.
 */
#ifndef KPIPE_BASE_MEM_H
#define KPIPE_BASE_MEM_H

#include <stddef.h>

void *mem_new(size_t bytes);                /* zeroed [owned by caller], free() */
void *mem_grow(void *p, size_t bytes);      /* realloc */
char *mem_dup(const char *text);            /* NULL gives NULL */
char *mem_dupn(const char *text, size_t n); /* n bytes and a NUL */
__attribute__((format(printf, 1, 2))) char *mem_fmt(const char *fmt, ...);

/* Makes room for one more element of `item` bytes in *array, doubling *cap. */
void mem_room(void *array, size_t *cap, size_t n, size_t item);

#endif
