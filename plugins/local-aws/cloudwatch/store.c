/* store.c - SQL of metrics, samples and alarms. Pairs of samples are a blob of doubles as this
 * machine has them: state.db does not travel.
 */
#include "plugins/local-aws/cloudwatch/store.h"

#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/sql.h"

bool cw_store_open(struct cw_store *store, sqlite3 *db)
{
    store->db = db;
    return sql_exec(
        db, "CREATE TABLE IF NOT EXISTS cw_metric(id INTEGER PRIMARY KEY AUTOINCREMENT,"
            " space TEXT NOT NULL, name TEXT NOT NULL, dimensions TEXT NOT NULL,"
            " last_ms INTEGER NOT NULL, UNIQUE(space, name, dimensions));"
            "CREATE TABLE IF NOT EXISTS cw_point(metric INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
            " unit TEXT NOT NULL, count REAL NOT NULL, sum REAL NOT NULL, low REAL NOT NULL,"
            " high REAL NOT NULL, is_opaque INTEGER NOT NULL, pairs BLOB NOT NULL,"
            " PRIMARY KEY(metric, at_ms, unit)) WITHOUT ROWID;"
            "CREATE INDEX IF NOT EXISTS cw_point_age ON cw_point(at_ms);"
            "CREATE TABLE IF NOT EXISTS cw_alarm(name TEXT PRIMARY KEY, text TEXT NOT NULL)"
            " WITHOUT ROWID");
}

void cw_store_close(struct cw_store *store)
{
    sqlite3_stmt **const all[] = {&store->find_metric,  &store->add_metric, &store->touch_metric,
                                  &store->find_point,   &store->put_point,  &store->list_points,
                                  &store->list_metrics, &store->put_alarm,  &store->list_alarms,
                                  &store->delete_alarm};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        sqlite3_finalize(*all[i]);
        *all[i] = NULL;
    }
}

/* ---- metrics */

static void bind_metric(sqlite3_stmt *st, const struct cw_metric *metric)
{
    sql_bind_text(st, 1, metric->space);
    sql_bind_text(st, 2, metric->name);
    sql_bind_text(st, 3, metric->dimensions);
}

int64_t cw_store_find(struct cw_store *store, const struct cw_metric *metric)
{
    sqlite3_stmt *st =
        sql_use(store->db, &store->find_metric,
                "SELECT id FROM cw_metric WHERE space = ? AND name = ? AND dimensions = ?");
    int64_t id = 0;

    bind_metric(st, metric);
    if (sql_row(st)) {
        id = sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
    }
    return id;
}

int64_t cw_store_touch(struct cw_store *store, const struct cw_metric *metric)
{
    int64_t id = cw_store_find(store, metric);
    sqlite3_stmt *st;

    if (id) {
        st = sql_use(store->db, &store->touch_metric,
                     "UPDATE cw_metric SET last_ms = ? WHERE id = ?");
        sql_bind_int(st, 1, metric->last_ms);
        sql_bind_int(st, 2, id);
        return sql_run(st) ? id : 0;
    }
    st = sql_use(store->db, &store->add_metric,
                 "INSERT INTO cw_metric(space, name, dimensions, last_ms) VALUES(?, ?, ?, ?)");
    bind_metric(st, metric);
    sql_bind_int(st, 4, metric->last_ms);
    return sql_run(st) ? sqlite3_last_insert_rowid(store->db) : 0;
}

void cw_store_list(struct cw_store *store, const struct cw_filter *filter, cw_metric_fn fn,
                   void *arg)
{
    sqlite3_stmt *st =
        sql_use(store->db, &store->list_metrics,
                "SELECT id, space, name, dimensions, last_ms FROM cw_metric WHERE id > ?1"
                " AND (?2 IS NULL OR space = ?2) AND (?3 IS NULL OR name = ?3) AND last_ms >= ?4"
                " ORDER BY id");

    sql_bind_int(st, 1, filter->after);
    if (filter->space)
        sql_bind_text(st, 2, filter->space);
    if (filter->name)
        sql_bind_text(st, 3, filter->name);
    sql_bind_int(st, 4, filter->since_ms);
    while (sql_row(st)) {
        struct cw_metric metric = {sqlite3_column_int64(st, 0), sql_text(st, 1), sql_text(st, 2),
                                   sql_text(st, 3), sqlite3_column_int64(st, 4)};

        if (!fn(arg, &metric)) {
            sqlite3_reset(st);
            return;
        }
    }
}

/* ---- samples */

/* Columns count, sum, low, high, is_opaque, pairs from `at`; the pairs stay in the row. */
static void read_stat(sqlite3_stmt *st, int at, struct cw_stat *ret)
{
    *ret = (struct cw_stat){
        .count = sqlite3_column_double(st, at),
        .sum = sqlite3_column_double(st, at + 1),
        .min = sqlite3_column_double(st, at + 2),
        .max = sqlite3_column_double(st, at + 3),
        .is_opaque = sqlite3_column_int(st, at + 4) != 0,
    };
    ret->n_pairs = (size_t)sqlite3_column_bytes(st, at + 5) / sizeof *ret->pairs;
}

/* The pairs, where a double may lie. [owned by caller] */
static bool copy_pairs(sqlite3_stmt *st, int at, struct cw_stat *stat)
{
    const void *blob = sqlite3_column_blob(st, at);

    if (!stat->n_pairs)
        return true;
    stat->pairs = reallocarray(NULL, stat->n_pairs, sizeof *stat->pairs);
    if (!stat->pairs)
        return false;
    stat->pairs_cap = stat->n_pairs;
    memcpy(stat->pairs, blob, stat->n_pairs * sizeof *stat->pairs);
    return true;
}

/* What is there already; empty when there is nothing. */
static bool load_point(struct cw_store *store, int64_t metric, int64_t at_ms, const char *unit,
                       struct cw_stat *ret)
{
    sqlite3_stmt *st = sql_use(store->db, &store->find_point,
                               "SELECT count, sum, low, high, is_opaque, pairs FROM cw_point"
                               " WHERE metric = ? AND at_ms = ? AND unit = ?");
    bool ok = st != NULL;

    sql_bind_int(st, 1, metric);
    sql_bind_int(st, 2, at_ms);
    sql_bind_text(st, 3, unit);
    if (sql_row(st)) {
        read_stat(st, 0, ret);
        ok = copy_pairs(st, 5, ret);
        sqlite3_reset(st);
    }
    return ok;
}

bool cw_store_add(struct cw_store *store, int64_t metric, int64_t at_ms, const char *unit,
                  const struct cw_stat *stat)
{
    struct cw_stat all = {0};
    sqlite3_stmt *st;
    bool ok = load_point(store, metric, at_ms, unit, &all) && cw_stat_merge(&all, stat);

    st = ok ? sql_use(store->db, &store->put_point,
                      "INSERT OR REPLACE INTO cw_point(metric, at_ms, unit, count, sum, low, high,"
                      " is_opaque, pairs) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)")
            : NULL;
    if (st) {
        sql_bind_int(st, 1, metric);
        sql_bind_int(st, 2, at_ms);
        sql_bind_text(st, 3, unit);
        sqlite3_bind_double(st, 4, all.count);
        sqlite3_bind_double(st, 5, all.sum);
        sqlite3_bind_double(st, 6, all.min);
        sqlite3_bind_double(st, 7, all.max);
        sql_bind_int(st, 8, all.is_opaque);
        sql_bind_bytes(st, 9, all.pairs, all.n_pairs * sizeof *all.pairs);
    }
    ok = st && sql_run(st);
    cw_stat_fini(&all);
    return ok;
}

bool cw_store_points(struct cw_store *store, const struct cw_span *span, cw_point_fn fn, void *arg)
{
    sqlite3_stmt *st =
        sql_use(store->db, &store->list_points,
                "SELECT at_ms, unit, count, sum, low, high, is_opaque, pairs FROM cw_point"
                " WHERE metric = ?1 AND at_ms >= ?2 AND at_ms < ?3 AND (?4 IS NULL OR unit = ?4)"
                " ORDER BY at_ms");
    bool ok = st != NULL;

    sql_bind_int(st, 1, span->metric);
    sql_bind_int(st, 2, span->from_ms);
    sql_bind_int(st, 3, span->to_ms);
    if (span->unit)
        sql_bind_text(st, 4, span->unit);
    while (ok && sql_row(st)) {
        struct cw_stat stat;

        read_stat(st, 2, &stat);
        ok = copy_pairs(st, 7, &stat) &&
             fn(arg, sqlite3_column_int64(st, 0), sql_text(st, 1), &stat);
        cw_stat_fini(&stat);
    }
    if (st)
        sqlite3_reset(st);
    return ok;
}

/* The one number of a statement, or 0. */
static int64_t number(struct cw_store *store, const char *text)
{
    sqlite3_stmt *st = NULL;
    int64_t n = 0;

    if (sql_row(sql_use(store->db, &st, text)))
        n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return n;
}

static void run_number(struct cw_store *store, const char *text, int64_t n)
{
    sqlite3_stmt *st = NULL;

    if (sql_use(store->db, &st, text)) {
        sql_bind_int(st, 1, n);
        sql_run(st);
    }
    sqlite3_finalize(st);
}

void cw_store_sweep(struct cw_store *store, int64_t now_ms)
{
    int64_t n;

    run_number(store, "DELETE FROM cw_point WHERE at_ms < ?", now_ms - CW_KEEP_MS);
    n = number(store, "SELECT count(*) FROM cw_point") - CW_POINTS_MAX;
    if (n > 0)
        run_number(store,
                   "DELETE FROM cw_point WHERE at_ms <= (SELECT at_ms FROM cw_point"
                   " ORDER BY at_ms LIMIT 1 OFFSET ?)",
                   n);
    run_number(store,
               "DELETE FROM cw_metric WHERE last_ms < ? AND NOT EXISTS"
               " (SELECT 1 FROM cw_point WHERE metric = id)",
               now_ms - CW_KEEP_MS);
}

void cw_store_count(struct cw_store *store, int64_t *ret_metrics, int64_t *ret_points)
{
    *ret_metrics = number(store, "SELECT count(*) FROM cw_metric");
    *ret_points = number(store, "SELECT count(*) FROM cw_point");
}

/* ---- alarms */

bool cw_store_put_alarm(struct cw_store *store, const char *name, const char *text)
{
    sqlite3_stmt *st = sql_use(store->db, &store->put_alarm,
                               "INSERT OR REPLACE INTO cw_alarm(name, text) VALUES(?, ?)");

    sql_bind_text(st, 1, name);
    sql_bind_text(st, 2, text);
    return sql_run(st);
}

bool cw_store_delete_alarm(struct cw_store *store, const char *name)
{
    sqlite3_stmt *st =
        sql_use(store->db, &store->delete_alarm, "DELETE FROM cw_alarm WHERE name = ?");

    sql_bind_text(st, 1, name);
    return sql_run(st) && sqlite3_changes(store->db) > 0;
}

void cw_store_alarms(struct cw_store *store, const char *prefix, const char *after, cw_alarm_fn fn,
                     void *arg)
{
    sqlite3_stmt *st = sql_use(store->db, &store->list_alarms,
                               "SELECT name, text FROM cw_alarm WHERE name > ?1 AND"
                               " substr(name, 1, length(?2)) = ?2 ORDER BY name");

    sql_bind_text(st, 1, after);
    sql_bind_text(st, 2, prefix);
    while (sql_row(st))
        if (!fn(arg, sql_text(st, 0), sql_text(st, 1))) {
            sqlite3_reset(st);
            return;
        }
}
