/* eval.h - conditions and projections on an item.
 *
 * Threads: any; nothing is shared.   Not here: changing items (update.h).
 */
#ifndef KPIPE_LOCAL_AWS_DDB_EVAL_H
#define KPIPE_LOCAL_AWS_DDB_EVAL_H

#include "plugins/local-aws/dynamodb/expression.h"

/* The value at a path [borrowed from item], or NULL. */
json_t *ddb_lookup(const json_t *item, const struct ddb_path *path);
/* Does the condition hold? A NULL condition does; a NULL item has no attributes. */
bool ddb_holds(const struct ddb_node *condition, const json_t *item);
/* [new reference] What the paths select: an object like an item, empty when nothing is there. */
json_t *ddb_project(const json_t *item, const struct ddb_path *paths, size_t n_paths);

#endif
