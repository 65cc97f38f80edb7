/* rules.h - what the service's model says of a request: types of its members, and their bounds.
 *
 * A wrong type is a SerializationException; all broken bounds of a request come in one
 * ValidationException, as AWS says them: "2 validation errors detected: Value ...; Value ...".
 *
 * Threads: any; nothing is shared.   Not here: what an operation finds out itself.
 */
#ifndef KPIPE_LOCAL_AWS_DDB_RULES_H
#define KPIPE_LOCAL_AWS_DDB_RULES_H

#include <jansson.h>
#include <stdbool.h>

#include "plugins/local-aws/dynamodb/value.h"

/* Is the request one that the operation may look at? False: `err` says why not. */
bool ddb_rules_check(const char *operation, const json_t *request, struct ddb_error *err);

#endif
