/* legacy.h - the parameters from before expressions, as the same trees.
 *
 * Expected, ConditionalOperator, KeyConditions, QueryFilter, ScanFilter,
 * AttributeUpdates and AttributesToGet: the Kinesis Client Library uses them.
 *
 * Threads: any; nothing is shared.
 */
#ifndef KPIPE_LOCAL_AWS_DDB_LEGACY_H
#define KPIPE_LOCAL_AWS_DDB_LEGACY_H

#include "plugins/local-aws/dynamodb/expression.h"

/* `expected`: {attr: {Value, Exists} or {ComparisonOperator, AttributeValueList}}; `any`: joined by
 * OR. The values are checked and made canonical. ddb_expression_fini() in any case. */
bool ddb_legacy_condition(struct ddb_expression *ex, json_t *expected, bool any,
                          struct ddb_error *err);
/* AttributeUpdates: {attr: {Action, Value}}. */
bool ddb_legacy_update(struct ddb_expression *ex, json_t *updates, struct ddb_error *err);
/* AttributesToGet: names of top-level attributes. */
bool ddb_legacy_projection(struct ddb_expression *ex, json_t *names, struct ddb_error *err);

#endif
