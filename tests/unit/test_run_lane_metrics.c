/* test_run_lane_metrics.c - figures of lanes: who writes and reads them, and what stays of a lane
 * that has ended.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/run/lane_metrics.h"
#include "tests/kptest.h"
#include "tests/unit/run_bench.h"

static const kp_host *h;

/* A bench whose host can be looked at, and whose plugin is this test. */
static void open_bench(struct bench *bench)
{
    bench_open(bench, &(struct bench_options){0});
    bench->host.workers = &bench->worker;
    h = host_table();
}

static int64_t stat_of(const struct lane_stats *lane, const char *name)
{
    for (uint32_t i = 0; i < lane->n; i++)
        if (!strcmp(lane->stats[i].name, name))
            return lane->stats[i].value;
    return -1;
}

static int64_t counter(struct bench *bench, const char *name)
{
    struct stage_counter counters[STAGE_COUNTERS];
    size_t n = host_stage_counters(&bench->host, 0, 0, counters, STAGE_COUNTERS);

    for (size_t i = 0; i < n; i++)
        if (!strcmp(counters[i].name, name))
            return (int64_t)counters[i].value;
    return -1;
}

static void end_lane(struct bench *bench, kp_lane *lane)
{
    lane_close(lane);
    bench_run(bench);
}

TEST(a_lane_without_figures_is_not_shown)
{
    struct bench bench;
    size_t n;

    open_bench(&bench);
    end_lane(&bench, bench_lane(&bench, "a"));
    bench_lane(&bench, "b");
    YES(host_lane_stats(&bench.host, 0, true, &n) == NULL);
    EQ_INT(n, 0);
    bench_close(&bench);
}

TEST(figures_stand_under_the_name_of_their_lane)
{
    struct bench bench;
    struct lane_stats *lanes;
    struct lane_lag lag;
    kp_lane *a, *b;
    char name[] = "records"; /* the same name at another address */
    size_t n;

    open_bench(&bench);
    b = bench_lane(&bench, "b");
    a = bench_lane(&bench, "a");
    h->lane_count(b, "records", 5);
    h->lane_count(b, name, 2);
    h->lane_gauge(b, "millis_behind_latest", 700);
    h->lane_gauge(b, "millis_behind_latest", 300);
    h->lane_count(a, "records", 1);
    lanes = host_lane_stats(&bench.host, 0, false, &n);
    REQUIRE(n == 2);
    EQ_STR(lanes[0].lane, "a");
    EQ_STR(lanes[1].lane, "b");
    EQ_INT(stat_of(&lanes[0], "records"), 1);
    EQ_INT(stat_of(&lanes[1], "records"), 7);
    EQ_INT(stat_of(&lanes[1], "millis_behind_latest"), 300);
    NO(lanes[1].stats[0].is_gauge);
    YES(lanes[1].stats[1].is_gauge);
    host_lane_stats_free(lanes, n);
    host_lane_lag(&bench.host, 0, &lag);
    EQ_INT(lag.n_lanes, 2);
    EQ_INT(lag.behind_ms, 300);
    bench_close(&bench);
}

TEST(counters_of_lanes_are_those_of_the_stage_too)
{
    struct bench bench;
    kp_lane *a, *b;

    open_bench(&bench);
    a = bench_lane(&bench, "a");
    b = bench_lane(&bench, "b");
    h->count(bench_node(&bench, 0), "read_errors", 3);
    h->lane_count(a, "records", 10);
    h->lane_count(b, "records", 20);
    h->lane_gauge(b, "depth", 4);
    EQ_INT(counter(&bench, "records"), 30);
    EQ_INT(counter(&bench, "read_errors"), 3);
    EQ_INT(counter(&bench, "depth"), -1);
    end_lane(&bench, a);
    EQ_INT(counter(&bench, "records"), 30);
    bench_close(&bench);
}

TEST(a_lane_that_has_ended_is_shown_only_when_asked_for)
{
    struct bench bench;
    struct lane_stats *lanes;
    struct lane_lag lag;
    kp_lane *lane;
    size_t n;

    open_bench(&bench);
    lane = bench_lane(&bench, "a");
    h->lane_count(lane, "records", 10);
    h->lane_gauge(lane, "millis_behind_latest", 9000);
    end_lane(&bench, lane);
    YES(host_lane_stats(&bench.host, 0, false, &n) == NULL);
    EQ_INT(n, 0);
    host_lane_lag(&bench.host, 0, &lag);
    EQ_INT(lag.n_lanes, 0);
    EQ_INT(lag.behind_ms, -1);
    lanes = host_lane_stats(&bench.host, 0, true, &n);
    REQUIRE(n == 1);
    EQ_INT(stat_of(&lanes[0], "records"), 10);
    host_lane_stats_free(lanes, n);
    bench_close(&bench);
}

TEST(a_lane_that_came_back_has_one_entry)
{
    struct bench bench;
    struct lane_stats *lanes;
    kp_lane *lane;
    size_t n;

    open_bench(&bench);
    lane = bench_lane(&bench, "a");
    h->lane_count(lane, "records", 10);
    h->lane_count(lane, "throttles", 2);
    h->lane_gauge(lane, "millis_behind_latest", 9000);
    end_lane(&bench, lane);
    lane = bench_lane(&bench, "a");
    h->lane_count(lane, "records", 5);
    h->lane_gauge(lane, "millis_behind_latest", 1);
    lanes = host_lane_stats(&bench.host, 0, true, &n);
    REQUIRE(n == 1);
    EQ_INT(stat_of(&lanes[0], "records"), 15);
    EQ_INT(stat_of(&lanes[0], "throttles"), 2);
    EQ_INT(stat_of(&lanes[0], "millis_behind_latest"), 1);
    host_lane_stats_free(lanes, n);
    lanes = host_lane_stats(&bench.host, 0, false, &n); /* as read now: a counter begins anew */
    REQUIRE(n == 1);
    EQ_INT(stat_of(&lanes[0], "records"), 5);
    host_lane_stats_free(lanes, n);
    bench_close(&bench);
}

TEST(of_thousands_of_ended_lanes_the_last_thousand_stay_and_nothing_is_lost)
{
    struct bench bench;
    struct lane_stats *lanes;
    size_t n;

    open_bench(&bench);
    for (int i = 0; i < 2500; i++) {
        char name[32];
        kp_lane *lane;

        snprintf(name, sizeof name, "shard-%04d", i);
        lane = bench_lane(&bench, name);
        h->lane_count(lane, "records", i);
        h->lane_gauge(lane, "millis_behind_latest", i);
        end_lane(&bench, lane);
    }
    lanes = host_lane_stats(&bench.host, 0, true, &n);
    REQUIRE(n == LANE_ROWS_KEPT);
    EQ_STR(lanes[0].lane, "shard-1500");
    EQ_STR(lanes[n - 1].lane, "shard-2499");
    host_lane_stats_free(lanes, n);
    EQ_INT(counter(&bench, "records"), 2500 * 2499 / 2);
    bench_close(&bench);
}

TEST(a_thirteenth_figure_is_left_out)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g",
                                        "h", "i", "j", "k", "l", "m"};
    struct bench bench;
    struct lane_stats *lanes;
    kp_lane *lane;
    size_t n;

    open_bench(&bench);
    lane = bench_lane(&bench, "a");
    for (size_t i = 0; i < 13; i++)
        h->lane_count(lane, names[i], 1);
    h->lane_gauge(lane, "n", 1);
    h->lane_count(lane, "l", 1);
    lanes = host_lane_stats(&bench.host, 0, false, &n);
    REQUIRE(n == 1);
    EQ_INT(lanes[0].n, LANE_FIGURES);
    EQ_INT(stat_of(&lanes[0], "l"), 2);
    EQ_INT(stat_of(&lanes[0], "m"), -1);
    host_lane_stats_free(lanes, n);
    bench_close(&bench);
}

/* ---- main looks while the worker works */

static _Atomic bool is_over;
static int64_t seen_most;

static void look(void *arg)
{
    struct bench *bench = arg;

    while (!is_over) {
        size_t n;
        struct lane_stats *lanes = host_lane_stats(&bench->host, 0, true, &n);
        int64_t now = counter(bench, "records");

        host_lane_stats_free(lanes, n);
        if (now >= 0 && now < seen_most)
            seen_most = INT64_MAX; /* a sum that went down */
        else if (now > seen_most)
            seen_most = now;
    }
}

TEST(sums_never_go_down_while_lanes_come_and_go)
{
    struct bench bench;
    uv_thread_t thread;

    open_bench(&bench);
    is_over = false;
    seen_most = 0;
    REQUIRE(!uv_thread_create(&thread, look, &bench));
    for (int i = 0; i < 5000; i++) {
        kp_lane *lane = bench_lane(&bench, i % 2 ? "odd" : "even");

        h->lane_count(lane, "records", 1);
        h->lane_gauge(lane, "depth", i);
        h->lane_count(lane, "records", 1);
        end_lane(&bench, lane);
    }
    is_over = true;
    uv_thread_join(&thread);
    YES(seen_most <= 10000);
    EQ_INT(counter(&bench, "records"), 10000);
    bench_close(&bench);
}
