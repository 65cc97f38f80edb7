/* worker.c - see worker.h. */
#include "core/run/worker.h"

#include <stdlib.h>
#include <string.h>

#include "core/aws/aws_client.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/config/lua_run.h"
#include "core/net/http_client.h"
#include "core/run/flow.h"

enum { TASKS_A_TURN = 1000 };

/* So many at most: a stage that always has more to do must not keep the loop from its sockets and
 * from main. */
static void run_tasks(struct worker *worker)
{
    for (int left = TASKS_A_TURN; worker->tasks && left; left--) {
        struct task *task = worker->tasks;

        worker->tasks = task->next;
        if (!worker->tasks)
            worker->tasks_end = &worker->tasks;
        task->is_queued = false;
        task->run(task);
    }
}

static void do_nothing(uv_idle_t *idle)
{
    (void)idle;
}

static void before_wait(uv_prepare_t *prepare)
{
    struct worker *worker = prepare->data;

    run_tasks(worker);
    if (worker->tasks) /* an active idle handle: the loop looks, but does not wait */
        uv_idle_start(&worker->idle, do_nothing);
    else
        uv_idle_stop(&worker->idle);
}

static void after_wait(uv_check_t *check)
{
    run_tasks(check->data);
}

static void look_for_room(struct inbox *inbox)
{
    struct worker *worker =
        (struct worker *)(void *)((char *)inbox - offsetof(struct worker, inbox));

    if (!atomic_exchange(&worker->has_room, false))
        return;
    for (size_t i = 0; i < worker->n_flows; i++)
        flow_has_room(worker->flows[i]);
}

bool worker_init(struct worker *worker, struct host *host, uint32_t index, struct error *err)
{
    int code;

    *worker = (struct worker){.host = host, .index = index};
    worker->tasks_end = &worker->tasks;
    worker->random = (uint64_t)clock_mono_ns() * 2 + 1 + index;
    code = uv_loop_init(&worker->loop);
    if (code) {
        error_set(err, ERROR_SYSTEM, "cannot make an event loop: %s", uv_strerror(code));
        return false;
    }
    uv_prepare_init(&worker->loop, &worker->prepare);
    worker->prepare.data = worker;
    uv_prepare_start(&worker->prepare, before_wait);
    uv_idle_init(&worker->loop, &worker->idle);
    uv_check_init(&worker->loop, &worker->check);
    worker->check.data = worker;
    uv_check_start(&worker->check, after_wait);
    inbox_init(&worker->inbox, &worker->loop);
    worker->inbox.woken = look_for_room;
    timers_init(&worker->timers, &worker->loop);
    worker->http = http_client_new(&worker->loop, err);
    worker->aws_http = worker->http ? http_client_new(&worker->loop, err) : NULL;
    if (worker->aws_http)
        return true;
    worker_fini(worker);
    return false;
}

static void thread_main(void *arg)
{
    struct worker *worker = arg;

    uv_run(&worker->loop, UV_RUN_DEFAULT);
}

bool worker_start(struct worker *worker, struct error *err)
{
    int code = uv_thread_create(&worker->thread, thread_main, worker);

    if (code) {
        error_set(err, ERROR_SYSTEM, "cannot start a worker thread: %s", uv_strerror(code));
        return false;
    }
    worker->runs = true;
    return true;
}

static void free_parts(struct worker *worker)
{
    aws_client_free(worker->aws);
    http_client_free(worker->aws_http);
    http_client_free(worker->http);
    lua_run_free(worker->lua);
    worker->aws = NULL;
    worker->http = worker->aws_http = NULL;
    worker->lua = NULL;
    timers_fini(&worker->timers);
    uv_close((uv_handle_t *)&worker->prepare, NULL);
    uv_close((uv_handle_t *)&worker->idle, NULL);
    uv_close((uv_handle_t *)&worker->check, NULL);
    inbox_fini(&worker->inbox);
}

static void free_on_thread(struct post *post)
{
    struct worker *worker = ((struct {
                                struct post post;
                                struct worker *worker;
                            } *)(void *)post)
                                ->worker;

    free_parts(worker);
}

void worker_fini(struct worker *worker)
{
    struct {
        struct post post;
        struct worker *worker;
    } end = {{NULL, free_on_thread}, worker};

    if (worker->runs) {
        inbox_post(&worker->inbox, &end.post);
        uv_thread_join(&worker->thread);
    } else {
        free_parts(worker);
        uv_run(&worker->loop, UV_RUN_DEFAULT);
    }
    if (uv_loop_close(&worker->loop))
        bug("worker %u ended with open handles on its loop", worker->index);
    free(worker->flows);
}

void worker_set_aws(struct worker *worker, struct aws_config *config)
{
    worker->aws = aws_client_new(&worker->loop, worker->aws_http, config);
}

struct lua_run *worker_lua(struct worker *worker)
{
    if (!worker->lua)
        worker->lua = lua_run_new(0);
    return worker->lua;
}

void worker_defer(struct worker *worker, struct task *task)
{
    if (task->is_queued)
        return;
    task->is_queued = true;
    task->next = NULL;
    *worker->tasks_end = task;
    worker->tasks_end = &task->next;
}

void worker_undefer(struct worker *worker, struct task *task)
{
    struct task **link = &worker->tasks;

    if (!task->is_queued)
        return;
    while (*link != task)
        link = &(*link)->next;
    *link = task->next;
    if (!task->next)
        worker->tasks_end = link;
    task->is_queued = false;
}

int64_t worker_random(struct worker *worker, int64_t below)
{
    /* splitmix64 */
    uint64_t z = worker->random += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return below > 0 ? (int64_t)(z % (uint64_t)below) : 0;
}

struct call {
    struct worker *worker;
    void (*fn)(struct worker *worker, void *arg);
    void *arg;
};

static void run_call(void *arg)
{
    struct call *call = arg;

    call->fn(call->worker, call->arg);
}

void worker_call(struct worker *worker, void (*fn)(struct worker *worker, void *arg), void *arg)
{
    struct call call = {worker, fn, arg};

    inbox_call(&worker->inbox, run_call, &call);
}
