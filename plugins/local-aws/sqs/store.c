/* store.c - SQS's queues and messages in SQLite. */
#include "plugins/local-aws/sqs/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/sql.h"

enum slot {
    QUEUE_GET,
    QUEUE_GET_ID,
    QUEUE_ADD,
    QUEUE_CHANGE,
    QUEUE_DROP,
    QUEUE_DROP_MESSAGES,
    QUEUE_DROP_DEDUPS,
    QUEUE_DROP_ATTEMPTS,
    QUEUE_LIST,
    QUEUE_COUNT,
    QUEUE_EXPIRE,
    QUEUE_EXPIRE_DEDUPS,
    QUEUE_EXPIRE_ATTEMPTS,
    QUEUE_IN_FLIGHT,
    QUEUE_SEQUENCE,
    QUEUE_SEQUENCE_GET,
    MESSAGE_ADD,
    MESSAGE_GET,
    MESSAGE_TOUCH,
    MESSAGE_DROP,
    MESSAGE_READY,
    MESSAGE_READY_GROUP,
    MESSAGE_READY_HEAD,
    MESSAGE_NEXT,
    DEDUP_GET,
    DEDUP_ADD,
    ATTEMPT_GET,
    ATTEMPT_PUT,
    SLOTS
};

_Static_assert((int)SLOTS <= (int)SQS_STORE_STATEMENTS, "every statement has a slot");

static const char schema_text[] =
    "CREATE TABLE IF NOT EXISTS sqs_queue(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " scope TEXT NOT NULL, name TEXT NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL,"
    " purged INTEGER NOT NULL, sequence INTEGER NOT NULL, attributes TEXT NOT NULL,"
    " tags TEXT NOT NULL, UNIQUE(scope, name));"
    "CREATE TABLE IF NOT EXISTS sqs_message(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " queue INTEGER NOT NULL, uid TEXT NOT NULL, visible INTEGER NOT NULL, sent INTEGER NOT NULL,"
    " first INTEGER NOT NULL, received INTEGER NOT NULL, receives INTEGER NOT NULL,"
    " body TEXT NOT NULL, attributes TEXT, system TEXT NOT NULL, grp TEXT,"
    " sequence INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS sqs_message_visible ON sqs_message(queue, visible, id);"
    "CREATE INDEX IF NOT EXISTS sqs_message_sent ON sqs_message(queue, sent);"
    "CREATE INDEX IF NOT EXISTS sqs_message_group ON sqs_message(queue, grp, id)"
    " WHERE grp IS NOT NULL;"
    "CREATE INDEX IF NOT EXISTS sqs_message_fifo ON sqs_message(queue, id) WHERE sequence > 0;"
    "CREATE TABLE IF NOT EXISTS sqs_dedup(queue INTEGER NOT NULL, scope TEXT NOT NULL,"
    " id TEXT NOT NULL, until INTEGER NOT NULL, uid TEXT NOT NULL, sequence INTEGER NOT NULL,"
    " PRIMARY KEY(queue, scope, id)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS sqs_attempt(queue INTEGER NOT NULL, id TEXT NOT NULL,"
    " until INTEGER NOT NULL, given TEXT NOT NULL, PRIMARY KEY(queue, id)) WITHOUT ROWID;";

static sqlite3_stmt *use(struct sqs_store *store, enum slot slot, const char *text)
{
    return sql_use(store->db, &store->st[slot], text);
}

bool sqs_store_open(struct sqs_store *store, sqlite3 *db)
{
    memset(store, 0, sizeof(*store));
    store->db = db;
    return sql_exec(db, schema_text);
}

void sqs_store_close(struct sqs_store *store)
{
    for (int i = 0; i < SQS_STATEMENTS; i++)
        sqlite3_finalize(store->st[i]);
    memset(store, 0, sizeof(*store));
}

/* ---- queues ---- */

#define QUEUE_COLUMNS "id, name, created, modified, purged, attributes, tags"

static bool read_queue(sqlite3_stmt *st, struct sqs_queue *ret)
{
    size_t n;

    ret->id = sqlite3_column_int64(st, 0);
    snprintf(ret->name, sizeof(ret->name), "%s", sql_text(st, 1));
    n = strlen(ret->name);
    ret->is_fifo = n > 5 && strcmp(ret->name + n - 5, ".fifo") == 0;
    ret->created_ms = sqlite3_column_int64(st, 2);
    ret->modified_ms = sqlite3_column_int64(st, 3);
    ret->purged_ms = sqlite3_column_int64(st, 4);
    ret->attributes = json_loads(sql_text(st, 5), 0, NULL);
    ret->tags = json_loads(sql_text(st, 6), 0, NULL);
    return ret->attributes && ret->tags;
}

static bool read_one_queue(sqlite3_stmt *st, struct sqs_queue *ret)
{
    bool ok;

    memset(ret, 0, sizeof(*ret));
    if (!sql_row(st))
        return false;
    ok = read_queue(st, ret);
    sqlite3_reset(st);
    return ok;
}

bool sqs_queue_find(struct sqs_store *store, const char *scope, const char *name,
                    struct sqs_queue *ret)
{
    sqlite3_stmt *st = use(store, QUEUE_GET,
                           "SELECT " QUEUE_COLUMNS " FROM sqs_queue WHERE scope = ? AND name = ?");

    sql_bind_text(st, 1, scope);
    sql_bind_text(st, 2, name);
    return read_one_queue(st, ret);
}

bool sqs_queue_find_id(struct sqs_store *store, int64_t id, struct sqs_queue *ret)
{
    sqlite3_stmt *st =
        use(store, QUEUE_GET_ID, "SELECT " QUEUE_COLUMNS " FROM sqs_queue WHERE id = ?");

    sql_bind_int(st, 1, id);
    return read_one_queue(st, ret);
}

void sqs_queue_fini(struct sqs_queue *queue)
{
    json_decref(queue->attributes);
    json_decref(queue->tags);
    queue->attributes = NULL;
    queue->tags = NULL;
}

bool sqs_queue_add(struct sqs_store *store, const char *scope, const struct sqs_queue *queue)
{
    sqlite3_stmt *st = use(store, QUEUE_ADD,
                           "INSERT INTO sqs_queue(scope, name, created, modified, purged, sequence,"
                           " attributes, tags) VALUES(?, ?, ?, ?, 0, 0, ?, ?)");
    char *attributes = json_dumps(queue->attributes, JSON_COMPACT);
    char *tags = json_dumps(queue->tags, JSON_COMPACT);
    bool ok;

    sql_bind_text(st, 1, scope);
    sql_bind_text(st, 2, queue->name);
    sql_bind_int(st, 3, queue->created_ms);
    sql_bind_int(st, 4, queue->modified_ms);
    sql_bind_text(st, 5, attributes);
    sql_bind_text(st, 6, tags);
    ok = attributes && tags && sql_run(st);
    free(attributes);
    free(tags);
    return ok;
}

bool sqs_queue_change(struct sqs_store *store, const struct sqs_queue *queue)
{
    sqlite3_stmt *st = use(store, QUEUE_CHANGE,
                           "UPDATE sqs_queue SET modified = ?, purged = ?, attributes = ?, tags = ?"
                           " WHERE id = ?");
    char *attributes = json_dumps(queue->attributes, JSON_COMPACT);
    char *tags = json_dumps(queue->tags, JSON_COMPACT);
    bool ok;

    sql_bind_int(st, 1, queue->modified_ms);
    sql_bind_int(st, 2, queue->purged_ms);
    sql_bind_text(st, 3, attributes);
    sql_bind_text(st, 4, tags);
    sql_bind_int(st, 5, queue->id);
    ok = attributes && tags && sql_run(st);
    free(attributes);
    free(tags);
    return ok;
}

static bool drop(struct sqs_store *store, enum slot slot, const char *text, int64_t id)
{
    sqlite3_stmt *st = use(store, slot, text);

    sql_bind_int(st, 1, id);
    return sql_run(st);
}

bool sqs_queue_purge(struct sqs_store *store, int64_t queue)
{
    return drop(store, QUEUE_DROP_MESSAGES, "DELETE FROM sqs_message WHERE queue = ?", queue);
}

bool sqs_queue_remove(struct sqs_store *store, int64_t id)
{
    return sqs_queue_purge(store, id) &&
           drop(store, QUEUE_DROP_DEDUPS, "DELETE FROM sqs_dedup WHERE queue = ?", id) &&
           drop(store, QUEUE_DROP_ATTEMPTS, "DELETE FROM sqs_attempt WHERE queue = ?", id) &&
           drop(store, QUEUE_DROP, "DELETE FROM sqs_queue WHERE id = ?", id);
}

void sqs_queue_each(struct sqs_store *store, const struct sqs_range *range, sqs_queue_fn fn,
                    void *arg)
{
    sqlite3_stmt *st = use(store, QUEUE_LIST,
                           "SELECT " QUEUE_COLUMNS " FROM sqs_queue WHERE scope = ? AND name > ?"
                           " ORDER BY name");
    bool more = true;

    sql_bind_text(st, 1, range->scope);
    sql_bind_text(st, 2, range->after);
    while (more && sql_row(st)) {
        struct sqs_queue queue = {0};

        if (read_queue(st, &queue) &&
            strncmp(queue.name, range->prefix, strlen(range->prefix)) == 0)
            more = fn(arg, &queue);
        sqs_queue_fini(&queue);
    }
    if (st)
        sqlite3_reset(st);
}

void sqs_queue_count(struct sqs_store *store, int64_t queue, int64_t now_ms, struct sqs_counts *ret)
{
    sqlite3_stmt *st =
        use(store, QUEUE_COUNT,
            "SELECT total(visible <= ?2), total(visible > ?2 AND receives > 0),"
            " total(visible > ?2 AND receives = 0) FROM sqs_message WHERE queue = ?1");

    *ret = (struct sqs_counts){0, 0, 0};
    sql_bind_int(st, 1, queue);
    sql_bind_int(st, 2, now_ms);
    if (!sql_row(st))
        return;
    *ret = (struct sqs_counts){sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1),
                               sqlite3_column_int64(st, 2)};
    sqlite3_reset(st);
}

int64_t sqs_queue_in_flight(struct sqs_store *store, int64_t queue, int64_t now_ms)
{
    sqlite3_stmt *st = use(store, QUEUE_IN_FLIGHT,
                           "SELECT count(*) FROM (SELECT 1 FROM sqs_message WHERE queue = ?"
                           " AND visible > ? AND receives > 0 LIMIT ?)");
    int64_t n;

    sql_bind_int(st, 1, queue);
    sql_bind_int(st, 2, now_ms);
    sql_bind_int(st, 3, SQS_IN_FLIGHT_MAX);
    if (!sql_row(st))
        return 0;
    n = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return n;
}

bool sqs_queue_expire(struct sqs_store *store, int64_t queue, int64_t sent_ms, int64_t now_ms)
{
    sqlite3_stmt *st =
        use(store, QUEUE_EXPIRE, "DELETE FROM sqs_message WHERE queue = ? AND sent <= ?");
    sqlite3_stmt *dedups =
        use(store, QUEUE_EXPIRE_DEDUPS, "DELETE FROM sqs_dedup WHERE queue = ? AND until <= ?");
    sqlite3_stmt *attempts =
        use(store, QUEUE_EXPIRE_ATTEMPTS, "DELETE FROM sqs_attempt WHERE queue = ? AND until <= ?");

    sql_bind_int(st, 1, queue);
    sql_bind_int(st, 2, sent_ms);
    sql_bind_int(dedups, 1, queue);
    sql_bind_int(dedups, 2, now_ms);
    sql_bind_int(attempts, 1, queue);
    sql_bind_int(attempts, 2, now_ms);
    return sql_run(st) && sql_run(dedups) && sql_run(attempts);
}

/* ---- messages ---- */

void sqs_message_fini(struct sqs_message *message)
{
    json_decref(message->body);
    json_decref(message->attributes);
    json_decref(message->system);
    message->body = message->attributes = message->system = NULL;
    message->group = NULL;
}

static bool next_sequence(struct sqs_store *store, int64_t queue, int64_t *ret)
{
    sqlite3_stmt *st =
        use(store, QUEUE_SEQUENCE, "UPDATE sqs_queue SET sequence = sequence + 1 WHERE id = ?");

    sql_bind_int(st, 1, queue);
    if (!sql_run(st))
        return false;
    st = use(store, QUEUE_SEQUENCE_GET, "SELECT sequence FROM sqs_queue WHERE id = ?");
    sql_bind_int(st, 1, queue);
    if (!sql_row(st))
        return false;
    *ret = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return true;
}

static bool insert(struct sqs_store *store, int64_t queue, struct sqs_message *message,
                   const char *texts[2])
{
    sqlite3_stmt *st = use(store, MESSAGE_ADD,
                           "INSERT INTO sqs_message(queue, uid, visible, sent, first, received,"
                           " receives, body, attributes, system, grp, sequence)"
                           " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");

    sql_bind_int(st, 1, queue);
    sql_bind_text(st, 2, message->uid);
    sql_bind_int(st, 3, message->visible_ms);
    sql_bind_int(st, 4, message->sent_ms);
    sql_bind_int(st, 5, message->first_ms);
    sql_bind_int(st, 6, message->received_ms);
    sql_bind_int(st, 7, message->receives);
    if (st)
        sqlite3_bind_text64(st, 8, json_string_value(message->body),
                            json_string_length(message->body), SQLITE_STATIC, SQLITE_UTF8);
    if (texts[0])
        sql_bind_text(st, 9, texts[0]);
    sql_bind_text(st, 10, texts[1]);
    if (message->group)
        sql_bind_text(st, 11, message->group);
    sql_bind_int(st, 12, message->sequence);
    if (!sql_run(st))
        return false;
    message->id = sqlite3_last_insert_rowid(store->db);
    return true;
}

bool sqs_message_add(struct sqs_store *store, const struct sqs_queue *queue,
                     struct sqs_message *message)
{
    char *attributes = message->attributes ? json_dumps(message->attributes, JSON_COMPACT) : NULL;
    char *system = json_dumps(message->system, JSON_COMPACT);
    const char *texts[2] = {attributes, system};
    bool ok = system && (attributes || !message->attributes) &&
              (!queue->is_fifo || next_sequence(store, queue->id, &message->sequence)) &&
              insert(store, queue->id, message, texts);

    free(attributes);
    free(system);
    return ok;
}

bool sqs_message_find(struct sqs_store *store, int64_t queue, int64_t id, struct sqs_message *ret)
{
    sqlite3_stmt *st = use(store, MESSAGE_GET,
                           "SELECT id, uid, visible, sent, first, received, receives, body,"
                           " attributes, system, sequence FROM sqs_message WHERE id = ?"
                           " AND queue = ?");

    memset(ret, 0, sizeof(*ret));
    sql_bind_int(st, 1, id);
    sql_bind_int(st, 2, queue);
    if (!sql_row(st))
        return false;
    ret->id = sqlite3_column_int64(st, 0);
    snprintf(ret->uid, sizeof(ret->uid), "%s", sql_text(st, 1));
    ret->visible_ms = sqlite3_column_int64(st, 2);
    ret->sent_ms = sqlite3_column_int64(st, 3);
    ret->first_ms = sqlite3_column_int64(st, 4);
    ret->received_ms = sqlite3_column_int64(st, 5);
    ret->receives = sqlite3_column_int64(st, 6);
    ret->body = json_stringn(sql_text(st, 7), (size_t)sqlite3_column_bytes(st, 7));
    if (sqlite3_column_type(st, 8) != SQLITE_NULL)
        ret->attributes = json_loads(sql_text(st, 8), 0, NULL);
    ret->system = json_loads(sql_text(st, 9), 0, NULL);
    ret->group = json_string_value(json_object_get(ret->system, "MessageGroupId"));
    ret->sequence = sqlite3_column_int64(st, 10);
    sqlite3_reset(st);
    return ret->body && ret->system;
}

bool sqs_message_touch(struct sqs_store *store, const struct sqs_message *message)
{
    sqlite3_stmt *st = use(store, MESSAGE_TOUCH,
                           "UPDATE sqs_message SET visible = ?, first = ?, received = ?,"
                           " receives = ? WHERE id = ?");

    sql_bind_int(st, 1, message->visible_ms);
    sql_bind_int(st, 2, message->first_ms);
    sql_bind_int(st, 3, message->received_ms);
    sql_bind_int(st, 4, message->receives);
    sql_bind_int(st, 5, message->id);
    return sql_run(st);
}

bool sqs_message_remove(struct sqs_store *store, int64_t id)
{
    return drop(store, MESSAGE_DROP, "DELETE FROM sqs_message WHERE id = ?", id);
}

bool sqs_message_move(struct sqs_store *store, const struct sqs_message *message,
                      const struct sqs_queue *target, const char *origin, int64_t now_ms)
{
    struct sqs_message copy = *message;
    bool ok;

    copy.system = json_copy(message->system);
    json_object_set_new(copy.system, "DeadLetterQueueSourceArn", json_string(origin));
    copy.visible_ms = now_ms;
    if (target->is_fifo)
        copy.sent_ms = now_ms;
    ok = sqs_message_add(store, target, &copy) && sqs_message_remove(store, message->id);
    json_decref(copy.system);
    return ok;
}

struct ids {
    int64_t *at; /* [borrowed] */
    size_t n, max;
};

/* The ready messages of a group, from its first one on. */
static void ready_of_group(struct sqs_store *store, int64_t queue, const char *group,
                           int64_t now_ms, struct ids *ids)
{
    sqlite3_stmt *st = use(store, MESSAGE_READY_GROUP,
                           "SELECT id, visible FROM sqs_message WHERE queue = ? AND grp = ?"
                           " ORDER BY id");

    sql_bind_int(st, 1, queue);
    sql_bind_text(st, 2, group);
    while (ids->n < ids->max && sql_row(st) && sqlite3_column_int64(st, 1) <= now_ms)
        ids->at[ids->n++] = sqlite3_column_int64(st, 0);
    if (st)
        sqlite3_reset(st);
}

/* Goes from the head of one group to the head of the next: the first message of a group, if it is
 * visible. */
static void ready_fifo(struct sqs_store *store, int64_t queue, int64_t now_ms, struct ids *ids)
{
    int64_t head = 0;

    while (ids->n < ids->max) {
        sqlite3_stmt *st =
            use(store, MESSAGE_READY_HEAD,
                "SELECT id, grp FROM sqs_message AS m INDEXED BY sqs_message_fifo WHERE queue = ?1"
                " AND id > ?2 AND sequence > 0 AND visible <= ?3 AND NOT EXISTS (SELECT 1 FROM"
                " sqs_message AS e WHERE e.queue = ?1 AND e.grp = m.grp AND e.id < m.id)"
                " ORDER BY id LIMIT 1");
        char group[SQS_GROUP_MAX];

        sql_bind_int(st, 1, queue);
        sql_bind_int(st, 2, head);
        sql_bind_int(st, 3, now_ms);
        if (!sql_row(st))
            return;
        head = sqlite3_column_int64(st, 0);
        snprintf(group, sizeof(group), "%s", sql_text(st, 1));
        sqlite3_reset(st);
        ready_of_group(store, queue, group, now_ms, ids);
    }
}

static void ready_standard(struct sqs_store *store, int64_t queue, int64_t now_ms, struct ids *ids)
{
    sqlite3_stmt *st = use(store, MESSAGE_READY,
                           "SELECT id FROM sqs_message WHERE queue = ?1 AND visible <= ?2"
                           " ORDER BY visible, id LIMIT ?3");

    sql_bind_int(st, 1, queue);
    sql_bind_int(st, 2, now_ms);
    sql_bind_int(st, 3, (long long)ids->max);
    while (ids->n < ids->max && sql_row(st))
        ids->at[ids->n++] = sqlite3_column_int64(st, 0);
    if (st)
        sqlite3_reset(st);
}

size_t sqs_message_ready(struct sqs_store *store, const struct sqs_queue *queue, int64_t now_ms,
                         int64_t *ids, size_t max)
{
    struct ids out = {ids, 0, max};

    if (queue->is_fifo)
        ready_fifo(store, queue->id, now_ms, &out);
    else
        ready_standard(store, queue->id, now_ms, &out);
    return out.n;
}

int64_t sqs_message_next(struct sqs_store *store, int64_t queue, int64_t now_ms)
{
    sqlite3_stmt *st = use(store, MESSAGE_NEXT,
                           "SELECT visible FROM sqs_message WHERE queue = ? AND visible > ?"
                           " ORDER BY visible LIMIT 1");
    int64_t ret;

    sql_bind_int(st, 1, queue);
    sql_bind_int(st, 2, now_ms);
    if (!sql_row(st))
        return 0;
    ret = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return ret;
}

/* ---- de-duplication ---- */

bool sqs_dedup_find(struct sqs_store *store, int64_t queue, const struct sqs_dedup *dedup,
                    int64_t now_ms, struct sqs_message *ret)
{
    sqlite3_stmt *st = use(store, DEDUP_GET,
                           "SELECT uid, sequence FROM sqs_dedup WHERE queue = ? AND scope = ? AND"
                           " id = ? AND until > ?");

    sql_bind_int(st, 1, queue);
    sql_bind_text(st, 2, dedup->scope);
    sql_bind_text(st, 3, dedup->id);
    sql_bind_int(st, 4, now_ms);
    if (!sql_row(st))
        return false;
    snprintf(ret->uid, sizeof(ret->uid), "%s", sql_text(st, 0));
    ret->sequence = sqlite3_column_int64(st, 1);
    sqlite3_reset(st);
    return true;
}

bool sqs_dedup_add(struct sqs_store *store, int64_t queue, const struct sqs_dedup *dedup,
                   int64_t until_ms, const struct sqs_message *message)
{
    sqlite3_stmt *st = use(store, DEDUP_ADD,
                           "INSERT OR REPLACE INTO sqs_dedup(queue, scope, id, until, uid,"
                           " sequence) VALUES(?, ?, ?, ?, ?, ?)");

    sql_bind_int(st, 1, queue);
    sql_bind_text(st, 2, dedup->scope);
    sql_bind_text(st, 3, dedup->id);
    sql_bind_int(st, 4, until_ms);
    sql_bind_text(st, 5, message->uid);
    sql_bind_int(st, 6, message->sequence);
    return sql_run(st);
}

/* ---- attempts ---- */

json_t *sqs_attempt_find(struct sqs_store *store, int64_t queue, const char *id, int64_t now_ms)
{
    sqlite3_stmt *st =
        use(store, ATTEMPT_GET,
            "SELECT given FROM sqs_attempt WHERE queue = ? AND id = ? AND until > ?");
    json_t *given = NULL;

    sql_bind_int(st, 1, queue);
    sql_bind_text(st, 2, id);
    sql_bind_int(st, 3, now_ms);
    if (sql_row(st)) {
        given = json_loads(sql_text(st, 0), 0, NULL);
        sqlite3_reset(st);
    }
    return given;
}

bool sqs_attempt_put(struct sqs_store *store, int64_t queue, const char *id, int64_t until_ms,
                     const json_t *given)
{
    sqlite3_stmt *st = use(store, ATTEMPT_PUT,
                           "INSERT OR REPLACE INTO sqs_attempt(queue, id, until, given)"
                           " VALUES(?, ?, ?, ?)");
    char *text = json_dumps(given, JSON_COMPACT);
    bool ok;

    sql_bind_int(st, 1, queue);
    sql_bind_text(st, 2, id);
    sql_bind_int(st, 3, until_ms);
    sql_bind_text(st, 4, text);
    ok = text && sql_run(st);
    free(text);
    return ok;
}
