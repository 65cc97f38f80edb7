/* lease_list.h - what `kpipe leases` prints of a lease table: text for people, JSON for programs.
 *
 * Threads: main.   Not here: reading the table (cmd_leases.c).
 */
#ifndef KPIPE_CLI_LEASE_LIST_H
#define KPIPE_CLI_LEASE_LIST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/config/plan.h"
#include "core/lease/io.h"

struct lease_view { /* all [borrowed] */
    const char *flow, *table;
    bool is_file;                  /* the table is a part of the file named `table` */
    bool is_stream;                /* its rows are shards */
    const struct lease_scan *scan; /* NULL: the table does not exist */
    const bool *is_live;     /* one per lease: it was renewed while we watched; NULL: we did not */
    int64_t wall_s;          /* Unix time of the scan */
    enum plan_layout layout; /* what the pipeline says */
    bool is_wide;            /* nothing is shortened */
};

void lease_list_text(const struct lease_view *view, FILE *out);
json_t *lease_list_json(const struct lease_view *view); /* [owned by caller] */

#endif
