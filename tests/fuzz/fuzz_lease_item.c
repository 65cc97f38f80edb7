/* fuzz_lease_item.c - any item as one of a lease table: it is a lease whose fields keep to their
 * bounds, or not; and a scan counts it once. */
#include <stdlib.h>
#include <string.h>

#include <kpipe/plugin.h>

#include "core/lease/lease_item.h"
#include "core/lease/request.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void check_lease(const struct lease *lease)
{
    struct lease_call call = {.op = LEASE_CHECKPOINT, .was = *lease, .to = *lease};
    struct request request;
    struct lease copy;

    if (!*lease->key || !*lease->checkpoint || strlen(lease->checkpoint) > KP_POSITION_MAX)
        abort();
    if (lease_compare_checkpoints(lease->checkpoint, lease->sub, lease->checkpoint, lease->sub))
        abort();
    request_init(&request, &call, "t"); /* what was read can be written */
    if (!json_object_get(request.input, "Key"))
        abort();
    request_fini(&request);
    lease_copy(&copy, lease);
    lease_fini(&copy);
}

static void check_scan(json_t *item, enum scan_place place)
{
    struct scan scan = {0};
    struct lease_scan found;
    size_t n;

    lease_item_gather(&scan, place, item);
    lease_item_gather(&scan, place, item);
    scan_finish(&scan, LEASE_LAYOUT_KCL2, &found);
    n = found.n_leases + found.n_strange;
    if (n != 0 && n != 2)
        abort(); /* else it is metrics, lock or state */
    if (!n && !found.n_workers && !found.lock.owner && !found.client_version &&
        !found.table_migration && !json_object_get(item, "streamId"))
        abort();
    lease_scan_fini(&found);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    json_t *item = json_loadb((const char *)data, size, 0, NULL);
    struct lease lease;

    if (!item)
        return 0;
    if (lease_item_read(item, &lease))
        check_lease(&lease);
    lease_fini(&lease);
    check_scan(item, SCAN_LEASE_TABLE);
    check_scan(item, SCAN_KCL3_TABLES);
    json_decref(item);
    return 0;
}
