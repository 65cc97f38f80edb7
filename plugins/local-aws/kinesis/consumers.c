/* consumers.c - registered consumers: rows of state.db, and a list by name at each stream. */
#include "plugins/local-aws/kinesis/consumers.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/sql.h"

#define TOKEN_CONSUMERS 'c'

enum { PAGE = 100, RETRY_MS = 1000 };

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS kinesis_consumers(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " stream INTEGER NOT NULL REFERENCES kinesis_streams(id) ON DELETE CASCADE, name TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL, status INTEGER NOT NULL, until_ms INTEGER NOT NULL,"
    " UNIQUE(stream, name));"
    "CREATE TABLE IF NOT EXISTS kinesis_consumer_tags(consumer INTEGER NOT NULL REFERENCES"
    " kinesis_consumers(id) ON DELETE CASCADE, key TEXT NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY(consumer, key)) WITHOUT ROWID;";

/* ---- the list */

static void insert(struct kinesis_stream *stream, struct kinesis_consumer *consumer)
{
    struct kinesis_consumer **at = &stream->consumers;

    while (*at && strcmp((*at)->name, consumer->name) < 0)
        at = &(*at)->next;
    consumer->next = *at;
    *at = consumer;
}

static struct kinesis_consumer *named(const struct kinesis_stream *stream, struct kpw_slice name)
{
    struct kinesis_consumer *consumer = stream->consumers;

    while (consumer && !kpw_slice_is(name, consumer->name))
        consumer = consumer->next;
    return consumer;
}

size_t kinesis_count_consumers(const struct kinesis_stream *stream)
{
    size_t n = 0;

    for (const struct kinesis_consumer *c = stream->consumers; c; c = c->next)
        n++;
    return n;
}

static void free_consumer(struct kinesis_consumer *consumer)
{
    struct kinesis_fan *fan, *next;

    for (fan = consumer->fans; fan; fan = next) {
        next = fan->next;
        kinesis_fan_free(fan);
    }
    free(consumer);
}

void kinesis_consumers_drop(struct kinesis_stream *stream)
{
    struct kinesis_consumer *consumer, *next;

    for (consumer = stream->consumers; consumer; consumer = next) {
        next = consumer->next;
        free_consumer(consumer);
    }
    stream->consumers = NULL;
}

void kinesis_consumers_close(struct kinesis *k)
{
    for (size_t i = 0; i < k->n_streams; i++)
        kinesis_consumers_drop(k->streams[i]);
}

/* ---- rows */

static bool write_row(struct kinesis *k, struct kinesis_consumer *consumer)
{
    sqlite3_stmt *st =
        sql_once(k->local->db, "INSERT INTO kinesis_consumers(stream, name, created_ms, status,"
                               " until_ms) VALUES(?, ?, ?, ?, ?)");

    sql_bind_int(st, 1, consumer->stream->id);
    sql_bind_text(st, 2, consumer->name);
    sql_bind_int(st, 3, consumer->created_ms);
    sql_bind_int(st, 4, consumer->status);
    sql_bind_int(st, 5, consumer->until_ms);
    if (!sql_finish(st))
        return false;
    consumer->id = sqlite3_last_insert_rowid(k->local->db);
    return true;
}

static bool write_status(struct kinesis *k, const struct kinesis_consumer *consumer)
{
    sqlite3_stmt *st = sql_once(
        k->local->db, "UPDATE kinesis_consumers SET status = ?, until_ms = ? WHERE id = ?");

    sql_bind_int(st, 1, consumer->status);
    sql_bind_int(st, 2, consumer->until_ms);
    sql_bind_int(st, 3, consumer->id);
    return sql_finish(st);
}

static bool remove_row(struct kinesis *k, const struct kinesis_consumer *consumer)
{
    static const char *const texts[] = {"DELETE FROM kinesis_consumers WHERE id = ?",
                                        "DELETE FROM kinesis_policies WHERE consumer = ?"};
    bool ok = sql_begin(k->local->db);

    for (size_t i = 0; ok && i < 2; i++) {
        sqlite3_stmt *st = sql_once(k->local->db, texts[i]);

        sql_bind_int(st, 1, consumer->id);
        ok = sql_finish(st);
    }
    return sql_end(k->local->db, ok);
}

bool kinesis_consumers_load(struct kinesis *k)
{
    sqlite3_stmt *st;
    bool ok;

    if (!sql_exec(k->local->db, schema))
        return false;
    st = sql_once(k->local->db,
                  "SELECT id, stream, name, created_ms, status, until_ms FROM kinesis_consumers");
    ok = st != NULL;
    while (ok && sqlite3_step(st) == SQLITE_ROW) {
        struct kinesis_stream *stream = kinesis_stream_by_id(k, sqlite3_column_int64(st, 1));
        struct kinesis_consumer *consumer = calloc(1, sizeof *consumer);

        ok = stream && consumer;
        if (!ok) {
            free(consumer);
            break;
        }
        consumer->stream = stream;
        consumer->id = sqlite3_column_int64(st, 0);
        snprintf(consumer->name, sizeof consumer->name, "%s", sql_text(st, 2));
        consumer->created_ms = sqlite3_column_int64(st, 3);
        consumer->status = (enum kinesis_status)(sqlite3_column_int(st, 4) & 3);
        consumer->until_ms = sqlite3_column_int64(st, 5);
        insert(stream, consumer);
    }
    sqlite3_finalize(st);
    return ok;
}

/* ---- status */

/* True: it is gone. */
static bool remove_consumer(struct kinesis *k, struct kinesis_consumer **at)
{
    struct kinesis_consumer *consumer = *at;

    if (!remove_row(k, consumer))
        return false;
    *at = consumer->next;
    free_consumer(consumer);
    return true;
}

void kinesis_consumers_due(struct kinesis *k, struct kinesis_stream *stream, int64_t now_ms,
                           int64_t *next_ms)
{
    struct kinesis_consumer **at = &stream->consumers;

    while (*at) {
        struct kinesis_consumer *consumer = *at;

        if (consumer->status && kinesis_is_due(k, consumer->until_ms, now_ms)) {
            if (consumer->status == KINESIS_DELETING) {
                if (remove_consumer(k, at))
                    continue;
                consumer->until_ms = now_ms + RETRY_MS;
            } else {
                consumer->status = KINESIS_ACTIVE;
                write_status(k, consumer); /* or the next start does */
            }
        }
        if (consumer->status && consumer->until_ms < *next_ms)
            *next_ms = consumer->until_ms;
        at = &consumer->next;
    }
}

/* ---- answers */

void kinesis_consumer_arn(struct kinesis *k, const struct kinesis_consumer *consumer,
                          struct kpw_buf *out)
{
    kinesis_arn(k, consumer->stream, out);
    kpw_buf_appendf(out, "/consumer/%s:%lld", consumer->name,
                    (long long)(consumer->created_ms / 1000));
}

/* The members of a Consumer. */
static void write_consumer(struct write *w, struct kinesis *k,
                           const struct kinesis_consumer *consumer, enum kinesis_status status)
{
    size_t begun;

    write_member(w, "ConsumerName", consumer->name);
    write_key(w, "ConsumerARN");
    begun = write_text_begin(w);
    kinesis_consumer_arn(k, consumer, w->out);
    write_text_end(w, begun);
    write_member(w, "ConsumerStatus", kinesis_status_text(status));
    write_member_time(w, "ConsumerCreationTimestamp", consumer->created_ms);
}

/* ---- RegisterStreamConsumer */

/* False: answered. */
static bool may_register(struct kinesis_call *call, const struct kinesis_stream *stream,
                         struct kpw_slice name)
{
    const char *account = call->k->local->account;
    unsigned n = 0, creating = 0;

    if (named(stream, name))
        return kinesis_fail(call, "ResourceInUseException",
                            "Consumer %.*s under stream %s already exists for account %s.",
                            (int)name.len, name.ptr, stream->name, account);
    for (const struct kinesis_consumer *c = stream->consumers; c; c = c->next, n++)
        creating += c->status == KINESIS_CREATING;
    if (n >= KINESIS_CONSUMERS_MAX)
        return kinesis_fail(call, "LimitExceededException",
                            "Stream %s under account %s has %u consumers, and may have %d.",
                            stream->name, account, n, KINESIS_CONSUMERS_MAX);
    return creating < KINESIS_CREATING_MAX ||
           kinesis_fail(call, "LimitExceededException",
                        "Stream %s under account %s has %u consumers in state CREATING, and may "
                        "have %d.",
                        stream->name, account, creating, KINESIS_CREATING_MAX);
}

/* NULL: no memory or no disk. */
static struct kinesis_consumer *make(struct kinesis_call *call, struct kinesis_stream *stream,
                                     struct kpw_slice name)
{
    struct kinesis_consumer *consumer = calloc(1, sizeof *consumer);
    sqlite3 *db = call->k->local->db;

    if (!consumer)
        return NULL;
    consumer->stream = stream;
    consumer->created_ms = call->now_ms;
    memcpy(consumer->name, name.ptr, name.len);
    if (call->k->local->config->transition_ms) {
        consumer->status = KINESIS_CREATING;
        consumer->until_ms = kinesis_until(call);
    }
    if (!sql_end(db, sql_begin(db) && write_row(call->k, consumer) &&
                         kinesis_consumer_tags(call, consumer))) {
        free(consumer);
        return NULL;
    }
    insert(stream, consumer);
    if (consumer->status)
        kinesis_life_wake(call->k, consumer->until_ms);
    return consumer;
}

/* It answers CREATING in any case, as the service does. */
void kinesis_register_consumer(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find_live(call);
    struct kpw_slice name = check_get(call->check, "ConsumerName")->text;
    const struct check_value *tags = check_get(call->check, "Tags");
    char owner[KINESIS_OWNER_SIZE];
    struct kinesis_consumer *consumer;
    struct write *w;

    snprintf(owner, sizeof owner, "consumer %.*s", (int)name.len, name.ptr);
    if (!stream || !may_register(call, stream, name) ||
        !kinesis_check_tags(call, owner, tags, tags->count * 2, "add tags to"))
        return;
    consumer = make(call, stream, name);
    if (!consumer) {
        kinesis_trouble(call, "the consumer cannot be made");
        return;
    }
    w = kinesis_write(call);
    write_object(w);
    write_key(w, "Consumer");
    write_object(w);
    write_consumer(w, call->k, consumer, KINESIS_CREATING);
    write_object_end(w);
    write_object_end(w);
    kinesis_answer(call);
}

/* ---- Describe, Deregister */

bool kinesis_consumer_active(struct kinesis_call *call, const struct kinesis_consumer *consumer)
{
    return !consumer->status ||
           kinesis_fail(call, "ResourceInUseException",
                        "Consumer %s with creation timestamp %lld under stream %s and account %s "
                        "is not in ACTIVE status.",
                        consumer->name, (long long)(consumer->created_ms / 1000),
                        consumer->stream->name, call->k->local->account);
}

/* The consumer by ConsumerARN, by StreamARN and ConsumerName, or by all; NULL: answered. */
static struct kinesis_consumer *find_consumer(struct kinesis_call *call)
{
    const struct check_value *arn = check_get(call->check, "ConsumerARN");
    const struct check_value *name = check_get(call->check, "ConsumerName");
    const struct check_value *stream_arn = check_get(call->check, "StreamARN");
    struct kinesis_consumer *consumer;
    struct kinesis_stream *stream;

    if (!arn->is_given && !(name->is_given && stream_arn->is_given)) {
        kinesis_fail(call, "InvalidArgumentException",
                     "ConsumerARN, or both ConsumerName and StreamARN, must be provided.");
        return NULL;
    }
    if (arn->is_given) {
        consumer = kinesis_consumer_of(call, arn->text);
        if (consumer &&
            ((name->is_given && !kpw_slice_is(name->text, consumer->name)) ||
             (stream_arn->is_given &&
              !kpw_slice_is(kinesis_name_of_arn(stream_arn->text), consumer->stream->name)))) {
            kinesis_fail(call, "InvalidArgumentException",
                         "ConsumerARN, ConsumerName and StreamARN name different consumers.");
            return NULL;
        }
        return consumer;
    }
    stream = kinesis_find(call);
    consumer = stream ? named(stream, name->text) : NULL;
    if (stream && !consumer)
        kinesis_fail(call, "ResourceNotFoundException",
                     "Consumer %.*s under stream %s not found for account %s.", (int)name->text.len,
                     name->text.ptr, stream->name, call->k->local->account);
    return consumer;
}

void kinesis_describe_consumer(struct kinesis_call *call)
{
    struct kinesis_consumer *consumer = find_consumer(call);
    struct write *w;

    if (!consumer)
        return;
    w = kinesis_write(call);
    write_object(w);
    write_key(w, "ConsumerDescription");
    write_object(w);
    write_consumer(w, call->k, consumer, consumer->status);
    kinesis_write_arn(call->k, consumer->stream, w);
    write_object_end(w);
    write_object_end(w);
    kinesis_answer(call);
}

/* Its subscriptions end now. False: state.db cannot be written. */
static bool end_consumer(struct kinesis_call *call, struct kinesis_consumer *consumer)
{
    struct kinesis *k = call->k;
    struct kinesis_consumer **at = &consumer->stream->consumers;
    struct kpw_buf arn = KPW_BUF_INIT;
    const char *text;

    if (k->local->config->transition_ms) {
        consumer->status = KINESIS_DELETING;
        consumer->until_ms = kinesis_until(call);
        if (!write_status(k, consumer)) {
            consumer->status = KINESIS_ACTIVE;
            return false;
        }
        kinesis_life_wake(k, consumer->until_ms);
    }
    kinesis_consumer_arn(k, consumer, &arn);
    text = kpw_buf_cstr(&arn);
    for (struct kinesis_fan *fan = consumer->fans; fan; fan = fan->next)
        kinesis_feed_end(k, fan, "ResourceNotFoundException", "Consumer %s not found.",
                         text ? text : consumer->name);
    kpw_buf_fini(&arn);
    if (consumer->status == KINESIS_DELETING)
        return true;
    while (*at != consumer)
        at = &(*at)->next;
    return remove_consumer(k, at);
}

void kinesis_deregister_consumer(struct kinesis_call *call)
{
    struct kinesis_consumer *consumer = find_consumer(call);

    if (!consumer || !kinesis_consumer_active(call, consumer))
        return;
    if (end_consumer(call, consumer))
        kinesis_answer_empty(call);
    else
        kinesis_trouble(call, "state.db cannot be written");
}

/* ---- ListStreamConsumers: a NextToken is the stream's id and the last name */

/* Consumers behind `*after` are listed. False: answered. */
static bool read_token(struct kinesis_call *call, const struct kinesis_stream *stream,
                       char after[KINESIS_NAME_MAX + 1])
{
    const struct check_value *token = check_get(call->check, "NextToken");
    struct kpw_buf *text = kinesis_out(call);
    int64_t issued_ms;
    uint64_t id;

    after[0] = '\0';
    if (!token->is_given)
        return true;
    if (check_get(call->check, "StreamCreationTimestamp")->is_given)
        return kinesis_fail(call, "InvalidArgumentException",
                            "NextToken and StreamCreationTimestamp cannot be provided together.");
    if (!kinesis_unseal(call->k, TOKEN_CONSUMERS, token->text, text, &issued_ms) ||
        text->len <= sizeof id || text->len > sizeof id + KINESIS_NAME_MAX)
        return kinesis_fail(call, "InvalidArgumentException", "Invalid NextToken.");
    if (call->now_ms - issued_ms > KINESIS_TOKEN_MS)
        return kinesis_fail(call, "ExpiredNextTokenException", "The NextToken has expired.");
    memcpy(&id, text->ptr, sizeof id);
    if ((int64_t)le64toh(id) != stream->id)
        return kinesis_fail(call, "InvalidArgumentException", "Invalid NextToken.");
    memcpy(after, text->ptr + sizeof id, text->len - sizeof id);
    after[text->len - sizeof id] = '\0';
    return true;
}

static void write_token(struct kinesis_call *call, struct write *w,
                        const struct kinesis_consumer *last)
{
    uint64_t id = htole64((uint64_t)last->stream->id);
    char text[sizeof id + KINESIS_NAME_MAX];
    size_t len = strlen(last->name), begun;

    memcpy(text, &id, sizeof id);
    memcpy(text + sizeof id, last->name, len);
    write_key(w, "NextToken");
    begun = write_text_begin(w);
    kinesis_seal(call->k, TOKEN_CONSUMERS, call->now_ms, kpw_slice(text, sizeof id + len), w->out);
    write_text_end(w, begun);
}

void kinesis_list_consumers(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find(call);
    const struct check_value *limit = check_get(call->check, "MaxResults");
    const struct check_value *created = check_get(call->check, "StreamCreationTimestamp");
    size_t most = limit->is_given && limit->number < PAGE ? (size_t)limit->number : PAGE, n = 0;
    const struct kinesis_consumer *consumer, *last = NULL;
    char after[KINESIS_NAME_MAX + 1];
    struct write *w;

    if (!stream || !read_token(call, stream, after))
        return;
    if (created->is_given && created->number / 1000 != stream->created_ms / 1000) {
        kinesis_fail(call, "ResourceNotFoundException", "Stream %s under account %s not found.",
                     stream->name, call->k->local->account);
        return;
    }
    w = kinesis_write(call);
    write_object(w);
    write_key(w, "Consumers");
    write_list(w);
    for (consumer = stream->consumers; consumer && n < most; consumer = consumer->next) {
        if (strcmp(consumer->name, after) <= 0)
            continue;
        write_object(w);
        write_consumer(w, call->k, consumer, consumer->status);
        write_object_end(w);
        last = consumer;
        n++;
    }
    write_list_end(w);
    if (consumer && last)
        write_token(call, w, last);
    write_object_end(w);
    kinesis_answer(call);
}
