/* source_generate.c - source generate: records of a given size, as fast as possible or at a rate.
 *
 * All records are slices of one slab of printable bytes, so making one costs the
 * filling of a table row. A turn ends after a few batches: the loop must also see
 * to sockets and timers.
 */
#include <kpipe/ext/timer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/basic/basic.h"

#define BATCH      1000
#define TURN       16   /* batches */
#define TICK_MS    10   /* with a rate */
#define SPREAD     4096 /* records begin at different bytes of the slab */
#define RATE_BURST 1000 /* ms that a late turn may catch up */

struct generate_config {
    int64_t count, size, rate, lanes;
};

struct generate_lane {
    kp_lane *lane;
    uint64_t sent, end; /* end == 0: none */
};

struct generate_state {
    const struct generate_config *config;
    const kp_timer_ext *timers;
    kp_timer *timer;
    kp_slab *slab;
    struct generate_lane *lanes; /* [owned] of this worker */
    size_t n_lanes, n_open;
    double allowed; /* records the rate lets out now */
    int64_t allowed_at_ms;
    bool stopped;
};

static const kp_option generate_options[] = {
    {"count", KP_T_INT, offsetof(struct generate_config, count), "0", "0..",
     "records in all, spread over the lanes; 0: no end", NULL},
    {"size", KP_T_BYTES, offsetof(struct generate_config, size), "256B", "1B..10MiB",
     "bytes of each record", NULL},
    {"rate", KP_T_INT, offsetof(struct generate_config, rate), "0", "0..100000000",
     "records per second over all lanes; 0: as fast as possible", NULL},
    {"lanes", KP_T_INT, offsetof(struct generate_config, lanes), "1", "1..1024",
     "ordered sequences, spread over the workers", NULL},
    {0},
};

static kp_batch *make_batch(kp_node *node, struct generate_state *me, struct generate_lane *lane,
                            uint32_t n)
{
    kp_batch *b = kp->batch_new(node, n);
    kp_record *record = b ? kp->append(b, n) : NULL;
    const char *data = kp->slab_data(me->slab);
    int64_t now = kp->wall_ms();

    if (!record) {
        if (b)
            kp->release(node, b);
        return NULL;
    }
    kp->keep(b, me->slab);
    for (uint32_t i = 0; i < n; i++, record++) {
        record->data = data + (lane->sent + i) * 61 % SPREAD;
        record->data_len = (uint32_t)me->config->size;
        record->arrival_ms = now;
    }
    return b;
}

/* Submits one batch; false: this lane has nothing to do now. */
static bool send_batch(kp_node *node, struct generate_state *me, struct generate_lane *lane)
{
    uint64_t n = lane->end ? lane->end - lane->sent : BATCH;
    kp_batch *b;
    char text[24];
    int len;

    if (n > BATCH)
        n = BATCH;
    if (me->config->rate && (double)n > me->allowed)
        n = (uint64_t)me->allowed;
    if (!n || !kp->lane_ready(lane->lane))
        return false;
    b = make_batch(node, me, lane, (uint32_t)n);
    if (!b) {
        kp->fail(node, "out of memory");
        me->stopped = true;
        return false;
    }
    lane->sent += n;
    me->allowed -= (double)n;
    len = snprintf(text, sizeof text, "%llu", (unsigned long long)lane->sent);
    kp->submit(lane->lane, b, &(kp_position){{text, (size_t)len}, 0}, NULL);
    return true;
}

static void close_if_done(kp_node *node, struct generate_state *me, struct generate_lane *lane)
{
    if (!lane->end || lane->sent < lane->end)
        return;
    kp->lane_close(lane->lane);
    lane->lane = NULL;
    if (--me->n_open == 0)
        kp->ended(node);
}

static void allow(struct generate_state *me)
{
    int64_t now = kp->now_ms(), took = now - me->allowed_at_ms;
    double share = (double)me->config->rate * (double)me->n_lanes / (double)me->config->lanes;

    me->allowed_at_ms = now;
    me->allowed += share * (double)(took > RATE_BURST ? RATE_BURST : took) / 1e3;
    if (me->allowed > share)
        me->allowed = share > 1 ? share : 1;
}

/* One turn over all lanes; goes on by timer while there is something to send. */
static void turn(kp_node *node, void *arg)
{
    struct generate_state *me = arg;
    bool more = true;

    if (me->stopped)
        return;
    if (me->config->rate)
        allow(me);
    for (int round = 0; round < TURN && more; round++) {
        more = false;
        for (size_t i = 0; i < me->n_lanes && !me->stopped; i++) {
            struct generate_lane *lane = &me->lanes[i];

            if (!lane->lane || !send_batch(node, me, lane))
                continue;
            more = true;
            close_if_done(node, me, lane);
        }
    }
    if (me->n_open && !me->stopped && (more || me->config->rate))
        me->timers->start(me->timer, more ? 0 : TICK_MS, 0);
}

static uint64_t first_position(kp_slice text)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%.*s", (int)(text.len < 23 ? text.len : 23),
             text.len ? text.ptr : "");
    return strtoull(digits, NULL, 10);
}

static void open_lane(kp_node *node, struct generate_state *me, uint64_t number)
{
    const struct generate_config *c = me->config;
    struct generate_lane *lane = &me->lanes[me->n_lanes++];
    uint64_t count = (uint64_t)c->count, lanes = (uint64_t)c->lanes;
    kp_position start;
    char name[32];

    snprintf(name, sizeof name, "generate-%04llu", (unsigned long long)number);
    lane->end = count / lanes + (number < count % lanes);
    lane->lane = kp->lane_open(node, name, lane, &start);
    lane->sent = first_position(start.text);
    if ((count && !lane->end) || (lane->end && lane->sent >= lane->end)) {
        kp->lane_close(lane->lane); /* fewer records than lanes, or all were sent before */
        lane->lane = NULL;
    } else {
        me->n_open++;
    }
}

static kp_status generate_open(kp_node *node, const void *config, void *state)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    struct generate_state *me = state;
    char *data;
    size_t len;

    me->config = config;
    me->timers = kp->extension("timer/1");
    if (!me->timers)
        return kp->fail(node, "this host has no timer/1");
    me->timer = me->timers->create(node, turn, me);
    len = (size_t)me->config->size + SPREAD;
    me->slab = kp->slab_new(node, len);
    me->lanes = calloc((size_t)me->config->lanes, sizeof *me->lanes);
    if (!me->slab || !me->lanes)
        return kp->fail(node, "out of memory for records of %lld bytes",
                        (long long)me->config->size);
    data = kp->slab_data(me->slab);
    for (size_t i = 0; i < len; i++)
        data[i] = letters[(i * 7 + i / 64) % 64];
    return KP_OK;
}

static kp_status generate_start(kp_node *node, void *state)
{
    struct generate_state *me = state;
    const kp_info *info = kp->info(node);

    for (uint64_t i = info->worker; i < (uint64_t)me->config->lanes; i += info->n_workers)
        open_lane(node, me, i);
    me->allowed_at_ms = kp->now_ms();
    if (me->n_open)
        turn(node, me);
    else
        kp->ended(node);
    return KP_OK;
}

static void generate_wake(kp_node *node, void *state, kp_lane *lane, void *lane_state)
{
    struct generate_state *me = state;

    (void)node, (void)lane, (void)lane_state;
    if (!me->stopped && me->n_open && !me->timers->active(me->timer))
        me->timers->start(me->timer, 0, 0); /* not from here: wake may come from a submit */
}

static void generate_stop(kp_node *node, void *state)
{
    struct generate_state *me = state;

    (void)node;
    me->stopped = true;
    me->timers->stop(me->timer);
}

static void generate_close(kp_node *node, void *state)
{
    struct generate_state *me = state;

    (void)node;
    if (me->slab)
        kp->slab_unref(me->slab);
    free(me->lanes);
}

const kp_element basic_generate = {
    .size = sizeof(kp_element),
    .kind = KP_SOURCE,
    .flags = KP_BOUNDED,
    .name = "generate",
    .help = "makes records of a given size, for measuring",
    .options = generate_options,
    .config_size = sizeof(struct generate_config),
    .state_size = sizeof(struct generate_state),
    .open = generate_open,
    .start = generate_start,
    .wake = generate_wake,
    .stop = generate_stop,
    .close = generate_close,
};
