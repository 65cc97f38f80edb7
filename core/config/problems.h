/* problems.h - everything that is wrong with a pipeline file, in the order of its lines.
 *
 * Owned by: the loader.   Threads: main.
 */
#ifndef KPIPE_CONFIG_PROBLEMS_H
#define KPIPE_CONFIG_PROBLEMS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

struct problem {
    char *file; /* [owned] */
    int line;   /* 0: the file as a whole */
    char *text; /* [owned] */
};

struct problems {
    struct problem *list; /* [owned] */
    size_t n, cap;
    size_t dropped; /* over the limit */
};

/* Adds a line; one that is there already is not added again. */
void problems_vadd(struct problems *problems, const char *file, int line, const char *fmt,
                   va_list args);
/* Writes all lines, `main_file`'s first, and the line that counts them. */
void problems_write(struct problems *problems, const char *main_file, FILE *out);
void problems_fini(struct problems *problems);

#endif
