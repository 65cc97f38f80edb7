/* query.c - Query and Scan: walking a table or an index page by page. */
#include <string.h>

#include "plugins/local-aws/dynamodb/eval.h"
#include "plugins/local-aws/dynamodb/call.h"

enum { PAGE_BYTES = 1024 * 1024, CONDITIONS_MAX = 2 };

struct read {
    struct ddb_call *call;
    struct ddb_table table;
    const struct ddb_index *index; /* NULL: the table */
    struct ddb_parsed parsed;
    struct ddb_walk walk;
    const struct ddb_node *range; /* condition on the sort key, or NULL */
    bool is_query;
    bool count_only;
    bool whole_items; /* of a local index: all attributes, fetched from the table */
    size_t limit;     /* items to evaluate; SIZE_MAX: no limit */
    json_t *items;    /* [owned] */
    size_t count, scanned, bytes;
    json_t *last; /* LastEvaluatedKey [owned], or NULL */
    struct ddb_use use;
};

static void read_fini(struct read *r)
{
    json_decref(r->items);
    json_decref(r->last);
    ddb_parsed_fini(&r->parsed);
    ddb_table_fini(&r->table);
}

static const struct ddb_keys *keys_of(const struct read *r)
{
    return r->index ? &r->index->keys : &r->table.schema.keys;
}

/* ---- the key condition ---- */

struct conditions {
    const struct ddb_node *all[CONDITIONS_MAX];
    size_t n;
    bool is_legacy; /* KeyConditions */
    struct ddb_error *err;
};

static bool is_key_operator(enum ddb_op op)
{
    return op == DDB_OP_EQ || op == DDB_OP_LT || op == DDB_OP_LE || op == DDB_OP_GT ||
           op == DDB_OP_GE || op == DDB_OP_BETWEEN || op == DDB_OP_BEGINS_WITH;
}

/* Takes a tree of ANDs apart. */
static bool collect(struct conditions *c, const struct ddb_node *node)
{
    if (node->op == DDB_OP_AND) {
        for (size_t i = 0; i < node->n_args; i++)
            if (!collect(c, node->args[i]))
                return false;
        return true;
    }
    if (!is_key_operator(node->op) && c->is_legacy)
        return ddb_invalid(c->err,
                           "Attempted conditional constraint is not an indexable operation");
    if (!is_key_operator(node->op))
        return ddb_invalid(c->err, "Invalid operator used in KeyConditionExpression: %s",
                           ddb_op_name(node->op));
    if (node->args[0]->op != DDB_OP_PATH)
        return ddb_invalid(c->err,
                           "Invalid condition in KeyConditionExpression: %s operator must "
                           "have the key attribute as its first operand",
                           ddb_op_name(node->op));
    if (node->args[0]->path.n != 1)
        return ddb_invalid(c->err, "KeyConditionExpressions cannot have conditions on nested "
                                   "attributes");
    for (size_t i = 1; i < node->n_args; i++)
        if (node->args[i]->op != DDB_OP_VALUE)
            return ddb_invalid(c->err, "Invalid condition in KeyConditionExpression: Multiple "
                                       "attribute names used in one condition");
    if (c->n == CONDITIONS_MAX)
        return ddb_invalid(c->err, "Conditions can be of length 1 or 2 only");
    c->all[c->n++] = node;
    return true;
}

static const struct ddb_node *find_condition(const struct conditions *c, const char *name)
{
    for (size_t i = 0; name && i < c->n; i++)
        if (strcmp(c->all[i]->args[0]->path.steps[0].name, name) == 0)
            return c->all[i];
    return NULL;
}

static bool check_types(const struct ddb_node *node, enum ddb_type type, struct ddb_error *err)
{
    for (size_t i = 1; node && i < node->n_args; i++)
        if (ddb_type_of(node->args[i]->value) != type)
            return ddb_invalid(err,
                               "One or more parameter values were invalid: Condition parameter "
                               "type does not match schema type");
    return true;
}

static void set_bounds(struct read *r)
{
    const struct ddb_node *range = r->range;

    switch (range->op) {
    case DDB_OP_EQ: r->walk.low = r->walk.high = range->args[1]->value; break;
    case DDB_OP_LT:
    case DDB_OP_LE: r->walk.high = range->args[1]->value; break;
    case DDB_OP_BETWEEN:
        r->walk.low = range->args[1]->value;
        r->walk.high = range->args[2]->value;
        break;
    default: r->walk.low = range->args[1]->value; break; /* > >= begins_with */
    }
    r->walk.is_prefix = range->op == DDB_OP_BEGINS_WITH;
}

static bool read_key_condition(struct read *r)
{
    const struct ddb_keys *keys = keys_of(r);
    struct conditions c = {{NULL}, 0, r->parsed.key.legacy, r->call->err};
    const struct ddb_node *hash;

    if (!r->parsed.key.condition)
        return ddb_invalid(c.err,
                           "Either the KeyConditions or KeyConditionExpression parameter must "
                           "be specified in the request.");
    if (!collect(&c, r->parsed.key.condition))
        return false;
    hash = find_condition(&c, keys->hash);
    r->range = find_condition(&c, keys->range);
    if (!hash)
        return ddb_invalid(c.err, "Query condition missed key schema element: %s", keys->hash);
    if (c.n == CONDITIONS_MAX && !r->range) {
        bool twice = find_condition(&(struct conditions){{c.all[1]}, 1, false, NULL}, keys->hash) &&
                     c.all[0] == hash;

        return twice ? ddb_invalid(c.err, "KeyConditionExpressions must only contain one condition "
                                          "per key")
               : keys->range ? ddb_invalid(c.err, "Query condition missed key schema element: %s",
                                           keys->range)
                             : ddb_invalid(c.err, "Query key condition not supported");
    }
    if (hash->op != DDB_OP_EQ)
        return ddb_invalid(c.err, "Query key condition not supported");
    if (!check_types(hash, keys->hash_type, c.err) ||
        !check_types(r->range, keys->range_type, c.err))
        return false;
    r->walk.hash = hash->args[1]->value;
    if (r->range)
        set_bounds(r);
    return true;
}

/* The first primary key attribute a filter names, or NULL. */
static const char *key_in_filter(const struct ddb_node *node, const struct ddb_keys *keys)
{
    const char *name;

    if (!node)
        return NULL;
    if (node->op == DDB_OP_PATH) {
        name = node->path.steps[0].name;
        return strcmp(name, keys->hash) == 0 || (keys->range && strcmp(name, keys->range) == 0)
                   ? name
                   : NULL;
    }
    for (size_t i = 0; i < node->n_args; i++) {
        name = key_in_filter(node->args[i], keys);
        if (name)
            return name;
    }
    return NULL;
}

/* ---- parameters ---- */

static bool read_index(struct read *r)
{
    const char *name = ddb_text(r->call->in, "IndexName");

    if (!name)
        return true;
    r->index = ddb_schema_index(&r->table.schema, name);
    if (!r->index)
        return ddb_invalid(r->call->err, "The table does not have the specified index: %.255s",
                           name);
    if (!r->index->is_ready)
        return ddb_invalid(r->call->err, "Cannot read from backfilling global secondary index: %s",
                           name);
    if (r->index->is_global && json_is_true(json_object_get(r->call->in, "ConsistentRead")))
        return ddb_invalid(r->call->err,
                           "Consistent reads are not supported on global secondary indexes");
    return true;
}

/* Is the attribute one that the index shows? */
static bool is_shown(const struct read *r, const char *name)
{
    const struct ddb_keys *table = &r->table.schema.keys, *keys = &r->index->keys;
    const char *const all[] = {table->hash, table->range, keys->hash, keys->range};

    for (size_t i = 0; i < 4; i++)
        if (all[i] && strcmp(all[i], name) == 0)
            return true;
    for (size_t i = 0; i < json_array_size(r->index->include); i++)
        if (strcmp(json_string_value(json_array_get(r->index->include, i)), name) == 0)
            return true;
    return strcmp(r->index->projection, "ALL") == 0;
}

/* What an index does not show is fetched for a local one, and refused for a global one. */
static bool read_projection(struct read *r)
{
    const struct ddb_expression *projection = &r->parsed.projection;
    char path[300];

    for (size_t i = 0; r->index && i < projection->n_paths; i++) {
        if (is_shown(r, projection->paths[i].steps[0].name))
            continue;
        if (!r->index->is_global)
            r->whole_items = true;
        else
            return ddb_invalid(r->call->err,
                               "One or more parameter values were invalid: Global secondary index "
                               "%s does not project %s",
                               r->index->name,
                               ddb_path_print(&projection->paths[i], path, sizeof(path)));
    }
    return true;
}

static bool read_select(struct read *r)
{
    const char *select = ddb_text(r->call->in, "Select");
    const char *how = r->parsed.projection.legacy ? "AttributesToGet" : "ProjectionExpression";
    struct ddb_error *err = r->call->err;

    if (!select)
        return read_projection(r);
    r->count_only = strcmp(select, "COUNT") == 0;
    if (strcmp(select, "SPECIFIC_ATTRIBUTES") == 0)
        return r->parsed.has_projection
                   ? read_projection(r)
                   : ddb_invalid(err, "Must specify the AttributesToGet or ProjectionExpression "
                                      "when choosing to get SPECIFIC_ATTRIBUTES");
    if (r->parsed.has_projection)
        return ddb_invalid(err, "Cannot specify the %s when choosing to get %s", how,
                           r->count_only ? "only the Count" : select);
    if (strcmp(select, "ALL_PROJECTED_ATTRIBUTES") == 0 && !r->index)
        return ddb_invalid(err,
                           "One or more parameter values were invalid: ALL_PROJECTED_ATTRIBUTES "
                           "can be used only when Querying using an IndexName");
    if (strcmp(select, "ALL_ATTRIBUTES") != 0 || !r->index)
        return true;
    r->whole_items = !r->index->is_global;
    if (r->index->is_global && strcmp(r->index->projection, "ALL") != 0)
        return ddb_invalid(
            err,
            "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is "
            "not supported for global secondary index %s because its projection type "
            "is not ALL",
            r->index->name);
    return true;
}

static void read_limit(struct read *r)
{
    const json_t *limit = ddb_member(r->call->in, "Limit");

    r->limit = limit ? (size_t)json_integer_value(limit) : SIZE_MAX;
}

static bool has_typed(const json_t *key, const char *name, enum ddb_type type)
{
    return !name || ddb_type_of(json_object_get(key, name)) == type;
}

static bool is_start_key(const struct read *r, const json_t *key)
{
    const struct ddb_keys *table = &r->table.schema.keys, *keys = keys_of(r);
    json_t *exact = ddb_schema_key_of(&r->table.schema, r->index, key);
    bool ok = json_object_size(exact) == json_object_size(key) &&
              has_typed(key, keys->hash, keys->hash_type) &&
              has_typed(key, keys->range, keys->range_type) &&
              has_typed(key, table->hash, table->hash_type) &&
              has_typed(key, table->range, table->range_type);

    json_decref(exact);
    return ok;
}

/* A scan goes on in the segment it began in. */
static bool check_segment_of(const struct read *r, const json_t *start)
{
    uint32_t hash;

    if (r->is_query || !ddb_store_hash(json_object_get(start, keys_of(r)->hash), &hash) ||
        (hash >= r->walk.first_hash && hash <= r->walk.last_hash))
        return true;
    return ddb_invalid(
        r->call->err,
        "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use "
        "ExclusiveStartKey with correct Segment. TotalSegments: %lld Segment: %lld",
        (long long)json_integer_value(ddb_member(r->call->in, "TotalSegments")),
        (long long)json_integer_value(ddb_member(r->call->in, "Segment")));
}

static bool read_start(struct read *r)
{
    json_t *start = ddb_member(r->call->in, "ExclusiveStartKey");
    struct ddb_error *err = r->call->err;

    if (!start)
        return true;
    if (!ddb_item_check(start, err))
        return false;
    if (!is_start_key(r, start))
        return ddb_invalid(err, "The provided starting key is invalid%s",
                           r->index ? "" : ": The provided key element does not match the schema");
    if (r->walk.hash && !ddb_equal(r->walk.hash, json_object_get(start, keys_of(r)->hash)))
        return ddb_invalid(err, "The provided starting key is outside query boundaries based on "
                                "provided conditions");
    if (r->range && !ddb_holds(r->range, start))
        return ddb_invalid(err, "The provided starting key does not match the range key predicate");
    if (!check_segment_of(r, start))
        return false;
    r->walk.after = start;
    return true;
}

static bool read_segment(struct read *r)
{
    const json_t *segment = ddb_member(r->call->in, "Segment");
    const json_t *total = ddb_member(r->call->in, "TotalSegments");
    struct ddb_error *err = r->call->err;
    long long s = json_integer_value(segment), t = json_integer_value(total);

    r->walk.last_hash = UINT32_MAX;
    if (!segment && !total)
        return true;
    if (!segment)
        return ddb_invalid(err, "The Segment parameter is required but was not present in the "
                                "request when parameter TotalSegments is present");
    if (!total)
        return ddb_invalid(err,
                           "The TotalSegments parameter is required but was not present in the "
                           "request when Segment parameter is present");
    if (s >= t)
        return ddb_invalid(err,
                           "The Segment parameter is zero-based and must be less than parameter "
                           "TotalSegments: Segment: %lld is not less than TotalSegments: %lld",
                           s, t);
    r->walk.first_hash = (uint32_t)((uint64_t)s * ((uint64_t)UINT32_MAX + 1) / (uint64_t)t);
    r->walk.last_hash =
        (uint32_t)(((uint64_t)s + 1) * ((uint64_t)UINT32_MAX + 1) / (uint64_t)t - 1);
    return true;
}

/* ---- the page ---- */

static void keep_item(struct read *r, json_t *item)
{
    r->count++;
    if (r->count_only)
        return;
    if (r->parsed.has_projection)
        json_array_append_new(
            r->items, ddb_project(item, r->parsed.projection.paths, r->parsed.projection.n_paths));
    else
        json_array_append(r->items, item);
}

/* One item as the index shows it, through the filter. */
static void take_item(struct read *r, json_t *item, size_t size)
{
    json_t *seen = r->index && !r->whole_items ? ddb_index_project(&r->table.schema, r->index, item)
                                               : json_incref(item);

    r->bytes += seen == item ? size : ddb_item_size(seen);
    if (ddb_holds(r->parsed.condition.condition, seen))
        keep_item(r, seen);
    json_decref(seen);
}

static bool read_page(struct read *r)
{
    struct ddb_cursor cursor;
    json_t *item;
    size_t size;
    bool ok;

    r->walk.table = &r->table;
    r->walk.index = r->index;
    r->items = json_array();
    if (!ddb_walk_open(r->call->store, &r->walk, &cursor))
        return ddb_trouble(r->call->err);
    while (!r->last && (item = ddb_walk_next(&cursor, &size)) != NULL) {
        /* The bounds of the walk are included; the condition may be stricter. */
        if (!r->range || ddb_holds(r->range, item)) {
            r->scanned++;
            take_item(r, item, size);
            if (r->scanned >= r->limit || r->bytes >= PAGE_BYTES)
                r->last = ddb_schema_key_of(&r->table.schema, r->index, item);
        }
        json_decref(item);
    }
    ok = r->last || !cursor.failed;
    ddb_walk_close(&cursor);
    return ok || ddb_trouble(r->call->err);
}

static void answer(struct read *r)
{
    json_t *out = r->call->out, *consumed;

    if (!r->count_only)
        json_object_set(out, "Items", r->items);
    json_object_set_new(out, "Count", json_integer((json_int_t)r->count));
    json_object_set_new(out, "ScannedCount", json_integer((json_int_t)r->scanned));
    if (r->last)
        json_object_set(out, "LastEvaluatedKey", r->last);
    r->use.schema = &r->table.schema;
    ddb_use_read(&r->use, r->index, r->bytes,
                 json_is_true(json_object_get(r->call->in, "ConsistentRead")));
    consumed = ddb_use_json(r->call->in, &r->use);
    if (consumed)
        json_object_set_new(out, "ConsumedCapacity", consumed);
}

static bool prepare(struct read *r)
{
    static const struct ddb_parameters query = {.condition = "FilterExpression",
                                                .legacy_condition = "QueryFilter",
                                                .projects = true,
                                                .queries = true};
    static const struct ddb_parameters scan = {
        .condition = "FilterExpression", .legacy_condition = "ScanFilter", .projects = true};
    struct ddb_call *call = r->call;
    const char *key;

    if (!ddb_parse(call->in, r->is_query ? &query : &scan, &r->parsed, call->err) ||
        (!r->is_query && !read_segment(r)) || !ddb_find_table(call, call->in, &r->table) ||
        !read_index(r) || !read_select(r) || (r->is_query && !read_key_condition(r)) ||
        !read_start(r))
        return false;
    key = r->is_query ? key_in_filter(r->parsed.condition.condition, keys_of(r)) : NULL;
    if (key)
        return ddb_invalid(call->err,
                           "Filter Expression can only contain non-primary key attributes: Primary "
                           "key attribute: %s",
                           key);
    r->walk.backward = r->is_query && json_is_false(json_object_get(call->in, "ScanIndexForward"));
    return true;
}

static bool run(struct ddb_call *call, bool is_query)
{
    struct read r = {.call = call, .is_query = is_query};
    bool ok;

    read_limit(&r);
    ok = prepare(&r) && read_page(&r);

    if (ok)
        answer(&r);
    read_fini(&r);
    return ok;
}

bool ddb_query(struct ddb_call *call)
{
    return run(call, true);
}

bool ddb_scan(struct ddb_call *call)
{
    return run(call, false);
}
