/* sink_pace_test.c - the kinesis sink where a shard takes less than there is: pace, throttles, age,
 * and what may be under way at a time. */
#include "plugins/kinesis/sink_stream_test.h"

/* ---- pace ---------------------------------------------------------------------------------- */

static bool is_lower(int key)
{
    char text[4];

    snprintf(text, sizeof(text), "%u", (unsigned)key % KEYS);
    return hash_of(kpw_slice_cstr(text), kpw_slice(NULL, 0)) <= KPW_U128_MAX >> 1;
}

/* A key of that half of the hash keys. */
static int key_of(bool lower)
{
    int key = 0;

    while (is_lower(key) != lower)
        key++;
    return key;
}

static uint64_t delivered_of(const struct stream *s, int key)
{
    uint64_t n = 0;

    for (int i = 0; i < s->fed[key]; i++)
        n += s->got[key][i];
    return n;
}

TEST(a_hot_shard_is_paced_and_delays_no_other)
{
    struct stream *s = stream_new(", rate_limit = 100");
    int hot = key_of(true), cold = key_of(false);

    s->has_limits = true;
    feed(s, "warm", cold, 1, 1);
    run_for(s, 1500);
    feed(s, "a", hot, 1, 1000);
    feed(s, "a", hot, 1, 900);
    run_for(s, 100); /* the bucket of the first second */
    YES(delivered_of(s, hot) >= 1000);
    YES(delivered_of(s, hot) <= 1150);
    feed(s, "a", cold, 1, 100); /* behind it on the same lane */
    run_for(s, 200);
    EQ_INT(delivered_of(s, cold), 101);
    YES(delivered_of(s, hot) <= 1350);
    run_for(s, 700);
    EQ_INT(delivered_of(s, hot), 1900);
    EQ_INT(s->throttles, 0);
    YES(s->puts <= 30); /* about one each 50 ms */
    EQ_INT(s->gaps, 0);
    stream_free(s);
}

TEST(without_rate_limit_all_goes_at_once)
{
    struct stream *s = stream_new(", rate_limit = 0");
    int hot = key_of(true);

    feed(s, "warm", hot, 1, 1);
    run_for(s, 500);
    feed(s, "a", hot, 1, 1000);
    feed(s, "a", hot, 1, 900);
    run_for(s, 4 * (LATENCY_MS + STEP_MS)); /* four requests, one after the other */
    EQ_INT(delivered_of(s, hot), 1901);
    stream_free(s);
}

TEST(a_shard_that_throttles_is_asked_less_and_less_and_the_others_go_on)
{
    struct stream *s = stream_new(", attempts = 1000");
    int dead = key_of(true), cold = key_of(false);
    uint64_t before;

    feed(s, "warm", cold, 1, 1);
    run_for(s, 500);
    s->shards[0].is_dead = true;
    feed(s, "a", dead, 1, 300);
    run_for(s, 10000);
    before = s->throttles;
    for (int i = 0; i < 10; i++) {
        feed(s, "a", cold, 1, 100);
        run_for(s, 100);
        EQ_INT(delivered_of(s, cold), 1 + 100 * (i + 1));
    }
    run_for(s, 9000);
    YES(s->throttles - before >= 20);
    YES(s->throttles - before <= 80); /* some seconds between two tries, of a few records */
    s->shards[0].is_dead = false;
    run_until_delivered(s, 20000);
    EQ_INT(s->gaps, 0);
    EQ_INT(harness_count(s->h, KP_RETRY), 0);
    stream_free(s);
}

TEST(two_writers_of_a_shard_come_to_share_it)
{
    struct stream *s = stream_new(", attempts = 1000");
    int hot = key_of(true);

    s->has_limits = true;
    feed(s, "warm", hot, 1, 1);
    run_for(s, 500);
    for (int i = 0; i < 10; i++) { /* the other writer has half of it */
        feed(s, "a", hot, 1, 190);
        for (int k = 0; k < 40; k++) {
            run_for(s, 10);
            s->shards[0].records -= 5;
        }
    }
    run_until_delivered(s, 20000);
    YES(s->throttles <= 1500); /* of 1,900 records */
    EQ_INT(s->gaps, 0);
    stream_free(s);
}

/* ---- what is too old ------------------------------------------------------------------------ */

TEST(a_record_that_is_not_taken_within_its_ttl_is_rejected_with_a_reason)
{
    struct stream *s = stream_new(", record_ttl = '5s', attempts = 2");
    int dead = key_of(true), cold = key_of(false);

    feed(s, "warm", cold, 1, 1);
    run_for(s, 500);
    s->shards[0].is_dead = true;
    feed(s, "a", dead, 1, 10);
    feed(s, "a", cold, 1, 10);
    run_for(s, 4900);
    EQ_INT(harness_count(s->h, KP_DELIVERED), 11);
    EQ_INT(harness_count(s->h, KP_REJECTED) + harness_count(s->h, KP_RETRY), 0);
    run_for(s, 300);
    EQ_INT(harness_count(s->h, KP_REJECTED), 10);
    EQ_INT(harness_counter(s->h, "expired_records"), 10);
    EQ_STR(harness_reason(s->h, 1),
           "older than record_ttl: stream orders did not take it within 5000 ms");
    stream_free(s);
}

TEST(without_ttl_a_record_waits)
{
    struct stream *s = stream_new(", attempts = 1000");
    int dead = key_of(true);

    s->shards[0].is_dead = true;
    feed(s, "a", dead, 1, 10);
    run_for(s, 120000);
    EQ_INT(harness_count(s->h, KP_REJECTED) + harness_count(s->h, KP_RETRY), 0);
    s->shards[0].is_dead = false;
    run_until_delivered(s, 10000);
    stream_free(s);
}

TEST(what_is_throttled_fails_at_once_where_that_is_wanted)
{
    struct stream *s = stream_new(", fail_if_throttled = true");
    int dead = key_of(true), cold = key_of(false);

    s->shards[0].is_dead = true;
    feed(s, "a", dead, 1, 10);
    feed(s, "a", cold, 1, 10);
    run_for(s, 300);
    EQ_INT(harness_count(s->h, KP_REJECTED), 10);
    EQ_INT(harness_count(s->h, KP_DELIVERED), 10);
    YES(strstr(harness_reason(s->h, 0), "ProvisionedThroughputExceededException") != NULL);
    stream_free(s);
}

/* ---- order ---------------------------------------------------------------------------------- */

/* The most requests that were under way at a time with nothing answered. */
static uint64_t n_side_by_side(const char *options, int first, int second)
{
    struct stream *s = stream_new(options);
    uint64_t n;

    feed(s, "warm", 0, 16, 16);
    run_for(s, 500);
    n = n_puts(s->h);
    feed(s, "a", first, 1, 600);
    feed(s, "a", second, 1, 600);
    n = n_puts(s->h) - n;
    run_until_delivered(s, 10000);
    stream_free(s);
    return n;
}

TEST(strict_order_has_one_request_of_a_shard_under_way_and_others_beside_it)
{
    int lower = key_of(true), upper = key_of(false);

    EQ_INT(n_side_by_side(", rate_limit = 0", lower, lower), 1);
    EQ_INT(n_side_by_side(", rate_limit = 0", lower, upper), 2);
    EQ_INT(n_side_by_side(", rate_limit = 0, order = 'none'", lower, lower), 4);
}

TEST(strict_order_has_one_aggregate_of_a_shard_in_a_request)
{
    struct stream *s = stream_new(", aggregate = true, aggregate_count = 50");
    int hot = key_of(true);

    feed(s, "warm", hot, 1, 1);
    run_for(s, 500);
    feed(s, "a", hot, 1, 200);
    EQ_INT(n_puts(s->h), 2);
    EQ_INT(entries_in(s->h, 1), 1);
    run_for(s, 100);
    EQ_INT(n_puts(s->h), 5);
    run_until_delivered(s, 1000);
    stream_free(s);
}
