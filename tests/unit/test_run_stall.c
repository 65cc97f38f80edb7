/* test_run_stall.c - a transform's retries keep the order of their lane. */
#include <string.h>

#include "core/run/stall.h"
#include "tests/kptest.h"
#include "tests/unit/run_bench.h"

/* A flow whose transform is emitted by hand; the sink takes all it gets. */
static kp_lane *open_held(struct bench *bench, const struct bench_options *options)
{
    struct bench_options o = *options;

    o.sink_flags |= KP_CONCURRENT;
    bench_open(bench, &o);
    bench_transform(bench)->holds = true;
    return bench_lane(bench, "a");
}

/* Emits the transform's oldest batch; the records whose letters are in `again` are to be retried.
 */
static void emit(struct bench *bench, const char *again)
{
    kp_batch *b = bench_take(bench_transform(bench));

    for (uint32_t i = 0; i < b->count; i++)
        if (strchr(again, kp_at(b, i)->data[0]))
            batch_retry(b, i, 0, "busy");
    hop_emit(bench_node(bench, 1), b);
    bench_run(bench);
}

/* All letters the sink has been given so far, in order; they are delivered. */
static const char *arrived(struct bench *bench, char text[32])
{
    text[0] = '\0';
    while (bench_sink(bench)->n_held) {
        strcat(text, bench_letters(bench_sink(bench)->held[0]));
        bench_deliver(bench);
    }
    return text;
}

TEST(records_behind_one_that_is_tried_again_wait_for_it)
{
    struct bench bench;
    kp_lane *lane = open_held(&bench, &(struct bench_options){0});
    char text[32];

    bench_submit(lane, "abcd", "4", NULL);
    emit(&bench, "b");
    EQ_STR(arrived(&bench, text), "a");
    bench_run_until_transform_given(&bench, 2);
    EQ_STR(bench_letters(bench_transform(&bench)->held[0]), "b");
    emit(&bench, "");
    EQ_STR(arrived(&bench, text), "bcd");
    EQ_INT(flow_open_records(bench.flow), 0);
    EQ_INT(bench_node(&bench, 1)->counts.passed, 4);
    bench_close(&bench);
}

TEST(of_several_tried_again_each_comes_back_to_its_place)
{
    struct bench bench;
    kp_lane *lane = open_held(&bench, &(struct bench_options){0});
    char text[32];

    bench_submit(lane, "abcdef", "6", NULL);
    emit(&bench, "bdf");
    EQ_STR(arrived(&bench, text), "a");
    bench_run_until_transform_given(&bench, 2);
    emit(&bench, "d");
    EQ_STR(arrived(&bench, text), "bc");
    bench_run_until_transform_given(&bench, 3);
    EQ_STR(bench_letters(bench_transform(&bench)->held[0]), "d");
    emit(&bench, "");
    EQ_STR(arrived(&bench, text), "def");
    bench_close(&bench);
}

TEST(later_batches_of_a_lane_wait_too_and_other_lanes_do_not)
{
    struct bench bench;
    kp_lane *lane = open_held(&bench, &(struct bench_options){.transform_flags = KP_CONCURRENT});
    kp_lane *other = bench_lane(&bench, "b");
    char text[32];

    bench_submit(lane, "ab", "2", NULL);
    bench_submit(lane, "cd", "4", NULL);
    bench_submit(other, "x", "1", NULL);
    emit(&bench, "a");
    emit(&bench, "");
    emit(&bench, "");
    EQ_STR(arrived(&bench, text), "x");
    bench_run_until_transform_given(&bench, 4);
    emit(&bench, "");
    EQ_STR(arrived(&bench, text), "abcd");
    EQ_INT(flow_open_records(bench.flow), 0);
    bench_close(&bench);
}

TEST(what_waits_goes_on_when_the_record_before_it_is_dead_lettered)
{
    struct bench bench;
    kp_lane *lane = open_held(&bench, &(struct bench_options){.attempts = 2, .has_failure = true});
    kp_batch *b;
    char text[32];

    bench_submit(lane, "abc", "3", NULL);
    emit(&bench, "a");
    bench_run_until_transform_given(&bench, 2);
    emit(&bench, "a");
    EQ_STR(arrived(&bench, text), "bc");
    b = bench_take(bench_failure(&bench));
    batch_deliver_all(b);
    hop_done(bench_node(&bench, 3), b);
    EQ_INT(flow_open_records(bench.flow), 0);
    bench_close(&bench);
}

TEST(what_waits_goes_on_when_the_record_before_it_is_filtered)
{
    struct bench bench;
    kp_lane *lane = open_held(&bench, &(struct bench_options){0});
    kp_batch *b;
    char text[32];

    bench_submit(lane, "abc", "3", NULL);
    emit(&bench, "b");
    bench_run_until_transform_given(&bench, 2);
    b = bench_take(bench_transform(&bench));
    batch_filter(b, 0);
    hop_release(bench_node(&bench, 1), b);
    bench_run(&bench);
    EQ_STR(arrived(&bench, text), "ac");
    bench_close(&bench);
}

TEST(records_taken_into_another_batch_do_not_make_others_wait)
{
    struct bench bench;
    kp_lane *lane = open_held(&bench, &(struct bench_options){.transform_flags = KP_CONCURRENT});
    kp_node *node;
    kp_batch *b, *out;
    char text[32];

    node = bench_node(&bench, 1);
    bench_submit(lane, "ab", "2", NULL);
    b = bench_take(bench_transform(&bench));
    out = batch_new(node->budget, &node->own, 2);
    batch_move(out, b, 0);
    batch_move(out, b, 1);
    batch_retry(out, 0, 0, "busy");
    hop_emit(node, out);
    hop_release(node, b);
    bench_run(&bench);
    EQ_STR(arrived(&bench, text), "b");
    bench_run_until_transform_given(&bench, 2);
    emit(&bench, "");
    EQ_STR(arrived(&bench, text), "a");
    bench_close(&bench);
}

TEST(what_waits_at_the_end_is_read_again)
{
    struct bench bench;
    kp_lane *lane = open_held(&bench, &(struct bench_options){.transform_flags = KP_CONCURRENT});
    char text[32];

    bench_submit(lane, "ab", "2", NULL);
    bench_submit(lane, "cd", "4", NULL);
    emit(&bench, "a");
    emit(&bench, "");
    EQ_STR(arrived(&bench, text), "");
    bench.host.is_closing = true;
    bench_close(&bench); /* counts the budget: nothing is left of what waited */
}
