/* batch.c - many items in one call: batches and transactions. */
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/dynamodb/eval.h"
#include "plugins/local-aws/dynamodb/call.h"

enum {
    BATCH_GET_MAX = 100,
    BATCH_WRITE_MAX = 25,
    TRANSACTION_MAX = 100,
    ANSWER_MAX = 16 * 1024 * 1024,
};

/* ---- keys seen once ---- */

/* Remembers a table and key in `seen`; false when it was there before. */
static bool first_time(json_t *seen, const struct ddb_table *table, const json_t *item)
{
    json_t *key = ddb_schema_key_of(&table->schema, NULL, item);
    char *text = json_dumps(key, JSON_COMPACT | JSON_SORT_KEYS);
    json_t *name = json_sprintf("%lld %s", (long long)table->id, text ? text : "");
    bool first = !json_object_get(seen, json_string_value(name));

    json_object_set_new(seen, json_string_value(name), json_true());
    json_decref(name);
    json_decref(key);
    free(text);
    return first;
}

/* ---- BatchGetItem ---- */

struct batch_get {
    struct ddb_call *call;
    json_t *responses, *unprocessed, *seen; /* [owned] */
    size_t bytes;
};

static bool is_duplicate(struct ddb_error *err)
{
    return ddb_invalid(err, "Provided list of item keys contains duplicates");
}

/* The answer for one table. */
struct table_get {
    struct ddb_table table;
    struct ddb_parsed parsed;
    json_t *found, *left; /* items, and keys that did not fit [owned] */
};

static bool get_one(struct batch_get *b, struct table_get *t, json_t *key)
{
    json_t *item;

    if (!ddb_item_check(key, b->call->err) ||
        !ddb_schema_is_key(&t->table.schema, key, b->call->err))
        return false;
    if (!first_time(b->seen, &t->table, key))
        return is_duplicate(b->call->err);
    if (b->bytes >= ANSWER_MAX) {
        json_array_append(t->left, key);
        return true;
    }
    item = ddb_store_get(b->call->store, &t->table, key);
    if (!item)
        return true;
    b->bytes += ddb_item_size(item);
    if (t->parsed.has_projection)
        json_array_append_new(
            t->found, ddb_project(item, t->parsed.projection.paths, t->parsed.projection.n_paths));
    else
        json_array_append(t->found, item);
    json_decref(item);
    return true;
}

static bool get_from_table(struct batch_get *b, const char *name, const json_t *request)
{
    static const struct ddb_parameters parameters = {.projects = true};
    struct table_get t = {.found = json_array(), .left = json_array()};
    const json_t *keys = ddb_member(request, "Keys");
    json_t *named = json_pack("{s:s}", "TableName", name);
    bool ok = ddb_find_table(b->call, named, &t.table) &&
              ddb_parse(request, &parameters, &t.parsed, b->call->err);

    for (size_t i = 0; ok && i < json_array_size(keys); i++)
        ok = get_one(b, &t, json_array_get(keys, i));
    json_object_set(b->responses, name, t.found);
    if (json_array_size(t.left) > 0) {
        json_t *rest = json_copy((json_t *)request);

        json_object_set(rest, "Keys", t.left);
        json_object_set_new(b->unprocessed, name, rest);
    }
    json_decref(t.found);
    json_decref(t.left);
    json_decref(named);
    ddb_parsed_fini(&t.parsed);
    ddb_table_fini(&t.table);
    return ok;
}

bool ddb_batch_get(struct ddb_call *call)
{
    struct batch_get b = {call, json_object(), json_object(), json_object(), 0};
    json_t *requests = ddb_member(call->in, "RequestItems"), *request;
    const char *name;
    size_t count = 0;
    bool ok = true;

    json_object_foreach(requests, name, request)
    {
        count += json_array_size(ddb_member(request, "Keys"));
    }
    if (count == 0)
        ok = ddb_invalid(call->err,
                         "1 validation error detected: Value '{}' at 'requestItems' failed "
                         "to satisfy constraint: Member must have length greater than or "
                         "equal to 1");
    else if (count > BATCH_GET_MAX)
        ok = ddb_invalid(call->err, "Too many items requested for the BatchGetItem call");
    if (ok) {
        json_object_foreach(requests, name, request)
        {
            ok = ok && get_from_table(&b, name, request);
        }
    }
    if (ok) {
        json_object_set(call->out, "Responses", b.responses);
        json_object_set(call->out, "UnprocessedKeys", b.unprocessed);
    }
    json_decref(b.responses);
    json_decref(b.unprocessed);
    json_decref(b.seen);
    return ok;
}

/* ---- BatchWriteItem ---- */

static bool batch_one(struct ddb_call *call, const char *table, json_t *entry, json_t *seen)
{
    json_t *put = ddb_member(entry, "PutRequest"), *delete = ddb_member(entry, "DeleteRequest");
    json_t *request = put ? put : delete;
    struct ddb_write write = {0};
    bool ok;

    if (!put == !delete)
        return ddb_invalid(call->err,
                           "Supplied AttributeValue has more than one datatypes set, must contain "
                           "exactly one of the supported datatypes");
    json_object_set_new(request, "TableName", json_string(table));
    ok =
        ddb_write_prepare(call, &write, put ? DDB_WRITE_PUT : DDB_WRITE_DELETE, request, call->err);
    if (ok && !first_time(seen, &write.table, write.key))
        ok = is_duplicate(call->err);
    ok =
        ok && ddb_write_decide(call, &write, call->err) && ddb_write_apply(call, &write, call->err);
    ddb_write_fini(&write);
    return ok;
}

bool ddb_batch_write(struct ddb_call *call)
{
    json_t *requests = ddb_member(call->in, "RequestItems"), *list, *seen = json_object();
    const char *table;
    size_t count = 0;
    bool ok = true;

    json_object_foreach(requests, table, list)
    {
        count += json_array_size(list);
    }
    if (count == 0)
        ok = ddb_invalid(call->err,
                         "1 validation error detected: Value '{}' at 'requestItems' failed "
                         "to satisfy constraint: Member must have length greater than or "
                         "equal to 1");
    else if (count > BATCH_WRITE_MAX)
        ok = ddb_invalid(call->err, "Too many items requested for the BatchWriteItem call");
    json_object_foreach(requests, table, list)
    {
        for (size_t i = 0; ok && i < json_array_size(list); i++)
            ok = batch_one(call, table, json_array_get(list, i), seen);
    }
    if (ok)
        json_object_set_new(call->out, "UnprocessedItems", json_object());
    json_decref(seen);
    return ok;
}

/* ---- transactions ---- */

static enum ddb_write_kind action_of(json_t *entry, json_t **ret_request)
{
    static const struct {
        const char *name;
        enum ddb_write_kind kind;
    } kinds[] = {{"Put", DDB_WRITE_PUT},
                 {"Update", DDB_WRITE_UPDATE},
                 {"Delete", DDB_WRITE_DELETE},
                 {"ConditionCheck", DDB_WRITE_CHECK}};
    enum ddb_write_kind found = 0;

    for (size_t i = 0; i < 4; i++) {
        json_t *request = ddb_member(entry, kinds[i].name);

        if (!request)
            continue;
        if (found)
            return 0;
        found = kinds[i].kind;
        *ret_request = request;
    }
    return found;
}

static bool prepare_all(struct ddb_call *call, const json_t *items, struct ddb_write *writes)
{
    json_t *seen = json_object();
    bool ok = true;

    for (size_t i = 0; ok && i < json_array_size(items); i++) {
        json_t *request = NULL;
        enum ddb_write_kind kind = action_of(json_array_get(items, i), &request);

        if (!kind)
            ok = ddb_invalid(call->err,
                             "TransactItems can only contain one of Check, Put, Update or "
                             "Delete");
        else
            ok = ddb_write_prepare(call, &writes[i], kind, request, call->err);
        if (ok && !first_time(seen, &writes[i].table, writes[i].key))
            ok = ddb_invalid(call->err,
                             "Transaction request cannot include multiple operations on one item");
    }
    json_decref(seen);
    return ok;
}

static json_t *reason_of(const struct ddb_error *err)
{
    bool failed = err->type && strcmp(err->type, "ConditionalCheckFailedException") == 0;
    json_t *reason = err->type ? json_pack("{s:s,s:s}", "Code",
                                           failed ? "ConditionalCheckFailed" : "ValidationError",
                                           "Message", err->text)
                               : json_pack("{s:s}", "Code", "None");

    if (err->item)
        json_object_set(reason, "Item", err->item);
    return reason;
}

/* Decides all; true when every one may be done. */
static bool decide_all(struct ddb_call *call, struct ddb_write *writes, size_t n)
{
    json_t *reasons = json_array();
    char codes[900] = "";
    bool ok = true;

    for (size_t i = 0; i < n; i++) {
        struct ddb_error err = {0};
        json_t *reason;

        if (!ddb_write_decide(call, &writes[i], &err))
            ok = false;
        reason = reason_of(&err);
        if (strlen(codes) + 40 < sizeof(codes)) {
            strcat(codes, i ? ", " : "");
            strcat(codes, ddb_text(reason, "Code"));
        }
        json_array_append_new(reasons, reason);
        ddb_error_fini(&err);
    }
    if (!ok) {
        ddb_refuse(call->err, "TransactionCanceledException",
                   "Transaction cancelled, please refer cancellation reasons for specific reasons "
                   "[%s]",
                   codes);
        json_decref(call->err->reasons);
        call->err->reasons = json_incref(reasons);
    }
    json_decref(reasons);
    return ok;
}

static bool check_count(struct ddb_call *call, const json_t *items)
{
    size_t n = json_array_size(items);

    if (n >= 1 && n <= TRANSACTION_MAX)
        return true;
    return ddb_invalid(call->err,
                       "1 validation error detected: Value '[..]' at 'transactItems' failed to "
                       "satisfy constraint: Member must have length %s than or equal to %d",
                       n ? "less" : "greater", n ? TRANSACTION_MAX : 1);
}

bool ddb_transact_write(struct ddb_call *call)
{
    const json_t *items = ddb_member(call->in, "TransactItems");
    size_t n = json_array_size(items);
    struct ddb_write *writes;
    bool ok;

    if (!check_count(call, items))
        return false;
    writes = calloc(n, sizeof(*writes));
    if (!writes)
        return ddb_trouble(call->err);
    ok = prepare_all(call, items, writes) && decide_all(call, writes, n);
    for (size_t i = 0; ok && i < n; i++)
        ok = ddb_write_apply(call, &writes[i], call->err);
    for (size_t i = 0; i < n; i++)
        ddb_write_fini(&writes[i]);
    free(writes);
    return ok;
}

bool ddb_transact_get(struct ddb_call *call)
{
    const json_t *items = ddb_member(call->in, "TransactItems");
    json_t *responses = json_array(), *in = call->in, *out = call->out;
    bool ok = check_count(call, items);

    for (size_t i = 0; ok && i < json_array_size(items); i++) {
        json_t *get = ddb_member(json_array_get(items, i), "Get");

        /* Each is a GetItem of its own; all happen at one moment anyway. */
        call->in = get;
        call->out = json_object();
        ok = get ? ddb_get_item(call)
                 : ddb_invalid(call->err, "1 validation error detected: Value null at "
                                          "'transactItems.1.member.get' failed to satisfy "
                                          "constraint: Member must not be null");
        json_array_append_new(responses, call->out);
    }
    call->in = in;
    call->out = out;
    if (ok)
        json_object_set(out, "Responses", responses);
    json_decref(responses);
    return ok;
}
