/* ttl.h - items whose time to live is over go away, some time later.
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_DDB_TTL_H
#define KPIPE_LOCAL_AWS_DDB_TTL_H

#include "plugins/local-aws/dynamodb/life.h"

enum { DDB_TTL_EVERY_MS = 10000 }; /* between two looks */

struct ddb_ttl {
    json_t *after; /* by table: the key of the item that was looked at last [owned] */
};

bool ddb_ttl_open(struct ddb_ttl *ttl);
void ddb_ttl_close(struct ddb_ttl *ttl);
/* Is there a table whose items expire? */
bool ddb_ttl_is_used(struct ddb_store *store, const char *scope);
/* Looks at some thousand items of each such table, going on where it stopped, and deletes those
 * that are over. Returns how many were deleted; -1: the disk is in trouble. */
long ddb_ttl_step(struct ddb_ttl *ttl, struct ddb_store *store, const char *scope, double now);

#endif
