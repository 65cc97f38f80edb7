/* memory.c - the handles of memory.h: requests and replies under way.
 *
 * Both are kept in the order of their arrival; nearly all go to the end of their
 * list. Time is that of core/base/clock.h; what a worker's own clock says differs from it by
 * its skew, which no delay knows of.
 */
#include "core/lease/memory.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/lease/memory_table.h"

#define NEVER INT64_MAX

struct memory_io {
    struct lease_io io; /* first: what others know of it */
    struct memory_table *table;
    uv_idle_t *idle; /* [owned until closed] NULL: no loop */
    struct memory_calls replies;
    void (*hook)(void *arg, const struct lease_call *call, struct memory_fate *fate);
    void *hook_arg;
    int64_t skew_ms, skew_s;
};

struct memory_call {
    TAILQ_ENTRY(memory_call) at;
    struct memory_io *io; /* [borrowed] NULL: it is gone */
    struct lease_call call;
    struct lease_lock lock_was;
    lease_fn fn;
    void *arg;
    struct memory_fate fate;
    int64_t due_ms, sent_ms; /* the table's clock; the worker's */
    struct memory_answer answer;
};

/* ---- calls */

static void copy_lock(struct lease_lock *to, const struct lease_lock *from)
{
    *to = *from;
    to->owner = mem_dup(from->owner);
    to->version = mem_dup(from->version);
}

static void copy_call(struct memory_call *to, const struct lease_call *from)
{
    to->call = *from;
    lease_copy(&to->call.was, &from->was);
    lease_copy(&to->call.to, &from->to);
    to->call.worker.id = mem_dup(from->worker.id);
    copy_lock(&to->call.lock, &from->lock);
    if (!from->lock_was)
        return;
    copy_lock(&to->lock_was, from->lock_was);
    to->call.lock_was = &to->lock_was;
}

static void call_free(struct memory_call *call)
{
    lease_fini(&call->call.was);
    lease_fini(&call->call.to);
    free(call->call.worker.id);
    free(call->call.lock.owner);
    free(call->call.lock.version);
    free(call->lock_was.owner);
    free(call->lock_was.version);
    memory_answer_fini(&call->answer);
    free(call);
}

void memory_queue_fini(struct memory_queue *queue)
{
    struct memory_call *call;

    while ((call = TAILQ_FIRST(&queue->requests))) {
        TAILQ_REMOVE(&queue->requests, call, at);
        call_free(call);
    }
}

/* Behind all that arrive earlier or at the same time. */
static void put(struct memory_calls *list, struct memory_call *call, int64_t delay_ms)
{
    struct memory_call *before = TAILQ_LAST(list, memory_calls);

    call->due_ms = delay_ms >= MEMORY_HELD ? NEVER : clock_mono_ms() + delay_ms;
    while (before && before->due_ms > call->due_ms)
        before = TAILQ_PREV(before, memory_calls, at);
    if (before)
        TAILQ_INSERT_AFTER(list, before, call, at);
    else
        TAILQ_INSERT_HEAD(list, call, at);
}

static struct memory_call *take_due(struct memory_calls *list)
{
    struct memory_call *call = TAILQ_FIRST(list);

    if (!call || call->due_ms > clock_mono_ms())
        return NULL;
    TAILQ_REMOVE(list, call, at);
    return call;
}

void memory_table_run(struct memory_table *table)
{
    struct memory_calls *requests = &memory_table_queue(table)->requests;
    struct memory_call *call;

    while ((call = take_due(requests))) {
        if (!call->fate.is_request_lost)
            memory_table_do(table, &call->call, &call->answer);
        if (call->io)
            put(&call->io->replies, call, call->fate.reply_ms);
        else
            call_free(call);
    }
}

/* ---- replies */

static void answer(struct memory_call *call)
{
    const struct memory_fate *fate = &call->fate;
    bool is_lost = fate->is_request_lost || fate->is_reply_lost;
    struct lease_reply reply = {.status = call->answer.status, .sent_ms = call->sent_ms};

    if (is_lost) {
        reply.status = LEASE_FAILED;
        reply.error = fate->error ? fate->error : "Timeout";
        reply.message = "no answer came";
        reply.is_final = fate->is_final;
    } else {
        reply.row = call->answer.row.key ? &call->answer.row : NULL;
        reply.scan = call->call.op == LEASE_SCAN ? &call->answer.scan : NULL;
    }
    call->fn(call->arg, &reply);
    call_free(call);
}

bool memory_io_deliver(struct lease_io *io)
{
    struct memory_io *mine = (struct memory_io *)io;
    struct memory_call *call;

    memory_table_run(mine->table);
    call = take_due(&mine->replies);
    if (call)
        answer(call); /* it may free us */
    return call != NULL;
}

int64_t memory_io_due_ms(struct lease_io *io)
{
    const struct memory_io *mine = (struct memory_io *)io;
    const struct memory_call *call = TAILQ_FIRST(&mine->replies);
    int64_t due_ms = call ? call->due_ms : NEVER;

    TAILQ_FOREACH(call, &memory_table_queue(mine->table)->requests, at)
    {
        if (call->due_ms >= due_ms)
            break;
        if (call->io == mine)
            due_ms = call->due_ms;
    }
    return due_ms == NEVER ? NEVER : due_ms + mine->skew_ms;
}

/* As many as there are now: what they call in turn waits for the next turn of the loop. A
 * callback that frees the io stops the idle handle, which outlives it. */
static void on_idle(uv_idle_t *idle)
{
    struct memory_io *mine = idle->data;
    struct memory_call *call;
    size_t n = 0;

    memory_table_run(mine->table);
    TAILQ_FOREACH(call, &mine->replies, at)
    n++;
    uv_idle_stop(idle);
    while (n-- && idle->data)
        memory_io_deliver(idle->data);
    mine = idle->data;
    if (mine && memory_io_due_ms(&mine->io) != NEVER)
        uv_idle_start(idle, on_idle);
}

/* ---- the handle */

static void call_io(struct lease_io *io, const struct lease_call *call, lease_fn fn, void *arg)
{
    struct memory_io *mine = (struct memory_io *)io;
    struct memory_call *copy = mem_new(sizeof *copy);

    copy_call(copy, call);
    copy->io = mine;
    copy->fn = fn;
    copy->arg = arg;
    copy->sent_ms = io->now_ms(io);
    if (mine->hook)
        mine->hook(mine->hook_arg, call, &copy->fate);
    put(&memory_table_queue(mine->table)->requests, copy, copy->fate.request_ms);
    if (mine->idle)
        uv_idle_start(mine->idle, on_idle);
}

static int64_t now_ms(struct lease_io *io)
{
    return clock_mono_ms() + ((struct memory_io *)io)->skew_ms;
}

static int64_t wall_s(struct lease_io *io)
{
    return clock_wall_ms() / 1000 + ((struct memory_io *)io)->skew_s;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void free_io(struct lease_io *io)
{
    struct memory_io *mine = (struct memory_io *)io;
    struct memory_call *call;

    TAILQ_FOREACH(call, &memory_table_queue(mine->table)->requests, at)
    {
        if (call->io == mine)
            call->io = NULL; /* it still arrives */
    }
    while ((call = TAILQ_FIRST(&mine->replies))) {
        TAILQ_REMOVE(&mine->replies, call, at);
        call_free(call);
    }
    if (mine->idle) {
        mine->idle->data = NULL;
        uv_close((uv_handle_t *)mine->idle, on_closed);
    }
    free(mine);
}

struct lease_io *memory_io_new(struct memory_table *table, uv_loop_t *loop, bool is_private)
{
    struct memory_io *mine = mem_new(sizeof *mine);

    mine->io = (struct lease_io){.call = call_io,
                                 .now_ms = now_ms,
                                 .wall_s = wall_s,
                                 .is_private = is_private,
                                 .table = memory_table_name(table),
                                 .free = free_io};
    mine->table = table;
    TAILQ_INIT(&mine->replies);
    if (loop) {
        mine->idle = mem_new(sizeof *mine->idle);
        uv_idle_init(loop, mine->idle);
        mine->idle->data = mine;
    }
    return &mine->io;
}

/* ---- tests */

void memory_io_hook(struct lease_io *io,
                    void (*hook)(void *arg, const struct lease_call *call,
                                 struct memory_fate *fate),
                    void *arg)
{
    struct memory_io *mine = (struct memory_io *)io;

    mine->hook = hook;
    mine->hook_arg = arg;
}

/* What is held is at the end of its list. */
static void release(struct memory_calls *list, const struct memory_io *io)
{
    struct memory_calls held = TAILQ_HEAD_INITIALIZER(held);
    struct memory_call *call = TAILQ_LAST(list, memory_calls), *before;

    for (; call && call->due_ms == NEVER; call = before) {
        before = TAILQ_PREV(call, memory_calls, at);
        if (call->io != io)
            continue;
        TAILQ_REMOVE(list, call, at);
        TAILQ_INSERT_HEAD(&held, call, at);
    }
    while ((call = TAILQ_FIRST(&held))) {
        TAILQ_REMOVE(&held, call, at);
        put(list, call, 0);
    }
}

void memory_io_release(struct lease_io *io)
{
    struct memory_io *mine = (struct memory_io *)io;

    release(&memory_table_queue(mine->table)->requests, mine);
    release(&mine->replies, mine);
}

void memory_io_skew(struct lease_io *io, int64_t mono_ms, int64_t wall_s_ahead)
{
    struct memory_io *mine = (struct memory_io *)io;

    mine->skew_ms = mono_ms;
    mine->skew_s = wall_s_ahead;
}
