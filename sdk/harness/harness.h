/* harness.h - drives one plugin without a host: feed batches, pull results, check the outcome.
 *
 * The harness is a kp_host of its own: one worker, a real libuv loop for servers
 * and children, a fake clock for timers (moved by hand, or to the next timer),
 * scripted answers for http/1 and aws/1, allocations that fail on demand. At its
 * end it asserts that every record fed was settled exactly once and that nothing
 * leaked. Link with libkpharness.a, libkpcore.a and the plugin's objects.
 *
 * Threads: the test's only.
 */
#ifndef KPIPE_SDK_HARNESS_H
#define KPIPE_SDK_HARNESS_H

#include <kpipe/ext/aws.h>
#include <kpipe/ext/http.h>
#include <kpipe/plugin.h>
#include <stdbool.h>

struct harness;

/* The static plugin linked into the test program, or the .so of the same name when the
 * environment has KPIPE_HARNESS_SO=DIR. `options` is a Lua table constructor as in a pipeline
 * file, e.g. "{ field = 'a', size = '5MiB' }"; k.resource.* and functions may be used in it.
 * A configuration error fails the test, unless harness_config_error() is used instead. */
struct harness *harness_new(const char *element, kp_kind kind, const char *options);
/* Opens with options that must be refused; returns the error text [static buffer]. */
const char *harness_config_error(const char *element, kp_kind kind, const char *options);
/* Flushes, closes, checks the invariants (CU_ASSERT) and frees. */
void harness_free(struct harness *h);

/* What a sink would hold: use before the first feed. */
void harness_fail_alloc(struct harness *h, int nth); /* the nth allocation from now fails; 0: off */

/* Elements are looked up in this plugin instead of the one linked in (tests of the harness). */
void harness_use(const kp_plugin *(*entry)(const kp_host *));
/* A folder of this harness's own, removed at its end; info->local_dir is "local" in it. */
const char *harness_dir(const struct harness *h);

/* -- feeding a transform or sink */
/* Feeds one batch of text records (NULL-ended list) on lane `lane`; sequence numbers count up. */
void harness_feed(struct harness *h, const char *lane, const char *const *records);
void harness_feed_one(struct harness *h, const char *lane, const char *data, const char *key);
/* With all parts; what is 0 or NULL gets a sensible value. */
struct harness_input {
    const char *data, *key;
    size_t data_len;      /* 0: strlen(data) */
    const char *sequence; /* NULL: counts up */
    uint64_t sub_sequence;
    int64_t arrival_ms;        /* 0: now */
    const char *type;          /* [static] */
    uint32_t encoding;         /* enum kp_encoding */
    const kp_failure *failure; /* for sinks that declare KP_TAKES_FAILURES */
};
void harness_feed_records(struct harness *h, const char *lane, const struct harness_input *inputs,
                          size_t n);
void harness_flush(struct harness *h);

/* -- looking */
struct harness_record {
    const char *data, *key, *type; /* NUL-terminated copies [owned by harness] */
    size_t data_len;
    const char *lane, *sequence;
    uint64_t origins; /* how many fed records it stands for */
    uint32_t encoding;
    uint64_t sub_sequence;
    int64_t arrival_ms;
};
/* What a transform emitted or a source submitted, in order. */
size_t harness_out_count(const struct harness *h);
const struct harness_record *harness_out(const struct harness *h, size_t i);
/* Outcome of the nth fed record (in feeding order): KP_NONE while it is open. A record a transform
 * emitted is settled as DELIVERED by the harness at once, unless harness_hold(h, true). */
kp_outcome harness_outcome(const struct harness *h, size_t nth);
const char *harness_reason(const struct harness *h, size_t nth); /* of REJECTED, RETRY; else "" */
const kp_receipt *harness_receipt(const struct harness *h, size_t nth); /* NULL: none given */
int64_t harness_retry_after(const struct harness *h, size_t nth);       /* after_ms of RETRY */
size_t harness_count(const struct harness *h, kp_outcome outcome);
void harness_hold(struct harness *h, bool hold);
bool harness_out_is_open(const struct harness *h, size_t i); /* it was not settled yet */
void harness_settle_out(struct harness *h, size_t i, kp_outcome outcome, const kp_receipt *receipt);
/* Text of kp->fail(), or NULL. A failure nobody asked about fails the test at its end. */
const char *harness_failed(const struct harness *h);
const char *harness_log(const struct harness *h); /* all lines so far: "warn file.full path=..." */
int64_t harness_counter(const struct harness *h, const char *name); /* of kp->count() */
/* The nth envelope a plugin rejected with reject_with(), as kp_failure [owned by harness]. */
const kp_failure *harness_failure(const struct harness *h, size_t nth);

/* -- sources */
void harness_start(struct harness *h);
void harness_checkpoint(struct harness *h, const char *lane, const char *text, uint64_t sub);
/* The last settled watermark, NULL: none yet; and its place inside an aggregated record. */
const char *harness_position(const struct harness *h, const char *lane);
uint64_t harness_position_sub(const struct harness *h, const char *lane);
/* "PARENT PARENT LOW..HIGH" as lane_about() had it, NULL: it was not called. */
const char *harness_about(const struct harness *h, const char *lane);
bool harness_has_ended(const struct harness *h);
bool harness_has_caught_up(const struct harness *h);
void harness_catch_up(struct harness *h);
void harness_stop(struct harness *h);
bool harness_lane_is_open(const struct harness *h, const char *lane);
/* -- sources that offer their lanes. Every offered lane is granted at once, behind its parents:
 * when those are offered too, once their watermarks stand at KP_POSITION_END. It begins at
 *    harness_position(), harness_checkpoint(), or the word of the offer ("TRIM_HORIZON" when it
 *    came in a later offer than the first). After an end offer() is called, and after a grant
 *    catch_up() again if the test has asked for it. */
void harness_use_worker(uint32_t worker);               /* of harnesses made from now on */
void harness_hold_grants(struct harness *h, bool hold); /* nothing is granted by itself */
/* `start` NULL: as above. The lane need not have been offered. */
void harness_grant(struct harness *h, const char *lane, const char *start);
void harness_revoke(struct harness *h, const char *lane,
                    bool is_lost); /* it is not granted again */
void harness_ask_offer(struct harness *h);
/* "PARENT PARENT LOW..HIGH open", or "closed", as the last whole offer had it; NULL: it had not. */
const char *harness_offered(const struct harness *h, const char *lane);
size_t harness_offered_count(const struct harness *h);
const char *harness_offered_begin(const struct harness *h); /* NULL: nothing was offered yet */
bool harness_offered_is_fixed(const struct harness *h);
/* Of kp->lane_count() and kp->lane_gauge(); 0: never. */
int64_t harness_lane_counter(const struct harness *h, const char *lane, const char *name);
int64_t harness_lane_gauge_of(const struct harness *h, const char *lane, const char *name);

/* -- exactly-once sinks: what is prepared is durable at once, unless it is held */
void harness_hold_prepares(struct harness *h, bool hold);
/* Answers the oldest that is held. False: there is none. */
bool harness_answer_prepare(struct harness *h, bool ok);
/* What lane_pending() says, before the lane is granted or fed; and what it would say now. */
void harness_set_pending(struct harness *h, const char *lane, const char *text, uint64_t sub);
const char *harness_pending(const struct harness *h, const char *lane, uint64_t *ret_sub);

void harness_set_room(struct harness *h, bool room); /* answers of lane_ready() and reserve() */
const char *harness_url(const struct harness *h);    /* of a service's ready(), NULL before it */

/* -- time and loop */
void harness_advance(struct harness *h, int64_t ms); /* moves the clock, timers fire in order */
bool harness_next_timer(struct harness *h);          /* to the next timer; false: there is none */
/* Runs the real loop until fn(arg) is true or 10 s of real time have gone (then the test fails). */
void harness_wait(struct harness *h, bool (*fn)(void *arg), void *arg);

/* -- scripted HTTP and AWS. The nth request is kept for looking at; answers are taken in order by
 *    requests whose "METHOD URL" (http) or "service Operation" / "service METHOD path" (aws)
 *    contains `match`. A request without an answer waits until one is added. */
void harness_http_answer(struct harness *h, const char *match, int status, const char *body,
                         int64_t after_ms);
void harness_aws_answer(struct harness *h, const char *match, int status, const char *error,
                        const char *body, int64_t after_ms);
struct harness_reply {
    bool aws;
    const char *match;
    int status;        /* 0: no answer, the connection failed */
    const char *error; /* aws: the error code; NULL on success */
    const char *body;
    size_t body_len;     /* 0: strlen(body) */
    const char *headers; /* "etag: \"x\"\nretry-after: 1", names in lower case */
    int64_t after_ms;
};
void harness_answer(struct harness *h, const struct harness_reply *reply);
/* A piece of the answer of the last request that has none yet, contains `match` and asked for
 * pieces; harness_answer() with an empty body ends it. False: the plugin does not want it now; it
 * gets it again when it resumes. */
bool harness_piece(struct harness *h, const char *match, const void *ptr, size_t len);
size_t harness_requests(const struct harness *h);
bool harness_request_is_open(const struct harness *h, size_t i); /* not answered, not cancelled */
const char *harness_request_line(const struct harness *h, size_t i);
const char *harness_request_body(const struct harness *h, size_t i, size_t *ret_len);
const char *harness_request_header(const struct harness *h, size_t i, const char *name);

/* The port a plugin's server listens on (the first, else 0); it is a real one. */
uint32_t harness_port(const struct harness *h);
/* One blocking request to it while the loop runs: returns status, body [owned by harness]. */
int harness_get(struct harness *h, const char *method, const char *path, const char *body,
                const char **ret_body);
/* With headers ("Name: value\r\n" each, or NULL) and any bytes as body. 0: cut without an answer.
 */
int harness_request(struct harness *h, const char *method, const char *target, const char *headers,
                    const char *body, size_t body_len, const char **ret_body);
/* The same in two steps, for answers that wait for something: begin, harness_wait() until the
 * plugin has submitted, settle, end. Several may be under way. */
struct harness_exchange;
struct harness_exchange *harness_request_begin(struct harness *h, const char *method,
                                               const char *target, const char *headers,
                                               const char *body, size_t body_len);
bool harness_request_answered(struct harness_exchange *x);
int harness_request_end(struct harness *h, struct harness_exchange *x, const char **ret_body);
const char *harness_response_header(struct harness *h, const char *name); /* of the last answer */
size_t harness_answer_len(const struct harness *h); /* bytes of its body, which may hold any */
/* Did it come whole? False after a Content-Length or chunks that were cut. */
bool harness_answer_is_whole(const struct harness *h);
/* An answer while it comes: the bare body so far [owned by x, until the next call], NULL before its
 * head. harness_wait() lets more come. */
const char *harness_answer_so_far(struct harness_exchange *x, size_t *ret_len /* NULL is fine */);
/* The client does not read; of what is written then, the kernel takes some MB all the same. */
void harness_request_hold(struct harness_exchange *x, bool holds);
void harness_request_drop(struct harness *h, struct harness_exchange *x /* freed */); /* it goes */

#endif
