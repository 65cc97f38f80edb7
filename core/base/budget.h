/* budget.h - a limit in bytes, shared by threads.
 *
 * All record memory is counted against one budget of the process and one of its
 * flow (the parent chain). Taking never waits: who gets no room asks to be
 * called when there is some.
 *
 * Threads: any; counters are atomic. Not here: who waits (run/worker.h).
 */
#ifndef KPIPE_BASE_BUDGET_H
#define KPIPE_BASE_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct budget {
    const char *name; /* [borrowed] */
    int64_t limit;    /* bytes; <= 0: none */
    _Atomic int64_t used;
    _Atomic int64_t peak;
    _Atomic bool starved;     /* somebody was refused since the last give-back */
    struct budget *parent;    /* [borrowed] counted too, may be NULL */
    void (*freed)(void *arg); /* called after a give-back when somebody was refused [any] */
    void *arg;
};

/* Takes `bytes` here and in all parents, or nowhere. A single request is let through when nothing
 * is in use, so that a record larger than the limit cannot stop a flow for ever. */
bool budget_take(struct budget *budget, size_t bytes);
/* Takes without asking: for memory that must exist (a transform's own copies). */
void budget_force(struct budget *budget, size_t bytes);
void budget_give(struct budget *budget, size_t bytes);
/* True when there is room for at least one byte in all of the chain; false marks them starved. */
bool budget_has_room(struct budget *budget);

#endif
