/* store.c - DynamoDB's tables, items and index entries in SQLite. */
#include "plugins/local-aws/dynamodb/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "plugins/local-aws/sql.h"

enum slot {
    TABLE_GET,
    TABLE_ADD,
    TABLE_CHANGE,
    TABLE_DROP,
    TABLE_DROP_ITEMS,
    TABLE_DROP_ENTRIES,
    TABLE_LIST,
    TABLE_COUNT,
    ITEM_GET,
    ITEM_PUT,
    ITEM_DELETE,
    ENTRY_PUT,
    ENTRY_DELETE,
    INDEX_DROP,
    INDEX_COUNT,
    TOKEN_GET,
    TOKEN_PUT,
    TOKEN_EXPIRE,
    TABLE_EXPIRING,
    SLOTS
};

_Static_assert((int)SLOTS <= (int)DDB_STATEMENTS, "every statement has a slot");

static const char schema_text[] =
    "CREATE TABLE IF NOT EXISTS ddb_table(id INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT "
    "NULL,"
    " name TEXT NOT NULL, document TEXT NOT NULL, UNIQUE(scope, name));"
    "CREATE TABLE IF NOT EXISTS ddb_item(tbl INTEGER NOT NULL, hc INTEGER NOT NULL, hk BLOB NOT "
    "NULL,"
    " rk BLOB NOT NULL, size INTEGER NOT NULL, item TEXT NOT NULL, PRIMARY KEY(tbl, hc, hk, rk))"
    " WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS ddb_entry(tbl INTEGER NOT NULL, idx INTEGER NOT NULL,"
    " hc INTEGER NOT NULL, hk BLOB NOT NULL, rk BLOB NOT NULL, phc INTEGER NOT NULL,"
    " phk BLOB NOT NULL, prk BLOB NOT NULL, PRIMARY KEY(tbl, idx, hc, hk, rk, phc, phk, prk))"
    " WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS ddb_token(scope TEXT NOT NULL, token TEXT NOT NULL,"
    " digest TEXT NOT NULL, until REAL NOT NULL, PRIMARY KEY(scope, token)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS ddb_token_until ON ddb_token(until);";

bool ddb_store_open(struct ddb_store *store, sqlite3 *db)
{
    memset(store, 0, sizeof(*store));
    store->db = db;
    return sql_exec(db, schema_text);
}

void ddb_store_close(struct ddb_store *store)
{
    for (int i = 0; i < DDB_STATEMENTS; i++)
        sqlite3_finalize(store->st[i]);
    memset(store, 0, sizeof(*store));
}

bool ddb_store_begin(struct ddb_store *store)
{
    return sql_begin(store->db);
}

bool ddb_store_end(struct ddb_store *store, bool keep)
{
    return sql_end(store->db, keep);
}

static sqlite3_stmt *use(struct ddb_store *store, enum slot slot, const char *text)
{
    return sql_use(store->db, &store->st[slot], text);
}

/* ---- tables ---- */

bool ddb_store_table(struct ddb_store *store, const char *scope, const char *name,
                     struct ddb_table *ret)
{
    sqlite3_stmt *st =
        use(store, TABLE_GET, "SELECT id, document FROM ddb_table WHERE scope = ? AND name = ?");
    json_t *document;

    sql_bind_text(st, 1, scope);
    sql_bind_text(st, 2, name);
    if (!sql_row(st))
        return false;
    ret->id = sqlite3_column_int64(st, 0);
    document = json_loads(sql_text(st, 1), JSON_ALLOW_NUL, NULL);
    sqlite3_reset(st);
    if (!document)
        return false;
    ddb_schema_open(&ret->schema, document);
    return true;
}

void ddb_table_fini(struct ddb_table *table)
{
    ddb_schema_fini(&table->schema);
}

bool ddb_store_add_table(struct ddb_store *store, const char *scope, const char *name,
                         const json_t *document)
{
    sqlite3_stmt *st =
        use(store, TABLE_ADD, "INSERT INTO ddb_table(scope, name, document) VALUES(?, ?, ?)");
    char *text = json_dumps(document, JSON_COMPACT);
    bool ok;

    sql_bind_text(st, 1, scope);
    sql_bind_text(st, 2, name);
    sql_bind_text(st, 3, text);
    ok = text && sql_run(st);
    free(text);
    return ok;
}

bool ddb_store_change_table(struct ddb_store *store, int64_t id, const json_t *document)
{
    sqlite3_stmt *st = use(store, TABLE_CHANGE, "UPDATE ddb_table SET document = ? WHERE id = ?");
    char *text = json_dumps(document, JSON_COMPACT);
    bool ok;

    sql_bind_text(st, 1, text);
    sql_bind_int(st, 2, id);
    ok = text && sql_run(st);
    free(text);
    return ok;
}

static bool drop(struct ddb_store *store, enum slot slot, const char *text, int64_t id)
{
    sqlite3_stmt *st = use(store, slot, text);

    sql_bind_int(st, 1, id);
    return sql_run(st);
}

bool ddb_store_drop_table(struct ddb_store *store, int64_t id)
{
    return drop(store, TABLE_DROP_ENTRIES, "DELETE FROM ddb_entry WHERE tbl = ?", id) &&
           drop(store, TABLE_DROP_ITEMS, "DELETE FROM ddb_item WHERE tbl = ?", id) &&
           drop(store, TABLE_DROP, "DELETE FROM ddb_table WHERE id = ?", id);
}

json_t *ddb_store_list(struct ddb_store *store, const char *scope, const char *after, int limit)
{
    sqlite3_stmt *st = use(store, TABLE_LIST,
                           "SELECT name FROM ddb_table WHERE scope = ? AND name > ? ORDER BY name "
                           "LIMIT ?");
    json_t *list = json_array();

    sql_bind_text(st, 1, scope);
    sql_bind_text(st, 2, after);
    sql_bind_int(st, 3, limit);
    while (sql_row(st))
        json_array_append_new(list, json_string(sql_text(st, 0)));
    return list;
}

struct ddb_extent ddb_store_count(struct ddb_store *store, const struct ddb_table *table,
                                  const struct ddb_index *index)
{
    sqlite3_stmt *st =
        index ? use(store, INDEX_COUNT,
                    "SELECT count(*), coalesce(sum(i.size), 0) FROM ddb_entry e JOIN ddb_item i ON"
                    " i.tbl = e.tbl AND i.hc = e.phc AND i.hk = e.phk AND i.rk = e.prk"
                    " WHERE e.tbl = ? AND e.idx = ?")
              : use(store, TABLE_COUNT,
                    "SELECT count(*), coalesce(sum(size), 0) FROM ddb_item WHERE tbl = ?");
    struct ddb_extent ret = {0, 0};

    sql_bind_int(st, 1, table->id);
    if (index)
        sql_bind_int(st, 2, index->id);
    if (!sql_row(st))
        return ret;
    ret = (struct ddb_extent){sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1)};
    sqlite3_reset(st);
    return ret;
}

json_t *ddb_store_expiring(struct ddb_store *store, const char *scope)
{
    sqlite3_stmt *st = use(store, TABLE_EXPIRING,
                           "SELECT name FROM ddb_table WHERE scope = ? AND"
                           " document LIKE '%\"kpipe:ttl\":%' ORDER BY name");
    json_t *list = json_array();

    sql_bind_text(st, 1, scope);
    while (sql_row(st))
        json_array_append_new(list, json_string(sql_text(st, 0)));
    return list;
}

/* ---- tokens ---- */

int ddb_store_token(struct ddb_store *store, const char *scope, const char *token,
                    const char *digest, double now)
{
    sqlite3_stmt *st = use(store, TOKEN_GET,
                           "SELECT digest FROM ddb_token WHERE scope = ? AND token = ?"
                           " AND until > ?");
    int ret;

    sql_bind_text(st, 1, scope);
    sql_bind_text(st, 2, token);
    if (st)
        sqlite3_bind_double(st, 3, now);
    if (!sql_row(st))
        return 0;
    ret = strcmp(sql_text(st, 0), digest) == 0 ? 1 : -1;
    sqlite3_reset(st);
    return ret;
}

bool ddb_store_add_token(struct ddb_store *store, const char *scope, const char *token,
                         const char *digest, double until)
{
    sqlite3_stmt *old = use(store, TOKEN_EXPIRE, "DELETE FROM ddb_token WHERE until <= ?");
    sqlite3_stmt *st = use(store, TOKEN_PUT,
                           "INSERT OR REPLACE INTO ddb_token(scope, token, digest, until)"
                           " VALUES(?, ?, ?, ?)");

    if (!old || !st)
        return false;
    sqlite3_bind_double(old, 1, until - DDB_TOKEN_SECONDS);
    sql_bind_text(st, 1, scope);
    sql_bind_text(st, 2, token);
    sql_bind_text(st, 3, digest);
    sqlite3_bind_double(st, 4, until);
    return sql_run(old) && sql_run(st);
}

/* ---- keys ---- */

/* The bytes of one (hash, range) pair, and the hash that places it. */
struct place {
    uint32_t hc;
    struct ddb_bytes hk, rk; /* [owned] */
};

static uint32_t hash_of(const struct ddb_bytes *bytes)
{
    return (uint32_t)crc32_z(crc32(0, NULL, 0), bytes->at, bytes->len);
}

bool ddb_store_hash(const json_t *value, uint32_t *ret)
{
    struct ddb_bytes bytes;

    if (!ddb_key_bytes(value, &bytes))
        return false;
    *ret = hash_of(&bytes);
    free(bytes.at);
    return true;
}

static void place_fini(struct place *place)
{
    free(place->hk.at);
    free(place->rk.at);
    *place = (struct place){0};
}

static bool place_of(const struct ddb_keys *keys, const json_t *item, struct place *ret)
{
    const json_t *range = keys->range ? json_object_get(item, keys->range) : NULL;

    *ret = (struct place){0};
    if (!ddb_key_bytes(json_object_get(item, keys->hash), &ret->hk) ||
        (range && !ddb_key_bytes(range, &ret->rk))) {
        place_fini(ret);
        return false;
    }
    ret->hc = hash_of(&ret->hk);
    return true;
}

/* Binds hc, hk, rk at three parameters. */
static int bind_place(sqlite3_stmt *st, int at, const struct place *place)
{
    sql_bind_int(st, at, place->hc);
    sql_bind_bytes(st, at + 1, place->hk.at, place->hk.len);
    sql_bind_bytes(st, at + 2, place->rk.at, place->rk.len);
    return at + 3;
}

/* ---- items ---- */

json_t *ddb_store_get(struct ddb_store *store, const struct ddb_table *table, const json_t *key)
{
    sqlite3_stmt *st =
        use(store, ITEM_GET,
            "SELECT item FROM ddb_item WHERE tbl = ? AND hc = ? AND hk = ? AND rk = ?");
    struct place place;
    json_t *item = NULL;

    if (!place_of(&table->schema.keys, key, &place))
        return NULL;
    sql_bind_int(st, 1, table->id);
    bind_place(st, 2, &place);
    if (sql_row(st)) {
        item = json_loads(sql_text(st, 0), JSON_ALLOW_NUL, NULL);
        sqlite3_reset(st);
    }
    place_fini(&place);
    return item;
}

/* An item's entry in an index. */
struct entry {
    int64_t table;
    const struct ddb_index *index;
    const json_t *item;
    const struct place *primary;
};

static bool run_entry(struct ddb_store *store, const struct entry *entry, bool add)
{
    sqlite3_stmt *st = add ? use(store, ENTRY_PUT,
                                 "INSERT OR REPLACE INTO ddb_entry VALUES(?, ?, ?, ?, ?, ?, ?, ?)")
                           : use(store, ENTRY_DELETE,
                                 "DELETE FROM ddb_entry WHERE tbl = ? AND idx = ? AND hc = ? AND "
                                 "hk = ? AND rk = ? "
                                 "AND phc = ? AND phk = ? AND prk = ?");
    struct place place;
    bool ok;

    if (!ddb_index_holds(entry->index, entry->item))
        return true;
    if (!place_of(&entry->index->keys, entry->item, &place))
        return false;
    sql_bind_int(st, 1, entry->table);
    sql_bind_int(st, 2, entry->index->id);
    bind_place(st, bind_place(st, 3, &place), entry->primary);
    ok = sql_run(st);
    place_fini(&place);
    return ok;
}

static bool run_entries(struct ddb_store *store, const struct ddb_table *table, const json_t *item,
                        const struct place *primary, bool add)
{
    for (size_t i = 0; i < table->schema.n_indexes; i++)
        if (!run_entry(store, &(struct entry){table->id, &table->schema.indexes[i], item, primary},
                       add))
            return false;
    return true;
}

static bool write_item(struct ddb_store *store, const struct ddb_table *table, const json_t *item,
                       const struct place *place)
{
    sqlite3_stmt *st =
        use(store, ITEM_PUT, "INSERT OR REPLACE INTO ddb_item VALUES(?, ?, ?, ?, ?, ?)");
    char *text = json_dumps(item, JSON_COMPACT);
    bool ok;

    sql_bind_int(st, 1, table->id);
    bind_place(st, 2, place);
    sql_bind_int(st, 5, (long long)ddb_item_size(item));
    sql_bind_text(st, 6, text);
    ok = text && sql_run(st);
    free(text);
    return ok;
}

static bool delete_item(struct ddb_store *store, const struct ddb_table *table,
                        const struct place *place)
{
    sqlite3_stmt *st = use(store, ITEM_DELETE,
                           "DELETE FROM ddb_item WHERE tbl = ? AND hc = ? AND hk = ? AND rk = ?");

    sql_bind_int(st, 1, table->id);
    bind_place(st, 2, place);
    return sql_run(st);
}

bool ddb_store_put(struct ddb_store *store, const struct ddb_table *table, const json_t *old,
                   const json_t *item)
{
    struct place place;
    bool ok;

    if (!old && !item)
        return true;
    if (!place_of(&table->schema.keys, item ? item : old, &place))
        return false;
    ok = !old || run_entries(store, table, old, &place, false);
    if (item)
        ok = ok && write_item(store, table, item, &place) &&
             run_entries(store, table, item, &place, true);
    else
        ok = ok && delete_item(store, table, &place);
    place_fini(&place);
    return ok;
}

bool ddb_store_fill_index(struct ddb_store *store, const struct ddb_table *table,
                          const struct ddb_index *index)
{
    struct ddb_walk walk = {.table = table, .last_hash = UINT32_MAX};
    struct ddb_cursor cursor;
    bool ok = ddb_walk_open(store, &walk, &cursor);
    json_t *item;
    size_t size;

    while (ok && (item = ddb_walk_next(&cursor, &size)) != NULL) {
        struct place place;

        ok = place_of(&table->schema.keys, item, &place) &&
             run_entry(store, &(struct entry){table->id, index, item, &place}, true);
        place_fini(&place);
        json_decref(item);
    }
    ok = ok && !cursor.failed;
    ddb_walk_close(&cursor);
    return ok;
}

bool ddb_store_drop_index(struct ddb_store *store, int64_t table, int64_t index)
{
    sqlite3_stmt *st = use(store, INDEX_DROP, "DELETE FROM ddb_entry WHERE tbl = ? AND idx = ?");

    sql_bind_int(st, 1, table);
    sql_bind_int(st, 2, index);
    return sql_run(st);
}

/* ---- walking ---- */

/* The statement's text: the same shape for a table and an index, a query and a scan. */
static void walk_text(const struct ddb_walk *walk, char *out, size_t size)
{
    static const char *const table_from = "ddb_item e WHERE e.tbl = ?1 AND ?2 = 0";
    static const char *const index_from =
        "ddb_entry e JOIN ddb_item i ON i.tbl = e.tbl AND i.hc = e.phc AND i.hk = e.phk AND "
        "i.rk = e.prk WHERE e.tbl = ?1 AND e.idx = ?2";
    const char *down = walk->backward ? " DESC" : "";
    char after[160] = "", order[160];

    if (walk->after && walk->index)
        snprintf(after, sizeof(after),
                 " AND (e.hc, e.hk, e.rk, e.phc, e.phk, e.prk) %c (?7, ?8, ?9, ?10, ?11, ?12)",
                 walk->backward ? '<' : '>');
    else if (walk->after)
        snprintf(after, sizeof(after), " AND (e.hc, e.hk, e.rk) %c (?7, ?8, ?9)",
                 walk->backward ? '<' : '>');
    if (walk->index)
        snprintf(order, sizeof(order), "e.hc%s, e.hk%s, e.rk%s, e.phc%s, e.phk%s, e.prk%s", down,
                 down, down, down, down, down);
    else
        snprintf(order, sizeof(order), "e.hc%s, e.hk%s, e.rk%s", down, down, down);
    snprintf(out, size, "SELECT %s.item, %s.size FROM %s%s%s%s%s ORDER BY %s",
             walk->index ? "i" : "e", walk->index ? "i" : "e",
             walk->index ? index_from : table_from,
             walk->hash ? " AND e.hc = ?3 AND e.hk = ?4" : " AND e.hc BETWEEN ?3 AND ?4",
             walk->low ? " AND e.rk >= ?5" : "",
             walk->is_prefix ? " AND (?6 IS NULL OR e.rk < ?6)"
             : walk->high    ? " AND e.rk <= ?6"
                             : "",
             after, order);
}

/* Bound bytes must outlive the calls of step: SQLite takes copies here. */
static bool bind_value(sqlite3_stmt *st, int at, const json_t *value)
{
    struct ddb_bytes bytes;

    if (!ddb_key_bytes(value, &bytes))
        return false;
    sqlite3_bind_blob64(st, at, bytes.len ? (const void *)bytes.at : "", bytes.len,
                        SQLITE_TRANSIENT);
    free(bytes.at);
    return true;
}

/* The first bytes that come after all that begin with the value; NULL is bound when there are
 * none. */
static bool bind_behind(sqlite3_stmt *st, int at, const json_t *value)
{
    struct ddb_bytes bytes;

    if (!ddb_key_bytes(value, &bytes))
        return false;
    while (bytes.len > 0 && bytes.at[bytes.len - 1] == 0xFF)
        bytes.len--;
    if (bytes.len > 0) {
        bytes.at[bytes.len - 1]++;
        sqlite3_bind_blob64(st, at, bytes.at, bytes.len, SQLITE_TRANSIENT);
    }
    free(bytes.at);
    return true;
}

static bool bind_hash(sqlite3_stmt *st, const struct ddb_walk *walk)
{
    struct ddb_bytes bytes;

    if (!walk->hash) {
        sql_bind_int(st, 3, walk->first_hash);
        sql_bind_int(st, 4, walk->last_hash);
        return true;
    }
    if (!ddb_key_bytes(walk->hash, &bytes))
        return false;
    sql_bind_int(st, 3, hash_of(&bytes));
    free(bytes.at);
    return bind_value(st, 4, walk->hash);
}

static bool bind_after_keys(sqlite3_stmt *st, int at, const struct ddb_keys *keys,
                            const json_t *after)
{
    struct place place;

    if (!place_of(keys, after, &place))
        return false;
    sql_bind_int(st, at, place.hc);
    sqlite3_bind_blob64(st, at + 1, place.hk.len ? (const void *)place.hk.at : "", place.hk.len,
                        SQLITE_TRANSIENT);
    sqlite3_bind_blob64(st, at + 2, place.rk.len ? (const void *)place.rk.at : "", place.rk.len,
                        SQLITE_TRANSIENT);
    place_fini(&place);
    return true;
}

static bool bind_walk(sqlite3_stmt *st, const struct ddb_walk *walk)
{
    const struct ddb_schema *schema = &walk->table->schema;

    sql_bind_int(st, 1, walk->table->id);
    sql_bind_int(st, 2, walk->index ? walk->index->id : 0);
    if (!bind_hash(st, walk) || (walk->low && !bind_value(st, 5, walk->low)) ||
        (walk->is_prefix && !bind_behind(st, 6, walk->low)) ||
        (walk->high && !bind_value(st, 6, walk->high)))
        return false;
    if (!walk->after)
        return true;
    if (!walk->index)
        return bind_after_keys(st, 7, &schema->keys, walk->after);
    return bind_after_keys(st, 7, &walk->index->keys, walk->after) &&
           bind_after_keys(st, 10, &schema->keys, walk->after);
}

bool ddb_walk_open(struct ddb_store *store, const struct ddb_walk *walk, struct ddb_cursor *cursor)
{
    char text[900];

    *cursor = (struct ddb_cursor){NULL, false};
    walk_text(walk, text, sizeof(text));
    if (sqlite3_prepare_v2(store->db, text, -1, &cursor->st, NULL) == SQLITE_OK &&
        bind_walk(cursor->st, walk))
        return true;
    ddb_walk_close(cursor);
    cursor->failed = true;
    return false;
}

json_t *ddb_walk_next(struct ddb_cursor *cursor, size_t *ret_size)
{
    int rc = sqlite3_step(cursor->st);
    json_t *item;

    if (rc != SQLITE_ROW) {
        cursor->failed = rc != SQLITE_DONE;
        return NULL;
    }
    item = json_loads(sql_text(cursor->st, 0), JSON_ALLOW_NUL, NULL);
    *ret_size = (size_t)sqlite3_column_int64(cursor->st, 1);
    cursor->failed = item == NULL;
    return item;
}

void ddb_walk_close(struct ddb_cursor *cursor)
{
    sqlite3_finalize(cursor->st);
    cursor->st = NULL;
}
