/* test_run_dynamodb.c - leases in DynamoDB: the table, the fence between owners, lost answers. */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/config/plan.h"
#include "core/run/leases.h"
#include "tests/unit/aws_world.h"

#define NO_TABLE     "{\"__type\":\"ResourceNotFoundException\",\"message\":\"no such table\"}"
#define ACTIVE       "{\"Table\":{\"TableStatus\":\"ACTIVE\"}}"
#define FAILED_CHECK "{\"__type\":\"ConditionalCheckFailedException\",\"message\":\"no\"}"

static const kp_element source = {
    .size = sizeof source, .kind = KP_SOURCE, .flags = KP_STREAM, .name = "stream"};
static struct plan_node node = {.element = &source};
static struct plan_flow flow = {.name = (char *)(uintptr_t) "in", .nodes = &node, .n_nodes = 1};
static const struct plan plan = {.application = (char *)(uintptr_t) "app",
                                 .leases = (char *)(uintptr_t) "dynamodb",
                                 .flows = &flow,
                                 .n_flows = 1};
static struct aws_config *config;
static struct aws_client *client;
static struct leases *leases;
static unsigned n_signals;
static char text[8][1000]; /* scripted bodies */

static void open_world(void)
{
    struct error err = ERROR_INIT;

    world_begin();
    n_signals = 0;
    world_env("AWS_REGION", "eu-central-1");
    world_env("AWS_ENDPOINT_URL", world_url());
    world_env("AWS_ACCESS_KEY_ID", "AKENV");
    world_env("AWS_SECRET_ACCESS_KEY", "secret-of-AKENV");
    config = aws_config_new(NULL, &err);
    REQUIRE(config != NULL);
    client = aws_client_new(world_loop(), world_http(), config);
    leases = leases_new(&plan, client, world_loop(), false, &n_signals);
}

static void close_world(void)
{
    leases_free(leases);
    aws_client_free(client);
    world_end();
    aws_config_free(config);
}

static void answer(int status, const char *body)
{
    world_script("/", status, NULL, body);
}

/* A world whose table has one lease: shard-0 at 100, counter 7, of nobody. */
static void open_loaded(void)
{
    struct error err = ERROR_INIT;

    open_world();
    answer(200, ACTIVE);
    answer(200, "{\"Items\":[{\"leaseKey\":{\"S\":\"shard-0\"},\"leaseCounter\":{\"N\":\"7\"},"
                "\"checkpoint\":{\"S\":\"100\"},\"checkpointSubSequenceNumber\":{\"N\":\"2\"}}]}");
    REQUIRE(leases_load(leases, &err));
}

static struct lease_row *row_of(const char *lane)
{
    kp_position position;

    return leases_row(leases, 0, lane, &position);
}

static bool last_has(const char *part)
{
    return strstr(world_body(world_n_seen() - 1), part) != NULL;
}

static void publish_and_wait(bool is_last)
{
    leases_publish(leases, is_last);
    WORLD_UNTIL(!leases->store->is_busy(leases));
}

/* This process as leaseOwner, from its last request. [static buffer] */
static const char *owner(void)
{
    static char me[200];
    const char *at = strstr(world_body(world_n_seen() - 1), "\":me\":{\"S\":\"");

    REQUIRE(at != NULL);
    snprintf(me, sizeof me, "%.*s", (int)strcspn(at + 12, "\""), at + 12);
    return me;
}

static const char *item(int i, const char *me, int counter, const char *checkpoint)
{
    snprintf(text[i], sizeof text[i],
             "{\"Item\":{\"leaseKey\":{\"S\":\"shard-0\"},\"leaseOwner\":{\"S\":\"%s\"},"
             "\"leaseCounter\":{\"N\":\"%d\"},\"checkpoint\":{\"S\":\"%s\"},"
             "\"checkpointSubSequenceNumber\":{\"N\":\"0\"}}}",
             me, counter, checkpoint);
    return text[i];
}

TEST(a_missing_lease_table_is_made_and_waited_for)
{
    struct error err = ERROR_INIT;

    open_world();
    answer(400, NO_TABLE);
    answer(200, "{}");
    answer(200, "{\"Table\":{\"TableStatus\":\"CREATING\"}}");
    answer(200, ACTIVE);
    answer(200, "{\"Items\":[]}");
    YES(leases_load(leases, &err));
    EQ_INT(world_n_seen(), 5);
    EQ_STR(world_header(1, "x-amz-target"), "DynamoDB_20120810.CreateTable");
    YES(strstr(world_body(1), "\"TableName\":\"app\"") != NULL);
    EQ_STR(world_header(4, "x-amz-target"), "DynamoDB_20120810.Scan");
    close_world();
}

TEST(all_pages_of_a_lease_table_are_read)
{
    struct error err = ERROR_INIT;
    kp_position position;

    open_world();
    answer(200, ACTIVE);
    answer(200, "{\"Items\":[{\"leaseKey\":{\"S\":\"a\"},\"leaseCounter\":{\"N\":\"1\"},"
                "\"checkpoint\":{\"S\":\"TRIM_HORIZON\"}},{\"leaseKey\":{\"S\":\"other\"}}],"
                "\"LastEvaluatedKey\":{\"leaseKey\":{\"S\":\"a\"}}}");
    answer(200, "{\"Items\":[{\"leaseKey\":{\"S\":\"b\"},\"leaseCounter\":{\"N\":\"1\"},"
                "\"checkpoint\":{\"S\":\"55\"}}]}");
    YES(leases_load(leases, &err));
    YES(strstr(world_body(2), "\"ExclusiveStartKey\":{\"leaseKey\":{\"S\":\"a\"}}") != NULL);
    leases_row(leases, 0, "a", &position);
    EQ_INT(position.text.len, 0);
    leases_row(leases, 0, "b", &position);
    EQ_STR(position.text.ptr, "55");
    YES(leases_is_clean(leases));
    close_world();
}

TEST(every_write_is_on_the_condition_that_nobody_else_wrote)
{
    open_loaded();
    lease_row_move(row_of("shard-0"), "200", 3, 0);
    answer(200, "{}");
    publish_and_wait(false);
    YES(last_has("\"ConditionExpression\":\"leaseCounter = :old\""));
    YES(last_has("\":old\":{\"N\":\"7\"}"));
    YES(last_has("\":new\":{\"N\":\"8\"}"));
    YES(last_has("\":checkpoint\":{\"S\":\"200\"}"));
    lease_row_move(row_of("shard-1"), "5", 1, 9);
    answer(200, "{}");
    publish_and_wait(false);
    YES(last_has("attribute_not_exists(leaseKey)"));
    YES(last_has("\":sub\":{\"N\":\"9\"}"));
    answer(200, "{}");
    answer(200, "{}");
    publish_and_wait(true);
    YES(last_has("REMOVE leaseOwner"));
    YES(leases_is_clean(leases));
    YES(leases->failure == NULL);
    EQ_INT(world_n_seen(), 6);
    close_world();
}

TEST(parents_and_hash_keys_are_written_once_as_kcl_keeps_them)
{
    const kp_lane_about about = {.size = sizeof about,
                                 .parents = {{"p-1", 3}, {"p-2", 3}},
                                 .low_hash = {"0", 1},
                                 .high_hash = {"99", 2}};

    open_loaded();
    lease_row_about(row_of("shard-0"), &about);
    lease_row_move(row_of("shard-0"), "200", 3, 0);
    answer(200, "{}");
    publish_and_wait(false);
    YES(last_has("\":parents\":{\"SS\":[\"p-1\",\"p-2\"]}"));
    YES(last_has("parentShardId = :parents, startingHashKey = :low, endingHashKey = :high"));
    YES(last_has("\":high\":{\"S\":\"99\"}"));
    lease_row_move(row_of("shard-0"), "201", 3, 0);
    answer(200, "{}");
    publish_and_wait(false);
    NO(last_has("parentShardId"));
    NO(last_has("HashKey"));
    close_world();
}

TEST(a_lane_without_parents_has_no_empty_set)
{
    const kp_lane_about about = {
        .size = sizeof about, .low_hash = {"0", 1}, .high_hash = {"99", 2}};

    open_loaded();
    lease_row_about(row_of("shard-0"), &about);
    lease_row_move(row_of("shard-0"), "SHARD_END", 9, 0);
    answer(200, "{}");
    publish_and_wait(false);
    YES(last_has("\":checkpoint\":{\"S\":\"SHARD_END\"}"));
    YES(last_has("endingHashKey"));
    NO(last_has("parentShardId"));
    close_world();
}

TEST(a_write_whose_answer_was_lost_counts)
{
    const char *me;

    open_loaded();
    lease_row_move(row_of("shard-0"), "200", 3, 0);
    answer(200, "{}");
    publish_and_wait(false);
    me = owner();
    lease_row_move(row_of("shard-0"), "300", 3, 0);
    answer(400, FAILED_CHECK);
    answer(200, item(0, me, 9, "300"));
    publish_and_wait(false);
    YES(leases->failure == NULL);
    YES(leases_is_clean(leases));
    EQ_INT(row_of("shard-0")->counter, 9);
    close_world();
}

TEST(an_earlier_write_of_ours_is_not_taken_for_this_one)
{
    const char *me;

    open_loaded();
    lease_row_move(row_of("shard-0"), "200", 3, 0);
    answer(200, "{}");
    publish_and_wait(false);
    me = owner();
    lease_row_move(row_of("shard-0"), "400", 3, 0);
    answer(400, FAILED_CHECK);
    answer(200, item(0, me, 9, "300")); /* of a call that never got its answer */
    publish_and_wait(false);
    YES(leases->failure == NULL);
    NO(leases_is_clean(leases));
    answer(200, "{}");
    publish_and_wait(false);
    YES(last_has("\":old\":{\"N\":\"9\"}"));
    YES(last_has("\":checkpoint\":{\"S\":\"400\"}"));
    YES(leases_is_clean(leases));
    close_world();
}

TEST(a_lease_that_another_has_taken_fails_the_run_and_is_left_alone)
{
    size_t n;

    open_loaded();
    lease_row_move(row_of("shard-0"), "200", 3, 0);
    answer(400, FAILED_CHECK);
    answer(200, item(0, "somebody", 8, "250"));
    publish_and_wait(false);
    REQUIRE(leases->failure != NULL);
    YES(strstr(leases->failure, "another worker has taken the lease") != NULL);
    n = world_n_seen();
    lease_row_move(row_of("shard-0"), "300", 3, 0);
    publish_and_wait(true);
    EQ_INT(world_n_seen(), n);
    YES(leases_is_clean(leases));
    close_world();
}

TEST(a_write_that_fails_is_owed)
{
    open_loaded();
    lease_row_move(row_of("shard-0"), "200", 3, 0);
    answer(400, "{\"__type\":\"AccessDeniedException\",\"message\":\"not you\"}");
    publish_and_wait(false);
    REQUIRE(leases->failure != NULL);
    YES(strstr(leases->failure, "AccessDeniedException: not you") != NULL);
    NO(leases_is_clean(leases));
    answer(200, "{}");
    publish_and_wait(true);
    YES(leases_is_clean(leases));
    close_world();
}

static void stopped(uv_timer_t *timer)
{
    (void)timer;
    n_signals = 1;
}

TEST(a_signal_ends_the_wait_for_the_lease_table)
{
    struct error err = ERROR_INIT;
    uv_timer_t timer;

    open_world();
    answer(WORLD_HOLD, NULL);
    uv_timer_init(world_loop(), &timer);
    uv_timer_start(&timer, stopped, 20, 20);
    NO(leases_load(leases, &err));
    YES(strstr(err.text, "stopped by a signal") != NULL);
    uv_close((uv_handle_t *)&timer, NULL);
    close_world();
}

TEST(writes_under_way_are_forgotten_with_the_leases)
{
    open_loaded();
    lease_row_move(row_of("shard-0"), "200", 3, 0);
    answer(WORLD_HOLD, NULL);
    leases_publish(leases, true);
    WORLD_UNTIL(world_n_seen() == 3);
    YES(leases->store->is_busy(leases));
    close_world();
}
