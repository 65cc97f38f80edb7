/* sql.h - a few lines around SQLite's C interface, shared by the services.
 *
 * Statements are prepared once into a slot of the service's own struct. Changes
 * stand between sql_begin() and sql_end(): a savepoint, so they nest in whatever
 * transaction is open.
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_SQL_H
#define KPIPE_LOCAL_AWS_SQL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#include "sdk/wire/slice.h"

/* The statement of a slot, ready to be bound; NULL: out of memory or disk trouble. */
static inline sqlite3_stmt *sql_use(sqlite3 *db, sqlite3_stmt **slot, const char *text)
{
    if (*slot) {
        sqlite3_reset(*slot);
        sqlite3_clear_bindings(*slot);
        return *slot;
    }
    if (sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT, slot, NULL) != SQLITE_OK)
        return NULL;
    return *slot;
}

/* The next row; false at the end or on trouble, and the statement is reset. */
static inline bool sql_row(sqlite3_stmt *st)
{
    if (st && sqlite3_step(st) == SQLITE_ROW)
        return true;
    if (st)
        sqlite3_reset(st);
    return false;
}

/* Runs a statement that gives no rows. */
static inline bool sql_run(sqlite3_stmt *st)
{
    bool ok = st && sqlite3_step(st) == SQLITE_DONE;

    if (st)
        ok = sqlite3_reset(st) == SQLITE_OK && ok;
    return ok;
}

static inline bool sql_exec(sqlite3 *db, const char *text)
{
    return sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK;
}

static inline bool sql_begin(sqlite3 *db)
{
    return sql_exec(db, "SAVEPOINT change");
}

/* Ends a change: keeps it, or undoes it when `ok` is false. True: it is kept. */
static inline bool sql_end(sqlite3 *db, bool ok)
{
    if (ok && sql_exec(db, "RELEASE change"))
        return true;
    sql_exec(db, "ROLLBACK TO change");
    sql_exec(db, "RELEASE change");
    return false;
}

static inline void sql_bind_text(sqlite3_stmt *st, int at, const char *text)
{
    if (st)
        sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

static inline void sql_bind_bytes(sqlite3_stmt *st, int at, const void *data, size_t len)
{
    /* A zero length must not become NULL, which compares unlike any blob. */
    if (st)
        sqlite3_bind_blob64(st, at, data && len ? data : "", len, SQLITE_STATIC);
}

static inline void sql_bind_int(sqlite3_stmt *st, int at, long long value)
{
    if (st)
        sqlite3_bind_int64(st, at, value);
}

/* A statement for one use, which sql_finish() ends. NULL as in sql_use(). */
static inline sqlite3_stmt *sql_once(sqlite3 *db, const char *text)
{
    sqlite3_stmt *st = NULL;

    sqlite3_prepare_v2(db, text, -1, &st, NULL);
    return st;
}

/* ... with its first parameter. */
static inline sqlite3_stmt *sql_once_of(sqlite3 *db, const char *text, long long first)
{
    sqlite3_stmt *st = sql_once(db, text);

    sql_bind_int(st, 1, first);
    return st;
}

/* A text of a length; an empty one does not become NULL. */
static inline void sql_bind_slice(sqlite3_stmt *st, int at, struct kpw_slice text)
{
    if (st)
        sqlite3_bind_text(st, at, text.len ? text.ptr : "", (int)text.len, SQLITE_STATIC);
}

/* Runs it, as sql_run(), and frees it. */
static inline bool sql_finish(sqlite3_stmt *st)
{
    bool ok = sql_run(st);

    sqlite3_finalize(st);
    return ok;
}

static inline const char *sql_text(sqlite3_stmt *st, int column)
{
    const unsigned char *text = sqlite3_column_text(st, column);

    return text ? (const char *)text : "";
}

#endif
