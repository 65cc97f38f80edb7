/* source.h - private to the kinesis source: the state its files share.
 *
 * source.c is the element, discover.c lists the shards and offers them to the host, shard.c is one
 * shard's life from grant to close, poll.c and fanout.c read it, consumer.c registers for fan-out,
 * tempo.c says when and how much, fill.c makes batches of what was read, answer.c understands a
 * GetRecords answer, watch.c looks after shards that do not come on.
 *
 * The host shares the shards among workers and processes and keeps the order of parents and
 * children; the instance of worker 0 alone tells it what there is.
 *
 * Threads: the worker of the node.
 */
#ifndef KPIPE_KINESIS_SOURCE_H
#define KPIPE_KINESIS_SOURCE_H

#include "plugins/kinesis/answer.h"
#include "plugins/kinesis/calls.h"
#include "plugins/kinesis/listing.h"
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
#define POLL_WANTED_FIRST (256 * 1024)       /* bytes of text of the first answer */
#define READS_A_SECOND    5                  /* GetRecords per shard, for all its readers */
#define BYTES_A_SECOND    (2 * 1000 * 1000)  /* of it, the same */

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
    kp_list shards;       /* these alone, shared with nobody */
};

enum shard_state {
    SHARD_POSITIONING, /* needs an iterator */
    SHARD_READING,
    SHARD_CLOSED, /* its lane is closed; freed as soon as nobody can be looking at it */
};

/* Where a shard begins of which no record was read. */
enum shard_begin { BEGIN_HORIZON, BEGIN_LATEST, BEGIN_TIME };

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
    char *resume; /* [owned] NULL: from then on */
    uint64_t resume_sub;
};

/* Of poll.c: the answer to GetRecords, as it comes, and while the one before it is taken. */
struct incoming {
    kp_slab *slab; /* [owned] grows with it */
    size_t capacity, len;
    bool is_held;  /* no memory for more: the connection is not read */
    bool is_whole; /* it waits for its turn */
    bool is_too_long;
    int64_t sent_ms, first_ms, came_ms; /* monotonic: request, first byte (0: none), last byte */
};

/* Of fanout.c: the subscription, whose call is shard->call. */
struct fanout {
    struct kpw_buf in; /* what came and was not taken: from `at` on */
    size_t at;
    struct kpw_event_reader reader;
    bool is_held;          /* the connection is not read until there is room */
    int64_t subscribed_ms; /* monotonic */
    int64_t had_ms;        /* when the service began to send, 0: it has not */
    int64_t heard_ms;
};

/* What shards wait for, each in the order in which they came. */
enum waits_for {
    FOR_ROOM, /* memory, or room in the lane */
    FOR_SLOT, /* fewer calls under way */
    WAITS_FOR_MAX_
};

struct queue_link {
    struct shard *next;
    bool is_in;
};

struct queue {
    struct shard *first, **end;
    size_t n;
};

struct shard {
    struct source *source; /* [borrowed] */
    struct shard *next;
    struct queue_link links[WAITS_FOR_MAX_];
    char *id; /* [owned] */
    enum shard_state state;
    enum shard_begin begin;
    kpw_u128 low, high; /* its range of hash keys */

    kp_lane *lane;       /* [owned by host] NULL once it is closed */
    kp_timer *timer;     /* [owned by node] */
    kp_aws_call *call;   /* the one under way */
    struct kpw_buf body; /* of that call */
    struct incoming in;
    size_t wanted;     /* of the next answer, bytes of its text */
    size_t expected;   /* what the last one had */
    int64_t behind_ms; /* as it said */
    int64_t alarm_at;  /* when the timer rings, 0: it does not run */
    bool is_going;     /* inside shard_go() */
    int64_t turn_ends; /* ... which is to let others go on then, monotonic */
    bool has_slot;     /* of tempo.c, for that call */
    bool is_cbor;      /* that call is in CBOR */
    bool is_missing;   /* the service does not know it: has ended, when a listing says so too */
    uint32_t limit;    /* records asked for by that call */

    char *iterator; /* [owned] with a NUL; NULL: none */
    size_t iterator_room;
    int64_t iterator_ms;               /* when it was got, monotonic */
    char read_to[KP_POSITION_MAX + 1]; /* sequence number of the last record read, "" for none */
    int64_t latest_ms;                 /* when an iterator of type LATEST was got, 0: never */
    int64_t not_before;                /* next call, monotonic */
    int64_t reads[READS_A_SECOND];     /* times of the last GetRecords calls, a ring */
    int64_t bytes_until;               /* so long what was read uses up its bandwidth, monotonic */
    int64_t watched_ms;                /* it came on, or could not, at that time; monotonic */
    int64_t fetched_ms;                /* the last good answer or event, monotonic */
    unsigned read_at;
    unsigned tries;   /* failed calls in a row */
    unsigned empties; /* empty answers in a row */
    bool has_complained;
    int64_t complained_ms; /* monotonic, 0: never */
    uint32_t record_bytes; /* of an answer's body per record, a moving average */

    struct kinesis_answer answer; /* what was read and not yet put into a batch: from `at` on */
    size_t at;
    int64_t answer_bytes; /* of data and keys in it */
    kp_slab *answer_slab; /* the memory of it [owned] */
    bool at_end;          /* the answer said that the shard ends here */
    struct fill fill;
    struct fanout *fanout; /* [owned] NULL until it is first subscribed to */

    uint64_t call_epoch;   /* source->epoch when the call was made */
    uint64_t answer_epoch; /* all written before that epoch is in the answer or was submitted */
    uint64_t caught_epoch; /* ... was submitted */
};

struct source {
    const struct source_config *config;
    kp_node *node;
    const kp_aws_ext *aws;
    const kp_timer_ext *timers;
    const kp_info *info;
    struct shard *shards; /* [owned] those granted, in any order */
    kp_timer *reaper;     /* [owned by node] frees the closed ones */
    kp_timer *watch;      /* [owned by node] */
    struct queue queues[WAITS_FOR_MAX_];
    bool is_refused; /* memory, since it was last set to false */
    size_t n_shards, n_behind, slots_used;
    bool stopped;
    bool has_failed;     /* kp->fail() was called */
    double start_s;      /* of START_AT_TIMESTAMP, Unix seconds */
    uint64_t epoch;      /* counts catch_up() */
    uint64_t told_epoch; /* the last one answered */
    struct wire wire;
    struct kpw_random random;
    struct kinesis_entry *spare; /* [owned] entries of an answer, lent to one shard after another */
    size_t spare_room;
    int64_t far_ms; /* shortest time to the first byte of an answer, of the last far_n */
    int64_t far_until_ms;
    unsigned far_n;
    /* discover.c */
    kp_timer *list_timer; /* [owned by node] */
    kp_aws_call *list_call;
    struct kpw_buf list_body;
    struct listed_shard *listed; /* [owned] of the listing under way */
    size_t n_listed, listed_room;
    unsigned list_tries;
    bool has_listed, list_again; /* at least once; as soon as the one under way ends */
    bool has_complained;
    /* Shards that were there at an epoch are known: of the listing under way, of the last whole. */
    uint64_t listing_epoch, listed_epoch;
    /* fan-out */
    bool is_pushed;     /* shards are read by fanout.c */
    char *consumer_arn; /* [owned] NULL: it is not ACTIVE yet */
    char *stream_arn;   /* [owned] */
    kp_aws_call *consumer_call;
    kp_timer *consumer_timer; /* [owned by node] */
    struct kpw_buf consumer_body;
    unsigned consumer_tries;
};

/* discover.c */
bool discover_offers(const struct source *source); /* this instance tells the host what there is */
void discover_now(struct source *source);
void discover_caught_up(struct source *source); /* tells the host if so */
void discover_stop(struct source *source);
void discover_fini(struct source *source);

/* fill.c */
void fill_submit(struct shard *shard); /* submits what is there, as far as the lane takes it */
bool fill_is_due(const struct shard *shard); /* the batch need not wait for more */
bool fill_resume(struct shard *shard, const char *sequence, uint64_t sub); /* false: no memory */
void fill_drop(struct shard *shard); /* gives up what was not submitted */

/* poll.c */
void poll_iterator(struct shard *shard); /* POSITIONING to READING */
/* Asks for the next records if that may be done now. */
void poll_go(struct shard *shard);
/* The answer that waits becomes shard->answer, if it is one. False: there is none, or the one
 * before it was not taken yet. */
bool poll_take(struct shard *shard);

/* tempo.c */
int64_t tempo_allowed_at(const struct shard *shard); /* when its limits let it be read, monotonic */
void tempo_sent(struct shard *shard);
/* shard->answer came, out of `in`: plans the next one. */
void tempo_took(struct shard *shard, const struct incoming *in);
void tempo_refused(struct shard *shard);   /* a read was throttled */
void tempo_no_memory(struct shard *shard); /* for an answer of that size: less is asked for */
/* Before a call. False: it is not its turn; shard_go() comes when it is. */
bool tempo_take_slot(struct shard *shard);
void tempo_give_slot(struct shard *shard); /* after it */

/* queue.c */
void queue_init(struct queue *queue);
void queue_put(struct queue *queue, struct shard *shard, enum waits_for what);
struct shard *queue_take(struct queue *queue, enum waits_for what); /* NULL: it is empty */
void queue_remove(struct queue *queue, struct shard *shard, enum waits_for what);

/* fanout.c */
/* Takes the next event as shard->answer. False: there is none now, or no room. */
bool fanout_take(struct shard *shard);
void fanout_go(struct shard *shard); /* subscribes when there is no subscription */
/* Ends the subscription; the shard is read by polling from where it stands. */
void fanout_leave(struct shard *shard);
void fanout_fini(struct shard *shard);

/* consumer.c */
bool consumer_is_valid(const char *text);            /* a name or an ARN by its form */
bool consumer_is_given(const struct source *source); /* by its ARN: it is not ours to register */
/* Finds or registers the consumer, then sets source->consumer_arn and wakes the shards. */
void consumer_begin(struct source *source);
void consumer_fini(struct source *source);
/* Fan-out cannot be had: the source goes over to polling if it may, else it fails. */
void consumer_give_up(struct source *source, const char *action, const kp_aws_response *response);

/* watch.c */
void watch_start(struct source *source);
void watch_fetched(struct shard *shard); /* counts what the answer in shard->answer brought */
void watch_rang(kp_node *node, void *arg);

/* shard.c */
/* Opens the lane of a shard that this process may read. */
void shard_grant(struct source *source, const kp_grant *grant);
/* A call failed and is made again later. */
void shard_failed(struct shard *shard, const char *error, const char *message);
void shard_succeeded(struct shard *shard);
/* What a failed call means for the shard. */
void shard_judge(struct shard *shard, const char *action, const kp_aws_response *response);
bool shard_is_due(struct shard *shard); /* not_before has come; else the alarm is set */
/* Appends the type of the position and what belongs to it; `member`: of a sequence number. */
void shard_add_position(struct shard *shard, const char *member, struct kpw_buf *t);
bool shard_set_iterator(struct shard *shard, const char *text, size_t len); /* false: no memory */
/* The text, in shard->in.slab, becomes shard->answer. False: it is none (and shard_failed()). */
bool shard_take_answer(struct shard *shard, char *text, size_t len);
/* Memory for an answer, as shard->in.slab. False: not now; the shard goes on when there is some. */
bool shard_take_slab(struct shard *shard, size_t size);
void shard_drop_slab(struct shard *shard);
/* There may be room: the waiting ones go on until memory is refused again. */
void shard_wake_waiting(struct source *source);
void shard_alarm(struct shard *shard, int64_t when); /* shard_go() at `when`, monotonic */
void shard_go(struct shard *shard);                  /* does whatever can be done now */
void shard_hurry(struct shard *shard);               /* reads at once instead of at its next poll */
void shard_rebuild(struct shard *shard);             /* forgets call and iterator, begins anew */
/* Reads no more, drops what was not submitted and closes the lane; freed later. */
void shard_close(struct shard *shard);
void shard_stop(struct shard *shard);
void shard_free(struct shard *shard);

#endif
