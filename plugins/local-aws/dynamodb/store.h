/* store.h - DynamoDB's tables, items and index entries in SQLite.
 *
 * Rows lie in the order DynamoDB walks them: by a hash of the partition key, then
 * the key's own bytes, then the sort key. An index holds entries (key bytes and
 * the item's primary key); the item itself is stored once.
 *
 * Threads: the service's worker.   Not here: what an operation means.
 */
#ifndef KPIPE_LOCAL_AWS_DDB_STORE_H
#define KPIPE_LOCAL_AWS_DDB_STORE_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "plugins/local-aws/dynamodb/schema.h"

enum { DDB_STATEMENTS = 24 };

struct ddb_store {
    sqlite3 *db;                      /* [borrowed] */
    sqlite3_stmt *st[DDB_STATEMENTS]; /* [owned] */
};

struct ddb_table {
    int64_t id;
    struct ddb_schema schema; /* [owned] */
};

/* Makes the tables when they are missing. */
bool ddb_store_open(struct ddb_store *store, sqlite3 *db);
void ddb_store_close(struct ddb_store *store);

/* All changes of one operation: kept together or not at all. */
bool ddb_store_begin(struct ddb_store *store);
bool ddb_store_end(struct ddb_store *store, bool keep);

/* `scope`: region and account. False: there is no such table. ddb_table_fini() when true. */
bool ddb_store_table(struct ddb_store *store, const char *scope, const char *name,
                     struct ddb_table *ret);
void ddb_table_fini(struct ddb_table *table);
bool ddb_store_add_table(struct ddb_store *store, const char *scope, const char *name,
                         const json_t *document);
bool ddb_store_change_table(struct ddb_store *store, int64_t id, const json_t *document);
bool ddb_store_drop_table(struct ddb_store *store, int64_t id);
/* [new reference] Up to `limit` names behind `after`. */
json_t *ddb_store_list(struct ddb_store *store, const char *scope, const char *after, int limit);
/* Of the table, or of one index when it is not NULL. */
struct ddb_extent ddb_store_count(struct ddb_store *store, const struct ddb_table *table,
                                  const struct ddb_index *index);

/* [new reference] The item of a key (or of an item with that key), or NULL: there is none. */
json_t *ddb_store_get(struct ddb_store *store, const struct ddb_table *table, const json_t *key);
/* Replaces `old` (NULL: there was none) by `item` (NULL: delete), with all index entries. */
bool ddb_store_put(struct ddb_store *store, const struct ddb_table *table, const json_t *old,
                   const json_t *item);
/* Fills the entries of a new index; drops those of an old one. */
bool ddb_store_fill_index(struct ddb_store *store, const struct ddb_table *table,
                          const struct ddb_index *index);
bool ddb_store_drop_index(struct ddb_store *store, int64_t table, int64_t index);

/* ---- transactions that were done: by scope and ClientRequestToken ---- */

enum { DDB_TOKEN_SECONDS = 600 }; /* how long a token is remembered */

/* 1: the same was done before; 0: it was not; -1: the token was used for something else. */
int ddb_store_token(struct ddb_store *store, const char *scope, const char *token,
                    const char *digest, double now);
bool ddb_store_add_token(struct ddb_store *store, const char *scope, const char *token,
                         const char *digest, double until);

/* ---- expiry: tables with a time to live ---- */

/* [new reference] Names of the tables of all scopes whose time to live is on. */
json_t *ddb_store_expiring(struct ddb_store *store, const char *scope);

/* Where a partition key places rows: 0 .. UINT32_MAX, what segments of a scan divide. */
bool ddb_store_hash(const json_t *value, uint32_t *ret);

/* ---- walking ---- */

struct ddb_walk {
    const struct ddb_table *table;
    const struct ddb_index *index; /* NULL: the table itself */
    const json_t *hash;            /* value of the partition key; NULL: all (a scan) */
    const json_t *low, *high;      /* bounds of the sort key, both included; NULL: open */
    bool is_prefix;                /* `low` is what the sort key begins with */
    bool backward;
    uint32_t first_hash, last_hash; /* of a scan: the segment */
    const json_t *after;            /* start key: the rows behind it; NULL: from the start */
};

struct ddb_cursor {
    sqlite3_stmt *st; /* [owned] */
    bool failed;
};

bool ddb_walk_open(struct ddb_store *store, const struct ddb_walk *walk, struct ddb_cursor *cursor);
/* [new reference] The next item, whole; NULL at the end (or with cursor->failed). */
json_t *ddb_walk_next(struct ddb_cursor *cursor, size_t *ret_size);
void ddb_walk_close(struct ddb_cursor *cursor);

#endif
