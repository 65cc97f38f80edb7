/* pace.h - how fast one shard may be written to: a token bucket in the service's units, whose rate
 * finds the share that is to be had.
 *
 * A shard takes 1,000 records and 1 MiB a second, of all its writers together. The bucket fills at
 * a multiple of that and holds a second's worth. The multiple begins at a ceiling, falls by a tenth
 * for a throttle (at most ten times a second) and grows while records are taken: by a tenth of a
 * shard's limit a second, below half of the limit so that it doubles. So writers that share a shard
 * come to share its limit, and one that is refused everything only tries.
 *
 * A record may take more bytes than there are: the bucket then owes them and is waited for.
 *
 * Threads: the worker of the node. No kpipe call is made here.
 */
#ifndef KPIPE_KINESIS_PACE_H
#define KPIPE_KINESIS_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_RECORDS 1000      /* of a shard, a second */
#define PACE_BYTES   (1 << 20) /* data and partition keys */

struct pace {
    double ceiling;        /* times the shard's limits; 0: no pacing, everything goes at once */
    double rate;           /* at most `ceiling` */
    double records, bytes; /* what may go now; bytes may be owed */
    int64_t at_ms;         /* of the counts above */
    int64_t slowed_ms;     /* when the rate fell last ... */
    int64_t grown_ms;      /* ... and grew last */
};

void pace_init(struct pace *pace, double ceiling, int64_t now_ms);
/* When the next `records` and `bytes` may go, or as much of them as is worth a request (50 ms of
 * the rate): now_ms or later. */
int64_t pace_ready_ms(struct pace *pace, uint64_t records, uint64_t bytes, int64_t now_ms);
/* May one more go? As of the last pace_ready_ms(). */
static inline bool pace_has_room(const struct pace *pace)
{
    return pace->ceiling <= 0 || (pace->records >= 1 && pace->bytes > 0);
}
void pace_take(struct pace *pace, uint64_t bytes); /* one record goes */
void pace_throttled(struct pace *pace, int64_t now_ms);
void pace_taken(struct pace *pace, int64_t now_ms); /* an answer without a throttle */

#endif
