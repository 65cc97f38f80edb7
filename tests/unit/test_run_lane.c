/* test_run_lane.c - tickets, watermarks, order and retries of core/run. */
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/lease/fleet.h"
#include "core/run/leases.h"
#include "tests/kptest.h"
#include "tests/unit/run_bench.h"

/* A lane whose watermark can be looked at. */
static kp_lane *watched_lane(struct bench *bench, const char *name, struct lease_row *row)
{
    kp_lane *lane = bench_lane(bench, name);

    memset(row, 0, sizeof *row);
    pthread_mutex_init(&row->lock, NULL);
    lane->row = row;
    return lane;
}

TEST(watermark_waits_for_the_slowest_batch)
{
    struct bench bench;
    struct lease_row row;
    kp_lane *lane;
    kp_batch *first;

    bench_open(&bench, &(struct bench_options){.sink_flags = KP_CONCURRENT});
    lane = watched_lane(&bench, "shard-0", &row);
    bench_submit(lane, "ab", "2", NULL);
    bench_submit(lane, "cd", "4", NULL);
    EQ_INT(bench_sink(&bench)->n_held, 2);
    first = bench_take(bench_sink(&bench));
    bench_deliver(&bench);
    NO(row.is_dirty);
    batch_deliver_all(first);
    hop_done(bench_node(&bench, 2), first);
    EQ_STR(row.text, "4");
    EQ_INT(bench_node(&bench, 0)->counts.delivered, 4);
    lane->row = NULL;
    bench_close(&bench);
}

/* What shards have read lies in memory until it is handed on: together they may fill it. */
TEST(a_shard_with_nothing_open_may_hand_on_what_it_has_read_though_memory_is_full)
{
    const uint32_t kinds[] = {KP_STREAM, KP_BOUNDED, KP_REQUEST};

    for (int i = 0; i < 3; i++) {
        bool is_stream = kinds[i] == KP_STREAM;
        struct bench bench;
        kp_lane *a, *b;

        bench_open(&bench, &(struct bench_options){.source_flags = kinds[i], .memory = 1 << 20});
        a = bench_lane(&bench, "a");
        b = bench_lane(&bench, "b");
        REQUIRE(budget_take(&bench.flow_budget, 1 << 20));
        EQ_INT(lane_ready(a), is_stream);
        bench_submit(a, "ab", "2", NULL);
        NO(lane_ready(a));
        EQ_INT(lane_ready(b), is_stream);
        bench_deliver(&bench);
        EQ_INT(lane_ready(a), is_stream);
        budget_give(&bench.flow_budget, 1 << 20);
        YES(lane_ready(a));
        bench_close(&bench);
    }
}

TEST(a_node_gets_the_next_batch_of_a_lane_after_the_last_is_done)
{
    struct bench bench;
    kp_lane *a, *b;

    bench_open(&bench, &(struct bench_options){0});
    a = bench_lane(&bench, "a");
    b = bench_lane(&bench, "b");
    bench_submit(a, "1", "1", NULL);
    bench_submit(a, "2", "2", NULL);
    bench_submit(b, "x", "1", NULL);
    bench_run(&bench);
    EQ_INT(bench_sink(&bench)->n_held, 2); /* 1 and x: another lane does not wait */
    EQ_STR(bench_letters(bench_sink(&bench)->held[0]), "1");
    EQ_STR(bench_letters(bench_sink(&bench)->held[1]), "x");
    bench_deliver(&bench);
    EQ_INT(bench_sink(&bench)->n_held, 2);
    EQ_STR(bench_letters(bench_sink(&bench)->held[1]), "2");
    bench_close(&bench);
}

TEST(a_retry_blocks_only_its_lane_and_keeps_its_order)
{
    struct bench bench;
    kp_lane *a, *b;
    kp_batch *batch;

    bench_open(&bench, &(struct bench_options){.sink_flags = KP_CONCURRENT});
    a = bench_lane(&bench, "a");
    b = bench_lane(&bench, "b");
    bench_submit(a, "123", "3", NULL);
    batch = bench_take(bench_sink(&bench));
    batch_deliver(batch, 0, NULL);
    batch_retry(batch, 1, 0, "busy");
    batch_deliver(batch, 2, NULL);
    hop_done(bench_node(&bench, 2), batch);
    bench_submit(a, "4", "4", NULL); /* must not overtake 2 */
    bench_submit(b, "x", "1", NULL);
    EQ_INT(bench_sink(&bench)->n_held, 1);
    EQ_STR(bench_letters(bench_sink(&bench)->held[0]), "x");
    bench_run_until_given(&bench, 3);
    EQ_STR(bench_letters(bench_sink(&bench)->held[1]), "2");
    EQ_INT(bench_sink(&bench)->n_held, 2);
    bench_deliver(&bench); /* x */
    bench_deliver(&bench); /* 2 */
    EQ_INT(bench_sink(&bench)->n_held, 1);
    EQ_STR(bench_letters(bench_sink(&bench)->held[0]), "4");
    EQ_INT(bench_node(&bench, 2)->counts.retried, 1);
    bench_deliver(&bench);
    EQ_INT(flow_open_records(bench.flow), 0);
    bench_close(&bench);
}

TEST(what_was_retried_is_given_in_the_order_it_first_came)
{
    struct bench bench;
    kp_lane *lane;
    kp_batch *first, *second;

    bench_open(&bench, &(struct bench_options){.sink_flags = KP_CONCURRENT});
    lane = bench_lane(&bench, "a");
    bench_submit(lane, "1", "1", NULL);
    bench_submit(lane, "2", "2", NULL);
    first = bench_take(bench_sink(&bench));
    second = bench_take(bench_sink(&bench));
    batch_retry(second, 0, 0, "busy");
    hop_done(bench_node(&bench, 2), second);
    batch_retry(first, 0, 0, "busy");
    hop_done(bench_node(&bench, 2), first);
    bench_run_until_given(&bench, 3);
    EQ_STR(bench_letters(bench_sink(&bench)->held[0]), "1");
    bench_deliver(&bench);
    bench_run_until_given(&bench, 4);
    EQ_STR(bench_letters(bench_sink(&bench)->held[0]), "2");
    bench_deliver(&bench);
    bench_close(&bench);
}

TEST(an_unmarked_record_is_tried_again_and_not_lost)
{
    struct bench bench;
    kp_lane *lane;

    bench_open(&bench, &(struct bench_options){0});
    lane = bench_lane(&bench, "a");
    bench_submit(lane, "1", "1", NULL);
    hop_done(bench_node(&bench, 2), bench_take(bench_sink(&bench)));
    bench_run_until_given(&bench, 2);
    bench_deliver(&bench);
    EQ_INT(bench_node(&bench, 0)->counts.delivered, 1);
    bench_close(&bench);
}

TEST(a_record_goes_to_on_failure_when_its_attempts_are_used_up)
{
    struct bench bench;
    kp_batch *b;

    bench_open(&bench, &(struct bench_options){.attempts = 2, .has_failure = true});
    bench_submit(bench_lane(&bench, "shard-7"), "q", "1", NULL);
    b = bench_take(bench_sink(&bench));
    batch_retry(b, 0, 0, "no answer");
    hop_done(bench_node(&bench, 2), b);
    bench_run_until_given(&bench, 2);
    b = bench_take(bench_sink(&bench));
    batch_retry(b, 0, 0, "no answer");
    hop_done(bench_node(&bench, 2), b);
    bench_run(&bench);
    EQ_INT(bench_failure(&bench)->n_held, 1);
    b = bench_take(bench_failure(&bench));
    YES(memmem(kp_at(b, 0)->data, kp_at(b, 0)->data_len, "\"condition\":\"RetryAttemptsExhausted\"",
               36) != NULL);
    YES(memmem(kp_at(b, 0)->data, kp_at(b, 0)->data_len, "\"attempts\":2", 12) != NULL);
    YES(memmem(kp_at(b, 0)->data, kp_at(b, 0)->data_len, "\"lane\":\"shard-7\"", 16) != NULL);
    YES(memmem(kp_at(b, 0)->data, kp_at(b, 0)->data_len, "\"data\":\"q\"", 10) != NULL);
    batch_deliver_all(b);
    hop_done(bench_node(&bench, 3), b);
    EQ_INT(bench_node(&bench, 0)->counts.dead_lettered, 1);
    EQ_INT(flow_open_records(bench.flow), 0);
    bench_close(&bench);
}

TEST(an_on_failure_sink_that_takes_failures_gets_the_record_as_it_was)
{
    struct bench bench;
    kp_batch *b;

    bench_open(&bench,
               &(struct bench_options){.has_failure = true, .failure_flags = KP_TAKES_FAILURES});
    bench_submit(bench_lane(&bench, "s"), "xyz", "3", NULL);
    b = bench_take(bench_sink(&bench));
    batch_deliver(b, 0, NULL);
    batch_reject(b, 1, "broken");
    batch_reject(b, 2, "broken");
    hop_done(bench_node(&bench, 2), b);
    b = bench_take(bench_failure(&bench));
    EQ_STR(bench_letters(b), "yz");
    REQUIRE(kp_at(b, 0)->failure != NULL);
    EQ_STR(kp_at(b, 0)->failure->reason.ptr, "broken");
    EQ_STR(kp_at(b, 0)->failure->stage.ptr, "sink");
    EQ_STR(kp_at(b, 0)->failure->lane.ptr, "s");
    EQ_INT(kp_at(b, 0)->failure->attempts, 1);
    YES(kp_at(b, 0)->failure->batch == kp_at(b, 1)->failure->batch);
    batch_deliver_all(b);
    hop_done(bench_node(&bench, 3), b);
    EQ_INT(bench_node(&bench, 0)->counts.dead_lettered, 2);
    bench_close(&bench);
}

TEST(a_rejected_record_without_on_failure_stops_the_run_and_stays_unread)
{
    struct bench bench;
    struct lease_row row;
    kp_lane *lane;
    kp_batch *b;

    bench_open(&bench, &(struct bench_options){0});
    lane = watched_lane(&bench, "s", &row);
    bench_submit(lane, "x", "1", NULL);
    b = bench_take(bench_sink(&bench));
    batch_reject(b, 0, "broken");
    hop_done(bench_node(&bench, 2), b);
    YES(bench.host.has_failed);
    YES(strstr(host_failure(&bench.host), "no on_failure") != NULL);
    NO(row.is_dirty);
    EQ_INT(bench_node(&bench, 0)->counts.unsettled, 1);
    lane->row = NULL;
    bench_close(&bench);
}

TEST(a_door_hears_how_each_record_ended)
{
    struct bench bench;
    kp_batch *b;
    kp_receipt receipt = {
        .size = sizeof receipt, .status = 200, .shard = {"shard-3", 7}, .sequence = {"49", 2}};

    bench_open(&bench, &(struct bench_options){.source_flags = KP_REQUEST});
    bench_submit(bench_lane(&bench, "door"), "abc", "", &bench);
    b = bench_take(bench_sink(&bench));
    batch_deliver(b, 0, &receipt);
    batch_reject(b, 1, "too large");
    batch_filter(b, 2);
    hop_done(bench_node(&bench, 2), b);
    EQ_INT(bench.n_settled, 0); /* never from inside a call */
    bench_run(&bench);
    EQ_INT(bench.n_settled, 3);
    EQ_INT(bench.outcomes[0], KP_DELIVERED);
    EQ_STR(bench.shards[0], "shard-3");
    EQ_INT(bench.outcomes[1], KP_REJECTED);
    EQ_STR(bench.reasons[1], "too large");
    EQ_INT(bench.outcomes[2], KP_FILTERED);
    NO(bench.host.has_failed);
    bench_close(&bench);
}

TEST(records_made_from_one_end_as_the_worst_of_them)
{
    struct bench bench;
    kp_batch *b, *more;

    bench_open(&bench, &(struct bench_options){.source_flags = KP_REQUEST});
    bench_submit(bench_lane(&bench, "door"), "a", "", &bench);
    b = bench_take(bench_sink(&bench));
    more = batch_new(bench_node(&bench, 2)->budget, &bench_node(&bench, 2)->own, 2);
    batch_derive(more, b, 0);
    batch_derive(more, b, 0);
    batch_deliver(b, 0, NULL);
    hop_done(bench_node(&bench, 2), b);
    batch_reject(more, 0, "half of it");
    batch_deliver(more, 1, NULL);
    bench_run(&bench);
    EQ_INT(bench.n_settled, 0);
    hop_done(bench_node(&bench, 2), more);
    bench_run(&bench);
    EQ_INT(bench.n_settled, 1);
    EQ_INT(bench.outcomes[0], KP_REJECTED);
    EQ_STR(bench.reasons[0], "half of it");
    bench_close(&bench);
}

TEST(a_group_ends_all_its_records)
{
    struct bench bench;
    kp_lane *lane;
    kp_batch *first, *second, *out;
    kp_group *group = group_new();

    bench_open(&bench, &(struct bench_options){.sink_flags = KP_CONCURRENT});
    lane = bench_lane(&bench, "a");
    bench_submit(lane, "ab", "2", NULL);
    bench_submit(lane, "cd", "4", NULL);
    first = bench_take(bench_sink(&bench));
    second = bench_take(bench_sink(&bench));
    for (uint32_t i = 0; i < 2; i++) {
        group_take(group, first, i);
        group_take(group, second, i);
    }
    hop_release(bench_node(&bench, 2), first);
    hop_release(bench_node(&bench, 2), second);
    EQ_INT(group_count(group), 4);
    EQ_INT(flow_open_records(bench.flow), 4);
    out = batch_new(bench_node(&bench, 2)->budget, &bench_node(&bench, 2)->own, 1);
    batch_append_group(out, group);
    batch_deliver_all(out);
    hop_done(bench_node(&bench, 2), out);
    EQ_INT(bench_node(&bench, 0)->counts.delivered, 4);
    bench_close(&bench);
}

TEST(a_batch_in_hand_when_a_stage_breaks_ends_unsettled)
{
    struct bench bench;
    struct lease_row row;
    kp_lane *lane;

    bench_open(&bench, &(struct bench_options){0});
    lane = watched_lane(&bench, "a", &row);
    bench_sink(&bench)->fails = true;
    bench_submit(lane, "ab", "2", NULL);
    bench_submit(lane, "c", "3", NULL);
    bench_run(&bench);
    EQ_STR(host_failure(&bench.host), "sink: it broke");
    EQ_INT(bench_sink(&bench)->n_given, 1); /* a broken stage is given nothing more */
    EQ_INT(bench_node(&bench, 0)->counts.unsettled, 2);
    NO(row.is_dirty);
    lane->row = NULL;
    bench_close(&bench);
}

TEST(a_closed_lane_goes_when_its_last_record_has_ended)
{
    struct bench bench;
    kp_lane *lane;

    bench_open(&bench, &(struct bench_options){0});
    lane = bench_lane(&bench, "a");
    bench_submit(lane, "ab", "2", NULL);
    lane_close(lane);
    bench_run(&bench);
    YES(bench_node(&bench, 0)->lanes == lane);
    bench_deliver(&bench);
    bench_run(&bench);
    YES(bench_node(&bench, 0)->lanes == NULL);
    bench_close(&bench);
}

TEST(a_lane_waits_for_room_and_is_woken)
{
    struct bench bench;
    kp_lane *lane;

    bench_open(&bench, &(struct bench_options){.memory = 1 << 20});
    lane = bench_lane(&bench, "a");
    YES(lane_ready(lane));
    budget_force(&bench.flow_budget, 1 << 20);
    NO(lane_ready(lane));
    budget_give(&bench.flow_budget, 1 << 20);
    flow_has_room(bench.flow); /* what the worker does when the budget calls */
    bench_run(&bench);
    EQ_INT(bench.n_wakes, 1);
    YES(lane_ready(lane));
    bench_close(&bench);
}

static int64_t draw_most(void *arg, int64_t below)
{
    (void)arg;
    return below - 1;
}

static int64_t draw_least(void *arg, int64_t below)
{
    (void)arg, (void)below;
    return 0;
}

TEST(back_off_doubles_up_to_its_ceiling_with_full_jitter)
{
    EQ_INT(hop_backoff_ms(100, 20000, 1, draw_most, NULL), 100);
    EQ_INT(hop_backoff_ms(100, 20000, 2, draw_most, NULL), 200);
    EQ_INT(hop_backoff_ms(100, 20000, 8, draw_most, NULL), 12800);
    EQ_INT(hop_backoff_ms(100, 20000, 9, draw_most, NULL), 20000);
    EQ_INT(hop_backoff_ms(100, 20000, 4000000000u, draw_most, NULL), 20000);
    EQ_INT(hop_backoff_ms(INT64_MAX / 2, INT64_MAX - 1, 3, draw_most, NULL), INT64_MAX - 1);
    EQ_INT(hop_backoff_ms(100, 20000, 9, draw_least, NULL), 0);
}

TEST(a_stage_that_is_closed_is_given_nothing_more)
{
    struct bench bench;
    kp_lane *lane;
    int64_t until;

    bench_open(&bench, &(struct bench_options){0});
    lane = bench_lane(&bench, "a");
    bench_submit(lane, "1", "1", NULL); /* in hand: close() gives it back without an outcome */
    bench_submit(lane, "2", "2", NULL); /* waits behind it */
    flow_close(bench.flow);
    for (until = clock_mono_ms() + 10; clock_mono_ms() < until;) /* longer than a back-off here */
        bench_run(&bench);
    EQ_INT(bench_node(&bench, 2)->counts.read, 1);
    EQ_INT(flow_open_records(bench.flow), 2);
    flow_give_up(bench.flow);
    EQ_INT(bench_node(&bench, 0)->counts.unsettled, 2);
    NO(bench.host.has_failed); /* they are read again by the next run: nothing was lost */
    bench_close(&bench);
}

TEST(an_earlier_batch_does_not_wait_for_the_back_off_of_a_later_one)
{
    struct bench bench;
    kp_lane *lane;
    kp_batch *first, *second;

    bench_open(&bench, &(struct bench_options){.sink_flags = KP_CONCURRENT});
    lane = bench_lane(&bench, "a");
    bench_submit(lane, "1", "1", NULL);
    bench_submit(lane, "2", "2", NULL);
    bench_submit(lane, "3", "3", NULL);
    first = bench_take(bench_sink(&bench));
    second = bench_take(bench_sink(&bench));
    batch_retry(second, 0, 600000, "come back in ten minutes");
    hop_done(bench_node(&bench, 2), second);
    bench_deliver(&bench); /* the third: after a success the lane's timer is set for the second */
    batch_retry(first, 0, 0, "busy");
    hop_done(bench_node(&bench, 2), first);
    bench_run_until_given(&bench, 4);
    EQ_STR(bench_letters(bench_sink(&bench)->held[0]), "1");
    bench_close(&bench);
}

/* Takes all records that the sink has in hand into one batch of its own. */
static kp_batch *merge_held(struct bench *bench)
{
    kp_node *sink = bench_node(bench, 2);
    kp_batch *out = batch_new(sink->budget, &sink->own, 4);

    while (bench_sink(bench)->n_held) {
        kp_batch *b = bench_take(bench_sink(bench));

        for (uint32_t i = 0; i < b->count; i++)
            batch_move(out, b, i);
        hop_release(sink, b);
    }
    return out;
}

TEST(a_batch_that_a_stage_made_of_several_lanes_is_tried_again_whole)
{
    struct bench bench;
    kp_batch *out;

    bench_open(&bench, &(struct bench_options){0});
    bench_submit(bench_lane(&bench, "a"), "1", "1", NULL);
    bench_submit(bench_lane(&bench, "b"), "x", "1", NULL);
    out = merge_held(&bench);
    batch_retry(out, 0, 0, "busy");
    batch_retry(out, 1, 0, "busy");
    hop_done(bench_node(&bench, 2), out);
    bench_run_until_given(&bench, 3);
    EQ_STR(bench_letters(bench_sink(&bench)->held[0]), "1x");
    bench_deliver(&bench);
    EQ_INT(flow_open_records(bench.flow), 0);
    bench_close(&bench);
}

TEST(a_batch_that_a_stage_made_of_one_lane_is_tried_again_before_what_is_behind_it)
{
    struct bench bench;
    kp_lane *lane;
    kp_batch *out;

    bench_open(&bench, &(struct bench_options){0});
    lane = bench_lane(&bench, "a");
    bench_submit(lane, "12", "2", NULL);
    out = merge_held(&bench);
    batch_retry(out, 0, 0, "busy");
    batch_retry(out, 1, 0, "busy");
    hop_done(bench_node(&bench, 2), out);
    bench_submit(lane, "3", "3", NULL);
    bench_run_until_given(&bench, 2);
    EQ_STR(bench_letters(bench_sink(&bench)->held[0]), "12");
    bench_deliver(&bench);
    bench_run_until_given(&bench, 3);
    bench_deliver(&bench);
    EQ_INT(flow_open_records(bench.flow), 0);
    bench_close(&bench);
}

static kp_batch *letter_batch(struct bench *bench, const char *letter)
{
    kp_batch *b = batch_new(&bench->flow_budget, NULL, 1);

    batch_append(b, 1);
    batch_set(b, 0, letter, 1);
    return b;
}

TEST(memory_of_a_record_goes_with_it_through_several_batches)
{
    struct bench bench;
    kp_batch *first, *second, *third, *out;

    bench_open(&bench, &(struct bench_options){0});
    first = letter_batch(&bench, "1");
    second = letter_batch(&bench, "2");
    third = letter_batch(&bench, "3");
    out = batch_new(&bench.flow_budget, NULL, 0);
    batch_move(out, first, 0); /* now out keeps first's memory ... */
    batch_move(first, second, 0);
    batch_move(first, third, 0);
    batch_free(second);
    batch_free(third);
    batch_move(out, first, 1); /* ... but not yet what first has got since */
    batch_move(out, first, 2);
    batch_free(first);
    EQ_STR(bench_letters(out), "123");
    for (int i = 0; i < 100; i++) { /* keeping is not repeated for each record of a run */
        kp_batch *next = batch_new(&bench.flow_budget, NULL, 3);

        for (uint32_t k = 0; k < 3; k++)
            batch_move(next, out, k);
        EQ_INT(batch_of(next)->n_others, batch_of(out)->n_others);
        batch_free(out);
        out = next;
    }
    EQ_STR(bench_letters(out), "123");
    batch_free(out);
    bench_close(&bench);
}

TEST(a_group_given_up_while_the_run_goes_on_fails_the_flow)
{
    struct bench bench;
    struct lease_row row;
    kp_lane *lane;
    kp_batch *b;
    kp_group *group = group_new();

    bench_open(&bench, &(struct bench_options){0});
    lane = watched_lane(&bench, "shard-7", &row);
    bench_submit(lane, "ab", "2", NULL);
    b = bench_take(bench_sink(&bench));
    group_take(group, b, 0);
    group_take(group, b, 1);
    hop_release(bench_node(&bench, 2), b);
    group_free(group);
    YES(bench.host.has_failed);
    YES(strstr(host_failure(&bench.host), "shard-7") != NULL);
    NO(row.is_dirty);
    lane->row = NULL;
    bench_close(&bench);
}

TEST(a_door_hears_of_a_group_that_was_given_up)
{
    struct bench bench;
    kp_batch *b;
    kp_group *group = group_new();

    bench_open(&bench, &(struct bench_options){.source_flags = KP_REQUEST});
    bench_submit(bench_lane(&bench, "door"), "a", "", &bench);
    b = bench_take(bench_sink(&bench));
    group_take(group, b, 0);
    hop_release(bench_node(&bench, 2), b);
    group_free(group);
    bench_run(&bench);
    EQ_INT(bench.n_settled, 1);
    EQ_INT(bench.outcomes[0], KP_RETRY);
    NO(bench.host.has_failed);
    bench_close(&bench);
}

TEST(attempts_are_counted_when_a_stage_puts_records_into_batches_of_its_own)
{
    struct bench bench;

    bench_open(&bench, &(struct bench_options){.has_failure = true, .attempts = 3});
    bench_submit(bench_lane(&bench, "a"), "1", "1", NULL);
    for (uint32_t i = 1; i <= 3; i++) {
        kp_batch *out;

        bench_run_until_given(&bench, i);
        out = merge_held(&bench);
        batch_retry(out, 0, 0, "busy");
        hop_done(bench_node(&bench, 2), out);
    }
    bench_run(&bench);
    EQ_INT(bench_failure(&bench)->n_held, 1);
    EQ_INT(bench_node(&bench, 2)->counts.retried, 2);
    bench_close(&bench);
}

TEST(what_waits_of_a_lane_whose_lease_has_run_out_is_not_delivered)
{
    struct bench bench;
    struct lease_row row;
    kp_lane *lane;

    bench_open(&bench, &(struct bench_options){0});
    lane = watched_lane(&bench, "shard-0", &row);
    row.valid_until = INT64_MAX;
    lane->lease = &row;
    bench_submit(lane, "a", "1", NULL);
    bench_submit(lane, "b", "2", NULL);
    EQ_INT(bench_sink(&bench)->n_held, 1);
    lane->is_lost = true; /* as revoke() says */
    bench_deliver(&bench);
    EQ_INT(bench_sink(&bench)->n_held, 0);
    EQ_INT(bench_node(&bench, 0)->counts.delivered, 1);
    EQ_INT(bench_node(&bench, 0)->counts.unsettled, 1);
    EQ_STR(row.text, ""); /* the position is another's to write */
    NO(bench_node(&bench, 0)->has_failed);
    lane->row = NULL;
    lane->lease = NULL;
    bench_close(&bench);
}
