/* test_plugin_harness_grants.c - how the harness shares lanes: a source that offers what the test
 * says, and a sink that prepares checkpoints. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/harness/internal.h"
#include "tests/kptest.h"

static const kp_option no_options[] = {{0}};
static char complaint[1000]; /* the last one */

static void note_complaint(const char *text)
{
    snprintf(complaint, sizeof complaint, "%s", text);
}

/* ---- a source that offers the lanes of `offers`, and submits one record a lane, then its end */

struct lane_row {
    const char *name, *parent;
    bool is_closed;
};

static const struct lane_row *offers; /* ended by a row without a name */
static bool ends, opens, closes;

struct share_state {
    int asked, caught;
    char started[300];
};

static kp_slice slice_of(const char *text)
{
    return (kp_slice){text, strlen(text)};
}

static void share_offer(kp_node *node, void *state)
{
    struct share_state *me = state;

    me->asked++;
    for (const struct lane_row *row = offers; row && row->name; row++) {
        kp_lane_about about = {.size = sizeof about,
                               .parents = {slice_of(row->parent)},
                               .low_hash = slice_of("1"),
                               .high_hash = slice_of("9"),
                               .is_closed = row->is_closed};

        harness_host.lane_offer(node, row->name, &about);
    }
    harness_host.lanes_offered(node, &(kp_offer){.size = sizeof(kp_offer), .begin = "LATEST"});
}

static kp_status share_start(kp_node *node, void *state)
{
    share_offer(node, state);
    return KP_OK;
}

static void submit(kp_node *node, kp_lane *lane, const char *text, uint32_t n)
{
    kp_batch *b = harness_host.batch_new(node, 1);

    if (n) {
        (void)harness_host.append(b, n);
        harness_host.set(b, 0, text, strlen(text));
    }
    harness_host.submit(lane, b, &(kp_position){slice_of(text), 0}, NULL);
}

static void share_grant(kp_node *node, void *state, const kp_grant *grant)
{
    struct share_state *me = state;
    size_t len = strlen(me->started);
    char name[20];
    kp_position start;
    kp_lane *lane;

    snprintf(me->started + len, sizeof me->started - len, "%.*s:%.*s/%.*s ", (int)grant->name.len,
             grant->name.ptr, (int)grant->start.text.len, grant->start.text.ptr,
             (int)grant->about.parents[0].len, grant->about.parents[0].ptr);
    if (!opens)
        return;
    snprintf(name, sizeof name, "%.*s", (int)grant->name.len, grant->name.ptr);
    lane = harness_host.lane_open(node, name, me, &start);
    EQ_INT(start.text.len, grant->start.text.len);
    harness_host.lane_count(lane, "grants", 1);
    harness_host.lane_gauge(lane, "parents", grant->about.parents[0].len ? 1 : 0);
    submit(node, lane, "7", 1);
    if (!ends)
        return;
    submit(node, lane, KP_POSITION_END, 0);
    harness_host.lane_close(lane);
}

static void share_revoke(kp_node *node, void *state, kp_lane *lane, void *lane_state, bool is_lost)
{
    (void)node, (void)is_lost;
    if (lane && closes) {
        YES(lane_state == state);
        harness_host.lane_close(lane);
    }
}

static void share_catch_up(kp_node *node, void *state)
{
    ((struct share_state *)state)->caught++;
    harness_host.caught_up(node);
}

static const kp_element share = {.size = sizeof(kp_element),
                                 .kind = KP_SOURCE,
                                 .flags = KP_STREAM,
                                 .name = "share",
                                 .help = "offers",
                                 .options = no_options,
                                 .state_size = sizeof(struct share_state),
                                 .start = share_start,
                                 .catch_up = share_catch_up,
                                 .grant = share_grant,
                                 .revoke = share_revoke,
                                 .offer = share_offer};

/* ---- a sink that prepares what it was given last, and delivers when that is durable */

static void prepared(kp_node *node, void *arg, bool ok)
{
    kp_batch *b = arg;

    if (ok)
        harness_host.deliver_all(b);
    for (uint32_t i = 0; i < b->count && !ok; i++)
        harness_host.retry(b, i, 0, "the lane is another's");
    harness_host.done(node, b);
}

static kp_status once_process(kp_node *node, void *state, kp_batch *b)
{
    const kp_record *last = kp_at(b, b->count - 1);
    kp_position at = {{last->sequence, last->sequence_len}, last->sub_sequence};
    kp_position before;

    (void)state;
    if (harness_host.lane_pending(b->lane, &before))
        harness_host.count(node, "pending", (int64_t)before.sub);
    harness_host.lane_prepare(node, b->lane, &at, prepared, b);
    return KP_OK;
}

static const kp_element once = {.size = sizeof(kp_element),
                                .kind = KP_SINK,
                                .name = "once",
                                .help = "prepares",
                                .options = no_options,
                                .process = once_process};

static const kp_plugin *entry(const kp_host *host)
{
    static const kp_element *const elements[] = {&share, &once, NULL};
    static const kp_plugin plugin = {sizeof plugin, KP_ABI_MAJOR, KP_ABI_MINOR, "probe",
                                     "1.0.0",       "Apache-2.0", elements};

    (void)host;
    return &plugin;
}

static struct harness *open_probe(const char *name, kp_kind kind)
{
    harness_use(entry);
    complaint[0] = '\0';
    ends = opens = closes = true;
    return harness_new(name, kind, "{}");
}

static void free_probe(struct harness *h)
{
    harness_complaint = NULL;
    harness_free(h);
    harness_use(NULL);
}

static const struct share_state *state_of(const struct harness *h)
{
    return h->state;
}

/* ---- tests */

TEST(harness_grants_parents_first_and_children_once_the_end_is_settled)
{
    static const struct lane_row rows[] = {
        {"c", "b", false}, {"b", "a", true}, {"a", "gone", true}, {0}};
    struct harness *h = open_probe("share", KP_SOURCE);

    offers = rows;
    harness_hold(h, true);
    harness_start(h);
    EQ_STR(state_of(h)->started, "a:LATEST/gone ");
    EQ_INT(harness_offered_count(h), 3);
    EQ_STR(harness_offered(h, "b"), "a  1..9 closed");
    EQ_STR(harness_offered_begin(h), "LATEST");
    harness_settle_out(h, 0, KP_DELIVERED, NULL);
    EQ_STR(harness_position(h, "a"), KP_POSITION_END);
    harness_hold(h, false);
    EQ_STR(state_of(h)->started, "a:LATEST/gone b:LATEST/a ");
    harness_settle_out(h, 1, KP_DELIVERED, NULL);
    EQ_STR(state_of(h)->started, "a:LATEST/gone b:LATEST/a c:LATEST/b ");
    EQ_INT(state_of(h)->asked, 1 + 3); /* at the start and after each end */
    EQ_INT(harness_lane_counter(h, "c", "grants"), 1);
    EQ_INT(harness_lane_gauge_of(h, "c", "parents"), 1);
    EQ_INT(harness_lane_counter(h, "c", "other"), 0);
    free_probe(h);
}

TEST(harness_begins_at_the_checkpoint_or_for_a_lane_that_came_later_at_its_oldest_record)
{
    static const struct lane_row one[] = {{"a", "", false}, {"z", "", false}, {0}};
    static const struct lane_row two[] = {{"a", "", false}, {"b", "", false}, {0}};
    struct harness *h = open_probe("share", KP_SOURCE);

    ends = false;
    offers = one;
    harness_checkpoint(h, "a", "41", 3);
    harness_checkpoint(h, "z", KP_POSITION_END, 0);
    harness_start(h);
    EQ_STR(state_of(h)->started, "a:41/ "); /* z is done with */
    offers = two;
    harness_ask_offer(h);
    EQ_STR(state_of(h)->started, "a:41/ b:TRIM_HORIZON/ ");
    CU_ASSERT_PTR_NULL(harness_offered(h, "z"));
    free_probe(h);
}

TEST(harness_revokes_and_grants_again_behind_what_was_settled)
{
    static const struct lane_row rows[] = {{"a", "", false}, {0}};
    struct harness *h = open_probe("share", KP_SOURCE);

    ends = false;
    offers = rows;
    harness_hold(h, true);
    harness_start(h);
    harness_revoke(h, "a", false);
    NO(harness_lane_is_open(h, "a"));
    harness_settle_out(h, 0, KP_DELIVERED, NULL);
    EQ_STR(harness_position(h, "a"), "7");
    harness_advance(h, 1000);
    EQ_STR(state_of(h)->started, "a:LATEST/ "); /* not by itself */
    harness_grant(h, "a", NULL);
    EQ_STR(state_of(h)->started, "a:LATEST/ a:7/ ");
    harness_revoke(h, "a", true);
    harness_settle_out(h, 1, KP_RETRY, NULL);
    harness_grant(h, "a", "5");
    EQ_STR(state_of(h)->started, "a:LATEST/ a:7/ a:5/ ");
    harness_settle_out(h, 2, KP_DELIVERED, NULL); /* the lost one does not stop it */
    EQ_STR(harness_position(h, "a"), "7");
    free_probe(h);
}

TEST(harness_asks_whether_all_is_read_again_after_a_grant)
{
    static const struct lane_row rows[] = {{"a", "", false}, {0}};
    struct harness *h = open_probe("share", KP_SOURCE);

    offers = rows;
    ends = false;
    harness_hold_grants(h, true);
    harness_start(h);
    harness_catch_up(h);
    EQ_INT(state_of(h)->caught, 1);
    NO(harness_has_caught_up(h)); /* a lane is not read yet */
    harness_hold_grants(h, false);
    EQ_INT(state_of(h)->caught, 2);
    YES(harness_has_caught_up(h));
    free_probe(h);
}

TEST(harness_complains_about_grants_that_open_nothing_and_lanes_that_stay_open)
{
    static const struct lane_row rows[] = {{"a", "", false}, {"a", "", false}, {0}};
    struct harness *h = open_probe("share", KP_SOURCE);

    opens = false;
    offers = NULL;
    harness_complaint = note_complaint;
    harness_start(h);
    harness_grant(h, "a", "1");
    YES(strstr(complaint, "grant() of lane a did not open it") != NULL);
    opens = true;
    closes = ends = false;
    harness_grant(h, "b", "1");
    harness_revoke(h, "b", false);
    YES(strstr(complaint, "revoke() of lane b did not close it") != NULL);
    harness_host.lane_close(harness_lane(h, "b"));
    offers = rows;
    harness_hold_grants(h, true);
    harness_ask_offer(h);
    YES(strstr(complaint, "lane a is twice in one offer") != NULL);
    free_probe(h);
}

TEST(harness_lets_only_the_first_worker_offer)
{
    struct harness *h;

    harness_use_worker(2);
    h = open_probe("share", KP_SOURCE);
    harness_use_worker(0);
    EQ_INT(h->info.worker, 2);
    EQ_INT(h->info.n_workers, 3);
    offers = NULL;
    harness_complaint = note_complaint;
    harness_start(h);
    YES(strstr(complaint, "lanes_offered() of the instance on worker 2") != NULL);
    free_probe(h);
}

TEST(harness_makes_preparations_durable_and_refuses_them_on_demand)
{
    struct harness *h = open_probe("once", KP_SINK);
    uint64_t sub = 0;

    harness_feed_one(h, "a", "x", NULL);
    EQ_INT(harness_outcome(h, 0), KP_DELIVERED);
    EQ_STR(harness_pending(h, "a", &sub), "1");
    harness_hold_prepares(h, true);
    harness_feed_one(h, "a", "y", NULL);
    EQ_INT(harness_outcome(h, 1), KP_NONE);
    YES(harness_answer_prepare(h, false));
    EQ_INT(harness_outcome(h, 1), KP_RETRY);
    NO(harness_answer_prepare(h, true));
    EQ_STR(harness_pending(h, "a", &sub), "1");
    harness_set_pending(h, "b", "900", 12);
    harness_hold_prepares(h, false);
    harness_feed_one(h, "b", "z", NULL);
    EQ_INT(harness_counter(h, "pending"), 12);
    free_probe(h);
}
