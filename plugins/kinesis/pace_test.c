/* pace_test.c - the token bucket of a shard. */
#include "plugins/kinesis/pace.h"
#include "tests/kptest.h"

/* Takes all that may go now. */
static int take_all(struct pace *pace, uint64_t bytes, int64_t now_ms)
{
    int n = 0;

    (void)pace_ready_ms(pace, 1, 1, now_ms);
    for (; pace_has_room(pace); n++)
        pace_take(pace, bytes);
    return n;
}

TEST(a_shard_takes_a_second_s_worth_at_once_and_then_its_rate)
{
    struct pace pace;

    pace_init(&pace, 1.5, 1000);
    EQ_INT(take_all(&pace, 100, 1000), 1500);
    EQ_INT(take_all(&pace, 100, 1000), 0);
    EQ_INT(take_all(&pace, 100, 1100), 150);
    EQ_INT(take_all(&pace, 100, 60000), 1500); /* no more than a second's worth is kept */
}

TEST(bytes_are_owed_and_waited_for)
{
    struct pace pace;

    pace_init(&pace, 1, 0);
    EQ_INT(take_all(&pace, 3 * PACE_BYTES, 0), 1);
    EQ_INT(pace_ready_ms(&pace, 1, 1, 0), 2000); /* two seconds of debt */
    EQ_INT(take_all(&pace, 1, 1999), 0);
    EQ_INT(take_all(&pace, 1, 2001), 1000);
}

TEST(what_waits_goes_when_it_is_worth_a_request)
{
    struct pace pace;

    pace_init(&pace, 1, 0);
    take_all(&pace, 1, 0);
    EQ_INT(pace_ready_ms(&pace, 5, 5, 0), 5);      /* all five */
    EQ_INT(pace_ready_ms(&pace, 900, 900, 0), 51); /* of many what comes in 50 ms */
    EQ_INT(pace_ready_ms(&pace, 900, 900, 51), 51);
    EQ_INT(pace_ready_ms(&pace, 900, 900, 40), 40); /* a clock that steps back does no harm */
}

TEST(throttles_slow_it_down_and_what_is_taken_speeds_it_up)
{
    struct pace pace;
    double rate;

    pace_init(&pace, 1.5, 0);
    pace_throttled(&pace, 0);
    EQ_INT(take_all(&pace, 1, 0), 0); /* the service's own bucket is empty */
    YES(pace.rate > 1.34 && pace.rate < 1.36);
    pace_throttled(&pace, 50);
    YES(pace.rate > 1.34); /* answers that were under way together count once */
    pace_throttled(&pace, 100);
    YES(pace.rate < 1.22);
    rate = pace.rate;
    (void)pace_ready_ms(&pace, 1, 1, 5000);
    YES(pace.rate == rate); /* time alone does not */
    pace_taken(&pace, 5000);
    YES(pace.rate > rate + 0.09 && pace.rate < rate + 0.11);
    for (int64_t now = 5000; now < 60000; now += 100)
        pace_taken(&pace, now);
    YES(pace.rate == 1.5);
    for (int64_t now = 60000; now < 120000; now += 100)
        pace_throttled(&pace, now);
    YES(pace.rate > 0 && pace.rate < 0.03);
    for (int64_t now = 120000; now < 126000; now += 100)
        pace_taken(&pace, now);
    YES(pace.rate > 0.5); /* six seconds later */
}

TEST(without_a_ceiling_there_is_no_pace)
{
    struct pace pace;

    pace_init(&pace, 0, 0);
    for (int i = 0; i < 5000; i++)
        pace_take(&pace, 1 << 20);
    pace_throttled(&pace, 0);
    YES(pace_has_room(&pace));
    EQ_INT(pace_ready_ms(&pace, 1000, 1 << 30, 7), 7);
}
