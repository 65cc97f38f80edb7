/* test_lease_item.c - items of a lease table read as leases, metrics, lock, state, or nothing we
 * know; and the order of checkpoints. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/lease/lease_item.h"
#include "tests/kptest.h"

#define LEASE "'leaseKey':{'S':'s'},'leaseCounter':{'N':'7'},'checkpoint':{'S':'100'}"

/* Single quotes stand for double ones. */
static json_t *parse(const char *text)
{
    char *copy = mem_dup(text);
    json_t *json;

    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    json = json_loads(copy, 0, NULL);
    free(copy);
    REQUIRE(json != NULL);
    return json;
}

static bool reads(const char *text, struct lease *lease)
{
    json_t *item = parse(text);
    bool ok = lease_item_read(item, lease);

    json_decref(item);
    return ok;
}

static bool is_lease(const char *text)
{
    struct lease lease;
    bool ok = reads(text, &lease);

    if (!ok)
        YES(!lease.key && !lease.owner && !lease.checkpoint && !lease.parents[0]);
    lease_fini(&lease);
    return ok;
}

TEST(a_lease_has_all_that_java_workers_write)
{
    struct lease lease;

    REQUIRE(reads("{" LEASE ",'leaseOwner':{'S':'w-1'},'checkpointOwner':{'S':'w-0'},"
                  "'ownerSwitchesSinceCheckpoint':{'N':'3'},"
                  "'checkpointSubSequenceNumber':{'N':'5'},'pendingCheckpoint':{'S':'120'},"
                  "'pendingCheckpointSubSequenceNumber':{'N':'6'},"
                  "'pendingCheckpointState':{'B':'AAEC'},"
                  "'parentShardId':{'SS':['p-0','p-1']},'childShardIds':{'SS':['c-0']},"
                  "'startingHashKey':{'S':'0'},"
                  "'endingHashKey':{'S':'340282366920938463463374607431768211455'},"
                  "'throughputKBps':{'N':'12.500000'},'entityType':{'S':'LEASE'},"
                  "'streamName':{'S':'1:a:2'},'shardId':{'S':'s'}}",
                  &lease));
    EQ_STR(lease.key, "s");
    EQ_STR(lease.owner, "w-1");
    EQ_STR(lease.checkpoint_owner, "w-0");
    EQ_STR(lease_worker(&lease), "w-0");
    EQ_INT(lease.counter, 7);
    EQ_INT(lease.switches, 3);
    EQ_STR(lease.checkpoint, "100");
    EQ_INT(lease.sub, 5);
    EQ_STR(lease.pending, "120");
    EQ_INT(lease.pending_sub, 6);
    EQ_STR(lease.parents[1], "p-1");
    EQ_STR(lease.children[0], "c-0");
    YES(lease.children[1] == NULL);
    EQ_STR(lease.low, "0");
    EQ_STR(lease.high, "340282366920938463463374607431768211455");
    CU_ASSERT_DOUBLE_EQUAL(lease.throughput, 12.5, 0.0001);
    lease_fini(&lease);
}

TEST(a_lease_of_an_old_worker_lacks_most_attributes)
{
    struct lease lease;

    REQUIRE(reads("{" LEASE "}", &lease));
    YES(!lease.owner && !lease.checkpoint_owner && !lease.pending && !lease.parents[0]);
    YES(!lease.low && !lease.high && lease_worker(&lease) == NULL);
    EQ_INT(lease.sub, 0);
    YES(lease.throughput < 0);
    NO(lease_has_ended(&lease));
    lease_fini(&lease);
}

TEST(an_item_without_counter_or_checkpoint_is_no_lease)
{
    NO(is_lease("{}"));
    NO(is_lease("[]"));
    NO(is_lease("{'leaseKey':{'S':'s'},'checkpoint':{'S':'1'}}"));
    NO(is_lease("{'leaseKey':{'S':'s'},'leaseCounter':{'N':'1'}}"));
    NO(is_lease("{'leaseCounter':{'N':'7'},'checkpoint':{'S':'100'}}"));
    NO(is_lease("{'leaseKey':{'S':''},'leaseCounter':{'N':'7'},'checkpoint':{'S':'100'}}"));
    NO(is_lease("{'leaseKey':{'S':'s'},'leaseCounter':{'N':'7'},'checkpoint':{'S':''}}"));
}

TEST(an_item_of_another_type_is_no_lease_even_if_it_looks_like_one)
{
    YES(is_lease("{" LEASE "}"));
    YES(is_lease("{" LEASE ",'entityType':{'S':'LEASE'}}"));
    NO(is_lease("{" LEASE ",'entityType':{'S':'SOMETHING_NEW'}}"));
    NO(is_lease("{" LEASE ",'entityType':{'N':'1'}}"));
}

TEST(an_attribute_of_the_wrong_type_makes_it_no_lease)
{
    static const char *const wrong[] = {
        "'leaseOwner':{'N':'1'}",
        "'leaseOwner':'w'",
        "'checkpointOwner':{'BOOL':true}",
        "'ownerSwitchesSinceCheckpoint':{'N':'-1'}",
        "'checkpointSubSequenceNumber':{'S':'1'}",
        "'checkpointSubSequenceNumber':{'N':'1.5'}",
        "'pendingCheckpoint':{'NULL':true}",
        "'parentShardId':{'S':'p'}",
        "'parentShardId':{'SS':['a','b','c']}",
        "'childShardIds':{'SS':[1]}",
        "'startingHashKey':{'N':'0'}",
        "'endingHashKey':{'S':'3402823669209384634633746074317682114551'}",
    };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[400];

        snprintf(text, sizeof text, "{" LEASE ",%s}", wrong[i]);
        NO(is_lease(text));
    }
    NO(is_lease("{'leaseKey':{'S':'s'},'leaseCounter':{'S':'7'},'checkpoint':{'S':'100'}}"));
    NO(is_lease("{'leaseKey':{'S':'s'},'leaseCounter':{'N':'18446744073709551616'},"
                "'checkpoint':{'S':'100'}}"));
    NO(is_lease("{'leaseKey':{'S':'s'},'leaseCounter':{'N':''},'checkpoint':{'S':'100'}}"));
}

TEST(a_strange_throughput_is_none)
{
    struct lease lease;

    REQUIRE(reads("{" LEASE ",'throughputKBps':{'N':'nan'}}", &lease));
    YES(lease.throughput < 0);
    lease_fini(&lease);
    REQUIRE(reads("{" LEASE ",'throughputKBps':{'N':'1.5E+2'}}", &lease));
    CU_ASSERT_DOUBLE_EQUAL(lease.throughput, 150, 0.0001);
    lease_fini(&lease);
}

/* ---- what a scan finds */

static struct lease_scan gathered(enum lease_layout layout, const char *leases, const char *state,
                                  const char *metrics)
{
    const char *texts[] = {leases, state, metrics};
    struct scan scan = {0};
    struct lease_scan found;

    for (int i = 0; i < 3; i++) {
        json_t *items = parse(texts[i]), *item;
        size_t n;

        json_array_foreach(items, n, item)
            lease_item_gather(&scan, i ? SCAN_KCL3_TABLES : SCAN_LEASE_TABLE, item);
        json_decref(items);
    }
    scan_finish(&scan, layout, &found);
    return found;
}

#define LOCK(key, owner)                                                           \
    "{'" key "':{'S':'Leader'},'ownerName':{'S':'" owner                           \
    "'},'leaseDuration':{'S':'120000'},'recordVersionNumber':{'S':'v-" owner "'}," \
    "'entityType':{'S':'LEADER'}}"
#define METRICS(key, id, lut, sts, opr)                                                        \
    "{'" key "':{'S':'" id "'},'lut':{'N':'" lut "'},'sts':{'M':" sts "},'opr':{'M':" opr "}," \
    "'entityType':{'S':'WORKER_METRIC_STATS'}}"
#define CPU    "{'C':{'L':[{'N':'10'},{'N':'42.5'}]}}"
#define LIMITS "{'C':{'L':[{'N':'80'},{'N':'90'}]}}"

TEST(what_kcl_3_5_keeps_in_the_lease_table_is_told_from_leases)
{
    struct lease_scan found =
        gathered(LEASE_LAYOUT_KCL2,
                 "[{" LEASE "}," LOCK("leaseKey", "w-1") "," METRICS(
                     "leaseKey", "w-1", "1700000000", CPU,
                     LIMITS) ",{'leaseKey':{'S':'Migration3.0'},'cv':{'S':'CLIENT_VERSION_3X'},"
                             "'mb':{'S':'w'},'mts':{'N':'1'},'h':{'L':[]}},"
                             "{'leaseKey':{'S':'TableMigration3.5'},'tm':{'S':'COMPLETE'}},"
                             "{'leaseKey':{'S':'1:a:2'},'streamId':{'S':'1:a:2'}},"
                             "{'leaseKey':{'S':'?'},'entityType':{'S':'NEW'}}]",
                 "[]", "[]");

    EQ_INT(found.n_leases, 1);
    EQ_INT(found.n_workers, 1);
    EQ_STR(found.workers[0].id, "w-1");
    EQ_INT(found.workers[0].updated_s, 1700000000);
    CU_ASSERT_DOUBLE_EQUAL(found.workers[0].cpu, 42.5, 0.0001);
    CU_ASSERT_DOUBLE_EQUAL(found.workers[0].cpu_limit, 80, 0.0001);
    NO(found.workers[0].has_failed);
    EQ_STR(found.lock.owner, "w-1");
    EQ_STR(found.lock.version, "v-w-1");
    EQ_INT(found.lock.duration_ms, 120000);
    NO(found.lock.is_released);
    EQ_STR(found.client_version, "CLIENT_VERSION_3X");
    EQ_STR(found.table_migration, "COMPLETE");
    YES(found.has_kcl3_items);
    NO(found.has_kcl3_tables);
    EQ_INT(found.n_strange, 1);
    lease_scan_fini(&found);
}

TEST(what_kcl_3_0_keeps_in_tables_of_its_own_is_found)
{
    struct lease_scan found =
        gathered(LEASE_LAYOUT_KCL2, "[{" LEASE "}]",
                 "[{'key':{'S':'Migration3.0'},'cv':{'S':'CLIENT_VERSION_UPGRADE_FROM_2X'}},"
                 "{'key':{'S':'Leader'},'ownerName':{'S':'a'},'leaseDuration':{'S':'x'},"
                 "'recordVersionNumber':{'S':'v'},'isReleased':{'S':'1'}},{'key':{'S':'Leader'}}]",
                 "[" METRICS("wid", "w", "5", "{}", "{}") ",{'nothing':{'S':'x'}}]");

    EQ_INT(found.n_leases, 1);
    EQ_INT(found.n_workers, 1);
    YES(found.workers[0].cpu < 0);
    NO(found.workers[0].has_failed); /* it says that it measures nothing */
    EQ_STR(found.client_version, "CLIENT_VERSION_UPGRADE_FROM_2X");
    YES(found.lock.is_released);
    EQ_INT(found.lock.duration_ms, 0);
    NO(found.has_kcl3_items);
    EQ_INT(found.n_strange, 2);
    lease_scan_fini(&found);
}

TEST(a_worker_whose_metrics_failed_or_make_no_sense_counts_as_absent)
{
    static const char *const items[] = {
        METRICS("wid", "w", "5", "{'C':{'L':[{'N':'10'},{'N':'-1'}]}}", LIMITS),
        METRICS("wid", "w", "5", "{'C':{'L':[]}}", LIMITS),
        METRICS("wid", "w", "5", CPU, "{}"),
        METRICS("wid", "w", "5", CPU, "{'C':{'L':[{'N':'0'}]}}"),
        METRICS("wid", "w", "5", CPU, "{'C':{'L':[{'N':'101'}]}}"),
        METRICS("wid", "w", "5", "{'C':{'S':'1'}}", LIMITS),
        METRICS("wid", "w", "x", CPU, LIMITS),
        "{'wid':{'S':'w'}}",
        "{'wid':{'S':'w'},'lut':{'N':'5'}}",
        "{'wid':{'S':'w'},'lut':{'N':'18446744073709551615'},'sts':{'M':{}},'opr':{'M':{}}}",
    };

    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        char text[600];
        struct lease_scan found;

        snprintf(text, sizeof text, "[%s]", items[i]);
        found = gathered(LEASE_LAYOUT_KCL3_TABLES, "[]", "[]", text);
        EQ_INT(found.n_workers, 1);
        YES(found.workers[0].has_failed);
        YES(found.workers[0].cpu < 0);
        lease_scan_fini(&found);
    }
}

TEST(while_a_fleet_moves_to_one_table_the_lock_of_the_old_one_counts)
{
    static const char complete[] =
        "[{'leaseKey':{'S':'TableMigration3.5'},'tm':{'S':'COMPLETE'}}," LOCK("leaseKey",
                                                                              "new") "]";
    static const char pending[] =
        "[{'leaseKey':{'S':'TableMigration3.5'},'tm':{'S':'PENDING'}}," LOCK("leaseKey", "new") "]";
    static const char old[] = "[" LOCK("key", "old") "]";
    struct lease_scan found = gathered(LEASE_LAYOUT_KCL2, pending, old, "[]");

    EQ_STR(found.lock.owner, "old");
    lease_scan_fini(&found);
    found = gathered(LEASE_LAYOUT_KCL2, complete, old, "[]");
    EQ_STR(found.lock.owner, "new");
    lease_scan_fini(&found);
    found = gathered(LEASE_LAYOUT_KCL3_SINGLE, pending, old, "[]");
    EQ_STR(found.lock.owner, "new");
    lease_scan_fini(&found);
    found = gathered(LEASE_LAYOUT_KCL3_SINGLE, "[]", old, "[]");
    EQ_STR(found.lock.owner, "old");
    lease_scan_fini(&found);
}

TEST(of_two_metrics_items_of_one_worker_the_fresher_counts)
{
    struct lease_scan found = gathered(
        LEASE_LAYOUT_KCL3_SINGLE, "[" METRICS("leaseKey", "w", "50", CPU, LIMITS) "]", "[]",
        "[" METRICS("wid", "w", "40", "{}", "{}") "," METRICS("wid", "v", "60", "{}", "{}") "]");

    EQ_INT(found.n_workers, 2);
    EQ_STR(found.workers[0].id, "w");
    EQ_INT(found.workers[0].updated_s, 50);
    YES(found.workers[0].cpu > 0);
    lease_scan_fini(&found);
}

/* ---- checkpoints */

static int order(const char *a, const char *b)
{
    int forth = lease_compare_checkpoints(a, 0, b, 0), back = lease_compare_checkpoints(b, 0, a, 0);

    YES((forth > 0) == (back < 0) && (forth < 0) == (back > 0));
    return forth < 0 ? -1 : forth > 0;
}

TEST(checkpoints_are_in_the_order_of_kcl)
{
    static const char *const rising[] = {
        "AT_TIMESTAMP",
        "TRIM_HORIZON",
        "LATEST",
        "0",
        "9",
        "10",
        "49590338271490256608559692538361571095921575989136588898",
        "49590338271490256608559692538361571095921575989136588899",
        "495903382714902566085596925383615710959215759891365888980",
        "SHARD_END",
    };
    size_t n = sizeof rising / sizeof *rising;

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            EQ_INT(order(rising[i], rising[j]), i < j ? -1 : i > j);
    EQ_INT(order("007", "7"), 0);
    EQ_INT(order("000", "0"), 0);
    EQ_INT(order("012", "2"), 1);
    YES(lease_compare_checkpoints("7", 1, "7", 2) < 0);
    YES(lease_compare_checkpoints("8", 1, "7", 2) > 0);
    EQ_INT(lease_compare_checkpoints("7", 2, "07", 2), 0);
    YES(lease_compare_checkpoints("TRIM_HORIZON", 9, "TRIM_HORIZON", 0) > 0);
}

TEST(positions_of_other_sources_have_an_order_too)
{
    EQ_INT(order("a/1", "a/2"), -1);
    EQ_INT(order("a/1", "a/1"), 0);
    EQ_INT(order("99", "a/1"), -1);
    EQ_INT(order("", "1"), 1);
    EQ_INT(order("a/1", "SHARD_END"), -1);
}

TEST(a_copied_lease_is_its_own)
{
    struct lease lease, copy;

    REQUIRE(reads("{" LEASE ",'leaseOwner':{'S':'w'},'parentShardId':{'SS':['p']}}", &lease));
    lease_copy(&copy, &lease);
    lease_fini(&lease);
    EQ_STR(copy.owner, "w");
    EQ_STR(copy.parents[0], "p");
    EQ_INT(copy.counter, 7);
    lease_fini(&copy);
    YES(copy.key == NULL);
    lease_fini(&copy);
}
