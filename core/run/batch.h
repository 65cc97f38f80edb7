/* batch.h - batches, tickets and groups: the record rows of the host table.
 *
 * A batch has one owner at a time. Its records are slices of memory that the
 * batch keeps alive: slabs of the source, its own arena, and the memory of the
 * batches records were moved from. Each record carries a ticket: a pointer to
 * the origin that wants to know how it ended, and an index in there. An origin
 * is what a lane made at submit (lane.h), a group of tickets that became one
 * record (here), or a relay to the worker that owns the lane (relay.h).
 *
 * Functions that have the form of a kp_host row are put into the table as they
 * are. All record memory is counted against the budget given to batch_new().
 *
 * Owned by: the node that has it in hand.   Threads: one at a time.
 */
#ifndef KPIPE_RUN_BATCH_H
#define KPIPE_RUN_BATCH_H

#include <kpipe/plugin.h>
#include <stdbool.h>
#include <stdint.h>

struct budget;
struct hop;

/* How a ticket ended; of several records that share one the greatest counts. */
enum end { END_NONE = 0, END_FILTERED, END_DELIVERED, END_DEAD_LETTERED, END_UNSETTLED };

struct origin;
struct origin_ops {
    void (*share)(struct origin *origin, uint32_t index); /* one more record has this ticket */
    /* reason and receipt may be NULL [borrowed]. */
    void (*settle)(struct origin *origin, uint32_t index, enum end how, const kp_slice *reason,
                   const kp_receipt *receipt);
};
struct origin {
    const struct origin_ops *ops;
    bool ignores_receipts; /* nobody will read them: they are not even copied into a mark */
};

/* What a record's outcome mark says beside the outcome itself. */
struct mark {
    char *reason;        /* [owned] of REJECTED and RETRY */
    int64_t after_ms;    /* of RETRY */
    kp_receipt *receipt; /* [owned] of DELIVERED; slices follow the struct */
    kp_failure *failure; /* [owned] of REJECTED by reject_with(); slices follow the struct */
};

enum { OUTCOME_GONE = 255 }; /* in kp_record.outcome: moved, grouped or settled; no ticket left */

struct memory;
struct batch {
    kp_batch pub;       /* must be first: a kp_batch * is a struct batch * */
    kp_record *records; /* [owned] same as pub.records */
    uint32_t cap;
    uint32_t n_marked;      /* records whose outcome is not KP_NONE, GONE included */
    struct mark *marks;     /* [owned] cap of them, or NULL while nothing is to say */
    struct budget *budget;  /* [borrowed] */
    size_t counted;         /* bytes of the record table in the budget */
    struct memory *memory;  /* own arena and slabs, NULL until used */
    struct memory **others; /* memory of batches that records came from */
    size_t n_others, others_cap;
    struct hop *hop;     /* where it is inside a node, or NULL (hop.h) */
    kp_lane *mixed_lane; /* lane to use when records of several lanes meet */
    uint32_t attempts;   /* deliveries already tried at this hop */
    uint64_t order;      /* of its first giving at this hop */
    int64_t due_ms;      /* not to be given again before, monotonic */
    struct batch *next;  /* in a queue */
};

static inline struct batch *batch_of(kp_batch *b)
{
    return (struct batch *)(void *)b;
}

/* `own_lane` is where the records count to when those of several lanes meet. */
kp_batch *batch_new(struct budget *budget, kp_lane *own_lane, uint32_t expected);
/* Frees table and memory; records that still have a ticket are settled as unsettled. Returns how
 * many those were. */
uint32_t batch_free(kp_batch *b);

kp_record *batch_append(kp_batch *b, uint32_t n);
void batch_keep(kp_batch *b, kp_slab *slab);
char *batch_alloc(kp_batch *b, size_t bytes);
kp_batch *batch_ref(kp_batch *b); /* a second batch that shares memory and tickets */
kp_batch *batch_writable(kp_batch *b);
bool batch_set(kp_batch *b, uint32_t i, const char *data, size_t len);
void batch_point(kp_batch *b, uint32_t i, const char *data, size_t len);
bool batch_set_key(kp_batch *b, uint32_t i, const char *key, size_t len);
void batch_set_type(kp_batch *b, uint32_t i, const char *type, int encoding);
kp_record *batch_move(kp_batch *out, kp_batch *src, uint32_t i);
kp_record *batch_derive(kp_batch *out, kp_batch *src, uint32_t i);

void batch_deliver(kp_batch *b, uint32_t i, const kp_receipt *receipt);
void batch_deliver_all(kp_batch *b);
void batch_filter(kp_batch *b, uint32_t i);
__attribute__((format(printf, 3, 4))) void batch_reject(kp_batch *b, uint32_t i, const char *fmt,
                                                        ...);
void batch_reject_with(kp_batch *b, uint32_t i, const kp_failure *failure);
__attribute__((format(printf, 4, 5))) void batch_retry(kp_batch *b, uint32_t i, int64_t after_ms,
                                                       const char *fmt, ...);
/* The mark of record i, or NULL when nothing beside the outcome was said. */
const struct mark *batch_mark(const kp_batch *b, uint32_t i);
void batch_clear_mark(kp_batch *b, uint32_t i); /* back to KP_NONE */

/* Settles record i's ticket and marks it gone. */
void batch_settle(kp_batch *b, uint32_t i, enum end how, const kp_slice *reason,
                  const kp_receipt *receipt);
/* Removes the records that are gone. */
void batch_compact(kp_batch *b);
/* Gives record i a ticket; the old one, if any, is forgotten. */
void batch_set_ticket(kp_batch *b, uint32_t i, struct origin *origin, uint32_t index);

/* A copy in one piece, its texts behind it. [owned by caller, free()] */
kp_receipt *receipt_copy(const kp_receipt *receipt);

kp_group *group_new(void);
void group_take(kp_group *g, kp_batch *b, uint32_t i);
uint64_t group_count(const kp_group *g);
kp_record *batch_append_group(kp_batch *out, kp_group *g);
void group_free(kp_group *g);

#endif
