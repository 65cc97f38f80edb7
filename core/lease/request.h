/* request.h - private to core/lease: a call on a lease table as a request to DynamoDB.
 *
 * KCL writes with the legacy parameters (Expected, AttributeUpdates); these are expressions
 * with the same conditions and effects. A write whose condition fails is asked to answer with
 * what stands there.
 *
 * Threads: none.
 */
#ifndef KPIPE_LEASE_REQUEST_H
#define KPIPE_LEASE_REQUEST_H

#include <jansson.h>

#include "core/lease/io.h"

#define REQUEST_METRICS_TABLE "-WorkerMetricStats" /* behind the name of the lease table */
#define REQUEST_STATE_TABLE   "-CoordinatorState"

struct request {
    const char *operation; /* [static] "UpdateItem" */
    char *table;           /* [owned] it goes to */
    json_t *input;         /* [owned] */
};

/* `table` is the lease table. Of LEASE_SCAN: its first page. */
void request_init(struct request *request, const struct lease_call *call, const char *table);
void request_fini(struct request *request);

/* A consistent read of one lease. */
void request_get(struct request *request, const char *table, const char *key);
/* A page that begins behind `start` [borrowed], NULL: the first. Not consistent, as in KCL: a row
 * that is a moment old is caught by the condition of the write that follows. */
void request_scan(struct request *request, const char *table, json_t *start);
/* "leaseKey", or "wid" and "key" of the old tables. */
void request_create_table(struct request *request, const char *table, const char *key);
void request_describe_table(struct request *request, const char *table);

#endif
