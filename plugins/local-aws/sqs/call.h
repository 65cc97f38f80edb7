/* call.h - one SQS operation under way: what its files share.
 *
 * Operations read `in` and fill `out`, both JSON; sqs.c turns a query request into
 * that before and its answer into XML afterwards. An operation that has to wait
 * (ReceiveMessage) sets `waits` and is answered by wait.c.
 *
 * Threads: the service's worker.   Not here: HTTP (sqs.c), SQL (store.c).
 */
#ifndef KPIPE_LOCAL_AWS_SQS_CALL_H
#define KPIPE_LOCAL_AWS_SQS_CALL_H

#include <jansson.h>

#include "plugins/local-aws/commit.h"
#include "plugins/local-aws/local.h"
#include "plugins/local-aws/sqs/store.h"
#include "plugins/local-aws/sqs/text.h"

/* What an operation is refused with: the shape's name in the model and a text. */
struct sqs_error {
    const char *shape; /* "QueueDoesNotExist" [static]; NULL: no error */
    char text[700];
};

/* Fills `err`; always false, so that `return sqs_refuse(err, ...)` reads well. */
bool sqs_refuse(struct sqs_error *err, const char *shape, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool sqs_invalid(struct sqs_error *err, const char *fmt, ...) /* InvalidParameterValueException */
    __attribute__((format(printf, 2, 3)));
bool sqs_missing(struct sqs_error *err, const char *parameter);
bool sqs_trouble(struct sqs_error *err); /* out of disk or memory */

/* How an error looks on the wire; unknown shapes are InternalError. */
struct sqs_error_row {
    const char *shape, *query_code, *name_space;
    int status;
};
const struct sqs_error_row *sqs_error_row(const char *shape);

struct sqs_waiter; /* wait.c */

/* How many more messages of a queue may come into flight before they must be counted again. */
struct sqs_flight {
    int64_t queue; /* 0: none yet */
    int64_t room;
};

struct sqs_service {
    struct local *local; /* [borrowed] */
    struct sqs_store store;
    struct commit commit;
    struct sqs_waiter *waiters; /* oldest first [owned] */
    kp_timer *timer;            /* the next moment a waiter may have to be answered [owned] */
    kp_timer *mover;            /* steps message move tasks [owned], NULL: none has run yet */
    struct sqs_flight flight;   /* of the queue that was received from last */
    bool moved;                 /* a message went to a dead-letter queue: others may wait there */
};

struct sqs_call {
    struct sqs_service *service;
    struct sqs_store *store;
    kp_exchange *exchange;
    const char *operation; /* [borrowed] */
    bool is_query;
    bool is_tls; /* the request came over TLS: QueueUrls say https */
    char region[40];
    char host[260];   /* of the request: QueueUrls lead back to it */
    char path[260];   /* of the request: the query protocol names the queue there */
    int64_t now_ms;   /* wall */
    json_t *in, *out; /* [owned by sqs.c] */
    struct sqs_error err;
    bool waits;               /* the exchange was handed over */
    bool has_waited;          /* it is answered now that was handed over before */
    int64_t touched;          /* the queue it is about, once found; else 0 */
    struct sqs_counts counts; /* of the queue whose attributes are read */
    bool has_counts;
};

/* Runs call->operation. False: call->err says why. */
bool sqs_run(struct sqs_call *call);
/* Answers call->exchange with `out`, or with the error. */
void sqs_answer(struct sqs_call *call, bool ok);

/* ---- reading input ---- */

/* The member, or NULL when it is absent or null. */
json_t *sqs_member(const json_t *object, const char *name);
/* Its text; NULL: absent or no string. */
const char *sqs_text(const json_t *object, const char *name);
/* An integer, or a text of one; *ret is untouched when it is absent. */
bool sqs_int(const json_t *object, const char *name, int64_t *ret, struct sqs_error *err);
/* The queue that QueueUrl (or the path) names. sqs_queue_fini() in any case. */
bool sqs_find_queue(struct sqs_call *call, struct sqs_queue *ret);
/* Removes messages that are too old. */
bool sqs_expire(struct sqs_call *call, const struct sqs_queue *queue);

void sqs_put_url(struct sqs_call *call, const char *name, char out[640]);
void sqs_put_arn(const struct sqs_call *call, const char *name, char out[200]);
/* The queue name of an ARN of this region and account [borrowed from arn], or NULL. */
const char *sqs_name_of_arn(const struct sqs_call *call, const char *arn);

/* A sequence number as its 20 digits. */
void sqs_sequence(int64_t number, char out[SQS_SEQUENCE_MAX]);

/* ---- batches ---- */

enum { SQS_BATCH_MAX = 10 };
/* One entry: adds to `result`, or refuses. */
typedef bool (*sqs_entry_fn)(struct sqs_call *call, const struct sqs_queue *queue, json_t *entry,
                             json_t *result, struct sqs_error *err);
/* Number of entries and their ids. */
bool sqs_batch_check(struct sqs_call *call);
/* Runs verified entries one by one into Successful and Failed. */
bool sqs_batch_run(struct sqs_call *call, const struct sqs_queue *queue, sqs_entry_fn fn);
/* Both. */
bool sqs_batch(struct sqs_call *call, const struct sqs_queue *queue, sqs_entry_fn fn);

/* ---- attributes of queues (attributes.c) ---- */

/* The value in force, as a number; attributes that are not set have their default. */
int64_t sqs_setting(const struct sqs_queue *queue, const char *name);
bool sqs_flag(const struct sqs_queue *queue, const char *name);
/* Verifies `given` and puts it into queue->attributes. `is_new`: FifoQueue may be said. */
bool sqs_apply_attributes(struct sqs_call *call, struct sqs_queue *queue, json_t *given,
                          bool is_new);
/* The text in force [owned by caller, free()]; NULL: the queue has no such attribute. */
char *sqs_attribute_text(struct sqs_call *call, const struct sqs_queue *queue, const char *name);
/* Do all the given ones equal what is in force? *ret_name: the first that differs. */
bool sqs_same_attributes(struct sqs_call *call, const struct sqs_queue *queue, json_t *given,
                         const char **ret_name);
/* Names of all attributes, ended by NULL. */
extern const char *const sqs_attribute_names[];

/* The dead-letter queue and how often a message may be received before; false: none. The queue
 * needs sqs_queue_fini() when true. */
bool sqs_dead_letters(struct sqs_call *call, const struct sqs_queue *queue,
                      struct sqs_queue *ret_target, int64_t *ret_receives);

/* ---- receiving and waiting (receive.c, wait.c) ---- */

enum { SQS_RECEIVE_MAX = 10 };

struct sqs_receive {
    int64_t max;          /* messages */
    int64_t visibility_s; /* -1: the queue's */
    int64_t wait_s;       /* -1: the queue's */
    json_t *system;       /* names that are wanted [owned], may be NULL */
    json_t *attributes;   /* the same of message attributes */
    json_t *attempt;      /* ReceiveRequestAttemptId of a FIFO queue, a string [owned]; or NULL */
};

void sqs_receive_fini(struct sqs_receive *receive);

/* [new reference] Up to max messages as they are answered, NULL with err. */
json_t *sqs_take(struct sqs_call *call, const struct sqs_queue *queue,
                 const struct sqs_receive *receive);
/* [consumes receive's references] Keeps the exchange until messages come or the time is over. */
bool sqs_wait(struct sqs_call *call, const struct sqs_queue *queue, struct sqs_receive *receive,
              int64_t wait_s);
/* Something of the queue may have become visible; 0: of any queue. Call it also when messages moved
 * to a dead-letter queue. */
void sqs_wake(struct sqs_service *service, int64_t queue);
void sqs_waiters_free(struct sqs_service *service);

/* ---- message move tasks (move.c) ---- */

/* Makes their table; tasks that ran go on. */
bool sqs_moves_open(struct sqs_service *service);
void sqs_moves_close(struct sqs_service *service);

/* ---- receipt handles (delete.c) ---- */

enum { SQS_HANDLE_MAX = 160 };
/* Names the queue, the message and the receive it was given for. */
void sqs_put_handle(const struct sqs_queue *queue, const struct sqs_message *message,
                    char out[SQS_HANDLE_MAX]);

/* ---- operations ---- */

bool sqs_create_queue(struct sqs_call *call);
bool sqs_get_queue_url(struct sqs_call *call);
bool sqs_list_queues(struct sqs_call *call);
bool sqs_delete_queue(struct sqs_call *call);
bool sqs_get_attributes(struct sqs_call *call);
bool sqs_set_attributes(struct sqs_call *call);
bool sqs_purge_queue(struct sqs_call *call);
bool sqs_tag_queue(struct sqs_call *call);
bool sqs_untag_queue(struct sqs_call *call);
bool sqs_list_tags(struct sqs_call *call);
bool sqs_list_sources(struct sqs_call *call);
bool sqs_send(struct sqs_call *call);
bool sqs_send_batch(struct sqs_call *call);
bool sqs_receive_message(struct sqs_call *call);
bool sqs_delete(struct sqs_call *call);
bool sqs_delete_batch(struct sqs_call *call);
bool sqs_change_visibility(struct sqs_call *call);
bool sqs_change_visibility_batch(struct sqs_call *call);
bool sqs_add_permission(struct sqs_call *call);
bool sqs_remove_permission(struct sqs_call *call);
bool sqs_start_move(struct sqs_call *call);
bool sqs_list_moves(struct sqs_call *call);
bool sqs_cancel_move(struct sqs_call *call);

#endif
