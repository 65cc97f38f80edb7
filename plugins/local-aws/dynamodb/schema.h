/* schema.h - what a table is: its keys and indexes, its description, and which items fit.
 *
 * A table's document is the JSON that DescribeTable answers, less what is counted
 * or computed when it is asked for; it is what the store keeps. struct ddb_schema
 * is the same for the program.
 *
 * Threads: any; nothing is shared.   Not here: storing (store.h).
 */
#ifndef KPIPE_LOCAL_AWS_DDB_SCHEMA_H
#define KPIPE_LOCAL_AWS_DDB_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "plugins/local-aws/dynamodb/value.h"

enum { DDB_GLOBAL_MAX = 20, DDB_LOCAL_MAX = 5, DDB_INDEXES_MAX = DDB_GLOBAL_MAX + DDB_LOCAL_MAX };

struct ddb_keys {
    const char *hash, *range; /* names of attributes; range may be NULL [borrowed from document] */
    enum ddb_type hash_type, range_type;
};

struct ddb_index {
    const char *name; /* [borrowed from document] */
    struct ddb_keys keys;
    const char *projection; /* "ALL", "KEYS_ONLY", "INCLUDE" */
    const json_t *include;  /* names of INCLUDE; may be NULL */
    bool is_global;
    bool is_ready; /* false: it is being filled, and cannot be read yet */
    int64_t id;    /* of the document's "kpipe:id"; never used again in this table */
};

struct ddb_schema {
    json_t *document; /* [owned] */
    const char *name;
    struct ddb_keys keys;
    struct ddb_index indexes[DDB_INDEXES_MAX];
    size_t n_indexes;
};

/* Where tables live, for their ARNs. */
struct ddb_place {
    const char *region, *account;
    double now;        /* seconds */
    double transition; /* how long tables are not ACTIVE after a change; seconds */
};

/* The bare table name a request's TableName (or ARN) means [borrowed]; "" when it has none. */
const char *ddb_table_name(const json_t *request);

/* Verifies CreateTable and makes the document of the table. [new reference] */
json_t *ddb_schema_create(const json_t *request, const struct ddb_place *place,
                          struct ddb_error *err);
/* What an UpdateTable leaves to do. Indexes in the document are marked with their state. */
struct ddb_index_change {
    const char *new_index; /* name of an index to fill [borrowed from request], or NULL */
    int64_t old_index;     /* id of an index that went, or 0 */
};

/* Verifies UpdateTable and makes the changed document. [new reference] */
json_t *ddb_schema_update(const struct ddb_schema *schema, const json_t *request,
                          const struct ddb_place *place, struct ddb_index_change *ret,
                          struct ddb_error *err);

/* [consumes document] Reads a document made by the functions above. */
void ddb_schema_open(struct ddb_schema *schema, json_t *document);
void ddb_schema_fini(struct ddb_schema *schema);
/* How much a table or index holds. */
struct ddb_extent {
    int64_t items, bytes;
};
/* [new reference] A table's document as DescribeTable says it. `indexes`: of each index of the
 * schema, in its order. */
json_t *ddb_schema_describe(const struct ddb_schema *schema, const struct ddb_extent *table,
                            const struct ddb_extent *indexes);

const struct ddb_index *ddb_schema_index(const struct ddb_schema *schema, const char *name);

/* Does the item carry good keys for the table and its indexes? */
bool ddb_schema_fits(const struct ddb_schema *schema, const json_t *item, struct ddb_error *err);
/* Is `key` exactly the primary key? Also for ExclusiveStartKey of the table. */
bool ddb_schema_is_key(const struct ddb_schema *schema, const json_t *key, struct ddb_error *err);
/* Is the attribute part of the primary key? */
bool ddb_schema_has_key(const struct ddb_schema *schema, const char *attribute);
/* [new reference] The key of an item: of the table, and of the index when it is not NULL. */
json_t *ddb_schema_key_of(const struct ddb_schema *schema, const struct ddb_index *index,
                          const json_t *item);
/* Has the item all key attributes of the index, in the right type? */
bool ddb_index_holds(const struct ddb_index *index, const json_t *item);
/* [new reference] What an index shows of an item. */
json_t *ddb_index_project(const struct ddb_schema *schema, const struct ddb_index *index,
                          json_t *item);

#endif
