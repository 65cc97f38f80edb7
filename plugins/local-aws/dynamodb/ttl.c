/* ttl.c - items whose time to live is over go away, some time later. */
#include "plugins/local-aws/dynamodb/ttl.h"

#include <stdlib.h>
#include <string.h>

enum { STEP_ITEMS = 5000 };

/* Items that are over for longer are taken for mistakes, as the service does. */
static const double oldest = 5.0 * 365 * 86400;

bool ddb_ttl_open(struct ddb_ttl *ttl)
{
    ttl->after = json_object();
    return ttl->after != NULL;
}

void ddb_ttl_close(struct ddb_ttl *ttl)
{
    json_decref(ttl->after);
    ttl->after = NULL;
}

bool ddb_ttl_is_used(struct ddb_store *store, const char *scope)
{
    json_t *tables = ddb_store_expiring(store, scope);
    bool used = json_array_size(tables) > 0;

    json_decref(tables);
    return used;
}

static bool is_over(const json_t *item, const char *attribute, double now)
{
    const json_t *value = json_object_get(item, attribute);
    double until;

    if (ddb_type_of(value) != DDB_N)
        return false;
    until = strtod(json_string_value(ddb_payload(value)), NULL);
    return until < now && until > now - oldest;
}

/* [new reference] The items that are over among the next ones; `ttl` goes on behind them. */
static json_t *find_over(struct ddb_ttl *ttl, struct ddb_store *store,
                         const struct ddb_table *table, double now)
{
    const struct ddb_schema *schema = &table->schema;
    const char *attribute = json_string_value(
        json_object_get(json_object_get(schema->document, "kpipe:ttl"), "AttributeName"));
    struct ddb_walk walk = {.table = table,
                            .last_hash = UINT32_MAX,
                            .after = json_object_get(ttl->after, schema->name)};
    json_t *over = json_array(), *item, *last = NULL;
    struct ddb_cursor cursor;
    size_t size, n = 0;

    if (!ddb_walk_open(store, &walk, &cursor))
        return over;
    while (n < STEP_ITEMS && (item = ddb_walk_next(&cursor, &size)) != NULL) {
        if (is_over(item, attribute, now))
            json_array_append(over, item);
        json_decref(last);
        last = item; /* moved */
        n++;
    }
    ddb_walk_close(&cursor);
    if (n == STEP_ITEMS)
        json_object_set_new(ttl->after, schema->name, ddb_schema_key_of(schema, NULL, last));
    else
        json_object_del(ttl->after, schema->name); /* from the start next time */
    json_decref(last);
    return over;
}

static long step_table(struct ddb_ttl *ttl, struct ddb_store *store, const struct ddb_table *table,
                       double now)
{
    json_t *over;
    long n = 0;

    if (!json_is_object(json_object_get(table->schema.document, "kpipe:ttl")))
        return 0;
    over = find_over(ttl, store, table, now);
    for (size_t i = 0; n >= 0 && i < json_array_size(over); i++)
        n = ddb_store_put(store, table, json_array_get(over, i), NULL) ? n + 1 : -1;
    json_decref(over);
    return n;
}

long ddb_ttl_step(struct ddb_ttl *ttl, struct ddb_store *store, const char *scope, double now)
{
    json_t *tables = ddb_store_expiring(store, scope);
    bool ok = ddb_store_begin(store);
    long sum = 0;

    for (size_t i = 0; ok && i < json_array_size(tables); i++) {
        struct ddb_table table;
        long n;

        if (!ddb_life_find(store, scope, json_string_value(json_array_get(tables, i)), now, &table))
            continue;
        n = step_table(ttl, store, &table, now);
        ok = n >= 0;
        sum += ok ? n : 0;
        ddb_table_fini(&table);
    }
    ok = ddb_store_end(store, ok) && ok;
    json_decref(tables);
    return ok ? sum : -1;
}
