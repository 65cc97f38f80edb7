/* dynamodb_send.h - private to core/lease: requests to DynamoDB on their way.
 *
 * A request is tried until it is answered, refused for good, or two thirds of the fail-over
 * time are over; between the attempts there is a random pause that doubles. While nothing works
 * there are no retries, as in the standard retry mode of the SDKs: all leases together would make a
 * storm of them. Those who ask come again at their own pace.
 *
 * Threads: that of the loop.
 */
#ifndef KPIPE_LEASE_DYNAMODB_SEND_H
#define KPIPE_LEASE_DYNAMODB_SEND_H

#include <jansson.h>
#include <sys/queue.h>
#include <uv.h>

#include "core/lease/dynamodb.h"
#include "core/lease/request.h"
#include "sdk/wire/random.h"

struct dynamodb_send;
TAILQ_HEAD(dynamodb_sends, dynamodb_send);

/* One of the two tables that KCL 3.0-3.4 has beside the lease table. */
struct dynamodb_beside {
    bool is_there;
    int64_t looked_ms; /* when it was not; 0: never looked */
};

struct dynamodb_io {
    struct lease_io io;          /* first: what others know of it */
    struct aws_client *aws;      /* [borrowed] */
    char *table, *region, *arn;  /* [owned] arn: of the table, NULL: not known */
    int64_t attempt_ms, most_ms; /* of one attempt; of all of a request */
    uv_timer_t *timer;           /* [owned until closed] for what waits */
    unsigned retries;            /* that may still be made */
    struct kpw_random random;
    struct dynamodb_sends sends; /* [owned] under way */
    struct dynamodb_beside metrics, state;
};

struct dynamodb_answer {
    json_t *body;                /* [borrowed] of a failed condition too; NULL: none */
    const char *error, *message; /* [borrowed] NULL: it worked; the message is a whole sentence */
    bool is_final;
    bool is_missing;           /* the table is not there, or we may not see it */
    int64_t first_ms, sent_ms; /* when the first attempt left, and the last */
};

/* [borrowed for the call] of whoever has something sent. */
struct dynamodb_asker {
    void (*answered)(void *arg, const struct dynamodb_answer *answer); /* may free the io */
    void (*dropped)(void *arg); /* the io is freed: there will be no answer */
    void *arg;
};

/* [consumes request] answered() is never called before this returns. */
void dynamodb_send(struct dynamodb_io *db, struct request *request,
                   const struct dynamodb_asker *asker);
bool dynamodb_is(const struct dynamodb_answer *answer, const char *error);

/* Runs fn once after a while, through the same queue: dropped with it. */
void dynamodb_wait(struct dynamodb_io *db, int64_t ms, const struct dynamodb_asker *asker);

void dynamodb_send_init(struct dynamodb_io *db, uv_loop_t *loop);
void dynamodb_send_fini(struct dynamodb_io *db); /* drops all that is under way */

/* dynamodb_scan.c: LEASE_SCAN. */
void dynamodb_scan(struct dynamodb_io *db, enum lease_layout layout, lease_fn fn, void *arg);

#endif
