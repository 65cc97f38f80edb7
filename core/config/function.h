/* function.h - a Lua function of the pipeline file, as it travels to the workers.
 *
 * The loader checks that it captures constants only (nil, booleans, numbers,
 * strings, other such functions), then keeps bytecode and values. A worker makes
 * the function again in its own Lua state (lua_run.h).
 *
 * Owned by: the plan.   Threads: any, read-only.
 */
#ifndef KPIPE_CONFIG_FUNCTION_H
#define KPIPE_CONFIG_FUNCTION_H

#include <stddef.h>
#include <stdint.h>

enum constant_kind {
    CONSTANT_NIL,
    CONSTANT_BOOL,
    CONSTANT_INT,
    CONSTANT_NUMBER,
    CONSTANT_STRING,
    CONSTANT_FUNCTION,
    CONSTANT_ENV,
    CONSTANT_LIBRARY /* text names a value of the safe library: "string.format", "math" */
};

struct constant {
    enum constant_kind kind;
    int64_t integer; /* BOOL, INT */
    double number;
    char *text; /* STRING, LIBRARY [owned] */
    size_t text_len;
    const struct kp_function *fn; /* FUNCTION [owned by the plan] */
};

struct kp_function {
    uint32_t id; /* unique in the plan */
    char *where; /* "pattern4.lua:12" [owned] */
    char *code;  /* bytecode [owned] */
    size_t code_len;
    struct constant *upvalues; /* [owned] */
    size_t n_upvalues;
};

#endif
