/* error.h - the one error value of core.
 *
 * A function that can fail returns bool or a pointer and takes `struct error
 * *err` last. It fills err once; callers add context on the way up; whoever
 * ends the error prints it. NULL is allowed everywhere: the text is then lost.
 *
 * Owned by: the caller's stack.   Threads: any, one at a time.
 */
#ifndef KPIPE_BASE_ERROR_H
#define KPIPE_BASE_ERROR_H

#include <stdarg.h>

enum error_kind {
    ERROR_NONE = 0,
    ERROR_FAILED,  /* anything without a kind of its own */
    ERROR_SYSTEM,  /* a system call said no; `sys` is its errno */
    ERROR_CONFIG,  /* the user's file or command line: exit code 2 */
    ERROR_CORRUPT, /* bytes that are not what they claim to be */
    ERROR_LIMIT,   /* a bound of ours was reached */
};

struct error {
    enum error_kind kind;
    int sys;
    char text[1000]; /* one line, no newline at its end */
};

#define ERROR_INIT \
    {              \
        0          \
    }

__attribute__((format(printf, 3, 4))) void error_set(struct error *err, enum error_kind kind,
                                                     const char *fmt, ...);
/* Text followed by ": strerror(sys)". */
__attribute__((format(printf, 3, 4))) void error_sys(struct error *err, int sys, const char *fmt,
                                                     ...);
/* Puts "context: " before the text that is there. */
__attribute__((format(printf, 2, 3))) void error_context(struct error *err, const char *fmt, ...);

/* A broken invariant of kpipe itself: prints file, line and text, then aborts. */
__attribute__((noreturn, format(printf, 3, 4))) void bug_at(const char *file, int line,
                                                            const char *fmt, ...);
#define bug(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)

#endif
