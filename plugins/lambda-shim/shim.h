/* shim.h - what the files of lambda-shim share.
 *
 * lambda-shim.c  options, opening and closing
 * lane.c         batches that wait, jobs cut from them, the slots of the function
 * job.c          attempts of one job: bisecting, retries, age, partial failures
 * event.c        the JSON the function gets
 * verdict.c      what the function's answer says about the records
 * lua.c          functions of the pipeline file
 * runtime.c      functions in child processes: the Lambda Runtime API
 * child.c        starting and ending such a process, its output
 *
 * Threads: the worker's.
 */
#ifndef KPIPE_LAMBDA_SHIM_SHIM_H
#define KPIPE_LAMBDA_SHIM_SHIM_H

#include <kpipe/ext/aws.h>
#include <kpipe/ext/lua.h>
#include <kpipe/ext/server.h>
#include <kpipe/ext/timer.h>
#include <kpipe/plugin.h>
#include <sys/types.h>

#include "sdk/wire/slice.h"

#define REQUEST_ID_LENGTH 36
#define EVENT_MAX         6291456 /* bytes of an event: the service's limit of 6 MiB */
#define ANSWER_MAX        6291556 /* bytes of an answer: 6 MiB + 100, as the service has it */

struct shim;
struct job;

enum event_kind { EVENT_KINESIS = 0, EVENT_RECORDS, EVENT_RAW };

struct shim_config {
    const kp_function *handler;
    kp_list command;
    const char *directory, *function_name;
    kp_map env;
    int event; /* enum event_kind */
    int64_t timeout_ms;
    int64_t batch_size, batch_window_ms;
    int64_t retries; /* -1: no end */
    bool bisect_on_error, report_item_failures;
    int64_t max_age_ms; /* 0: none */
    int64_t concurrency, parallelization_factor;
    const kp_resource *stream;
};

/* ---- one call of the function */

struct answer {
    bool failed;   /* a function error: body is its error object */
    kp_slice body; /* [borrowed for the call] */
};

/* ---- lane.c */

struct held { /* a batch of the host until all its records have ended [owned by shim] */
    kp_batch *b;
    uint32_t open; /* records without an end */
    struct held *next, **prev;
};

struct ref { /* one record */
    struct held *held;
    uint32_t i;
};

/* Records in order. With a parallelization factor a lane of the host is several of these, and a
 * partition key always belongs to the same one. */
struct lane {
    struct shim *shim;
    kp_lane *id;             /* [borrowed] the host's, only compared */
    uint32_t part;           /* 0..parallelization_factor-1 */
    char *name;              /* [owned] shard id */
    struct ref *queue;       /* [owned] a ring: the records in no job */
    size_t cap, at, waiting; /* of it: room (a power of two), first one, how many */
    uint32_t running;        /* jobs */
    kp_timer *window;        /* NULL until needed */
    bool window_closed;      /* what waits now may be cut, whatever its size */
    bool cutting;
    struct lane *next;
};

bool lane_add(struct shim *shim, kp_batch *b);
void lane_flush(struct shim *shim);
void lane_free_all(struct shim *shim);
/* The record has got its mark; its batch is handed back when it was the last one. */
void lane_ended(struct shim *shim, struct ref ref);
void lane_job_ended(struct lane *lane);
/* Puts a job behind those that wait for a slot of the function. */
void shim_enqueue(struct shim *shim, struct job *job);
/* Starts what can be started. */
void shim_run(struct shim *shim);

static inline const kp_record *ref_record(struct ref ref)
{
    return kp_at(ref.held->b, ref.i);
}

/* ---- job.c */

struct range { /* of a job's records, still to be done; the deepest is the next one */
    uint32_t from, to;
    uint32_t attempts; /* failed ones that count */
    uint32_t calls;    /* invocations of exactly this range */
};

enum { JOB_DEPTH = 32 }; /* a range halves at most 14 times (10,000 records) */

struct job {
    struct lane *lane;
    struct ref *refs; /* [owned] */
    uint32_t n;
    struct range ranges[JOB_DEPTH];
    uint32_t depth;
    char request_id[REQUEST_ID_LENGTH + 1];
    struct kpw_buf event; /* of raw events: borrowed from the record, cap 0 */
    kp_timer *timer;      /* back-off, NULL until needed */
    struct job *next;
    struct job *all_next, **all_prev;
};

struct job *job_new(struct lane *lane, struct ref *refs /* [consumes] */, uint32_t n);
void job_free(struct job *job);
/* Prepares the next call. False: nothing is left to call, the job is gone or waits. */
bool job_prepare(struct job *job);
/* [consumes the call] What the function said. The job may be gone afterwards. */
void job_answered(struct job *job, const struct answer *answer);

/* ---- event.c */

/* Bytes that the record takes in an event, at most. */
size_t event_size(const struct shim *shim, const struct lane *lane, const kp_record *record);
/* False: no memory. */
bool event_build(const struct shim *shim, const struct lane *lane, const struct ref *refs,
                 uint32_t n, struct kpw_buf *out);
/* Logs `text`, which may be any bytes, as one line. */
void event_log(struct shim *shim, int level, const char *event, const char *what, kp_slice text);
/* {"errorType":type,"errorMessage":message} */
void event_error(struct kpw_buf *out, const char *type, const char *message, size_t len);

/* ---- verdict.c */

enum verdict { VERDICT_ALL, VERDICT_NONE, VERDICT_PART };
/* Reads batchItemFailures. With VERDICT_PART, *ret_done records of the range are done. */
enum verdict verdict_of(kp_slice answer, const struct ref *refs, uint32_t n, uint32_t *ret_done);

/* ---- the function: lua.c, runtime.c */

struct backend {
    bool (*open)(struct shim *shim); /* false: kp->fail() was called */
    bool (*has_slot)(struct shim *shim);
    /* Calls job_answered() once, at once or later. */
    void (*invoke)(struct shim *shim, struct job *job);
    void (*close)(struct shim *shim);
};
extern const struct backend backend_lua, backend_process;

/* ---- the sink */

struct child;
struct shim {
    kp_node *node;
    const struct shim_config *config;
    const struct backend *backend;
    const kp_timer_ext *timer;
    const kp_lua_ext *lua;
    const kp_server_ext *server;
    const char *region, *function_name;
    char function_arn[256], stream_arn[256], role_arn[64];
    struct lane *lanes;
    struct held *held;              /* all */
    struct job *ready, **ready_end; /* wait for a slot */
    struct job *jobs;               /* all */
    kp_timer *again;                /* runs shim_run() in the next turn of the loop */
    bool running;                   /* inside shim_run() */
    bool closing;
    uint64_t failure_batch; /* numbers of kp_failure.batch */
    struct kpw_buf context; /* lua.c: of the call being made */
    struct child *children; /* runtime.c */
    uint32_t n_children;
};

/* ---- child.c: a process */

struct process {
    pid_t pid; /* 0: none */
    int pidfd, output;
    size_t line_len;
    char line[4096];
};

struct process_start {
    const kp_list *command;
    const char *directory; /* NULL: as ours */
    char *const *env;
};
/* False: *ret_errno says why the program could not be started. */
bool process_spawn(struct process *process, const struct process_start *start, int *ret_errno);
/* Reads output; each line goes to fn. False: end of the output. */
bool process_read(struct process *process, void (*fn)(void *arg, const char *line, size_t len),
                  void *arg);
/* Takes the end of a process that has ended: *ret_text like "exit status 1" (64 bytes). */
bool process_reap(struct process *process, char *ret_text, bool *ret_clean);
/* Kills the whole process group and waits for it. */
void process_kill(struct process *process);
void process_close(struct process *process);

#endif
