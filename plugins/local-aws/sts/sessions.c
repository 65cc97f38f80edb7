/* sessions.c - the rows of temporary credentials. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/sql.h"
#include "plugins/local-aws/sts/sts.h"
#include "sdk/wire/base64.h"

enum { KEPT_S = 86400, SECRET_BYTES = 30, TOKEN_BYTES = 210 };
enum { SESSION_GET, SESSION_ADD, SESSION_SWEEP, SESSION_STATEMENTS };

struct sessions {
    sqlite3_stmt *st[SESSION_STATEMENTS]; /* [owned] */
};

bool sts_sessions_open(struct local *local, char *why, size_t cap)
{
    struct sessions *sessions = calloc(1, sizeof *sessions);

    local->state[LOCAL_STS] = sessions;
    if (sessions &&
        sql_exec(local->db, "CREATE TABLE IF NOT EXISTS sts_session(key_id TEXT PRIMARY KEY,"
                            " secret TEXT NOT NULL, token TEXT NOT NULL, expires INTEGER NOT NULL,"
                            " account TEXT NOT NULL, arn TEXT NOT NULL, user_id TEXT NOT NULL)"
                            " WITHOUT ROWID"))
        return true;
    snprintf(why, cap, "cannot make the table of STS: %s",
             sessions ? sqlite3_errmsg(local->db) : "out of memory");
    return false;
}

void sts_sessions_close(struct local *local)
{
    struct sessions *sessions = local->state[LOCAL_STS];

    for (int i = 0; sessions && i < SESSION_STATEMENTS; i++)
        sqlite3_finalize(sessions->st[i]);
    free(sessions);
    local->state[LOCAL_STS] = NULL;
}

static sqlite3_stmt *use(struct local *local, int slot, const char *text)
{
    struct sessions *sessions = local->state[LOCAL_STS];

    return sql_use(local->db, &sessions->st[slot], text);
}

static void copy_column(sqlite3_stmt *st, int column, char *out, size_t size)
{
    snprintf(out, size, "%s", sql_text(st, column));
}

bool sts_session_find(struct local *local, kp_slice key_id, struct sts_session *ret)
{
    sqlite3_stmt *st;

    if (key_id.len != STS_KEY_ID_SIZE - 1)
        return false; /* nothing else is given out: spares the look-up */
    st = use(local, SESSION_GET,
             "SELECT key_id, secret, token, expires, account, arn, user_id FROM sts_session"
             " WHERE key_id = ?");
    if (st)
        sqlite3_bind_text(st, 1, key_id.ptr, (int)key_id.len, SQLITE_STATIC);
    if (!sql_row(st))
        return false;
    copy_column(st, 0, ret->key_id, sizeof ret->key_id);
    copy_column(st, 1, ret->secret, sizeof ret->secret);
    copy_column(st, 2, ret->token, sizeof ret->token);
    ret->expires_s = sqlite3_column_int64(st, 3);
    copy_column(st, 4, ret->account, sizeof ret->account);
    copy_column(st, 5, ret->arn, sizeof ret->arn);
    copy_column(st, 6, ret->user_id, sizeof ret->user_id);
    sqlite3_reset(st);
    return true;
}

static void make_key_id(char out[STS_KEY_ID_SIZE])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint8_t raw[STS_KEY_ID_SIZE - 5];

    kpw_random_secret(raw, sizeof raw);
    memcpy(out, "ASIA", 4);
    for (size_t i = 0; i < sizeof raw; i++)
        out[4 + i] = letters[raw[i] & 31];
    out[STS_KEY_ID_SIZE - 1] = '\0';
}

static void make_secret(size_t n, char *out)
{
    uint8_t raw[TOKEN_BYTES];

    kpw_random_secret(raw, n);
    out[kpw_base64_encode(raw, n, out)] = '\0';
}

static void sweep(struct local *local)
{
    sqlite3_stmt *st = use(local, SESSION_SWEEP, "DELETE FROM sts_session WHERE expires < ?");

    sql_bind_int(st, 1, local_now_ms(local) / 1000 - KEPT_S);
    sql_run(st);
}

bool sts_session_issue(struct local *local, struct sts_session *session)
{
    sqlite3_stmt *st;

    make_key_id(session->key_id);
    make_secret(SECRET_BYTES, session->secret);
    make_secret(TOKEN_BYTES, session->token);
    sweep(local);
    st = use(local, SESSION_ADD,
             "INSERT INTO sts_session(key_id, secret, token, expires, account, arn, user_id)"
             " VALUES(?, ?, ?, ?, ?, ?, ?)");
    sql_bind_text(st, 1, session->key_id);
    sql_bind_text(st, 2, session->secret);
    sql_bind_text(st, 3, session->token);
    sql_bind_int(st, 4, session->expires_s);
    sql_bind_text(st, 5, session->account);
    sql_bind_text(st, 6, session->arn);
    sql_bind_text(st, 7, session->user_id);
    return sql_run(st);
}
