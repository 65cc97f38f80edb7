/* dynamodb_test.c - DynamoDB through HTTP, as the Kinesis Client Library and its lock client use
 * it: lease table, every conditional write, index by owner, paging, transactions. */
#include <zlib.h>

#include "plugins/local-aws/service_test.h"

#define DDB(op) "DynamoDB_20120810." op
#define KEY     "'TableName':'app','Key':{'leaseKey':{'S':'shardId-0'}}"
#define DYNAMO  "com.amazonaws.dynamodb.v20120810#"

static void make_table(struct harness *h)
{
    json_t *out = service_ask(h, 200, DDB("CreateTable"),
                              "{'TableName':'app','BillingMode':'PAY_PER_REQUEST',"
                              "'AttributeDefinitions':[{'AttributeName':'leaseKey',"
                              "'AttributeType':'S'}],'KeySchema':[{'AttributeName':'leaseKey',"
                              "'KeyType':'HASH'}]}");

    EQ_STR(service_at(out, "TableDescription.TableStatus"), "CREATING");
    json_decref(out);
    out = service_ask(h, 200, DDB("DescribeTable"), "{'TableName':'app'}");
    EQ_STR(service_at(out, "Table.TableStatus"), "ACTIVE");
    EQ_STR(service_at(out, "Table.TableArn"), "arn:aws:dynamodb:us-east-1:000000000000:table/app");
    json_decref(out);
}

static void put_lease(struct harness *h, int status)
{
    SERVICE_DO(h, status, DDB("PutItem"),
               "{'TableName':'app','Item':{'leaseKey':{'S':'shardId-0'},'leaseCounter':{'N':'0'},"
               "'ownerSwitchesSinceCheckpoint':{'N':'0'},'checkpoint':{'S':'TRIM_HORIZON'},"
               "'checkpointSubSequenceNumber':{'N':'0'},'parentShardId':{'SS':['p2','p1']},"
               "'future':{'M':{'x':{'L':[{'N':'1.50'}]}}}},"
               "'Expected':{'leaseKey':{'Exists':false}}}");
}

static struct harness *start(void)
{
    struct harness *h = service_start(NULL);

    make_table(h);
    put_lease(h, 200);
    return h;
}

/* The lease's attribute as it is now; "" when it is absent. [static buffer] */
static const char *lease(struct harness *h, const char *path)
{
    static char out[200];
    char full[200];
    json_t *answer = service_ask(h, 200, DDB("GetItem"), "{" KEY ",'ConsistentRead':true}");

    snprintf(full, sizeof(full), "Item.%s", path);
    snprintf(out, sizeof(out), "%s", service_at(answer, full));
    json_decref(answer);
    return out;
}

TEST(a_lease_is_created_once)
{
    struct harness *h = start();
    json_t *out;

    put_lease(h, 400);
    out = service_ask(h, 400, DDB("PutItem"),
                      "{'TableName':'app','Item':{'leaseKey':{'S':'shardId-0'}},"
                      "'ConditionExpression':'attribute_not_exists(leaseKey)'}");
    EQ_STR(service_at(out, "__type"), DYNAMO "ConditionalCheckFailedException");
    EQ_STR(service_at(out, "message"), "The conditional request failed");
    json_decref(out);
    EQ_STR(lease(h, "checkpoint.S"), "TRIM_HORIZON");
    EQ_STR(lease(h, "parentShardId.SS.0"), "p1");
    EQ_STR(lease(h, "future.M.x.L.0.N"), "1.5"); /* numbers are canonical */
    harness_free(h);
}

TEST(a_renewal_counts_up_and_fences_the_old_owner)
{
    static const char renew[] =
        "{" KEY ",'Expected':{'leaseCounter':{'Value':{'N':'%d'}}},"
        "'AttributeUpdates':{'leaseCounter':{'Action':'PUT','Value':{'N':'%d'}}}}";
    struct harness *h = start();

    SERVICE_DO(h, 200, DDB("UpdateItem"), renew, 0, 1);
    SERVICE_DO(h, 400, DDB("UpdateItem"), renew, 0, 1);
    EQ_STR(lease(h, "leaseCounter.N"), "1");
    SERVICE_DO(h, 200, DDB("UpdateItem"), renew, 1, 2);
    EQ_STR(lease(h, "leaseCounter.N"), "2");
    harness_free(h);
}

TEST(a_renewal_of_the_third_kcl_gets_the_old_item_when_it_fails)
{
    static const char renew[] =
        "{" KEY ",'UpdateExpression':'SET leaseCounter = :n1, throughputKBps = :t',"
        "'ConditionExpression':'leaseCounter = :n0 AND attribute_not_exists(checkpointOwner)',"
        "'ExpressionAttributeValues':{':n0':{'N':'%d'},':n1':{'N':'%d'},':t':{'N':'12.5'}},"
        "'ReturnValuesOnConditionCheckFailure':'ALL_OLD'}";
    struct harness *h = start();
    json_t *out;

    SERVICE_DO(h, 200, DDB("UpdateItem"), renew, 0, 1);
    EQ_STR(lease(h, "throughputKBps.N"), "12.5");
    /* A hand-off begins: another owner, the counter stays. */
    SERVICE_DO(h, 200, DDB("UpdateItem"),
               "{" KEY ",'UpdateExpression':'SET leaseOwner = :b, checkpointOwner = :a',"
               "'ConditionExpression':'attribute_exists(leaseKey) AND "
               "attribute_not_exists(leaseOwner) AND attribute_not_exists(checkpointOwner)',"
               "'ExpressionAttributeValues':{':a':{'S':'A'},':b':{'S':'B'}}}");
    out = service_ask(h, 400, DDB("UpdateItem"), renew, 1, 2);
    EQ_STR(service_at(out, "__type"), DYNAMO "ConditionalCheckFailedException");
    EQ_STR(service_at(out, "Item.checkpointOwner.S"), "A");
    EQ_STR(service_at(out, "Item.leaseCounter.N"), "1");
    json_decref(out);
    harness_free(h);
}

TEST(a_lease_is_taken_checkpointed_and_evicted)
{
    struct harness *h = start();
    json_t *out;

    SERVICE_DO(h, 200, DDB("UpdateItem"),
               "{" KEY ",'Expected':{'leaseCounter':{'Value':{'N':'0'}}},'AttributeUpdates':{"
               "'leaseOwner':{'Action':'PUT','Value':{'S':'me'}},"
               "'leaseCounter':{'Action':'PUT','Value':{'N':'1'}},"
               "'checkpointOwner':{'Action':'DELETE'},"
               "'ownerSwitchesSinceCheckpoint':{'Action':'ADD','Value':{'N':'1'}}}}");
    EQ_STR(lease(h, "leaseOwner.S"), "me");
    EQ_STR(lease(h, "ownerSwitchesSinceCheckpoint.N"), "1");
    /* A checkpoint of the first KCL also looks at the old checkpoint. */
    SERVICE_DO(h, 200, DDB("UpdateItem"),
               "{" KEY ",'Expected':{'leaseCounter':{'Value':{'N':'1'}},'checkpoint':"
               "{'ComparisonOperator':'NE','AttributeValueList':[{'S':'SHARD_END'}]}},"
               "'AttributeUpdates':{'checkpoint':{'Value':{'S':"
               "'49590338271490256608559692538361571095921575989136588898'}},"
               "'leaseCounter':{'Value':{'N':'2'}},"
               "'ownerSwitchesSinceCheckpoint':{'Value':{'N':'0'}},"
               "'pendingCheckpoint':{'Action':'DELETE'}}}");
    EQ_STR(lease(h, "checkpoint.S"), "49590338271490256608559692538361571095921575989136588898");
    out = service_ask(h, 200, DDB("UpdateItem"),
                      "{" KEY ",'UpdateExpression':'REMOVE leaseOwner ADD leaseCounter :one',"
                      "'ConditionExpression':'leaseOwner = :me','ExpressionAttributeValues':"
                      "{':me':{'S':'me'},':one':{'N':'1'}},'ReturnValues':'ALL_NEW'}");
    EQ_STR(service_at(out, "Attributes.leaseCounter.N"), "3");
    EQ_STR(service_at(out, "Attributes.leaseOwner.S"), "");
    EQ_STR(service_at(out, "Attributes.future.M.x.L.0.N"), "1.5"); /* what it does not know stays */
    json_decref(out);
    harness_free(h);
}

TEST(meta_information_needs_an_existing_lease)
{
    struct harness *h = start();

    SERVICE_DO(h, 200, DDB("UpdateItem"),
               "{" KEY ",'Expected':{'leaseKey':{'Value':{'S':'shardId-0'},'Exists':true}},"
               "'AttributeUpdates':{'childShardIds':{'Value':{'SS':['c1','c2']}}}}");
    SERVICE_DO(h, 400, DDB("UpdateItem"),
               "{'TableName':'app','Key':{'leaseKey':{'S':'none'}},'ConditionExpression':"
               "'attribute_exists(leaseKey)','UpdateExpression':'SET a = :a',"
               "'ExpressionAttributeValues':{':a':{'S':'x'}}}");
    EQ_STR(lease(h, "childShardIds.SS.1"), "c2");
    SERVICE_DO(h, 200, DDB("DeleteItem"), "{" KEY "}");
    EQ_STR(lease(h, "leaseKey.S"), "");
    SERVICE_DO(h, 200, DDB("DeleteItem"), "{" KEY "}");
    harness_free(h);
}

TEST(the_index_by_owner_holds_owned_leases_only)
{
    static const char query[] =
        "{'TableName':'app','IndexName':'LeaseOwnerToLeaseKeyIndex','KeyConditionExpression':"
        "'leaseOwner = :o','ExpressionAttributeValues':{':o':{'S':'me'}}}";
    struct harness *h = start();
    json_t *out;

    for (int i = 1; i <= 3; i++)
        SERVICE_DO(h, 200, DDB("PutItem"),
                   "{'TableName':'app','Item':{'leaseKey':{'S':'shardId-%d'},"
                   "'leaseOwner':{'S':'%s'},'leaseCounter':{'N':'0'}}}",
                   i, i == 2 ? "other" : "me");
    SERVICE_DO(h, 200, DDB("UpdateTable"),
               "{'TableName':'app','AttributeDefinitions':[{'AttributeName':'leaseKey',"
               "'AttributeType':'S'},{'AttributeName':'leaseOwner','AttributeType':'S'}],"
               "'GlobalSecondaryIndexUpdates':[{'Create':{'IndexName':"
               "'LeaseOwnerToLeaseKeyIndex','KeySchema':[{'AttributeName':'leaseOwner','KeyType':"
               "'HASH'},{'AttributeName':'leaseKey','KeyType':'RANGE'}],'Projection':"
               "{'ProjectionType':'KEYS_ONLY'}}}]}");
    out = service_ask(h, 200, DDB("Query"), query);
    EQ_STR(service_at(out, "Count"), "2");
    EQ_STR(service_at(out, "Items.0.leaseKey.S"), "shardId-1");
    EQ_STR(service_at(out, "Items.1.leaseKey.S"), "shardId-3");
    EQ_STR(service_at(out, "Items.1.leaseCounter.N"), "");
    json_decref(out);
    SERVICE_DO(h, 200, DDB("UpdateItem"),
               "{'TableName':'app','Key':{'leaseKey':{'S':'shardId-1'}},"
               "'UpdateExpression':'REMOVE leaseOwner'}");
    out = service_ask(h, 200, DDB("Query"), query);
    EQ_STR(service_at(out, "Count"), "1");
    EQ_STR(service_at(out, "Items.0.leaseKey.S"), "shardId-3");
    json_decref(out);
    harness_free(h);
}

TEST(a_scan_in_pages_and_segments_sees_every_lease_once)
{
    struct harness *h = start();
    char seen[40] = {0};
    int n = 0;

    for (int i = 1; i < 40; i++)
        SERVICE_DO(h, 200, DDB("PutItem"),
                   "{'TableName':'app','Item':{'leaseKey':{'S':'shardId-%d'}}}", i);
    for (int segment = 0; segment < 3; segment++) {
        char start_key[200] = "";
        bool more = true;

        while (more) {
            json_t *out = service_ask(h, 200, DDB("Scan"),
                                      "{'TableName':'app','Limit':4,'Segment':%d,"
                                      "'TotalSegments':3%s}",
                                      segment, start_key);
            const json_t *items = json_object_get(out, "Items");

            for (size_t i = 0; i < json_array_size(items); i++, n++)
                seen[atoi(service_at(json_array_get(items, i), "leaseKey.S") + 8) % 40]++;
            more = json_object_get(out, "LastEvaluatedKey") != NULL;
            snprintf(start_key, sizeof(start_key), ",'ExclusiveStartKey':{'leaseKey':{'S':'%s'}}",
                     service_at(out, "LastEvaluatedKey.leaseKey.S"));
            json_decref(out);
        }
    }
    EQ_INT(n, 40);
    for (int i = 0; i < 40; i++)
        EQ_INT(seen[i], 1);
    harness_free(h);
}

TEST(a_lock_changes_hands_only_as_observed)
{
    static const char take[] =
        "{'TableName':'app','Item':{'leaseKey':{'S':'Leader'},'ownerName':{'S':'%s'},"
        "'recordVersionNumber':{'S':'%s'}},'ConditionExpression':"
        "'attribute_not_exists(#k) OR (attribute_exists(#k) AND #v = :v)',"
        "'ExpressionAttributeNames':{'#k':'leaseKey','#v':'recordVersionNumber'},"
        "'ExpressionAttributeValues':{':v':{'S':'%s'}}}";
    struct harness *h = start();

    SERVICE_DO(h, 200, DDB("PutItem"), take, "A", "v1", "none");
    SERVICE_DO(h, 400, DDB("PutItem"), take, "B", "v2", "none");
    SERVICE_DO(h, 200, DDB("PutItem"), take, "B", "v2", "v1");
    SERVICE_DO(h, 400, DDB("PutItem"), take, "A", "v3", "v1");
    harness_free(h);
}

TEST(a_transaction_is_done_whole_or_not_at_all)
{
    struct harness *h = start();
    json_t *out =
        service_ask(h, 400, DDB("TransactWriteItems"),
                    "{'TransactItems':[{'Put':{'TableName':'app','Item':{'leaseKey':{'S':'new'}}}},"
                    "{'ConditionCheck':{" KEY ",'ConditionExpression':'leaseCounter = :c',"
                    "'ExpressionAttributeValues':{':c':{'N':'9'}}}}]}");

    EQ_STR(service_at(out, "__type"), DYNAMO "TransactionCanceledException");
    EQ_STR(service_at(out, "CancellationReasons.0.Code"), "None");
    EQ_STR(service_at(out, "CancellationReasons.1.Code"), "ConditionalCheckFailed");
    json_decref(out);
    out = service_ask(h, 200, DDB("GetItem"), "{'TableName':'app','Key':{'leaseKey':{'S':'new'}}}");
    EQ_INT(json_object_size(out), 0);
    json_decref(out);
    SERVICE_DO(h, 200, DDB("TransactWriteItems"),
               "{'TransactItems':[{'Put':{'TableName':'app','Item':{'leaseKey':{'S':'new'}}}},"
               "{'Update':{" KEY ",'UpdateExpression':'SET leaseCounter = leaseCounter + :c',"
               "'ExpressionAttributeValues':{':c':{'N':'9'}}}}]}");
    EQ_STR(lease(h, "leaseCounter.N"), "9");
    harness_free(h);
}

TEST(batches_write_and_read_many_items)
{
    struct harness *h = start();
    json_t *out = service_ask(h, 200, DDB("BatchWriteItem"),
                              "{'RequestItems':{'app':[{'PutRequest':{'Item':{'leaseKey':{'S':'x'},"
                              "'a':{'S':'1'},'b':{'S':'2'}}}},{'DeleteRequest':{'Key':"
                              "{'leaseKey':{'S':'shardId-0'}}}}]}}");

    EQ_INT(json_object_size(json_object_get(out, "UnprocessedItems")), 0);
    YES(json_object_get(out, "UnprocessedItems") != NULL);
    json_decref(out);
    out = service_ask(h, 200, DDB("BatchGetItem"),
                      "{'RequestItems':{'app':{'Keys':[{'leaseKey':{'S':'x'}},"
                      "{'leaseKey':{'S':'shardId-0'}}],'ProjectionExpression':'b'}}}");
    EQ_INT(json_array_size(json_object_get(json_object_get(out, "Responses"), "app")), 1);
    EQ_STR(service_at(out, "Responses.app.0.b.S"), "2");
    EQ_STR(service_at(out, "Responses.app.0.a.S"), "");
    YES(json_object_get(out, "UnprocessedKeys") != NULL);
    json_decref(out);
    out = service_ask(h, 400, DDB("BatchGetItem"),
                      "{'RequestItems':{'app':{'Keys':[{'leaseKey':{'S':'x'}},"
                      "{'leaseKey':{'S':'x'}}]}}}");
    EQ_STR(service_at(out, "message"), "Provided list of item keys contains duplicates");
    json_decref(out);
    harness_free(h);
}

/* ---- the envelope ---- */

static void checksum_is_right(struct harness *h, const char *target, const char *text, int status)
{
    char headers[200];
    const char *answer = "", *sum;

    service_headers(target, headers);
    EQ_INT(harness_request(h, "POST", "/", headers, text, strlen(text), &answer), status);
    sum = harness_response_header(h, "x-amz-crc32");
    REQUIRE(sum != NULL);
    EQ_INT(strtoul(sum, NULL, 10),
           crc32(0, (const unsigned char *)answer, (unsigned)strlen(answer)));
    EQ_INT(strlen(harness_response_header(h, "x-amzn-requestid")), 52);
}

TEST(every_answer_carries_its_checksum)
{
    struct harness *h = start();

    checksum_is_right(h, DDB("ListTables"), "{}", 200);
    checksum_is_right(h, DDB("ListTables"), "{\"Limit\":0}", 400);
    checksum_is_right(h, DDB("ListTables"), "not json", 400);
    checksum_is_right(h, DDB("Nothing"), "{}", 400);
    harness_free(h);
}

static void has_type(struct harness *h, const char *target, const char *text, const char *type)
{
    json_t *out = service_ask(h, 400, target, "%s", text);

    EQ_STR(service_at(out, "__type"), type);
    json_decref(out);
}

TEST(errors_have_the_types_that_clients_know)
{
    struct harness *h = start();

    has_type(h, DDB("GetItem"), "{", "com.amazon.coral.service#SerializationException");
    has_type(h, DDB("Nothing"), "{}", "com.amazon.coral.service#UnknownOperationException");
    has_type(h, DDB("DescribeTable"), "{'TableName':'none'}", DYNAMO "ResourceNotFoundException");
    has_type(h, DDB("GetItem"), "{'TableName':'none','Key':{'a':{'S':'x'}}}",
             DYNAMO "ResourceNotFoundException");
    has_type(h, DDB("GetItem"), "{'TableName':'app','Key':{'a':{'S':'x'}}}",
             "com.amazon.coral.validate#ValidationException");
    has_type(h, DDB("CreateTable"),
             "{'TableName':'app','BillingMode':'PAY_PER_REQUEST','AttributeDefinitions':["
             "{'AttributeName':'leaseKey','AttributeType':'S'}],'KeySchema':[{'AttributeName':"
             "'leaseKey','KeyType':'HASH'}]}",
             DYNAMO "ResourceInUseException");
    harness_free(h);
}

TEST(tables_and_items_outlive_the_service)
{
    const char *dir = kptest_dir();
    struct harness *h = service_start(dir);

    make_table(h);
    put_lease(h, 200);
    harness_free(h);
    h = service_start(dir);
    EQ_STR(lease(h, "checkpoint.S"), "TRIM_HORIZON");
    SERVICE_DO(h, 200, DDB("DeleteTable"), "{'TableName':'app'}");
    has_type(h, DDB("GetItem"), "{" KEY "}", DYNAMO "ResourceNotFoundException");
    harness_free(h);
}
