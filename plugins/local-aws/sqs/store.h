/* store.h - SQS's queues and messages in SQLite.
 *
 * A message is visible when its `visible` time has come; until then it is delayed
 * (never received) or in flight. A receive moves that time on and counts. Moving a
 * message to its dead-letter queue makes a new row there, so it comes last and old
 * receipt handles mean nothing any more.
 *
 * Threads: the service's worker.   Not here: what an operation means.
 */
#ifndef KPIPE_LOCAL_AWS_SQS_STORE_H
#define KPIPE_LOCAL_AWS_SQS_STORE_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "sdk/wire/random.h"
#include "sdk/wire/slice.h"

enum {
    SQS_STORE_STATEMENTS = 32, /* store.c's own; the others' come behind */
    SQS_STATEMENTS = 48,
    SQS_NAME_MAX = 81 /* with the NUL */,
    SQS_SEQUENCE_MAX = 24,
    SQS_GROUP_MAX = 129, /* with the NUL */
    SQS_IN_FLIGHT_MAX = 120000
};

struct sqs_store {
    sqlite3 *db;                      /* [borrowed] */
    sqlite3_stmt *st[SQS_STATEMENTS]; /* [owned] */
};

struct sqs_queue {
    int64_t id;
    char name[SQS_NAME_MAX];
    bool is_fifo;
    int64_t created_ms, modified_ms, purged_ms; /* purged_ms 0: never */
    json_t *attributes;                         /* those that were set, all strings [owned] */
    json_t *tags;                               /* [owned] */
};

struct sqs_message {
    int64_t id;
    char uid[KPW_UUID_SIZE]; /* MessageId */
    int64_t visible_ms;      /* when it may be received */
    int64_t sent_ms;
    int64_t first_ms, received_ms; /* first and last receive; 0: never */
    int64_t receives;
    json_t *body;       /* a string [owned] */
    json_t *attributes; /* message attributes, NULL: none [owned] */
    json_t *system;     /* text per name: AWSTraceHeader, MessageGroupId, ... [owned] */
    const char *group;  /* MessageGroupId or NULL [borrowed from system] */
    int64_t sequence;   /* FIFO, else 0 */
};

bool sqs_store_open(struct sqs_store *store, sqlite3 *db);
void sqs_store_close(struct sqs_store *store);

/* ---- queues; `scope`: region ---- */

/* False: there is none. sqs_queue_fini() in any case. */
bool sqs_queue_find(struct sqs_store *store, const char *scope, const char *name,
                    struct sqs_queue *ret);
bool sqs_queue_find_id(struct sqs_store *store, int64_t id, struct sqs_queue *ret);
void sqs_queue_fini(struct sqs_queue *queue);
bool sqs_queue_add(struct sqs_store *store, const char *scope, const struct sqs_queue *queue);
/* Writes attributes, tags and times. */
bool sqs_queue_change(struct sqs_store *store, const struct sqs_queue *queue);
/* With all its messages. */
bool sqs_queue_remove(struct sqs_store *store, int64_t id);
/* Calls fn in order of names, while it answers true. */
struct sqs_range {
    const char *scope, *prefix; /* names begin with it */
    const char *after;          /* and come behind it */
};
typedef bool (*sqs_queue_fn)(void *arg, const struct sqs_queue *);
void sqs_queue_each(struct sqs_store *store, const struct sqs_range *range, sqs_queue_fn fn,
                    void *arg);

struct sqs_counts {
    int64_t visible, in_flight, delayed;
};
void sqs_queue_count(struct sqs_store *store, int64_t queue, int64_t now_ms,
                     struct sqs_counts *ret);
bool sqs_queue_purge(struct sqs_store *store, int64_t queue);
/* Messages that are in flight, at most SQS_IN_FLIGHT_MAX are counted. */
int64_t sqs_queue_in_flight(struct sqs_store *store, int64_t queue, int64_t now_ms);
/* Removes what was sent at or before that time, and forgets de-duplication that is over. */
bool sqs_queue_expire(struct sqs_store *store, int64_t queue, int64_t sent_ms, int64_t now_ms);

/* ---- messages ---- */

void sqs_message_fini(struct sqs_message *message);
/* Adds it with a new id; on a FIFO queue the next sequence number is set. */
bool sqs_message_add(struct sqs_store *store, const struct sqs_queue *queue,
                     struct sqs_message *message);
/* False: it is gone. sqs_message_fini() in any case. */
bool sqs_message_find(struct sqs_store *store, int64_t queue, int64_t id, struct sqs_message *ret);
/* Writes visible_ms, first_ms, received_ms and receives. */
bool sqs_message_touch(struct sqs_store *store, const struct sqs_message *message);
bool sqs_message_remove(struct sqs_store *store, int64_t id);
/* A new row in `target`, visible now; `origin`: ARN of the queue it leaves. */
bool sqs_message_move(struct sqs_store *store, const struct sqs_message *message,
                      const struct sqs_queue *target, const char *origin, int64_t now_ms);
/* Ids of up to `max` messages that may be received now, in order; of a FIFO queue none whose group
 * has an earlier message that is not visible, and all of one group before the next group's. */
size_t sqs_message_ready(struct sqs_store *store, const struct sqs_queue *queue, int64_t now_ms,
                         int64_t *ids, size_t max);
/* When the next message becomes visible; 0: none is waiting for that. */
int64_t sqs_message_next(struct sqs_store *store, int64_t queue, int64_t now_ms);

/* ---- attempts: what a receive with a ReceiveRequestAttemptId gave, as any JSON ---- */

/* [new reference] NULL: there is none, or its time is over. */
json_t *sqs_attempt_find(struct sqs_store *store, int64_t queue, const char *id, int64_t now_ms);
bool sqs_attempt_put(struct sqs_store *store, int64_t queue, const char *id, int64_t until_ms,
                     const json_t *given);

/* ---- de-duplication ---- */

struct sqs_dedup {
    const char *scope, *id; /* scope: a message group, or "" for the queue */
};
/* True: it was sent before; uid and sequence of that message. */
bool sqs_dedup_find(struct sqs_store *store, int64_t queue, const struct sqs_dedup *dedup,
                    int64_t now_ms, struct sqs_message *ret);
bool sqs_dedup_add(struct sqs_store *store, int64_t queue, const struct sqs_dedup *dedup,
                   int64_t until_ms, const struct sqs_message *message);

#endif
