/* dynamodb_leases.c - leases in DynamoDB, in the table layout of the Kinesis Client Library.
 *
 * One table per flow: the application's name for the first flow that reads a
 * stream, so that it is the table a KCL application of that name has, and
 * APPLICATION-FLOW for every other. Every write is an UpdateItem on the condition
 * that leaseCounter is still what we know, and counts it up by one: that is the
 * only fence between owners (KCL: DynamoDBLeaseRefresher). A failed condition is
 * looked into, since the first answer of a repeated call may have been lost.
 *
 * On the embedded AWS no other process can be there (it locks its directory), so
 * leases of a killed process are taken at once. On the real one a table with an
 * owner is watched for the fail-over time first.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/aws/aws_client.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/config/plan.h"
#include "core/run/leases.h"

enum {
    FAILOVER_MS = 10000, /* KCL's failoverTimeMillis */
    RENEW_MS = 3000,     /* less than a third of it */
    TABLE_WAIT_MS = 120000,
};

struct dynamodb_leases {
    struct aws_client *aws; /* [borrowed] */
    uv_loop_t *loop;        /* [borrowed] */
    bool is_shared;
    const unsigned *n_signals;  /* [borrowed] waiting ends when one has come */
    char *me;                   /* [owned] this process, as leaseOwner */
    char **tables;              /* [owned] one per flow; NULL: it keeps no position */
    struct lease_write *writes; /* [owned] under way */
};

/* ---- calls that main waits for */

struct answer {
    uv_loop_t *loop; /* [borrowed] that waits for it, or NULL */
    bool is_there;
    int status;
    char *code, *message; /* [owned] NULL on success */
    json_t *body;         /* [owned] NULL when it is none */
};

static void answer_fini(struct answer *answer)
{
    free(answer->code);
    free(answer->message);
    json_decref(answer->body);
    *answer = (struct answer){0};
}

static void read_answer(struct answer *answer, const kp_aws_response *response)
{
    answer->is_there = true;
    answer->status = response->status;
    answer->code = mem_dup(response->error);
    answer->message = mem_dup(response->message ? response->message : "");
    answer->body =
        json_loadb(response->body.ptr ? response->body.ptr : "", response->body.len, 0, NULL);
}

static void answered(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct answer *answer = arg;

    (void)node;
    read_answer(answer, response);
    uv_stop(answer->loop); /* it may come from a timer: then the same turn would still poll */
}

static kp_aws_request request_for(const char *operation, char target[64], kp_slice body)
{
    snprintf(target, 64, "DynamoDB_20120810.%s", operation);
    return (kp_aws_request){.size = sizeof(kp_aws_request),
                            .service = "dynamodb",
                            .target = target,
                            .content_type = "application/x-amz-json-1.0",
                            .body = body,
                            .timeout_ms = 10000,
                            .attempts = 8};
}

/* [consumes input] */
static void call_and_wait(struct dynamodb_leases *db, const char *operation, json_t *input,
                          struct answer *ret)
{
    char target[64], *text = json_dumps(input, JSON_COMPACT);
    kp_aws_request request = request_for(operation, target, (kp_slice){text, strlen(text)});
    kp_aws_call *call;

    *ret = (struct answer){.loop = db->loop};
    json_decref(input);
    call = aws_client_call(db->aws, NULL, &request, answered, ret);
    while (!ret->is_there && !*db->n_signals)
        uv_run(db->loop, UV_RUN_ONCE);
    if (!ret->is_there) {
        aws_client_cancel(call);
        ret->code = mem_dup("stopped by a signal");
        ret->message = mem_dup("");
    }
    free(text);
}

static bool fail_with(const struct answer *answer, const char *operation, const char *table,
                      struct error *err)
{
    error_set(err, ERROR_FAILED, "dynamodb:%s of the lease table %s: %s%s%s", operation, table,
              answer->code, *answer->message ? ": " : "", answer->message);
    return false;
}

static void time_is_up(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
    uv_stop(timer->loop); /* the turn that rang it would still poll */
}

static void pause_ms(struct dynamodb_leases *db, int64_t ms)
{
    bool is_up = false;
    uv_timer_t timer;

    uv_timer_init(db->loop, &timer);
    timer.data = &is_up;
    uv_timer_start(&timer, time_is_up, (uint64_t)ms, 0);
    while (!is_up && !*db->n_signals)
        uv_run(db->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(db->loop, UV_RUN_NOWAIT);
}

/* ---- the table */

static bool create_table(struct dynamodb_leases *db, const char *table, struct error *err)
{
    struct answer answer;
    bool ok;

    call_and_wait(db, "CreateTable",
                  json_pack("{s:s, s:[{s:s, s:s}], s:[{s:s, s:s}], s:s}", "TableName", table,
                            "AttributeDefinitions", "AttributeName", "leaseKey", "AttributeType",
                            "S", "KeySchema", "AttributeName", "leaseKey", "KeyType", "HASH",
                            "BillingMode", "PAY_PER_REQUEST"),
                  &answer);
    ok = !answer.code || !strcmp(answer.code, "ResourceInUseException");
    if (ok)
        log_info("leases.created", "table=%s", table);
    else
        fail_with(&answer, "CreateTable", table, err);
    answer_fini(&answer);
    return ok;
}

static const char *table_status(const struct answer *answer)
{
    const char *status =
        json_string_value(json_object_get(json_object_get(answer->body, "Table"), "TableStatus"));

    return status ? status : "";
}

static bool ensure_table(struct dynamodb_leases *db, const char *table, struct error *err)
{
    int64_t deadline = clock_mono_ms() + TABLE_WAIT_MS, wait = 20;

    while (clock_mono_ms() < deadline) {
        struct answer answer;
        bool is_missing, is_ready, is_broken;

        call_and_wait(db, "DescribeTable", json_pack("{s:s}", "TableName", table), &answer);
        is_missing = answer.code && !strcmp(answer.code, "ResourceNotFoundException");
        is_broken = answer.code && !is_missing;
        is_ready = !answer.code && (!strcmp(table_status(&answer), "ACTIVE") ||
                                    !strcmp(table_status(&answer), "UPDATING"));
        if (is_broken)
            fail_with(&answer, "DescribeTable", table, err);
        answer_fini(&answer);
        if (is_ready || is_broken)
            return is_ready;
        if (is_missing && !create_table(db, table, err))
            return false;
        pause_ms(db, wait);
        wait = wait < 2000 ? wait * 2 : 2000;
    }
    error_set(err, ERROR_FAILED, "the lease table %s did not become ACTIVE within 2 minutes",
              table);
    return false;
}

/* ---- reading */

static const char *text_of(json_t *item, const char *name, const char *type)
{
    return json_string_value(json_object_get(json_object_get(item, name), type));
}

static bool is_sentinel(const char *checkpoint)
{
    return !strcmp(checkpoint, "TRIM_HORIZON") || !strcmp(checkpoint, "LATEST") ||
           !strcmp(checkpoint, "AT_TIMESTAMP");
}

static void read_item(struct leases *leases, uint32_t flow, json_t *item, bool *ret_has_owner)
{
    struct dynamodb_leases *db = leases->state;
    const char *key = text_of(item, "leaseKey", "S"), *counter = text_of(item, "leaseCounter", "N");
    const char *checkpoint = text_of(item, "checkpoint", "S");
    const char *sub = text_of(item, "checkpointSubSequenceNumber", "N");
    const char *owner = text_of(item, "leaseOwner", "S");
    struct lease_row *row;
    kp_position position;

    if (!key || !counter || !checkpoint || strlen(checkpoint) > KP_POSITION_MAX)
        return; /* no lease: KCL 3.5 keeps other things in the table too */
    row = leases_row(leases, flow, key, &position);
    if (!is_sentinel(checkpoint))
        lease_row_move(row, checkpoint, strlen(checkpoint), sub ? strtoull(sub, NULL, 10) : 0);
    row->is_dirty = false;
    row->is_stored = true;
    row->counter = strtoull(counter, NULL, 10);
    row->is_ours = owner && !strcmp(owner, db->me);
    *ret_has_owner |= owner && !row->is_ours;
}

static bool scan(struct leases *leases, uint32_t flow, bool *ret_has_owner, struct error *err)
{
    struct dynamodb_leases *db = leases->state;
    json_t *start = NULL;
    bool ok = true;

    *ret_has_owner = false;
    do {
        struct answer answer;
        json_t *input = json_pack("{s:s, s:b}", "TableName", db->tables[flow], "ConsistentRead", 1);
        json_t *item;
        size_t i;

        if (start)
            json_object_set_new(input, "ExclusiveStartKey", start);
        call_and_wait(db, "Scan", input, &answer);
        ok = !answer.code;
        if (!ok)
            fail_with(&answer, "Scan", db->tables[flow], err);
        json_array_foreach(json_object_get(answer.body, "Items"), i, item)
            read_item(leases, flow, item, ret_has_owner);
        start = json_incref(json_object_get(answer.body, "LastEvaluatedKey"));
        answer_fini(&answer);
    } while (ok && start);
    json_decref(start);
    return ok;
}

static uint64_t sum_of_counters(const struct leases *leases, uint32_t flow)
{
    uint64_t sum = 0;

    for (const struct lease_row *row = leases->rows[flow]; row; row = row->next)
        sum += row->counter;
    return sum;
}

/* Is somebody else at work on this table? Owners count their leases up every few seconds. */
static bool is_free(struct leases *leases, uint32_t flow, struct error *err)
{
    struct dynamodb_leases *db = leases->state;
    uint64_t before = sum_of_counters(leases, flow);
    bool has_owner;

    log_info("leases.watched", "table=%s wait_ms=%d", db->tables[flow], FAILOVER_MS);
    pause_ms(db, FAILOVER_MS);
    if (!scan(leases, flow, &has_owner, err))
        return false;
    if (sum_of_counters(leases, flow) == before)
        return true;
    error_set(err, ERROR_FAILED,
              "another process renews the leases of table %s: one application's stream is read by "
              "one kpipe process; give this one another `application`",
              db->tables[flow]);
    return false;
}

static bool load(struct leases *leases, struct error *err)
{
    struct dynamodb_leases *db = leases->state;

    for (uint32_t i = 0; i < leases->plan->n_flows; i++) {
        bool has_owner;

        if (!db->tables[i])
            continue;
        if (!ensure_table(db, db->tables[i], err) || !scan(leases, i, &has_owner, err))
            return false;
        if (has_owner && db->is_shared && !is_free(leases, i, err))
            return false;
    }
    return true;
}

/* ---- writing */

struct lease_write {
    struct lease_write *next, *previous;
    struct leases *leases;
    struct lease_row *row;
    uint64_t counter; /* as it will be */
    bool gives_up;
    bool has_about;
    bool is_look;                         /* a GetItem after a failed condition */
    char checkpoint[KP_POSITION_MAX + 1]; /* what is written */
    uint64_t sub;
    char *text; /* [owned] the request */
};

static void send_write(struct lease_write *write, const char *operation, json_t *input);

static json_t *key_of(const struct lease_write *write)
{
    struct dynamodb_leases *db = write->leases->state;

    return json_pack("{s:s, s:{s:{s:s}}}", "TableName", db->tables[write->row->flow], "Key",
                     "leaseKey", "S", write->row->lane);
}

static void write_ended(struct lease_write *write)
{
    struct dynamodb_leases *db = write->leases->state;

    write->row->is_being_sent = false;
    *(write->previous ? &write->previous->next : &db->writes) = write->next;
    if (write->next)
        write->next->previous = write->previous;
    free(write->text);
    free(write);
}

/* The position is still to be written. */
static void owe(struct lease_row *row)
{
    pthread_mutex_lock(&row->lock);
    row->is_dirty = true;
    pthread_mutex_unlock(&row->lock);
}

static void write_worked(struct lease_write *write)
{
    struct lease_row *row = write->row;

    row->counter = write->counter;
    row->is_stored = true;
    row->is_about_stored |= write->has_about;
    row->is_ours = !write->gives_up;
    row->written_ms = clock_mono_ms();
    write_ended(write);
}

static void write_failed(struct lease_write *write, const char *what)
{
    struct dynamodb_leases *db = write->leases->state;
    char *text = mem_fmt("the checkpoint of %s in the lease table %s was not written: %s",
                         write->row->lane, db->tables[write->row->flow], what);

    owe(write->row);
    leases_fail(write->leases, text);
    free(text);
    write_ended(write);
}

/* The table has the counter and the owner that this write was to leave behind. An earlier write of
 * ours, whose answer and look were lost, leaves the same: then the position tells them apart. */
static void write_is_there(struct lease_write *write, json_t *item)
{
    const char *checkpoint = text_of(item, "checkpoint", "S");
    const char *sub = text_of(item, "checkpointSubSequenceNumber", "N");

    if (!checkpoint || strcmp(checkpoint, write->checkpoint) != 0 || !sub ||
        strtoull(sub, NULL, 10) != write->sub)
        owe(write->row);
    write_worked(write);
}

/* What stands in the table now? If it is what we wrote, only the answer had been lost. */
static void looked(struct lease_write *write, const kp_aws_response *response)
{
    struct dynamodb_leases *db = write->leases->state;
    struct answer answer = {0};
    json_t *item;
    const char *owner, *counter;

    read_answer(&answer, response);
    item = json_object_get(answer.body, "Item");
    owner = text_of(item, "leaseOwner", "S");
    counter = text_of(item, "leaseCounter", "N");
    if (counter && strtoull(counter, NULL, 10) == write->counter &&
        (write->gives_up ? !owner : owner && !strcmp(owner, db->me))) {
        write_is_there(write, item);
    } else if (answer.code) {
        write_failed(write, answer.code);
    } else {
        write->row->is_lost = true;
        write_failed(write, "another worker has taken the lease");
    }
    answer_fini(&answer);
}

static void wrote(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct lease_write *write = arg;

    (void)node;
    if (write->is_look) {
        looked(write, response);
    } else if (!response->error) {
        write_worked(write);
    } else if (!strcmp(response->error, "ConditionalCheckFailedException")) {
        json_t *input = key_of(write);

        write->is_look = true;
        json_object_set_new(input, "ConsistentRead", json_true());
        send_write(write, "GetItem", input);
    } else {
        char *text = mem_fmt("%s: %s", response->error, response->message ? response->message : "");

        write_failed(write, text);
        free(text);
    }
}

/* [consumes input] */
static void send_write(struct lease_write *write, const char *operation, json_t *input)
{
    struct dynamodb_leases *db = write->leases->state;
    char target[64];
    kp_aws_request request;

    free(write->text);
    write->text = json_dumps(input, JSON_COMPACT);
    json_decref(input);
    request = request_for(operation, target, (kp_slice){write->text, strlen(write->text)});
    aws_client_call(db->aws, NULL, &request, wrote, write);
}

static json_t *number(uint64_t n)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    return json_pack("{s:s}", "N", text);
}

/* Parents and hash keys, as KCL 2 and 3 keep them: a string set in spite of its name, and numbers
 * as texts. Appends to the update expression. */
static void add_about(struct lease_write *write, json_t *values, char expression[600])
{
    struct lease_row *row = write->row;
    json_t *parents = json_array();

    pthread_mutex_lock(&row->lock);
    for (int i = 0; i < 2; i++)
        if (row->parents[i])
            json_array_append_new(parents, json_string(row->parents[i]));
    if (json_array_size(parents)) {
        json_object_set_new(values, ":parents", json_pack("{s:O}", "SS", parents));
        strcat(expression, ", parentShardId = :parents");
        write->has_about = true;
    }
    if (row->low_hash && row->high_hash) {
        json_object_set_new(values, ":low", json_pack("{s:s}", "S", row->low_hash));
        json_object_set_new(values, ":high", json_pack("{s:s}", "S", row->high_hash));
        strcat(expression, ", startingHashKey = :low, endingHashKey = :high");
        write->has_about = true;
    }
    pthread_mutex_unlock(&row->lock);
    json_decref(parents);
}

static void start_write(struct leases *leases, struct lease_row *row, bool gives_up)
{
    struct dynamodb_leases *db = leases->state;
    struct lease_write *write = mem_new(sizeof *write);
    char expression[600] =
        "SET leaseCounter = :new, checkpoint = :checkpoint, "
        "checkpointSubSequenceNumber = :sub, ownerSwitchesSinceCheckpoint = :zero";
    json_t *input, *values;

    *write = (struct lease_write){.next = db->writes,
                                  .leases = leases,
                                  .row = row,
                                  .counter = row->counter + 1,
                                  .gives_up = gives_up};
    if (write->next)
        write->next->previous = write;
    db->writes = write;
    lease_row_take(row, write->checkpoint, &write->sub);
    if (!*write->checkpoint)
        strcpy(write->checkpoint, "TRIM_HORIZON");
    input = key_of(write);
    values = json_pack("{s:o, s:{s:s}, s:o, s:o}", ":new", number(write->counter), ":checkpoint",
                       "S", write->checkpoint, ":sub", number(write->sub), ":zero", number(0));
    if (row->is_stored)
        json_object_set_new(values, ":old", number(row->counter));
    if (!gives_up)
        json_object_set_new(values, ":me", json_pack("{s:s}", "S", db->me));
    if (!row->is_about_stored)
        add_about(write, values, expression);
    strcat(expression, gives_up ? " REMOVE leaseOwner" : ", leaseOwner = :me");
    json_object_set_new(input, "ExpressionAttributeValues", values);
    json_object_set_new(input, "UpdateExpression", json_string(expression));
    json_object_set_new(
        input, "ConditionExpression",
        json_string(row->is_stored ? "leaseCounter = :old" : "attribute_not_exists(leaseKey)"));
    row->is_being_sent = true;
    send_write(write, "UpdateItem", input);
}

static bool must_write(struct dynamodb_leases *db, struct lease_row *row, bool is_last)
{
    if (row->is_lost)
        return false;
    if (lease_row_is_dirty(row))
        return true;
    if (!row->is_ours)
        return false;
    return is_last || (db->is_shared && clock_mono_ms() - row->written_ms >= RENEW_MS);
}

static void publish(struct leases *leases, bool is_last)
{
    struct dynamodb_leases *db = leases->state;

    for (uint32_t i = 0; i < leases->plan->n_flows; i++) {
        struct lease_row *row;

        pthread_mutex_lock(&leases->lock);
        row = leases->rows[i]; /* rows are only ever added in front */
        pthread_mutex_unlock(&leases->lock);
        for (; row; row = row->next)
            if (!row->is_being_sent && must_write(db, row, is_last))
                start_write(leases, row, is_last);
    }
}

static bool is_busy(const struct leases *leases)
{
    return ((const struct dynamodb_leases *)leases->state)->writes != NULL;
}

static void free_store(struct leases *leases)
{
    struct dynamodb_leases *db = leases->state;

    while (db->writes) { /* the client that is freed next forgets their calls */
        struct lease_write *write = db->writes;

        db->writes = write->next;
        free(write->text);
        free(write);
    }
    for (size_t i = 0; i < leases->plan->n_flows; i++)
        free(db->tables[i]);
    free(db->tables);
    free(db->me);
    free(db);
}

static const struct lease_store store = {load, publish, is_busy, free_store};

static char *make_worker_id(void)
{
    char host[65] = "kpipe";

    gethostname(host, sizeof host - 1);
    return mem_fmt("%s:%d:%llx", host, (int)getpid(), (unsigned long long)clock_wall_ms());
}

void leases_use_dynamodb(struct leases *leases, struct aws_client *aws, uv_loop_t *loop,
                         bool is_shared, const unsigned *n_signals)
{
    const struct plan *plan = leases->plan;
    struct dynamodb_leases *db = mem_new(sizeof *db);
    bool has_stream = false;

    *db = (struct dynamodb_leases){.aws = aws,
                                   .loop = loop,
                                   .is_shared = is_shared,
                                   .n_signals = n_signals,
                                   .me = make_worker_id()};
    db->tables = mem_new((plan->n_flows + 1) * sizeof *db->tables);
    for (size_t i = 0; i < plan->n_flows; i++) {
        uint32_t flags = plan->flows[i].nodes[0].element->flags;

        if (flags & KP_REQUEST)
            continue;
        db->tables[i] = flags & KP_STREAM && !has_stream
                            ? mem_dup(plan->application)
                            : mem_fmt("%s-%s", plan->application, plan->flows[i].name);
        has_stream |= (flags & KP_STREAM) != 0;
    }
    leases->state = db;
    leases->store = &store;
}
