/* request.c - see request.h.
 *
 * An update is put together clause by clause; each attribute gets a placeholder
 * of its own, so that no name can collide with a reserved word.
 */
#include "core/lease/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

/* Rows of one answer: as JSON values a row has about 5 KB, and there is one page of them at a time.
 * DynamoDB bills a scan by its bytes, so that more pages cost next to nothing. */
#define SCAN_PAGE 250

enum clause { CLAUSE_SET, CLAUSE_ADD, CLAUSE_REMOVE, CLAUSES };

/* An expression under way. */
struct writing {
    json_t *values;         /* [owned] ExpressionAttributeValues */
    char *clauses[CLAUSES]; /* [owned] "a = :a, b = :b"; NULL: empty */
    char *condition;        /* [owned] */
};

/* ---- values */

static json_t *text(const char *s)
{
    return json_pack("{s:s}", "S", s);
}

static json_t *count(uint64_t n)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    return json_pack("{s:s}", "N", digits);
}

/* Six decimals, as KCL writes throughputKBps. */
static json_t *decimal(double number)
{
    char digits[400];

    snprintf(digits, sizeof digits, "%.6f", number);
    return json_pack("{s:s}", "N", digits);
}

/* NULL: an empty set, which DynamoDB does not have. */
static json_t *pair(char *const texts[2])
{
    json_t *set = json_array();

    for (int i = 0; i < 2; i++)
        if (texts[i] && !(i && texts[0] && !strcmp(texts[0], texts[1])))
            json_array_append_new(set, json_string(texts[i]));
    if (json_array_size(set))
        return json_pack("{s:o}", "SS", set);
    json_decref(set);
    return NULL;
}

/* ---- clauses */

static void append(char **at, const char *between, const char *more)
{
    char *longer = *at ? mem_fmt("%s%s%s", *at, between, more) : mem_dup(more);

    free(*at);
    *at = longer;
}

/* [consumes value] */
static void put_value(struct writing *w, const char *placeholder, json_t *value)
{
    if (!w->values)
        w->values = json_object();
    json_object_set_new(w->values, placeholder, value);
}

/* name = :name [consumes value] */
static void set(struct writing *w, const char *name, json_t *value)
{
    char clause[160], placeholder[80];

    snprintf(placeholder, sizeof placeholder, ":%s", name);
    snprintf(clause, sizeof clause, "%s = %s", name, placeholder);
    append(&w->clauses[CLAUSE_SET], ", ", clause);
    put_value(w, placeholder, value);
}

static void increment(struct writing *w, const char *name)
{
    char clause[80];

    snprintf(clause, sizeof clause, "%s :one", name);
    append(&w->clauses[CLAUSE_ADD], ", ", clause);
    put_value(w, ":one", count(1));
}

static void drop(struct writing *w, const char *name)
{
    append(&w->clauses[CLAUSE_REMOVE], ", ", name);
}

static void require(struct writing *w, const char *condition)
{
    append(&w->condition, " AND ", condition);
}

/* name = :was_name [consumes value]; NULL: it is absent. */
static void require_value(struct writing *w, const char *name, json_t *value)
{
    char condition[200], placeholder[80];

    snprintf(placeholder, sizeof placeholder, ":was_%s", name);
    if (value)
        snprintf(condition, sizeof condition, "%s = %s", name, placeholder);
    else
        snprintf(condition, sizeof condition, "attribute_not_exists(%s)", name);
    require(w, condition);
    if (value)
        put_value(w, placeholder, value);
}

static void require_text(struct writing *w, const char *name, const char *was)
{
    require_value(w, name, was ? text(was) : NULL);
}

/* Moves the expression into the request. */
static void finish(struct writing *w, json_t *input)
{
    static const char *const verbs[] = {"SET", "ADD", "REMOVE"};
    char *update = NULL;

    for (int i = 0; i < CLAUSES; i++) {
        if (!w->clauses[i])
            continue;
        append(&update, " ", verbs[i]);
        append(&update, " ", w->clauses[i]);
        free(w->clauses[i]);
    }
    if (update)
        json_object_set_new(input, "UpdateExpression", json_string(update));
    if (w->condition) {
        json_object_set_new(input, "ConditionExpression", json_string(w->condition));
        json_object_set_new(input, "ReturnValuesOnConditionCheckFailure", json_string("ALL_OLD"));
    }
    if (w->values)
        json_object_set_new(input, "ExpressionAttributeValues", w->values);
    free(update);
    free(w->condition);
    *w = (struct writing){0}; /* moved */
}

/* ---- leases */

static void count_up(struct writing *w, const struct lease_call *call)
{
    set(w, "leaseCounter", count(call->was.counter + 1));
    require_value(w, "leaseCounter", count(call->was.counter));
}

static void set_throughput(struct writing *w, const struct lease *to)
{
    if (to->throughput >= 0)
        set(w, "throughputKBps", decimal(to->throughput));
}

static void set_relations(struct writing *w, const struct lease *to)
{
    json_t *parents = pair(to->parents), *children = pair(to->children);

    if (parents)
        set(w, "parentShardId", parents);
    if (children)
        set(w, "childShardIds", children);
    if (to->low && to->high) {
        set(w, "startingHashKey", text(to->low));
        set(w, "endingHashKey", text(to->high));
    }
}

static void set_pending(struct writing *w, const struct lease *to)
{
    if (to->pending) {
        set(w, "pendingCheckpoint", text(to->pending));
        set(w, "pendingCheckpointSubSequenceNumber", count(to->pending_sub));
    } else {
        drop(w, "pendingCheckpoint");
        drop(w, "pendingCheckpointSubSequenceNumber");
    }
    drop(w, "pendingCheckpointState"); /* bytes of a Java application that go with the former */
}

static void count_switch(struct writing *w, const char *before, const char *owner)
{
    if (before && strcmp(before, owner) != 0)
        increment(w, "ownerSwitchesSinceCheckpoint");
}

static void write_take(struct writing *w, const struct lease_call *call)
{
    count_up(w, call);
    set(w, "leaseOwner", text(call->to.owner));
    drop(w, "checkpointOwner");
    count_switch(w, call->was.owner, call->to.owner);
}

static void write_assign(struct writing *w, const struct lease_call *call)
{
    require(w, "attribute_exists(leaseKey)");
    require_text(w, "leaseOwner", call->was.owner);
    require_text(w, "checkpointOwner", call->was.checkpoint_owner);
    set(w, "leaseOwner", text(call->to.owner));
    drop(w, "checkpointOwner");
    increment(w, "leaseCounter");
    count_switch(w, call->was.owner, call->to.owner);
}

static void write_hand_off(struct writing *w, const struct lease_call *call)
{
    require(w, "attribute_exists(leaseKey)");
    require_text(w, "leaseOwner", call->was.owner);
    require_text(w, "checkpointOwner", NULL);
    set(w, "leaseOwner", text(call->to.owner));
    if (call->was.owner)
        set(w, "checkpointOwner", text(call->was.owner));
}

static void write_take_back(struct writing *w, const struct lease_call *call)
{
    require_text(w, "leaseOwner", call->was.owner);
    require_text(w, "checkpointOwner", call->was.checkpoint_owner);
    set(w, "leaseOwner", text(call->was.checkpoint_owner));
    drop(w, "checkpointOwner");
}

static void write_checkpoint(struct writing *w, const struct lease_call *call)
{
    count_up(w, call);
    set(w, "checkpoint", text(call->to.checkpoint));
    set(w, "checkpointSubSequenceNumber", count(call->to.sub));
    set(w, "ownerSwitchesSinceCheckpoint", count(0));
    set_pending(w, &call->to);
    set_relations(w, &call->to);
    set_throughput(w, &call->to);
    if (call->gives_up) {
        drop(w, "leaseOwner");
        drop(w, "checkpointOwner");
    }
}

static void write_evict(struct writing *w, const struct lease_call *call)
{
    require(w, "attribute_exists(leaseKey)");
    require_text(w, "leaseOwner", call->was.owner);
    require_text(w, "checkpointOwner", call->was.checkpoint_owner);
    increment(w, "leaseCounter");
    drop(w, "checkpointOwner");
    if (!call->was.checkpoint_owner)
        drop(w, "leaseOwner");
}

static void write_lease(struct writing *w, const struct lease_call *call)
{
    switch (call->op) {
    case LEASE_RENEW:
        count_up(w, call);
        if (call->checks_hand_off)
            require_text(w, "checkpointOwner", NULL);
        set_throughput(w, &call->to);
        break;
    case LEASE_TAKE: write_take(w, call); break;
    case LEASE_ASSIGN: write_assign(w, call); break;
    case LEASE_HAND_OFF: write_hand_off(w, call); break;
    case LEASE_TAKE_BACK: write_take_back(w, call); break;
    case LEASE_CHECKPOINT: write_checkpoint(w, call); break;
    case LEASE_EVICT: write_evict(w, call); break;
    case LEASE_PREPARE:
        count_up(w, call);
        set_pending(w, &call->to);
        break;
    default: /* LEASE_META */ require(w, "attribute_exists(leaseKey)"); set_relations(w, &call->to);
    }
}

/* What a lease begins with. */
static json_t *new_item(const struct lease_call *call)
{
    const struct lease *to = &call->to;
    json_t *item =
        json_pack("{s:o, s:o, s:o, s:o, s:o}", "leaseKey", text(call->was.key), "leaseCounter",
                  count(0), "ownerSwitchesSinceCheckpoint", count(0), "checkpoint",
                  text(to->checkpoint), "checkpointSubSequenceNumber", count(to->sub));
    json_t *parents = pair(to->parents);

    if (parents)
        json_object_set_new(item, "parentShardId", parents);
    if (to->low && to->high) {
        json_object_set_new(item, "startingHashKey", text(to->low));
        json_object_set_new(item, "endingHashKey", text(to->high));
    }
    if (call->layout == LEASE_LAYOUT_KCL3_SINGLE)
        json_object_set_new(item, "entityType", text("LEASE"));
    return item;
}

/* ---- metrics and lock of KCL 3 */

static bool is_single(const struct lease_call *call)
{
    return call->layout != LEASE_LAYOUT_KCL3_TABLES;
}

static void write_metrics(struct writing *w, const struct lease_call *call)
{
    const struct lease_worker *worker = &call->worker;
    json_t *stats = json_object(), *ranges = json_object();

    if (worker->cpu >= 0) {
        json_object_set_new(stats, "C", json_pack("{s:[o]}", "L", decimal(worker->cpu)));
        json_object_set_new(ranges, "C", json_pack("{s:[o]}", "L", decimal(worker->cpu_limit)));
    }
    set(w, "lut", count((uint64_t)worker->updated_s));
    set(w, "sts", json_pack("{s:o}", "M", stats));
    set(w, "opr", json_pack("{s:o}", "M", ranges));
    if (!is_single(call))
        return;
    set(w, "entityType", text("WORKER_METRIC_STATS"));
    set(w, "sup", count(1)); /* we know the single table */
    set(w, "slu", count((uint64_t)worker->updated_s));
}

/* The lock client puts the whole item, so nothing of the last owner's stays. */
static json_t *lock_item(const struct lease_call *call)
{
    char duration[24];
    json_t *item;

    snprintf(duration, sizeof duration, "%lld", (long long)call->lock.duration_ms);
    item = json_pack("{s:o, s:o, s:o, s:o}", is_single(call) ? "leaseKey" : "key", text("Leader"),
                     "ownerName", text(call->lock.owner), "leaseDuration", text(duration),
                     "recordVersionNumber", text(call->lock.version));
    if (is_single(call))
        json_object_set_new(item, "entityType", text("LEADER"));
    return item;
}

/* "key" is a reserved word. */
static void write_lock_take(struct writing *w, const struct lease_call *call, json_t *input)
{
    const struct lease_lock *was = call->lock_was;

    if (!was) {
        json_object_set_new(input, "ExpressionAttributeNames",
                            json_pack("{s:s}", "#key", is_single(call) ? "leaseKey" : "key"));
        require(w, "attribute_not_exists(#key)");
    } else if (was->is_released) {
        require_value(w, "isReleased", text("1"));
    } else {
        require_text(w, "recordVersionNumber", was->version);
    }
}

static void write_lock(struct writing *w, const struct lease_call *call)
{
    require_text(w, "ownerName", call->lock_was->owner);
    require_text(w, "recordVersionNumber", call->lock_was->version);
    if (call->op == LEASE_LOCK_BEAT)
        set(w, "recordVersionNumber", text(call->lock.version));
    else
        set(w, "isReleased", text("1"));
}

/* ---- requests */

static char *table_of(const struct lease_call *call, const char *table)
{
    if (call->op < LEASE_METRICS || is_single(call))
        return mem_dup(table);
    return mem_fmt("%s%s", table,
                   call->op <= LEASE_METRICS_DROP ? REQUEST_METRICS_TABLE : REQUEST_STATE_TABLE);
}

static json_t *key_of(const struct lease_call *call)
{
    if (call->op < LEASE_METRICS)
        return json_pack("{s:o}", "leaseKey", text(call->was.key));
    if (call->op <= LEASE_METRICS_DROP)
        return json_pack("{s:o}", is_single(call) ? "leaseKey" : "wid", text(call->worker.id));
    return json_pack("{s:o}", is_single(call) ? "leaseKey" : "key", text("Leader"));
}

static void begin(struct request *request, const char *operation, char *table)
{
    request->operation = operation;
    request->table = table;
    request->input = json_pack("{s:s}", "TableName", table);
}

static void make_put(struct request *request, const struct lease_call *call, struct writing *w)
{
    request->operation = "PutItem";
    if (call->op == LEASE_CREATE) {
        json_object_set_new(request->input, "Item", new_item(call));
        require(w, "attribute_not_exists(leaseKey)");
    } else {
        json_object_set_new(request->input, "Item", lock_item(call));
        write_lock_take(w, call, request->input);
    }
}

static void make_delete(struct request *request, const struct lease_call *call, struct writing *w)
{
    request->operation = "DeleteItem";
    if (call->op == LEASE_DELETE) {
        require_text(w, "checkpoint", call->was.checkpoint);
        if (call->was.checkpoint)
            append(&w->condition, " OR ", "attribute_not_exists(leaseKey)");
    } else {
        require_value(w, "lut", count((uint64_t)call->worker.updated_s));
    }
}

static void make_update(const struct lease_call *call, struct writing *w)
{
    if (call->op < LEASE_METRICS)
        write_lease(w, call);
    else if (call->op == LEASE_METRICS)
        write_metrics(w, call);
    else
        write_lock(w, call);
}

void request_init(struct request *request, const struct lease_call *call, const char *table)
{
    struct writing w = {0};

    if (call->op == LEASE_SCAN) {
        request_scan(request, table, NULL);
        return;
    }
    if (call->op == LEASE_GET) {
        request_get(request, table, call->was.key);
        return;
    }
    begin(request, "UpdateItem", table_of(call, table));
    if (call->op == LEASE_CREATE || call->op == LEASE_LOCK_TAKE) {
        make_put(request, call, &w);
    } else {
        json_object_set_new(request->input, "Key", key_of(call));
        if (call->op == LEASE_DELETE || call->op == LEASE_METRICS_DROP)
            make_delete(request, call, &w);
        else
            make_update(call, &w);
    }
    finish(&w, request->input);
}

void request_fini(struct request *request)
{
    free(request->table);
    json_decref(request->input);
    *request = (struct request){0};
}

void request_get(struct request *request, const char *table, const char *key)
{
    begin(request, "GetItem", mem_dup(table));
    json_object_set_new(request->input, "Key", json_pack("{s:o}", "leaseKey", text(key)));
    json_object_set_new(request->input, "ConsistentRead", json_true());
}

void request_scan(struct request *request, const char *table, json_t *start)
{
    begin(request, "Scan", mem_dup(table));
    json_object_set_new(request->input, "Limit", json_integer(SCAN_PAGE));
    if (start)
        json_object_set(request->input, "ExclusiveStartKey", start);
}

void request_create_table(struct request *request, const char *table, const char *key)
{
    begin(request, "CreateTable", mem_dup(table));
    json_object_update_new(request->input,
                           json_pack("{s:[{s:s, s:s}], s:[{s:s, s:s}], s:s}",
                                     "AttributeDefinitions", "AttributeName", key, "AttributeType",
                                     "S", "KeySchema", "AttributeName", key, "KeyType", "HASH",
                                     "BillingMode", "PAY_PER_REQUEST"));
}

void request_describe_table(struct request *request, const char *table)
{
    begin(request, "DescribeTable", mem_dup(table));
}
