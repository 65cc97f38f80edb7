/* pace.c - see pace.h. */
#include "plugins/kinesis/pace.h"

#define FLOOR    0.02 /* of a shard's limits: 20 records a second */
#define FALL     0.9
#define FALL_MS  100 /* between two falls: answers that were under way together count once */
#define GROWTH   0.1 /* of a shard's limits, a second */
#define HALF     0.5 /* below that it doubles in a second */
#define WORTH_MS 50  /* what comes in that time is worth a request */

void pace_init(struct pace *pace, double ceiling, int64_t now_ms)
{
    *pace = (struct pace){.ceiling = ceiling,
                          .rate = ceiling,
                          .records = ceiling * PACE_RECORDS,
                          .bytes = ceiling * PACE_BYTES,
                          .at_ms = now_ms,
                          .slowed_ms = now_ms - FALL_MS,
                          .grown_ms = now_ms};
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

static void fill(struct pace *pace, int64_t now_ms)
{
    double seconds = (double)(now_ms - pace->at_ms) / 1e3;

    if (now_ms <= pace->at_ms)
        return;
    pace->records =
        least(pace->rate * PACE_RECORDS, pace->records + seconds * pace->rate * PACE_RECORDS);
    pace->bytes = least(pace->rate * PACE_BYTES, pace->bytes + seconds * pace->rate * PACE_BYTES);
    pace->at_ms = now_ms;
}

/* Milliseconds, rounded up, until `have` is `want` at so many a second. */
static double wait_ms(double have, double want, double a_second)
{
    return have >= want ? 0 : (want - have) * 1e3 / a_second + 0.999;
}

int64_t pace_ready_ms(struct pace *pace, uint64_t records, uint64_t bytes, int64_t now_ms)
{
    double worth = WORTH_MS / 1e3, for_records, for_bytes;

    if (pace->ceiling <= 0)
        return now_ms;
    fill(pace, now_ms);
    for_records =
        wait_ms(pace->records, least((double)records, 1 + worth * pace->rate * PACE_RECORDS),
                pace->rate * PACE_RECORDS);
    for_bytes = wait_ms(pace->bytes, least((double)bytes, 1 + worth * pace->rate * PACE_BYTES),
                        pace->rate * PACE_BYTES);
    return now_ms + (int64_t)(for_records > for_bytes ? for_records : for_bytes);
}

void pace_take(struct pace *pace, uint64_t bytes)
{
    if (pace->ceiling <= 0)
        return;
    pace->records -= 1;
    pace->bytes -= (double)bytes;
}

void pace_throttled(struct pace *pace, int64_t now_ms)
{
    if (pace->ceiling <= 0)
        return;
    fill(pace, now_ms);
    pace->records = least(pace->records, 0);
    pace->bytes = least(pace->bytes, 0);
    if (now_ms - pace->slowed_ms < FALL_MS)
        return;
    pace->slowed_ms = pace->grown_ms = now_ms;
    pace->rate = pace->rate * FALL > FLOOR ? pace->rate * FALL : FLOOR;
}

void pace_taken(struct pace *pace, int64_t now_ms)
{
    double seconds = least((double)(now_ms - pace->grown_ms) / 1e3, 1);

    if (pace->ceiling <= 0)
        return;
    fill(pace, now_ms);
    pace->grown_ms = now_ms;
    pace->rate += seconds * (pace->rate < HALF ? pace->rate : GROWTH);
    pace->rate = least(pace->rate, pace->ceiling);
}
