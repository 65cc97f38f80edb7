/* faults.h - rules that spoil requests on demand; what faults.c, faults_read.c and control.c share.
 *
 * A rule matches by service and operation, decides by count and probability whether it hits, and
 * then delays, refuses, resets or spoils. README.md documents the JSON of rules.
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_FAULTS_H
#define KPIPE_LOCAL_AWS_FAULTS_H

#include "plugins/local-aws/flight.h"
#include "plugins/local-aws/local.h"
#include "sdk/wire/random.h"

enum {
    FAULT_RULES_MAX = 100,
    FAULT_BODY_MAX = 64 << 10, /* bytes of a request with rules */
    FAULT_TEXT_MAX = 256,      /* with the NUL */
};
#define FAULT_LATENCY_MAX_MS INT64_C(600000)
#define FAULT_CLOCK_MAX_MS   (INT64_C(3650) * 86400000) /* ten years either way */

enum fault_kind {
    FAULT_NONE = 0, /* latency alone */
    FAULT_ERROR,
    FAULT_THROTTLE,
    FAULT_RESET_BEFORE,
    FAULT_RESET_WITHIN,
    FAULT_RESET_AFTER,
    FAULT_PARTIAL,
    FAULT_WRONG_SHARD,
    FAULT_EXPIRED_ITERATOR,
    FAULT_CLOCK_JUMP,
    FAULT_N_KINDS
};
extern const char *const fault_names[FAULT_N_KINDS]; /* "", "error", ... */

struct fault_rule {
    uint64_t id;
    char service[32], operation[LOCAL_OPERATION_MAX]; /* '*' stands for any characters */
    enum fault_kind kind;
    /* when */
    double probability;
    int64_t after; /* matching requests that are let pass first */
    int64_t every; /* of the others each nth */
    int64_t count; /* hits at most; 0: without end */
    uint64_t seed;
    /* what */
    int64_t latency_ms[2]; /* from, to */
    int64_t status;        /* 0: the service's usual one */
    char code[FAULT_TEXT_MAX], message[FAULT_TEXT_MAX];
    double share; /* of the entries that fail */
    int64_t jump_ms;
    /* what has happened */
    int64_t matches, hits;
    struct kpw_random random; /* from seed */
};

struct faults {
    struct fault_rule *rules; /* [owned] in the order they were added */
    size_t n_rules;
    uint64_t next_id;
    struct delayed *delayed; /* [owned] requests that wait */
};

bool faults_open(struct local *local);
void faults_close(struct local *local);

/* A request begins. True: go on and serve it. False: a fault has answered it, ended it, or serves
 * it later by local_serve_now(). */
bool faults_begin(struct local *local, kp_exchange *x, const kp_server_request *request,
                  const struct local_target *target);

/* Adds rules [copied]. False: there are too many. Ids are set. */
bool faults_add(struct local *local, struct fault_rule *rules, size_t n);
/* Removes a rule, or all of them (id 0) and the clock's offset. False: there is no such rule. */
bool faults_remove(struct local *local, uint64_t id);
/* Appends the rules as a JSON array, with what has happened. */
void faults_report(const struct local *local, struct kpw_buf *out);

/* ---- faults_read.c */

/* What a POST says. */
struct fault_request {
    struct fault_rule *rules; /* [owned] */
    size_t n_rules;
    bool has_clock;
    int64_t clock_ms;
};
/* Reads a rule, or {"rules":[...],"clock_ms":...}. False: `why` has one sentence; *ret is empty.
 * fault_request_fini() is needed on success only. */
bool faults_read(struct kpw_slice text, struct fault_request *ret, char *why, size_t cap);
void fault_request_fini(struct fault_request *request);

/* ---- local.c: signature and service, after the faults */
void local_serve_now(struct local *local, kp_exchange *x, const kp_server_request *request,
                     const struct local_target *target);

#endif
