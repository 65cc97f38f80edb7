/* define.c - CreateTable: what may be a table, and its document. */
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/dynamodb/define.h"

#define ONE_OR_MORE "One or more parameter values were invalid: "

enum { INCLUDED_MAX = 100, TAGS_MAX = 50 };

/* ---- names ---- */

const char *ddb_table_name(const json_t *request)
{
    const char *name = json_string_value(json_object_get(request, "TableName"));
    const char *table = name && strncmp(name, "arn:", 4) == 0 ? strstr(name, ":table/") : NULL;

    return table ? table + strlen(":table/") : name ? name : "";
}

/* ---- keys ---- */

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static bool is_defined(const json_t *definitions, const char *name)
{
    for (size_t i = 0; i < json_array_size(definitions); i++)
        if (strcmp(text_of(json_array_get(definitions, i), "AttributeName"), name) == 0)
            return true;
    return false;
}

static const char *print_names(const json_t *list, char *buf, size_t size)
{
    size_t at = 0;

    buf[0] = '\0';
    for (size_t i = 0; i < json_array_size(list) && at < size; i++) {
        int n = snprintf(buf + at, size - at, "%s%s", i ? ", " : "",
                         text_of(json_array_get(list, i), "AttributeName"));

        at += n < 0 ? size : (size_t)n;
    }
    return buf;
}

/* One or two elements, HASH before RANGE, all defined. */
static bool check_key_schema(const json_t *keys, const json_t *definitions, struct ddb_error *err)
{
    const char *hash = text_of(json_array_get(keys, 0), "AttributeName");
    const char *range = text_of(json_array_get(keys, 1), "AttributeName");
    char a[300], b[300];

    for (size_t i = 0; i < json_array_size(keys); i++)
        if (!is_defined(definitions, text_of(json_array_get(keys, i), "AttributeName")))
            return ddb_invalid(
                err,
                ONE_OR_MORE "Some index key attributes are not defined in "
                            "AttributeDefinitions. Keys: [%s], AttributeDefinitions: [%s]",
                print_names(keys, a, sizeof(a)), print_names(definitions, b, sizeof(b)));
    if (range && strcmp(hash, range) == 0)
        return ddb_invalid(err, "Both the Hash Key and the Range Key element in the KeySchema have "
                                "the same name");
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const char *want = i == 0 ? "HASH" : "RANGE";

        if (strcmp(text_of(json_array_get(keys, i), "KeyType"), want) != 0)
            return ddb_invalid(err,
                               "Invalid KeySchema: The %s KeySchemaElement is not a %s key type",
                               i == 0 ? "first" : "second", want);
    }
    return true;
}

/* ---- indexes ---- */

static bool is_on_demand(const json_t *request)
{
    const char *mode = text_of(request, "BillingMode");

    return mode && strcmp(mode, "PAY_PER_REQUEST") == 0;
}

static bool check_projection(const json_t *projection, struct ddb_error *err)
{
    const char *type = text_of(projection, "ProjectionType");
    const json_t *names = json_object_get(projection, "NonKeyAttributes");

    if (!type)
        return ddb_invalid(err, ONE_OR_MORE "Unknown ProjectionType: null");
    if (strcmp(type, "INCLUDE") == 0 && json_array_size(names) == 0)
        return ddb_invalid(err, ONE_OR_MORE "ProjectionType is INCLUDE, but NonKeyAttributes is "
                                            "not specified");
    if (strcmp(type, "INCLUDE") != 0 && json_array_size(names) > 0)
        return ddb_invalid(err,
                           ONE_OR_MORE "ProjectionType is %s, but NonKeyAttributes is "
                                       "specified",
                           type);
    return true;
}

bool ddb_define_index(const json_t *index, const json_t *definitions, struct ddb_error *err)
{
    return check_key_schema(json_object_get(index, "KeySchema"), definitions, err) &&
           check_projection(json_object_get(index, "Projection"), err);
}

bool ddb_define_has(const json_t *list, const char *name, size_t before)
{
    for (size_t i = 0; i < json_array_size(list) && i < before; i++)
        if (strcmp(text_of(json_array_get(list, i), "IndexName"), name) == 0)
            return true;
    return false;
}

/* A local index shares the table's partition key and has a sort key of its own. */
static bool check_local(const json_t *request, const json_t *index, struct ddb_error *err)
{
    const json_t *keys = json_object_get(index, "KeySchema");
    const json_t *table_keys = json_object_get(request, "KeySchema");
    const char *hash = text_of(json_array_get(keys, 0), "AttributeName");
    const char *table_hash = text_of(json_array_get(table_keys, 0), "AttributeName");
    const char *name = text_of(index, "IndexName");

    if (json_array_size(table_keys) != 2)
        return ddb_invalid(err, ONE_OR_MORE "Table KeySchema does not have a range key, which is "
                                            "required when specifying a LocalSecondaryIndex");
    if (json_array_size(keys) != 2)
        return ddb_invalid(
            err, ONE_OR_MORE "Index KeySchema does not have a range key for index: %s", name);
    if (strcmp(hash, table_hash) != 0)
        return ddb_invalid(err,
                           ONE_OR_MORE "Index KeySchema does not have the same leading hash key as "
                                       "table KeySchema for index: %s. index hash key: %s, table "
                                       "hash key: %s",
                           name, hash, table_hash);
    return true;
}

/* Capacity of a global index goes with the table's billing. */
static bool check_index_billing(const json_t *request, const json_t *index, struct ddb_error *err)
{
    bool given = json_is_object(json_object_get(index, "ProvisionedThroughput"));
    bool on_demand = is_on_demand(request);

    if (given && on_demand)
        return ddb_invalid(err,
                           ONE_OR_MORE "ProvisionedThroughput should not be specified for index: "
                                       "%s when BillingMode is PAY_PER_REQUEST",
                           text_of(index, "IndexName"));
    if (!given && !on_demand)
        return ddb_invalid(err, ONE_OR_MORE "ProvisionedThroughput must be specified for index: %s",
                           text_of(index, "IndexName"));
    return true;
}

static bool check_indexes(const json_t *request, const char *member, struct ddb_error *err)
{
    const json_t *list = json_object_get(request, member);
    const json_t *definitions = json_object_get(request, "AttributeDefinitions");
    bool is_global = member[0] == 'G';

    if (json_is_array(list) && json_array_size(list) == 0)
        return ddb_invalid(err, ONE_OR_MORE "List of %s is empty", member);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *name = text_of(one, "IndexName");

        if (!ddb_define_index(one, definitions, err) ||
            (is_global ? !check_index_billing(request, one, err) : !check_local(request, one, err)))
            return false;
        if (ddb_define_has(list, name, i) ||
            (is_global &&
             ddb_define_has(json_object_get(request, "LocalSecondaryIndexes"), name, SIZE_MAX)))
            return ddb_invalid(err, ONE_OR_MORE "Duplicate index name: %s", name);
    }
    if (is_global && json_array_size(list) > DDB_GLOBAL_MAX)
        return ddb_invalid(err,
                           ONE_OR_MORE "GlobalSecondaryIndex count exceeds the per-table limit "
                                       "of %d",
                           DDB_GLOBAL_MAX);
    if (!is_global && json_array_size(list) > DDB_LOCAL_MAX)
        return ddb_invalid(err,
                           ONE_OR_MORE "Number of LocalSecondaryIndexes exceeds per-table limit "
                                       "of %d",
                           DDB_LOCAL_MAX);
    return true;
}

/* All NonKeyAttributes of all indexes count, the same name twice. */
static bool check_included(const json_t *request, struct ddb_error *err)
{
    static const char *const lists[] = {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"};
    size_t sum = 0;

    for (size_t k = 0; k < 2; k++) {
        const json_t *list = json_object_get(request, lists[k]);

        for (size_t i = 0; i < json_array_size(list); i++)
            sum += json_array_size(json_object_get(
                json_object_get(json_array_get(list, i), "Projection"), "NonKeyAttributes"));
    }
    return sum <= INCLUDED_MAX ||
           ddb_invalid(err,
                       ONE_OR_MORE "Total number of NonKeyAttributes projected across all indexes "
                                   "exceeds the limit of %d",
                       INCLUDED_MAX);
}

/* Every defined attribute must be a key of something. */
static bool check_all_used(const json_t *document, struct ddb_error *err)
{
    static const char *const lists[] = {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"};
    const json_t *definitions = json_object_get(document, "AttributeDefinitions");

    for (size_t i = 0; i < json_array_size(definitions); i++) {
        const char *name = text_of(json_array_get(definitions, i), "AttributeName");
        bool used = is_defined(json_object_get(document, "KeySchema"), name);

        for (size_t k = 0; k < 2; k++) {
            const json_t *list = json_object_get(document, lists[k]);

            for (size_t j = 0; j < json_array_size(list); j++)
                used =
                    used || is_defined(json_object_get(json_array_get(list, j), "KeySchema"), name);
        }
        if (!used)
            return ddb_invalid(err,
                               ONE_OR_MORE "Number of attributes in KeySchema does not exactly "
                                           "match number of attributes defined in "
                                           "AttributeDefinitions");
    }
    return true;
}

/* ---- throughput ---- */

static bool check_units(const json_t *throughput, struct ddb_error *err)
{
    static const char *const names[] = {"ReadCapacityUnits", "WriteCapacityUnits"};

    for (size_t i = 0; i < 2; i++) {
        json_int_t n = json_integer_value(json_object_get(throughput, names[i]));

        if (n > 1000000000000)
            return ddb_invalid(err, "Given value %lld for %s is out of bounds", (long long)n,
                               names[i]);
    }
    return true;
}

bool ddb_define_billing(const json_t *request, bool on_demand, struct ddb_error *err)
{
    const json_t *throughput = json_object_get(request, "ProvisionedThroughput");

    if (on_demand)
        return !json_is_object(throughput) ||
               ddb_invalid(err, ONE_OR_MORE "Neither ReadCapacityUnits nor WriteCapacityUnits can "
                                            "be specified when BillingMode is PAY_PER_REQUEST");
    if (!json_is_object(throughput))
        return ddb_invalid(err, ONE_OR_MORE "ReadCapacityUnits and WriteCapacityUnits must both be "
                                            "specified when BillingMode is PROVISIONED");
    return check_units(throughput, err);
}

json_t *ddb_define_throughput(const json_t *given)
{
    return json_pack("{s:I,s:I,s:i}", "ReadCapacityUnits",
                     json_integer_value(json_object_get(given, "ReadCapacityUnits")),
                     "WriteCapacityUnits",
                     json_integer_value(json_object_get(given, "WriteCapacityUnits")),
                     "NumberOfDecreasesToday", 0);
}

void ddb_define_set_billing(json_t *document, const json_t *request, const struct ddb_place *place)
{
    bool was = json_object_get(document, "BillingModeSummary") != NULL;
    const char *at = "LastUpdateToPayPerRequestDateTime";

    json_object_set_new(document, "ProvisionedThroughput",
                        ddb_define_throughput(json_object_get(request, "ProvisionedThroughput")));
    if (is_on_demand(request))
        json_object_set_new(
            document, "BillingModeSummary",
            json_pack("{s:s,s:f}", "BillingMode", "PAY_PER_REQUEST", at, place->now));
    else if (was)
        json_object_set_new(json_object_get(document, "BillingModeSummary"), "BillingMode",
                            json_string("PROVISIONED"));
}

/* What a table has beside keys and capacity; UpdateTable gives it too. */
void ddb_define_extras(json_t *document, const json_t *request, const struct ddb_place *place)
{
    json_t *stream = json_object_get(request, "StreamSpecification");
    const json_t *sse = json_object_get(request, "SSESpecification");
    const char *class = text_of(request, "TableClass");
    char label[40];

    if (json_is_true(json_object_get(stream, "StreamEnabled"))) {
        snprintf(label, sizeof(label), "%.3f", place->now);
        json_object_set(document, "StreamSpecification", stream);
        json_object_set_new(document, "LatestStreamLabel", json_string(label));
        json_object_set_new(document, "LatestStreamArn",
                            json_sprintf("%s/stream/%s", text_of(document, "TableArn"), label));
    } else if (json_is_object(stream)) {
        json_object_del(document, "StreamSpecification");
    }
    if (json_is_true(json_object_get(sse, "Enabled")))
        json_object_set_new(
            document, "SSEDescription",
            json_pack("{s:s,s:s,s:o}", "Status", "ENABLED", "SSEType", "KMS", "KMSMasterKeyArn",
                      json_sprintf("arn:aws:kms:%s:%s:key/%s", place->region, place->account,
                                   text_of(sse, "KMSMasterKeyId") ? text_of(sse, "KMSMasterKeyId")
                                                                  : "alias/aws/dynamodb")));
    else if (json_is_object(sse))
        json_object_del(document, "SSEDescription");
    if (class)
        json_object_set_new(
            document, "TableClassSummary",
            json_pack("{s:s,s:f}", "TableClass", class, "LastUpdateDateTime", place->now));
    if (json_is_boolean(json_object_get(request, "DeletionProtectionEnabled")))
        json_object_set(document, "DeletionProtectionEnabled",
                        json_object_get(request, "DeletionProtectionEnabled"));
}

/* ---- documents ---- */

static json_t *arn_of(const struct ddb_place *place, const char *table, const char *index)
{
    return json_sprintf("arn:aws:dynamodb:%s:%s:table/%s%s%s", place->region, place->account, table,
                        index ? "/index/" : "", index ? index : "");
}

static json_t *uuid(void)
{
    unsigned char b[16];

    RAND_bytes(b, sizeof(b));
    return json_sprintf("%02x%02x%02x%02x-%02x%02x-4%01x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                        b[0], b[1], b[2], b[3], b[4], b[5], b[6] & 15, b[7], (b[8] & 0x3F) | 0x80,
                        b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* The request's description of an index, with the number its rows are stored under. */
json_t *ddb_define_document(json_t *document, const json_t *given, bool is_global,
                            const struct ddb_place *place)
{
    json_int_t id = json_integer_value(json_object_get(document, "kpipe:next"));
    const char *name = text_of(given, "IndexName");
    json_t *out = json_pack("{s:s,s:O,s:O,s:o,s:I}", "IndexName", name, "KeySchema",
                            json_object_get(given, "KeySchema"), "Projection",
                            json_object_get(given, "Projection"), "IndexArn",
                            arn_of(place, text_of(document, "TableName"), name), "kpipe:id", id);

    if (is_global)
        json_object_set_new(out, "ProvisionedThroughput",
                            ddb_define_throughput(json_object_get(given, "ProvisionedThroughput")));
    json_object_set_new(document, "kpipe:next", json_integer(id + 1));
    return out;
}

static void add_indexes(json_t *document, const json_t *request, const char *member, bool is_global,
                        const struct ddb_place *place)
{
    const json_t *given = json_object_get(request, member);
    json_t *list = json_array();

    for (size_t i = 0; i < json_array_size(given); i++)
        json_array_append_new(
            list, ddb_define_document(document, json_array_get(given, i), is_global, place));
    if (json_array_size(list) > 0)
        json_object_set(document, member, list);
    json_decref(list);
}

static json_t *make_document(const json_t *request, const char *name, const struct ddb_place *place)
{
    json_t *tags = json_object_get(request, "Tags");
    json_t *document =
        json_pack("{s:O,s:s,s:O,s:f,s:o,s:o,s:i}", "AttributeDefinitions",
                  json_object_get(request, "AttributeDefinitions"), "TableName", name, "KeySchema",
                  json_object_get(request, "KeySchema"), "CreationDateTime", place->now, "TableArn",
                  arn_of(place, name, NULL), "TableId", uuid(), "kpipe:next", 1);

    ddb_define_set_billing(document, request, place);
    add_indexes(document, request, "GlobalSecondaryIndexes", true, place);
    add_indexes(document, request, "LocalSecondaryIndexes", false, place);
    json_object_set_new(document, "DeletionProtectionEnabled", json_false());
    ddb_define_extras(document, request, place);
    if (json_array_size(tags) > 0)
        json_object_set(document, "kpipe:tags", tags);
    return document;
}

static bool check_number_of_keys(const json_t *request, struct ddb_error *err)
{
    if (json_array_size(json_object_get(request, "KeySchema")) <=
        json_array_size(json_object_get(request, "AttributeDefinitions")))
        return true;
    return ddb_invalid(err, "Invalid KeySchema: Some index key attribute have no definition");
}

json_t *ddb_schema_create(const json_t *request, const struct ddb_place *place,
                          struct ddb_error *err)
{
    const json_t *definitions = json_object_get(request, "AttributeDefinitions");

    if (!ddb_define_billing(request, is_on_demand(request), err) ||
        !check_number_of_keys(request, err) ||
        !check_key_schema(json_object_get(request, "KeySchema"), definitions, err) ||
        !check_indexes(request, "LocalSecondaryIndexes", err) ||
        !check_indexes(request, "GlobalSecondaryIndexes", err) || !check_all_used(request, err) ||
        !check_included(request, err))
        return NULL;
    if (json_array_size(json_object_get(request, "Tags")) > TAGS_MAX) {
        ddb_invalid(err, "One or more parameter values were invalid: Too many tags: %d is the most",
                    TAGS_MAX);
        return NULL;
    }
    return make_document(request, ddb_table_name(request), place);
}
