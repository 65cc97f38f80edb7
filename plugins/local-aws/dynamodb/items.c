/* items.c - GetItem, PutItem, UpdateItem, DeleteItem. */
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/dynamodb/eval.h"
#include "plugins/local-aws/dynamodb/update.h"
#include "plugins/local-aws/dynamodb/call.h"

#define ONE_OR_MORE "One or more parameter values were invalid: "

enum { ITEM_MAX = 400 * 1024 };

bool ddb_get_item(struct ddb_call *call)
{
    static const struct ddb_parameters parameters = {.projects = true};
    struct ddb_table table = {0};
    struct ddb_use use = {.schema = &table.schema};
    struct ddb_parsed parsed = {0};
    json_t *key = ddb_member(call->in, "Key"), *item = NULL, *consumed;
    bool ok = false;

    if (!ddb_item_check(key, call->err) || !ddb_parse(call->in, &parameters, &parsed, call->err) ||
        !ddb_find_table(call, call->in, &table) ||
        !ddb_schema_is_key(&table.schema, key, call->err))
        goto out;
    item = ddb_store_get(call->store, &table, key);
    ddb_use_read(&use, NULL, item ? ddb_item_size(item) : 0,
                 json_is_true(json_object_get(call->in, "ConsistentRead")));
    consumed = ddb_use_json(call->in, &use);
    if (consumed)
        json_object_set_new(call->out, "ConsumedCapacity", consumed);
    if (item)
        json_object_set_new(call->out, "Item",
                            parsed.has_projection ? ddb_project(item, parsed.projection.paths,
                                                                parsed.projection.n_paths)
                                                  : json_incref(item));
    ok = true;
out:
    json_decref(item);
    ddb_parsed_fini(&parsed);
    ddb_table_fini(&table);
    return ok;
}

/* ---- writes in steps ---- */

static bool check_update_keys(const struct ddb_write *write, struct ddb_error *err)
{
    const struct ddb_expression *update = &write->parsed.update;

    for (size_t i = 0; i < update->n_actions; i++) {
        const char *name = update->actions[i].path.steps[0].name;

        if (ddb_schema_has_key(&write->table.schema, name))
            return ddb_invalid(
                err, ONE_OR_MORE "Cannot update attribute %s. This attribute is part of the key",
                name);
    }
    return true;
}

bool ddb_write_prepare(struct ddb_call *call, struct ddb_write *write, enum ddb_write_kind kind,
                       json_t *request, struct ddb_error *err)
{
    static const struct ddb_parameters plain = {.condition = "ConditionExpression",
                                                .legacy_condition = "Expected"};
    static const struct ddb_parameters update = {
        .condition = "ConditionExpression", .legacy_condition = "Expected", .updates = true};
    const char *what = kind == DDB_WRITE_PUT ? "Item" : "Key";
    json_t *key = ddb_member(request, what);

    memset(write, 0, sizeof(*write));
    write->kind = kind;
    write->request = request;
    write->key = key;
    return ddb_item_check(key, err) &&
           ddb_parse(request, kind == DDB_WRITE_UPDATE ? &update : &plain, &write->parsed, err) &&
           ddb_find_table(call, request, &write->table);
}

bool ddb_write_fits(const struct ddb_write *write, struct ddb_error *err)
{
    if (write->kind == DDB_WRITE_PUT)
        return ddb_schema_fits(&write->table.schema, write->key, err);
    return ddb_schema_is_key(&write->table.schema, write->key, err) &&
           check_update_keys(write, err);
}

static bool condition_failed(const struct ddb_write *write, struct ddb_error *err)
{
    ddb_refuse(err, "ConditionalCheckFailedException", "The conditional request failed");
    if (ddb_is(write->request, "ReturnValuesOnConditionCheckFailure", "ALL_OLD") && write->old) {
        json_decref(err->item);
        err->item = json_incref(write->old);
    }
    return false;
}

/* The actions of before expressions make no item when all they do is delete. */
static bool makes_no_item(const struct ddb_write *write)
{
    const struct ddb_expression *update = &write->parsed.update;

    if (write->old || !update->legacy || update->n_actions == 0)
        return false;
    for (size_t i = 0; i < update->n_actions; i++)
        if (update->actions[i].section == DDB_SET || update->actions[i].section == DDB_ADD)
            return false;
    return true;
}

/* An update that spoils the key of an index has other words for it. */
static bool check_updated(const struct ddb_write *write, struct ddb_error *err)
{
    if (ddb_schema_fits(&write->table.schema, write->item, err))
        return true;
    if (write->parsed.update.legacy)
        return false;
    if (strstr(err->text, "Type mismatch for Index Key"))
        return ddb_invalid(err, "The update expression attempted to update the secondary index key "
                                "to unsupported type");
    if (strstr(err->text, "has exceeded the"))
        return ddb_invalid(err, "The update expression attempted to update the secondary index key "
                                "beyond allowed size limits");
    return false;
}

static bool compute_update(struct ddb_write *write, struct ddb_error *err)
{
    json_t *before;

    if (makes_no_item(write))
        return true;
    before = write->old ? json_incref(write->old) : json_copy((json_t *)write->key);
    write->item = ddb_update_apply(&write->parsed.update, before, err);
    json_decref(before);
    return write->item && check_updated(write, err);
}

bool ddb_write_decide(struct ddb_call *call, struct ddb_write *write, struct ddb_error *err)
{
    write->old = ddb_store_get(call->store, &write->table, write->key);
    if (!ddb_holds(write->parsed.condition.condition, write->old))
        return condition_failed(write, err);
    if (write->kind == DDB_WRITE_PUT)
        write->item = json_incref((json_t *)write->key);
    else if (write->kind == DDB_WRITE_CHECK)
        write->item = json_incref(write->old);
    else if (write->kind == DDB_WRITE_UPDATE && !compute_update(write, err))
        return false;
    if (write->item && ddb_item_size(write->item) > ITEM_MAX)
        return ddb_invalid(err, write->kind == DDB_WRITE_UPDATE
                                    ? "Item size to update has exceeded the maximum allowed size"
                                    : "Item size has exceeded the maximum allowed size");
    return true;
}

bool ddb_write_apply(struct ddb_call *call, struct ddb_write *write, struct ddb_error *err)
{
    if (write->kind == DDB_WRITE_CHECK)
        return true;
    return ddb_store_put(call->store, &write->table, write->old, write->item) || ddb_trouble(err);
}

void ddb_write_fini(struct ddb_write *write)
{
    json_decref(write->old);
    json_decref(write->item);
    ddb_parsed_fini(&write->parsed);
    ddb_table_fini(&write->table);
    memset(write, 0, sizeof(*write));
}

/* ---- answers of writes ---- */

/* The part of an item that the update's paths name. */
static json_t *touched(const struct ddb_expression *update, const json_t *item)
{
    struct ddb_path *paths = calloc(update->n_actions + 1, sizeof(*paths));
    json_t *ret = NULL;

    for (size_t i = 0; paths && i < update->n_actions; i++)
        paths[i] = update->actions[i].path;
    if (paths)
        ret = ddb_project(item, paths, update->n_actions);
    free(paths);
    return ret;
}

static void return_values(struct ddb_call *call, const struct ddb_write *write, const char *which)
{
    json_t *item = strstr(which, "_OLD") ? write->old : write->item, *attributes;

    if (strcmp(which, "NONE") == 0 || !item)
        return;
    if (strncmp(which, "UPDATED", 7) == 0)
        attributes = touched(&write->parsed.update, item);
    else
        attributes = json_incref(item);
    if (json_object_size(attributes) > 0)
        json_object_set(call->out, "Attributes", attributes);
    json_decref(attributes);
}

json_t *ddb_write_metrics(const struct ddb_call *call, const struct ddb_write *write)
{
    const struct ddb_schema *schema = &write->table.schema;
    const json_t *item = write->item ? write->item : write->old;
    bool has_local = false;

    for (size_t i = 0; i < schema->n_indexes; i++)
        has_local = has_local || !schema->indexes[i].is_global;
    if (!has_local || !item || !ddb_is(call->in, "ReturnItemCollectionMetrics", "SIZE"))
        return NULL;
    return json_pack("{s:{s:O},s:[i,i]}", "ItemCollectionKey", schema->keys.hash,
                     json_object_get(item, schema->keys.hash), "SizeEstimateRangeGB", 0, 1);
}

static void answer_write(struct ddb_call *call, const struct ddb_write *write, const char *which)
{
    struct ddb_use use = {0};
    json_t *consumed, *metrics = ddb_write_metrics(call, write);

    return_values(call, write, which);
    ddb_use_write(&use, write);
    consumed = ddb_use_json(call->in, &use);
    if (consumed)
        json_object_set_new(call->out, "ConsumedCapacity", consumed);
    if (metrics)
        json_object_set_new(call->out, "ItemCollectionMetrics", metrics);
}

static bool write_one(struct ddb_call *call, enum ddb_write_kind kind)
{
    struct ddb_write write = {0};
    const char *which = ddb_text(call->in, "ReturnValues");
    bool ok;

    if (!which)
        which = "NONE";
    if (kind != DDB_WRITE_UPDATE && strcmp(which, "NONE") != 0 && strcmp(which, "ALL_OLD") != 0)
        return ddb_invalid(call->err, "ReturnValues can only be ALL_OLD or NONE");
    ok = ddb_write_prepare(call, &write, kind, call->in, call->err) &&
         ddb_write_fits(&write, call->err) && ddb_write_decide(call, &write, call->err) &&
         ddb_write_apply(call, &write, call->err);
    if (ok)
        answer_write(call, &write, which);
    ddb_write_fini(&write);
    return ok;
}

bool ddb_put_item(struct ddb_call *call)
{
    return write_one(call, DDB_WRITE_PUT);
}

bool ddb_update_item(struct ddb_call *call)
{
    return write_one(call, DDB_WRITE_UPDATE);
}

bool ddb_delete_item(struct ddb_call *call)
{
    return write_one(call, DDB_WRITE_DELETE);
}
