/* inbox.c - see inbox.h: a list under a mutex, taken whole. */
#include "core/net/inbox.h"

#include <stddef.h>

#include "core/base/error.h"

void inbox_run(struct inbox *inbox)
{
    struct post *post, *next;

    pthread_mutex_lock(&inbox->lock);
    post = inbox->first;
    inbox->first = NULL;
    inbox->last = &inbox->first;
    pthread_mutex_unlock(&inbox->lock);
    for (; post; post = next) {
        next = post->next;
        post->run(post);
    }
}

static void arrived(uv_async_t *async)
{
    struct inbox *inbox = async->data;

    inbox_run(inbox);
    if (inbox->woken)
        inbox->woken(inbox);
}

void inbox_init(struct inbox *inbox, uv_loop_t *loop)
{
    uv_async_init(loop, &inbox->async, arrived);
    inbox->async.data = inbox;
    pthread_mutex_init(&inbox->lock, NULL);
    inbox->first = NULL;
    inbox->last = &inbox->first;
    inbox->woken = NULL;
}

void inbox_fini(struct inbox *inbox)
{
    inbox_run(inbox);
    uv_close((uv_handle_t *)&inbox->async, NULL);
    pthread_mutex_destroy(&inbox->lock);
}

void inbox_post(struct inbox *inbox, struct post *post)
{
    bool was_empty;

    post->next = NULL;
    pthread_mutex_lock(&inbox->lock);
    was_empty = !inbox->first;
    *inbox->last = post;
    inbox->last = &post->next;
    pthread_mutex_unlock(&inbox->lock);
    if (was_empty)
        uv_async_send(&inbox->async);
}

void inbox_wake(struct inbox *inbox)
{
    uv_async_send(&inbox->async);
}

struct call {
    struct post post; /* must be first */
    void (*fn)(void *arg);
    void *arg;
    uv_sem_t done;
};

static void run_call(struct post *post)
{
    struct call *call = (struct call *)(void *)post;

    call->fn(call->arg);
    uv_sem_post(&call->done);
}

void inbox_call(struct inbox *inbox, void (*fn)(void *arg), void *arg)
{
    struct call call = {.post.run = run_call, .fn = fn, .arg = arg};

    if (uv_sem_init(&call.done, 0))
        bug("cannot make a semaphore");
    inbox_post(inbox, &call.post);
    uv_sem_wait(&call.done);
    uv_sem_destroy(&call.done);
}
