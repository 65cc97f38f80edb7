/* dynamodb_test.h - asking DynamoDB in tests: a table of its own, and what is refused.
 *
 * Threads: the test's only.
 */
#ifndef KPIPE_LOCAL_AWS_DYNAMODB_TEST_H
#define KPIPE_LOCAL_AWS_DYNAMODB_TEST_H

#include "plugins/local-aws/service_test.h"

#define DDB(op)     "DynamoDB_20120810." op
#define DYNAMO      "com.amazonaws.dynamodb.v20120810#"
#define VALIDATION  "com.amazon.coral.validate#ValidationException"
#define ONE_OR_MORE "One or more parameter values were invalid: "

/* The service with options of its own. */
static inline struct harness *ddb_start(const char *options)
{
    struct harness *h = harness_new("local-aws", KP_SERVICE, options);

    harness_start(h);
    REQUIRE(harness_url(h) != NULL);
    return h;
}

/* The request is refused: type, and text unless it is NULL. `text` is as it is, with its '. */
static inline void ddb_refused(struct harness *h, const char *target, const char *body,
                               const char *type, const char *text)
{
    json_t *out = service_ask(h, 400, target, "%s", body);

    EQ_STR(service_at(out, "__type"), type);
    if (text)
        EQ_STR(service_at(out, strstr(type, "Serialization") ? "Message" : "message"), text);
    json_decref(out);
}

static inline void ddb_invalid_is(struct harness *h, const char *target, const char *body,
                                  const char *text)
{
    ddb_refused(h, target, body, VALIDATION, text);
}

/* "things": key `h` (S) and `r` (N), a local index "by_l" over `l`, a global one "by_g" over `g`
 * (S) that shows the keys only, and "by_a" over `g` that shows all. */
#define DDB_THINGS                                                                                \
    "{'TableName':'things','BillingMode':'PAY_PER_REQUEST','AttributeDefinitions':["              \
    "{'AttributeName':'h','AttributeType':'S'},{'AttributeName':'r','AttributeType':'N'},"        \
    "{'AttributeName':'l','AttributeType':'S'},{'AttributeName':'g','AttributeType':'S'}],"       \
    "'KeySchema':[{'AttributeName':'h','KeyType':'HASH'},{'AttributeName':'r','KeyType':"         \
    "'RANGE'}],'LocalSecondaryIndexes':[{'IndexName':'by_l','KeySchema':[{'AttributeName':'h',"   \
    "'KeyType':'HASH'},{'AttributeName':'l','KeyType':'RANGE'}],'Projection':{'ProjectionType':"  \
    "'KEYS_ONLY'}}],'GlobalSecondaryIndexes':[{'IndexName':'by_g','KeySchema':[{'AttributeName':" \
    "'g','KeyType':'HASH'}],'Projection':{'ProjectionType':'KEYS_ONLY'}},{'IndexName':'by_a',"    \
    "'KeySchema':[{'AttributeName':'g','KeyType':'HASH'},{'AttributeName':'r','KeyType':"         \
    "'RANGE'}],'Projection':{'ProjectionType':'ALL'}}]}"

/* ---- the table of one key */

#define DDB_PLAIN                                                                             \
    "{'TableName':'plain','BillingMode':'PAY_PER_REQUEST','AttributeDefinitions':["           \
    "{'AttributeName':'k','AttributeType':'S'}],'KeySchema':[{'AttributeName':'k','KeyType':" \
    "'HASH'}]}"

static inline const char *ddb_table_status(struct harness *h, const char *table)
{
    static char out[40];
    json_t *answer = service_ask(h, 200, DDB("DescribeTable"), "{'TableName':'%s'}", table);

    snprintf(out, sizeof(out), "%s", service_at(answer, "Table.TableStatus"));
    json_decref(answer);
    return out;
}

#endif
