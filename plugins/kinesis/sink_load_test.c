/* sink_load_test.c - the kinesis sink under load: every fault, splits and merges, and whether it
 * chooses the shard that the service chooses. */
#include "plugins/kinesis/sink_stream_test.h"

/* ---- faults --------------------------------------------------------------------------------- */

static const struct faults every_fault = {
    .error = 50, .reset = 50, .lost = 30, .expired = 30, .slow = 30, .partial = 100};

static void under_faults(const char *options, bool is_ordered, int64_t load_ms)
{
    struct stream *s = stream_new(options);
    uint64_t lost;

    s->has_limits = true;
    s->faults = every_fault;
    load_for(s, load_ms);
    run_until_delivered(s, 120000);
    n_doubles(s, &lost);
    EQ_INT(lost, 0);
    if (is_ordered)
        EQ_INT(s->gaps, 0);
    YES(s->puts > 10);
    YES(s->puts < (uint64_t)s->now_ms / 1000 * 200); /* four at a time of 20 ms each */
    EQ_INT(harness_count(s->h, KP_REJECTED) + harness_count(s->h, KP_RETRY), 0);
    stream_free(s);
}

TEST(under_every_fault_nothing_is_lost_and_each_key_keeps_its_order)
{
    under_faults(", attempts = 1000", true, 6000);
}

/* The service may refuse an entry and take a later one of the same shard. */
static uint64_t gaps_where_entries_are_picked(const char *options)
{
    struct stream *s = stream_new(options);
    uint64_t gaps, lost;

    s->picks = true;
    s->faults = (struct faults){.partial = 100};
    load_for(s, 3000);
    run_until_delivered(s, 120000);
    n_doubles(s, &lost);
    EQ_INT(lost, 0);
    gaps = s->gaps;
    stream_free(s);
    return gaps;
}

TEST(with_order_by_key_a_refused_entry_is_overtaken_by_none_of_its_key)
{
    EQ_INT(gaps_where_entries_are_picked(", attempts = 1000, order = 'key'"), 0);
    EQ_INT(gaps_where_entries_are_picked(", attempts = 1000, aggregate = true"), 0);
    YES(gaps_where_entries_are_picked(", attempts = 1000") > 0); /* as the readme says */
}

TEST(order_by_key_stands_every_fault)
{
    /* little: a key has one record per round trip */
    under_faults(", attempts = 1000, order = 'key'", true, 300);
}

TEST(so_it_is_with_aggregates)
{
    under_faults(", attempts = 1000, aggregate = true", true, 6000);
}

TEST(without_order_nothing_is_lost_either)
{
    under_faults(", attempts = 1000, order = 'none'", false, 6000);
    under_faults(", attempts = 1000, order = 'none', aggregate = true", false, 6000);
}

TEST(a_service_that_is_down_is_not_stormed)
{
    struct stream *s = stream_new(", attempts = 1000");
    uint64_t before;

    s->faults.error = 1000;
    load_for(s, 2000);
    run_for(s, 30000);
    before = s->puts;
    run_for(s, 60000);
    YES(s->puts - before >= 10);
    YES(s->puts - before <= 60); /* two shards, each every 2.5 seconds or so */
    s->faults.error = 0;
    run_until_delivered(s, 20000);
    EQ_INT(s->gaps, 0);
    stream_free(s);
}

/* ---- reshards ------------------------------------------------------------------------------- */

static void under_reshards(const char *options)
{
    struct stream *s = stream_new(options);
    uint64_t lost;

    load_for(s, 500);
    split(s, 0, KPW_U128_MAX >> 3);
    load_for(s, 500);
    split(s, 1, (KPW_U128_MAX >> 1) + (KPW_U128_MAX >> 3));
    load_for(s, 30);
    split(s, 3, KPW_U128_MAX >> 2);
    load_for(s, 500);
    merge(s, 4, 5);
    load_for(s, 500);
    merge(s, 2, 6);
    load_for(s, 500);
    run_until_delivered(s, 60000);
    EQ_INT(n_doubles(s, &lost), 0);
    EQ_INT(lost, 0);
    EQ_INT(s->gaps, 0);
    YES(harness_counter(s->h, "shard_maps") >= 5);
    YES(harness_counter(s->h, "shard_maps") <= 20);
    stream_free(s);
}

TEST(splits_and_merges_under_load_lose_and_double_nothing)
{
    under_reshards("");
}

TEST(a_reader_that_filters_gets_aggregates_once_over_splits_and_merges)
{
    under_reshards(", aggregate = true");
}

/* ---- prediction ----------------------------------------------------------------------------- */

/* Borders at random places; hash keys at, before and behind each, and of random keys. */
TEST(the_shard_is_predicted_as_the_service_chooses_it)
{
    struct stream *s = stream_new(", aggregate = true, hash_key = k.field '$.h'");
    struct harness_input inputs[400] = {0};
    static char data[400][80], keys[400][24];

    s->n = 12;
    for (int i = 0; i < s->n; i++) {
        uint64_t border = kpw_random_next(&s->random) >> 4 | (uint64_t)i << 60;

        s->shards[i].is_open = true;
        s->shards[i].low = i ? s->shards[i - 1].high + 1 : 0;
        s->shards[i].high =
            i + 1 < s->n ? (kpw_u128)border << 64 | kpw_random_next(&s->random) : KPW_U128_MAX;
    }
    feed(s, "a", 0, 1, 1);
    run_for(s, 200);
    for (int n = 0; n < 400; n++) {
        char text[KPW_U128_SIZE];

        kpw_u128_format(s->shards[n % s->n].high - 1 + (unsigned)(n / s->n) % 3, text);
        snprintf(data[n], sizeof(data[n]), n < 200 ? "{\"h\":\"%s\"}" : "{}", text);
        snprintf(keys[n], sizeof(keys[n]), "%016llx",
                 (unsigned long long)kpw_random_next(&s->random));
        inputs[n].data = data[n];
        inputs[n].key = keys[n];
    }
    harness_feed_records(s->h, "b", inputs, 400);
    run_for(s, 500);
    EQ_INT(harness_count(s->h, KP_DELIVERED), 401);
    EQ_INT(s->filtered, 0);
    EQ_INT(harness_counter(s->h, "wrong_shard_records"), 0);
    EQ_INT(harness_counter(s->h, "kinesis_records"), 1 + s->n);
    for (int i = 0; i < s->n; i++)
        YES(s->shards[i].taken > 0);
    stream_free(s);
}
