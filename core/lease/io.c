/* io.c - see io.h. */
#include "core/lease/io.h"

#include <stdlib.h>

#include "core/base/clock.h"

void lease_scan_fini(struct lease_scan *scan)
{
    for (size_t i = 0; i < scan->n_leases; i++)
        lease_fini(&scan->leases[i]);
    for (size_t i = 0; i < scan->n_workers; i++)
        free(scan->workers[i].id);
    free(scan->leases);
    free(scan->workers);
    free(scan->lock.owner);
    free(scan->lock.version);
    free(scan->client_version);
    free(scan->table_migration);
    *scan = (struct lease_scan){0};
}

int64_t lease_io_now_ms(struct lease_io *io)
{
    (void)io;
    return clock_mono_ms();
}

int64_t lease_io_wall_s(struct lease_io *io)
{
    (void)io;
    return clock_wall_ms() / 1000;
}
