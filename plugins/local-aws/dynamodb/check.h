/* check.h - what can be wrong with a finished expression. Part of expression.c. */
#ifndef KPIPE_LOCAL_AWS_DDB_CHECK_H
#define KPIPE_LOCAL_AWS_DDB_CHECK_H

#include "plugins/local-aws/dynamodb/expression.h"

/* Looks at paths (overlaps), functions (place, number of operands) and the types of operands that
 * are known before any item is. False: `wrong` holds DynamoDB's text. */
bool ddb_check(const struct ddb_expression *ex, enum ddb_expression_kind kind, char *wrong,
               size_t size);

#endif
