/* arena.h - memory that lives as long as a plan.
 *
 * Everything a plan consists of is taken from one arena, so that an error in
 * the middle of a Lua call (a longjmp) leaks nothing. It is wiped before it is
 * freed, because resolved secrets lie in it.
 *
 * Owned by: the plan (plan->owned).   Threads: main.
 */
#ifndef KPIPE_CONFIG_ARENA_H
#define KPIPE_CONFIG_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena;

/* `full` is called when more than `limit` bytes are asked for in all; it does not return. */
struct arena *arena_new(size_t limit, void (*full)(void *arg), void *arg);
void arena_free(struct arena *arena); /* NULL is fine */

void *arena_alloc(struct arena *arena, size_t bytes); /* zeroed, aligned for anything */
char *arena_dup(struct arena *arena, const char *text);
char *arena_dupn(struct arena *arena, const char *text, size_t n);
__attribute__((format(printf, 2, 3))) char *arena_fmt(struct arena *arena, const char *fmt, ...);
char *arena_vfmt(struct arena *arena, const char *fmt, va_list args);

/* Room for one more item of an array that lies in the arena; the old one stays behind. */
void arena_room(struct arena *arena, void *array, size_t *cap, size_t n, size_t item);

#endif
