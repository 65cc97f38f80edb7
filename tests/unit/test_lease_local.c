/* test_lease_local.c - the lease table in the embedded AWS: exactly the attributes that KCL keeps,
 * and the same conditions and effects as the table in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/lease/memory.h"
#include "sdk/wire/random.h"
#include "tests/unit/lease_local.h"

#define T(text) ((char *)(uintptr_t)(text))

static void put_raw(const char *item)
{
    char text[2000];

    snprintf(text, sizeof text, "{'TableName':'app','Item':%s}", item);
    json_decref(local_ask("PutItem", text));
}

/* The whole item, with its attributes in the order of their names. */
static void expect_item(const char *wanted)
{
    json_t *body = local_ask("GetItem", "{'TableName':'app','Key':{'leaseKey':{'S':'s'}}}");
    char *text = json_dumps(json_object_get(body, "Item"), JSON_COMPACT | JSON_SORT_KEYS);

    for (char *p = text; *p; p++)
        if (*p == '"')
            *p = '\'';
    if (strcmp(text, wanted) != 0)
        fprintf(stderr, "wanted %s\ngot    %s\n", wanted, text);
    EQ_STR(text, wanted);
    free(text);
    json_decref(body);
}

/* ---- tests */

static struct lease_call call_of(enum lease_op op, uint64_t counter, const char *owner)
{
    return (struct lease_call){
        .op = op,
        .was = {.key = T("s"), .counter = counter, .owner = T(owner), .checkpoint = T("100")},
        .to = {.throughput = -1}};
}

#define PARENTS "'parentShardId':{'SS':['p-1','p-2']}"
#define RANGE_  "'endingHashKey':{'S':'99'},"
#define LOW     ",'startingHashKey':{'S':'0'}"

TEST(every_operation_leaves_exactly_the_attributes_of_kcl)
{
    struct lease_call call;

    local_begin();
    EQ_STR(local_open(), "ready");
    call = call_of(LEASE_CREATE, 0, NULL);
    call.to = (struct lease){.checkpoint = T("TRIM_HORIZON"),
                             .parents = {T("p-1"), T("p-2")},
                             .low = T("0"),
                             .high = T("99")};
    EQ_INT(local_status(&call), LEASE_DONE);
    EQ_INT(local_status(&call), LEASE_REFUSED);
    expect_item("{'checkpoint':{'S':'TRIM_HORIZON'},'checkpointSubSequenceNumber':{'N':'0'}," RANGE_
                "'leaseCounter':{'N':'0'},'leaseKey':{'S':'s'},"
                "'ownerSwitchesSinceCheckpoint':{'N':'0'}," PARENTS LOW "}");
    call = call_of(LEASE_TAKE, 0, NULL);
    call.to.owner = T("a");
    EQ_INT(local_status(&call), LEASE_DONE);
    expect_item("{'checkpoint':{'S':'TRIM_HORIZON'},'checkpointSubSequenceNumber':{'N':'0'}," RANGE_
                "'leaseCounter':{'N':'1'},'leaseKey':{'S':'s'},'leaseOwner':{'S':'a'},"
                "'ownerSwitchesSinceCheckpoint':{'N':'0'}," PARENTS LOW "}");
    call = call_of(LEASE_TAKE, 1, "a");
    call.to.owner = T("b");
    EQ_INT(local_status(&call), LEASE_DONE);
    call = call_of(LEASE_RENEW, 2, "b");
    call.checks_hand_off = true;
    call.to.throughput = 12.25;
    EQ_INT(local_status(&call), LEASE_DONE);
    call = call_of(LEASE_PREPARE, 3, "b");
    call.to.pending = T("150");
    call.to.pending_sub = 3;
    EQ_INT(local_status(&call), LEASE_DONE);
    expect_item("{'checkpoint':{'S':'TRIM_HORIZON'},'checkpointSubSequenceNumber':{'N':'0'}," RANGE_
                "'leaseCounter':{'N':'4'},'leaseKey':{'S':'s'},'leaseOwner':{'S':'b'},"
                "'ownerSwitchesSinceCheckpoint':{'N':'1'}," PARENTS ",'pendingCheckpoint':"
                "{'S':'150'},'pendingCheckpointSubSequenceNumber':{'N':'3'}" LOW
                ",'throughputKBps':{'N':'12.25'}}");
    call = call_of(LEASE_CHECKPOINT, 4, "b");
    call.to.checkpoint = T("150");
    call.to.sub = 3;
    EQ_INT(local_status(&call), LEASE_DONE);
    expect_item("{'checkpoint':{'S':'150'},'checkpointSubSequenceNumber':{'N':'3'}," RANGE_
                "'leaseCounter':{'N':'5'},'leaseKey':{'S':'s'},'leaseOwner':{'S':'b'},"
                "'ownerSwitchesSinceCheckpoint':{'N':'0'}," PARENTS LOW
                ",'throughputKBps':{'N':'12.25'}}");
    call = call_of(LEASE_HAND_OFF, 5, "b");
    call.to.owner = T("c");
    EQ_INT(local_status(&call), LEASE_DONE);
    expect_item("{'checkpoint':{'S':'150'},'checkpointOwner':{'S':'b'},"
                "'checkpointSubSequenceNumber':{'N':'3'}," RANGE_
                "'leaseCounter':{'N':'5'},'leaseKey':{'S':'s'},'leaseOwner':{'S':'c'},"
                "'ownerSwitchesSinceCheckpoint':{'N':'0'}," PARENTS LOW
                ",'throughputKBps':{'N':'12.25'}}");
    call = call_of(LEASE_RENEW, 5, "b");
    call.checks_hand_off = true;
    EQ_INT(local_status(&call), LEASE_REFUSED);
    call = call_of(LEASE_ASSIGN, 5, "c");
    call.was.checkpoint_owner = T("b");
    call.to.owner = T("c");
    EQ_INT(local_status(&call), LEASE_DONE);
    call = call_of(LEASE_META, 6, "c");
    call.to.children[0] = T("d-1");
    EQ_INT(local_status(&call), LEASE_DONE);
    call = call_of(LEASE_EVICT, 6, "c");
    EQ_INT(local_status(&call), LEASE_DONE);
    expect_item(
        "{'checkpoint':{'S':'150'},'checkpointSubSequenceNumber':{'N':'3'},"
        "'childShardIds':{'SS':['d-1']}," RANGE_ "'leaseCounter':{'N':'7'},'leaseKey':{'S':'s'},"
        "'ownerSwitchesSinceCheckpoint':{'N':'0'}," PARENTS LOW ",'throughputKBps':{'N':'12.25'}}");
    call = call_of(LEASE_DELETE, 0, NULL);
    EQ_INT(local_status(&call), LEASE_REFUSED);
    call.was.checkpoint = T("150");
    EQ_INT(local_status(&call), LEASE_DONE);
    EQ_INT(local_status(&call), LEASE_DONE);
    local_end();
}

TEST(what_a_newer_worker_wrote_survives_every_write)
{
    static const enum lease_op ops[] = {LEASE_RENEW,      LEASE_TAKE,   LEASE_ASSIGN,
                                        LEASE_HAND_OFF,   LEASE_ASSIGN, LEASE_PREPARE,
                                        LEASE_CHECKPOINT, LEASE_META,   LEASE_EVICT};
    struct lease_call call;
    struct local_heard heard;

    local_begin();
    EQ_STR(local_open(), "ready");
    put_raw("{'leaseKey':{'S':'s'},'leaseCounter':{'N':'7'},'checkpoint':{'S':'100'},"
            "'leaseOwner':{'S':'w'},'streamName':{'S':'1:a:2'},'shardId':{'S':'s'},"
            "'brandNew':{'M':{'deep':{'L':[{'BOOL':true},{'B':'AAEC'}]}}}}");
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        call = call_of(LEASE_GET, 0, NULL);
        local_call(&call, &heard);
        call = call_of(ops[i], 0, NULL);
        call.was = heard.row;
        call.to.owner = T("w");
        call.to.checkpoint = T("200");
        call.to.pending = T("200");
        EQ_INT(local_status(&call), LEASE_DONE);
        local_forget(&heard);
    }
    expect_item("{'brandNew':{'M':{'deep':{'L':[{'BOOL':true},{'B':'AAEC'}]}}},"
                "'checkpoint':{'S':'200'},'checkpointSubSequenceNumber':{'N':'0'},"
                "'leaseCounter':{'N':'14'},'leaseKey':{'S':'s'},"
                "'ownerSwitchesSinceCheckpoint':{'N':'0'},'pendingCheckpoint':{'S':'200'},"
                "'pendingCheckpointSubSequenceNumber':{'N':'0'},'shardId':{'S':'s'},"
                "'streamName':{'S':'1:a:2'}}");
    local_end();
}

TEST(a_table_of_another_program_is_refused)
{
    local_begin();
    json_decref(local_ask("CreateTable",
                          "{'TableName':'app','AttributeDefinitions':[{'AttributeName':'StreamID',"
                          "'AttributeType':'S'},{'AttributeName':'ShardID','AttributeType':'S'}],"
                          "'KeySchema':[{'AttributeName':'StreamID','KeyType':'HASH'},"
                          "{'AttributeName':'ShardID','KeyType':'RANGE'}],"
                          "'BillingMode':'PAY_PER_REQUEST'}"));
    EQ_STR(local_open(),
           "the table app is no lease table: its key is HASH StreamID (S), RANGE ShardID (S), "
           "a lease table has HASH leaseKey (S); give the pipeline another `application`");
    local_end();
}

/* ---- KCL 3 */

static void play_kcl3(enum lease_layout layout)
{
    struct lease_lock was = {T("w"), T("v-1"), 0, false};
    struct lease_call call = {.op = LEASE_METRICS, .layout = layout};
    struct local_heard heard;

    call.worker = (struct lease_worker){T("w"), 1700000000, 42.5, 80, false};
    while (local_status(&call) != LEASE_DONE) /* its table may be made first */
        continue;
    call.op = LEASE_LOCK_TAKE;
    call.lock = (struct lease_lock){T("w"), T("v-1"), 120000, false};
    while (local_status(&call) != LEASE_DONE)
        continue;
    EQ_INT(local_status(&call), LEASE_REFUSED);
    call.op = LEASE_LOCK_BEAT;
    call.lock_was = &was;
    call.lock.version = T("v-2");
    EQ_INT(local_status(&call), LEASE_DONE);
    EQ_INT(local_status(&call), LEASE_REFUSED);
    was.version = T("v-2");
    call.op = LEASE_LOCK_RELEASE;
    EQ_INT(local_status(&call), LEASE_DONE);
    call.op = LEASE_SCAN;
    local_call(&call, &heard);
    EQ_STR(heard.cpu, "w 1700000000 42.5 80.0 0");
    EQ_STR(heard.lock, "w v-2 1");
    EQ_INT(heard.n_strange, 0);
    YES(heard.has_items == (layout == LEASE_LAYOUT_KCL3_SINGLE));
    YES(heard.has_tables == (layout == LEASE_LAYOUT_KCL3_TABLES));
    local_forget(&heard);
    call.op = LEASE_LOCK_TAKE;
    was.is_released = true;
    call.lock = (struct lease_lock){T("x"), T("v-3"), 120000, false};
    EQ_INT(local_status(&call), LEASE_DONE);
    EQ_INT(local_status(&call), LEASE_REFUSED);
    was = (struct lease_lock){T("x"), T("v-3"), 0, false};
    call.lock = (struct lease_lock){T("y"), T("v-4"), 120000, false};
    EQ_INT(local_status(&call), LEASE_DONE);
    call.op = LEASE_METRICS_DROP;
    call.worker.updated_s--;
    EQ_INT(local_status(&call), LEASE_REFUSED);
    call.worker.updated_s++;
    EQ_INT(local_status(&call), LEASE_DONE);
    call.op = LEASE_SCAN;
    local_call(&call, &heard);
    EQ_STR(heard.lock, "y v-4 0");
    EQ_INT(heard.n_workers, 0);
    local_forget(&heard);
}

TEST(metrics_and_lock_of_kcl_3_work_in_tables_of_their_own)
{
    local_begin();
    EQ_STR(local_open(), "ready");
    play_kcl3(LEASE_LAYOUT_KCL3_TABLES);
    local_end();
}

TEST(metrics_and_lock_of_kcl_3_work_in_the_lease_table)
{
    local_begin();
    EQ_STR(local_open(), "ready");
    play_kcl3(LEASE_LAYOUT_KCL3_SINGLE);
    local_end();
}

/* ---- the table in memory does the same */

static struct kpw_random dice;

static bool chance(uint64_t of)
{
    return kpw_random_below(&dice, of) == 0;
}

static char *pick(const char *const *texts, uint64_t n)
{
    return T(texts[kpw_random_below(&dice, n)]);
}

static const char *const owners[] = {"a", "b", "c", NULL};
static const char *const checkpoints[] = {"TRIM_HORIZON", "100", "200", "SHARD_END"};

/* Any call, mostly one that knows how the row stands. */
/* What a write would set. */
static void roll_to(struct lease_call *call)
{
    call->to.owner = pick(owners, 3);
    call->to.checkpoint = pick(checkpoints, 4);
    call->to.sub = kpw_random_below(&dice, 5);
    call->to.throughput = chance(2) ? -1 : (double)kpw_random_below(&dice, 1000) / 8;
    if (call->op == LEASE_PREPARE || chance(2)) {
        call->to.pending = pick(checkpoints, 4);
        call->to.pending_sub = kpw_random_below(&dice, 5);
    }
    if (chance(2))
        call->to.parents[0] = T("p-1"), call->to.parents[1] = chance(2) ? T("p-2") : NULL;
    if (chance(2))
        call->to.children[0] = T("c-1"), call->to.children[1] = chance(2) ? T("c-2") : NULL;
    if (chance(2))
        call->to.low = T("0"), call->to.high = T("9");
}

static struct lease_call roll(const struct memory_table *table)
{
    static const char *const keys[] = {"s-1", "s-2", "s-3"};
    struct lease_call call = {.op = (enum lease_op)kpw_random_below(&dice, LEASE_GET + 1),
                              .was = {.key = pick(keys, 3)}};
    const struct lease *row = memory_table_find(table, call.was.key);

    if (row)
        call.was = *row;
    if (chance(4))
        call.was.counter++;
    if (chance(6))
        call.was.owner = pick(owners, 4);
    if (chance(6))
        call.was.checkpoint_owner = pick(owners, 4);
    if (call.op == LEASE_TAKE_BACK && !call.was.checkpoint_owner)
        call.was.checkpoint_owner = T("x"); /* to whom else? */
    if (!call.was.checkpoint || chance(6))
        call.was.checkpoint = pick(checkpoints, 4);
    roll_to(&call);
    call.checks_hand_off = chance(2);
    call.gives_up = chance(3);
    return call;
}

static bool same(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static bool is_same_row(const struct lease *a, const struct lease *b)
{
    const char *const a_texts[] = {a->key,        a->owner,       a->checkpoint_owner,
                                   a->checkpoint, a->pending,     a->parents[0],
                                   a->parents[1], a->children[0], a->children[1],
                                   a->low,        a->high};
    const char *const b_texts[] = {b->key,        b->owner,       b->checkpoint_owner,
                                   b->checkpoint, b->pending,     b->parents[0],
                                   b->parents[1], b->children[0], b->children[1],
                                   b->low,        b->high};

    for (size_t i = 0; i < sizeof a_texts / sizeof *a_texts; i++)
        if (!same(a_texts[i], b_texts[i]))
            return false;
    return a->counter == b->counter && a->switches == b->switches && a->sub == b->sub &&
           a->pending_sub == b->pending_sub && a->throughput == b->throughput;
}

/* Both tables hear the same call; a difference ends the test. */
static void play(struct memory_table *table, int step)
{
    struct lease_call call = roll(table);
    enum lease_op op = call.op;
    struct memory_answer answer;
    struct local_heard heard;
    bool is_same;

    local_call(&call, &heard); /* first, as `call` points into the table in memory */
    memory_table_do(table, &call, &answer);
    is_same = heard.status == answer.status && is_same_row(&heard.row, &answer.row);
    if (!is_same)
        fprintf(stderr, "step %d, operation %d: status %d, in memory %d\n", step, op, heard.status,
                answer.status);
    REQUIRE(is_same);
    memory_answer_fini(&answer);
    local_forget(&heard);
}

static void expect_same_tables(const struct memory_table *table)
{
    struct lease_call call = {.op = LEASE_SCAN};
    struct local_heard heard;

    local_call(&call, &heard);
    EQ_INT(heard.n_leases, memory_table_count(table));
    for (size_t i = 0; i < heard.n_leases; i++) {
        const struct lease *row = memory_table_find(table, heard.leases[i].key);

        REQUIRE(row != NULL && is_same_row(row, &heard.leases[i]));
    }
    local_forget(&heard);
}

TEST(the_table_in_memory_does_what_dynamodb_does)
{
    struct memory_table *table = memory_table_new("app");

    local_begin();
    EQ_STR(local_open(), "ready");
    kpw_random_init_from(&dice, 4711);
    for (int step = 0; step < 1000; step++) {
        play(table, step);
        if (step % 50 == 0)
            expect_same_tables(table);
    }
    expect_same_tables(table);
    memory_table_free(table);
    local_end();
}
