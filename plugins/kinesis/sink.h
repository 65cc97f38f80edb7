/* sink.h - private to the kinesis sink: the state its files share.
 *
 * sink.c is the element and decides what is sent when, request.c makes the text
 * of a PutRecords request, receipt.c reads the answer.
 *
 * Threads: the worker of the node.
 */
#ifndef KPIPE_KINESIS_SINK_H
#define KPIPE_KINESIS_SINK_H

#include "plugins/kinesis/calls.h"

#include "sdk/wire/slice.h"

#include <kpipe/ext/aws.h>
#include <kpipe/ext/lua.h>
#include <kpipe/ext/timer.h>
#include <kpipe/plugin.h>

#define PUT_RECORDS_MAX 500               /* the service's limit */
#define PUT_BYTES_MAX   (5 * 1024 * 1024) /* data and keys; every endpoint takes that much */
#define PUT_KEY_MAX     256               /* characters */
#define IN_FLIGHT_MAX   64

enum sink_order { ORDER_STRICT, ORDER_NONE };

struct sink_config {
    const kp_resource *stream;
    kp_value partition_key;
    kp_value hash_key;
    int64_t linger_ms;
    int order; /* enum sink_order */
    int64_t in_flight;
    int64_t attempts;
    int64_t max_record;
};

/* A batch in hand. */
struct pending {
    kp_batch *b;     /* [owned] */
    uint32_t next;   /* first record that was never sent */
    uint32_t *again; /* records to send again, in order; room for all [owned] */
    uint32_t n_again;
    uint32_t in_flight; /* records under way */
    uint32_t open;      /* records without an outcome */
    uint32_t most;      /* records of it in one request; smaller after one was refused as a whole */
    unsigned tries;     /* requests in a row that brought none of its records in */
    int64_t not_before; /* back-off, monotonic */
    int64_t since;      /* when it came */
    bool is_ready;      /* scratch of send_at(): it could go now */
    struct pending *before;  /* of the same lane, with order = "strict"; NULL: it is the first */
    struct request *filling; /* the request its last records went into */
    struct pending *next_pending;
};

struct entry {
    struct pending *pending; /* [borrowed] */
    uint32_t i;
};

/* One PutRecords under way. */
struct request {
    struct sink *sink; /* [borrowed] */
    kp_aws_call *call;
    struct kpw_buf body;
    size_t payload; /* data and keys in it */
    uint32_t count;
    struct entry entries[PUT_RECORDS_MAX];
};

struct sink {
    const struct sink_config *config;
    kp_node *node;
    const kp_aws_ext *aws;
    const kp_lua_ext *lua; /* NULL unless a key is a function or a field */
    const kp_timer_ext *timers;
    kp_timer *timer;                         /* [owned by node] */
    struct pending *pending;                 /* [owned] in order of arrival */
    struct request *requests[IN_FLIGHT_MAX]; /* [owned] made when first needed */
    uint32_t in_flight;
    bool flushing; /* what is in hand is sent without lingering */
    bool is_sending, has_complained, failed;
    struct kpw_random random;
    int64_t second;           /* of the two counts below */
    uint64_t accepted;        /* records the stream took in this second ... */
    uint64_t accepted_before; /* ... and in the one before */
};

enum add_result { ADDED, FULL, REFUSED, NO_MEMORY };

/* Adds record i of the batch to the request; REFUSED: it was marked and will never be sent. */
enum add_result request_add(struct sink *sink, struct request *request, struct pending *pending,
                            uint32_t i);
void request_begin(struct sink *sink, struct request *request);
void request_end(struct request *request);

#endif
