/* file_json.h - private to core/lease: what a lease file keeps of memory tables, as JSON.
 *
 * Threads: that of the tables.
 */
#ifndef KPIPE_LEASE_FILE_JSON_H
#define KPIPE_LEASE_FILE_JSON_H

#include <jansson.h>

#include "core/lease/memory.h"

/* Zeroed: empty. */
struct file_flows {
    struct file_flow {
        char *name;                 /* [owned] */
        struct memory_table *table; /* [owned] */
    } * all;                        /* [owned] */
    size_t n, cap;
};
void file_flows_fini(struct file_flows *flows);

/* The table of a flow; there is one from now on. */
struct memory_table *file_flows_table(struct file_flows *flows, const char *name);

/* False: it is not a lease file; flows may have part of it. */
bool file_json_read(json_t *root, struct file_flows *flows);
/* [owned by caller] NULL: a name is not UTF-8. */
json_t *file_json_write(const struct file_flows *flows, const char *application);

#endif
