/* memory_table.h - private to core/lease: between the table of memory.h and its handles.
 *
 * A table keeps the requests that are under way to it, so that those of a handle that is
 * gone still arrive.
 *
 * Threads: that of the table.
 */
#ifndef KPIPE_LEASE_MEMORY_TABLE_H
#define KPIPE_LEASE_MEMORY_TABLE_H

#include <sys/queue.h>

#include "core/lease/memory.h"

struct memory_call;
TAILQ_HEAD(memory_calls, memory_call);

struct memory_queue {
    struct memory_calls requests; /* [owned] in the order of their arrival */
};
void memory_queue_fini(struct memory_queue *queue); /* memory.c */

struct memory_queue *memory_table_queue(struct memory_table *table); /* [borrowed] */
const char *memory_table_name(const struct memory_table *table);

#endif
