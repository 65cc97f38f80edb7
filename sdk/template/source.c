/* my-plugin.c - source: one numbered record per interval. */
#include <kpipe/ext/timer.h>
#include <kpipe/plugin.h>
#include <stdio.h>
#include <stdlib.h>

/* What the pipeline file says; the host fills it in from the rows below. */
struct my_plugin_config {
    int64_t count, every_ms;
};

/* One per worker, zeroed by the host. No lock is needed: one thread at a time. */
struct my_plugin_state {
    const struct my_plugin_config *config;
    const kp_timer_ext *timers;
    kp_timer *timer;
    kp_lane *lane;
    int64_t sent;
};

static const kp_option my_plugin_options[] = {
    {"count", KP_T_INT, offsetof(struct my_plugin_config, count), "10", "1..1000000",
     "records to make", NULL},
    {"every", KP_T_DURATION, offsetof(struct my_plugin_config, every_ms), "1s", "1ms..1h",
     "time between two records", NULL},
    {0},
};

static void my_plugin_tick(kp_node *node, void *arg)
{
    struct my_plugin_state *me = arg;
    kp_batch *b;
    char text[24];
    int len;

    if (!kp->lane_ready(me->lane)) /* no room: the next tick asks again */
        return;
    b = kp->batch_new(node, 1);
    len = snprintf(text, sizeof text, "%lld", (long long)me->sent + 1);
    if (!kp->append(b, 1) || !kp->set(b, 0, text, (size_t)len)) {
        kp->release(node, b);
        return;
    }
    me->sent++;
    /* The position says where to go on after a restart. The host keeps it once all is settled. */
    kp->submit(me->lane, b, &(kp_position){{text, (size_t)len}, 0}, NULL);
    if (me->sent >= me->config->count) {
        me->timers->stop(me->timer);
        kp->lane_close(me->lane);
        kp->ended(node);
    }
}

static kp_status my_plugin_open(kp_node *node, const void *config, void *state)
{
    struct my_plugin_state *me = state;

    me->config = config;
    me->timers = kp->extension("timer/1");
    if (!me->timers)
        return kp->fail(node, "this host has no timer/1");
    me->timer = me->timers->create(node, my_plugin_tick, me);
    return KP_OK;
}

static kp_status my_plugin_start(kp_node *node, void *state)
{
    struct my_plugin_state *me = state;
    kp_position start;
    char digits[24];

    me->lane = kp->lane_open(node, "my-plugin", NULL, &start);
    snprintf(digits, sizeof digits, "%.*s", (int)start.text.len, start.text.ptr);
    me->sent = atoll(digits); /* 0 without a checkpoint */
    if (me->sent < me->config->count) {
        me->timers->start(me->timer, me->config->every_ms, me->config->every_ms);
    } else {
        kp->lane_close(me->lane);
        kp->ended(node);
    }
    return KP_OK;
}

static void my_plugin_stop(kp_node *node, void *state)
{
    const struct my_plugin_state *me = state;

    (void)node;
    me->timers->stop(me->timer);
}

static const kp_element my_plugin = {
    .size = sizeof(kp_element),
    .kind = KP_SOURCE,
    .flags = KP_BOUNDED | KP_SINGLETON,
    .name = "my-plugin",
    .help = "makes one numbered record per interval",
    .options = my_plugin_options,
    .config_size = sizeof(struct my_plugin_config),
    .state_size = sizeof(struct my_plugin_state),
    .open = my_plugin_open,
    .start = my_plugin_start,
    .stop = my_plugin_stop,
};

KP_PLUGIN("my-plugin", "0.1.0", "Apache-2.0", &my_plugin)
