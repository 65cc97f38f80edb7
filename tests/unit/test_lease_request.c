/* test_lease_request.c - every call on a lease table as the JSON that DynamoDB gets, to the byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/lease/request.h"
#include "tests/kptest.h"

#define T(text) ((char *)(uintptr_t)(text))

/* A lease that B works on for the seventh time. */
static const struct lease as_was = {.key = (char *)(uintptr_t) "s-1",
                                    .owner = (char *)(uintptr_t) "B",
                                    .counter = 7,
                                    .checkpoint = (char *)(uintptr_t) "100"};

static struct lease_call call_of(enum lease_op op)
{
    return (struct lease_call){.op = op, .was = as_was, .to = {.throughput = -1}};
}

/* Single quotes stand for double ones; what differs is printed. */
static void expect(const struct lease_call *call, const char *operation, const char *wanted)
{
    struct request request;
    char *text, *copy = mem_dup(wanted);

    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    request_init(&request, call, "app");
    EQ_STR(request.operation, operation);
    text = json_dumps(request.input, JSON_COMPACT);
    if (strcmp(text, copy) != 0)
        fprintf(stderr, "wanted %s\ngot    %s\n", copy, text);
    EQ_STR(text, copy);
    EQ_STR(json_string_value(json_object_get(request.input, "TableName")), request.table);
    free(text);
    free(copy);
    request_fini(&request);
}

#define KEY     "{'TableName':'app','Key':{'leaseKey':{'S':'s-1'}},"
#define ALL_OLD "'ReturnValuesOnConditionCheckFailure':'ALL_OLD'"

TEST(create_puts_a_whole_new_item)
{
    struct lease_call call = call_of(LEASE_CREATE);

    call.to = (struct lease){.checkpoint = T("TRIM_HORIZON"),
                             .parents = {T("p-1"), T("p-2")},
                             .low = T("0"),
                             .high = T("99")};
    expect(&call, "PutItem",
           "{'TableName':'app','Item':{'leaseKey':{'S':'s-1'},'leaseCounter':{'N':'0'},"
           "'ownerSwitchesSinceCheckpoint':{'N':'0'},'checkpoint':{'S':'TRIM_HORIZON'},"
           "'checkpointSubSequenceNumber':{'N':'0'},'parentShardId':{'SS':['p-1','p-2']},"
           "'startingHashKey':{'S':'0'},'endingHashKey':{'S':'99'}},"
           "'ConditionExpression':'attribute_not_exists(leaseKey)'," ALL_OLD "}");
}

TEST(create_has_no_empty_set_and_names_its_type_only_in_a_single_table)
{
    struct lease_call call = call_of(LEASE_CREATE);

    call.to = (struct lease){.checkpoint = T("LATEST")};
    call.layout = LEASE_LAYOUT_KCL3_TABLES;
    expect(&call, "PutItem",
           "{'TableName':'app','Item':{'leaseKey':{'S':'s-1'},'leaseCounter':{'N':'0'},"
           "'ownerSwitchesSinceCheckpoint':{'N':'0'},'checkpoint':{'S':'LATEST'},"
           "'checkpointSubSequenceNumber':{'N':'0'}},"
           "'ConditionExpression':'attribute_not_exists(leaseKey)'," ALL_OLD "}");
    call.layout = LEASE_LAYOUT_KCL3_SINGLE;
    expect(&call, "PutItem",
           "{'TableName':'app','Item':{'leaseKey':{'S':'s-1'},'leaseCounter':{'N':'0'},"
           "'ownerSwitchesSinceCheckpoint':{'N':'0'},'checkpoint':{'S':'LATEST'},"
           "'checkpointSubSequenceNumber':{'N':'0'},'entityType':{'S':'LEASE'}},"
           "'ConditionExpression':'attribute_not_exists(leaseKey)'," ALL_OLD "}");
}

TEST(renew_counts_up)
{
    struct lease_call call = call_of(LEASE_RENEW);

    expect(&call, "UpdateItem",
           KEY "'UpdateExpression':'SET leaseCounter = :leaseCounter',"
               "'ConditionExpression':'leaseCounter = :was_leaseCounter'," ALL_OLD ","
               "'ExpressionAttributeValues':{':leaseCounter':{'N':'8'},"
               "':was_leaseCounter':{'N':'7'}}}");
    call.checks_hand_off = true;
    call.to.throughput = 1.5;
    expect(&call, "UpdateItem",
           KEY "'UpdateExpression':'SET leaseCounter = :leaseCounter, "
               "throughputKBps = :throughputKBps',"
               "'ConditionExpression':'leaseCounter = :was_leaseCounter AND "
               "attribute_not_exists(checkpointOwner)'," ALL_OLD ","
               "'ExpressionAttributeValues':{':leaseCounter':{'N':'8'},"
               "':was_leaseCounter':{'N':'7'},':throughputKBps':{'N':'1.500000'}}}");
}

TEST(take_names_the_owner_and_counts_the_change)
{
    struct lease_call call = call_of(LEASE_TAKE);

    call.to.owner = T("C");
    expect(&call, "UpdateItem",
           KEY "'UpdateExpression':'SET leaseCounter = :leaseCounter, leaseOwner = :leaseOwner "
               "ADD ownerSwitchesSinceCheckpoint :one REMOVE checkpointOwner',"
               "'ConditionExpression':'leaseCounter = :was_leaseCounter'," ALL_OLD ","
               "'ExpressionAttributeValues':{':leaseCounter':{'N':'8'},"
               "':was_leaseCounter':{'N':'7'},':leaseOwner':{'S':'C'},':one':{'N':'1'}}}");
    call.was.owner = NULL;
    expect(&call, "UpdateItem",
           KEY "'UpdateExpression':'SET leaseCounter = :leaseCounter, leaseOwner = :leaseOwner "
               "REMOVE checkpointOwner',"
               "'ConditionExpression':'leaseCounter = :was_leaseCounter'," ALL_OLD ","
               "'ExpressionAttributeValues':{':leaseCounter':{'N':'8'},"
               "':was_leaseCounter':{'N':'7'},':leaseOwner':{'S':'C'}}}");
}

TEST(assign_is_conditional_on_both_owners)
{
    struct lease_call call = call_of(LEASE_ASSIGN);

    call.to.owner = T("C");
    expect(&call, "UpdateItem",
           KEY "'UpdateExpression':'SET leaseOwner = :leaseOwner "
               "ADD leaseCounter :one, ownerSwitchesSinceCheckpoint :one REMOVE checkpointOwner',"
               "'ConditionExpression':'attribute_exists(leaseKey) AND "
               "leaseOwner = :was_leaseOwner AND attribute_not_exists(checkpointOwner)'," ALL_OLD
               ",'ExpressionAttributeValues':{':was_leaseOwner':{'S':'B'},"
               "':leaseOwner':{'S':'C'},':one':{'N':'1'}}}");
    call.was.owner = T("C"); /* the old owner finishes a hand-over */
    call.was.checkpoint_owner = T("C");
    expect(&call, "UpdateItem",
           KEY "'UpdateExpression':'SET leaseOwner = :leaseOwner "
               "ADD leaseCounter :one REMOVE checkpointOwner',"
               "'ConditionExpression':'attribute_exists(leaseKey) AND "
               "leaseOwner = :was_leaseOwner AND checkpointOwner = :was_checkpointOwner'," ALL_OLD
               ",'ExpressionAttributeValues':{':was_leaseOwner':{'S':'C'},"
               "':was_checkpointOwner':{'S':'C'},':leaseOwner':{'S':'C'},':one':{'N':'1'}}}");
    call.was.owner = call.was.checkpoint_owner = NULL;
    expect(&call, "UpdateItem",
           KEY
           "'UpdateExpression':'SET leaseOwner = :leaseOwner "
           "ADD leaseCounter :one REMOVE checkpointOwner',"
           "'ConditionExpression':'attribute_exists(leaseKey) AND "
           "attribute_not_exists(leaseOwner) AND attribute_not_exists(checkpointOwner)'," ALL_OLD
           ",'ExpressionAttributeValues':{':leaseOwner':{'S':'C'},':one':{'N':'1'}}}");
}

TEST(hand_off_leaves_the_counter)
{
    struct lease_call call = call_of(LEASE_HAND_OFF);

    call.to.owner = T("C");
    expect(&call, "UpdateItem",
           KEY "'UpdateExpression':'SET leaseOwner = :leaseOwner, "
               "checkpointOwner = :checkpointOwner',"
               "'ConditionExpression':'attribute_exists(leaseKey) AND "
               "leaseOwner = :was_leaseOwner AND attribute_not_exists(checkpointOwner)'," ALL_OLD
               ",'ExpressionAttributeValues':{':was_leaseOwner':{'S':'B'},"
               "':leaseOwner':{'S':'C'},':checkpointOwner':{'S':'B'}}}");
}

TEST(an_ask_is_taken_back_without_the_counter)
{
    struct lease_call call = call_of(LEASE_TAKE_BACK);

    call.was.owner = T("C");
    call.was.checkpoint_owner = T("B");
    expect(&call, "UpdateItem",
           KEY "'UpdateExpression':'SET leaseOwner = :leaseOwner REMOVE checkpointOwner',"
               "'ConditionExpression':'leaseOwner = :was_leaseOwner AND "
               "checkpointOwner = :was_checkpointOwner'," ALL_OLD
               ",'ExpressionAttributeValues':{':was_leaseOwner':{'S':'C'},"
               "':was_checkpointOwner':{'S':'B'},':leaseOwner':{'S':'B'}}}");
}

TEST(checkpoint_removes_what_was_pending)
{
    struct lease_call call = call_of(LEASE_CHECKPOINT);

    call.to.checkpoint = T("200");
    call.to.sub = 3;
    expect(&call, "UpdateItem",
           KEY "'UpdateExpression':'SET leaseCounter = :leaseCounter, checkpoint = :checkpoint, "
               "checkpointSubSequenceNumber = :checkpointSubSequenceNumber, "
               "ownerSwitchesSinceCheckpoint = :ownerSwitchesSinceCheckpoint "
               "REMOVE pendingCheckpoint, pendingCheckpointSubSequenceNumber, "
               "pendingCheckpointState',"
               "'ConditionExpression':'leaseCounter = :was_leaseCounter'," ALL_OLD ","
               "'ExpressionAttributeValues':{':leaseCounter':{'N':'8'},"
               "':was_leaseCounter':{'N':'7'},':checkpoint':{'S':'200'},"
               "':checkpointSubSequenceNumber':{'N':'3'},"
               "':ownerSwitchesSinceCheckpoint':{'N':'0'}}}");
}

TEST(the_last_checkpoint_has_all_that_is_known_and_gives_the_lease_up)
{
    struct lease_call call = call_of(LEASE_CHECKPOINT);

    call.to = (struct lease){.checkpoint = T("SHARD_END"),
                             .pending = T("300"),
                             .pending_sub = 2,
                             .parents = {T("p")},
                             .children = {T("c"), T("d")},
                             .low = T("0"),
                             .high = T("9"),
                             .throughput = 0};
    call.gives_up = true;
    expect(&call, "UpdateItem",
           KEY "'UpdateExpression':'SET leaseCounter = :leaseCounter, checkpoint = :checkpoint, "
               "checkpointSubSequenceNumber = :checkpointSubSequenceNumber, "
               "ownerSwitchesSinceCheckpoint = :ownerSwitchesSinceCheckpoint, "
               "pendingCheckpoint = :pendingCheckpoint, "
               "pendingCheckpointSubSequenceNumber = :pendingCheckpointSubSequenceNumber, "
               "parentShardId = :parentShardId, childShardIds = :childShardIds, "
               "startingHashKey = :startingHashKey, endingHashKey = :endingHashKey, "
               "throughputKBps = :throughputKBps "
               "REMOVE pendingCheckpointState, leaseOwner, checkpointOwner',"
               "'ConditionExpression':'leaseCounter = :was_leaseCounter'," ALL_OLD ","
               "'ExpressionAttributeValues':{':leaseCounter':{'N':'8'},"
               "':was_leaseCounter':{'N':'7'},':checkpoint':{'S':'SHARD_END'},"
               "':checkpointSubSequenceNumber':{'N':'0'},"
               "':ownerSwitchesSinceCheckpoint':{'N':'0'},':pendingCheckpoint':{'S':'300'},"
               "':pendingCheckpointSubSequenceNumber':{'N':'2'},':parentShardId':{'SS':['p']},"
               "':childShardIds':{'SS':['c','d']},':startingHashKey':{'S':'0'},"
               "':endingHashKey':{'S':'9'},':throughputKBps':{'N':'0.000000'}}}");
}

TEST(evict_removes_the_owner_or_ends_the_hand_over)
{
    struct lease_call call = call_of(LEASE_EVICT);

    expect(&call, "UpdateItem",
           KEY "'UpdateExpression':'ADD leaseCounter :one REMOVE checkpointOwner, leaseOwner',"
               "'ConditionExpression':'attribute_exists(leaseKey) AND "
               "leaseOwner = :was_leaseOwner AND attribute_not_exists(checkpointOwner)'," ALL_OLD
               ",'ExpressionAttributeValues':{':was_leaseOwner':{'S':'B'},':one':{'N':'1'}}}");
    call.was.checkpoint_owner = T("A");
    expect(&call, "UpdateItem",
           KEY "'UpdateExpression':'ADD leaseCounter :one REMOVE checkpointOwner',"
               "'ConditionExpression':'attribute_exists(leaseKey) AND "
               "leaseOwner = :was_leaseOwner AND checkpointOwner = :was_checkpointOwner'," ALL_OLD
               ",'ExpressionAttributeValues':{':was_leaseOwner':{'S':'B'},"
               "':was_checkpointOwner':{'S':'A'},':one':{'N':'1'}}}");
}

TEST(prepare_writes_only_what_is_pending)
{
    struct lease_call call = call_of(LEASE_PREPARE);

    call.to.pending = T("300");
    call.to.pending_sub = 1;
    expect(&call, "UpdateItem",
           KEY "'UpdateExpression':'SET leaseCounter = :leaseCounter, "
               "pendingCheckpoint = :pendingCheckpoint, "
               "pendingCheckpointSubSequenceNumber = :pendingCheckpointSubSequenceNumber "
               "REMOVE pendingCheckpointState',"
               "'ConditionExpression':'leaseCounter = :was_leaseCounter'," ALL_OLD ","
               "'ExpressionAttributeValues':{':leaseCounter':{'N':'8'},"
               "':was_leaseCounter':{'N':'7'},':pendingCheckpoint':{'S':'300'},"
               "':pendingCheckpointSubSequenceNumber':{'N':'1'}}}");
}

TEST(meta_leaves_the_counter)
{
    struct lease_call call = call_of(LEASE_META);

    call.to.children[0] = T("c"), call.to.children[1] = T("c");
    expect(&call, "UpdateItem",
           KEY "'UpdateExpression':'SET childShardIds = :childShardIds',"
               "'ConditionExpression':'attribute_exists(leaseKey)'," ALL_OLD ","
               "'ExpressionAttributeValues':{':childShardIds':{'SS':['c']}}}");
    call.to.children[0] = call.to.children[1] = NULL;
    expect(&call, "UpdateItem",
           KEY "'ConditionExpression':'attribute_exists(leaseKey)'," ALL_OLD "}");
}

TEST(delete_is_conditional_on_the_checkpoint)
{
    struct lease_call call = call_of(LEASE_DELETE);

    expect(&call, "DeleteItem",
           KEY "'ConditionExpression':'checkpoint = :was_checkpoint OR "
               "attribute_not_exists(leaseKey)'," ALL_OLD ","
               "'ExpressionAttributeValues':{':was_checkpoint':{'S':'100'}}}");
}

TEST(get_is_consistent_and_scan_is_not)
{
    struct lease_call get = call_of(LEASE_GET), scan = call_of(LEASE_SCAN);
    struct request request;
    json_t *start = json_pack("{s:{s:s}}", "leaseKey", "S", "z");

    expect(&get, "GetItem", KEY "'ConsistentRead':true}");
    expect(&scan, "Scan", "{'TableName':'app','Limit':250}");
    request_scan(&request, "app", start);
    EQ_STR(
        json_string_value(json_object_get(
            json_object_get(json_object_get(request.input, "ExclusiveStartKey"), "leaseKey"), "S")),
        "z");
    json_decref(start);
    request_fini(&request);
}

/* ---- KCL 3 */

TEST(metrics_are_updated_in_place_in_either_layout)
{
    struct lease_call call = call_of(LEASE_METRICS);

    call.worker = (struct lease_worker){T("w"), 1700000000, 42.5, 80, false};
    call.layout = LEASE_LAYOUT_KCL3_TABLES;
    expect(&call, "UpdateItem",
           "{'TableName':'app-WorkerMetricStats','Key':{'wid':{'S':'w'}},"
           "'UpdateExpression':'SET lut = :lut, sts = :sts, opr = :opr',"
           "'ExpressionAttributeValues':{':lut':{'N':'1700000000'},"
           "':sts':{'M':{'C':{'L':[{'N':'42.500000'}]}}},"
           "':opr':{'M':{'C':{'L':[{'N':'80.000000'}]}}}}}");
    call.layout = LEASE_LAYOUT_KCL3_SINGLE;
    call.worker.cpu = -1;
    expect(&call, "UpdateItem",
           "{'TableName':'app','Key':{'leaseKey':{'S':'w'}},"
           "'UpdateExpression':'SET lut = :lut, sts = :sts, opr = :opr, "
           "entityType = :entityType, sup = :sup, slu = :slu',"
           "'ExpressionAttributeValues':{':lut':{'N':'1700000000'},':sts':{'M':{}},"
           "':opr':{'M':{}},':entityType':{'S':'WORKER_METRIC_STATS'},':sup':{'N':'1'},"
           "':slu':{'N':'1700000000'}}}");
}

TEST(old_metrics_are_dropped_if_they_are_still_as_old)
{
    struct lease_call call = call_of(LEASE_METRICS_DROP);

    call.worker = (struct lease_worker){T("w"), 5, -1, 0, false};
    call.layout = LEASE_LAYOUT_KCL3_TABLES;
    expect(&call, "DeleteItem",
           "{'TableName':'app-WorkerMetricStats','Key':{'wid':{'S':'w'}},"
           "'ConditionExpression':'lut = :was_lut'," ALL_OLD ","
           "'ExpressionAttributeValues':{':was_lut':{'N':'5'}}}");
}

TEST(the_lock_is_put_whole_on_one_of_three_conditions)
{
    struct lease_call call = call_of(LEASE_LOCK_TAKE);
    struct lease_lock was = {T("a"), T("v-1"), 0, false};

    call.layout = LEASE_LAYOUT_KCL3_TABLES;
    call.lock = (struct lease_lock){T("w"), T("v-2"), 120000, false};
    expect(&call, "PutItem",
           "{'TableName':'app-CoordinatorState','Item':{'key':{'S':'Leader'},"
           "'ownerName':{'S':'w'},'leaseDuration':{'S':'120000'},"
           "'recordVersionNumber':{'S':'v-2'}},'ExpressionAttributeNames':{'#key':'key'},"
           "'ConditionExpression':'attribute_not_exists(#key)'," ALL_OLD "}");
    call.lock_was = &was;
    expect(&call, "PutItem",
           "{'TableName':'app-CoordinatorState','Item':{'key':{'S':'Leader'},"
           "'ownerName':{'S':'w'},'leaseDuration':{'S':'120000'},"
           "'recordVersionNumber':{'S':'v-2'}},"
           "'ConditionExpression':'recordVersionNumber = :was_recordVersionNumber'," ALL_OLD ","
           "'ExpressionAttributeValues':{':was_recordVersionNumber':{'S':'v-1'}}}");
    call.layout = LEASE_LAYOUT_KCL3_SINGLE;
    was.is_released = true;
    expect(&call, "PutItem",
           "{'TableName':'app','Item':{'leaseKey':{'S':'Leader'},"
           "'ownerName':{'S':'w'},'leaseDuration':{'S':'120000'},"
           "'recordVersionNumber':{'S':'v-2'},'entityType':{'S':'LEADER'}},"
           "'ConditionExpression':'isReleased = :was_isReleased'," ALL_OLD ","
           "'ExpressionAttributeValues':{':was_isReleased':{'S':'1'}}}");
}

TEST(the_leader_beats_and_releases_its_own_version)
{
    struct lease_call call = call_of(LEASE_LOCK_BEAT);
    struct lease_lock was = {T("w"), T("v-1"), 0, false};

    call.layout = LEASE_LAYOUT_KCL3_SINGLE;
    call.lock_was = &was;
    call.lock.version = T("v-2");
    expect(&call, "UpdateItem",
           "{'TableName':'app','Key':{'leaseKey':{'S':'Leader'}},"
           "'UpdateExpression':'SET recordVersionNumber = :recordVersionNumber',"
           "'ConditionExpression':'ownerName = :was_ownerName AND "
           "recordVersionNumber = :was_recordVersionNumber'," ALL_OLD ","
           "'ExpressionAttributeValues':{':was_ownerName':{'S':'w'},"
           "':was_recordVersionNumber':{'S':'v-1'},':recordVersionNumber':{'S':'v-2'}}}");
    call.op = LEASE_LOCK_RELEASE;
    call.layout = LEASE_LAYOUT_KCL3_TABLES;
    expect(&call, "UpdateItem",
           "{'TableName':'app-CoordinatorState','Key':{'key':{'S':'Leader'}},"
           "'UpdateExpression':'SET isReleased = :isReleased',"
           "'ConditionExpression':'ownerName = :was_ownerName AND "
           "recordVersionNumber = :was_recordVersionNumber'," ALL_OLD ","
           "'ExpressionAttributeValues':{':was_ownerName':{'S':'w'},"
           "':was_recordVersionNumber':{'S':'v-1'},':isReleased':{'S':'1'}}}");
}

TEST(tables_are_created_as_kcl_creates_them)
{
    struct request request;
    char *text;

    request_create_table(&request, "app", "leaseKey");
    text = json_dumps(request.input, JSON_COMPACT);
    EQ_STR(text, "{\"TableName\":\"app\",\"AttributeDefinitions\":[{\"AttributeName\":"
                 "\"leaseKey\",\"AttributeType\":\"S\"}],\"KeySchema\":[{\"AttributeName\":"
                 "\"leaseKey\",\"KeyType\":\"HASH\"}],\"BillingMode\":\"PAY_PER_REQUEST\"}");
    free(text);
    request_fini(&request);
}

TEST(a_name_that_is_no_text_makes_no_request_that_could_hit_another_row)
{
    struct lease_call call = call_of(LEASE_RENEW);
    struct request request;

    call.was.key = T("\xff");
    request_init(&request, &call, "app");
    YES(json_object_get(request.input, "Key") == NULL);
    request_fini(&request);
}
