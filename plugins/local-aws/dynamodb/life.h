/* life.h - states of tables and their indexes: CREATING, UPDATING, DELETING, and when they end.
 *
 * A table's document has its state and the moment it ends; who finds the table after that moment
 * settles it first. So states go on over a restart, and nobody has to wait for a timer.
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_DDB_LIFE_H
#define KPIPE_LOCAL_AWS_DDB_LIFE_H

#include "plugins/local-aws/dynamodb/store.h"

/* Members of documents and of indexes in them; describing leaves out what begins with "kpipe:". */
#define DDB_STATE "kpipe:state" /* "CREATING", "UPDATING", "DELETING"; absent: ACTIVE */
#define DDB_UNTIL "kpipe:until" /* seconds; when the states of the document end */

/* "ACTIVE" or another [borrowed from the document]. */
const char *ddb_life_state(const json_t *document);
/* The table is in that state from now on, for the time of transitions. */
void ddb_life_begin(json_t *document, const char *state, const struct ddb_place *place);
/* The table of a name, with all that is over done. False: there is none (any more), or the disk is
 * in trouble. ddb_table_fini() when true. */
bool ddb_life_find(struct ddb_store *store, const char *scope, const char *name, double now,
                   struct ddb_table *ret);
/* Ends what is over in a document; used where a transition takes no time at all. */
void ddb_life_settle(json_t *document);

#endif
