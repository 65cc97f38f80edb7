/* test_run_receipts.c - receipts are kept for those who read them, and for nobody else. */
#include <string.h>

#include "tests/kptest.h"
#include "tests/unit/run_bench.h"

static const kp_receipt receipt = {
    .size = sizeof receipt, .status = 200, .shard = {"shard-3", 7}, .sequence = {"49", 2}};

TEST(a_receipt_that_no_source_reads_is_not_kept)
{
    struct bench bench;
    kp_batch *b;

    bench_open(&bench, &(struct bench_options){0});
    bench_submit(bench_lane(&bench, "s"), "ab", "1", NULL);
    b = bench_take(bench_sink(&bench));
    batch_deliver(b, 0, &receipt);
    batch_deliver(b, 1, &receipt);
    YES(batch_mark(b, 0) == NULL);
    hop_done(bench_node(&bench, 2), b);
    EQ_INT(bench_node(&bench, 0)->counts.delivered, 2);
    bench_close(&bench);
}

/* One of a group wants it: it gets it, and the others do no harm. */
TEST(a_receipt_of_a_group_reaches_the_door_in_it)
{
    struct bench bench;
    kp_group *group;
    kp_batch *shard, *door, *one;

    bench_open(&bench, &(struct bench_options){.source_flags = KP_REQUEST});
    bench_submit(bench_lane(&bench, "s"), "a", "", NULL);
    shard = bench_take(bench_sink(&bench));
    bench_submit(bench_lane(&bench, "door"), "b", "", &bench);
    door = bench_take(bench_sink(&bench));
    group = group_new();
    YES(((struct origin *)(void *)group)->ignores_receipts);
    group_take(group, shard, 0);
    YES(((struct origin *)(void *)group)->ignores_receipts);
    group_take(group, door, 0);
    hop_done(bench_node(&bench, 2), shard);
    hop_done(bench_node(&bench, 2), door);
    one = batch_new(bench_node(&bench, 2)->budget, &bench_node(&bench, 2)->own, 1);
    REQUIRE(batch_append_group(one, group) != NULL);
    batch_deliver(one, 0, &receipt);
    hop_done(bench_node(&bench, 2), one);
    bench_run(&bench);
    EQ_INT(bench.n_settled, 1);
    EQ_INT(bench.outcomes[0], KP_DELIVERED);
    EQ_STR(bench.shards[0], "shard-3");
    bench_close(&bench);
}
