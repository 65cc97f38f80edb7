/* source_fault_test.c - one shard read by polling from a service that fails in every way it has:
 * all records come, in order, and no limit is exceeded. Time is the harness's. */
#include "plugins/kinesis/source_test.h"

#include "core/base/clock.h"

#define STEP_MS 10
#define RECORDS 3000
#define READS   4096

enum fault {
    NONE,
    THROTTLE,
    SERVER_ERROR,
    RESET,
    EXPIRED_ITERATOR,
    EXPIRED_TOKEN,
    SLOW,
    LOST_ANSWER, /* none within its time */
    GARBAGE,
    FAULTS
};

/* The service: its shard has the sequence numbers 1 to RECORDS, an iterator names the next one. */
struct world {
    struct harness *h;
    size_t seen; /* requests */
    uint64_t random;
    unsigned share; /* of reads that fail, per cent */
    enum fault from, to;
    int64_t reads[READS];
    size_t n_reads, n_faults;
};

static unsigned below(struct world *w, unsigned n)
{
    w->random = w->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(w->random >> 33) % n;
}

static void give_iterator(struct world *w, const char *body)
{
    const char *after = strstr(body, "AFTER_SEQUENCE_NUMBER"), *at = strstr(body, "Starting");
    int from = at ? atoi(at + strlen("StartingSequenceNumber\":\"")) + (after != NULL) : 1;
    char text[60];

    snprintf(text, sizeof(text), "{\"ShardIterator\":\"it-%d\"}", from);
    answer(w->h, "GetShardIterator", text);
}

static void give_records(struct world *w, const char *body, int64_t after_ms)
{
    const char *it = strstr(body, "it-"), *limit = strstr(body, "\"Limit\":");
    int from = it ? atoi(it + 3) : 0, to;
    char next[30];

    REQUIRE(from > 0 && limit != NULL);
    to = from + (int)below(w, 60);
    to = to > RECORDS ? RECORDS : to;
    REQUIRE(to - from < atoi(limit + 8));
    snprintf(next, sizeof(next), "it-%d", to + 1);
    if (after_ms == 0) {
        records(w->h, from, to, next, to < RECORDS ? 1000 : 0);
        return;
    }
    harness_aws_answer(w->h, "GetRecords", 500, "InternalFailure", "", after_ms);
}

static void fail_read(struct world *w, enum fault fault, const char *body)
{
    w->n_faults++;
    switch (fault) {
    case THROTTLE: refuse(w->h, "GetRecords", 400, "ProvisionedThroughputExceededException"); break;
    case SERVER_ERROR: refuse(w->h, "GetRecords", 503, "ServiceUnavailable"); break;
    case RESET: harness_aws_answer(w->h, "GetRecords", 0, NULL, "", 0); break;
    case EXPIRED_ITERATOR: refuse(w->h, "GetRecords", 400, "ExpiredIteratorException"); break;
    case EXPIRED_TOKEN: refuse(w->h, "GetRecords", 400, "ExpiredTokenException"); break;
    case SLOW: give_records(w, body, 3000 + below(w, 9000)); break;
    case GARBAGE: answer(w->h, "GetRecords", "{\"Records\":[{\"Data\":17}]}"); break;
    default: break; /* it times out */
    }
}

static void serve(struct world *w)
{
    for (; w->seen < harness_requests(w->h); w->seen++) {
        const char *line = harness_request_line(w->h, w->seen);
        const char *body = harness_request_body(w->h, w->seen, &(size_t){0});

        if (!harness_request_is_open(w->h, w->seen))
            continue;
        if (strstr(line, "GetShardIterator"))
            give_iterator(w, body);
        if (!strstr(line, "GetRecords"))
            continue;
        REQUIRE(w->n_reads < READS);
        w->reads[w->n_reads++] = clock_mono_ms();
        if (below(w, 100) < w->share)
            fail_read(w, w->from + below(w, w->to - w->from + 1), body);
        else
            give_records(w, body, 0);
    }
}

static void run(struct world *w, int64_t ms)
{
    for (int64_t at = 0; at < ms; at += STEP_MS) {
        serve(w);
        harness_advance(w->h, STEP_MS);
    }
}

static struct world begin(enum fault from, enum fault to, unsigned share, uint64_t seed)
{
    struct world w = {.random = seed, .share = share, .from = from, .to = to};

    w.h = source(", deaggregate = false");
    harness_hold_grants(w.h, true);
    harness_start(w.h);
    harness_grant(w.h, SHARD, "TRIM_HORIZON");
    return w;
}

/* All that came out from `first` on is in order without a gap; returns how much that is. */
static size_t check_order(const struct harness *h, size_t first)
{
    size_t n = harness_out_count(h);

    for (size_t i = first + 1; i < n; i++)
        if (atoi(harness_out(h, i)->sequence) != atoi(harness_out(h, i - 1)->sequence) + 1) {
            CU_FAIL("a gap or a step back");
            return 0;
        }
    return n - first;
}

static void check_rate(const struct world *w)
{
    for (size_t i = 5; i < w->n_reads; i++)
        if (w->reads[i] - w->reads[i - 5] < 1000 - STEP_MS) {
            CU_FAIL("more than five reads in a second");
            return;
        }
}

static void all_comes(enum fault from, enum fault to, unsigned share, uint64_t seed)
{
    struct world w = begin(from, to, share, seed);

    for (int minutes = 0; minutes < 60 && harness_out_count(w.h) < RECORDS; minutes++)
        run(&w, 60000);
    EQ_INT(harness_out_count(w.h), RECORDS);
    EQ_INT(check_order(w.h, 0), RECORDS);
    EQ_STR(harness_position(w.h, SHARD), "3000");
    YES(w.n_faults > 5);
    check_rate(&w);
    CU_ASSERT_PTR_NULL(harness_failed(w.h));
    harness_free(w.h);
}

TEST(throttles_lose_nothing)
{
    all_comes(THROTTLE, THROTTLE, 50, 1);
}

TEST(server_errors_lose_nothing)
{
    all_comes(SERVER_ERROR, SERVER_ERROR, 50, 2);
}

TEST(connections_that_break_lose_nothing)
{
    all_comes(RESET, RESET, 50, 3);
}

TEST(iterators_that_expire_lose_nothing)
{
    all_comes(EXPIRED_ITERATOR, EXPIRED_ITERATOR, 50, 4);
}

TEST(tokens_that_expire_lose_nothing)
{
    all_comes(EXPIRED_TOKEN, EXPIRED_TOKEN, 30, 5);
}

TEST(answers_that_come_late_or_never_lose_nothing)
{
    all_comes(SLOW, LOST_ANSWER, 20, 6);
}

TEST(answers_that_are_none_lose_nothing)
{
    all_comes(GARBAGE, GARBAGE, 30, 7);
}

TEST(everything_at_once_loses_nothing)
{
    for (uint64_t seed = 10; seed < 20; seed++)
        all_comes(THROTTLE, GARBAGE, 30, seed);
}

TEST(a_service_that_refuses_everything_is_asked_ever_more_seldom)
{
    static const enum fault faults[] = {THROTTLE, SERVER_ERROR, RESET, EXPIRED_TOKEN};

    for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
        struct world w = begin(faults[i], faults[i], 100, 30 + i);

        run(&w, 60000);
        YES(w.n_reads > 5);
        YES(w.n_reads < 40);
        w.share = 0;
        run(&w, 60000);
        EQ_INT(check_order(w.h, 0), RECORDS);
        harness_free(w.h);
    }
}

/* Taken away every few seconds, lost or handed over; the next owner begins at the checkpoint. */
TEST(a_shard_that_changes_hands_under_load_loses_nothing)
{
    for (uint64_t seed = 50; seed < 54; seed++) {
        struct world w = begin(THROTTLE, GARBAGE, 20, seed);
        int last = 0;

        for (int life = 0; life < 400 && last < RECORDS; life++) {
            size_t first = harness_out_count(w.h), settled;

            harness_hold(w.h, below(&w, 2));
            run(&w, 500 + below(&w, 4000));
            (void)check_order(w.h, first);
            if (harness_out_count(w.h) > first) {
                YES(atoi(harness_out(w.h, first)->sequence) <= last + 1);
                settled = first + below(&w, (unsigned)(harness_out_count(w.h) - first) + 1);
                for (size_t i = first; i < settled; i++)
                    if (harness_out_is_open(w.h, i))
                        harness_settle_out(w.h, i, KP_DELIVERED, NULL);
            }
            harness_revoke(w.h, SHARD, below(&w, 2));
            harness_hold(w.h, false);
            for (size_t i = first; i < harness_out_count(w.h); i++)
                if (harness_out_is_open(w.h, i))
                    harness_settle_out(w.h, i, KP_DELIVERED, NULL);
            if (harness_position(w.h, SHARD))
                last = atoi(harness_position(w.h, SHARD));
            harness_grant(w.h, SHARD, NULL);
        }
        EQ_INT(last, RECORDS);
        harness_free(w.h);
    }
}
