/* batch.c - BatchGetItem and BatchWriteItem. */
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/dynamodb/eval.h"
#include "plugins/local-aws/dynamodb/call.h"

enum {
    BATCH_GET_MAX = 100,
    BATCH_WRITE_MAX = 25,
    ANSWER_MAX = 16 * 1024 * 1024,
};

/* ---- keys seen once ---- */

bool ddb_first_time(json_t *seen, const struct ddb_table *table, const json_t *item)
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

bool ddb_skips(const struct ddb_call *call)
{
    return call->skips_entry && call->skips_entry(call->arg);
}

static void keep_use(json_t *consumed, const json_t *request, const struct ddb_use *use)
{
    json_t *one = ddb_use_json(request, use);

    if (one)
        json_array_append_new(consumed, one);
}

struct batch_get {
    struct ddb_call *call;
    json_t *responses, *unprocessed, *seen, *consumed; /* [owned] */
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
    struct ddb_use use;
    bool is_consistent;
    json_t *found, *left; /* items, and keys that did not fit [owned] */
};

static bool get_one(struct batch_get *b, struct table_get *t, json_t *key)
{
    json_t *item;

    if (!ddb_item_check(key, b->call->err) ||
        !ddb_schema_is_key(&t->table.schema, key, b->call->err))
        return false;
    if (!ddb_first_time(b->seen, &t->table, key))
        return is_duplicate(b->call->err);
    if (b->bytes >= ANSWER_MAX || ddb_skips(b->call)) {
        json_array_append(t->left, key);
        return true;
    }
    item = ddb_store_get(b->call->store, &t->table, key);
    ddb_use_read(&t->use, NULL, item ? ddb_item_size(item) : 0, t->is_consistent);
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

    t.use.schema = &t.table.schema;
    t.is_consistent = json_is_true(json_object_get(request, "ConsistentRead"));
    for (size_t i = 0; ok && i < json_array_size(keys); i++)
        ok = get_one(b, &t, json_array_get(keys, i));
    if (ok)
        keep_use(b->consumed, b->call->in, &t.use);
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
    struct batch_get b = {call, json_object(), json_object(), json_object(), json_array(), 0};
    json_t *requests = ddb_member(call->in, "RequestItems"), *request;
    const char *name;
    size_t count = 0;
    bool ok = true;

    json_object_foreach(requests, name, request)
    {
        count += json_array_size(ddb_member(request, "Keys"));
    }
    if (count > BATCH_GET_MAX)
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
        if (json_array_size(b.consumed) > 0)
            json_object_set(call->out, "ConsumedCapacity", b.consumed);
    }
    json_decref(b.responses);
    json_decref(b.unprocessed);
    json_decref(b.seen);
    json_decref(b.consumed);
    return ok;
}

/* ---- BatchWriteItem ---- */

struct batch_write {
    struct ddb_call *call;
    json_t *seen, *unprocessed, *metrics, *consumed; /* [owned] */
    struct ddb_use use;                              /* of the table in hand */
};

static bool leave(json_t *by_table, const char *table, json_t *entry)
{
    json_t *list = json_object_get(by_table, table);

    if (!list) {
        list = json_array();
        json_object_set_new(by_table, table, list);
    }
    return json_array_append(list, entry) == 0;
}

/* The last write of a table counts its use while the table is open. */
static bool write_one(struct batch_write *b, const char *table, json_t *entry, bool is_last)
{
    struct ddb_call *call = b->call;
    json_t *put = ddb_member(entry, "PutRequest"), *delete = ddb_member(entry, "DeleteRequest");
    json_t *request = put ? put : delete, *metrics;
    struct ddb_write write = {0};
    bool ok;

    if (!put == !delete)
        return ddb_invalid(call->err,
                           "Supplied AttributeValue has more than one datatypes set, must contain "
                           "exactly one of the supported datatypes");
    if (ddb_skips(call)) {
        leave(b->unprocessed, table, entry);
        return true;
    }
    json_object_set_new(request, "TableName", json_string(table));
    ok = ddb_write_prepare(call, &write, put ? DDB_WRITE_PUT : DDB_WRITE_DELETE, request,
                           call->err) &&
         ddb_write_fits(&write, call->err);
    if (ok && !ddb_first_time(b->seen, &write.table, write.key))
        ok = is_duplicate(call->err);
    ok =
        ok && ddb_write_decide(call, &write, call->err) && ddb_write_apply(call, &write, call->err);
    if (ok) {
        ddb_use_write(&b->use, &write);
        metrics = ddb_write_metrics(call, &write);
        if (metrics)
            leave(b->metrics, write.table.schema.name, metrics);
        json_decref(metrics);
        if (is_last)
            keep_use(b->consumed, call->in, &b->use);
    }
    ddb_write_fini(&write);
    return ok;
}

static void answer_batch_write(const struct batch_write *b)
{
    json_object_set(b->call->out, "UnprocessedItems", b->unprocessed);
    if (json_object_size(b->metrics) > 0)
        json_object_set(b->call->out, "ItemCollectionMetrics", b->metrics);
    if (json_array_size(b->consumed) > 0)
        json_object_set(b->call->out, "ConsumedCapacity", b->consumed);
}

bool ddb_batch_write(struct ddb_call *call)
{
    struct batch_write b = {.call = call,
                            .seen = json_object(),
                            .unprocessed = json_object(),
                            .metrics = json_object(),
                            .consumed = json_array()};
    json_t *requests = ddb_member(call->in, "RequestItems"), *list;
    const char *table;
    size_t count = 0;
    bool ok = true;

    json_object_foreach(requests, table, list)
    {
        count += json_array_size(list);
    }
    if (count > BATCH_WRITE_MAX)
        ok = ddb_invalid(call->err, "Too many items requested for the BatchWriteItem call");
    json_object_foreach(requests, table, list)
    {
        b.use = (struct ddb_use){0};
        for (size_t i = 0; ok && i < json_array_size(list); i++)
            ok = write_one(&b, table, json_array_get(list, i), i + 1 == json_array_size(list));
    }
    if (ok)
        answer_batch_write(&b);
    json_decref(b.seen);
    json_decref(b.unprocessed);
    json_decref(b.metrics);
    json_decref(b.consumed);
    return ok;
}
