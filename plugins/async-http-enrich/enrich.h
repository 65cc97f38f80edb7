/* enrich.h - what the files of async-http-enrich share.
 *
 * async-http-enrich.c  options, opening and closing
 * flow.c               batches that are held, calls in flight, what is passed on
 * request.c            a record becomes a request: url, query, headers
 * answer.c             an answer becomes an outcome and a member of the record
 *
 * Threads: the worker's.
 */
#ifndef KPIPE_ASYNC_HTTP_ENRICH_ENRICH_H
#define KPIPE_ASYNC_HTTP_ENRICH_ENRICH_H

#include <kpipe/ext/http.h>
#include <kpipe/ext/lua.h>
#include <kpipe/ext/timer.h>
#include <kpipe/plugin.h>

#include "sdk/wire/slice.h"

#define MAX_HEADERS 32

struct enrich;

enum rule { RULE_NONE = 0, RULE_KEEP, RULE_REJECT, RULE_RETRY, RULE_FILTER };

struct enrich_config {
    const char *url, *method, *into;
    kp_map query, headers, on_status;
    kp_value body, take;
    int64_t in_flight;
    int64_t timeout_ms;
    bool ordered;
};

/* Rules by status: exact ones before classes before the default. */
struct rules {
    uint8_t exact[600];
    uint8_t classes[6]; /* [2] of "2xx" */
    uint8_t fallback;   /* "default" */
};
/* False: *ret_bad is the name of the entry that is wrong. */
bool rules_read(struct rules *rules, const kp_map *map, const char **ret_bad);
enum rule rules_of(const struct rules *rules, int status);

/* ---- one call */

struct held { /* a batch until all its records have ended [owned by enrich] */
    kp_batch *b;
    uint32_t next; /* first record that has not been called for */
    uint32_t open; /* records without an end */
    struct held *later;
};

struct call {
    struct enrich *enrich;
    struct held *held; /* NULL: free */
    uint32_t i;
    kp_http_call *http;
    struct kpw_buf url, body, headers;
    struct {
        kp_slice name;
        size_t at, len; /* in `headers` */
    } parts[MAX_HEADERS];
    size_t n_parts;
    struct call *next; /* in the free list */
};

/* True when the url's {members} are rightly written, else *ret_problem says why not [static]. */
bool request_check_url(const char *url, const char **ret_problem);
/* Fills url, body and headers of the call for its record. False: it cannot be asked about; the
 * reason is written to `why`. */
bool request_build(struct enrich *enrich, struct call *call, char *why, size_t size);
void request_send(struct enrich *enrich, struct call *call);

/* What becomes of a record. */
struct ending {
    enum rule rule;
    int64_t after_ms; /* of RULE_RETRY */
    char reason[256]; /* of RULE_RETRY and RULE_REJECT */
    kp_slice data;    /* of RULE_KEEP: the new payload in enrich->scratch; ptr NULL: unchanged */
};
void answer_read(struct enrich *enrich, const struct call *call, const kp_http_response *response,
                 struct ending *ret);

/* ---- flow.c */

/* Takes the batch and starts what can be started. False: no memory. */
bool flow_add(struct enrich *enrich, kp_batch *b);
void flow_answered(kp_node *node, void *arg, const kp_http_response *response);
void flow_emit(struct enrich *enrich);
void flow_close(struct enrich *enrich);

struct enrich {
    kp_node *node;
    const struct enrich_config *config;
    const kp_http_ext *http;
    const kp_timer_ext *timer;
    const kp_lua_ext *lua;
    struct rules rules;
    struct call *calls; /* [owned] in_flight of them */
    struct call *free;
    uint32_t n_calls, in_flight;
    struct held *first, *last; /* in order of arrival */
    struct held *start;        /* first one with records that have not been called for */
    kp_batch *out;             /* unordered: what has ended since the last turn, NULL: nothing */
    kp_timer *turn;            /* passes `out` on, once per turn of the loop */
    struct kpw_buf scratch;    /* the payload being built */
    bool starting;             /* inside start_calls() */
};

#endif
