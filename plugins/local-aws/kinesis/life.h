/* life.h - what a stream is beyond its shards: status, encryption, monitoring, call rates.
 *
 * With the option `transition` a stream shows CREATING, UPDATING or DELETING for that long, and a
 * consumer CREATING or DELETING. The change itself is made, durably, before the call is answered;
 * only what DELETING leads to happens at the end.
 *
 *   life.c        status, its timer, rows of state.db     rates.c     call rates
 *   encryption.c monitoring.c mode.c policy.c settings.c  operations
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_KINESIS_LIFE_H
#define KPIPE_LOCAL_AWS_KINESIS_LIFE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sdk/wire/slice.h"

struct kinesis;
struct kinesis_call;
struct kinesis_consumer;
struct kinesis_operation;
struct kinesis_stream;
struct write;

enum kinesis_status {
    KINESIS_ACTIVE = 0,
    KINESIS_CREATING,
    KINESIS_UPDATING,
    KINESIS_DELETING,
};
const char *kinesis_status_text(enum kinesis_status status);

enum {
    KINESIS_CREATING_MAX = 5,    /* streams, and consumers of a stream, at one time */
    KINESIS_ON_DEMAND_MAX = 50,  /* on-demand streams of the account */
    KINESIS_WARM_MAX = 10 << 10, /* MiB/s */
    KINESIS_DAY_MS = 86400000,
};

/* A token bucket of one second. */
struct kinesis_bucket {
    double level;
    int64_t at_ms;
    bool is_set;
};

/* All of it but `rates` is in state.db; zero is a plain stream. */
struct kinesis_life {
    enum kinesis_status status;
    int64_t until_ms; /* when it becomes ACTIVE, or is gone */
    char *key_id;     /* [owned] of the encryption; NULL: there is none */
    uint32_t metrics; /* bits, as monitoring.c numbers them */
    int64_t warm_mib; /* wanted throughput, MiB/s; 0: none */

    struct kinesis_bucket *rates; /* [owned] of operations that are limited per stream */
};

/* ---- life.c */

bool kinesis_life_open(struct kinesis *k);
void kinesis_life_close(struct kinesis *k);
/* Reads what state.db has of a stream that was just loaded. */
bool kinesis_life_load(struct kinesis *k, struct kinesis_stream *stream);
/* Writes it; false: state.db cannot be written. */
bool kinesis_life_write(struct kinesis *k, const struct kinesis_stream *stream);
void kinesis_life_fini(struct kinesis_life *life);

/* The call has changed the stream: it is UPDATING for a while. Nothing without `transition`. */
void kinesis_updating(struct kinesis_call *call, struct kinesis_stream *stream);
/* Marks it as going; with `transition` 0 it is gone. False: state.db cannot be written. */
bool kinesis_stream_end(struct kinesis_call *call, struct kinesis_stream *stream);
/* Ends what is due since the last process, and sets the timer. */
void kinesis_life_begin(struct kinesis *k);
/* The new stream is CREATING for a while. */
void kinesis_creating(struct kinesis_call *call, struct kinesis_life *life);
/* Something becomes due: the timer looks at it. */
void kinesis_life_wake(struct kinesis *k, int64_t until_ms);
/* A status of that end has ended (or the clock was set back). */
bool kinesis_is_due(const struct kinesis *k, int64_t until_ms, int64_t now_ms);
/* When a status that begins now ends. */
int64_t kinesis_until(const struct kinesis_call *call);

/* The stream of the call when records can be put and read (ACTIVE, UPDATING). NULL: answered. */
struct kinesis_stream *kinesis_find_live(struct kinesis_call *call);
/* The stream of the call when it is ACTIVE. NULL: answered. */
struct kinesis_stream *kinesis_find_active(struct kinesis_call *call);
bool kinesis_is_live(const struct kinesis_stream *stream);
/* False: answered. */
bool kinesis_need_active(struct kinesis_call *call, const struct kinesis_stream *stream);

/* ---- rates.c */

/* How often an operation may be called; lifted by no_limits. False: answered. */
bool kinesis_rate_take(struct kinesis_call *call, const struct kinesis_operation *operation);

/* Changes that are counted over a rolling day, durably. */
enum kinesis_change {
    KINESIS_SCALED = 1,
    KINESIS_ENCRYPTED,
    KINESIS_DECRYPTED,
    KINESIS_MODE_CHANGED,
};
/* False: answered, for there were `most` already. */
bool kinesis_may_change(struct kinesis_call *call, const struct kinesis_stream *stream,
                        enum kinesis_change change, unsigned most);
void kinesis_note_change(struct kinesis_call *call, const struct kinesis_stream *stream,
                         enum kinesis_change change);

/* ---- resource.c: what a ResourceARN names */

struct kinesis_resource {
    struct kinesis_stream *stream;     /* always */
    struct kinesis_consumer *consumer; /* NULL: the stream itself */
};
/* False: answered. */
bool kinesis_find_resource(struct kinesis_call *call, struct kinesis_resource *ret);
/* Adds the member Tags, takes away TagKeys; both check them, and answer. */
void kinesis_tag(struct kinesis_call *call, const struct kinesis_resource *resource);
void kinesis_untag(struct kinesis_call *call, const struct kinesis_resource *resource);
/* A row of key and value. */
void kinesis_write_tag(struct write *w, sqlite3_stmt *st);

/* ---- settings.c */

bool kinesis_has_commitment(struct kinesis *k, int64_t now_ms);

#endif
