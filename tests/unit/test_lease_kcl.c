/* test_lease_kcl.c - what real Java workers wrote (tests/vectors/kcl): every item is understood,
 * and the call of ours that means the same leaves the same item behind, in DynamoDB and in memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/lease/lease_item.h"
#include "core/lease/memory.h"
#include "tests/unit/lease_local.h"

#define T(text) ((char *)(uintptr_t)(text))

static const char *const files[] = {"tests/vectors/kcl/kcl-2.7.2.json",
                                    "tests/vectors/kcl/kcl-3.4.2.json",
                                    "tests/vectors/kcl/kcl-3.5.1.json"};

/* One write of theirs. [borrowed from the file] */
struct write {
    const char *operation;
    const json_t *request;
    json_t *before, *after; /* JSON null: no item */
    bool is_refused;
};

/* fn hears of each write of all files. */
static int each_write(void (*fn)(const struct write *write))
{
    int n = 0;

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        json_t *all = json_load_file(kptest_path(files[i]), 0, NULL), *one;
        size_t at;

        REQUIRE(json_is_array(all));
        json_array_foreach(all, at, one)
        {
            struct write write = {.operation = json_string_value(json_object_get(one, "operation")),
                                  .request = json_object_get(one, "request"),
                                  .before = json_object_get(one, "before"),
                                  .after = json_object_get(one, "after"),
                                  .is_refused =
                                      json_integer_value(json_object_get(one, "status")) != 200};

            if (!write.before && !write.after)
                continue; /* reads, and the making of tables */
            fn(&write);
            n++;
        }
        json_decref(all);
    }
    return n;
}

/* ---- reading */

static const char *text_of(const json_t *item, const char *name, const char *type)
{
    return json_string_value(json_object_get(json_object_get(item, name), type));
}

static bool is_beside(const json_t *item)
{
    return json_object_get(item, "key") || json_object_get(item, "wid");
}

static bool is_lease(const json_t *item)
{
    struct lease lease;
    bool ok = lease_item_read(item, &lease);

    lease_fini(&lease);
    return ok;
}

static int n_leases;

static void read_one(const json_t *item)
{
    struct scan scan = {0};
    struct lease_scan found;

    if (!json_is_object(item))
        return;
    lease_item_gather(&scan, is_beside(item) ? SCAN_KCL3_TABLES : SCAN_LEASE_TABLE, item);
    scan_finish(&scan, LEASE_LAYOUT_KCL2, &found);
    EQ_INT(found.n_strange, 0);
    EQ_INT(found.n_leases, json_object_get(item, "leaseCounter") != NULL);
    EQ_INT(found.n_workers, json_object_get(item, "lut") != NULL);
    EQ_INT(found.lock.owner != NULL, json_object_get(item, "ownerName") != NULL);
    EQ_INT(found.client_version != NULL, json_object_get(item, "cv") != NULL);
    if (found.n_workers)
        NO(found.workers[0].has_failed);
    n_leases += (int)found.n_leases;
    lease_scan_fini(&found);
}

static void read_both(const struct write *write)
{
    read_one(write->before);
    read_one(write->after);
}

TEST(every_item_that_java_workers_keep_is_understood)
{
    n_leases = 0;
    YES(each_write(read_both) > 40);
    YES(n_leases > 50);
}

/* ---- the same write as a call of ours */

static const json_t *update_of(const struct write *write, const char *attribute)
{
    return json_object_get(json_object_get(write->request, "AttributeUpdates"), attribute);
}

static bool is_action(const struct write *write, const char *attribute, const char *action)
{
    const char *had = json_string_value(json_object_get(update_of(write, attribute), "Action"));

    return had && !strcmp(had, action);
}

static bool expects(const struct write *write, const char *attribute)
{
    return json_object_get(json_object_get(write->request, "Expected"), attribute) != NULL;
}

static enum lease_op op_of(const struct write *write)
{
    if (!strcmp(write->operation, "PutItem"))
        return LEASE_CREATE;
    if (!strcmp(write->operation, "DeleteItem"))
        return LEASE_DELETE;
    if (is_action(write, "pendingCheckpoint", "PUT"))
        return LEASE_PREPARE;
    if (update_of(write, "checkpoint"))
        return LEASE_CHECKPOINT;
    if (is_action(write, "checkpointOwner", "PUT"))
        return LEASE_HAND_OFF;
    if (is_action(write, "leaseCounter", "ADD"))
        return LEASE_ASSIGN;
    if (update_of(write, "leaseOwner"))
        return LEASE_TAKE;
    return update_of(write, "leaseCounter") ? LEASE_RENEW : LEASE_META;
}

/* What their request says, where it says more than the item after it. */
static void set_from_request(const struct write *write, struct lease_call *call)
{
    const json_t *counter =
        json_object_get(json_object_get(write->request, "Expected"), "leaseCounter");
    const char *known = text_of(counter, "Value", "N");
    const char *throughput = text_of(update_of(write, "throughputKBps"), "Value", "N");
    const char *owner = text_of(update_of(write, "leaseOwner"), "Value", "S");

    call->checks_hand_off = expects(write, "checkpointOwner");
    if (known)
        call->was.counter = strtoull(known, NULL, 10);
    call->to.throughput = throughput ? strtod(throughput, NULL) : -1;
    if (owner)
        call->to.owner = T(owner);
    if (!update_of(write, "childShardIds"))
        call->to.children[0] = call->to.children[1] = NULL;
}

static void put_raw(json_t *item)
{
    json_decref(local_ask_json(
        "PutItem", json_pack("{s:s, s:O}", "TableName",
                             is_beside(item) ? "app-CoordinatorState" : "app", "Item", item)));
}

static json_t *get_raw(const char *table, const char *key, const char *value)
{
    json_t *body = local_ask_json(
        "GetItem", json_pack("{s:s, s:{s:{s:s}}}", "TableName", table, "Key", key, "S", value));
    json_t *item = json_incref(json_object_get(body, "Item"));

    json_decref(body);
    return item;
}

/* Prints both when they differ. */
static void expect_json(const json_t *got, const json_t *wanted)
{
    bool is_same = json_equal(got, wanted);

    YES(is_same);
    if (is_same)
        return;
    fprintf(stderr, "wanted ");
    json_dumpf(wanted, stderr, JSON_SORT_KEYS | JSON_COMPACT);
    fprintf(stderr, "\ngot    ");
    json_dumpf(got, stderr, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);
    fprintf(stderr, "\n");
}

static void expect_row(const struct lease *got, const json_t *wanted)
{
    struct lease lease;

    REQUIRE(got != NULL && lease_item_read(wanted, &lease));
    EQ_INT(got->counter, lease.counter);
    EQ_INT(got->switches, lease.switches);
    EQ_INT(lease_compare_checkpoints(got->checkpoint, got->sub, lease.checkpoint, lease.sub), 0);
    YES(!got->owner == !lease.owner && (!got->owner || !strcmp(got->owner, lease.owner)));
    YES(!got->checkpoint_owner == !lease.checkpoint_owner);
    YES(!got->pending == !lease.pending);
    lease_fini(&lease);
}

static void replay_in_memory(const struct write *write, const struct lease_call *call)
{
    struct memory_table *table = memory_table_new("app");
    struct memory_answer answer;
    struct lease before;

    if (lease_item_read(write->before, &before))
        memory_table_put(table, &before);
    memory_table_do(table, call, &answer);
    EQ_INT(answer.status, write->is_refused ? LEASE_REFUSED : LEASE_DONE);
    if (write->is_refused)
        expect_row(&answer.row, write->before);
    else if (is_lease(write->after))
        expect_row(memory_table_find(table, call->was.key), write->after);
    memory_answer_fini(&answer);
    lease_fini(&before);
    memory_table_free(table);
}

static void replay_in_dynamodb(const struct write *write, const struct lease_call *call)
{
    json_t *after;

    json_decref(local_ask_json("DeleteItem", json_pack("{s:s, s:{s:{s:s}}}", "TableName", "app",
                                                       "Key", "leaseKey", "S", call->was.key)));
    if (json_is_object(write->before))
        put_raw(write->before);
    EQ_INT(local_status(call), write->is_refused ? LEASE_REFUSED : LEASE_DONE);
    after = get_raw("app", "leaseKey", call->was.key);
    if (write->is_refused)
        expect_json(after, write->before);
    else if (json_is_object(write->after))
        expect_json(after, write->after);
    else
        YES(after == NULL);
    json_decref(after);
}

static int n_ops[LEASE_OPS];

static void replay_lease(const struct write *write)
{
    json_t *item = json_is_object(write->before) ? write->before : write->after;
    json_t *after = write->is_refused ? write->before : write->after;
    struct lease_call call = {.op = op_of(write)};
    struct lease was, to; /* own their texts */

    if (!is_lease(item))
        return;
    lease_item_read(write->before, &was);
    if (!lease_item_read(after, &to))
        to.throughput = -1;
    call.was = was;
    call.to = to;
    call.was.key = T(text_of(item, "leaseKey", "S"));
    if (json_object_get(item, "entityType"))
        call.layout = LEASE_LAYOUT_KCL3_SINGLE;
    if (!strcmp(write->operation, "UpdateItem"))
        set_from_request(write, &call);
    if (call.op == LEASE_PREPARE) /* their application's own bytes: we have none */
        json_object_del(write->after, "pendingCheckpointState");
    replay_in_memory(write, &call);
    replay_in_dynamodb(write, &call);
    n_ops[call.op]++;
    lease_fini(&was);
    lease_fini(&to);
}

TEST(our_calls_leave_the_items_of_java_workers_behind)
{
    static const enum lease_op wanted[] = {LEASE_CREATE,  LEASE_RENEW,    LEASE_TAKE,
                                           LEASE_ASSIGN,  LEASE_HAND_OFF, LEASE_CHECKPOINT,
                                           LEASE_PREPARE, LEASE_META};

    memset(n_ops, 0, sizeof n_ops);
    local_begin();
    EQ_STR(local_open(), "ready");
    each_write(replay_lease);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        YES(n_ops[wanted[i]] > 0);
    local_end();
}

/* ---- lock and metrics */

static void replay_lock(const struct write *write)
{
    bool has_before = json_is_object(write->before);
    const json_t *item = json_is_object(write->after) ? write->after : write->before;
    bool is_old = json_object_get(item, "key") != NULL;
    struct lease_lock was = {.owner = T(text_of(write->before, "ownerName", "S")),
                             .version = T(text_of(write->before, "recordVersionNumber", "S"))};
    struct lease_call call = {
        .op = strcmp(write->operation, "PutItem") ? LEASE_LOCK_BEAT : LEASE_LOCK_TAKE,
        .layout = is_old ? LEASE_LAYOUT_KCL3_TABLES : LEASE_LAYOUT_KCL3_SINGLE};
    json_t *after;

    if (!text_of(write->after, "ownerName", "S"))
        return; /* not the lock, or its end */
    call.lock =
        (struct lease_lock){T(text_of(write->after, "ownerName", "S")),
                            T(text_of(write->after, "recordVersionNumber", "S")), 8000, false};
    call.lock_was = has_before ? &was : NULL;
    if (has_before)
        put_raw(write->before);
    while (local_status(&call) == LEASE_FAILED) /* its table is made first */
        continue;
    after = is_old ? get_raw("app-CoordinatorState", "key", "Leader")
                   : get_raw("app", "leaseKey", "Leader");
    expect_json(after, write->after);
    json_decref(after);
    n_ops[call.op]++;
}

static void replay_metrics(const struct write *write)
{
    const char *name = text_of(write->after, "wid", "S");
    struct lease_call call = {.op = LEASE_METRICS,
                              .layout = name ? LEASE_LAYOUT_KCL3_TABLES : LEASE_LAYOUT_KCL3_SINGLE};
    const char *lut = text_of(write->after, "lut", "N");
    json_t *after;

    if (!lut)
        return;
    if (!name)
        name = text_of(write->after, "leaseKey", "S");
    call.worker = (struct lease_worker){.id = T(name), .updated_s = atoll(lut), .cpu = -1};
    while (local_status(&call) == LEASE_FAILED)
        continue;
    after = text_of(write->after, "wid", "S") ? get_raw("app-WorkerMetricStats", "wid", name)
                                              : get_raw("app", "leaseKey", name);
    expect_json(after, write->after);
    json_decref(after);
    n_ops[call.op]++;
}

TEST(our_lock_and_metrics_are_those_of_java_workers)
{
    memset(n_ops, 0, sizeof n_ops);
    local_begin();
    EQ_STR(local_open(), "ready");
    each_write(replay_lock);
    each_write(replay_metrics);
    YES(n_ops[LEASE_LOCK_TAKE] >= 4);
    YES(n_ops[LEASE_LOCK_BEAT] >= 2);
    YES(n_ops[LEASE_METRICS] >= 3);
    local_end();
}
