/* inbox.h - messages to a thread that runs a loop.
 *
 * Any thread posts; the owner's loop wakes up and runs them in order. One wake-up
 * serves all that came before it ran. Not per record: a message is a batch on its
 * way to another worker, a settled relay, a command of main.
 *
 * Owned by: a worker or main.   Threads: inbox_post() any, the rest the owner's.
 */
#ifndef KPIPE_NET_INBOX_H
#define KPIPE_NET_INBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

struct post {
    struct post *next;
    void (*run)(struct post *post); /* may free it */
};

struct inbox {
    uv_async_t async;
    pthread_mutex_t lock;
    struct post *first, **last;         /* guarded by lock */
    void (*woken)(struct inbox *inbox); /* after the messages, may be NULL */
};

void inbox_init(struct inbox *inbox, uv_loop_t *loop);
/* Runs what is still there and closes the uv handle; nobody may post any more. */
void inbox_fini(struct inbox *inbox);

/* `post` is [owned by whoever its run() says]; it must live until then. [any] */
void inbox_post(struct inbox *inbox, struct post *post);
/* Calls fn on the owner's thread and waits until it has returned. Not for the owner. */
void inbox_call(struct inbox *inbox, void (*fn)(void *arg), void *arg);
/* Only wakes the owner: woken() is called. [any] */
void inbox_wake(struct inbox *inbox);
/* Runs what is there now. */
void inbox_run(struct inbox *inbox);

#endif
