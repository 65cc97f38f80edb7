/* file.h - leases in one JSON file, for a single process without DynamoDB.
 *
 *   {"kpipe": 2, "application": "pattern4", "flows": {"enrich": {"shardId-000000000000":
 *     {"checkpoint": "4959...", "sub": 0}}}}
 *
 * A lane further has "pending" and "pending_sub", "parents", "children", "low" and "high" when they
 * are known. Files of version 1 (no words as checkpoints, nothing further) are read as well; flows
 * that nobody asks for are kept as they are. Owners and counters are not kept: nobody else can have
 * the file, FILE.lock sees to it.
 *
 * The rows are a memory table per flow. Calls are executed at once and answered in the next
 * turn of the loop, all there are together; when one of them has changed what the file keeps, it
 * is written anew beside the old one and renamed before any is answered. When that fails they
 * are all FAILED (final).
 *
 * Owned by: the lease thread.   Threads: that of the loop; lease_file_new() may be called before it
 * runs.
 */
#ifndef KPIPE_LEASE_FILE_H
#define KPIPE_LEASE_FILE_H

#include <uv.h>

#include "core/lease/io.h"

struct error;
struct lease_file;

/* Locks and reads the file; one that is not there is as good as an empty one. NULL with err: a
 * second process has it, it cannot be read, it is not one of ours, or it is another application's
 * (then it is left alone). */
struct lease_file *lease_file_new(const char *path, const char *application, uv_loop_t *loop,
                                  struct error *err);
/* The same to look at, also while a process runs with it: without its lock, as it stands now. What
 * would change it is FAILED. */
struct lease_file *lease_file_look(const char *path, const char *application, uv_loop_t *loop,
                                   struct error *err);
/* After its handles; NULL is fine. The loop runs once more after it. */
void lease_file_free(struct lease_file *file);

/* The table of one flow; is_private. One handle per flow. */
struct lease_io *lease_file_io(struct lease_file *file, const char *flow);

#endif
