/* lease.h - one row of the lease table, as the Kinesis Client Library keeps it.
 *
 * A lease is the right of one worker process to read one shard. The rows are those
 * of KCL 1.x to 3.x (DynamoDBLeaseSerializer): the same names, types and meanings, so that Java
 * workers and kpipe processes share one table. What a row has beyond the fields
 * below stays in the table: rows are only ever updated, never put anew.
 *
 * The counter is the only fence between owners: every write of an owner counts it
 * up by one, on the condition that it is what the owner knows.
 *
 * Threads: plain values, none.
 */
#ifndef KPIPE_LEASE_LEASE_H
#define KPIPE_LEASE_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Checkpoints that are no sequence numbers. */
#define LEASE_TRIM_HORIZON "TRIM_HORIZON"
#define LEASE_LATEST       "LATEST"
#define LEASE_AT_TIMESTAMP "AT_TIMESTAMP"
#define LEASE_SHARD_END    "SHARD_END"

struct lease {
    char *key;              /* leaseKey [owned, like all texts here] */
    char *owner;            /* leaseOwner; NULL: nobody's */
    char *checkpoint_owner; /* checkpointOwner: who still works on it while it is handed to `owner`;
                               NULL */
    uint64_t counter;       /* leaseCounter */
    uint64_t switches;      /* ownerSwitchesSinceCheckpoint */
    char *checkpoint;       /* a sequence number or one of the words above */
    uint64_t sub;           /* checkpointSubSequenceNumber */
    char *pending;          /* pendingCheckpoint, NULL: none */
    uint64_t pending_sub;   /* pendingCheckpointSubSequenceNumber */
    char *parents[2];       /* parentShardId; NULL: none */
    char *children[2];      /* childShardIds; NULL: not known */
    char *low, *high;       /* startingHashKey, endingHashKey in decimal; NULL: not known */
    double throughput;      /* throughputKBps; below 0: not there */
};

/* [owned by caller] The texts are copied. */
void lease_copy(struct lease *to, const struct lease *from);
void lease_fini(struct lease *lease); /* also of a zeroed one; leaves it zeroed */

bool lease_has_ended(const struct lease *lease); /* its checkpoint is SHARD_END */
/* Who works on it: checkpointOwner if there is one, else leaseOwner; NULL: nobody. */
const char *lease_worker(const struct lease *lease);

/* KCL's order: AT_TIMESTAMP < TRIM_HORIZON < LATEST < numbers < SHARD_END; then the sub-sequence
 * number. Numbers have any length, leading zeros do not count. <0, 0, >0. */
int lease_compare_checkpoints(const char *a, uint64_t a_sub, const char *b, uint64_t b_sub);

#endif
