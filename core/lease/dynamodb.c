/* dynamodb.c - see dynamodb.h.
 *
 * A write that is refused must come with what stands there. DynamoDB gives it with the
 * refusal when there is an item; when it gives none, a consistent read makes sure.
 */
#include "core/lease/dynamodb.h"

#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/lease/dynamodb_send.h"
#include "core/lease/lease_item.h"

#define FAILOVER_MS 10000 /* KCL's failoverTimeMillis */
#define REFUSED     "ConditionalCheckFailedException"

struct working {
    struct dynamodb_io *db;
    enum lease_op op;
    enum lease_layout layout;
    char *key; /* [owned] */
    lease_fn fn;
    void *arg;
    int64_t first_ms; /* of the write that was refused */
};

static void dropped(void *arg)
{
    struct working *working = arg;

    free(working->key);
    free(working);
}

/* [consumes working] The io may be gone afterwards. */
static void reply_with(struct working *working, const struct lease_reply *reply)
{
    working->fn(working->arg, reply);
    dropped(working);
}

static void fail(struct working *working, const struct dynamodb_answer *answer)
{
    struct lease_reply reply = {.status = LEASE_FAILED,
                                .error = answer->error,
                                .message = answer->message,
                                .is_final = answer->is_final,
                                .sent_ms = answer->first_ms};

    reply_with(working, &reply);
}

static void reply_row(struct working *working, enum lease_status status, const json_t *item,
                      int64_t sent_ms)
{
    struct lease row;
    bool is_lease = lease_item_read(item, &row);
    struct lease_reply reply = {
        .status = status, .row = is_lease ? &row : NULL, .sent_ms = sent_ms};

    reply_with(working, &reply);
    lease_fini(&row);
}

/* ---- a refused write */

static void looked(void *arg, const struct dynamodb_answer *answer)
{
    struct working *working = arg;

    if (answer->error)
        fail(working, answer);
    else
        reply_row(working, LEASE_REFUSED, json_object_get(answer->body, "Item"), working->first_ms);
}

static void refused(struct working *working, const struct dynamodb_answer *answer)
{
    struct dynamodb_asker asker = {looked, dropped, working};
    const json_t *item = json_object_get(answer->body, "Item");
    struct request request;

    working->first_ms = answer->first_ms;
    if (item || working->op >= LEASE_METRICS) {
        reply_row(working, LEASE_REFUSED, working->op >= LEASE_METRICS ? NULL : item,
                  answer->first_ms);
        return;
    }
    request_get(&request, working->db->table, working->key);
    dynamodb_send(working->db, &request, &asker);
}

/* ---- a table of KCL 3.0-3.4 that is not there yet */

static const char *name_beside(const struct working *working)
{
    return working->op == LEASE_METRICS ? REQUEST_METRICS_TABLE : REQUEST_STATE_TABLE;
}

static void made(void *arg, const struct dynamodb_answer *answer)
{
    struct working *working = arg;
    struct dynamodb_answer later = {.error = "TableCreating",
                                    .message = "its table is being created",
                                    .first_ms = answer->first_ms};

    if (!answer->error)
        log_info("leases.created", "table=%s%s", working->db->table, name_beside(working));
    if (answer->error && !dynamodb_is(answer, "ResourceInUseException"))
        fail(working, answer);
    else
        fail(working, &later);
}

static bool is_beside(const struct working *working)
{
    return working->op >= LEASE_METRICS && working->layout == LEASE_LAYOUT_KCL3_TABLES;
}

static void make_beside(struct working *working)
{
    struct dynamodb_asker asker = {made, dropped, working};
    char *table = mem_fmt("%s%s", working->db->table, name_beside(working));
    struct request request;

    request_create_table(&request, table, working->op == LEASE_METRICS ? "wid" : "key");
    dynamodb_send(working->db, &request, &asker);
    free(table);
}

/* ---- calls */

static void answered(void *arg, const struct dynamodb_answer *answer)
{
    struct working *working = arg;
    struct dynamodb_io *db = working->db;

    if (dynamodb_is(answer, REFUSED)) {
        refused(working, answer);
        return;
    }
    if (dynamodb_is(answer, "ResourceNotFoundException") && is_beside(working) &&
        (working->op == LEASE_METRICS || working->op == LEASE_LOCK_TAKE)) {
        make_beside(working);
        return;
    }
    if (answer->error) {
        fail(working, answer);
        return;
    }
    if (is_beside(working))
        (working->op <= LEASE_METRICS_DROP ? &db->metrics : &db->state)->is_there = true;
    reply_row(working, LEASE_DONE,
              working->op == LEASE_GET ? json_object_get(answer->body, "Item") : NULL,
              answer->sent_ms);
}

static void call_io(struct lease_io *io, const struct lease_call *call, lease_fn fn, void *arg)
{
    struct dynamodb_io *db = (struct dynamodb_io *)io;
    struct working *working;
    struct dynamodb_asker asker = {answered, dropped, NULL};
    struct request request;

    if (call->op == LEASE_SCAN) {
        dynamodb_scan(db, call->layout, fn, arg);
        return;
    }
    working = mem_new(sizeof *working);
    *working = (struct working){.db = db,
                                .op = call->op,
                                .layout = call->layout,
                                .key = mem_dup(call->was.key),
                                .fn = fn,
                                .arg = arg};
    asker.arg = working;
    request_init(&request, call, db->table);
    dynamodb_send(db, &request, &asker);
}

static void free_io(struct lease_io *io)
{
    struct dynamodb_io *db = (struct dynamodb_io *)io;

    dynamodb_send_fini(db);
    free(db->table);
    free(db->region);
    free(db->arn);
    free(db);
}

struct lease_io *dynamodb_io_new(const struct dynamodb_io_config *config)
{
    struct dynamodb_io *db = mem_new(sizeof *db);
    int64_t failover_ms = config->failover_ms > 0 ? config->failover_ms : FAILOVER_MS;

    db->aws = config->aws;
    db->table = mem_dup(config->table);
    db->region = mem_dup(config->region);
    db->attempt_ms = failover_ms / 3;
    db->most_ms = failover_ms * 2 / 3;
    db->io = (struct lease_io){.call = call_io,
                               .now_ms = lease_io_now_ms,
                               .wall_s = lease_io_wall_s,
                               .is_private = config->is_private,
                               .table = db->table,
                               .free = free_io};
    dynamodb_send_init(db, config->loop);
    return &db->io;
}
