/* dynamodb.h - a lease table in DynamoDB, as the Kinesis Client Library keeps it.
 *
 * A call is one request (a scan: some) through the AWS client; what fails for a
 * moment is sent again with jitter, within two thirds of the fail-over time. One attempt takes
 * a third of it at most, so a renewal that hangs does not cost the lease.
 *
 * FAILED replies name the action and the table in `message`; `error` is the service's code.
 * sent_ms of a refused write is that of its first attempt: it may have been the one that wrote.
 *
 * The tables of KCL 3.0-3.4 (TABLE-WorkerMetricStats, TABLE-CoordinatorState) are looked for
 * by scans; while they are not there, or may not be read, once a minute. They are created only
 * when a metrics item or a lock is to be written there (the call itself is then FAILED, not final).
 *
 * Owned by: the lease thread.   Threads: that of its loop.
 */
#ifndef KPIPE_LEASE_DYNAMODB_H
#define KPIPE_LEASE_DYNAMODB_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/lease/io.h"

struct aws_client;
struct error;

/* [owned by caller] `aws` and `loop` are borrowed; io->free() before aws_client_free(), and the
 * loop runs once more after it. `region` [borrowed until the call returns] only names the table in
 * messages (aws_config_region()); NULL is fine. */
struct dynamodb_io_config {
    struct aws_client *aws;
    uv_loop_t *loop;
    const char *table, *region;
    bool is_private;     /* the embedded AWS, which locks its directory */
    int64_t failover_ms; /* 0: 10000 */
};
struct lease_io *dynamodb_io_new(const struct dynamodb_io_config *config);

/* Sees that the table is there: describes it, creates it (PAY_PER_REQUEST) and waits until it is
 * ACTIVE, two minutes at most. A table of another shape is refused, the text says what differs.
 * fn is called once, never before this returns; err NULL: ready. Once per io. */
void dynamodb_io_open(struct lease_io *io, void (*fn)(void *arg, const struct error *err),
                      void *arg);

#endif
