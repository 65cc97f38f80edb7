/* schema.c - tables and indexes as data: reading documents, matching items. */
#include "plugins/local-aws/dynamodb/schema.h"

#include "plugins/local-aws/dynamodb/life.h"

#include <stdlib.h>
#include <string.h>

#define ONE_OR_MORE "One or more parameter values were invalid: "

enum { HASH_KEY_MAX = 2048, RANGE_KEY_MAX = 1024 };

/* ---- reading documents ---- */

static enum ddb_type attribute_type(const json_t *definitions, const char *name)
{
    for (size_t i = 0; i < json_array_size(definitions); i++) {
        const json_t *one = json_array_get(definitions, i);
        const char *attribute = json_string_value(json_object_get(one, "AttributeName"));

        if (attribute && strcmp(attribute, name) == 0)
            return ddb_type_named(json_string_value(json_object_get(one, "AttributeType")));
    }
    return DDB_NONE;
}

static struct ddb_keys read_keys(const json_t *key_schema, const json_t *definitions)
{
    struct ddb_keys keys = {NULL, NULL, DDB_NONE, DDB_NONE};

    keys.hash = json_string_value(json_object_get(json_array_get(key_schema, 0), "AttributeName"));
    keys.range = json_string_value(json_object_get(json_array_get(key_schema, 1), "AttributeName"));
    keys.hash_type = attribute_type(definitions, keys.hash);
    if (keys.range)
        keys.range_type = attribute_type(definitions, keys.range);
    return keys;
}

static void read_indexes(struct ddb_schema *schema, const char *member, bool is_global)
{
    const json_t *list = json_object_get(schema->document, member);
    const json_t *definitions = json_object_get(schema->document, "AttributeDefinitions");

    for (size_t i = 0; i < json_array_size(list) && schema->n_indexes < DDB_INDEXES_MAX; i++) {
        const json_t *one = json_array_get(list, i);
        const json_t *projection = json_object_get(one, "Projection");
        struct ddb_index *index;

        if (strcmp(ddb_life_state(one), "DELETING") == 0)
            continue; /* as good as gone */
        index = &schema->indexes[schema->n_indexes++];
        index->name = json_string_value(json_object_get(one, "IndexName"));
        index->keys = read_keys(json_object_get(one, "KeySchema"), definitions);
        index->projection = json_string_value(json_object_get(projection, "ProjectionType"));
        index->include = json_object_get(projection, "NonKeyAttributes");
        index->is_global = is_global;
        index->is_ready = strcmp(ddb_life_state(one), "CREATING") != 0;
        index->id = json_integer_value(json_object_get(one, "kpipe:id"));
    }
}

void ddb_schema_open(struct ddb_schema *schema, json_t *document)
{
    memset(schema, 0, sizeof(*schema));
    schema->document = document;
    schema->name = json_string_value(json_object_get(document, "TableName"));
    schema->keys = read_keys(json_object_get(document, "KeySchema"),
                             json_object_get(document, "AttributeDefinitions"));
    read_indexes(schema, "GlobalSecondaryIndexes", true);
    read_indexes(schema, "LocalSecondaryIndexes", false);
}

void ddb_schema_fini(struct ddb_schema *schema)
{
    json_decref(schema->document);
    memset(schema, 0, sizeof(*schema));
}

static void drop_private(json_t *object)
{
    const char *name;
    json_t *value;
    void *next;

    json_object_foreach_safe(object, next, name, value)
    {
        if (strncmp(name, "kpipe:", 6) == 0) /* only this program reads them */
            json_object_del(object, name);
    }
}

static void describe_index(const struct ddb_schema *schema, json_t *index, bool is_global,
                           const struct ddb_extent *indexes)
{
    const char *name = json_string_value(json_object_get(index, "IndexName"));
    const struct ddb_index *found = ddb_schema_index(schema, name);
    struct ddb_extent extent = found ? indexes[found - schema->indexes] : (struct ddb_extent){0, 0};

    json_object_set_new(index, "IndexSizeBytes", json_integer(extent.bytes));
    json_object_set_new(index, "ItemCount", json_integer(extent.items));
    if (is_global) {
        const char *state = ddb_life_state(index);
        bool table_is_new = strcmp(ddb_life_state(schema->document), "CREATING") == 0;

        if (strcmp(state, "CREATING") == 0)
            json_object_set_new(index, "Backfilling", json_true());
        json_object_set_new(index, "IndexStatus", json_string(table_is_new ? "CREATING" : state));
    }
    drop_private(index);
}

json_t *ddb_schema_describe(const struct ddb_schema *schema, const struct ddb_extent *table,
                            const struct ddb_extent *indexes)
{
    static const char *const lists[] = {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"};
    json_t *out = json_deep_copy(schema->document);

    for (size_t k = 0; k < 2; k++) {
        json_t *list = json_object_get(out, lists[k]);

        for (size_t i = 0; i < json_array_size(list); i++)
            describe_index(schema, json_array_get(list, i), k == 0, indexes);
    }
    json_object_set_new(out, "TableStatus", json_string(ddb_life_state(out)));
    json_object_set_new(out, "ItemCount", json_integer(table->items));
    json_object_set_new(out, "TableSizeBytes", json_integer(table->bytes));
    drop_private(out);
    return out;
}

const struct ddb_index *ddb_schema_index(const struct ddb_schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->n_indexes; i++)
        if (strcmp(schema->indexes[i].name, name) == 0)
            return &schema->indexes[i];
    return NULL;
}

/* ---- matching items ---- */

static bool check_key_value(const char *name, const json_t *value, bool is_hash,
                            struct ddb_error *err)
{
    long size = ddb_size_function(value);

    if (size == 0)
        return ddb_invalid(err,
                           "One or more parameter values are not valid. The AttributeValue for a "
                           "key attribute cannot contain an empty %s value. Key: %s",
                           ddb_type_of(value) == DDB_B ? "binary" : "string", name);
    if (is_hash && size > HASH_KEY_MAX)
        return ddb_invalid(err, ONE_OR_MORE "Size of hashkey has exceeded the maximum size limit "
                                            "of2048 bytes");
    if (!is_hash && size > RANGE_KEY_MAX)
        return ddb_invalid(err, ONE_OR_MORE "Aggregated size of all range keys has exceeded the "
                                            "size limit of 1024 bytes");
    return true;
}

static bool check_item_key(const char *name, enum ddb_type type, bool is_hash, const json_t *item,
                           struct ddb_error *err)
{
    const json_t *value = json_object_get(item, name);

    if (!value)
        return ddb_invalid(err, ONE_OR_MORE "Missing the key %s in the item", name);
    if (ddb_type_of(value) != type)
        return ddb_invalid(err, ONE_OR_MORE "Type mismatch for key %s expected: %s actual: %s",
                           name, ddb_type_name(type), ddb_type_name(ddb_type_of(value)));
    return check_key_value(name, value, is_hash, err);
}

static bool check_index_key(const struct ddb_index *index, bool is_hash, const json_t *item,
                            struct ddb_error *err)
{
    const char *name = is_hash ? index->keys.hash : index->keys.range;
    enum ddb_type type = is_hash ? index->keys.hash_type : index->keys.range_type;
    const json_t *value = name ? json_object_get(item, name) : NULL;

    if (!value)
        return true; /* the item is not in the index */
    if (ddb_type_of(value) != type)
        return ddb_invalid(
            err, ONE_OR_MORE "Type mismatch for Index Key %s Expected: %s Actual: %s IndexName: %s",
            name, ddb_type_name(type), ddb_type_name(ddb_type_of(value)), index->name);
    if (ddb_size_function(value) == 0)
        return ddb_invalid(
            err,
            "One or more parameter values are not valid. A value specified for a "
            "secondary index key is not supported. The AttributeValue for a key "
            "attribute cannot contain an empty %s value. IndexName: %s, IndexKey: %s",
            type == DDB_B ? "binary" : "string", index->name, name);
    return check_key_value(name, value, is_hash, err);
}

bool ddb_schema_fits(const struct ddb_schema *schema, const json_t *item, struct ddb_error *err)
{
    const struct ddb_keys *keys = &schema->keys;

    if (!check_item_key(keys->hash, keys->hash_type, true, item, err) ||
        (keys->range && !check_item_key(keys->range, keys->range_type, false, item, err)))
        return false;
    for (size_t i = 0; i < schema->n_indexes; i++) {
        const struct ddb_index *index = &schema->indexes[i];

        if (!check_index_key(index, true, item, err) || !check_index_key(index, false, item, err))
            return false;
    }
    return true;
}

bool ddb_schema_is_key(const struct ddb_schema *schema, const json_t *key, struct ddb_error *err)
{
    const struct ddb_keys *keys = &schema->keys;
    const json_t *hash = json_object_get(key, keys->hash);
    const json_t *range = keys->range ? json_object_get(key, keys->range) : NULL;

    if (json_object_size(key) != (keys->range ? 2u : 1u) || !hash ||
        ddb_type_of(hash) != keys->hash_type ||
        (keys->range && (!range || ddb_type_of(range) != keys->range_type)))
        return ddb_invalid(err, "The provided key element does not match the schema");
    return check_key_value(keys->hash, hash, true, err) &&
           (!range || check_key_value(keys->range, range, false, err));
}

bool ddb_schema_has_key(const struct ddb_schema *schema, const char *attribute)
{
    return strcmp(attribute, schema->keys.hash) == 0 ||
           (schema->keys.range && strcmp(attribute, schema->keys.range) == 0);
}

static void copy_member(json_t *to, const json_t *from, const char *name)
{
    json_t *value = name ? json_object_get(from, name) : NULL;

    if (value)
        json_object_set_nocheck(to, name, value);
}

json_t *ddb_schema_key_of(const struct ddb_schema *schema, const struct ddb_index *index,
                          const json_t *item)
{
    json_t *key = json_object();

    if (index) {
        copy_member(key, item, index->keys.hash);
        copy_member(key, item, index->keys.range);
    }
    copy_member(key, item, schema->keys.hash);
    copy_member(key, item, schema->keys.range);
    return key;
}

bool ddb_index_holds(const struct ddb_index *index, const json_t *item)
{
    const struct ddb_keys *keys = &index->keys;

    return ddb_type_of(json_object_get(item, keys->hash)) == keys->hash_type &&
           (!keys->range || ddb_type_of(json_object_get(item, keys->range)) == keys->range_type);
}

json_t *ddb_index_project(const struct ddb_schema *schema, const struct ddb_index *index,
                          json_t *item)
{
    json_t *out;

    if (strcmp(index->projection, "ALL") == 0)
        return json_incref(item);
    out = ddb_schema_key_of(schema, index, item);
    for (size_t i = 0; i < json_array_size(index->include); i++)
        copy_member(out, item, json_string_value(json_array_get(index->include, i)));
    return out;
}
