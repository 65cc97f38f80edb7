/* item_test.c - DynamoDB's items: what writes return and cost, what is refused, batches and
 * transactions, and many writers at once. */
#include "plugins/local-aws/dynamodb/dynamodb_test.h"

static struct harness *start(void)
{
    struct harness *h = service_start(NULL);

    SERVICE_DO(h, 200, DDB("CreateTable"), DDB_PLAIN);
    SERVICE_DO(h, 200, DDB("CreateTable"), DDB_THINGS);
    return h;
}

#define PLAIN(key)  "'TableName':'plain','Key':{'k':{'S':'" key "'}}"
#define THING(h, r) "'TableName':'things','Key':{'h':{'S':'" h "'},'r':{'N':'" r "'}}"

/* ---- what writes return ---- */

static json_t *update(struct harness *h, const char *which)
{
    return service_ask(
        h, 200, DDB("UpdateItem"),
        "{" PLAIN("a") ",'UpdateExpression':'SET n = n + :one, m.x = :new REMOVE was',"
                       "'ExpressionAttributeValues':{':one':{'N':'1'},':new':"
                       "{'S':'new'}},'ReturnValues':'%s'}",
        which);
}

static void put_a(struct harness *h)
{
    SERVICE_DO(h, 200, DDB("PutItem"),
               "{'TableName':'plain','Item':{'k':{'S':'a'},'n':{'N':'1'},'m':{'M':{'x':{'S':'old'},"
               "'y':{'S':'y'}}},'was':{'S':'o'},'s':{'S':'still'}}}");
}

TEST(an_update_returns_what_it_was_asked_for)
{
    struct harness *h = start();
    json_t *out;

    put_a(h);
    out = update(h, "UPDATED_OLD");
    EQ_STR(service_at(out, "Attributes.n.N"), "1");
    EQ_STR(service_at(out, "Attributes.m.M.x.S"), "old");
    EQ_STR(service_at(out, "Attributes.m.M.y.S"), "");
    EQ_STR(service_at(out, "Attributes.was.S"), "o");
    EQ_STR(service_at(out, "Attributes.s.S"), "");
    json_decref(out);
    out = update(h, "UPDATED_NEW");
    EQ_STR(service_at(out, "Attributes.n.N"), "3");
    EQ_STR(service_at(out, "Attributes.m.M.x.S"), "new");
    YES(json_object_get(json_object_get(out, "Attributes"), "was") == NULL);
    json_decref(out);
    out = update(h, "ALL_OLD");
    EQ_STR(service_at(out, "Attributes.n.N"), "3");
    EQ_STR(service_at(out, "Attributes.s.S"), "still");
    json_decref(out);
    out = update(h, "ALL_NEW");
    EQ_STR(service_at(out, "Attributes.n.N"), "5");
    EQ_STR(service_at(out, "Attributes.m.M.y.S"), "y");
    json_decref(out);
    out = update(h, "NONE");
    EQ_INT(json_object_size(out), 0);
    json_decref(out);
    out = service_ask(h, 200, DDB("DeleteItem"), "{" PLAIN("a") ",'ReturnValues':'ALL_OLD'}");
    EQ_STR(service_at(out, "Attributes.n.N"), "6");
    json_decref(out);
    out = service_ask(h, 200, DDB("DeleteItem"), "{" PLAIN("a") ",'ReturnValues':'ALL_OLD'}");
    EQ_INT(json_object_size(out), 0);
    json_decref(out);
    ddb_invalid_is(h, DDB("PutItem"),
                   "{'TableName':'plain','Item':{'k':{'S':'a'}},'ReturnValues':'ALL_NEW'}",
                   "ReturnValues can only be ALL_OLD or NONE");
    harness_free(h);
}

TEST(a_failed_condition_shows_the_item_when_asked)
{
    struct harness *h = start();
    json_t *out;

    put_a(h);
    out = service_ask(h, 400, DDB("PutItem"),
                      "{'TableName':'plain','Item':{'k':{'S':'a'}},'ConditionExpression':"
                      "'attribute_not_exists(k)','ReturnValuesOnConditionCheckFailure':'ALL_OLD'}");
    EQ_STR(service_at(out, "__type"), DYNAMO "ConditionalCheckFailedException");
    EQ_STR(service_at(out, "message"), "The conditional request failed");
    EQ_STR(service_at(out, "Item.s.S"), "still");
    json_decref(out);
    out = service_ask(h, 400, DDB("DeleteItem"),
                      "{" PLAIN("a") ",'ConditionExpression':'n > :n','ExpressionAttributeValues':"
                                     "{':n':{'N':'1'}}}");
    YES(json_object_get(out, "Item") == NULL);
    json_decref(out);
    /* There is no item to show. */
    out = service_ask(h, 400, DDB("DeleteItem"),
                      "{" PLAIN("none") ",'ConditionExpression':'attribute_exists(k)',"
                                        "'ReturnValuesOnConditionCheckFailure':'ALL_OLD'}");
    YES(json_object_get(out, "Item") == NULL);
    json_decref(out);
    harness_free(h);
}

TEST(capacity_is_told_by_table_and_index)
{
    struct harness *h = start();
    json_t *out = service_ask(h, 200, DDB("PutItem"),
                              "{'TableName':'things','Item':{'h':{'S':'a'},'r':{'N':'1'},'g':"
                              "{'S':'g'},'l':{'S':'l'}},'ReturnConsumedCapacity':'INDEXES',"
                              "'ReturnItemCollectionMetrics':'SIZE'}");
    const json_t *used = json_object_get(out, "ConsumedCapacity");

    EQ_STR(service_at(used, "TableName"), "things");
    YES(json_number_value(json_object_get(used, "CapacityUnits")) == 4);
    YES(json_number_value(json_object_get(json_object_get(used, "Table"), "CapacityUnits")) == 1);
    EQ_INT(json_object_size(json_object_get(used, "GlobalSecondaryIndexes")), 2);
    EQ_INT(json_object_size(json_object_get(used, "LocalSecondaryIndexes")), 1);
    EQ_STR(service_at(out, "ItemCollectionMetrics.ItemCollectionKey.h.S"), "a");
    EQ_STR(service_at(out, "ItemCollectionMetrics.SizeEstimateRangeGB.1"), "1");
    json_decref(out);
    /* Changing what no index shows but the one that shows all. */
    out = service_ask(h, 200, DDB("UpdateItem"),
                      "{" THING("a", "1") ",'UpdateExpression':'SET x = :x',"
                                          "'ExpressionAttributeValues':{':x':{'S':'x'}},"
                                          "'ReturnConsumedCapacity':'TOTAL'}");
    used = json_object_get(out, "ConsumedCapacity");
    YES(json_number_value(json_object_get(used, "CapacityUnits")) == 2);
    YES(json_object_get(used, "Table") == NULL);
    json_decref(out);
    out = service_ask(h, 200, DDB("GetItem"),
                      "{" THING("a", "1") ",'ReturnConsumedCapacity':'TOTAL'}");
    YES(json_number_value(
            json_object_get(json_object_get(out, "ConsumedCapacity"), "CapacityUnits")) == 0.5);
    json_decref(out);
    out = service_ask(h, 200, DDB("TransactGetItems"),
                      "{'TransactItems':[{'Get':{" THING("a", "1") "}},{'Get':{" THING(
                          "b", "1") "}}],'ReturnConsumedCapacity':'TOTAL'}");
    YES(json_number_value(json_object_get(
            json_array_get(json_object_get(out, "ConsumedCapacity"), 0), "ReadCapacityUnits")) ==
        4);
    EQ_STR(service_at(out, "Responses.0.Item.x.S"), "x");
    EQ_INT(json_object_size(json_array_get(json_object_get(out, "Responses"), 1)), 0);
    json_decref(out);
    harness_free(h);
}

/* ---- what is refused ---- */

static void no_put(struct harness *h, const char *item, const char *text)
{
    char body[900];

    snprintf(body, sizeof(body), "{'TableName':'things','Item':{%s}}", item);
    ddb_invalid_is(h, DDB("PutItem"), body, text);
}

TEST(items_that_do_not_fit_the_table_are_refused)
{
    struct harness *h = start();

    no_put(h, "'h':{'S':'a'}", ONE_OR_MORE "Missing the key r in the item");
    no_put(h, "'h':{'N':'1'},'r':{'N':'1'}",
           ONE_OR_MORE "Type mismatch for key h expected: S actual: N");
    no_put(h, "'h':{'S':'a'},'r':{'N':'1'},'g':{'N':'1'}",
           ONE_OR_MORE "Type mismatch for Index Key g Expected: S Actual: N IndexName: by_g");
    no_put(h, "'h':{'S':''},'r':{'N':'1'}",
           "One or more parameter values are not valid. The AttributeValue for a key attribute "
           "cannot contain an empty string value. Key: h");
    ddb_invalid_is(h, DDB("GetItem"), "{'TableName':'things','Key':{'h':{'S':'a'}}}",
                   "The provided key element does not match the schema");
    ddb_invalid_is(h, DDB("UpdateItem"),
                   "{" THING("a", "1") ",'UpdateExpression':'SET r = :r',"
                                       "'ExpressionAttributeValues':{':r':{'N':'2'}}}",
                   ONE_OR_MORE "Cannot update attribute r. This attribute is part of the key");
    ddb_invalid_is(h, DDB("UpdateItem"),
                   "{" THING("a", "1") ",'UpdateExpression':'SET g = :g',"
                                       "'ExpressionAttributeValues':{':g':{'N':'2'}}}",
                   "The update expression attempted to update the secondary index key to "
                   "unsupported type");
    harness_free(h);
}

TEST(values_that_cannot_be_are_refused)
{
    struct harness *h = start();

    no_put(h, "'h':{'S':'a'},'r':{'N':'1'},'x':{}",
           "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes");
    no_put(h, "'h':{'S':'a'},'r':{'N':'1'},'x':{'S':'a','N':'1'}",
           "Supplied AttributeValue has more than one datatypes set, must contain exactly one of "
           "the supported datatypes");
    no_put(h, "'h':{'S':'a'},'r':{'N':'1'},'x':{'N':'b'}",
           "The parameter cannot be converted to a numeric value: b");
    no_put(h, "'h':{'S':'a'},'r':{'N':'1'},'x':{'N':'123456789012345678901234567890123456789'}",
           "Attempting to store more than 38 significant digits in a Number");
    no_put(h, "'h':{'S':'a'},'r':{'N':'1'},'x':{'N':'1e126'}",
           "Number overflow. Attempting to store a number with magnitude larger than supported "
           "range");
    no_put(h, "'h':{'S':'a'},'r':{'N':'1'},'x':{'SS':[]}",
           ONE_OR_MORE "An string set  may not be empty");
    no_put(h, "'h':{'S':'a'},'r':{'N':'1'},'x':{'SS':['a','a']}",
           ONE_OR_MORE "Input collection [a, a] contains duplicates.");
    no_put(h, "'h':{'S':'a'},'r':{'N':'1'},'x':{'NULL':false}",
           ONE_OR_MORE "Null attribute value types must have the value of true");
    /* Empty texts and bytes are fine where there is no key. */
    SERVICE_DO(h, 200, DDB("PutItem"),
               "{'TableName':'things','Item':{'h':{'S':'a'},'r':{'N':'1'},'x':{'S':''},"
               "'y':{'B':''}}}");
    harness_free(h);
}

TEST(an_item_has_400_kib_at_most)
{
    struct harness *h = start();
    char *body = malloc(500000);
    size_t n = (size_t)sprintf(body, "{'TableName':'plain','Item':{'k':{'S':'a'},'v':{'S':'");

    /* k, a and v are three bytes more. */
    memset(body + n, 'x', 400 * 1024 - 3);
    strcpy(body + n + 400 * 1024 - 3, "'}}}");
    SERVICE_DO(h, 200, DDB("PutItem"), "%s", body);
    strcpy(body + n + 400 * 1024 - 3, "x'}}}");
    ddb_invalid_is(h, DDB("PutItem"), body, "Item size has exceeded the maximum allowed size");
    free(body);
    ddb_invalid_is(h, DDB("UpdateItem"),
                   "{" PLAIN("a") ",'UpdateExpression':'SET w = :w','ExpressionAttributeValues':"
                                  "{':w':{'S':'x'}}}",
                   "Item size to update has exceeded the maximum allowed size");
    harness_free(h);
}

TEST(parameters_that_do_not_go_together_are_refused)
{
    struct harness *h = start();

    ddb_invalid_is(h, DDB("PutItem"),
                   "{'TableName':'plain','Item':{'k':{'S':'a'}},'Expected':{'k':{'Exists':false}},"
                   "'ConditionExpression':'attribute_not_exists(k)'}",
                   "Can not use both expression and non-expression parameters in the same request: "
                   "Non-expression parameters: {Expected} Expression parameters: "
                   "{ConditionExpression}");
    ddb_invalid_is(h, DDB("UpdateItem"),
                   "{" PLAIN("a") ",'ExpressionAttributeValues':{':a':{'S':'x'}}}",
                   "ExpressionAttributeValues can only be specified when using expressions: "
                   "UpdateExpression and ConditionExpression are null");
    ddb_invalid_is(h, DDB("DeleteItem"),
                   "{" PLAIN("a") ",'ExpressionAttributeValues':{':a':{'S':'x'}}}",
                   "ExpressionAttributeValues can only be specified when using expressions: "
                   "ConditionExpression is null");
    ddb_invalid_is(h, DDB("DeleteItem"), "{" PLAIN("a") ",'ExpressionAttributeNames':{'#a':'x'}}",
                   "ExpressionAttributeNames can only be specified when using expressions");
    ddb_invalid_is(h, DDB("DeleteItem"), "{" PLAIN("a") ",'ConditionalOperator':'OR'}",
                   "ConditionalOperator cannot be used without Filter or Expected");
    ddb_invalid_is(h, DDB("DeleteItem"),
                   "{" PLAIN("a") ",'ConditionalOperator':'OR','Expected':{'a':{'Exists':false}}}",
                   "ConditionalOperator can only be used when Filter or Expected has two or more "
                   "elements");
    ddb_invalid_is(h, DDB("GetItem"), "{" PLAIN("a") ",'AttributesToGet':['a','a']}",
                   ONE_OR_MORE "Duplicate value in attribute name: a");
    ddb_invalid_is(h, DDB("PutItem"), "{'TableName':'plain','ReturnValues':'x'}",
                   "2 validation errors detected: Value null at 'item' failed to satisfy "
                   "constraint: Member must not be null; Value 'x' at 'returnValues' failed to "
                   "satisfy constraint: Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, "
                   "ALL_OLD, NONE, UPDATED_NEW]");
    harness_free(h);
}

/* ---- batches ---- */

TEST(a_batch_has_at_most_25_writes_and_100_reads)
{
    struct harness *h = start();
    char *body = malloc(20000);
    size_t n = (size_t)sprintf(body, "{'RequestItems':{'plain':[");

    for (int i = 0; i < 26; i++)
        n += (size_t)sprintf(body + n, "%s{'PutRequest':{'Item':{'k':{'S':'%d'}}}}", i ? "," : "",
                             i);
    strcpy(body + n, "]}}");
    ddb_invalid_is(h, DDB("BatchWriteItem"), body,
                   "Too many items requested for the BatchWriteItem call");
    n = (size_t)sprintf(body, "{'RequestItems':{'plain':{'Keys':[");
    for (int i = 0; i < 101; i++)
        n += (size_t)sprintf(body + n, "%s{'k':{'S':'%d'}}", i ? "," : "", i);
    strcpy(body + n, "]}}}");
    ddb_invalid_is(h, DDB("BatchGetItem"), body,
                   "Too many items requested for the BatchGetItem call");
    free(body);
    ddb_invalid_is(h, DDB("BatchWriteItem"), "{'RequestItems':{}}",
                   "1 validation error detected: Value '{}' at 'requestItems' failed to satisfy "
                   "constraint: Member must have length greater than or equal to 1");
    ddb_invalid_is(h, DDB("BatchWriteItem"),
                   "{'RequestItems':{'plain':[{'PutRequest':{'Item':{'k':{'S':'a'}}}},"
                   "{'DeleteRequest':{'Key':{'k':{'S':'a'}}}}]}}",
                   "Provided list of item keys contains duplicates");
    harness_free(h);
}

TEST(a_batch_that_is_refused_writes_nothing)
{
    struct harness *h = start();
    json_t *out;

    SERVICE_DO(h, 400, DDB("BatchWriteItem"),
               "{'RequestItems':{'plain':[{'PutRequest':{'Item':{'k':{'S':'a'}}}},"
               "{'PutRequest':{'Item':{'x':{'S':'a'}}}}]}}");
    out = service_ask(h, 200, DDB("GetItem"), "{" PLAIN("a") "}");
    YES(json_object_get(out, "Item") == NULL);
    json_decref(out);
    harness_free(h);
}

TEST(what_a_fault_keeps_from_being_done_is_answered_as_unprocessed)
{
    static const char rule[] = "{\"fault\":\"partial\",\"share\":0.5,\"seed\":7}";
    struct harness *h = start();
    const char *body = "";
    char list[2000];
    size_t n = 0, left, kept;
    json_t *out;

    for (int i = 0; i < 20; i++)
        n += (size_t)snprintf(list + n, sizeof(list) - n,
                              "%s{'PutRequest':{'Item':{'k':{'S':'%d'}}}}", i ? "," : "", i);
    EQ_INT(harness_get(h, "POST", "/_kpipe/faults", rule, &body), 200);
    out = service_ask(h, 200, DDB("BatchWriteItem"), "{'RequestItems':{'plain':[%s]}}", list);
    left = json_array_size(json_object_get(json_object_get(out, "UnprocessedItems"), "plain"));
    YES(left > 0 && left < 20);
    YES(service_at(out, "UnprocessedItems.plain.0.PutRequest.Item.k.S")[0] != '\0');
    json_decref(out);
    EQ_INT(harness_get(h, "DELETE", "/_kpipe/faults", NULL, &body), 200);
    out = service_ask(h, 200, DDB("Scan"), "{'TableName':'plain'}");
    kept = (size_t)atol(service_at(out, "Count"));
    EQ_INT(kept + left, 20);
    json_decref(out);
    harness_free(h);
}

TEST(reads_beyond_16_mib_are_left_for_the_next_call)
{
    struct harness *h = start();
    char *body = malloc(500000), keys[3000];
    size_t n = 0, got, left;
    json_t *out;

    for (int i = 0; i < 45; i++) {
        size_t at =
            (size_t)sprintf(body, "{'TableName':'plain','Item':{'k':{'S':'%d'},'v':{'S':'", i);

        memset(body + at, 'x', 390000);
        strcpy(body + at + 390000, "'}}}");
        SERVICE_DO(h, 200, DDB("PutItem"), "%s", body);
        n += (size_t)sprintf(keys + n, "%s{'k':{'S':'%d'}}", i ? "," : "", i);
    }
    free(body);
    out = service_ask(h, 200, DDB("BatchGetItem"),
                      "{'RequestItems':{'plain':{'Keys':[%s],'ConsistentRead':true}}}", keys);
    got = json_array_size(json_object_get(json_object_get(out, "Responses"), "plain"));
    left = json_array_size(
        json_object_get(json_object_get(json_object_get(out, "UnprocessedKeys"), "plain"), "Keys"));
    EQ_INT(got + left, 45);
    EQ_INT(got, 44); /* the one that crosses the 16 MiB is the last */
    json_decref(out);
    harness_free(h);
}

/* ---- transactions ---- */

#define TOKEN_PUT(value)                                                                     \
    "{'ClientRequestToken':'once','TransactItems':[{'Update':{" PLAIN(                       \
        "a") ",'UpdateExpression':'ADD n :n','ExpressionAttributeValues':{':n':{'N':'" value \
             "'}}}}]}"

TEST(a_transaction_with_a_token_is_done_once)
{
    const char *dir = kptest_dir();
    struct harness *h = service_start(dir);
    json_t *out;

    SERVICE_DO(h, 200, DDB("CreateTable"), DDB_PLAIN);
    SERVICE_DO(h, 200, DDB("TransactWriteItems"), TOKEN_PUT("1"));
    SERVICE_DO(h, 200, DDB("TransactWriteItems"), TOKEN_PUT("1"));
    harness_free(h);
    h = service_start(dir);
    SERVICE_DO(h, 200, DDB("TransactWriteItems"), TOKEN_PUT("1"));
    ddb_refused(h, DDB("TransactWriteItems"), TOKEN_PUT("2"),
                DYNAMO "IdempotentParameterMismatchException", NULL);
    out = service_ask(h, 200, DDB("GetItem"), "{" PLAIN("a") "}");
    EQ_STR(service_at(out, "Item.n.N"), "1");
    json_decref(out);
    harness_advance(h, 600000);
    SERVICE_DO(h, 200, DDB("TransactWriteItems"), TOKEN_PUT("2"));
    out = service_ask(h, 200, DDB("GetItem"), "{" PLAIN("a") "}");
    EQ_STR(service_at(out, "Item.n.N"), "3");
    json_decref(out);
    harness_free(h);
}

TEST(a_transaction_tells_the_reason_of_each_entry)
{
    struct harness *h = start();
    json_t *out;

    put_a(h);
    out = service_ask(
        h, 400, DDB("TransactWriteItems"),
        "{'TransactItems':[{'Put':{'TableName':'plain','Item':{'k':{'S':'b'}}}},"
        "{'Delete':{" PLAIN(
            "a") ",'ConditionExpression':'n = :n','ExpressionAttributeValues':"
                 "{':n':{'N':'7'}},'ReturnValuesOnConditionCheckFailure':'ALL_OLD'}"
                 "},{'Put':{'TableName':'plain','Item':{'x':{'S':'b'}}}},"
                 "{'Update':{" PLAIN(
                     "c") ",'UpdateExpression':'SET n = m + :n','ExpressionAttributeValues':{':n':"
                          "{'N':'1'}}}}]}");
    EQ_STR(service_at(out, "message"),
           "Transaction cancelled, please refer cancellation reasons for specific reasons [None, "
           "ConditionalCheckFailed, ValidationError, ValidationError]");
    EQ_STR(service_at(out, "CancellationReasons.0.Code"), "None");
    EQ_STR(service_at(out, "CancellationReasons.0.Message"), "");
    EQ_STR(service_at(out, "CancellationReasons.1.Message"), "The conditional request failed");
    EQ_STR(service_at(out, "CancellationReasons.1.Item.s.S"), "still");
    EQ_STR(service_at(out, "CancellationReasons.2.Message"),
           ONE_OR_MORE "Missing the key k in the item");
    EQ_STR(service_at(out, "CancellationReasons.3.Message"),
           "The provided expression refers to an attribute that does not exist in the item");
    json_decref(out);
    ddb_invalid_is(h, DDB("TransactWriteItems"),
                   "{'TransactItems':[{'Delete':{" PLAIN("a") "}},{'Put':{'TableName':'plain',"
                                                              "'Item':{'k':{'S':'a'}}}}]}",
                   "Transaction request cannot include multiple operations on one item");
    harness_free(h);
}

/* ---- many at once ---- */

enum { WRITERS = 16, ROUNDS = 20 };

static struct harness_exchange *begin_increment(struct harness *h, long seen)
{
    char headers[200], body[600];

    service_headers(DDB("UpdateItem"), headers);
    snprintf(body, sizeof(body),
             "{\"TableName\":\"plain\",\"Key\":{\"k\":{\"S\":\"a\"}},\"UpdateExpression\":"
             "\"SET n = :next\",\"ConditionExpression\":\"n = :seen\","
             "\"ExpressionAttributeValues\":{\":seen\":{\"N\":\"%ld\"},\":next\":{\"N\":\"%ld\"}},"
             "\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\"}",
             seen, seen + 1);
    return harness_request_begin(h, "POST", "/", headers, body, strlen(body));
}

/* True: it was this one that counted up. Otherwise *seen is what the others made of it. */
static bool end_increment(struct harness *h, struct harness_exchange *x, long *seen)
{
    const char *answer = "";
    int status = harness_request_end(h, x, &answer);
    json_t *out = json_loads(answer, 0, NULL);

    if (status == 200) {
        ++*seen;
    } else {
        EQ_STR(service_at(out, "__type"), DYNAMO "ConditionalCheckFailedException");
        YES(atol(service_at(out, "Item.n.N")) > *seen);
        *seen = atol(service_at(out, "Item.n.N"));
    }
    json_decref(out);
    return status == 200;
}

TEST(a_counter_loses_nothing_when_many_connections_write_it_at_once)
{
    struct harness *h = start();
    long seen[WRITERS], done = 0;
    json_t *out;

    put_a(h);
    for (int w = 0; w < WRITERS; w++)
        seen[w] = 1;
    for (int round = 0; round < ROUNDS; round++) {
        struct harness_exchange *all[WRITERS];
        long before = done;

        for (int w = 0; w < WRITERS; w++)
            all[w] = begin_increment(h, seen[w]);
        for (int w = 0; w < WRITERS; w++)
            done += end_increment(h, all[w], &seen[w]);
        YES(done > before); /* whoever came first has counted */
    }
    out = service_ask(h, 200, DDB("GetItem"), "{" PLAIN("a") ",'ConsistentRead':true}");
    EQ_INT(atol(service_at(out, "Item.n.N")), 1 + done);
    YES(done < WRITERS * ROUNDS);
    json_decref(out);
    harness_free(h);
}

TEST(writes_are_answered_after_one_sync_for_many)
{
    char options[4400];
    const char *dir = kptest_dir();
    struct harness *h;
    struct harness_exchange *all[WRITERS];
    const char *answer = "";
    int64_t syncs;
    json_t *out;

    snprintf(options, sizeof(options), "{ dir = '%s', durability = 'fsync' }", dir);
    h = ddb_start(options);
    SERVICE_DO(h, 200, DDB("CreateTable"), DDB_PLAIN);
    syncs = harness_counter(h, "state_commits");
    for (int w = 0; w < WRITERS; w++) {
        char headers[200], body[200];

        service_headers(DDB("PutItem"), headers);
        snprintf(body, sizeof(body), "{\"TableName\":\"plain\",\"Item\":{\"k\":{\"S\":\"%d\"}}}",
                 w);
        all[w] = harness_request_begin(h, "POST", "/", headers, body, strlen(body));
    }
    for (int w = 0; w < WRITERS; w++)
        EQ_INT(harness_request_end(h, all[w], &answer), 200);
    syncs = harness_counter(h, "state_commits") - syncs;
    YES(syncs >= 1);
    YES(syncs <= WRITERS);
    harness_free(h);
    h = ddb_start(options);
    out = service_ask(h, 200, DDB("Scan"), "{'TableName':'plain'}");
    EQ_STR(service_at(out, "Count"), "16");
    json_decref(out);
    harness_free(h);
}
