/* test_run_grants.c - sources that offer their lanes: what the host grants, when, and to whom.
 *
 * The stream of these tests is a family: a parent that is closed, and two children.
 */
#include <kpipe/ext/timer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/run/host.h"
#include "tests/kptest.h"
#include "tests/unit/run_world.h"

enum { PARENT_RECORDS = 200, CHILD_RECORDS = 300, PER_BATCH = 10 };

static const kp_host *h;

/* What the sources of all workers did. */
static struct {
    pthread_mutex_t lock;
    unsigned n_grants, n_early, n_offers, n_wrong_abouts, workers;
    char starts[3][KP_POSITION_MAX + 1]; /* p, c0, c1 */
    bool is_cut;                         /* the source stops after half of each child */
    bool has_no_children;                /* until it is asked for an offer */
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct family_lane {
    kp_lane *lane;
    kp_node *node;
    int number; /* 0: the parent */
    int sent, total;
    bool is_over;
};

struct family {
    struct family_lane lanes[3];
    const kp_timer_ext *timers;
    kp_timer *timer;
    struct world_flow *flow;
    bool must_answer;
};

static const char *const names[] = {"p", "c0", "c1"};

static uint64_t delivered_of(struct world_flow *flow, const char *name)
{
    uint64_t n = 0;

    pthread_mutex_lock(&flow->lock);
    for (uint32_t i = 0; i < flow->n_seen; i++)
        if (!strcmp(flow->lanes[i].name, name))
            n = flow->lanes[i].n;
    pthread_mutex_unlock(&flow->lock);
    return n;
}

/* ---- the source */

static void offer_all(kp_node *node)
{
    kp_lane_about parent = {.size = sizeof parent, .is_closed = true};
    kp_lane_about child = {.size = sizeof child, .parents = {{"p", 1}}};

    h->lane_offer(node, "p", &parent);
    if (!seen.has_no_children) {
        h->lane_offer(node, "c0", &child);
        h->lane_offer(node, "c1", &child);
    }
    h->lanes_offered(node, &(kp_offer){.size = sizeof(kp_offer), .begin = "TRIM_HORIZON"});
}

static bool send_one(struct family_lane *lane)
{
    char text[PER_BATCH][24];
    kp_batch *b;
    kp_position end = {0};

    if (!h->lane_ready(lane->lane))
        return false;
    b = h->batch_new(lane->node, PER_BATCH);
    for (int i = 0; i < PER_BATCH; i++) {
        kp_record *r = h->append(b, 1);
        char *data = h->alloc(b, sizeof text[0]);

        r->data = r->sequence = data;
        r->data_len = r->sequence_len =
            (uint32_t)snprintf(data, sizeof text[0], "%d", ++lane->sent);
    }
    end.text.len = (size_t)snprintf(text[0], sizeof text[0], "%d", lane->sent);
    end.text.ptr = text[0];
    h->submit(lane->lane, b, &end, NULL);
    return true;
}

static void end_lane(struct family_lane *lane)
{
    kp_position end = {{KP_POSITION_END, strlen(KP_POSITION_END)}, 0};

    lane->is_over = true;
    if (lane->number)
        return; /* children are open: they only have nothing more now */
    h->submit(lane->lane, h->batch_new(lane->node, 1), &end, NULL);
    h->lane_close(lane->lane);
    lane->lane = NULL;
}

static void pump(kp_node *node, struct family *family)
{
    bool is_over = true;

    for (int i = 0; i < 3; i++) {
        struct family_lane *lane = &family->lanes[i];

        while (lane->lane && lane->sent < lane->total && send_one(lane))
            ;
        if (lane->lane && lane->sent >= lane->total && !lane->is_over)
            end_lane(lane);
        is_over &= !lane->lane || lane->is_over;
    }
    if (is_over && family->must_answer) {
        family->must_answer = false;
        h->caught_up(node);
    }
}

static void rang(kp_node *node, void *arg)
{
    pump(node, arg);
}

static kp_status family_open(kp_node *node, const void *config, void *state)
{
    struct family *family = state;

    family->flow = (struct world_flow *)(uintptr_t)config;
    family->timers = h->extension("timer/1");
    family->timer = family->timers->create(node, rang, family);
    return KP_OK;
}

static kp_status family_start(kp_node *node, void *state)
{
    (void)state;
    if (h->info(node)->worker == 0)
        offer_all(node);
    return KP_OK;
}

static void family_grant(kp_node *node, void *state, const kp_grant *grant)
{
    struct family *family = state;
    struct world_flow *flow = family->flow;
    int number = grant->name.ptr[0] == 'p' ? 0 : grant->name.ptr[1] - '0' + 1;
    struct family_lane *lane = &family->lanes[number];
    int total = number ? CHILD_RECORDS : PARENT_RECORDS;
    uint64_t parents = delivered_of(flow, "p");
    kp_position start;

    *lane = (struct family_lane){.node = node, .number = number};
    lane->lane = h->lane_open(node, names[number], lane, &start);
    lane->sent = (int)strtol(start.text.ptr, NULL, 10);
    lane->total = number && seen.is_cut ? total / 2 : total;
    pthread_mutex_lock(&seen.lock);
    seen.n_grants++;
    seen.workers |= 1u << h->info(node)->worker;
    snprintf(seen.starts[number], sizeof seen.starts[number], "%.*s", (int)grant->start.text.len,
             grant->start.text.ptr);
    seen.n_early += number && parents < PARENT_RECORDS;
    seen.n_wrong_abouts +=
        number && (grant->about.parents[0].len != 1 || *grant->about.parents[0].ptr != 'p');
    pthread_mutex_unlock(&seen.lock);
    family->timers->start(family->timer, 0, 0);
}

static void family_revoke(kp_node *node, void *state, kp_lane *lane, void *lane_state, bool is_lost)
{
    struct family_lane *gone = lane_state;

    (void)node;
    (void)state;
    (void)is_lost;
    gone->lane = NULL;
    h->lane_close(lane);
}

static void family_offer(kp_node *node, void *state)
{
    (void)state;
    seen.n_offers++;
    seen.has_no_children = false;
    offer_all(node);
}

static void family_wake(kp_node *node, void *state, kp_lane *lane, void *lane_state)
{
    (void)lane;
    (void)lane_state;
    pump(node, state);
}

static void family_catch_up(kp_node *node, void *state)
{
    ((struct family *)state)->must_answer = true;
    pump(node, state);
}

static const kp_element family_source = {
    .size = sizeof(kp_element),
    .kind = KP_SOURCE,
    .flags = KP_STREAM,
    .name = "family",
    .state_size = sizeof(struct family),
    .open = family_open,
    .start = family_start,
    .wake = family_wake,
    .catch_up = family_catch_up,
    .grant = family_grant,
    .revoke = family_revoke,
    .offer = family_offer,
};

static void family_world(struct world *world, const char *dir)
{
    h = host_table();
    world_init(world, 1, dir);
    world->flows[0].source = &family_source;
    world->flows[0].source_flags = KP_STREAM;
    memset(seen.starts, 0, sizeof seen.starts);
    seen.n_grants = seen.n_early = seen.n_offers = seen.n_wrong_abouts = seen.workers = 0;
    seen.is_cut = seen.has_no_children = false;
}

/* ---- */

TEST(children_are_granted_when_their_parent_has_ended)
{
    struct world world;

    family_world(&world, NULL);
    EQ_INT(world_run(&world), HOST_DONE);
    EQ_INT(seen.n_grants, 3);
    EQ_INT(seen.n_early, 0);
    EQ_INT(seen.n_wrong_abouts, 0);
    EQ_STR(seen.starts[0], "TRIM_HORIZON");
    EQ_STR(seen.starts[1], "TRIM_HORIZON");
    EQ_INT(delivered_of(&world.flows[0], "p"), PARENT_RECORDS);
    EQ_INT(delivered_of(&world.flows[0], "c0"), CHILD_RECORDS);
    EQ_INT(delivered_of(&world.flows[0], "c1"), CHILD_RECORDS);
    EQ_INT(world.flows[0].n_disorder, 0);
    YES(strstr(world_leases(&world), "SHARD_END") != NULL);
    world_fini(&world);
}

TEST(lanes_are_spread_over_the_workers)
{
    struct world world;

    family_world(&world, NULL);
    EQ_INT(world_run(&world), HOST_DONE);
    EQ_INT(seen.workers, 3); /* of two, both had one */
    world_fini(&world);
}

TEST(a_parent_that_ends_before_its_children_are_known_asks_for_an_offer)
{
    struct world world;

    family_world(&world, NULL);
    seen.has_no_children = true;
    EQ_INT(world_run(&world), HOST_DONE);
    YES(seen.n_offers >= 1);
    EQ_INT(seen.n_grants, 3);
    EQ_INT(delivered_of(&world.flows[0], "c1"), CHILD_RECORDS);
    world_fini(&world);
}

TEST(the_next_run_goes_on_where_the_lanes_stand_and_skips_what_has_ended)
{
    struct world first, second;

    family_world(&first, NULL);
    seen.is_cut = true;
    EQ_INT(world_run(&first), HOST_DONE);
    EQ_INT(delivered_of(&first.flows[0], "c0"), CHILD_RECORDS / 2);
    world_fini(&first);
    family_world(&second, first.dir);
    EQ_INT(world_run(&second), HOST_DONE);
    EQ_INT(seen.n_grants, 2);
    EQ_STR(seen.starts[1], "150");
    EQ_INT(delivered_of(&second.flows[0], "p"), 0);
    EQ_INT(delivered_of(&second.flows[0], "c0"), CHILD_RECORDS / 2);
    EQ_INT(delivered_of(&second.flows[0], "c1"), CHILD_RECORDS / 2);
    world_fini(&second);
}

TEST(without_leases_every_run_begins_anew)
{
    struct world world;

    for (int i = 0; i < 2; i++) {
        family_world(&world, NULL);
        world.plan.leases = (char *)(uintptr_t) "none";
        EQ_INT(world_run(&world), HOST_DONE);
        EQ_INT(seen.n_grants, 3);
        EQ_INT(delivered_of(&world.flows[0], "p"), PARENT_RECORDS);
        world_fini(&world);
    }
}

/* ---- boundaries */

static struct {
    char found[3][KP_POSITION_MAX + 1]; /* of p, c0, c1: pending when the first batch came */
    uint64_t found_sub[3];
    int n_told, n_refused;
    bool gives_up; /* the sink settles nothing behind its boundary */
} bounds;

struct object_sink {
    kp_node *node;
    struct waiting {
        kp_batch *b;
        struct object_sink *sink;
        struct waiting *next;
    } * waiting; /* in order of coming */
};

static void bound(kp_node *node, void *arg, bool ok)
{
    struct waiting *waiting = arg, **link = &waiting->sink->waiting;

    pthread_mutex_lock(&seen.lock);
    bounds.n_told += ok;
    bounds.n_refused += !ok;
    pthread_mutex_unlock(&seen.lock);
    if (bounds.gives_up)
        return; /* the object is never written: it ends with the run */
    while (*link != waiting)
        link = &(*link)->next;
    *link = waiting->next;
    h->deliver_all(waiting->b);
    h->done(node, waiting->b);
    free(waiting);
}

static kp_status object_open(kp_node *node, const void *config, void *state)
{
    (void)config;
    ((struct object_sink *)state)->node = node;
    return KP_OK;
}

static kp_status object_process(kp_node *node, void *state, kp_batch *b)
{
    struct object_sink *sink = state;
    struct waiting *waiting = calloc(1, sizeof *waiting), **end = &sink->waiting;
    const kp_record *last = kp_at(b, b->count - 1);
    int lane = b->lane_name.ptr[0] == 'p' ? 0 : b->lane_name.ptr[1] - '0' + 1;
    kp_position boundary = {{last->sequence, last->sequence_len}, 7}, pending;

    if (h->lane_pending(b->lane, &pending)) {
        pthread_mutex_lock(&seen.lock);
        snprintf(bounds.found[lane], sizeof bounds.found[lane], "%.*s", (int)pending.text.len,
                 pending.text.ptr);
        bounds.found_sub[lane] = pending.sub;
        pthread_mutex_unlock(&seen.lock);
    }
    *waiting = (struct waiting){.b = b, .sink = sink};
    while (*end)
        end = &(*end)->next;
    *end = waiting;
    h->lane_prepare(node, b->lane, &boundary, bound, waiting);
    return KP_OK;
}

static void object_close(kp_node *node, void *state)
{
    struct object_sink *sink = state;

    while (sink->waiting) {
        struct waiting *waiting = sink->waiting;

        sink->waiting = waiting->next;
        h->release(node, waiting->b);
        free(waiting);
    }
}

static const kp_element object_sink = {
    .size = sizeof(kp_element),
    .kind = KP_SINK,
    .name = "objects",
    .state_size = sizeof(struct object_sink),
    .open = object_open,
    .process = object_process,
    .close = object_close,
};

TEST(a_boundary_is_found_by_the_run_after_a_crash_and_gone_once_it_is_reached)
{
    struct world first, second, third;

    memset(&bounds, 0, sizeof bounds);
    bounds.gives_up = true;
    family_world(&first, NULL);
    first.flows[0].sink = &object_sink;
    first.options.until = (struct until_goal){UNTIL_TIME, 300};
    first.options.drain_ms = 1;
    EQ_INT(world_run(&first), HOST_DEADLINE);
    EQ_INT(bounds.n_told, 1); /* the first batch of the parent */
    EQ_STR(bounds.found[0], "");
    world_fini(&first);

    bounds.gives_up = false;
    family_world(&second, first.dir);
    second.flows[0].sink = &object_sink;
    EQ_INT(world_run(&second), HOST_DONE);
    EQ_STR(bounds.found[0], "10");
    EQ_INT(bounds.found_sub[0], 7);
    EQ_STR(bounds.found[1], "");
    EQ_INT(bounds.n_refused, 0);
    EQ_INT(world_stats(&second, 0, 1).delivered, PARENT_RECORDS + 2 * CHILD_RECORDS);

    world_fini(&second);
    bounds.found[0][0] = '\0';
    family_world(&third, first.dir);
    third.flows[0].sink = &object_sink;
    EQ_INT(world_run(&third), HOST_DONE);
    EQ_STR(bounds.found[0], "");
    world_fini(&third);
}
