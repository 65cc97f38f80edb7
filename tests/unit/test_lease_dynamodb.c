/* test_lease_dynamodb.c - the lease table in DynamoDB, played by a scripted service: what is asked,
 * again and in what order, and what each answer comes to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/lease/dynamodb.h"
#include "tests/unit/aws_world.h"

#define T(text) ((char *)(uintptr_t)(text))

#define ARN      "arn:aws:dynamodb:eu-central-1:123456789012:table/app"
#define NO_TABLE "{\"__type\":\"ResourceNotFoundException\",\"message\":\"no such table\"}"
#define SCHEMA                                                                     \
    "\"KeySchema\":[{\"AttributeName\":\"leaseKey\",\"KeyType\":\"HASH\"}],"       \
    "\"AttributeDefinitions\":[{\"AttributeName\":\"x\",\"AttributeType\":\"N\"}," \
    "{\"AttributeName\":\"leaseKey\",\"AttributeType\":\"S\"}]"
#define TABLE(status) \
    "{\"Table\":{\"TableStatus\":\"" status "\",\"TableArn\":\"" ARN "\"," SCHEMA "}}"
#define REFUSAL "\"__type\":\"ConditionalCheckFailedException\",\"message\":\"no\""
#define ITEM(counter)                                                    \
    "\"Item\":{\"leaseKey\":{\"S\":\"s\"},\"leaseOwner\":{\"S\":\"v\"}," \
    "\"leaseCounter\":{\"N\":\"" counter "\"},\"checkpoint\":{\"S\":\"100\"}}"
#define THROTTLED    "{\"__type\":\"ProvisionedThroughputExceededException\",\"message\":\"slow\"}"
#define DENIED(text) "{\"__type\":\"AccessDeniedException\",\"Message\":\"" text "\"}"

static struct aws_config *config;
static struct aws_client *client;
static struct lease_io *io;

static void open_io(const char *region, int64_t failover_ms)
{
    struct error err = ERROR_INIT;
    struct dynamodb_io_config of_io = {
        .loop = world_loop(), .table = "app", .region = region, .failover_ms = failover_ms};

    config = aws_config_new(NULL, &err);
    REQUIRE(config != NULL);
    of_io.aws = client = aws_client_new(world_loop(), world_http(), config);
    io = dynamodb_io_new(&of_io);
}

static void begin(void)
{
    world_begin();
    world_env("AWS_REGION", "eu-central-1");
    world_env("AWS_ENDPOINT_URL", world_url());
    world_env("AWS_ACCESS_KEY_ID", "AKENV");
    world_env("AWS_SECRET_ACCESS_KEY", "secret-of-AKENV");
    open_io("eu-central-1", 10000);
}

static void end(void)
{
    if (io)
        io->free(io);
    io = NULL;
    aws_client_free(client);
    world_end();
    aws_config_free(config);
}

static void answer(int status, const char *body)
{
    world_script("/", status, NULL, body);
}

static bool asked(size_t i, const char *operation)
{
    const char *target = world_header(i, "x-amz-target");

    return strstr(target, "DynamoDB_20120810.") == target &&
           !strcmp(strchr(target, '.') + 1, operation);
}

/* ---- calls */

struct heard {
    int n;
    enum lease_status status;
    bool has_row, is_final;
    uint64_t counter;
    int64_t sent_ms;
    char error[100], message[400];
    size_t n_leases, n_workers, n_strange;
    bool has_tables;
    char lock_owner[40];
    struct lease_io **frees;
};

static void hear(void *arg, const struct lease_reply *reply)
{
    struct heard *heard = arg;

    heard->n++;
    heard->status = reply->status;
    heard->has_row = reply->row != NULL;
    heard->counter = reply->row ? reply->row->counter : 0;
    heard->is_final = reply->is_final;
    heard->sent_ms = reply->sent_ms;
    snprintf(heard->error, sizeof heard->error, "%s", reply->error ? reply->error : "");
    snprintf(heard->message, sizeof heard->message, "%s", reply->message ? reply->message : "");
    if (reply->scan) {
        heard->n_leases = reply->scan->n_leases;
        heard->n_workers = reply->scan->n_workers;
        heard->n_strange = reply->scan->n_strange;
        heard->has_tables = reply->scan->has_kcl3_tables;
        snprintf(heard->lock_owner, sizeof heard->lock_owner, "%s",
                 reply->scan->lock.owner ? reply->scan->lock.owner : "");
    }
    if (heard->frees) {
        (*heard->frees)->free(*heard->frees);
        *heard->frees = NULL;
    }
}

static struct lease_call call_of(enum lease_op op)
{
    return (struct lease_call){
        .op = op,
        .was = {.key = T("s"), .owner = T("w"), .counter = 7, .checkpoint = T("100")},
        .to = {.throughput = -1}};
}

static struct heard call_and_wait(const struct lease_call *call)
{
    struct heard heard = {0};

    io->call(io, call, hear, &heard);
    EQ_INT(heard.n, 0);
    WORLD_UNTIL(heard.n);
    EQ_INT(heard.n, 1);
    return heard;
}

static struct heard renew(void)
{
    struct lease_call call = call_of(LEASE_RENEW);

    return call_and_wait(&call);
}

TEST(a_write_that_works_is_one_request)
{
    int64_t before;
    struct heard heard;

    begin();
    answer(200, "{}");
    before = io->now_ms(io);
    heard = renew();
    EQ_INT(heard.status, LEASE_DONE);
    NO(heard.has_row);
    YES(heard.sent_ms >= before && heard.sent_ms <= io->now_ms(io));
    EQ_INT(world_n_seen(), 1);
    YES(asked(0, "UpdateItem"));
    EQ_STR(world_header(0, "content-type"), "application/x-amz-json-1.0");
    YES(strstr(world_body(0), "\"TableName\":\"app\"") != NULL);
    end();
}

TEST(a_read_gives_the_row)
{
    struct lease_call call = call_of(LEASE_GET);
    struct heard heard;

    begin();
    answer(200, "{" ITEM("12") "}");
    heard = call_and_wait(&call);
    EQ_INT(heard.status, LEASE_DONE);
    EQ_INT(heard.counter, 12);
    YES(strstr(world_body(0), "\"ConsistentRead\":true") != NULL);
    answer(200, "{}");
    heard = call_and_wait(&call);
    EQ_INT(heard.status, LEASE_DONE);
    NO(heard.has_row);
    end();
}

TEST(a_refusal_comes_with_the_row_that_the_service_sends_along)
{
    struct heard heard;

    begin();
    answer(400, "{" REFUSAL "," ITEM("9") "}");
    heard = renew();
    EQ_INT(heard.status, LEASE_REFUSED);
    EQ_INT(heard.counter, 9);
    EQ_INT(world_n_seen(), 1);
    end();
}

TEST(a_refusal_without_a_row_is_looked_into)
{
    struct heard heard;

    begin();
    answer(400, "{" REFUSAL "}");
    answer(200, "{" ITEM("9") "}");
    heard = renew();
    EQ_INT(heard.status, LEASE_REFUSED);
    EQ_INT(heard.counter, 9);
    YES(asked(1, "GetItem"));
    YES(strstr(world_body(1), "\"Key\":{\"leaseKey\":{\"S\":\"s\"}}") != NULL);
    answer(400, "{" REFUSAL "}");
    answer(200, "{}");
    heard = renew();
    EQ_INT(heard.status, LEASE_REFUSED); /* somebody has deleted it */
    NO(heard.has_row);
    answer(400, "{" REFUSAL "}");
    answer(400, DENIED("no"));
    heard = renew();
    EQ_INT(heard.status, LEASE_FAILED);
    YES(strstr(heard.message, "dynamodb:GetItem") != NULL);
    end();
}

TEST(an_item_that_is_no_lease_is_no_row)
{
    struct heard heard;

    begin();
    answer(400, "{" REFUSAL ",\"Item\":{\"leaseKey\":{\"S\":\"s\"},\"lut\":{\"N\":\"1\"}}}");
    heard = renew();
    EQ_INT(heard.status, LEASE_REFUSED);
    NO(heard.has_row);
    EQ_INT(world_n_seen(), 1);
    end();
}

/* The write was done, its answer lost; the repeated one is refused by our own work. */
TEST(after_a_lost_answer_the_refusal_shows_our_own_write_and_counts_from_the_first_attempt)
{
    struct lease_call call = call_of(LEASE_RENEW);
    struct heard heard = {0};

    begin();
    clock_fake(1700000000000);
    answer(WORLD_CUT, NULL);
    answer(400, "{" REFUSAL "," ITEM("8") "}");
    io->call(io, &call, hear, &heard);
    while (!heard.n) {
        world_turn();
        clock_fake_move(10);
    }
    EQ_INT(heard.status, LEASE_REFUSED);
    EQ_INT(heard.counter, 8);
    EQ_INT(world_n_seen(), 2);
    EQ_INT(heard.sent_ms, 1700000000000);
    end();
}

TEST(throttling_is_waited_out)
{
    struct heard heard;

    begin();
    answer(400, THROTTLED);
    answer(500, "{\"__type\":\"InternalServerError\"}");
    answer(400, "{\"__type\":\"TransactionConflictException\",\"message\":\"being moved\"}");
    answer(200, "{}");
    heard = renew();
    EQ_INT(heard.status, LEASE_DONE);
    EQ_INT(world_n_seen(), 4);
    end();
}

TEST(throttling_without_end_fails_but_not_for_good)
{
    struct heard heard;

    begin();
    for (int i = 0; i < 5; i++)
        answer(400, THROTTLED);
    heard = renew();
    EQ_INT(heard.status, LEASE_FAILED);
    EQ_STR(heard.error, "ProvisionedThroughputExceededException");
    EQ_STR(heard.message, "dynamodb:UpdateItem on table app in eu-central-1 failed: "
                          "ProvisionedThroughputExceededException: slow");
    NO(heard.is_final);
    EQ_INT(world_n_seen(), 5);
    end();
}

/* 1,000 leases that are each tried five times would be a storm upon a service in trouble. */
TEST(while_nothing_works_requests_are_not_tried_again)
{
    struct lease_call call = call_of(LEASE_RENEW);
    struct heard heard = {0};

    begin();
    world_always(400, THROTTLED);
    for (int i = 0; i < 40; i++)
        io->call(io, &call, hear, &heard);
    WORLD_UNTIL(heard.n == 40);
    EQ_INT(heard.status, LEASE_FAILED);
    EQ_INT(world_n_seen(), 40 + 100);
    (void)renew();
    EQ_INT(world_n_seen(), 40 + 100 + 1);
    world_always(200, "{}");
    EQ_INT(renew().status, LEASE_DONE); /* what works lets another be tried again */
    world_always(400, THROTTLED);
    (void)renew();
    EQ_INT(world_n_seen(), 40 + 100 + 1 + 1 + 2);
    end();
}

TEST(an_attempt_that_hangs_ends_in_a_third_of_the_fail_over_time)
{
    struct heard heard;
    int64_t before;

    begin();
    io->free(io);
    aws_client_free(client);
    aws_config_free(config);
    open_io(NULL, 2400);
    answer(WORLD_HOLD, NULL);
    answer(200, "{}");
    before = io->now_ms(io);
    heard = renew();
    EQ_INT(heard.status, LEASE_DONE);
    YES(heard.sent_ms - before >= 790); /* of the second attempt */
    answer(WORLD_HOLD, NULL);
    answer(WORLD_HOLD, NULL);
    answer(WORLD_HOLD, NULL);
    before = io->now_ms(io);
    heard = renew();
    EQ_INT(heard.status, LEASE_FAILED);
    EQ_STR(heard.error, "Timeout");
    NO(heard.is_final);
    YES(io->now_ms(io) - before < 2400);
    end();
}

TEST(no_permission_names_the_action_and_the_table)
{
    struct heard heard;

    begin();
    answer(400, DENIED("User: arn:aws:iam::123456789012:user/u is not authorized to perform: "
                       "dynamodb:UpdateItem on resource: " ARN " because no identity-based policy "
                       "allows the dynamodb:UpdateItem action"));
    heard = renew();
    EQ_INT(heard.status, LEASE_FAILED);
    EQ_STR(heard.error, "AccessDeniedException");
    EQ_STR(heard.message, "no permission for dynamodb:UpdateItem on " ARN);
    YES(heard.is_final);
    answer(400, DENIED("no"));
    heard = renew();
    EQ_STR(heard.message, "no permission for dynamodb:UpdateItem on table app in eu-central-1");
    EQ_INT(world_n_seen(), 2);
    end();
}

TEST(a_table_that_is_gone_fails_for_good)
{
    struct heard heard;

    begin();
    answer(400, NO_TABLE);
    heard = renew();
    EQ_INT(heard.status, LEASE_FAILED);
    YES(heard.is_final);
    EQ_STR(heard.message, "the table app does not exist in eu-central-1");
    end();
}

TEST(an_answer_that_is_no_json_is_not_taken_for_one)
{
    struct heard heard;

    begin();
    answer(200, "<html>");
    heard = renew();
    EQ_INT(heard.status, LEASE_FAILED);
    NO(heard.is_final);
    end();
}

TEST(what_is_under_way_is_forgotten_with_the_io)
{
    struct lease_call scan = {.op = LEASE_SCAN}, get = call_of(LEASE_GET);
    struct heard heard = {0};

    begin();
    answer(WORLD_HOLD, NULL);
    answer(WORLD_HOLD, NULL);
    answer(400, THROTTLED);
    io->call(io, &scan, hear, &heard);
    io->call(io, &get, hear, &heard);
    io->call(io, &get, hear, &heard);
    WORLD_UNTIL(world_n_seen() >= 3);
    io->free(io);
    io = NULL;
    EQ_INT(heard.n, 0);
    end();
}

TEST(a_reply_may_free_the_io)
{
    struct lease_call call = call_of(LEASE_RENEW);
    struct heard heard = {.frees = &io};

    begin();
    answer(400, DENIED("no"));
    io->call(io, &call, hear, &heard);
    WORLD_UNTIL(heard.n);
    end();
}

/* ---- scans */

static struct heard scan(void)
{
    struct lease_call call = {.op = LEASE_SCAN};

    return call_and_wait(&call);
}

#define LEASES(key)                                                   \
    "{\"Items\":[{\"leaseKey\":{\"S\":\"" key "\"},\"leaseCounter\":" \
    "{\"N\":\"1\"},\"checkpoint\":{\"S\":\"55\"}}]"

TEST(all_pages_of_a_lease_table_are_read)
{
    struct heard heard;

    begin();
    answer(200, LEASES("a") ",\"LastEvaluatedKey\":{\"leaseKey\":{\"S\":\"a\"}}}");
    answer(200, "{\"Items\":[],\"LastEvaluatedKey\":{\"leaseKey\":{\"S\":\"b\"}}}");
    answer(200, LEASES("c") "}");
    answer(400, NO_TABLE);
    answer(400, NO_TABLE);
    heard = scan();
    EQ_INT(heard.status, LEASE_DONE);
    EQ_INT(heard.n_leases, 2);
    NO(heard.has_tables);
    YES(strstr(world_body(1), "\"ExclusiveStartKey\":{\"leaseKey\":{\"S\":\"a\"}}") != NULL);
    YES(strstr(world_body(2), "\"ExclusiveStartKey\":{\"leaseKey\":{\"S\":\"b\"}}") != NULL);
    EQ_INT(world_n_seen(), 5);
    end();
}

TEST(the_tables_of_kcl_3_are_looked_for_once_a_minute)
{
    struct heard heard;

    begin();
    clock_fake(1700000000000);
    answer(200, LEASES("a") "}");
    answer(400, NO_TABLE);
    answer(400, DENIED("not yours"));
    heard = scan();
    EQ_INT(heard.status, LEASE_DONE);
    YES(strstr(world_body(1), "\"app-CoordinatorState\"") != NULL);
    YES(strstr(world_body(2), "\"app-WorkerMetricStats\"") != NULL);
    clock_fake_move(59000);
    answer(200, LEASES("a") "}");
    heard = scan();
    EQ_INT(heard.status, LEASE_DONE);
    EQ_INT(world_n_seen(), 4);
    clock_fake_move(1000);
    answer(200, LEASES("a") "}");
    answer(200, "{\"Items\":[{\"key\":{\"S\":\"Leader\"},\"ownerName\":{\"S\":\"j\"},"
                "\"leaseDuration\":{\"S\":\"1\"},\"recordVersionNumber\":{\"S\":\"v\"}}]}");
    answer(200, "{\"Items\":[{\"wid\":{\"S\":\"j\"},\"lut\":{\"N\":\"5\"}},{\"x\":{\"S\":\"\"}}]}");
    heard = scan();
    EQ_STR(heard.lock_owner, "j");
    EQ_INT(heard.n_workers, 1);
    EQ_INT(heard.n_strange, 1);
    YES(heard.has_tables);
    answer(200, LEASES("a") "}"); /* now they are read each time */
    answer(200, "{\"Items\":[]}");
    answer(400, NO_TABLE);
    heard = scan();
    YES(heard.has_tables);
    EQ_STR(heard.lock_owner, "");
    EQ_INT(world_n_seen(), 10);
    end();
}

TEST(a_scan_without_permission_fails)
{
    struct heard heard;

    begin();
    answer(400, DENIED("no"));
    heard = scan();
    EQ_INT(heard.status, LEASE_FAILED);
    YES(heard.is_final);
    YES(strstr(heard.message, "dynamodb:Scan") != NULL);
    answer(200, LEASES("a") "}");
    for (int i = 0; i < 5; i++)
        answer(400, THROTTLED);
    heard = scan();
    EQ_INT(heard.status, LEASE_FAILED);
    NO(heard.is_final);
    end();
}

/* ---- the tables of KCL 3.0 */

TEST(a_missing_metrics_table_is_made_and_the_item_written_later)
{
    struct lease_call call = call_of(LEASE_METRICS);
    struct heard heard;

    begin();
    call.layout = LEASE_LAYOUT_KCL3_TABLES;
    call.worker = (struct lease_worker){.id = T("w"), .updated_s = 5, .cpu = -1};
    answer(400, NO_TABLE);
    answer(200, "{}");
    heard = call_and_wait(&call);
    EQ_INT(heard.status, LEASE_FAILED);
    NO(heard.is_final);
    YES(asked(1, "CreateTable"));
    YES(strstr(world_body(1), "\"app-WorkerMetricStats\"") != NULL);
    YES(strstr(world_body(1), "\"wid\"") != NULL);
    answer(200, "{}");
    heard = call_and_wait(&call);
    EQ_INT(heard.status, LEASE_DONE);
    call.op = LEASE_LOCK_TAKE;
    call.lock = (struct lease_lock){T("w"), T("v"), 1000, false};
    answer(400, NO_TABLE);
    answer(400, DENIED("User: x is not authorized to perform: dynamodb:CreateTable on resource: "
                       "arn:aws:dynamodb:r:1:table/app-CoordinatorState"));
    heard = call_and_wait(&call);
    EQ_INT(heard.status, LEASE_FAILED);
    YES(heard.is_final);
    EQ_STR(heard.message, "no permission for dynamodb:CreateTable on "
                          "arn:aws:dynamodb:r:1:table/app-CoordinatorState");
    end();
}

TEST(a_lock_that_another_has_is_refused_without_a_look)
{
    struct lease_call call = call_of(LEASE_LOCK_TAKE);
    struct heard heard;

    begin();
    call.layout = LEASE_LAYOUT_KCL3_SINGLE;
    call.lock = (struct lease_lock){T("w"), T("v"), 1000, false};
    answer(400, "{" REFUSAL "}");
    heard = call_and_wait(&call);
    EQ_INT(heard.status, LEASE_REFUSED);
    EQ_INT(world_n_seen(), 1);
    end();
}

/* ---- opening */

struct opened {
    bool is_over, is_ready;
    char text[1000];
};

static void on_open(void *arg, const struct error *err)
{
    struct opened *opened = arg;

    opened->is_over = true;
    opened->is_ready = !err;
    snprintf(opened->text, sizeof opened->text, "%s", err ? err->text : "");
}

static struct opened open_and_wait(void)
{
    struct opened opened = {0};

    dynamodb_io_open(io, on_open, &opened);
    NO(opened.is_over);
    WORLD_UNTIL(opened.is_over);
    return opened;
}

TEST(a_missing_lease_table_is_made_and_waited_for)
{
    struct opened opened;

    begin();
    answer(400, NO_TABLE);
    answer(200, "{}");
    answer(400, NO_TABLE); /* it is not there at once */
    answer(400, "{\"__type\":\"ResourceInUseException\",\"message\":\"being made\"}");
    answer(200, TABLE("CREATING"));
    answer(200, TABLE("ACTIVE"));
    opened = open_and_wait();
    YES(opened.is_ready);
    EQ_INT(world_n_seen(), 6);
    YES(asked(0, "DescribeTable") && asked(1, "CreateTable") && asked(5, "DescribeTable"));
    YES(strstr(world_body(1), "\"TableName\":\"app\"") != NULL);
    YES(strstr(world_body(1), "PAY_PER_REQUEST") != NULL);
    end();
}

TEST(the_arn_of_the_table_is_known_from_its_description)
{
    struct lease_call call = call_of(LEASE_METRICS);
    struct heard heard;

    begin();
    answer(200, TABLE("UPDATING"));
    YES(open_and_wait().is_ready);
    answer(400, DENIED("no"));
    heard = renew();
    EQ_STR(heard.message, "no permission for dynamodb:UpdateItem on " ARN);
    call.layout = LEASE_LAYOUT_KCL3_TABLES;
    call.worker.id = T("w");
    answer(400, DENIED("no"));
    heard = call_and_wait(&call);
    EQ_STR(heard.message, "no permission for dynamodb:UpdateItem on " ARN "-WorkerMetricStats");
    end();
}

TEST(a_table_of_another_shape_is_refused)
{
    struct opened opened;

    begin();
    answer(200, "{\"Table\":{\"TableStatus\":\"ACTIVE\",\"KeySchema\":[{\"AttributeName\":"
                "\"StreamID\",\"KeyType\":\"HASH\"},{\"AttributeName\":\"ShardID\",\"KeyType\":"
                "\"RANGE\"}],\"AttributeDefinitions\":[{\"AttributeName\":\"StreamID\","
                "\"AttributeType\":\"S\"},{\"AttributeName\":\"ShardID\",\"AttributeType\":"
                "\"S\"}]}}");
    opened = open_and_wait();
    NO(opened.is_ready);
    EQ_STR(opened.text, "the table app is no lease table: its key is HASH StreamID (S), "
                        "RANGE ShardID (S), a lease table has HASH leaseKey (S); give the "
                        "pipeline another `application`");
    answer(200, "{\"Table\":{\"TableStatus\":\"ACTIVE\",\"KeySchema\":[{\"AttributeName\":"
                "\"leaseKey\",\"KeyType\":\"HASH\"}],\"AttributeDefinitions\":[{\"AttributeName\":"
                "\"leaseKey\",\"AttributeType\":\"N\"}]}}");
    opened = open_and_wait();
    YES(strstr(opened.text, "its key is HASH leaseKey (N)") != NULL);
    end();
}

TEST(a_table_that_may_not_be_described_or_made_says_which_permission_is_missing)
{
    struct opened opened;

    begin();
    answer(400, DENIED("not authorized to perform: dynamodb:DescribeTable on resource: " ARN));
    opened = open_and_wait();
    EQ_STR(opened.text, "the lease table app cannot be used: no permission for "
                        "dynamodb:DescribeTable on " ARN);
    answer(400, NO_TABLE);
    answer(400, DENIED("not authorized to perform: dynamodb:CreateTable on resource: " ARN));
    opened = open_and_wait();
    EQ_STR(opened.text, "the lease table app cannot be used: no permission for "
                        "dynamodb:CreateTable on " ARN);
    end();
}

TEST(opening_ends_with_the_io)
{
    struct opened opened = {0};

    begin();
    answer(200, TABLE("CREATING"));
    dynamodb_io_open(io, on_open, &opened);
    WORLD_UNTIL(world_n_seen() == 1);
    world_turn();
    io->free(io);
    io = NULL;
    end();
    NO(opened.is_over);
}
