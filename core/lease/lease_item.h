/* lease_item.h - private to core/lease: an item of DynamoDB read as what it is.
 *
 * Items come from a table that others write to as well: nothing of them is taken for
 * granted. A lease has leaseKey (S), leaseCounter (N) and checkpoint (S), and no entityType
 * but LEASE; what else it has of the attributes of KCL is of the right type and size, or the
 * item is none. Names and types: DynamoDBLeaseSerializer, WorkerMetricStats, CoordinatorState of
 * KCL 3.5, and the lock client.
 *
 * Threads: none.
 */
#ifndef KPIPE_LEASE_LEASE_ITEM_H
#define KPIPE_LEASE_LEASE_ITEM_H

#include <jansson.h>

#include "core/lease/scan.h"

/* The names of the single items of a fleet. */
#define LEASE_ITEM_LOCK      "Leader"
#define LEASE_ITEM_VERSION   "Migration3.0"
#define LEASE_ITEM_MIGRATION "TableMigration3.5"

/* False: no lease (ret is zeroed). [owned texts] */
bool lease_item_read(const json_t *item, struct lease *ret);

/* Adds the item to what a scan has found. `place` is where it stands. */
void lease_item_gather(struct scan *scan, enum scan_place place, const json_t *item);

#endif
