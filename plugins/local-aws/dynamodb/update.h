/* update.h - what update expressions and AttributeUpdates do to an item.
 *
 * Threads: any; nothing is shared.
 */
#ifndef KPIPE_LOCAL_AWS_DDB_UPDATE_H
#define KPIPE_LOCAL_AWS_DDB_UPDATE_H

#include "plugins/local-aws/dynamodb/expression.h"

/* [new reference] The item after all actions, `item` is left alone; NULL with err. All right-hand
 * sides see the item as it was. */
json_t *ddb_update_apply(const struct ddb_expression *ex, const json_t *item,
                         struct ddb_error *err);

#endif
