/* until.h - when a run ends by itself.
 *
 * `end`: every bounded source has ended, every stream source has read all that
 * was written before that, and all is settled. Flows may feed each other through
 * streams, so the streams are asked to catch up again until a whole round brought
 * nothing new.
 *
 * Owned by: the host.   Threads: main.
 */
#ifndef KPIPE_RUN_UNTIL_H
#define KPIPE_RUN_UNTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct host;

enum until_kind { UNTIL_STOPPED, UNTIL_END, UNTIL_IDLE, UNTIL_RECORDS, UNTIL_TIME };

struct until_goal {
    enum until_kind kind;
    int64_t value; /* milliseconds, or records */
};

/* "end", "idle:30s", "records:1000", "time:1m". */
bool until_parse(const char *text, struct until_goal *ret, struct error *err);

struct until {
    struct until_goal goal;
    bool has_asked;       /* the streams, for the first time */
    bool is_catching_up;  /* in a round that began when all was settled */
    uint64_t read_before; /* by all stream sources, when the round began */
    uint64_t activity;    /* at the last look */
    int64_t active_ms;    /* when it last changed, monotonic */
};

void until_init(struct until *until, const struct until_goal *goal);
/* Looks at the flows; true when the goal is reached. Asks sources to catch up and stages to flush
 * on the way. */
bool until_look(struct host *host, struct until *until);
/* Asks the stages of a flow for what they hold, if it has gone quiet with records in hand. */
void until_flush_quiet(struct host *host, size_t flow);

#endif
