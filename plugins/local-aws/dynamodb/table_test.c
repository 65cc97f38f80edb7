/* table_test.c - DynamoDB's tables: their states, indexes that come and go, what hangs on them, and
 * what may not be a table. */
#include "plugins/local-aws/dynamodb/dynamodb_test.h"

#define KEYS(name)                                                                            \
    "'AttributeDefinitions':[{'AttributeName':'" name "','AttributeType':'S'}],'KeySchema':[" \
    "{'AttributeName':'" name "','KeyType':'HASH'}]"

/* ---- states ---- */

TEST(a_table_takes_its_time_to_become_active_and_to_go)
{
    struct harness *h = ddb_start("{ transition = '5s' }");
    json_t *out = service_ask(h, 200, DDB("CreateTable"), DDB_PLAIN);

    EQ_STR(service_at(out, "TableDescription.TableStatus"), "CREATING");
    json_decref(out);
    EQ_STR(ddb_table_status(h, "plain"), "CREATING");
    ddb_refused(h, DDB("PutItem"), "{'TableName':'plain','Item':{'k':{'S':'a'}}}",
                DYNAMO "ResourceNotFoundException", "Requested resource not found");
    ddb_refused(h, DDB("DeleteTable"), "{'TableName':'plain'}", DYNAMO "ResourceInUseException",
                "Attempt to change a resource which is still in use: Table is being created: "
                "plain");
    harness_advance(h, 5000);
    EQ_STR(ddb_table_status(h, "plain"), "ACTIVE");
    SERVICE_DO(h, 200, DDB("PutItem"), "{'TableName':'plain','Item':{'k':{'S':'a'}}}");
    out = service_ask(h, 200, DDB("DeleteTable"), "{'TableName':'plain'}");
    EQ_STR(service_at(out, "TableDescription.TableStatus"), "DELETING");
    json_decref(out);
    ddb_refused(h, DDB("GetItem"), "{'TableName':'plain','Key':{'k':{'S':'a'}}}",
                DYNAMO "ResourceNotFoundException", NULL);
    ddb_refused(h, DDB("CreateTable"), DDB_PLAIN, DYNAMO "ResourceInUseException",
                "Table already exists: plain");
    harness_advance(h, 5000);
    out = service_ask(h, 200, DDB("ListTables"), "{}");
    EQ_INT(json_array_size(json_object_get(out, "TableNames")), 0);
    json_decref(out);
    ddb_refused(h, DDB("DescribeTable"), "{'TableName':'plain'}",
                DYNAMO "ResourceNotFoundException",
                "Requested resource not found: Table: plain not found");
    harness_free(h);
}

/* The value at a path of the table's description. [static buffer] */
static const char *described(struct harness *h, const char *path)
{
    static char out[200];
    char full[200];
    json_t *answer = service_ask(h, 200, DDB("DescribeTable"), "{'TableName':'plain'}");

    snprintf(full, sizeof(full), "Table.%s", path);
    snprintf(out, sizeof(out), "%s", service_at(answer, full));
    json_decref(answer);
    return out;
}

#define ADD_INDEX                                                                                 \
    "{'TableName':'plain','AttributeDefinitions':[{'AttributeName':'o','AttributeType':'S'}],"    \
    "'GlobalSecondaryIndexUpdates':[{'Create':{'IndexName':'by_o','KeySchema':[{'AttributeName':" \
    "'o','KeyType':'HASH'}],'Projection':{'ProjectionType':'KEYS_ONLY'}}}]}"
#define BY_O                                                                     \
    "{'TableName':'plain','IndexName':'by_o','KeyConditionExpression':'o = :o'," \
    "'ExpressionAttributeValues':{':o':{'S':'me'}}}"

TEST(an_index_is_filled_before_it_can_be_read_and_gone_after_its_deletion)
{
    struct harness *h = ddb_start("{ transition = '1s' }");
    json_t *out;

    SERVICE_DO(h, 200, DDB("CreateTable"), DDB_PLAIN);
    harness_advance(h, 1000);
    SERVICE_DO(h, 200, DDB("PutItem"),
               "{'TableName':'plain','Item':{'k':{'S':'a'},'o':{'S':'me'}}}");
    out = service_ask(h, 200, DDB("UpdateTable"), ADD_INDEX);
    EQ_STR(service_at(out, "TableDescription.TableStatus"), "UPDATING");
    EQ_STR(service_at(out, "TableDescription.GlobalSecondaryIndexes.0.IndexStatus"), "CREATING");
    YES(json_is_true(json_object_get(
        json_array_get(
            json_object_get(json_object_get(out, "TableDescription"), "GlobalSecondaryIndexes"), 0),
        "Backfilling")));
    json_decref(out);
    /* Writes go on, and reach the index that is not ready. */
    SERVICE_DO(h, 200, DDB("PutItem"),
               "{'TableName':'plain','Item':{'k':{'S':'b'},'o':{'S':'me'}}}");
    ddb_invalid_is(h, DDB("Query"), BY_O,
                   "Cannot read from backfilling global secondary index: by_o");
    ddb_refused(h, DDB("UpdateTable"), "{'TableName':'plain','DeletionProtectionEnabled':true}",
                DYNAMO "ResourceInUseException",
                "Attempt to change a resource which is still in use: Table is being updated: "
                "plain");
    harness_advance(h, 1000);
    EQ_STR(described(h, "GlobalSecondaryIndexes.0.IndexStatus"), "ACTIVE");
    EQ_STR(described(h, "GlobalSecondaryIndexes.0.ItemCount"), "2");
    out = service_ask(h, 200, DDB("Query"), BY_O);
    EQ_STR(service_at(out, "Count"), "2");
    json_decref(out);
    out = service_ask(h, 200, DDB("UpdateTable"),
                      "{'TableName':'plain','GlobalSecondaryIndexUpdates':[{'Delete':"
                      "{'IndexName':'by_o'}}]}");
    EQ_STR(service_at(out, "TableDescription.GlobalSecondaryIndexes.0.IndexStatus"), "DELETING");
    json_decref(out);
    harness_advance(h, 1000);
    EQ_STR(described(h, "GlobalSecondaryIndexes.0.IndexName"), "");
    EQ_STR(described(h, "AttributeDefinitions.0.AttributeName"), "k");
    EQ_STR(described(h, "AttributeDefinitions.1.AttributeName"), "");
    ddb_invalid_is(h, DDB("Query"), BY_O, "The table does not have the specified index: by_o");
    harness_free(h);
}

TEST(states_end_over_a_restart)
{
    const char *dir = kptest_dir();
    char options[4400];
    struct harness *h;

    snprintf(options, sizeof(options), "{ dir = '%s', transition = '5s' }", dir);
    h = ddb_start(options);
    SERVICE_DO(h, 200, DDB("CreateTable"), DDB_PLAIN);
    harness_free(h);
    h = ddb_start(options);
    harness_advance(h, 5000);
    EQ_STR(ddb_table_status(h, "plain"), "ACTIVE");
    harness_free(h);
}

/* ---- changes ---- */

TEST(updates_that_change_nothing_are_refused)
{
    struct harness *h = service_start(NULL);

    SERVICE_DO(h, 200, DDB("CreateTable"),
               "{'TableName':'plain'," KEYS("k") ",'ProvisionedThroughput':{'ReadCapacityUnits':3,"
                                                 "'WriteCapacityUnits':4}}");
    EQ_STR(described(h, "ProvisionedThroughput.WriteCapacityUnits"), "4");
    ddb_invalid_is(h, DDB("UpdateTable"), "{'TableName':'plain'}",
                   "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, "
                   "GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required");
    ddb_invalid_is(
        h, DDB("UpdateTable"),
        "{'TableName':'plain','ProvisionedThroughput':{'ReadCapacityUnits':3,"
        "'WriteCapacityUnits':4}}",
        "The provisioned throughput for the table will not change. The requested value equals the "
        "current value. Current ReadCapacityUnits provisioned for the table: 3. Requested "
        "ReadCapacityUnits: 3. Current WriteCapacityUnits provisioned for the table: 4. Requested "
        "WriteCapacityUnits: 4. Refer to the Amazon DynamoDB Developer Guide for current limits "
        "and how to request higher limits.");
    SERVICE_DO(h, 200, DDB("UpdateTable"),
               "{'TableName':'plain','ProvisionedThroughput':{'ReadCapacityUnits':2,"
               "'WriteCapacityUnits':4}}");
    EQ_STR(described(h, "ProvisionedThroughput.ReadCapacityUnits"), "2");
    EQ_STR(described(h, "ProvisionedThroughput.NumberOfDecreasesToday"), "1");
    SERVICE_DO(h, 200, DDB("UpdateTable"), "{'TableName':'plain','BillingMode':'PAY_PER_REQUEST'}");
    EQ_STR(described(h, "BillingModeSummary.BillingMode"), "PAY_PER_REQUEST");
    EQ_STR(described(h, "ProvisionedThroughput.ReadCapacityUnits"), "0");
    harness_free(h);
}

TEST(a_protected_table_is_not_deleted)
{
    struct harness *h = service_start(NULL);

    SERVICE_DO(h, 200, DDB("CreateTable"), DDB_PLAIN);
    SERVICE_DO(h, 200, DDB("UpdateTable"),
               "{'TableName':'plain','DeletionProtectionEnabled':true}");
    ddb_invalid_is(h, DDB("DeleteTable"), "{'TableName':'plain'}",
                   "Resource cannot be deleted as it is currently protected against deletion. "
                   "Disable deletion protection first.");
    SERVICE_DO(h, 200, DDB("UpdateTable"),
               "{'TableName':'plain','DeletionProtectionEnabled':false}");
    SERVICE_DO(h, 200, DDB("DeleteTable"), "{'TableName':'plain'}");
    harness_free(h);
}

TEST(an_arn_names_a_table)
{
    struct harness *h = service_start(NULL);
    json_t *out;

    SERVICE_DO(h, 200, DDB("CreateTable"), DDB_PLAIN);
    SERVICE_DO(h, 200, DDB("PutItem"),
               "{'TableName':'arn:aws:dynamodb:us-east-1:000000000000:table/plain','Item':{'k':"
               "{'S':'a'}}}");
    out = service_ask(h, 200, DDB("DescribeTable"),
                      "{'TableName':'arn:aws:dynamodb:us-east-1:000000000000:table/plain'}");
    EQ_STR(service_at(out, "Table.ItemCount"), "1");
    EQ_STR(service_at(out, "Table.WarmThroughput.Status"), "ACTIVE");
    json_decref(out);
    harness_free(h);
}

/* ---- what hangs on a table ---- */

static size_t count(struct harness *h)
{
    json_t *out = service_ask(h, 200, DDB("Scan"), "{'TableName':'plain','Select':'COUNT'}");
    size_t n = (size_t)atol(service_at(out, "Count"));

    YES(json_object_get(out, "Items") == NULL);
    json_decref(out);
    return n;
}

TEST(items_expire_some_time_after_their_time_to_live)
{
    struct harness *h = service_start(NULL);
    long long now;
    json_t *out;

    SERVICE_DO(h, 200, DDB("CreateTable"), DDB_PLAIN);
    out = service_ask(h, 200, DDB("DescribeTable"), "{'TableName':'plain'}");
    now = (long long)json_real_value(
        json_object_get(json_object_get(out, "Table"), "CreationDateTime"));
    json_decref(out);
    SERVICE_DO(h, 200, DDB("UpdateTimeToLive"),
               "{'TableName':'plain','TimeToLiveSpecification':{'AttributeName':'ttl',"
               "'Enabled':true}}");
    SERVICE_DO(h, 200, DDB("PutItem"),
               "{'TableName':'plain','Item':{'k':{'S':'soon'},'ttl':{'N':'%lld'}}}", now + 15);
    SERVICE_DO(h, 200, DDB("PutItem"),
               "{'TableName':'plain','Item':{'k':{'S':'later'},'ttl':{'N':'%lld'}}}", now + 1000);
    SERVICE_DO(h, 200, DDB("PutItem"),
               "{'TableName':'plain','Item':{'k':{'S':'text'},'ttl':{'S':'%lld'}}}", now - 10);
    SERVICE_DO(h, 200, DDB("PutItem"),
               "{'TableName':'plain','Item':{'k':{'S':'mistake'},'ttl':{'N':'1'}}}");
    harness_advance(h, 10000);
    EQ_INT(count(h), 4);
    harness_advance(h, 10000);
    EQ_INT(count(h), 3);
    out = service_ask(h, 200, DDB("GetItem"), "{'TableName':'plain','Key':{'k':{'S':'soon'}}}");
    YES(json_object_get(out, "Item") == NULL);
    json_decref(out);
    EQ_INT(harness_counter(h, "dynamodb_expired_items"), 1);
    harness_free(h);
}

TEST(time_to_live_is_switched_once)
{
#define TTL(name, on)                                                                              \
    "{'TableName':'plain','TimeToLiveSpecification':{'AttributeName':'" name "','Enabled':" on "}" \
    "}"
    struct harness *h = service_start(NULL);
    json_t *out;

    SERVICE_DO(h, 200, DDB("CreateTable"), DDB_PLAIN);
    ddb_invalid_is(h, DDB("UpdateTimeToLive"), TTL("a", "false"), "TimeToLive is already disabled");
    out = service_ask(h, 200, DDB("UpdateTimeToLive"), TTL("a", "true"));
    EQ_STR(service_at(out, "TimeToLiveSpecification.AttributeName"), "a");
    json_decref(out);
    out = service_ask(h, 200, DDB("DescribeTimeToLive"), "{'TableName':'plain'}");
    EQ_STR(service_at(out, "TimeToLiveDescription.TimeToLiveStatus"), "ENABLED");
    EQ_STR(service_at(out, "TimeToLiveDescription.AttributeName"), "a");
    json_decref(out);
    ddb_invalid_is(h, DDB("UpdateTimeToLive"), TTL("a", "true"), "TimeToLive is already enabled");
    ddb_invalid_is(h, DDB("UpdateTimeToLive"), TTL("b", "true"),
                   "TimeToLive is active on a different AttributeName: current AttributeName is a");
    SERVICE_DO(h, 200, DDB("UpdateTimeToLive"), TTL("a", "false"));
    out = service_ask(h, 200, DDB("DescribeTimeToLive"), "{'TableName':'plain'}");
    EQ_STR(service_at(out, "TimeToLiveDescription.TimeToLiveStatus"), "DISABLED");
    json_decref(out);
    harness_free(h);
#undef TTL
}

TEST(point_in_time_recovery_is_remembered)
{
    struct harness *h = service_start(NULL);
    json_t *out;

    SERVICE_DO(h, 200, DDB("CreateTable"), DDB_PLAIN);
    out = service_ask(h, 200, DDB("UpdateContinuousBackups"),
                      "{'TableName':'plain','PointInTimeRecoverySpecification':"
                      "{'PointInTimeRecoveryEnabled':true,'RecoveryPeriodInDays':7}}");
    EQ_STR(service_at(out, "ContinuousBackupsDescription.ContinuousBackupsStatus"), "ENABLED");
    json_decref(out);
    out = service_ask(h, 200, DDB("DescribeContinuousBackups"), "{'TableName':'plain'}");
    EQ_STR(service_at(out, "ContinuousBackupsDescription.PointInTimeRecoveryDescription."
                           "PointInTimeRecoveryStatus"),
           "ENABLED");
    EQ_STR(service_at(out, "ContinuousBackupsDescription.PointInTimeRecoveryDescription."
                           "RecoveryPeriodInDays"),
           "7");
    json_decref(out);
    harness_free(h);
}

#define ARN "'ResourceArn':'arn:aws:dynamodb:us-east-1:000000000000:table/plain'"

TEST(tags_are_kept_by_key_and_their_answers_are_empty)
{
    static const char tag[] = "{" ARN ",'Tags':[{'Key':'a','Value':'1'},{'Key':'b','Value':'2'}]}";
    struct harness *h = service_start(NULL);
    char headers[200], body[300];
    const char *answer = "x";
    json_t *out;

    SERVICE_DO(h, 200, DDB("CreateTable"), DDB_PLAIN);
    service_headers(DDB("TagResource"), headers);
    snprintf(body, sizeof(body), "%s", tag);
    for (char *p = body; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    EQ_INT(harness_request(h, "POST", "/", headers, body, strlen(body), &answer), 200);
    EQ_STR(answer, "");
    EQ_STR(harness_response_header(h, "x-amz-crc32"), "0");
    service_headers(DDB("UntagResource"), headers);
    snprintf(body, sizeof(body),
             "{\"ResourceArn\":\"arn:aws:dynamodb:us-east-1:000000000000:table/plain\","
             "\"TagKeys\":[\"a\"]}");
    EQ_INT(harness_request(h, "POST", "/", headers, body, strlen(body), &answer), 200);
    out = service_ask(h, 200, DDB("ListTagsOfResource"), "{" ARN "}");
    EQ_INT(json_array_size(json_object_get(out, "Tags")), 1);
    EQ_STR(service_at(out, "Tags.0.Key"), "b");
    json_decref(out);
    harness_free(h);
}

TEST(the_account_answers_for_its_limits_and_endpoint)
{
    struct harness *h = service_start(NULL);
    json_t *out = service_ask(h, 200, DDB("DescribeLimits"), "{}");

    EQ_STR(service_at(out, "TableMaxReadCapacityUnits"), "40000");
    json_decref(out);
    out = service_ask(h, 200, DDB("DescribeEndpoints"), "{}");
    EQ_STR(service_at(out, "Endpoints.0.Address"), strstr(harness_url(h), "://") + 3);
    json_decref(out);
    harness_free(h);
}

/* ---- what may not be a table ---- */

#define ON_DEMAND "'TableName':'bad','BillingMode':'PAY_PER_REQUEST',"
#define TWO                                                                                       \
    "'AttributeDefinitions':[{'AttributeName':'a','AttributeType':'S'},{'AttributeName':'b',"     \
    "'AttributeType':'S'}],'KeySchema':[{'AttributeName':'a','KeyType':'HASH'},{'AttributeName':" \
    "'b','KeyType':'RANGE'}]"

static void no_table(struct harness *h, const char *members, const char *text)
{
    char body[1500];

    snprintf(body, sizeof(body), "{%s}", members);
    ddb_invalid_is(h, DDB("CreateTable"), body, text);
}

TEST(tables_that_cannot_be_are_refused_in_dynamodbs_words)
{
    struct harness *h = service_start(NULL);

    no_table(h, "'TableName':'bad'," KEYS("a"),
             ONE_OR_MORE "ReadCapacityUnits and WriteCapacityUnits must both be specified when "
                         "BillingMode is PROVISIONED");
    no_table(h,
             ON_DEMAND KEYS("a") ",'ProvisionedThroughput':{'ReadCapacityUnits':1,"
                                 "'WriteCapacityUnits':1}",
             ONE_OR_MORE "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when "
                         "BillingMode is PAY_PER_REQUEST");
    no_table(h,
             ON_DEMAND "'AttributeDefinitions':[{'AttributeName':'b','AttributeType':'S'}],"
                       "'KeySchema':[{'AttributeName':'a','KeyType':'HASH'}]",
             ONE_OR_MORE "Some index key attributes are not defined in AttributeDefinitions. Keys: "
                         "[a], AttributeDefinitions: [b]");
    no_table(h,
             ON_DEMAND "'AttributeDefinitions':[{'AttributeName':'a','AttributeType':'S'}],"
                       "'KeySchema':[{'AttributeName':'a','KeyType':'RANGE'}]",
             "Invalid KeySchema: The first KeySchemaElement is not a HASH key type");
    no_table(h,
             ON_DEMAND "'AttributeDefinitions':[{'AttributeName':'a','AttributeType':'S'},"
                       "{'AttributeName':'b','AttributeType':'S'}],'KeySchema':[{'AttributeName':"
                       "'a','KeyType':'HASH'},{'AttributeName':'b','KeyType':'HASH'}]",
             "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type");
    no_table(h,
             ON_DEMAND "'AttributeDefinitions':[{'AttributeName':'a','AttributeType':'S'},"
                       "{'AttributeName':'b','AttributeType':'S'}],'KeySchema':[{'AttributeName':"
                       "'a','KeyType':'HASH'}]",
             ONE_OR_MORE "Number of attributes in KeySchema does not exactly match number of "
                         "attributes defined in AttributeDefinitions");
    harness_free(h);
}

TEST(indexes_that_cannot_be_are_refused_in_dynamodbs_words)
{
#define INDEX(list, name, hash, more)                                           \
    ",'" list "':[{'IndexName':'" name "','KeySchema':[{'AttributeName':'" hash \
    "','KeyType':'HASH'}" more "}]"
#define ALL "],'Projection':{'ProjectionType':'ALL'}"
    struct harness *h = service_start(NULL);

    no_table(h, ON_DEMAND TWO ",'GlobalSecondaryIndexes':[]",
             ONE_OR_MORE "List of GlobalSecondaryIndexes is empty");
    no_table(h, ON_DEMAND TWO INDEX("GlobalSecondaryIndexes", "idx", "c", ALL),
             ONE_OR_MORE "Some index key attributes are not defined in AttributeDefinitions. Keys: "
                         "[c], AttributeDefinitions: [a, b]");
    no_table(h, ON_DEMAND TWO INDEX("GlobalSecondaryIndexes", "idx", "b", "],'Projection':{}"),
             ONE_OR_MORE "Unknown ProjectionType: null");
    no_table(h,
             ON_DEMAND TWO INDEX("GlobalSecondaryIndexes", "idx", "b",
                                 ALL ",'ProvisionedThroughput':{'ReadCapacityUnits':1,"
                                     "'WriteCapacityUnits':1}"),
             ONE_OR_MORE "ProvisionedThroughput should not be specified for index: idx when "
                         "BillingMode is PAY_PER_REQUEST");
    no_table(h, ON_DEMAND KEYS("a") INDEX("LocalSecondaryIndexes", "idx", "a", ALL),
             ONE_OR_MORE "Table KeySchema does not have a range key, which is required when "
                         "specifying a LocalSecondaryIndex");
    no_table(h, ON_DEMAND TWO INDEX("LocalSecondaryIndexes", "idx", "a", ALL),
             ONE_OR_MORE "Index KeySchema does not have a range key for index: idx");
    no_table(h,
             ON_DEMAND TWO INDEX("LocalSecondaryIndexes", "idx", "b",
                                 ",{'AttributeName':'a','KeyType':'RANGE'}" ALL),
             ONE_OR_MORE "Index KeySchema does not have the same leading hash key as table "
                         "KeySchema for index: idx. index hash key: b, table hash key: a");
    harness_free(h);
#undef INDEX
#undef ALL
}

TEST(all_broken_bounds_come_in_one_message)
{
    struct harness *h = service_start(NULL);

    ddb_invalid_is(h, DDB("CreateTable"), "{'TableName':'a;'}",
                   "4 validation errors detected: Value 'a;' at 'tableName' failed to satisfy "
                   "constraint: Member must have length greater than or equal to 3; Value 'a;' at "
                   "'tableName' failed to satisfy constraint: Member must satisfy regular "
                   "expression pattern: [a-zA-Z0-9_.-]+; Value null at 'attributeDefinitions' "
                   "failed to satisfy constraint: Member must not be null; Value null at "
                   "'keySchema' failed to satisfy constraint: Member must not be null");
    ddb_invalid_is(
        h, DDB("CreateTable"),
        "{'TableName':'good','BillingMode':'x','AttributeDefinitions':[{'AttributeName':"
        "'a','AttributeType':'X'}],'KeySchema':[{'AttributeName':'a','KeyType':'HASH'}]}",
        "2 validation errors detected: Value 'X' at 'attributeDefinitions.1.member."
        "attributeType' failed to satisfy constraint: Member must satisfy enum value "
        "set: [B, N, S]; Value 'x' at 'billingMode' failed to satisfy constraint: "
        "Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]");
    ddb_invalid_is(h, DDB("ListTables"), "{'Limit':101}",
                   "1 validation error detected: Value '101' at 'limit' failed to satisfy "
                   "constraint: Member must have value less than or equal to 100");
    ddb_refused(h, DDB("ListTables"), "{'Limit':'x'}",
                "com.amazon.coral.service#SerializationException",
                "STRING_VALUE cannot be converted to Integer");
    ddb_refused(h, DDB("DescribeTable"), "{'TableName':5}",
                "com.amazon.coral.service#SerializationException",
                "NUMBER_VALUE cannot be converted to String");
    ddb_refused(h, DDB("DescribeTable"), "{'TableName':{}}",
                "com.amazon.coral.service#SerializationException",
                "Start of structure or map found where not expected");
    harness_free(h);
}

/* ---- the envelope ---- */

TEST(what_is_no_call_is_answered_as_the_service_does)
{
    static const char target[] = "X-Amz-Target: DynamoDB_20120810.ListTables\r\n";
    struct harness *h = service_start(NULL);
    const char *answer = "";
    char *big;

    EQ_INT(harness_request(h, "GET", "/", target, "", 0, &answer), 200);
    EQ_STR(answer, "healthy: dynamodb.us-east-1.amazonaws.com ");
    EQ_INT(harness_request(h, "PUT", "/", target, "{}", 2, &answer), 404);
    EQ_STR(answer, "<UnknownOperationException/>\n");
    big = malloc((16 << 20) + 2);
    memset(big, ' ', (16 << 20) + 1);
    EQ_INT(harness_request(h, "POST", "/", target, big, (16 << 20) + 1, &answer), 413);
    free(big);
    harness_free(h);
}
