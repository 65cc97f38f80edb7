/* test_run_timers.c - the timers and messages of a loop. */
#include <pthread.h>

#include "core/base/clock.h"
#include "core/net/inbox.h"
#include "core/run/timers.h"
#include "tests/kptest.h"

struct bell {
    struct timer timer; /* must be first */
    struct timers *timers;
    char name;
    bool again;
};

static char rung[64];
static int n_rung;

static void ring(struct timer *timer)
{
    struct bell *bell = (struct bell *)(void *)timer;

    rung[n_rung++] = bell->name;
    rung[n_rung] = '\0';
    if (bell->again && n_rung < 60)
        timers_set(bell->timers, timer, 0);
}

static void run_bells(struct timers *timers, uv_loop_t *loop, int want)
{
    int64_t deadline = clock_mono_ms() + 10000;

    while (n_rung < want && timers->n && clock_mono_ms() < deadline)
        uv_run(loop, UV_RUN_ONCE);
}

static void end(struct timers *timers, uv_loop_t *loop)
{
    timers_fini(timers);
    uv_run(loop, UV_RUN_DEFAULT);
    EQ_INT(uv_loop_close(loop), 0);
}

TEST(timers_ring_in_order_of_their_time_and_then_of_their_setting)
{
    uv_loop_t loop;
    struct timers timers;
    struct bell bells[6];
    const int64_t after[] = {6, 2, 4, 2, 0, 8};

    uv_loop_init(&loop);
    timers_init(&timers, &loop);
    n_rung = 0;
    for (int i = 0; i < 6; i++) {
        bells[i] = (struct bell){.timer.ring = ring, .timers = &timers, .name = (char)('a' + i)};
        timers_set(&timers, &bells[i].timer, after[i]);
    }
    run_bells(&timers, &loop, 6);
    EQ_STR(rung, "ebdcaf");
    end(&timers, &loop);
}

TEST(a_stopped_timer_does_not_ring_and_a_set_one_moves)
{
    uv_loop_t loop;
    struct timers timers;
    struct bell bells[3];

    uv_loop_init(&loop);
    timers_init(&timers, &loop);
    n_rung = 0;
    for (int i = 0; i < 3; i++) {
        bells[i] = (struct bell){.timer.ring = ring, .timers = &timers, .name = (char)('a' + i)};
        timers_set(&timers, &bells[i].timer, 2);
    }
    timers_stop(&timers, &bells[1].timer);
    timers_stop(&timers, &bells[1].timer);
    NO(timer_is_set(&bells[1].timer));
    timers_set(&timers, &bells[0].timer, 5);
    run_bells(&timers, &loop, 2);
    EQ_STR(rung, "ca");
    end(&timers, &loop);
}

/* A timer that sets itself for now. */
static void go_round(void (*rings)(struct timer *timer))
{
    uv_loop_t loop;
    struct timers timers;
    struct bell bell = {.timer.ring = rings, .timers = &timers, .name = 'x', .again = true};

    uv_loop_init(&loop);
    timers_init(&timers, &loop);
    n_rung = 0;
    timers_set(&timers, &bell.timer, 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    YES(n_rung <= 2);
    timers_stop(&timers, &bell.timer);
    end(&timers, &loop);
}

TEST(a_timer_that_sets_itself_for_now_does_not_starve_the_loop)
{
    go_round(ring);
}

/* Work of milliseconds, then again. */
static void ring_long(struct timer *timer)
{
    int64_t until = clock_mono_ms() + 3;

    while (clock_mono_ms() < until)
        ;
    ring(timer);
}

TEST(nor_does_one_that_works_for_long_each_time)
{
    go_round(ring_long);
}

/* ---- messages */

enum { POSTS = 1000 };

struct numbered {
    struct post post; /* must be first */
    int number;
};

static int n_arrived, n_out_of_order;

static void arrive(struct post *post)
{
    n_out_of_order += ((struct numbered *)(void *)post)->number != n_arrived;
    n_arrived++;
}

static void *post_all(void *arg)
{
    static struct numbered posts[POSTS];

    for (int i = 0; i < POSTS; i++) {
        posts[i] = (struct numbered){.post.run = arrive, .number = i};
        inbox_post(arg, &posts[i].post);
    }
    return NULL;
}

TEST(messages_of_another_thread_arrive_in_order)
{
    uv_loop_t loop;
    struct inbox inbox;
    pthread_t thread;

    uv_loop_init(&loop);
    inbox_init(&inbox, &loop);
    n_arrived = n_out_of_order = 0;
    REQUIRE(!pthread_create(&thread, NULL, post_all, &inbox));
    while (n_arrived < POSTS)
        uv_run(&loop, UV_RUN_ONCE);
    pthread_join(thread, NULL);
    EQ_INT(n_out_of_order, 0);
    inbox_fini(&inbox);
    uv_run(&loop, UV_RUN_DEFAULT);
    EQ_INT(uv_loop_close(&loop), 0);
}
