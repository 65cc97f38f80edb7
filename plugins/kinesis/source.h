/* source.h - private to the kinesis source: the state its files share.
 *
 * source.c is the element, discover.c lists the shards and starts those whose
 * turn it is, shard.c reads one shard, fill.c makes batches of what it read,
 * answer.c understands a GetRecords answer, family.c knows which shards other workers of the same
 * stage have finished.
 *
 * Threads: the worker of the node.
 */
#ifndef KPIPE_KINESIS_SOURCE_H
#define KPIPE_KINESIS_SOURCE_H

#include "plugins/kinesis/answer.h"
#include "plugins/kinesis/calls.h"

#include "sdk/wire/kpl.h"
#include "sdk/wire/slice.h"
#include "sdk/wire/u128.h"

#include <kpipe/ext/aws.h>
#include <kpipe/ext/timer.h>
#include <kpipe/plugin.h>

#define SHARD_ID_MAX   128
#define ITERATOR_MAX   1024
#define READS_A_SECOND 5 /* GetRecords per shard, for all its readers */

enum source_start { START_TRIM_HORIZON, START_LATEST, START_AT_TIMESTAMP };

struct source_batch {
    int64_t records;
    int64_t wait_ms;
};

struct source_config {
    const kp_resource *stream;
    int start; /* enum source_start */
    const char *timestamp;
    struct source_batch batch;
    int64_t poll_ms;
    bool wait;
    bool deaggregate;
};

enum shard_state {
    SHARD_FOREIGN = 0, /* another worker's */
    SHARD_WAITING,     /* for its parents */
    SHARD_POSITIONING, /* needs an iterator */
    SHARD_READING,
    SHARD_DRAINING, /* read to its end; records are still on their way */
    SHARD_DONE,
};

/* Of fill.c: the batch in hand, and the aggregate at entry shard->at of the answer. */
struct fill {
    kp_batch *batch; /* begun, with room for more while batch.wait runs [owned] */
    int64_t due;     /* monotonic */
    char end[KP_POSITION_MAX + 1];
    uint64_t end_sub;
    bool is_kept;  /* the batch keeps the answer's slab */
    bool is_known; /* whether that entry is an aggregate */
    bool is_open;  /* it is one */
    struct kpw_kpl_reader kpl;
    size_t inside;                    /* its next user record */
    const struct kinesis_entry *last; /* the last one moved, while batches are filled */
    uint64_t last_sub;
    /* Of the checkpoint; until the first record was looked at. */
    bool resumes;
    char resume[KP_POSITION_MAX + 1];
    uint64_t resume_sub;
};

struct shard {
    struct source *source; /* [borrowed] */
    char id[SHARD_ID_MAX + 1];
    char parents[2][SHARD_ID_MAX + 1]; /* "" for none */
    enum shard_state state;
    bool is_seen;       /* in the listing that is under way */
    bool is_listed;     /* in the last whole one */
    bool is_child;      /* begins at its oldest record whatever `start` says */
    bool was_followed;  /* its children begin at their oldest record */
    kpw_u128 low, high; /* its range of hash keys */

    kp_lane *lane;       /* [owned by host] NULL before it is opened and after it is closed */
    kp_timer *timer;     /* [owned by node] */
    kp_aws_call *call;   /* the one under way */
    struct kpw_buf body; /* of that call */
    kp_slab *slab;       /* where its answer goes [owned] */
    size_t capacity;     /* of slab, when it was taken */
    size_t wanted;       /* of the next one */
    int64_t alarm_at;    /* when the timer rings, 0: it does not run */
    bool is_going;       /* inside shard_go() */
    uint32_t limit;      /* records asked for by that call */

    char iterator[ITERATOR_MAX + 1];
    char read_to[KP_POSITION_MAX + 1]; /* sequence number of the last record read, "" for none */
    int64_t latest_ms;                 /* when an iterator of type LATEST was got, 0: never */
    int64_t not_before;                /* next call, monotonic */
    int64_t reads[READS_A_SECOND];     /* times of the last GetRecords calls, a ring */
    unsigned read_at;
    unsigned tries;   /* failed calls in a row */
    unsigned empties; /* empty answers in a row */
    bool has_complained;
    int64_t complained_ms; /* monotonic, 0: never */
    uint32_t record_bytes; /* of an answer's body per record, a moving average */

    struct kinesis_answer answer; /* what was read and not yet put into a batch: from `at` on */
    size_t at;
    kp_slab *answer_slab; /* the memory of it [owned] */
    bool at_end;          /* the answer said that the shard ends here */
    struct fill fill;

    uint64_t unsettled;    /* batches */
    uint64_t call_epoch;   /* source->epoch when the call was made */
    uint64_t answer_epoch; /* all written before that epoch is in the answer or was submitted */
    uint64_t caught_epoch; /* ... was submitted */
    struct shard *next;
};

struct source {
    const struct source_config *config;
    kp_node *node;
    const kp_aws_ext *aws;
    const kp_timer_ext *timers;
    const kp_info *info;
    struct family *family; /* [owned] a share */
    struct shard *shards;  /* [owned] all that are listed, in order of discovery */
    kp_timer *list_timer;  /* [owned by node] */
    kp_timer *wait_timer;  /* [owned by node] looks at the parents other workers read */
    kp_aws_call *list_call;
    struct kpw_buf list_body;
    unsigned list_tries;
    bool has_listed, list_again; /* at least once; as soon as the one under way ends */
    bool has_complained;
    bool stopped;
    double start_s;      /* of START_AT_TIMESTAMP, Unix seconds */
    uint64_t epoch;      /* counts catch_up() */
    uint64_t told_epoch; /* the last one answered */
    /* Shards that were there at an epoch are known: of the listing under way, of the last whole. */
    uint64_t listing_epoch, listed_epoch;
    struct kpw_random random;
};

/* discover.c */
void discover_now(struct source *source);
/* A shard is finished or a foreign one may be: start those that waited for it. */
void discover_start_ready(struct source *source);
void discover_caught_up(struct source *source); /* tells the host if so */
void discover_fini(struct source *source);

/* fill.c */
void fill_submit(struct shard *shard); /* submits what is there, as far as the lane takes it */
bool fill_is_due(const struct shard *shard); /* the batch need not wait for more */
void fill_resume(struct shard *shard, const char *sequence, uint64_t sub);
void fill_fini(struct shard *shard);

/* shard.c */
void shard_alarm(struct shard *shard, int64_t when); /* shard_go() at `when`, monotonic */
void shard_open(struct shard *shard);                /* WAITING to POSITIONING */
void shard_go(struct shard *shard);                  /* does whatever can be done now */
void shard_hurry(struct shard *shard);               /* reads at once instead of at its next poll */
void shard_stop(struct shard *shard);
void shard_fini(struct shard *shard);

#endif
