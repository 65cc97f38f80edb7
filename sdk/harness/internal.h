/* internal.h - private to sdk/harness: the state that its files share.
 *
 * harness.c opens and closes, feed.c makes the records that go in and hears how
 * they ended, out.c takes what comes out, lanes.c plays the host for sources,
 * grants.c the sharing of lanes, host.c is the table, time.c the clock and the
 * loop, script.c the answers of http/1 and aws/1, serve.c the server and the one
 * client that asks it.
 *
 * Threads: the test's only.
 */
#ifndef KPIPE_SDK_HARNESS_INTERNAL_H
#define KPIPE_SDK_HARNESS_INTERNAL_H

#include <kpipe/ext/aws.h>
#include <kpipe/ext/http.h>
#include <kpipe/ext/server.h>
#include <kpipe/ext/timer.h>
#include <kpipe/plugin.h>
#include <uv.h>

#include "core/base/budget.h"
#include "core/run/batch.h"
#include "sdk/harness/harness.h"

struct plan;
struct lua_run;

struct kp_node {
    struct harness *harness;
};

/* Something that happens at a time of the fake clock. Part of its owner, linked while active. */
struct harness_event {
    struct harness_event *next;
    int64_t due_ms;
    uint64_t number; /* of its start: equal times fire in this order */
    bool active;
    void (*fire)(struct harness_event *event);
};

struct fed {
    kp_outcome outcome;
    uint32_t shares; /* records that carry its ticket now */
    enum end worst;
    char *reason;        /* [owned] */
    kp_receipt *receipt; /* [owned] */
    int64_t after_ms;
};

/* How one submitted record ended. */
struct ending {
    enum end worst;
    char *reason;        /* [owned] */
    kp_receipt *receipt; /* [owned] */
};

/* A batch a source submitted; doubles as the origin of its tickets. */
struct submitted {
    struct origin origin; /* must be first */
    kp_lane *lane;
    void *token;
    char *end; /* [owned] */
    uint64_t end_sub;
    struct ending *endings; /* [owned] */
    uint32_t *shares;       /* [owned] per record */
    uint32_t n, open;
    size_t bytes;
    bool told;    /* settled() was called */
    bool is_lost; /* the lane was another's before it was settled: no checkpoint says so */
    struct submitted *next;
};

/* A lane as lane_offer() had it. All texts are [owned], "" for what was not said. */
struct offered {
    char *parents[2];
    char *low, *high;
    bool is_closed;
};

struct harness_counter {
    const char *name; /* [static] the plugin's */
    int64_t value;
};

struct harness_counters {
    struct harness_counter *rows; /* [owned] */
    size_t n, cap;
};

struct kp_lane {
    struct harness *harness;
    char *name; /* [owned] */
    void *state;
    char *start; /* [owned] checkpoint before the start */
    uint64_t start_sub;
    char *position; /* [owned] watermark, NULL: none yet */
    uint64_t position_sub;
    char *about; /* [owned] as harness_about() says it, NULL: nothing */
    bool is_open, refused, stuck;
    struct offered offered; /* of the last offer that named it */
    bool is_named;          /* since the last lanes_offered() */
    bool is_offered;        /* in the last whole offer */
    bool is_late;           /* came in a later offer than the first */
    bool is_granted, is_revoked;
    bool opened;   /* since the last grant */
    char *granted; /* [owned] where the last grant begins, NULL: never granted */
    uint64_t granted_sub;
    char *pending; /* [owned] the boundary that is prepared, NULL: none */
    uint64_t pending_sub;
    struct harness_counters counters, gauges;
    struct submitted *submitted; /* [owned] oldest first */
    uint32_t in_flight;
    size_t in_flight_bytes;
    kp_batch *current; /* [borrowed] fed and not yet given back by the element */
    struct batch *queue;
    struct kp_lane *next;
};

/* A batch that came out and waits for its records to be settled. */
struct out_batch {
    kp_batch *b; /* [owned] */
    uint32_t open;
    bool arrived; /* submitted: to be settled by the next pump */
    struct out_batch *next;
};

struct out {
    struct harness_record pub; /* its texts lie behind this struct */
    struct out_batch *batch;   /* [borrowed] NULL once settled */
    uint32_t i;
    bool open;
};

struct kp_timer {
    struct harness_event event; /* must be first */
    struct harness *harness;
    kp_timer_fn fn;
    void *arg;
    int64_t every_ms;
    struct kp_timer *next;
};

struct harness_work {
    void (*fn)(void *);
    void (*after)(kp_node *, void *);
    void *arg;
    struct harness_work *next;
};

struct harness_answer {
    bool aws, taken;
    char *match, *error, *body; /* [owned] */
    size_t body_len;
    int status;
    int64_t after_ms;
    kp_http_header *headers; /* [owned], their texts too */
    size_t n_headers, headers_cap;
};

struct harness_request {
    struct harness_event answer_event;  /* must be first */
    struct harness_event timeout_event; /* see request_of_timeout() */
    struct harness *harness;
    bool aws, ended, too_long;
    char *line; /* [owned] */
    char *body; /* [owned] copy */
    size_t body_len;
    kp_http_header *headers; /* [owned], their texts too; names in lower case */
    size_t n_headers, headers_cap;
    kp_http_fn http_fn;
    kp_aws_fn aws_fn;
    void *arg;
    kp_slab *into;
    size_t into_capacity, max_body;
    int64_t sent_ms;
    struct harness_answer *answer;
    bool (*piece)(kp_node *, void *arg, kp_slice piece); /* NULL: the answer comes whole */
    char *held;                                          /* [owned] a piece that was refused */
    size_t held_len;
    size_t given; /* of the scripted body, bytes */
};

struct harness_prepare {
    kp_lane *lane;
    char *text; /* [owned] */
    uint64_t sub;
    void (*fn)(kp_node *, void *arg, bool ok);
    void *arg;
    struct harness_prepare *next;
};

struct harness_watch {
    uv_poll_t poll; /* must be first */
    kp_node *node;
    kp_timer_fn fn;
    void *arg;
    int fd;
    struct harness_watch *next;
};

struct harness {
    struct kp_node node;
    const kp_element *element;
    struct plan *plan;
    void *state, *config; /* config [owned by plan] */
    char *dir;            /* [owned] temporary, removed at the end */
    char *local_dir, *url;
    kp_info info;
    struct lua_run *lua;
    struct budget budget;
    uv_loop_t loop;
    bool opened, closing, hold, no_room, reserve_refused, ended, caught_up, started, stopped;
    bool failed_seen; /* the test asked harness_failed() */
    bool hold_grants, hold_prepares;
    bool has_offer;   /* there was a whole one */
    bool wants_offer; /* a lane has ended: offer() is to be called */
    bool asks_on;     /* the test asked for catch_up(): after a grant it is asked again */
    char *begin;      /* [owned] of the last offer */
    bool is_fixed;
    struct harness_prepare *prepares; /* not answered yet, oldest first */
    int fail_alloc;                   /* counts down to the one that fails */
    size_t reserved;
    char *failed; /* [owned] */
    char *log;    /* [owned] all lines */
    size_t log_len;

    struct origin fed_origin;
    struct fed *fed;
    size_t n_fed, fed_cap;
    uint64_t sequence;
    int64_t settling_after_ms; /* after_ms of the mark being acted on */
    kp_failure **failures;
    size_t n_failures, failures_cap;

    struct out **outs;
    size_t n_outs, outs_cap, outs_settled; /* all before outs_settled are */
    struct out_batch *out_batches;

    struct kp_lane own_lane; /* where merged records count to */
    struct kp_lane *lanes;

    struct harness_event *events;
    uint64_t n_events;
    struct kp_timer *timers;
    struct harness_work *works;
    struct harness_watch *watches;
    bool pumping;

    struct harness_request **requests;
    size_t n_requests, requests_cap;
    struct harness_answer **answers;
    size_t n_answers, answers_cap;

    kp_server **servers;
    size_t n_servers, servers_cap;
    char *response;                     /* [owned] of the last harness_get() */
    size_t response_head, response_len; /* its body's */
    bool response_whole;
    struct harness_exchange *exchanges; /* [owned] requests without an answer yet */

    struct harness_counters counters;
};

static inline struct harness *harness_of(kp_node *node)
{
    return node->harness;
}

/* Takes complaints instead of CUnit: for tests of the harness itself. */
extern void (*harness_complaint)(const char *text);
/* A broken invariant: fails the running test with this text and goes on. */
__attribute__((format(printf, 1, 2))) void harness_complain(const char *fmt, ...);
/* The same, and ends the test. */
__attribute__((noreturn, format(printf, 1, 2))) void harness_die(const char *fmt, ...);
/* True when this allocation is the one that shall fail. */
bool harness_alloc_fails(struct harness *h);

/* host.c */
/* For the rows without a node: the harness whose element was called last. */
extern struct harness *harness_current;
extern const kp_host harness_host;

/* feed.c */
void harness_feed_init(struct harness *h);
void harness_feed_fini(struct harness *h);
void harness_batch_returned(struct harness *h, const kp_batch *b);
bool harness_feed_next(struct harness *h); /* gives out a queued batch; false: none */
size_t harness_open_records(const struct harness *h);
kp_receipt *harness_receipt_copy(const kp_receipt *receipt);
kp_failure *harness_failure_copy(const kp_failure *failure);

/* out.c */
void harness_emit(kp_node *node, kp_batch *b);
void harness_done(kp_node *node, kp_batch *b);
void harness_release(kp_node *node, kp_batch *b);
void harness_out_add(struct harness *h, kp_batch *b, bool arrived); /* [consumes b] */
bool harness_out_settle_arrived(struct harness *h);
void harness_out_settle_rest(struct harness *h);
void harness_out_fini(struct harness *h);

/* grants.c */
/* True when the element is new enough to have the row and has it. */
#define harness_has(element, row) \
    ((element)->size >= offsetof(kp_element, row) + sizeof(element)->row && (element)->row)
void harness_lane_offer(kp_node *node, const char *name, const kp_lane_about *about);
void harness_lanes_offered(kp_node *node, const kp_offer *offer);
bool harness_grants_step(struct harness *h); /* grants, asks for offers, answers preparations */
bool harness_waits_for_grant(const struct harness *h);
void harness_lane_prepare(kp_node *node, kp_lane *lane, const kp_position *boundary,
                          void (*fn)(kp_node *, void *arg, bool ok), void *arg);
bool harness_lane_pending(kp_lane *lane, kp_position *ret);
void harness_counter_add(struct harness_counters *counters, const char *name, int64_t by);
/* NULL: it was never counted. */
const int64_t *harness_counter_find(const struct harness_counters *counters, const char *name);
void harness_lane_count(kp_lane *lane, const char *name, int64_t by);
void harness_lane_gauge(kp_lane *lane, const char *name, int64_t value);
void harness_lane_grants_fini(kp_lane *lane);
void harness_grants_fini(struct harness *h);

/* lanes.c */
kp_lane *harness_lane(struct harness *h, const char *name); /* found or made */
kp_lane *harness_lane_open(kp_node *node, const char *name, void *state, kp_position *ret_start);
void harness_lane_close(kp_lane *lane);
bool harness_lane_ready(kp_lane *lane);
bool harness_reserve(kp_node *node, size_t bytes);
void harness_unreserve(kp_node *node, size_t bytes);
void harness_lane_about(kp_lane *lane, const kp_lane_about *about);
void harness_submit(kp_lane *lane, kp_batch *b, const kp_position *end, void *token);
bool harness_lanes_tell(struct harness *h); /* calls settled() */
bool harness_lanes_wake(struct harness *h);
void harness_lanes_fini(struct harness *h);

/* time.c */
void harness_pump(struct harness *h); /* until nothing is left to do at this time */
void harness_event_start(struct harness *h, struct harness_event *event, int64_t after_ms);
void harness_event_stop(struct harness *h, struct harness_event *event);
void harness_loop_wait(struct harness *h, int timeout_ms); /* lets the real loop run */
void harness_time_fini(struct harness *h);
extern const kp_timer_ext harness_timer_ext;
void harness_work(kp_node *node, void (*fn)(void *), void (*after)(kp_node *, void *), void *arg);
int64_t harness_real_ms(void);

/* script.c */
extern const kp_http_ext harness_http_ext;
extern const kp_aws_ext harness_aws_ext;
void harness_script_fini(struct harness *h);

/* serve.c */
extern const kp_server_ext harness_server_ext;
void harness_serve_step(struct harness *h); /* moves the client's bytes */
void harness_serve_fini(struct harness *h);

#endif
