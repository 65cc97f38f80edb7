/* tables.c - tables and what hangs on them: time to live, backups, tags. */
#include <string.h>

#include "plugins/local-aws/dynamodb/call.h"

static bool find_for_admin(struct ddb_call *call, const char *name, struct ddb_table *ret)
{
    if (!name)
        return false;
    return ddb_store_table(call->store, call->scope, name, ret) ||
           ddb_refuse(call->err, "ResourceNotFoundException",
                      "Requested resource not found: Table: %s not found", name);
}

static void describe(struct ddb_call *call, const char *member, const struct ddb_table *table,
                     const char *status)
{
    int64_t items, bytes;

    ddb_store_count(call->store, table->id, &items, &bytes);
    json_object_set_new(call->out, member,
                        ddb_schema_describe(&table->schema, status, items, bytes));
}

bool ddb_create_table(struct ddb_call *call)
{
    struct ddb_table table = {0};
    json_t *document = ddb_schema_create(call->in, &call->place, call->err);
    const char *name = ddb_text(document, "TableName");
    bool ok = false;

    if (!document)
        return false;
    if (ddb_store_table(call->store, call->scope, name, &table))
        ddb_refuse(call->err, "ResourceInUseException", "Table already exists: %s", name);
    else if (!ddb_store_add_table(call->store, call->scope, name, document) ||
             !ddb_store_table(call->store, call->scope, name, &table))
        ddb_trouble(call->err);
    else
        ok = true;
    if (ok)
        describe(call, "TableDescription", &table, "CREATING");
    ddb_table_fini(&table);
    json_decref(document);
    return ok;
}

bool ddb_describe_table(struct ddb_call *call)
{
    struct ddb_table table = {0};

    if (!find_for_admin(call, ddb_table_name(call->in, call->err), &table))
        return false;
    describe(call, "Table", &table, "ACTIVE");
    ddb_table_fini(&table);
    return true;
}

static bool change(struct ddb_call *call, struct ddb_table *table)
{
    struct ddb_index_change to_do;
    json_t *document = ddb_schema_update(&table->schema, call->in, &call->place, &to_do, call->err);
    const struct ddb_index *index;

    if (!document)
        return false;
    ddb_schema_fini(&table->schema);
    ddb_schema_open(&table->schema, document);
    index = to_do.new_index ? ddb_schema_index(&table->schema, to_do.new_index) : NULL;
    if (!ddb_store_change_table(call->store, table->id, document) ||
        (index && !ddb_store_fill_index(call->store, table, index)) ||
        (to_do.old_index && !ddb_store_drop_index(call->store, table->id, to_do.old_index)))
        return ddb_trouble(call->err);
    return true;
}

bool ddb_update_table(struct ddb_call *call)
{
    struct ddb_table table = {0};
    bool ok;

    if (!find_for_admin(call, ddb_table_name(call->in, call->err), &table))
        return false;
    ok = change(call, &table);
    if (ok)
        describe(call, "TableDescription", &table, "UPDATING");
    ddb_table_fini(&table);
    return ok;
}

bool ddb_delete_table(struct ddb_call *call)
{
    struct ddb_table table = {0};
    bool ok = false;

    if (!find_for_admin(call, ddb_table_name(call->in, call->err), &table))
        return false;
    if (json_is_true(json_object_get(table.schema.document, "DeletionProtectionEnabled"))) {
        ddb_invalid(call->err,
                    "Resource cannot be deleted as it is currently protected against deletion. "
                    "Disable deletion protection first.");
    } else {
        describe(call, "TableDescription", &table, "DELETING");
        ok = ddb_store_drop_table(call->store, table.id) || ddb_trouble(call->err);
    }
    ddb_table_fini(&table);
    return ok;
}

bool ddb_list_tables(struct ddb_call *call)
{
    enum { LIST_MAX = 100 };
    const json_t *limit = ddb_member(call->in, "Limit");
    const char *after = ddb_text(call->in, "ExclusiveStartTableName");
    int n = limit ? (int)json_integer_value(limit) : LIST_MAX;
    json_t *names;

    if (n < 1 || n > LIST_MAX)
        return ddb_invalid(call->err,
                           "1 validation error detected: Value '%d' at 'limit' failed to satisfy "
                           "constraint: Member must have value %s than or equal to %d",
                           n, n < 1 ? "greater" : "less", n < 1 ? 1 : LIST_MAX);
    names = ddb_store_list(call->store, call->scope, after ? after : "", n + 1);
    if (json_array_size(names) > (size_t)n) {
        json_array_remove(names, (size_t)n);
        json_object_set(call->out, "LastEvaluatedTableName", json_array_get(names, (size_t)n - 1));
    }
    json_object_set_new(call->out, "TableNames", names);
    return true;
}

/* ---- what hangs on a table ---- */

/* Stores one more member of the document, for this program only. */
static bool remember(struct ddb_call *call, struct ddb_table *table, const char *member,
                     json_t *value)
{
    if (value)
        json_object_set(table->schema.document, member, value);
    else
        json_object_del(table->schema.document, member);
    return ddb_store_change_table(call->store, table->id, table->schema.document) ||
           ddb_trouble(call->err);
}

bool ddb_describe_ttl(struct ddb_call *call)
{
    struct ddb_table table = {0};
    const json_t *ttl;
    bool on;

    if (!find_for_admin(call, ddb_table_name(call->in, call->err), &table))
        return false;
    ttl = json_object_get(table.schema.document, "kpipe:ttl");
    on = json_is_true(json_object_get(ttl, "Enabled"));
    json_object_set_new(call->out, "TimeToLiveDescription",
                        json_pack("{s:s}", "TimeToLiveStatus", on ? "ENABLED" : "DISABLED"));
    if (on)
        json_object_set(json_object_get(call->out, "TimeToLiveDescription"), "AttributeName",
                        json_object_get(ttl, "AttributeName"));
    ddb_table_fini(&table);
    return true;
}

bool ddb_update_ttl(struct ddb_call *call)
{
    struct ddb_table table = {0};
    json_t *given = ddb_member(call->in, "TimeToLiveSpecification");
    bool ok;

    if (!find_for_admin(call, ddb_table_name(call->in, call->err), &table))
        return false;
    if (!ddb_text(given, "AttributeName") || !json_is_boolean(json_object_get(given, "Enabled")))
        ok = ddb_invalid(call->err, "1 validation error detected: Value null at "
                                    "'timeToLiveSpecification.attributeName' failed to satisfy "
                                    "constraint: Member must not be null");
    else
        ok = remember(call, &table, "kpipe:ttl", given);
    if (ok)
        json_object_set(call->out, "TimeToLiveSpecification", given);
    ddb_table_fini(&table);
    return ok;
}

static bool backups(struct ddb_call *call, bool update)
{
    struct ddb_table table = {0};
    const json_t *given = ddb_member(call->in, "PointInTimeRecoverySpecification");
    bool on, ok = true;

    if (!find_for_admin(call, ddb_table_name(call->in, call->err), &table))
        return false;
    if (update)
        ok = remember(call, &table, "kpipe:pitr",
                      json_object_get(given, "PointInTimeRecoveryEnabled"));
    on = json_is_true(json_object_get(table.schema.document, "kpipe:pitr"));
    json_object_set_new(call->out, "ContinuousBackupsDescription",
                        json_pack("{s:s,s:{s:s}}", "ContinuousBackupsStatus", "ENABLED",
                                  "PointInTimeRecoveryDescription", "PointInTimeRecoveryStatus",
                                  on ? "ENABLED" : "DISABLED"));
    ddb_table_fini(&table);
    return ok;
}

bool ddb_describe_backups(struct ddb_call *call)
{
    return backups(call, false);
}

bool ddb_update_backups(struct ddb_call *call)
{
    return backups(call, true);
}

/* ---- tags ---- */

static bool find_by_arn(struct ddb_call *call, struct ddb_table *ret)
{
    const char *arn = ddb_text(call->in, "ResourceArn"),
               *name = arn ? strstr(arn, ":table/") : NULL;

    if (!name)
        return ddb_invalid(call->err, "Invalid TableArn: %.300s", arn ? arn : "null");
    return ddb_store_table(call->store, call->scope, name + 7, ret) ||
           ddb_refuse(call->err, "ResourceNotFoundException",
                      "Requested resource not found: ResourceArn: %.300s not found", arn);
}

/* [new reference] The tags without those named. */
static json_t *without(const json_t *tags, const json_t *keys)
{
    json_t *out = json_array();

    for (size_t i = 0; i < json_array_size(tags); i++) {
        json_t *tag = json_array_get(tags, i);
        const char *key = ddb_text(tag, "Key");
        bool gone = false;

        for (size_t k = 0; key && k < json_array_size(keys); k++) {
            const json_t *one = json_array_get(keys, k);
            const char *name = json_is_object(one) ? ddb_text(one, "Key") : json_string_value(one);

            gone = gone || (name && strcmp(name, key) == 0);
        }
        if (!gone)
            json_array_append(out, tag);
    }
    return out;
}

static bool change_tags(struct ddb_call *call, const char *member, bool add)
{
    struct ddb_table table = {0};
    json_t *given = ddb_member(call->in, member), *tags;
    bool ok;

    if (!find_by_arn(call, &table))
        return false;
    tags = without(json_object_get(table.schema.document, "kpipe:tags"), given);
    if (add)
        json_array_extend(tags, given);
    ok = remember(call, &table, "kpipe:tags", tags);
    json_decref(tags);
    ddb_table_fini(&table);
    return ok;
}

bool ddb_tag_resource(struct ddb_call *call)
{
    return change_tags(call, "Tags", true);
}

bool ddb_untag_resource(struct ddb_call *call)
{
    return change_tags(call, "TagKeys", false);
}

bool ddb_list_tags(struct ddb_call *call)
{
    struct ddb_table table = {0};

    if (!find_by_arn(call, &table))
        return false;
    json_object_set_new(call->out, "Tags",
                        without(json_object_get(table.schema.document, "kpipe:tags"), NULL));
    ddb_table_fini(&table);
    return true;
}

/* ---- the account ---- */

bool ddb_describe_limits(struct ddb_call *call)
{
    static const char *const names[] = {"AccountMaxReadCapacityUnits",
                                        "AccountMaxWriteCapacityUnits"};
    static const char *const of_table[] = {"TableMaxReadCapacityUnits",
                                           "TableMaxWriteCapacityUnits"};

    for (int i = 0; i < 2; i++) {
        json_object_set_new(call->out, names[i], json_integer(80000));
        json_object_set_new(call->out, of_table[i], json_integer(40000));
    }
    return true;
}

bool ddb_describe_endpoints(struct ddb_call *call)
{
    json_t *address = json_sprintf("dynamodb.%s.amazonaws.com", call->place.region);

    json_object_set_new(call->out, "Endpoints",
                        json_pack("[{s:o,s:i}]", "Address", address, "CachePeriodInMinutes", 1440));
    return true;
}
