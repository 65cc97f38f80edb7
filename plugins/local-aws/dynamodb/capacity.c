/* capacity.c - what requests cost, and how answers say it. */
#include <math.h>
#include <string.h>

#include "plugins/local-aws/dynamodb/call.h"

enum { READ_UNIT = 4096, WRITE_UNIT = 1024 };

static double units(size_t bytes, size_t unit)
{
    return bytes ? (double)((bytes + unit - 1) / unit) : 1;
}

void ddb_use_read(struct ddb_use *use, const struct ddb_index *index, size_t bytes,
                  bool is_consistent)
{
    double cost = units(bytes, READ_UNIT) * (use->is_transaction ? 2 : is_consistent ? 1 : 0.5);

    if (index)
        use->indexes[index - use->schema->indexes] += cost;
    else
        use->reads += cost;
}

static size_t entry_size(const struct ddb_use *use, const struct ddb_index *index,
                         const json_t *item)
{
    json_t *shown;
    size_t size;

    if (!item || !ddb_index_holds(index, item))
        return 0;
    shown = ddb_index_project(use->schema, index, (json_t *)item);
    size = ddb_item_size(shown);
    json_decref(shown);
    return size;
}

/* Is what the index shows of the item the same as before? */
static bool is_same_entry(const struct ddb_use *use, const struct ddb_index *index,
                          const struct ddb_write *write)
{
    json_t *before = ddb_index_project(use->schema, index, write->old);
    json_t *after = ddb_index_project(use->schema, index, write->item);
    bool same = json_equal(before, after);

    json_decref(before);
    json_decref(after);
    return same;
}

static double index_cost(const struct ddb_use *use, const struct ddb_index *index,
                         const struct ddb_write *write)
{
    size_t before = entry_size(use, index, write->old), after = entry_size(use, index, write->item);

    if (before && after)
        return is_same_entry(use, index, write)
                   ? 0
                   : units(before > after ? before : after, WRITE_UNIT);
    return before || after ? units(before + after, WRITE_UNIT) : 0;
}

void ddb_use_write(struct ddb_use *use, const struct ddb_write *write)
{
    size_t before = write->old ? ddb_item_size(write->old) : 0;
    size_t after = write->item ? ddb_item_size(write->item) : 0;
    double times = use->is_transaction ? 2 : 1;

    use->schema = &write->table.schema;
    use->writes += units(before > after ? before : after, WRITE_UNIT) * times;
    for (size_t i = 0; i < use->schema->n_indexes && write->kind != DDB_WRITE_CHECK; i++)
        use->indexes[i] += index_cost(use, &use->schema->indexes[i], write) * times;
}

/* {"CapacityUnits": n}; a transaction says which kind. */
static json_t *capacity(const struct ddb_use *use, double amount)
{
    json_t *out = json_pack("{s:f}", "CapacityUnits", amount);

    if (use->is_transaction)
        json_object_set_new(out, use->writes > 0 ? "WriteCapacityUnits" : "ReadCapacityUnits",
                            json_real(amount));
    return out;
}

static void put_indexes(const struct ddb_use *use, bool is_global, json_t *out)
{
    json_t *list = json_object();

    for (size_t i = 0; i < use->schema->n_indexes; i++)
        if (use->schema->indexes[i].is_global == is_global && use->indexes[i] > 0)
            json_object_set_new(list, use->schema->indexes[i].name, capacity(use, use->indexes[i]));
    if (json_object_size(list) > 0)
        json_object_set(out, is_global ? "GlobalSecondaryIndexes" : "LocalSecondaryIndexes", list);
    json_decref(list);
}

json_t *ddb_use_json(const json_t *request, const struct ddb_use *use)
{
    bool in_parts = ddb_is(request, "ReturnConsumedCapacity", "INDEXES");
    double of_table = use->reads + use->writes, sum = of_table;
    json_t *out;

    if (!use->schema || (!in_parts && !ddb_is(request, "ReturnConsumedCapacity", "TOTAL")))
        return NULL;
    for (size_t i = 0; i < use->schema->n_indexes; i++)
        sum += use->indexes[i];
    out = capacity(use, sum);
    json_object_set_new(out, "TableName", json_string(use->schema->name));
    if (in_parts) {
        json_object_set_new(out, "Table", capacity(use, of_table));
        put_indexes(use, true, out);
        put_indexes(use, false, out);
    }
    return out;
}
