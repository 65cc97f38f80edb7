/* life.c - the status of streams and what state.db keeps of it.
 *
 * One timer for all: it is set to the earliest end of a status, and looks at everything then. A
 * status that a crash interrupted goes on where it was: DELETING ends in the stream being gone.
 */
#include "plugins/local-aws/kinesis/life.h"

#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/kinesis/consumers.h"
#include "plugins/local-aws/kinesis/kinesis.h"
#include "plugins/local-aws/sql.h"

enum { RETRY_MS = 1000, SLACK_MS = 60000 };

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS kinesis_life(stream INTEGER PRIMARY KEY REFERENCES"
    " kinesis_streams(id) ON DELETE CASCADE, status INTEGER NOT NULL, until_ms INTEGER NOT NULL,"
    " key_id TEXT, metrics INTEGER NOT NULL, warm INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS kinesis_changes(stream INTEGER NOT NULL REFERENCES"
    " kinesis_streams(id) ON DELETE CASCADE, change INTEGER NOT NULL, at_ms INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS kinesis_changes_of ON kinesis_changes(stream, change);"
    "CREATE TABLE IF NOT EXISTS kinesis_policies(stream INTEGER NOT NULL REFERENCES"
    " kinesis_streams(id) ON DELETE CASCADE, consumer INTEGER NOT NULL, policy TEXT NOT NULL,"
    " PRIMARY KEY(stream, consumer)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS kinesis_settings(name TEXT PRIMARY KEY, value INTEGER NOT NULL)"
    " WITHOUT ROWID;";

const char *kinesis_status_text(enum kinesis_status status)
{
    static const char *const texts[] = {"ACTIVE", "CREATING", "UPDATING", "DELETING"};

    return texts[status];
}

bool kinesis_is_live(const struct kinesis_stream *stream)
{
    return stream->life.status == KINESIS_ACTIVE || stream->life.status == KINESIS_UPDATING;
}

/* ---- rows */

bool kinesis_life_load(struct kinesis *k, struct kinesis_stream *stream)
{
    struct kinesis_life *life = &stream->life;
    sqlite3_stmt *st = NULL;
    bool ok = sqlite3_prepare_v2(k->local->db,
                                 "SELECT status, until_ms, key_id, metrics, warm"
                                 " FROM kinesis_life WHERE stream = ?",
                                 -1, &st, NULL) == SQLITE_OK;

    sql_bind_int(st, 1, stream->id);
    if (ok && sqlite3_step(st) == SQLITE_ROW) {
        life->status = (enum kinesis_status)(sqlite3_column_int(st, 0) & 3);
        life->until_ms = sqlite3_column_int64(st, 1);
        life->metrics = (uint32_t)sqlite3_column_int(st, 3);
        life->warm_mib = sqlite3_column_int64(st, 4);
        if (sqlite3_column_type(st, 2) == SQLITE_TEXT)
            ok = (life->key_id = strdup(sql_text(st, 2))) != NULL;
    }
    sqlite3_finalize(st);
    return ok;
}

bool kinesis_life_write(struct kinesis *k, const struct kinesis_stream *stream)
{
    const struct kinesis_life *life = &stream->life;
    sqlite3_stmt *st = NULL;
    bool ok;

    sqlite3_prepare_v2(k->local->db,
                       "INSERT OR REPLACE INTO kinesis_life(stream, status, until_ms, key_id,"
                       " metrics, warm) VALUES(?, ?, ?, ?, ?, ?)",
                       -1, &st, NULL);
    sql_bind_int(st, 1, stream->id);
    sql_bind_int(st, 2, life->status);
    sql_bind_int(st, 3, life->until_ms);
    if (life->key_id)
        sql_bind_text(st, 4, life->key_id);
    sql_bind_int(st, 5, life->metrics);
    sql_bind_int(st, 6, life->warm_mib);
    ok = sql_run(st);
    sqlite3_finalize(st);
    return ok;
}

void kinesis_life_fini(struct kinesis_life *life)
{
    free(life->key_id);
    free(life->rates);
}

/* ---- the timer */

/* A status that ends much later than it can comes from a clock that was set back. */
bool kinesis_is_due(const struct kinesis *k, int64_t until_ms, int64_t now_ms)
{
    int64_t transition_ms = k->local->config->transition_ms;

    return !transition_ms || until_ms <= now_ms || until_ms > now_ms + transition_ms + SLACK_MS;
}

/* False: the stream is gone. */
static bool end_status(struct kinesis *k, struct kinesis_stream *stream, int64_t now_ms)
{
    if (stream->life.status == KINESIS_DELETING) {
        stream->life.until_ms = now_ms + RETRY_MS; /* should it fail */
        return !kinesis_stream_remove(k, stream);
    }
    stream->life.status = KINESIS_ACTIVE;
    kinesis_life_write(k, stream); /* a row that stays behind ends the same way at the start */
    return true;
}

static void look(kp_node *node, void *arg)
{
    struct kinesis *k = arg;
    int64_t now_ms = local_now_ms(k->local), next_ms = INT64_MAX;

    (void)node;
    for (size_t i = 0; i < k->n_streams;) {
        struct kinesis_stream *stream = k->streams[i];

        if (stream->life.status && kinesis_is_due(k, stream->life.until_ms, now_ms) &&
            !end_status(k, stream, now_ms))
            continue;
        if (stream->life.status && stream->life.until_ms < next_ms)
            next_ms = stream->life.until_ms;
        kinesis_consumers_due(k, stream, now_ms, &next_ms);
        i++;
    }
    if (next_ms != INT64_MAX)
        kinesis_life_wake(k, next_ms);
}

void kinesis_life_wake(struct kinesis *k, int64_t until_ms)
{
    int64_t after_ms = until_ms - local_now_ms(k->local);

    if (k->life_at_ms > until_ms || !k->local->timer_ext->active(k->life_timer)) {
        k->life_at_ms = until_ms;
        k->local->timer_ext->start(k->life_timer, after_ms < 1 ? 1 : after_ms, 0);
    }
}

bool kinesis_life_open(struct kinesis *k)
{
    k->life_timer = k->local->timer_ext->create(k->local->node, look, k);
    return k->life_timer && sql_exec(k->local->db, schema);
}

void kinesis_life_close(struct kinesis *k)
{
    k->local->timer_ext->destroy(k->life_timer);
}

void kinesis_life_begin(struct kinesis *k)
{
    look(k->local->node, k);
}

/* ---- changes of the status */

int64_t kinesis_until(const struct kinesis_call *call)
{
    return call->now_ms + call->k->local->config->transition_ms;
}

static bool has_transitions(const struct kinesis_call *call)
{
    return call->k->local->config->transition_ms > 0;
}

void kinesis_updating(struct kinesis_call *call, struct kinesis_stream *stream)
{
    if (!has_transitions(call))
        return;
    stream->life.status = KINESIS_UPDATING;
    stream->life.until_ms = kinesis_until(call);
    kinesis_life_wake(call->k, stream->life.until_ms);
}

void kinesis_creating(struct kinesis_call *call, struct kinesis_life *life)
{
    if (!has_transitions(call))
        return;
    life->status = KINESIS_CREATING;
    life->until_ms = kinesis_until(call);
    kinesis_life_wake(call->k, life->until_ms);
}

bool kinesis_stream_end(struct kinesis_call *call, struct kinesis_stream *stream)
{
    struct kinesis_life before = stream->life;

    if (!has_transitions(call))
        return kinesis_stream_remove(call->k, stream);
    stream->life.status = KINESIS_DELETING;
    stream->life.until_ms = kinesis_until(call);
    if (!kinesis_life_write(call->k, stream)) {
        stream->life = before;
        return false;
    }
    kinesis_feed_end_stream(call->k, stream);
    kinesis_life_wake(call->k, stream->life.until_ms);
    return true;
}

/* ---- streams in the right status */

struct kinesis_stream *kinesis_find_live(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find(call);

    if (!stream || kinesis_is_live(stream))
        return stream;
    kinesis_fail(call, "ResourceNotFoundException", "Stream %s under account %s not found.",
                 stream->name, call->k->local->account);
    return NULL;
}

bool kinesis_need_active(struct kinesis_call *call, const struct kinesis_stream *stream)
{
    return stream->life.status == KINESIS_ACTIVE ||
           kinesis_fail(call, "ResourceInUseException",
                        "Stream %s under account %s not ACTIVE, instead in state %s", stream->name,
                        call->k->local->account, kinesis_status_text(stream->life.status));
}

struct kinesis_stream *kinesis_find_active(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find(call);

    return stream && kinesis_need_active(call, stream) ? stream : NULL;
}
