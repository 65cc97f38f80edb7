/* Faults on demand: rules are read strictly, hit when they say, and spoil as they say. */
#include "plugins/local-aws/faults.h"

#include <string.h>

#include "plugins/local-aws/service_test.h"

/* Without limits of rates, which would refuse some requests here. */
static struct harness *start(void)
{
    struct harness *h = harness_new("local-aws", KP_SERVICE, "{ no_limits = true }");

    harness_start(h);
    return h;
}

static void has(const char *body, const char *part)
{
    if (!strstr(body, part))
        fprintf(stderr, "wanted %s in %s\n", part, body);
    YES(strstr(body, part) != NULL);
}

static void add(struct harness *h, const char *rule)
{
    const char *body = "";
    int status = harness_get(h, "POST", "/_kpipe/faults", rule, &body);

    if (status != 200)
        fprintf(stderr, "%s: %s\n", rule, body);
    EQ_INT(status, 200);
}

static void refused(const char *rule, const char *text)
{
    struct fault_request read;
    char why[300] = "";

    NO(faults_read(kpw_slice_cstr(rule), &read, why, sizeof why));
    if (strcmp(why, text) != 0)
        fprintf(stderr, "%s\n  got    %s\n  wanted %s\n", rule, why, text);
    EQ_STR(why, text);
}

static int kinesis(struct harness *h, const char *operation, const char *json, const char **ret)
{
    char headers[200], body[1000];

    snprintf(body, sizeof body, "%s", json);
    for (char *p = body; *p; p++)
        if (*p == '\'')
            *p = '"';
    snprintf(headers, sizeof headers,
             "Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: Kinesis_20131202.%s\r\n",
             operation);
    return harness_request(h, "POST", "/", headers, body, strlen(body), ret);
}

/* How many streams there are, with no rule in the way. */
static int streams(struct harness *h)
{
    const char *body;
    json_t *out;
    int n;

    EQ_INT(kinesis(h, "ListStreams", "{}", &body), 200);
    out = json_loads(body, 0, NULL);
    n = (int)json_array_size(json_object_get(out, "StreamNames"));
    json_decref(out);
    return n;
}

TEST(a_rule_that_is_wrong_is_refused_with_one_sentence)
{
    refused("", "not JSON: there is no text at line 1, column 1");
    refused("[]", "a rule is a JSON object");
    refused("{}", "rule 1: it does nothing: \"fault\" or \"latency_ms\" is missing");
    refused("{\"fault\":\"error\"", "not JSON: the text ends too early at line 1, column 17");
    refused("{\"fault\":\"error\"} x",
            "not JSON: there is something behind the value at line 1, column 19");
    refused("{\"fualt\":\"error\"}", "rule 1: unknown member \"fualt\"");
    refused("{\"fault\":\"error\",\"fault\":\"error\"}", "rule 1: \"fault\" is there twice");
    refused(
        "{\"fault\":\"boom\"}",
        "rule 1: \"fault\" must be \"error\", \"throttle\", \"reset_before\", \"reset_within\", "
        "\"reset_after\", \"partial\", \"wrong_shard\", \"expired_iterator\" or \"clock_jump\"");
    refused("{\"fault\":\"error\",\"probability\":1.5}",
            "rule 1: \"probability\" must be a number from 0 to 1");
    refused("{\"fault\":\"error\",\"count\":0}",
            "rule 1: \"count\" must be an integer from 1 to 1000000000");
    refused("{\"fault\":\"error\",\"status\":200}",
            "rule 1: \"status\" must be an integer from 400 to 599");
    refused("{\"fault\":\"throttle\",\"status\":500}",
            "rule 1: \"status\" does not go with the fault \"throttle\"");
    refused("{\"fault\":\"error\",\"service\":\"lambda\"}",
            "rule 1: there is no service \"lambda\" here");
    refused("{\"fault\":\"wrong_shard\",\"service\":\"sqs\"}",
            "rule 1: \"wrong_shard\" is a fault of the service \"kinesis\"");
    refused("{\"fault\":\"error\",\"code\":\"a\\u0000b\"}",
            "rule 1: \"code\" has a control character in it");
    refused("{\"latency_ms\":[200,100]}", "rule 1: \"latency_ms\" must not run backwards");
    refused("{\"latency_ms\":[1]}",
            "rule 1: \"latency_ms\" wants two numbers from 0 to 600000 in its list");
    refused(
        "{\"rules\":[{\"fault\":\"error\"},{\"fault\":1}]}",
        "rule 2: \"fault\" must be \"error\", \"throttle\", \"reset_before\", \"reset_within\", "
        "\"reset_after\", \"partial\", \"wrong_shard\", \"expired_iterator\" or \"clock_jump\"");
    refused("{\"fault\":\"clock_jump\"}", "rule 1: \"clock_jump\" wants \"jump_ms\"");
    refused("{\"clock_ms\":1,\"seed\":2}", "unknown member \"seed\"");
}

TEST(flights_are_found_until_they_land)
{
    static char places[1000][32]; /* stand for exchanges */
    struct local local = {0};
    struct local_target target = {.service = LOCAL_KINESIS, .operation = "PutRecord"};
    struct kpw_random random;
    bool is_open[1000] = {false};
    size_t n_open = 0;

    REQUIRE(flights_open(&local));
    kpw_random_init_from(&random, 5);
    for (int i = 0; i < 50000; i++) {
        size_t at = (size_t)kpw_random_below(&random, 1000);
        kp_exchange *x = (kp_exchange *)(void *)places[at];

        YES((flight_of(&local, x) != NULL) == is_open[at]);
        if (is_open[at])
            local_drop(&local, x);
        else
            REQUIRE(flight_begin(&local, x, &target) != NULL);
        n_open = is_open[at] ? n_open - 1 : n_open + 1;
        is_open[at] = !is_open[at];
    }
    EQ_INT(local.flights->n_open, n_open);
    for (size_t i = 0; i < 1000; i++)
        YES((flight_of(&local, (kp_exchange *)(void *)places[i]) != NULL) == is_open[i]);
    flights_close(&local);
}

TEST(operations_without_end_share_a_counter)
{
    struct local local = {0};
    struct local_target target = {.service = LOCAL_SQS};
    static char place[32];

    REQUIRE(flights_open(&local));
    for (int i = 0; i < 2000; i++) {
        snprintf(target.operation, sizeof target.operation, "Made%dUp", i);
        REQUIRE(flight_begin(&local, (kp_exchange *)(void *)place, &target) != NULL);
    }
    EQ_STR(local.flights->counters[FLIGHT_COUNTERS_MAX - 1].operation, "other");
    EQ_INT(local.flights->counters[FLIGHT_COUNTERS_MAX - 1].requests, 2000 - 511);
    flights_close(&local);
}

TEST(rules_are_listed_with_their_hits_and_deleted)
{
    struct harness *h = start();
    const char *body;

    EQ_INT(
        harness_get(h, "POST", "/_kpipe/faults",
                    "{\"rules\":[{\"service\":\"kinesis\",\"operation\":\"List*\",\"fault\":"
                    "\"error\",\"count\":1},{\"latency_ms\":0,\"fault\":\"throttle\",\"after\":9}]"
                    ",\"clock_ms\":5}",
                    &body),
        200);
    EQ_STR(body, "{\"ids\":[1,2]}\n");
    EQ_INT(kinesis(h, "ListStreams", "{}", &body), 500);
    EQ_INT(kinesis(h, "ListStreams", "{}", &body), 200);
    EQ_INT(harness_get(h, "GET", "/_kpipe/faults", NULL, &body), 200);
    EQ_STR(body, "{\"clock_ms\":5,\"rules\":[{\"id\":1,\"service\":\"kinesis\",\"operation\":"
                 "\"List*\",\"probability\":1,\"after\":0,\"every\":1,\"count\":1,\"fault\":"
                 "\"error\",\"matches\":1,\"hits\":1},{\"id\":2,\"service\":\"*\",\"operation\":"
                 "\"*\",\"probability\":1,\"after\":9,\"every\":1,\"fault\":\"throttle\","
                 "\"matches\":1,\"hits\":0}]}\n");
    EQ_INT(harness_get(h, "DELETE", "/_kpipe/faults/1", NULL, &body), 200);
    EQ_INT(harness_get(h, "DELETE", "/_kpipe/faults/1", NULL, &body), 404);
    EQ_INT(harness_get(h, "DELETE", "/_kpipe/faults/x", NULL, &body), 404);
    EQ_INT(harness_get(h, "DELETE", "/_kpipe/faults", NULL, &body), 200);
    EQ_STR(body, "{\"clock_ms\":0,\"rules\":[]}\n");
    EQ_INT(harness_get(h, "PUT", "/_kpipe/faults", "{}", &body), 405);
    EQ_INT(harness_get(h, "GET", "/_kpipe/other", NULL, &body), 404);
    harness_free(h);
}

TEST(a_page_of_a_browser_may_not_set_faults)
{
    struct harness *h = start();
    const char *body, *rule = "{\"fault\":\"error\"}";

    EQ_INT(harness_request(h, "POST", "/_kpipe/faults", "Origin: http://evil.example\r\n", rule,
                           strlen(rule), &body),
           403);
    EQ_STR(body, "{\"error\":\"only for programs of this machine\"}\n");
    EQ_INT(streams(h), 0);
    harness_free(h);
}

TEST(an_error_comes_in_the_form_of_its_service)
{
    struct harness *h = start();
    const char *body;

    add(h, "{\"fault\":\"error\",\"status\":503,\"code\":\"Oops\",\"message\":\"a <text>\"}");
    EQ_INT(kinesis(h, "ListStreams", "{}", &body), 503);
    EQ_STR(body, "{\"__type\":\"Oops\",\"message\":\"a <text>\"}");
    EQ_INT(harness_request(h, "POST", "/",
                           "Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: "
                           "DynamoDB_20120810.ListTables\r\n",
                           "{}", 2, &body),
           503);
    EQ_STR(body, "{\"__type\":\"com.amazonaws.dynamodb.v20120810#Oops\",\"message\":\"a <text>\"}");
    EQ_INT(harness_request(h, "POST", "/",
                           "Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: "
                           "AmazonSQS.ListQueues\r\n",
                           "{}", 2, &body),
           503);
    EQ_STR(harness_response_header(h, "x-amzn-query-error"), "Oops;Receiver");
    EQ_INT(harness_get(h, "GET", "/?Action=ListQueues", NULL, &body), 503);
    has(body, "<Type>Receiver</Type><Code>Oops</Code><Message>a &lt;text&gt;</Message>");
    EQ_INT(harness_get(h, "GET", "/bucket/key", NULL, &body), 503);
    has(body, "<Error><Code>Oops</Code><Message>a &lt;text&gt;</Message><RequestId>");
    harness_free(h);
}

TEST(each_service_throttles_in_its_own_words)
{
    struct harness *h = start();
    const char *body;

    add(h, "{\"fault\":\"throttle\"}");
    EQ_INT(kinesis(h, "PutRecord", "{}", &body), 400);
    has(body, "\"ProvisionedThroughputExceededException\"");
    EQ_INT(kinesis(h, "ListStreams", "{}", &body), 400);
    has(body, "\"LimitExceededException\"");
    EQ_INT(harness_request(h, "POST", "/", "X-Amz-Target: DynamoDB_20120810.PutItem\r\n", "{}", 2,
                           &body),
           400);
    has(body, "#ProvisionedThroughputExceededException\"");
    EQ_INT(
        harness_request(h, "POST", "/", "X-Amz-Target: AmazonSQS.SendMessage\r\n", "{}", 2, &body),
        400);
    has(body, "#RequestThrottled\"");
    EQ_INT(harness_get(h, "GET", "/bucket/key", NULL, &body), 503);
    has(body, "<Code>SlowDown</Code>");
    EQ_INT(harness_get(h, "GET", "/?Action=GetCallerIdentity&Version=2011-06-15", NULL, &body),
           400);
    has(body, "<Code>Throttling</Code>");
    harness_free(h);
}

/* Which of n requests failed: "x.x." */
static void pattern(struct harness *h, int n, char *ret)
{
    const char *body;

    for (int i = 0; i < n; i++)
        ret[i] = kinesis(h, "ListStreams", "{}", &body) == 200 ? '.' : 'x';
    ret[n] = '\0';
}

TEST(a_rule_counts_and_draws_as_it_says)
{
    struct harness *h = start();
    char first[101], second[101];
    const char *body;

    add(h,
        "{\"fault\":\"error\",\"operation\":\"ListStreams\",\"after\":2,\"every\":3,\"count\":2}");
    pattern(h, 12, first);
    EQ_STR(first, "..x..x......");
    EQ_INT(harness_get(h, "DELETE", "/_kpipe/faults", NULL, &body), 200);
    add(h, "{\"fault\":\"error\",\"probability\":0.3,\"seed\":7}");
    pattern(h, 100, first);
    EQ_INT(harness_get(h, "DELETE", "/_kpipe/faults", NULL, &body), 200);
    add(h, "{\"fault\":\"error\",\"probability\":0.3,\"seed\":7}");
    pattern(h, 100, second);
    EQ_STR(first, second);
    YES(strchr(first, 'x') && strchr(first, '.'));
    EQ_INT(harness_get(h, "DELETE", "/_kpipe/faults", NULL, &body), 200);
    add(h, "{\"fault\":\"error\",\"operation\":\"Put*s\",\"service\":\"kin*\"}");
    pattern(h, 3, first);
    EQ_STR(first, "...");
    EQ_INT(kinesis(h, "PutRecords", "{}", &body), 500);
    EQ_INT(kinesis(h, "PutRecord", "{}", &body), 400);
    harness_free(h);
}

TEST(latency_is_added_before_the_operation)
{
    struct harness *h = start();
    struct harness_exchange *x;
    const char *body;

    add(h, "{\"operation\":\"CreateStream\",\"latency_ms\":[200,200]}");
    x = harness_request_begin(h, "POST", "/",
                              "Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: "
                              "Kinesis_20131202.CreateStream\r\n",
                              "{\"StreamName\":\"s\",\"ShardCount\":1}", 33);
    EQ_INT(streams(h), 0); /* a later request overtakes it */
    NO(harness_request_answered(x));
    harness_advance(h, 199);
    EQ_INT(streams(h), 0);
    harness_advance(h, 1);
    EQ_INT(harness_request_end(h, x, &body), 200);
    EQ_INT(streams(h), 1);
    harness_free(h);
}

TEST(an_error_that_waits_outlives_its_rule)
{
    struct harness *h = start();
    struct harness_exchange *x;
    const char *body;

    add(h,
        "{\"operation\":\"CreateStream\",\"latency_ms\":50,\"fault\":\"error\",\"code\":\"Late\"}");
    x = harness_request_begin(h, "POST", "/",
                              "Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: "
                              "Kinesis_20131202.CreateStream\r\n",
                              "{\"StreamName\":\"s\",\"ShardCount\":1}", 33);
    EQ_INT(streams(h), 0);
    EQ_INT(harness_get(h, "DELETE", "/_kpipe/faults", NULL, &body), 200);
    harness_advance(h, 50);
    EQ_INT(harness_request_end(h, x, &body), 500);
    has(body, "\"Late\"");
    EQ_INT(streams(h), 0);
    harness_free(h);
}

TEST(a_service_that_ends_while_requests_wait_leaves_nothing)
{
    struct harness *h = start();
    struct harness_exchange *x;

    add(h, "{\"operation\":\"CreateStream\",\"latency_ms\":5000}");
    x = harness_request_begin(h, "POST", "/",
                              "Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: "
                              "Kinesis_20131202.CreateStream\r\n",
                              "{\"StreamName\":\"s\",\"ShardCount\":1}", 33);
    EQ_INT(streams(h), 0);
    NO(harness_request_answered(x));
    harness_free(h);
}

TEST(a_reset_before_the_operation_leaves_it_undone)
{
    struct harness *h = start();
    const char *body;

    add(h, "{\"operation\":\"CreateStream\",\"fault\":\"reset_before\",\"count\":1}");
    EQ_INT(kinesis(h, "CreateStream", "{'StreamName':'s','ShardCount':1}", &body), 0);
    EQ_INT(streams(h), 0);
    harness_free(h);
}

TEST(a_reset_after_the_operation_has_done_it)
{
    struct harness *h = start();
    const char *body;

    add(h, "{\"operation\":\"CreateStream\",\"fault\":\"reset_after\",\"count\":1}");
    EQ_INT(kinesis(h, "CreateStream", "{'StreamName':'s','ShardCount':1}", &body), 0);
    EQ_INT(streams(h), 1);
    harness_free(h);
}

TEST(a_reset_within_the_answer_has_done_it_too)
{
    struct harness *h = start();
    const char *body;

    add(h, "{\"operation\":\"CreateStream\",\"fault\":\"reset_within\",\"count\":1}");
    EQ_INT(kinesis(h, "CreateStream", "{'StreamName':'s','ShardCount':1}", &body), 0);
    EQ_INT(streams(h), 1); /* that answer has no middle */
    add(h, "{\"service\":\"s3\",\"fault\":\"reset_within\"}");
    EQ_INT(harness_get(h, "GET", "/", NULL, &body), 200);
    has(body, "<ListAllMyBucketsResult");
    NO(strstr(body, "</ListAllMyBucketsResult>") != NULL);
    YES(atol(harness_response_header(h, "content-length")) > (long)strlen(body) + 10);
    harness_free(h);
}

/* The integer at a path of the answer. */
static int number(const char *body, const char *path)
{
    json_t *out = json_loads(body, 0, NULL);
    int n = atoi(service_at(out, path));

    json_decref(out);
    return n;
}

TEST(entries_of_batches_fail_with_a_share)
{
    struct harness *h = start();
    char many[3000] = "{'StreamName':'s','Records':[";
    const char *body;
    json_t *out;
    int failed;

    EQ_INT(kinesis(h, "CreateStream", "{'StreamName':'s','ShardCount':1}", &body), 200);
    add(h, "{\"fault\":\"partial\",\"share\":0.5,\"seed\":3,\"service\":\"kinesis\"}");
    for (int i = 0; i < 20; i++)
        sprintf(many + strlen(many), "%s{'PartitionKey':'%d','Data':'YQ=='}", i ? "," : "", i);
    strcat(many, "]}");
    EQ_INT(kinesis(h, "PutRecords", many, &body), 200);
    failed = number(body, "FailedRecordCount");
    YES(failed > 0 && failed < 20);
    has(body, "\"ErrorCode\":\"InternalFailure\"");
    EQ_INT(kinesis(h, "PutRecord", "{'StreamName':'s','PartitionKey':'a','Data':'YQ=='}", &body),
           200);
    EQ_INT(harness_get(h, "GET", "/_kpipe/state", NULL, &body), 200);
    EQ_INT(number(body, "services.kinesis.streams.0.records"), 20 - failed + 1);
    add(h, "{\"fault\":\"partial\",\"share\":1}");
    EQ_INT(
        harness_get(h, "POST", "/?Action=CreateQueue&QueueName=q&Version=2012-11-05", NULL, &body),
        200);
    EQ_INT(harness_get(h, "POST",
                       "/000000000000/q?Action=SendMessageBatch&Version=2012-11-05&"
                       "SendMessageBatchRequestEntry.1.Id=a&"
                       "SendMessageBatchRequestEntry.1.MessageBody=b",
                       NULL, &body),
           200);
    has(body, "<BatchResultErrorEntry>");
    SERVICE_DO(h, 200, "DynamoDB_20120810.CreateTable",
               "{'TableName':'tbl','KeySchema':[{'AttributeName':'a','KeyType':'HASH'}],"
               "'AttributeDefinitions':[{'AttributeName':'a','AttributeType':'S'}],"
               "'BillingMode':'PAY_PER_REQUEST'}");
    out = service_ask(h, 200, "DynamoDB_20120810.BatchWriteItem",
                      "{'RequestItems':{'tbl':[{'PutRequest':{'Item':{'a':{'S':'x'}}}}]}}");
    EQ_STR(service_at(out, "UnprocessedItems.tbl.0.PutRequest.Item.a.S"), "x");
    json_decref(out);
    out = service_ask(h, 200, "DynamoDB_20120810.BatchGetItem",
                      "{'RequestItems':{'tbl':{'Keys':[{'a':{'S':'x'}}]}}}");
    EQ_STR(service_at(out, "UnprocessedKeys.tbl.Keys.0.a.S"), "x");
    json_decref(out);
    EQ_INT(harness_get(h, "PUT", "/bucket", NULL, &body), 200);
    EQ_INT(harness_request(h, "POST", "/bucket?delete", "Content-MD5: saCew/2Dq5dQ6qnZCXppLg==\r\n",
                           "<Delete><Object><Key>b</Key></Object></Delete>", 46, &body),
           200);
    has(body, "<Code>InternalError</Code>");
    harness_free(h);
}

TEST(records_go_to_a_wrong_shard_on_demand)
{
    static const char put[] = "{'StreamName':'s','PartitionKey':'a','Data':'YQ==',"
                              "'ExplicitHashKey':'0'}";
    struct harness *h = start();
    const char *body;

    EQ_INT(kinesis(h, "CreateStream", "{'StreamName':'s','ShardCount':2}", &body), 200);
    EQ_INT(kinesis(h, "PutRecord", put, &body), 200);
    has(body, "\"shardId-000000000000\"");
    add(h, "{\"fault\":\"wrong_shard\",\"count\":1}");
    EQ_INT(kinesis(h, "PutRecord", put, &body), 200);
    has(body, "\"shardId-000000000001\"");
    EQ_INT(kinesis(h, "PutRecord", put, &body), 200);
    has(body, "\"shardId-000000000000\"");
    EQ_INT(harness_get(h, "GET", "/_kpipe/state", NULL, &body), 200);
    EQ_INT(number(body, "services.kinesis.streams.0.shards.0.records"), 2);
    EQ_INT(number(body, "services.kinesis.streams.0.shards.1.records"), 1);
    harness_free(h);
}

TEST(a_subscription_is_reset_before_it_begins)
{
    struct harness *h = start();
    char json[500];
    const char *body;
    json_t *out;

    EQ_INT(kinesis(h, "CreateStream", "{'StreamName':'s','ShardCount':1}", &body), 200);
    EQ_INT(kinesis(h, "RegisterStreamConsumer",
                   "{'StreamARN':'arn:aws:kinesis:us-east-1:000000000000:stream/s',"
                   "'ConsumerName':'c'}",
                   &body),
           200);
    out = json_loads(body, 0, NULL);
    snprintf(json, sizeof json,
             "{'ConsumerARN':'%s','ShardId':'shardId-000000000000','StartingPosition':{'Type':"
             "'LATEST'}}",
             service_at(out, "Consumer.ConsumerARN"));
    json_decref(out);
    add(h, "{\"operation\":\"SubscribeToShard\",\"fault\":\"reset_after\"}");
    EQ_INT(kinesis(h, "SubscribeToShard", json, &body), 0);
    EQ_INT(harness_get(h, "GET", "/_kpipe/state", NULL, &body), 200);
    EQ_INT(number(body, "services.kinesis.operations.SubscribeToShard.errors"), 1);
    EQ_INT(number(body, "open_requests"), 0);
    harness_free(h);
}

TEST(an_iterator_expires_on_demand)
{
    struct harness *h = start();
    const char *body;

    add(h, "{\"fault\":\"expired_iterator\",\"count\":1}");
    EQ_INT(streams(h), 0); /* it means GetRecords only */
    EQ_INT(kinesis(h, "GetRecords", "{'ShardIterator':'x'}", &body), 400);
    has(body, "\"__type\":\"ExpiredIteratorException\"");
    harness_free(h);
}

TEST(the_clock_of_the_services_jumps)
{
    struct harness *h = start();
    const char *body;
    json_t *state;

    add(h, "{\"fault\":\"clock_jump\",\"jump_ms\":-3600000,\"count\":2}");
    EQ_INT(streams(h), 0);
    EQ_INT(streams(h), 0);
    EQ_INT(streams(h), 0);
    EQ_INT(harness_get(h, "GET", "/_kpipe/state", NULL, &body), 200);
    state = json_loads(body, 0, NULL);
    EQ_STR(service_at(state, "clock_ms"), "-7200000");
    EQ_INT(json_integer_value(json_object_get(state, "time_ms")), kp->wall_ms() - 7200000);
    json_decref(state);
    harness_free(h);
}

TEST(the_state_tells_what_each_service_holds)
{
    struct harness *h = start();
    const char *body;
    json_t *state;

    EQ_INT(harness_get(h, "PUT", "/bucket", NULL, &body), 200);
    EQ_INT(harness_get(h, "PUT", "/bucket/key", "12345", &body), 200);
    EQ_INT(harness_get(h, "GET", "/bucket/key", NULL, &body), 200);
    EQ_INT(
        harness_get(h, "POST", "/?Action=CreateQueue&QueueName=q&Version=2012-11-05", NULL, &body),
        200);
    EQ_INT(harness_get(h, "POST",
                       "/000000000000/q?Action=SendMessage&MessageBody=b&Version=2012-11-05", NULL,
                       &body),
           200);
    SERVICE_DO(h, 200, "DynamoDB_20120810.CreateTable",
               "{'TableName':'tbl','KeySchema':[{'AttributeName':'a','KeyType':'HASH'}],"
               "'AttributeDefinitions':[{'AttributeName':'a','AttributeType':'S'}],"
               "'BillingMode':'PAY_PER_REQUEST'}");
    SERVICE_DO(h, 200, "DynamoDB_20120810.PutItem", "{'TableName':'tbl','Item':{'a':{'S':'x'}}}");
    EQ_INT(harness_get(h, "GET", "/_kpipe/state", NULL, &body), 200);
    state = json_loads(body, 0, NULL);
    EQ_STR(service_at(state, "services.s3.buckets.0.name"), "bucket");
    EQ_STR(service_at(state, "services.s3.buckets.0.bytes"), "5");
    EQ_STR(service_at(state, "services.s3.operations.PutObject.requests"), "1");
    EQ_STR(service_at(state, "services.s3.operations.GetObject.requests"), "1");
    EQ_STR(service_at(state, "services.sqs.queues.0.visible"), "1");
    EQ_STR(service_at(state, "services.dynamodb.tables.0.items"), "1");
    EQ_STR(service_at(state, "services.cloudwatch.metrics"), "0");
    EQ_STR(service_at(state, "services.kinesis.tail_cut_bytes"), "0");
    json_decref(state);
    harness_free(h);
}

TEST(the_state_counts_requests_and_errors_by_operation)
{
    struct harness *h = start();
    const char *body;
    json_t *state;

    EQ_INT(kinesis(h, "CreateStream", "{'StreamName':'s','ShardCount':2}", &body), 200);
    EQ_INT(kinesis(h, "CreateStream", "{'StreamName':'s','ShardCount':2}", &body), 400);
    EQ_INT(harness_request(h, "POST", "/", "X-Amz-Target: Firehose_20150804.PutRecord\r\n", "{}", 2,
                           &body),
           400);
    EQ_INT(harness_get(h, "GET", "/_kpipe/state", NULL, &body), 200);
    state = json_loads(body, 0, NULL);
    REQUIRE(state != NULL);
    EQ_STR(service_at(state, "services.kinesis.operations.CreateStream.requests"), "2");
    EQ_STR(service_at(state, "services.kinesis.operations.CreateStream.errors"), "1");
    EQ_STR(service_at(state, "services.kinesis.requests"), "2");
    EQ_STR(service_at(state, "refused_requests"), "1");
    EQ_STR(service_at(state, "open_requests"), "0");
    YES(json_integer_value(json_object_get(state, "rss_bytes")) > 1000000);
    json_decref(state);
    harness_free(h);
}
