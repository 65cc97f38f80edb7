/* error.c - see error.h. */
#include "core/base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
{
    va_list args;

    if (!err)
        return;
    err->kind = kind;
    err->sys = 0;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
}

void error_sys(struct error *err, int sys, const char *fmt, ...)
{
    va_list args;
    size_t n;

    if (!err)
        return;
    err->kind = ERROR_SYSTEM;
    err->sys = sys;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    n = strlen(err->text);
    snprintf(err->text + n, sizeof err->text - n, ": %s", strerror(sys));
}

void error_context(struct error *err, const char *fmt, ...)
{
    char old[sizeof err->text];
    va_list args;
    size_t n;

    if (!err)
        return;
    memcpy(old, err->text, sizeof old);
    va_start(args, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    n = strlen(err->text);
    snprintf(err->text + n, sizeof err->text - n, ": %s", old);
}

void bug_at(const char *file, int line, const char *fmt, ...)
{
    va_list args;

    fflush(stdout);
    fprintf(stderr, "kpipe: bug at %s:%d: ", file, line);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}
