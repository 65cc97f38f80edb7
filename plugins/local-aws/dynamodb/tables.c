/* tables.c - tables and what hangs on them: time to live, backups, tags. */
#include <string.h>

#include "plugins/local-aws/dynamodb/call.h"
#include "plugins/local-aws/dynamodb/life.h"

static bool not_found(struct ddb_call *call, const char *name)
{
    return ddb_refuse(call->err, "ResourceNotFoundException",
                      "Requested resource not found: Table: %s not found", name);
}

static bool find_for_admin(struct ddb_call *call, struct ddb_table *ret)
{
    const char *name = ddb_table_name(call->in);

    return ddb_life_find(call->store, call->scope, name, call->place.now, ret) ||
           not_found(call, name);
}

static bool is_state(const struct ddb_table *table, const char *state)
{
    return strcmp(ddb_life_state(table->schema.document), state) == 0;
}

/* A table is changed only when it is ACTIVE. */
static bool check_free(struct ddb_call *call, const struct ddb_table *table)
{
    const char *doing = is_state(table, "CREATING")   ? "created"
                        : is_state(table, "UPDATING") ? "updated"
                        : is_state(table, "DELETING") ? "deleted"
                                                      : NULL;

    return !doing || ddb_refuse(call->err, "ResourceInUseException",
                                "Attempt to change a resource which is still in use: Table is "
                                "being %s: %s",
                                doing, table->schema.name);
}

static json_t *describe(struct ddb_call *call, const struct ddb_table *table)
{
    struct ddb_extent indexes[DDB_INDEXES_MAX];
    struct ddb_extent all = ddb_store_count(call->store, table, NULL);

    for (size_t i = 0; i < table->schema.n_indexes; i++)
        indexes[i] = ddb_store_count(call->store, table, &table->schema.indexes[i]);
    return ddb_schema_describe(&table->schema, &all, indexes);
}

/* Says the table as it is now, in its new state, and ends that state if it takes no time. */
static bool begin_state(struct ddb_call *call, struct ddb_table *table, const char *state)
{
    json_t *document = table->schema.document;

    ddb_life_begin(document, state, &call->place);
    json_object_set_new(call->out, "TableDescription", describe(call, table));
    if (call->place.transition <= 0)
        ddb_life_settle(document);
    return ddb_store_change_table(call->store, table->id, document) || ddb_trouble(call->err);
}

bool ddb_create_table(struct ddb_call *call)
{
    struct ddb_table table = {0};
    json_t *document = ddb_schema_create(call->in, &call->place, call->err);
    const char *name = ddb_text(document, "TableName");
    bool ok = false;

    if (!document)
        return false;
    if (ddb_life_find(call->store, call->scope, name, call->place.now, &table))
        ddb_refuse(call->err, "ResourceInUseException", "Table already exists: %s", name);
    else if (!ddb_store_add_table(call->store, call->scope, name, document) ||
             !ddb_store_table(call->store, call->scope, name, &table))
        ddb_trouble(call->err);
    else
        ok = begin_state(call, &table, "CREATING");
    ddb_table_fini(&table);
    json_decref(document);
    return ok;
}

/* Capacity that was seen last; what a table has that nobody used yet. */
static json_t *warm_throughput(void)
{
    return json_pack("{s:i,s:i,s:s}", "ReadUnitsPerSecond", 12000, "WriteUnitsPerSecond", 4000,
                     "Status", "ACTIVE");
}

bool ddb_describe_table(struct ddb_call *call)
{
    struct ddb_table table = {0};
    json_t *out;

    if (!find_for_admin(call, &table))
        return false;
    out = describe(call, &table);
    json_object_set_new(out, "WarmThroughput", warm_throughput());
    json_object_set_new(call->out, "Table", out);
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
    if ((index && !ddb_store_fill_index(call->store, table, index)) ||
        (to_do.old_index && !ddb_store_drop_index(call->store, table->id, to_do.old_index)))
        return ddb_trouble(call->err);
    return begin_state(call, table, "UPDATING");
}

bool ddb_update_table(struct ddb_call *call)
{
    struct ddb_table table = {0};
    bool ok;

    if (!find_for_admin(call, &table))
        return false;
    ok = check_free(call, &table) && change(call, &table);
    ddb_table_fini(&table);
    return ok;
}

static bool delete_table(struct ddb_call *call, struct ddb_table *table)
{
    if (is_state(table, "DELETING")) { /* asking again is fine */
        json_object_set_new(call->out, "TableDescription", describe(call, table));
        return true;
    }
    if (!check_free(call, table))
        return false;
    if (json_is_true(json_object_get(table->schema.document, "DeletionProtectionEnabled")))
        return ddb_invalid(call->err,
                           "Resource cannot be deleted as it is currently protected against "
                           "deletion. Disable deletion protection first.");
    if (!begin_state(call, table, "DELETING"))
        return false;
    return call->place.transition > 0 || ddb_store_drop_table(call->store, table->id) ||
           ddb_trouble(call->err);
}

bool ddb_delete_table(struct ddb_call *call)
{
    struct ddb_table table = {0};
    bool ok;

    if (!find_for_admin(call, &table))
        return false;
    ok = delete_table(call, &table);
    ddb_table_fini(&table);
    return ok;
}

/* Tables whose deletion is over are not listed any more. */
static void drop_deleted(struct ddb_call *call, json_t *names)
{
    for (size_t i = json_array_size(names); i-- > 0;) {
        struct ddb_table table;
        const char *name = json_string_value(json_array_get(names, i));

        if (ddb_life_find(call->store, call->scope, name, call->place.now, &table))
            ddb_table_fini(&table);
        else
            json_array_remove(names, i);
    }
}

bool ddb_list_tables(struct ddb_call *call)
{
    enum { LIST_MAX = 100 };
    const json_t *limit = ddb_member(call->in, "Limit");
    const char *after = ddb_text(call->in, "ExclusiveStartTableName");
    int n = limit ? (int)json_integer_value(limit) : LIST_MAX;
    json_t *names = ddb_store_list(call->store, call->scope, after ? after : "", n + 1);

    if (json_array_size(names) > (size_t)n) {
        json_array_remove(names, (size_t)n);
        json_object_set(call->out, "LastEvaluatedTableName", json_array_get(names, (size_t)n - 1));
    }
    drop_deleted(call, names);
    json_object_set_new(call->out, "TableNames", names);
    return true;
}

/* ---- what hangs on a table ---- */

enum { TAGS_MAX = 50 };

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

    if (!find_for_admin(call, &table))
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

/* Turning on what is on, or off what is off, is refused. */
static bool check_ttl(struct ddb_call *call, const json_t *now, const json_t *given)
{
    bool on = json_is_true(json_object_get(now, "Enabled"));
    bool will = json_is_true(json_object_get(given, "Enabled"));
    const char *name = ddb_text(now, "AttributeName"), *next = ddb_text(given, "AttributeName");

    if (on && will && strcmp(name, next) == 0)
        return ddb_invalid(call->err, "TimeToLive is already enabled");
    if (on && strcmp(name, next) != 0)
        return ddb_invalid(call->err,
                           "TimeToLive is active on a different AttributeName: current "
                           "AttributeName is %.255s",
                           name);
    if (!on && !will)
        return ddb_invalid(call->err, "TimeToLive is already disabled");
    return true;
}

bool ddb_update_ttl(struct ddb_call *call)
{
    struct ddb_table table = {0};
    json_t *given = ddb_member(call->in, "TimeToLiveSpecification");
    bool ok, on = json_is_true(json_object_get(given, "Enabled"));

    if (!find_for_admin(call, &table))
        return false;
    ok = check_free(call, &table) &&
         check_ttl(call, json_object_get(table.schema.document, "kpipe:ttl"), given) &&
         remember(call, &table, "kpipe:ttl", on ? given : NULL);
    if (ok)
        json_object_set(call->out, "TimeToLiveSpecification", given);
    ddb_table_fini(&table);
    return ok;
}

/* [new reference] */
static json_t *backups_of(struct ddb_call *call, const json_t *pitr)
{
    json_t *recovery =
        json_pack("{s:s}", "PointInTimeRecoveryStatus", pitr ? "ENABLED" : "DISABLED");

    if (pitr) {
        json_object_set(recovery, "RecoveryPeriodInDays", json_object_get(pitr, "days"));
        json_object_set(recovery, "EarliestRestorableDateTime", json_object_get(pitr, "since"));
        json_object_set_new(recovery, "LatestRestorableDateTime", json_real(call->place.now));
    }
    return json_pack("{s:s,s:o}", "ContinuousBackupsStatus", "ENABLED",
                     "PointInTimeRecoveryDescription", recovery);
}

static bool backups(struct ddb_call *call, bool update)
{
    struct ddb_table table = {0};
    const json_t *given = ddb_member(call->in, "PointInTimeRecoverySpecification");
    const json_t *days = ddb_member(given, "RecoveryPeriodInDays");
    bool on = json_is_true(json_object_get(given, "PointInTimeRecoveryEnabled")), ok = true;

    if (!find_for_admin(call, &table))
        return false;
    if (update) {
        json_t *pitr = on ? json_pack("{s:I,s:f}", "days", days ? json_integer_value(days) : 35,
                                      "since", call->place.now)
                          : NULL;

        ok = remember(call, &table, "kpipe:pitr", pitr);
        json_decref(pitr);
    }
    json_object_set_new(call->out, "ContinuousBackupsDescription",
                        backups_of(call, json_object_get(table.schema.document, "kpipe:pitr")));
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
        return ddb_invalid(call->err,
                           "Invalid TableArn: Invalid ResourceArn provided as input %.300s",
                           arn ? arn : "null");
    return ddb_life_find(call->store, call->scope, name + 7, call->place.now, ret) ||
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
    ok = json_array_size(tags) <= TAGS_MAX ? remember(call, &table, "kpipe:tags", tags)
                                           : ddb_invalid(call->err, "One or more parameter values "
                                                                    "were invalid: Too many tags: "
                                                                    "50 is the most");
    call->is_silent = true;
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
    json_object_set_new(
        call->out, "Endpoints",
        json_pack("[{s:s,s:i}]", "Address", call->endpoint, "CachePeriodInMinutes", 1440));
    return true;
}
