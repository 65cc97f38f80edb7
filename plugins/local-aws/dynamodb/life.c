/* life.c - states of tables and their indexes. */
#include "plugins/local-aws/dynamodb/life.h"

#include <string.h>

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

const char *ddb_life_state(const json_t *document)
{
    const char *state = text_of(document, DDB_STATE);

    return state ? state : "ACTIVE";
}

void ddb_life_begin(json_t *document, const char *state, const struct ddb_place *place)
{
    json_object_set_new(document, DDB_STATE, json_string(state));
    json_object_set_new(document, DDB_UNTIL, json_real(place->now + place->transition));
}

/* ---- what is over ---- */

static bool is_key_in(const json_t *keys, const char *name)
{
    for (size_t i = 0; i < json_array_size(keys); i++)
        if (strcmp(text_of(json_array_get(keys, i), "AttributeName"), name) == 0)
            return true;
    return false;
}

static bool is_key(const json_t *document, const char *name)
{
    static const char *const lists[] = {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"};

    if (is_key_in(json_object_get(document, "KeySchema"), name))
        return true;
    for (size_t k = 0; k < 2; k++) {
        const json_t *list = json_object_get(document, lists[k]);

        for (size_t i = 0; i < json_array_size(list); i++)
            if (is_key_in(json_object_get(json_array_get(list, i), "KeySchema"), name))
                return true;
    }
    return false;
}

/* Definitions that only an index had which is gone. */
static void drop_definitions(json_t *document)
{
    json_t *list = json_object_get(document, "AttributeDefinitions");

    for (size_t i = json_array_size(list); i-- > 0;)
        if (!is_key(document, text_of(json_array_get(list, i), "AttributeName")))
            json_array_remove(list, i);
}

void ddb_life_settle(json_t *document)
{
    json_t *list = json_object_get(document, "GlobalSecondaryIndexes");

    json_object_del(document, DDB_STATE);
    json_object_del(document, DDB_UNTIL);
    for (size_t i = json_array_size(list); i-- > 0;) {
        json_t *index = json_array_get(list, i);

        if (strcmp(ddb_life_state(index), "DELETING") == 0)
            json_array_remove(list, i);
        else
            json_object_del(index, DDB_STATE);
    }
    if (list && json_array_size(list) == 0)
        json_object_del(document, "GlobalSecondaryIndexes");
    drop_definitions(document);
}

bool ddb_life_find(struct ddb_store *store, const char *scope, const char *name, double now,
                   struct ddb_table *ret)
{
    json_t *document;
    bool ok;

    if (!ddb_store_table(store, scope, name, ret))
        return false;
    document = ret->schema.document;
    if (!json_object_get(document, DDB_STATE) ||
        now < json_real_value(json_object_get(document, DDB_UNTIL)))
        return true;
    if (strcmp(ddb_life_state(document), "DELETING") == 0) {
        ddb_store_drop_table(store, ret->id);
        ddb_table_fini(ret);
        return false;
    }
    ddb_life_settle(document);
    ok = ddb_store_change_table(store, ret->id, document);
    json_incref(document);
    ddb_schema_fini(&ret->schema);
    ddb_schema_open(&ret->schema, document);
    if (!ok)
        ddb_table_fini(ret);
    return ok;
}
