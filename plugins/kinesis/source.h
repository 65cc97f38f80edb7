/* source.h - private to the kinesis source: the state its files share.
 *
 * source.c is the element, discover.c lists the shards and starts those whose
 * turn it is, shard.c is one shard's life, poll.c and fanout.c read it, consumer.c
 * registers for fan-out, fill.c makes batches of what was read,
 * answer.c understands a GetRecords answer, family.c knows which shards other workers of the same
 * stage have finished.
 *
 * Threads: the worker of the node.
 */
#ifndef KPIPE_KINESIS_SOURCE_H
#define KPIPE_KINESIS_SOURCE_H

#include "plugins/kinesis/answer.h"
#include "plugins/kinesis/calls.h"
#include "plugins/kinesis/wire.h"

#include "sdk/wire/eventstream.h"
#include "sdk/wire/kpl.h"
#include "sdk/wire/slice.h"
#include "sdk/wire/u128.h"

#include <kpipe/ext/aws.h>
#include <kpipe/ext/timer.h>
#include <kpipe/plugin.h>

#define SHARD_ID_MAX      128
#define ITERATOR_MAX      1024
#define FANOUT_EVENT_MAX  (16 * 1024 * 1024) /* a record of 10 MiB in base64 and its frame */
#define POLL_CAPACITY_MIN (128 * 1024)       /* bytes of an answer of GetRecords */
#define READS_A_SECOND    5                  /* GetRecords per shard, for all its readers */

enum source_mode { MODE_POLLING, MODE_FANOUT, MODE_AUTO };
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
    int wire;             /* enum wire_choice */
    int mode;             /* enum source_mode */
    const char *consumer; /* its name, or its ARN; NULL: the application's name */
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

/* Of fanout.c: the subscription, whose call is shard->call. */
struct fanout {
    struct kpw_buf in; /* what came and was not taken: from `at` on */
    size_t at;
    struct kpw_event_reader reader;
    bool is_held;          /* the connection is not read until there is room */
    int64_t subscribed_ms; /* monotonic */
    int64_t heard_ms;
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
    bool is_cbor;        /* that call is in CBOR */
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
    struct fanout fanout;

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
    struct wire wire;
    /* fan-out */
    bool is_pushed;     /* shards are read by fanout.c */
    char *consumer_arn; /* [owned] NULL: it is not ACTIVE yet */
    char *stream_arn;   /* [owned] */
    kp_aws_call *consumer_call;
    kp_timer *consumer_timer; /* [owned by node] */
    struct kpw_buf consumer_body;
    unsigned consumer_tries;
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

/* poll.c */
void poll_iterator(struct shard *shard); /* POSITIONING to READING */
void poll_records(struct shard *shard);
int64_t poll_allowed_at(const struct shard *shard); /* when its limit lets it be read, monotonic */

/* fanout.c */
/* Takes the next event as shard->answer. False: there is none now, or no room. */
bool fanout_take(struct shard *shard);
void fanout_go(struct shard *shard); /* subscribes when there is no subscription */
/* Ends the subscription; the shard is read by polling from where it stands. */
void fanout_leave(struct shard *shard);
void fanout_fini(struct shard *shard);

/* consumer.c */
/* Finds or registers the consumer, then sets source->consumer_arn and wakes the shards. */
void consumer_begin(struct source *source);
void consumer_fini(struct source *source);
/* Fan-out cannot be had: the source goes over to polling if it may, else it fails. */
void consumer_give_up(struct source *source, const char *action, const kp_aws_response *response);

/* shard.c */
/* A call failed and is made again later. */
void shard_failed(struct shard *shard, const char *error, const char *message);
void shard_succeeded(struct shard *shard);
/* What a failed call means for the shard. */
void shard_judge(struct shard *shard, const char *action, const kp_aws_response *response);
bool shard_is_due(struct shard *shard); /* not_before has come; else the alarm is set */
/* Appends the type of the position and what belongs to it; `member`: of a sequence number. */
void shard_add_position(struct shard *shard, const char *member, struct kpw_buf *t);
/* The text, in shard->slab, becomes shard->answer. False: it is none (and shard_failed()). */
bool shard_take_answer(struct shard *shard, char *text, size_t len);
/* Memory for an answer, as shard->slab. False: not now; the shard goes on when there is some. */
bool shard_take_slab(struct shard *shard, size_t size);
void shard_drop_slab(struct shard *shard);
void shard_alarm(struct shard *shard, int64_t when); /* shard_go() at `when`, monotonic */
void shard_open(struct shard *shard);                /* WAITING to POSITIONING */
void shard_go(struct shard *shard);                  /* does whatever can be done now */
void shard_hurry(struct shard *shard);               /* reads at once instead of at its next poll */
void shard_stop(struct shard *shard);
void shard_fini(struct shard *shard);

#endif
