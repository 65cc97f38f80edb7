/* test_plugin_harness.c - the harness itself, driven by elements that behave and misbehave. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/harness/internal.h"
#include "tests/kptest.h"

static const kp_option no_options[] = {{0}};
static char complaint[1000]; /* the last one */
static kp_batch *volatile lost;

static void note_complaint(const char *text)
{
    snprintf(complaint, sizeof complaint, "%s", text);
}

/* ---- a transform that does what the first letter of a record says */

struct act_state {
    kp_group *group;
    kp_batch *kept;
    kp_timer *timer;
    const kp_timer_ext *timers;
};

static kp_status act_open(kp_node *node, const void *config, void *state)
{
    struct act_state *me = state;

    (void)node, (void)config;
    me->timers = harness_host.extension("timer/1");
    return KP_OK;
}

static void act_on(kp_node *node, struct act_state *me, kp_batch *b, uint32_t i)
{
    switch (kp_at(b, i)->data[0]) {
    case 'f': harness_host.filter(b, i); break;
    case 'r': harness_host.reject(b, i, "bad letter %c", 'r'); break;
    case 't': harness_host.retry(b, i, 70, "later"); break;
    case 's': harness_host.set(b, i, "set", 3); break;
    case 'g':
        if (!me->group)
            me->group = harness_host.group_new(node);
        harness_host.group_take(me->group, b, i);
        break;
    case 'F':
        harness_host.reject_with(b, i,
                                 &(kp_failure){.size = sizeof(kp_failure),
                                               .attempts = 3,
                                               .condition = {"Exhausted", 9},
                                               .reason = {"tried", 5}});
        break;
    default: break;
    }
}

static void act_emit_group(kp_node *node, void *arg)
{
    struct act_state *me = arg;
    kp_batch *out;
    kp_record *record;

    if (!me->group)
        return;
    out = harness_host.batch_new(node, 1);
    record = harness_host.append_group(out, me->group);
    record->data = "group";
    record->data_len = 5;
    me->group = NULL;
    harness_host.emit(node, out);
}

static kp_status act_process(kp_node *node, void *state, kp_batch *b)
{
    struct act_state *me = state;

    if (b->count && kp_at(b, 0)->data[0] == 'X')
        return harness_host.fail(node, "cannot go on");
    if (b->count && kp_at(b, 0)->data[0] == 'L') {
        lost = b; /* found from here, so that a leak sanitizer is not told of it */
        return KP_OK;
    }
    for (uint32_t i = 0; i < b->count; i++)
        act_on(node, me, b, i);
    if (me->group && !me->timer) {
        me->timer = me->timers->create(node, act_emit_group, me);
        me->timers->start(me->timer, 1000, 0);
    }
    harness_host.emit(node, b);
    return KP_OK;
}

static void act_flush(kp_node *node, void *state)
{
    act_emit_group(node, state);
}

static const kp_element act = {.size = sizeof(kp_element),
                               .kind = KP_TRANSFORM,
                               .name = "act",
                               .help = "acts on letters",
                               .options = no_options,
                               .state_size = sizeof(struct act_state),
                               .open = act_open,
                               .process = act_process,
                               .flush = act_flush};

/* ---- a sink that posts each batch by http/1 and follows the answer's status */

static void post_answered(kp_node *node, void *arg, const kp_http_response *response)
{
    kp_batch *b = arg;

    if (response->status == 200)
        harness_host.deliver_all(b);
    for (uint32_t i = 0; i < b->count; i++)
        if (response->status != 200)
            harness_host.retry(b, i, 0, "%s",
                               response->error ? response->error : "the service said no");
    harness_host.done(node, b);
}

static kp_status post_process(kp_node *node, void *state, kp_batch *b)
{
    const kp_http_ext *http = harness_host.extension("http/1");
    kp_http_request request = {.size = sizeof request,
                               .method = "POST",
                               .url = "http://example/in",
                               .body = {kp_at(b, 0)->data, kp_at(b, 0)->data_len}};

    (void)state;
    if (kp_at(b, 0)->data[0] == 'u') /* unmarked: a bug the harness must see */
        harness_host.done(node, b);
    else
        http->send(node, &request, post_answered, b);
    return KP_OK;
}

static const kp_element post = {.size = sizeof(kp_element),
                                .kind = KP_SINK,
                                .name = "post",
                                .help = "posts",
                                .options = no_options,
                                .process = post_process};

/* ---- a source that submits numbers as long as there is room */

struct count_state {
    kp_lane *lane;
    int next, end, told;
    kp_outcome last;
};

static void count_on(kp_node *node, struct count_state *me)
{
    while (me->next < me->end && harness_host.lane_ready(me->lane)) {
        kp_batch *b = harness_host.batch_new(node, 1);
        kp_record *record = harness_host.append(b, 1);
        char text[16];
        int len = snprintf(text, sizeof text, "%d", ++me->next);

        harness_host.set(b, 0, text, (size_t)len);
        (void)record;
        harness_host.submit(me->lane, b, &(kp_position){{text, (size_t)len}, 0}, me);
    }
    if (me->next == me->end && me->lane) {
        harness_host.lane_close(me->lane);
        me->lane = NULL;
        harness_host.ended(node);
    }
}

static kp_status count_start(kp_node *node, void *state)
{
    struct count_state *me = state;
    kp_position start;

    me->lane = harness_host.lane_open(node, "numbers", me, &start);
    me->next = start.text.len ? atoi(start.text.ptr) : 0;
    me->end = me->next + 3;
    count_on(node, me);
    return KP_OK;
}

static void count_wake(kp_node *node, void *state, kp_lane *lane, void *lane_state)
{
    (void)lane, (void)lane_state;
    count_on(node, state);
}

static void count_settled(kp_node *node, void *state, void *token, const kp_result *results,
                          uint32_t n)
{
    struct count_state *me = token;

    (void)node, (void)state;
    me->told += (int)n;
    me->last = results[n - 1].outcome;
}

static const kp_element numbers = {.size = sizeof(kp_element),
                                   .kind = KP_SOURCE,
                                   .flags = KP_BOUNDED,
                                   .name = "numbers",
                                   .help = "counts",
                                   .options = no_options,
                                   .state_size = sizeof(struct count_state),
                                   .start = count_start,
                                   .wake = count_wake,
                                   .settled = count_settled};

static const kp_plugin *entry(const kp_host *host)
{
    static const kp_element *const elements[] = {&act, &post, &numbers, NULL};
    static const kp_plugin plugin = {sizeof plugin, KP_ABI_MAJOR, KP_ABI_MINOR, "probe",
                                     "1.0.0",       "Apache-2.0", elements};

    (void)host;
    return &plugin;
}

static struct harness *open_probe(const char *name, kp_kind kind)
{
    harness_use(entry);
    complaint[0] = '\0';
    return harness_new(name, kind, "{}");
}

/* Ends a harness that is expected to complain. */
static void free_complaining(struct harness *h)
{
    harness_complaint = note_complaint;
    harness_free(h);
    harness_complaint = NULL;
    harness_use(NULL);
}

static void free_probe(struct harness *h)
{
    harness_free(h);
    harness_use(NULL);
}

/* ---- tests */

TEST(harness_tells_every_outcome_of_a_transform)
{
    struct harness *h = open_probe("act", KP_TRANSFORM);
    const char *const in[] = {"keep", "f", "r", "t", "s", "F", NULL};

    harness_feed(h, "a", in);
    EQ_INT(harness_outcome(h, 0), KP_DELIVERED);
    EQ_INT(harness_outcome(h, 1), KP_FILTERED);
    EQ_INT(harness_outcome(h, 2), KP_REJECTED);
    EQ_STR(harness_reason(h, 2), "bad letter r");
    EQ_INT(harness_outcome(h, 3), KP_RETRY);
    EQ_INT(harness_retry_after(h, 3), 70);
    EQ_STR(harness_failure(h, 0)->condition.ptr, "Exhausted");
    REQUIRE(harness_out_count(h) == 2);
    EQ_STR(harness_out(h, 0)->data, "keep");
    EQ_STR(harness_out(h, 0)->sequence, "1");
    EQ_STR(harness_out(h, 0)->lane, "a");
    EQ_STR(harness_out(h, 1)->data, "set");
    free_probe(h);
}

TEST(harness_counts_the_origins_of_a_group_and_settles_them_together)
{
    struct harness *h = open_probe("act", KP_TRANSFORM);
    const char *const in[] = {"g", "x", "g", NULL};

    harness_hold(h, true);
    harness_feed(h, "a", in);
    EQ_INT(harness_out_count(h), 1);
    harness_advance(h, 999);
    EQ_INT(harness_out_count(h), 1);
    harness_advance(h, 1);
    REQUIRE(harness_out_count(h) == 2);
    EQ_INT(harness_out(h, 1)->origins, 2);
    EQ_INT(harness_count(h, KP_NONE), 3);
    harness_settle_out(h, 1, KP_REJECTED, NULL);
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    EQ_INT(harness_outcome(h, 1), KP_NONE);
    EQ_INT(harness_outcome(h, 2), KP_REJECTED);
    free_probe(h);
}

TEST(harness_finds_a_lost_batch)
{
    struct harness *h = open_probe("act", KP_TRANSFORM);

    harness_feed_one(h, "a", "Lost", NULL);
    free_complaining(h);
    YES(strstr(complaint, "leaked") || strstr(complaint, "never settled"));
}

TEST(harness_retires_the_batch_in_hand_when_the_element_fails)
{
    struct harness *h = open_probe("act", KP_TRANSFORM);

    harness_feed_one(h, "a", "X", NULL);
    EQ_INT(harness_outcome(h, 0), KP_RETRY);
    EQ_STR(harness_failed(h), "cannot go on");
    free_probe(h);
}

TEST(harness_gives_the_next_batch_of_a_lane_only_when_the_last_is_done)
{
    struct harness *h = open_probe("post", KP_SINK);

    harness_feed_one(h, "a", "1", NULL);
    harness_feed_one(h, "a", "2", NULL);
    harness_feed_one(h, "b", "3", NULL);
    EQ_INT(harness_requests(h), 2);
    EQ_STR(harness_request_line(h, 0), "POST http://example/in");
    EQ_STR(harness_request_body(h, 1, NULL), "3");
    harness_http_answer(h, "/in", 200, "", 0);
    harness_http_answer(h, "/in", 500, "", 100);
    EQ_INT(harness_requests(h), 3);
    EQ_INT(harness_outcome(h, 0), KP_DELIVERED);
    EQ_INT(harness_outcome(h, 2), KP_NONE);
    YES(harness_next_timer(h));
    EQ_INT(harness_outcome(h, 2), KP_RETRY);
    harness_advance(h, 60000); /* nobody answers the third */
    EQ_STR(harness_reason(h, 1), "no answer within the time limit");
    free_probe(h);
}

TEST(harness_complains_about_a_record_without_an_outcome)
{
    struct harness *h = open_probe("post", KP_SINK);

    harness_complaint = note_complaint;
    harness_feed_one(h, "a", "unmarked", NULL);
    YES(strstr(complaint, "without an outcome") != NULL);
    EQ_INT(harness_outcome(h, 0), KP_RETRY);
    free_complaining(h);
}

TEST(harness_source_starts_at_its_checkpoint_and_moves_the_watermark)
{
    struct harness *h = open_probe("numbers", KP_SOURCE);

    harness_checkpoint(h, "numbers", "7", 0);
    harness_start(h);
    YES(harness_has_ended(h));
    REQUIRE(harness_out_count(h) == 3);
    EQ_STR(harness_out(h, 0)->data, "8");
    EQ_STR(harness_position(h, "numbers"), "10");
    EQ_INT(((struct count_state *)h->state)->told, 3);
    free_probe(h);
}

TEST(harness_watermark_stops_at_what_must_be_read_again)
{
    struct harness *h = open_probe("numbers", KP_SOURCE);

    harness_hold(h, true);
    harness_set_room(h, false);
    harness_start(h);
    EQ_INT(harness_out_count(h), 0);
    harness_set_room(h, true);
    REQUIRE(harness_out_count(h) == 3);
    harness_settle_out(h, 1, KP_DELIVERED, NULL);
    CU_ASSERT_PTR_NULL(harness_position(h, "numbers"));
    harness_settle_out(h, 0, KP_DELIVERED, NULL);
    EQ_STR(harness_position(h, "numbers"), "2");
    harness_settle_out(h, 2, KP_RETRY, NULL);
    EQ_STR(harness_position(h, "numbers"), "2");
    EQ_INT(((struct count_state *)h->state)->last, KP_RETRY);
    free_probe(h);
}
