/* leases.h - where each lane stands, kept outside the process.
 *
 * A row per flow and lane: the position up to which everything is settled. Rows
 * are read once, before the flows start; workers move them in memory, main
 * publishes what has moved every checkpoint interval and at the end. A store is
 * DynamoDB (one table per application, rows as the Kinesis Client Library writes
 * them) or one local file.
 *
 * Owned by: the host.   Threads: leases_row() and lease_row_move() any, the rest main.
 */
#ifndef KPIPE_RUN_LEASES_H
#define KPIPE_RUN_LEASES_H

#include <kpipe/plugin.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct aws_client;
struct error;
struct leases;
struct plan;

struct lease_row {
    struct lease_row *next; /* of its flow */
    struct leases *leases;
    uint32_t flow;
    char *lane; /* [owned] */
    pthread_mutex_t lock;
    /* guarded by lock */
    char text[KP_POSITION_MAX + 1]; /* the watermark */
    size_t len;
    uint64_t sub;
    bool is_dirty;                           /* moved since it was last handed to the store */
    char *parents[2], *low_hash, *high_hash; /* [owned] NULL: not known; set once */
    /* the store's, main only */
    bool is_stored;       /* the store has a row for it */
    bool is_about_stored; /* ... with its parents and hash keys */
    bool is_being_sent;
    bool is_ours;       /* DynamoDB: leaseOwner is this process */
    bool is_lost;       /* DynamoDB: another process has taken it; not written any more */
    uint64_t counter;   /* DynamoDB: leaseCounter as last read or written */
    int64_t written_ms; /* when, monotonic */
};

/* What a store does. All run on main; they may wait (run main's loop) in load and finish only. */
struct lease_store {
    /* Reads all rows. False with err: the run cannot begin. */
    bool (*load)(struct leases *leases, struct error *err);
    /* Starts to write the rows that are dirty; errors go to leases_fail(). `is_last`: gives the
     * leases up as well. */
    void (*publish)(struct leases *leases, bool is_last);
    /* True while a write is under way. */
    bool (*is_busy)(const struct leases *leases);
    void (*free)(struct leases *leases);
};

struct leases {
    const struct lease_store *store;
    void *state; /* the store's [owned] */
    const struct plan *plan;
    pthread_mutex_t lock;    /* guards the lists */
    struct lease_row **rows; /* [owned] one list per flow */
    char *failure;           /* [owned] why the run must end */
};

/* `aws` is main's client, NULL with a file store. is_shared: others may hold leases of the table.
 * leases_load() gives up once *n_signals [borrowed] is not 0. */
struct leases *leases_new(const struct plan *plan, struct aws_client *aws, uv_loop_t *loop,
                          bool is_shared, const unsigned *n_signals);
void leases_free(struct leases *leases); /* NULL is fine */

bool leases_load(struct leases *leases, struct error *err);
/* Finds or makes the row; *ret is where it stands [borrowed until the row moves]. */
struct lease_row *leases_row(struct leases *leases, uint32_t flow, const char *lane,
                             kp_position *ret);
void lease_row_move(struct lease_row *row, const char *text, size_t len, uint64_t sub);

/* Keeps what is known of the lane beside its position. The first time counts. [any] */
void lease_row_about(struct lease_row *row, const kp_lane_about *about);

void leases_publish(struct leases *leases, bool is_last);
bool leases_is_clean(struct leases *leases);               /* everything is written */
void leases_fail(struct leases *leases, const char *text); /* the first counts */
bool leases_is_dirty(struct leases *leases); /* a row has moved since it was handed over */
bool lease_row_is_dirty(struct lease_row *row);
/* Copies a row's position; true when it had moved, which is then forgotten. */
bool lease_row_take(struct lease_row *row, char text[KP_POSITION_MAX + 1], uint64_t *ret_sub);

/* file_leases.c, dynamodb_leases.c */
void leases_use_file(struct leases *leases, const char *path);
void leases_use_dynamodb(struct leases *leases, struct aws_client *aws, uv_loop_t *loop,
                         bool is_shared, const unsigned *n_signals);

#endif
