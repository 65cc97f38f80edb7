/* proxy.h - what the files of apigw-proxy share.
 *
 * apigw-proxy.c  options, opening and closing
 * request.c      routes, keys, throttle: which request is taken, what the others hear
 * record.c       bodies of POST /record and /records become records
 * event.c        a request becomes an API Gateway proxy event
 * turn.c         requests of one turn of the loop travel as one batch
 * answer.c       receipts become answers of PutRecord and PutRecords
 * reply.c        a function's answer becomes an HTTP answer
 * throttle.c     one token bucket for all workers
 *
 * Threads: the worker's; throttle.c is for all.
 */
#ifndef KPIPE_APIGW_PROXY_PROXY_H
#define KPIPE_APIGW_PROXY_PROXY_H

#include <kpipe/ext/server.h>
#include <kpipe/ext/timer.h>
#include <kpipe/plugin.h>

#include "sdk/objects/key.h"
#include "sdk/wire/slice.h"

struct proxy;

enum mode { MODE_KINESIS = 0, MODE_PROXY_EVENT };
enum mapping { MAPPING_STRICT = 0, MAPPING_CONSTRUCT };

struct throttle_config {
    double rate;   /* requests a second; -1: no throttle */
    int64_t burst; /* -1: as many as rate */
};

struct proxy_config {
    const char *listen, *stage, *tls_cert, *tls_key, *api_key;
    kp_list routes;
    int mode;    /* enum mode */
    int mapping; /* enum mapping */
    bool quoted_single_record;
    struct throttle_config throttle;
    int64_t timeout_ms, max_in_flight, max_connections, lanes;
};

static inline bool slice_is(kp_slice slice, const char *text)
{
    size_t n = 0;

    while (n < slice.len && text[n] && slice.ptr[n] == text[n])
        n++;
    return n == slice.len && !text[n];
}

/* ---- turn.c */

enum wanted { WANTS_RECORD, WANTS_RECORDS, WANTS_REPLY };

struct pending {           /* a request that waits for its records */
    kp_exchange *exchange; /* NULL: answered before they ended */
    uint32_t first, count; /* records in the batch */
    uint8_t wanted;        /* enum wanted */
    char id[KPO_UUID_LENGTH];
};

struct turn { /* the requests of one batch [owned by proxy] */
    kp_batch *b;
    struct pending *items;
    uint32_t n, cap, open; /* open: exchanges without an answer */
    int64_t since_ms;
    struct lane *lane; /* NULL: not submitted yet */
    struct turn *next, **prev;
};

/* ---- record.c */
enum { RECORDS_MAX = 500 };
struct parsed { /* strings of the body, escapes as they are [borrowed from the request] */
    kp_slice data, key;
};
enum parse { PARSE_OK, PARSE_NOT_THE_MODEL, PARSE_TOO_MANY };
/* Reads the body of /record or /records into proxy->parsed. */
enum parse record_parse(struct proxy *proxy, kp_slice body, bool many);
/* Adds what was parsed to the batch; false: no memory, nothing was added. */
bool record_append(struct proxy *proxy, kp_batch *b, bool many);

struct lane {
    kp_lane *id;
    uint32_t out; /* turns under way */
};

struct proxy {
    kp_node *node;
    const struct proxy_config *config;
    const kp_server_ext *ext;
    const kp_timer_ext *timer;
    kp_server *server;
    struct throttle *throttle; /* NULL: none */
    struct lane *lanes;
    uint32_t n_lanes, lane_at;
    struct turn *turn;   /* being filled, or NULL */
    struct turn *oldest; /* all turns that wait for something, oldest first */
    struct turn **newest;
    struct turn *spare;     /* to be used again */
    kp_timer *submit_timer; /* next turn of the loop */
    kp_timer *sweep_timer;  /* requests that have waited too long */
    uint32_t in_flight;     /* requests without an answer */
    uint64_t sequence;      /* of records whose sink gives none */
    struct kpw_buf scratch;
    struct parsed parsed[RECORDS_MAX];
    uint32_t n_parsed;
    bool stopped;
};

/* The batch being filled, with room for one more request; NULL: no memory. */
kp_batch *turn_batch(struct proxy *proxy);
/* The records from `first` on belong to this request. */
void turn_add(struct proxy *proxy, kp_exchange *exchange, uint32_t first, enum wanted wanted,
              const char *id);
void turn_submit(kp_node *node, void *arg);
void turn_sweep(kp_node *node, void *arg);
void turn_settled(struct proxy *proxy, struct turn *turn, const kp_result *results);
void turn_stop(struct proxy *proxy);
void turn_free_all(struct proxy *proxy);

/* ---- answers */

/* Answers with the gateway's headers. `error_type` NULL: none. */
void proxy_respond(struct proxy *proxy, kp_exchange *exchange, int status, const char *id,
                   const char *error_type, kp_slice body);
void proxy_error(struct proxy *proxy, kp_exchange *exchange, int status, const char *id,
                 const char *error_type, const char *body);
void proxy_internal_error(struct proxy *proxy, kp_exchange *exchange, int status, const char *id);

/* request.c */
void proxy_request(kp_node *node, void *arg, kp_exchange *exchange,
                   const kp_server_request *request);
bool routes_check(const kp_list *routes, const char **ret_bad);

/* event.c */
struct event_route {
    kp_slice path;     /* without the stage */
    kp_slice resource; /* "/predictFare", "/{proxy+}" */
    kp_slice rest;     /* what {proxy+} stands for, ptr NULL: nothing */
};
bool event_build(struct proxy *proxy, kp_batch *b, const kp_server_request *request,
                 const struct event_route *route, const char *id);
/* answer.c */
void answer_record(struct proxy *proxy, const struct pending *pending, const kp_result *result);
void answer_records(struct proxy *proxy, const struct pending *pending, const kp_result *results);
/* A problem of the request itself, in Kinesis' words. */
void answer_problem(struct proxy *proxy, kp_exchange *exchange, const char *id, const char *code,
                    kp_slice message);
/* reply.c */
void reply_send(struct proxy *proxy, const struct pending *pending, const kp_result *result);

/* throttle.c */
struct throttle *throttle_open(const char *name, const struct throttle_config *config);
bool throttle_take(struct throttle *throttle, int64_t now_ms);
void throttle_close(struct throttle *throttle); /* NULL is fine */

#endif
