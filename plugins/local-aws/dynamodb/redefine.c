/* redefine.c - UpdateTable: what changes in a table's document. */
#include <string.h>

#include "plugins/local-aws/dynamodb/define.h"
#include "plugins/local-aws/dynamodb/life.h"

#define ONE_OR_MORE "One or more parameter values were invalid: "

struct change {
    json_t *document;
    const json_t *request;
    const struct ddb_place *place;
    struct ddb_index_change *ret;
    struct ddb_error *err;
};

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static bool is_on_demand(const json_t *document)
{
    const char *mode = text_of(json_object_get(document, "BillingModeSummary"), "BillingMode");

    return mode && strcmp(mode, "PAY_PER_REQUEST") == 0;
}

/* ---- indexes ---- */

static bool create_index(struct change *c, const json_t *given)
{
    json_t *list = json_object_get(c->document, "GlobalSecondaryIndexes"), *index;
    bool has_capacity = json_is_object(json_object_get(given, "ProvisionedThroughput"));
    const char *name = text_of(given, "IndexName");

    if (!ddb_define_index(given, json_object_get(c->document, "AttributeDefinitions"), c->err))
        return false;
    if (ddb_define_has(list, name, SIZE_MAX) ||
        ddb_define_has(json_object_get(c->document, "LocalSecondaryIndexes"), name, SIZE_MAX))
        return ddb_invalid(c->err, "Attempting to create an index which already exists");
    if (has_capacity == is_on_demand(c->document))
        return ddb_invalid(
            c->err,
            has_capacity ? ONE_OR_MORE "ProvisionedThroughput should not be specified for "
                                       "index: %s when BillingMode is PAY_PER_REQUEST"
                         : ONE_OR_MORE "ProvisionedThroughput must be specified for index: %s",
            name);
    if (json_array_size(list) >= DDB_GLOBAL_MAX)
        return ddb_refuse(c->err, "LimitExceededException",
                          "Subscriber limit exceeded: GlobalSecondaryIndex count exceeds the "
                          "per-table limit of 20");
    if (!list) {
        list = json_array();
        json_object_set_new(c->document, "GlobalSecondaryIndexes", list);
    }
    index = ddb_define_document(c->document, given, true, c->place);
    json_object_set_new(index, DDB_STATE, json_string("CREATING"));
    json_array_append_new(list, index);
    c->ret->new_index = name;
    return true;
}

/* The index that `given` names [borrowed]. */
static json_t *find_index(struct change *c, const json_t *given)
{
    const json_t *list = json_object_get(c->document, "GlobalSecondaryIndexes");
    const char *name = text_of(given, "IndexName");

    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *one = json_array_get(list, i);

        if (strcmp(text_of(one, "IndexName"), name) == 0 && !json_object_get(one, DDB_STATE))
            return one;
    }
    ddb_refuse(c->err, "ResourceNotFoundException",
               "Requested resource not found: Index: %.255s not found", name);
    return NULL;
}

static bool delete_index(struct change *c, const json_t *given)
{
    json_t *index = find_index(c, given);

    if (!index)
        return false;
    c->ret->old_index = json_integer_value(json_object_get(index, "kpipe:id"));
    json_object_set_new(index, DDB_STATE, json_string("DELETING"));
    return true;
}

static json_int_t units(const json_t *throughput, const char *name)
{
    return json_integer_value(json_object_get(throughput, name));
}

/* New capacity of a table or index; the same as it was is refused. */
static bool change_capacity(struct change *c, json_t *of, const json_t *given)
{
    static const char reads[] = "ReadCapacityUnits", writes[] = "WriteCapacityUnits";
    const json_t *now = json_object_get(of, "ProvisionedThroughput");
    bool grows =
        units(given, reads) > units(now, reads) || units(given, writes) > units(now, writes);
    bool shrinks =
        units(given, reads) < units(now, reads) || units(given, writes) < units(now, writes);
    json_int_t decreases = units(now, "NumberOfDecreasesToday") + shrinks;
    json_t *next;

    if (!grows && !shrinks)
        return ddb_invalid(
            c->err,
            "The provisioned throughput for the table will not change. The requested "
            "value equals the current value. Current ReadCapacityUnits provisioned "
            "for the table: %lld. Requested ReadCapacityUnits: %lld. Current "
            "WriteCapacityUnits provisioned for the table: %lld. Requested "
            "WriteCapacityUnits: %lld. Refer to the Amazon DynamoDB Developer Guide "
            "for current limits and how to request higher limits.",
            (long long)units(now, reads), (long long)units(given, reads),
            (long long)units(now, writes), (long long)units(given, writes));
    next = json_copy((json_t *)now);
    json_object_set_new(next, reads, json_integer(units(given, reads)));
    json_object_set_new(next, writes, json_integer(units(given, writes)));
    json_object_set_new(next, "NumberOfDecreasesToday", json_integer(decreases));
    if (grows)
        json_object_set_new(next, "LastIncreaseDateTime", json_real(c->place->now));
    if (shrinks)
        json_object_set_new(next, "LastDecreaseDateTime", json_real(c->place->now));
    json_object_set_new(of, "ProvisionedThroughput", next);
    return true;
}

static bool update_index(struct change *c, const json_t *given)
{
    json_t *index = find_index(c, given);
    const json_t *throughput = json_object_get(given, "ProvisionedThroughput");

    if (!index || (json_is_object(throughput) && !change_capacity(c, index, throughput)))
        return false;
    json_object_set_new(index, DDB_STATE, json_string("UPDATING"));
    return true;
}

static const char *name_of_update(const json_t *one)
{
    static const char *const kinds[] = {"Create", "Update", "Delete"};

    for (size_t i = 0; i < 3; i++)
        if (json_is_object(json_object_get(one, kinds[i])))
            return text_of(json_object_get(one, kinds[i]), "IndexName");
    return NULL;
}

static bool check_updates(const struct change *c, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = name_of_update(json_array_get(list, i));

        if (!name)
            return ddb_invalid(c->err,
                               ONE_OR_MORE "One of GlobalSecondaryIndexUpdate.Update, "
                                           "GlobalSecondaryIndexUpdate.Create, "
                                           "GlobalSecondaryIndexUpdate.Delete must not be null");
        for (size_t k = 0; k < i; k++)
            if (strcmp(name_of_update(json_array_get(list, k)), name) == 0)
                return ddb_invalid(c->err,
                                   ONE_OR_MORE "Only one global secondary index update per index "
                                               "is allowed simultaneously. Index: %s",
                                   name);
    }
    return true;
}

static bool change_indexes(struct change *c)
{
    const json_t *list = json_object_get(c->request, "GlobalSecondaryIndexUpdates");
    int structural = 0;

    if (!check_updates(c, list))
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const json_t *create = json_object_get(one, "Create");
        const json_t *delete = json_object_get(one, "Delete");
        bool ok;

        structural += json_is_object(create) || json_is_object(delete);
        if (structural > 1)
            return ddb_refuse(c->err, "LimitExceededException",
                              "Subscriber limit exceeded: Only 1 online index can be created or "
                              "deleted simultaneously per table");
        if (json_is_object(create))
            ok = create_index(c, create);
        else if (json_is_object(delete))
            ok = delete_index(c, delete);
        else
            ok = update_index(c, json_object_get(one, "Update"));
        if (!ok)
            return false;
    }
    return true;
}

/* ---- the rest ---- */

static bool is_defined(const json_t *definitions, const char *name)
{
    for (size_t i = 0; i < json_array_size(definitions); i++)
        if (strcmp(text_of(json_array_get(definitions, i), "AttributeName"), name) == 0)
            return true;
    return false;
}

/* Attributes of a new index are given with it; those already known stay. */
static void merge_definitions(struct change *c)
{
    const json_t *given = json_object_get(c->request, "AttributeDefinitions");
    json_t *known = json_object_get(c->document, "AttributeDefinitions");

    for (size_t i = 0; i < json_array_size(given); i++) {
        json_t *one = json_array_get(given, i);

        if (!is_defined(known, text_of(one, "AttributeName")))
            json_array_append(known, one);
    }
}

static bool change_billing(struct change *c)
{
    const char *mode = text_of(c->request, "BillingMode");
    const json_t *throughput = json_object_get(c->request, "ProvisionedThroughput");
    bool was = is_on_demand(c->document);
    bool will = mode ? strcmp(mode, "PAY_PER_REQUEST") == 0 : was;

    if (!mode && !json_is_object(throughput))
        return true;
    if (!ddb_define_billing(c->request, will, c->err))
        return false;
    if (will == was && !will)
        return change_capacity(c, c->document, throughput);
    if (will != was)
        ddb_define_set_billing(c->document, c->request, c->place);
    return true;
}

static bool check_any(const struct change *c)
{
    static const char *const members[] = {
        "ProvisionedThroughput",     "BillingMode",        "StreamSpecification",
        "SSESpecification",          "ReplicaUpdates",     "TableClass",
        "DeletionProtectionEnabled", "OnDemandThroughput", "WarmThroughput"};

    if (json_array_size(json_object_get(c->request, "GlobalSecondaryIndexUpdates")) > 0)
        return true;
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const json_t *value = json_object_get(c->request, members[i]);

        if (value && !json_is_null(value))
            return true;
    }
    return ddb_invalid(c->err, "At least one of ProvisionedThroughput, BillingMode, "
                               "UpdateStreamEnabled, GlobalSecondaryIndexUpdates or "
                               "SSESpecification or ReplicaUpdates is required");
}

json_t *ddb_schema_update(const struct ddb_schema *schema, const json_t *request,
                          const struct ddb_place *place, struct ddb_index_change *ret,
                          struct ddb_error *err)
{
    struct change c = {json_deep_copy(schema->document), request, place, ret, err};

    *ret = (struct ddb_index_change){NULL, 0};
    if (!check_any(&c)) {
        json_decref(c.document);
        return NULL;
    }
    merge_definitions(&c);
    if (!change_billing(&c) || !change_indexes(&c)) {
        json_decref(c.document);
        return NULL;
    }
    ddb_define_extras(c.document, request, place);
    return c.document;
}
