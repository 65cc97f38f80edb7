/* worker.h - a thread with its own loop, clients, Lua state and stage instances.
 *
 * Deferred tasks: what must not happen inside a call of a plugin (waking it,
 * telling it how records ended, giving it the next batch) is put on a list that
 * runs before the loop waits and after its callbacks, so the stack stays as deep
 * as the flow has stages.
 *
 * Owned by: the host.   Threads: fields belong to the worker's thread once it runs.
 */
#ifndef KPIPE_RUN_WORKER_H
#define KPIPE_RUN_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/net/inbox.h"
#include "core/run/timers.h"

struct error;
struct host;
struct http_client;
struct aws_client;
struct aws_config;
struct lua_run;
struct flow;

struct task {
    struct task *next;
    void (*run)(struct task *task);
    bool is_queued;
};

struct worker {
    struct host *host; /* [borrowed] */
    uint32_t index;
    uv_loop_t loop;
    uv_thread_t thread;
    bool runs; /* the thread was started */
    uv_prepare_t prepare;
    uv_idle_t idle; /* runs while tasks are left */
    uv_check_t check;
    struct inbox inbox;
    struct timers timers;
    struct task *tasks, **tasks_end;
    struct http_client *http, *aws_http; /* [owned] of nodes; of `aws` */
    struct aws_client *aws;              /* [owned] NULL until worker_set_aws() */
    struct lua_run *lua;                 /* [owned] made when first asked for */
    struct flow **flows;                 /* [owned] instances on this worker */
    size_t n_flows;
    uint64_t random;       /* state of worker_random() */
    _Atomic bool has_room; /* a budget was given back to since somebody was refused */
};

/* Makes the loop and the clients; the thread is not started yet. [main] */
bool worker_init(struct worker *worker, struct host *host, uint32_t index, struct error *err);
bool worker_start(struct worker *worker, struct error *err);
/* Ends the thread after it has run what was posted; then frees all. [main] */
void worker_fini(struct worker *worker);

/* Signed calls from now on. Before the thread has anything to do. [main] */
void worker_set_aws(struct worker *worker, struct aws_config *config);
struct lua_run *worker_lua(struct worker *worker);

/* Runs the task once, soon; a task that waits already is not added again. */
void worker_defer(struct worker *worker, struct task *task);
/* Takes back a task that has not run. */
void worker_undefer(struct worker *worker, struct task *task);

/* Uniform in [0, below). Jitter, nothing secret. */
int64_t worker_random(struct worker *worker, int64_t below);

/* Calls fn on the worker's thread and waits until it has returned. [main] */
void worker_call(struct worker *worker, void (*fn)(struct worker *worker, void *arg), void *arg);

#endif
