/* define.c - CreateTable and UpdateTable: what may be a table, and its document. */
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/dynamodb/schema.h"

#define ONE_OR_MORE "One or more parameter values were invalid: "

enum { TABLE_NAME_MIN = 3, TABLE_NAME_MAX = 255 };

/* ---- names ---- */

static bool is_table_name(const char *name)
{
    size_t n = strlen(name);

    if (n < TABLE_NAME_MIN || n > TABLE_NAME_MAX)
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == n;
}

static bool check_name(const char *name, const char *where, struct ddb_error *err)
{
    if (is_table_name(name))
        return true;
    return ddb_invalid(err,
                       "1 validation error detected: Value '%.300s' at '%s' failed to satisfy "
                       "constraint: Member must %s",
                       name, where,
                       strlen(name) < TABLE_NAME_MIN   ? "have length greater than or equal to 3"
                       : strlen(name) > TABLE_NAME_MAX ? "have length less than or equal to 255"
                                                       : "satisfy regular expression pattern: "
                                                         "[a-zA-Z0-9_.-]+");
}

static bool is_missing(const char *where, struct ddb_error *err)
{
    return ddb_invalid(err,
                       "1 validation error detected: Value null at '%s' failed to satisfy "
                       "constraint: Member must not be null",
                       where);
}

const char *ddb_table_name(const json_t *request, struct ddb_error *err)
{
    const json_t *value = json_object_get(request, "TableName");
    const char *name = json_string_value(value), *table;

    if (!value || json_is_null(value)) {
        is_missing("tableName", err);
        return NULL;
    }
    if (!name) {
        ddb_refuse(err, "SerializationException", "Unexpected field type");
        return NULL;
    }
    table = strncmp(name, "arn:", 4) == 0 ? strstr(name, ":table/") : NULL;
    if (table)
        name = table + strlen(":table/");
    return check_name(name, "tableName", err) ? name : NULL;
}

/* ---- keys ---- */

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static bool check_definitions(const json_t *definitions, struct ddb_error *err)
{
    if (!json_is_array(definitions))
        return is_missing("attributeDefinitions", err);
    for (size_t i = 0; i < json_array_size(definitions); i++) {
        const json_t *one = json_array_get(definitions, i);
        const char *type = text_of(one, "AttributeType");

        if (!text_of(one, "AttributeName"))
            return is_missing("attributeDefinitions.1.member.attributeName", err);
        if (!type || (strcmp(type, "S") != 0 && strcmp(type, "N") != 0 && strcmp(type, "B") != 0))
            return ddb_invalid(
                err,
                "1 validation error detected: Value '%.40s' at 'attributeDefinitions."
                "%zu.member.attributeType' failed to satisfy constraint: Member must "
                "satisfy enum value set: [B, N, S]",
                type ? type : "null", i + 1);
    }
    return true;
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
static bool check_key_schema(const json_t *keys, const json_t *definitions, bool of_index,
                             struct ddb_error *err)
{
    size_t n = json_array_size(keys);
    char a[300], b[300];

    if (n == 0 || n > 2)
        return n == 0 ? is_missing("keySchema", err)
                      : ddb_invalid(err, "1 validation error detected: Value '[..]' at 'keySchema' "
                                         "failed to satisfy constraint: Member must have length "
                                         "less than or equal to 2");
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(keys, i);
        const char *name = text_of(one, "AttributeName"), *kind = text_of(one, "KeyType");
        const char *want = i == 0 ? "HASH" : "RANGE";

        if (!name || !kind)
            return is_missing(name ? "keySchema.1.member.keyType"
                                   : "keySchema.1.member."
                                     "attributeName",
                              err);
        if (strcmp(kind, want) != 0)
            return ddb_invalid(err,
                               ONE_OR_MORE "Invalid KeySchema: The %s KeySchemaElement is not a %s "
                                           "key type",
                               i == 0 ? "first" : "second", want);
        if (!is_defined(definitions, name))
            return ddb_invalid(err,
                               ONE_OR_MORE
                               "Some %skey attributes are not defined in "
                               "AttributeDefinitions. Keys: [%s], AttributeDefinitions: "
                               "[%s]",
                               of_index ? "index " : "", print_names(keys, a, sizeof(a)),
                               print_names(definitions, b, sizeof(b)));
    }
    return true;
}

/* ---- indexes ---- */

static bool check_projection(const json_t *projection, struct ddb_error *err)
{
    const char *type = text_of(projection, "ProjectionType");
    bool include = type && strcmp(type, "INCLUDE") == 0;
    const json_t *names = json_object_get(projection, "NonKeyAttributes");

    if (!type || (!include && strcmp(type, "ALL") != 0 && strcmp(type, "KEYS_ONLY") != 0))
        return ddb_invalid(err, ONE_OR_MORE "Unknown ProjectionType: %.60s", type ? type : "null");
    if (include && json_array_size(names) == 0)
        return ddb_invalid(err, ONE_OR_MORE "ProjectionType is INCLUDE, but NonKeyAttributes is "
                                            "not specified");
    if (!include && json_array_size(names) > 0)
        return ddb_invalid(err,
                           ONE_OR_MORE "ProjectionType is %s, but NonKeyAttributes is "
                                       "specified",
                           type);
    return true;
}

static bool check_index(const json_t *index, const json_t *definitions, struct ddb_error *err)
{
    const char *name = text_of(index, "IndexName");

    if (!name)
        return is_missing("indexName", err);
    return check_name(name, "indexName", err) &&
           check_key_schema(json_object_get(index, "KeySchema"), definitions, true, err) &&
           check_projection(json_object_get(index, "Projection"), err);
}

static bool has_index(const json_t *list, const char *name, size_t before)
{
    for (size_t i = 0; i < json_array_size(list) && i < before; i++)
        if (strcmp(text_of(json_array_get(list, i), "IndexName"), name) == 0)
            return true;
    return false;
}

static bool check_indexes(const json_t *request, const char *member, size_t most,
                          struct ddb_error *err)
{
    const json_t *list = json_object_get(request, member);
    const json_t *definitions = json_object_get(request, "AttributeDefinitions");

    if (list && json_array_size(list) == 0 && !json_is_null(list))
        return ddb_invalid(err, ONE_OR_MORE "List of %ss is empty", member);
    if (json_array_size(list) > most)
        return ddb_invalid(err, ONE_OR_MORE "%s count exceeds the per-table limit of %zu", member,
                           most);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);

        if (!check_index(one, definitions, err))
            return false;
        if (has_index(list, text_of(one, "IndexName"), i))
            return ddb_invalid(err, ONE_OR_MORE "Duplicate index name: %s",
                               text_of(one, "IndexName"));
    }
    return true;
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

static bool is_on_demand(const json_t *request)
{
    const char *mode = text_of(request, "BillingMode");

    return mode && strcmp(mode, "PAY_PER_REQUEST") == 0;
}

static bool check_billing(const json_t *request, struct ddb_error *err)
{
    const json_t *throughput = json_object_get(request, "ProvisionedThroughput");
    json_int_t reads = json_integer_value(json_object_get(throughput, "ReadCapacityUnits"));
    json_int_t writes = json_integer_value(json_object_get(throughput, "WriteCapacityUnits"));
    const char *mode = text_of(request, "BillingMode");

    if (mode && strcmp(mode, "PROVISIONED") != 0 && !is_on_demand(request))
        return ddb_invalid(err,
                           "1 validation error detected: Value '%.60s' at 'billingMode' failed to "
                           "satisfy constraint: Member must satisfy enum value set: [PROVISIONED, "
                           "PAY_PER_REQUEST]",
                           mode);
    if (is_on_demand(request))
        return !json_is_object(throughput) ||
               ddb_invalid(err, ONE_OR_MORE "Neither ReadCapacityUnits nor WriteCapacityUnits can "
                                            "be specified when BillingMode is PAY_PER_REQUEST");
    if (!json_is_object(throughput))
        return ddb_invalid(err, ONE_OR_MORE "ReadCapacityUnits and WriteCapacityUnits must both be "
                                            "specified when BillingMode is PROVISIONED");
    if (reads >= 1 && writes >= 1)
        return true;
    return ddb_invalid(err,
                       "1 validation error detected: Value '%lld' at 'provisionedThroughput.%s' "
                       "failed to satisfy constraint: Member must have value greater than or equal "
                       "to 1",
                       (long long)(reads < 1 ? reads : writes),
                       reads < 1 ? "readCapacityUnits" : "writeCapacityUnits");
}

static json_t *throughput_of(const json_t *given)
{
    return json_pack("{s:I,s:I,s:i}", "ReadCapacityUnits",
                     json_integer_value(json_object_get(given, "ReadCapacityUnits")),
                     "WriteCapacityUnits",
                     json_integer_value(json_object_get(given, "WriteCapacityUnits")),
                     "NumberOfDecreasesToday", 0);
}

static void set_billing(json_t *document, const json_t *request, const struct ddb_place *place)
{
    json_object_set_new(document, "ProvisionedThroughput",
                        throughput_of(json_object_get(request, "ProvisionedThroughput")));
    if (is_on_demand(request))
        json_object_set_new(document, "BillingModeSummary",
                            json_pack("{s:s,s:f}", "BillingMode", "PAY_PER_REQUEST",
                                      "LastUpdateToPayPerRequestDateTime", place->now));
    else
        json_object_del(document, "BillingModeSummary");
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
static json_t *index_document(json_t *document, const json_t *given, bool is_global,
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
                            throughput_of(json_object_get(given, "ProvisionedThroughput")));
    json_object_set_new(document, "kpipe:next", json_integer(id + 1));
    return out;
}

static void add_indexes(json_t *document, const json_t *request, const char *member, bool is_global,
                        const struct ddb_place *place)
{
    const json_t *given = json_object_get(request, member);
    json_t *list = json_array();

    for (size_t i = 0; i < json_array_size(given); i++)
        json_array_append_new(list,
                              index_document(document, json_array_get(given, i), is_global, place));
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

    set_billing(document, request, place);
    add_indexes(document, request, "GlobalSecondaryIndexes", true, place);
    add_indexes(document, request, "LocalSecondaryIndexes", false, place);
    json_object_set_new(
        document, "DeletionProtectionEnabled",
        json_boolean(json_is_true(json_object_get(request, "DeletionProtectionEnabled"))));
    if (json_array_size(tags) > 0)
        json_object_set(document, "kpipe:tags", tags);
    return document;
}

json_t *ddb_schema_create(const json_t *request, const struct ddb_place *place,
                          struct ddb_error *err)
{
    const json_t *definitions = json_object_get(request, "AttributeDefinitions");
    const char *name = ddb_table_name(request, err);

    if (!name || !check_definitions(definitions, err) || !check_billing(request, err) ||
        !check_key_schema(json_object_get(request, "KeySchema"), definitions, false, err) ||
        !check_indexes(request, "GlobalSecondaryIndexes", DDB_GLOBAL_MAX, err) ||
        !check_indexes(request, "LocalSecondaryIndexes", DDB_LOCAL_MAX, err) ||
        !check_all_used(request, err))
        return NULL;
    return make_document(request, name, place);
}

/* ---- UpdateTable ---- */

struct change {
    json_t *document;
    const json_t *request;
    const struct ddb_place *place;
    const char *new_index;
    int64_t old_index;
    struct ddb_error *err;
};

static bool create_index(struct change *c, const json_t *given)
{
    json_t *list = json_object_get(c->document, "GlobalSecondaryIndexes");

    if (!check_index(given, json_object_get(c->document, "AttributeDefinitions"), c->err))
        return false;
    if (has_index(list, text_of(given, "IndexName"), SIZE_MAX))
        return ddb_invalid(c->err, "Attempting to create an index which already exists");
    if (json_array_size(list) >= DDB_GLOBAL_MAX)
        return ddb_refuse(c->err, "LimitExceededException",
                          "Subscriber limit exceeded: GlobalSecondaryIndex count exceeds the "
                          "per-table limit of 20");
    if (!list) {
        list = json_array();
        json_object_set_new(c->document, "GlobalSecondaryIndexes", list);
    }
    json_array_append_new(list, index_document(c->document, given, true, c->place));
    c->new_index = text_of(given, "IndexName");
    return true;
}

/* Where in `list` the index is that `given` names. */
static bool find_index(struct change *c, const json_t *list, const json_t *given, size_t *ret)
{
    const char *name = text_of(given, "IndexName");

    for (size_t i = 0; name && i < json_array_size(list); i++) {
        if (strcmp(text_of(json_array_get(list, i), "IndexName"), name) == 0) {
            *ret = i;
            return true;
        }
    }
    return ddb_refuse(c->err, "ResourceNotFoundException",
                      "Requested resource not found: Index: %.255s not found",
                      name ? name : "null");
}

static bool delete_index(struct change *c, const json_t *given)
{
    json_t *list = json_object_get(c->document, "GlobalSecondaryIndexes");
    size_t i;

    if (!find_index(c, list, given, &i))
        return false;
    c->old_index = json_integer_value(json_object_get(json_array_get(list, i), "kpipe:id"));
    json_array_remove(list, i);
    if (json_array_size(list) == 0)
        json_object_del(c->document, "GlobalSecondaryIndexes");
    return true;
}

static bool update_index(struct change *c, const json_t *given)
{
    json_t *list = json_object_get(c->document, "GlobalSecondaryIndexes");
    size_t i;

    if (!find_index(c, list, given, &i))
        return false;
    json_object_set_new(json_array_get(list, i), "ProvisionedThroughput",
                        throughput_of(json_object_get(given, "ProvisionedThroughput")));
    return true;
}

static bool change_indexes(struct change *c)
{
    const json_t *list = json_object_get(c->request, "GlobalSecondaryIndexUpdates");
    int structural = 0;

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

/* Attributes of a new index are given with it; those already known stay. */
static bool merge_definitions(struct change *c)
{
    const json_t *given = json_object_get(c->request, "AttributeDefinitions");
    json_t *known = json_object_get(c->document, "AttributeDefinitions");

    if (!given || json_is_null(given))
        return true;
    if (!check_definitions(given, c->err))
        return false;
    for (size_t i = 0; i < json_array_size(given); i++) {
        json_t *one = json_array_get(given, i);

        if (!is_defined(known, text_of(one, "AttributeName")))
            json_array_append(known, one);
    }
    return true;
}

static bool change_billing(struct change *c)
{
    const json_t *mode = json_object_get(c->request, "BillingMode");
    const json_t *throughput = json_object_get(c->request, "ProvisionedThroughput");

    if (!json_is_string(mode) && !json_is_object(throughput))
        return true;
    if (!check_billing(c->request, c->err))
        return false;
    set_billing(c->document, c->request, c->place);
    return true;
}

json_t *ddb_schema_update(const struct ddb_schema *schema, const json_t *request,
                          const struct ddb_place *place, struct ddb_index_change *ret,
                          struct ddb_error *err)
{
    struct change c = {json_deep_copy(schema->document), request, place, NULL, 0, err};
    json_t *protection = json_object_get(request, "DeletionProtectionEnabled");

    *ret = (struct ddb_index_change){NULL, 0};
    if (!merge_definitions(&c) || !change_billing(&c) || !change_indexes(&c)) {
        json_decref(c.document);
        return NULL;
    }
    if (json_is_boolean(protection))
        json_object_set(c.document, "DeletionProtectionEnabled", protection);
    *ret = (struct ddb_index_change){c.new_index, c.old_index};
    return c.document;
}
