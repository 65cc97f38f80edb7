/* query_test.c - DynamoDB's Query and Scan: keys, indexes, filters, pages, and wrong ones. */
#include "plugins/local-aws/dynamodb/dynamodb_test.h"

/* Items a/1 .. a/9 and b/5; g is "g" for odd ones; l counts down. */
static struct harness *start(void)
{
    struct harness *h = service_start(NULL);

    SERVICE_DO(h, 200, DDB("CreateTable"), DDB_THINGS);
    for (int i = 1; i <= 9; i++)
        SERVICE_DO(h, 200, DDB("PutItem"),
                   "{'TableName':'things','Item':{'h':{'S':'a'},'r':{'N':'%d'},'l':{'S':'l%d'},"
                   "'v':{'S':'v%d'}%s}}",
                   i, 9 - i, i, i % 2 ? ",'g':{'S':'g'}" : "");
    SERVICE_DO(h, 200, DDB("PutItem"),
               "{'TableName':'things','Item':{'h':{'S':'b'},'r':{'N':'5'}}}");
    return h;
}

/* The sort keys a Query gives. [static buffer] */
static const char *keys(struct harness *h, const char *condition, const char *values,
                        const char *more)
{
    static char out[300];
    json_t *answer = service_ask(h, 200, DDB("Query"),
                                 "{'TableName':'things','KeyConditionExpression':'%s',"
                                 "'ExpressionAttributeValues':{%s}%s}",
                                 condition, values, more);
    const json_t *items = json_object_get(answer, "Items");
    size_t n = 0;

    out[0] = '\0';
    for (size_t i = 0; i < json_array_size(items); i++)
        n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%s", i ? " " : "",
                              service_at(json_array_get(items, i), "r.N"));
    json_decref(answer);
    return out;
}

#define H_A "':h':{'S':'a'}"

TEST(a_query_follows_the_sort_key)
{
    struct harness *h = start();

    EQ_STR(keys(h, "h = :h", H_A, ""), "1 2 3 4 5 6 7 8 9");
    EQ_STR(keys(h, "h = :h AND r > :r", H_A ",':r':{'N':'7'}", ""), "8 9");
    EQ_STR(keys(h, "h = :h AND r >= :r", H_A ",':r':{'N':'7.0'}", ""), "7 8 9");
    EQ_STR(keys(h, "h = :h AND r < :r", H_A ",':r':{'N':'3'}", ""), "1 2");
    EQ_STR(keys(h, "r <= :r AND h = :h", H_A ",':r':{'N':'3'}", ""), "1 2 3");
    EQ_STR(keys(h, "h = :h AND r BETWEEN :a AND :b", H_A ",':a':{'N':'4'},':b':{'N':'6'}", ""),
           "4 5 6");
    EQ_STR(keys(h, "h = :h", H_A, ",'ScanIndexForward':false,'Limit':3"), "9 8 7");
    EQ_STR(keys(h, "(h = :h) AND (r = :r)", H_A ",':r':{'N':'2'}", ""), "2");
    harness_free(h);
}

TEST(a_local_index_sorts_by_another_attribute)
{
    struct harness *h = start();
    json_t *out;

    EQ_STR(keys(h, "h = :h", H_A, ",'IndexName':'by_l'"), "9 8 7 6 5 4 3 2 1");
    EQ_STR(keys(h, "h = :h AND begins_with(l, :l)", H_A ",':l':{'S':'l3'}", ",'IndexName':'by_l'"),
           "6");
    EQ_STR(keys(h, "h = :h AND begins_with(l, :l)", H_A ",':l':{'S':'l'}",
                ",'IndexName':'by_l','ScanIndexForward':false,'Limit':2"),
           "1 2");
    out = service_ask(h, 200, DDB("Query"),
                      "{'TableName':'things','IndexName':'by_l','KeyConditionExpression':'h = :h "
                      "AND l = :l','ExpressionAttributeValues':{" H_A ",':l':{'S':'l8'}}}");
    EQ_STR(service_at(out, "Items.0.v.S"), ""); /* the index shows the keys */
    json_decref(out);
    out = service_ask(h, 200, DDB("Query"),
                      "{'TableName':'things','IndexName':'by_l','KeyConditionExpression':'h = :h "
                      "AND l = :l','ExpressionAttributeValues':{" H_A ",':l':{'S':'l8'}},"
                      "'ProjectionExpression':'v'}");
    EQ_STR(service_at(out, "Items.0.v.S"), "v1"); /* and the table has the rest */
    json_decref(out);
    out = service_ask(h, 200, DDB("Query"),
                      "{'TableName':'things','IndexName':'by_l','KeyConditionExpression':'h = :h "
                      "AND l = :l','ExpressionAttributeValues':{" H_A ",':l':{'S':'l8'}},"
                      "'Select':'ALL_ATTRIBUTES'}");
    EQ_STR(service_at(out, "Items.0.v.S"), "v1");
    json_decref(out);
    harness_free(h);
}

TEST(a_global_index_holds_only_items_that_have_its_keys)
{
    static const char body[] =
        "{'TableName':'things','IndexName':'by_a','KeyConditionExpression':'g = :g AND r > :r',"
        "'ExpressionAttributeValues':{':g':{'S':'g'},':r':{'N':'2'}},'Limit':2%s}";
    struct harness *h = start();
    json_t *out = service_ask(h, 200, DDB("Query"), body, "");
    char next[300];

    EQ_STR(service_at(out, "Items.0.v.S"), "v3");
    EQ_STR(service_at(out, "Items.1.v.S"), "v5");
    EQ_STR(service_at(out, "LastEvaluatedKey.g.S"), "g");
    EQ_STR(service_at(out, "LastEvaluatedKey.h.S"), "a");
    EQ_STR(service_at(out, "LastEvaluatedKey.r.N"), "5");
    json_decref(out);
    snprintf(next, sizeof(next), "%s",
             ",'ExclusiveStartKey':{'g':{'S':'g'},'h':{'S':'a'},'r':{'N':'5'}}");
    out = service_ask(h, 200, DDB("Query"), body, next);
    EQ_STR(service_at(out, "Items.0.v.S"), "v7");
    EQ_STR(service_at(out, "Items.1.v.S"), "v9");
    json_decref(out);
    /* The key changes, the entry moves. */
    SERVICE_DO(h, 200, DDB("UpdateItem"),
               "{'TableName':'things','Key':{'h':{'S':'a'},'r':{'N':'3'}},'UpdateExpression':"
               "'SET g = :g','ExpressionAttributeValues':{':g':{'S':'other'}}}");
    EQ_STR(keys(h, "g = :g", "':g':{'S':'g'}", ",'IndexName':'by_a'"), "1 5 7 9");
    EQ_STR(keys(h, "g = :g", "':g':{'S':'other'}", ",'IndexName':'by_a'"), "3");
    harness_free(h);
}

TEST(a_filter_works_behind_the_limit)
{
    struct harness *h = start();
    json_t *out = service_ask(h, 200, DDB("Query"),
                              "{'TableName':'things','KeyConditionExpression':'h = :h',"
                              "'FilterExpression':'v = :v','ExpressionAttributeValues':{" H_A
                              ",':v':{'S':'v9'}},'Limit':4}");

    EQ_STR(service_at(out, "Count"), "0");
    EQ_STR(service_at(out, "ScannedCount"), "4");
    EQ_STR(service_at(out, "LastEvaluatedKey.r.N"), "4");
    json_decref(out);
    out = service_ask(h, 200, DDB("Query"),
                      "{'TableName':'things','KeyConditions':{'h':{'ComparisonOperator':'EQ',"
                      "'AttributeValueList':[{'S':'a'}]}},'QueryFilter':{'v':{'ComparisonOperator':"
                      "'IN','AttributeValueList':[{'S':'v1'},{'S':'v2'}]},'g':"
                      "{'ComparisonOperator':'NOT_NULL'}},'ConditionalOperator':'AND'}");
    EQ_STR(service_at(out, "Count"), "1");
    EQ_STR(service_at(out, "ScannedCount"), "9");
    YES(json_object_get(out, "LastEvaluatedKey") == NULL);
    json_decref(out);
    out = service_ask(h, 200, DDB("Scan"),
                      "{'TableName':'things','ScanFilter':{'v':{'ComparisonOperator':'NULL'},"
                      "'g':{'ComparisonOperator':'EQ','AttributeValueList':[{'S':'g'}]}},"
                      "'ConditionalOperator':'OR','Select':'COUNT'}");
    EQ_STR(service_at(out, "Count"), "6");
    EQ_STR(service_at(out, "ScannedCount"), "10");
    json_decref(out);
    harness_free(h);
}

TEST(a_page_ends_at_one_mebibyte)
{
    struct harness *h = service_start(NULL);
    char *body = malloc(400000), start_key[200] = "";
    int pages = 0, items = 0;
    json_t *out;

    SERVICE_DO(h, 200, DDB("CreateTable"), DDB_PLAIN);
    for (int i = 0; i < 7; i++) {
        size_t n =
            (size_t)sprintf(body, "{'TableName':'plain','Item':{'k':{'S':'%d'},'v':{'S':'", i);

        memset(body + n, 'x', 300000);
        strcpy(body + n + 300000, "'}}}");
        SERVICE_DO(h, 200, DDB("PutItem"), "%s", body);
    }
    free(body);
    do {
        out = service_ask(h, 200, DDB("Scan"), "{'TableName':'plain'%s}", start_key);
        pages++;
        items += atoi(service_at(out, "Count"));
        snprintf(start_key, sizeof(start_key), ",'ExclusiveStartKey':{'k':{'S':'%s'}}",
                 service_at(out, "LastEvaluatedKey.k.S"));
        if (!json_object_get(out, "LastEvaluatedKey"))
            start_key[0] = '\0';
        json_decref(out);
    } while (start_key[0]);
    EQ_INT(items, 7);
    EQ_INT(pages, 2); /* 4 and 3: the item that crosses the limit is the last of its page */
    harness_free(h);
}

/* ---- wrong ones ---- */

static void no_query(struct harness *h, const char *members, const char *text)
{
    char body[1200];

    snprintf(body, sizeof(body), "{'TableName':'things',%s}", members);
    ddb_invalid_is(h, DDB("Query"), body, text);
}

#define KEY_CONDITION(text, values) \
    "'KeyConditionExpression':'" text "','ExpressionAttributeValues':{" values "}"

TEST(wrong_key_conditions_are_refused_in_dynamodbs_words)
{
    struct harness *h = start();

    no_query(h, "'Limit':1",
             "Either the KeyConditions or KeyConditionExpression parameter must be specified in "
             "the request.");
    no_query(h, KEY_CONDITION("r = :r", "':r':{'N':'1'}"),
             "Query condition missed key schema element: h");
    no_query(h, KEY_CONDITION("h > :h", H_A), "Query key condition not supported");
    no_query(h, KEY_CONDITION("h = :h AND v = :v", H_A ",':v':{'S':'x'}"),
             "Query condition missed key schema element: r");
    no_query(h, KEY_CONDITION("h = :h OR r = :r", H_A ",':r':{'N':'1'}"),
             "Invalid operator used in KeyConditionExpression: OR");
    no_query(h, KEY_CONDITION("h = :h AND r <> :r", H_A ",':r':{'N':'1'}"),
             "Invalid operator used in KeyConditionExpression: <>");
    no_query(h, KEY_CONDITION("h = :h AND h = :i", H_A ",':i':{'S':'1'}"),
             "KeyConditionExpressions must only contain one condition per key");
    no_query(h, KEY_CONDITION("h = :h", "':h':{'N':'1'}"),
             ONE_OR_MORE "Condition parameter type does not match schema type");
    no_query(h,
             "'KeyConditions':{'h':{'ComparisonOperator':'EQ','AttributeValueList':[{'S':'a'}]},"
             "'r':{'ComparisonOperator':'NE','AttributeValueList':[{'N':'1'}]}}",
             "Attempted conditional constraint is not an indexable operation");
    no_query(h, KEY_CONDITION("h = :h", H_A ",':v':{'N':'1'}") ",'FilterExpression':'r = :v'",
             "Filter Expression can only contain non-primary key attributes: Primary key "
             "attribute: r");
    harness_free(h);
}

TEST(wrong_reads_are_refused_in_dynamodbs_words)
{
#define READ KEY_CONDITION("h = :h", H_A) ","
    struct harness *h = start();

    no_query(h, READ "'IndexName':'none'", "The table does not have the specified index: none");
    no_query(h, READ "'Select':'SPECIFIC_ATTRIBUTES'",
             "Must specify the AttributesToGet or ProjectionExpression when choosing to get "
             "SPECIFIC_ATTRIBUTES");
    no_query(h, READ "'Select':'COUNT','ProjectionExpression':'v'",
             "Cannot specify the ProjectionExpression when choosing to get only the Count");
    no_query(h, READ "'Select':'ALL_PROJECTED_ATTRIBUTES'",
             ONE_OR_MORE "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an "
                         "IndexName");
    no_query(h,
             KEY_CONDITION("g = :g", "':g':{'S':'g'}") ",'IndexName':'by_g','ConsistentRead':true",
             "Consistent reads are not supported on global secondary indexes");
    no_query(h,
             KEY_CONDITION("g = :g", "':g':{'S':'g'}") ",'IndexName':'by_g','Select':"
                                                       "'ALL_ATTRIBUTES'",
             ONE_OR_MORE "Select type ALL_ATTRIBUTES is not supported for global secondary index "
                         "by_g because its projection type is not ALL");
    no_query(h,
             KEY_CONDITION("g = :g", "':g':{'S':'g'}") ",'IndexName':'by_g',"
                                                       "'ProjectionExpression':'v'",
             ONE_OR_MORE "Global secondary index by_g does not project [v]");
    no_query(h, READ "'ExclusiveStartKey':{'h':{'S':'a'}}",
             "The provided starting key is invalid: The provided key element does not match the "
             "schema");
    no_query(h, READ "'ExclusiveStartKey':{'h':{'S':'b'},'r':{'N':'1'}}",
             "The provided starting key is outside query boundaries based on provided conditions");
    no_query(h,
             KEY_CONDITION("h = :h AND r > :r", H_A ",':r':{'N':'5'}") ",'ExclusiveStartKey':"
                                                                       "{'h':{'S':'a'},'r':"
                                                                       "{'N':'1'}}",
             "The provided starting key does not match the range key predicate");
    no_query(h, READ "'Limit':0",
             "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: "
             "Member must have value greater than or equal to 1");
    harness_free(h);
#undef READ
}

TEST(segments_of_a_scan_go_together)
{
    struct harness *h = start();

    ddb_invalid_is(
        h, DDB("Scan"), "{'TableName':'things','Segment':0}",
        "The TotalSegments parameter is required but was not present in the request when "
        "Segment parameter is present");
    ddb_invalid_is(h, DDB("Scan"), "{'TableName':'things','TotalSegments':2}",
                   "The Segment parameter is required but was not present in the request when "
                   "parameter TotalSegments is present");
    ddb_invalid_is(h, DDB("Scan"), "{'TableName':'things','Segment':2,'TotalSegments':2}",
                   "The Segment parameter is zero-based and must be less than parameter "
                   "TotalSegments: Segment: 2 is not less than TotalSegments: 2");
    /* b is in the first half or in the second. */
    for (int segment = 0; segment < 2; segment++) {
        json_t *out = service_ask(h, 200, DDB("Scan"),
                                  "{'TableName':'things','Segment':%d,'TotalSegments':2,"
                                  "'FilterExpression':'h = :b','ExpressionAttributeValues':{':b':"
                                  "{'S':'b'}}}",
                                  segment);
        bool is_here = strcmp(service_at(out, "Count"), "1") == 0;

        json_decref(out);
        SERVICE_DO(h, is_here ? 200 : 400, DDB("Scan"),
                   "{'TableName':'things','Segment':%d,'TotalSegments':2,'ExclusiveStartKey':{'h':"
                   "{'S':'b'},'r':{'N':'5'}}}",
                   segment);
    }
    harness_free(h);
}
