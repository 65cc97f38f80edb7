/* resource.c - what a ResourceARN or ConsumerARN names, and the tags of it.
 *
 * arn:aws:kinesis:REGION:ACCOUNT:stream/NAME[/consumer/NAME:SECOND]
 */
#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/kinesis/consumers.h"
#include "plugins/local-aws/kinesis/kinesis.h"
#include "plugins/local-aws/kinesis/life.h"
#include "plugins/local-aws/sql.h"

/* What is behind "stream/". */
static struct kpw_slice path_of_arn(struct kpw_slice arn)
{
    const char *at = arn.len ? memmem(arn.ptr, arn.len, "stream/", 7) : NULL;

    if (!at)
        return kpw_slice(NULL, 0);
    at += 7;
    return kpw_slice(at, arn.len - (size_t)(at - arn.ptr));
}

struct kpw_slice kinesis_name_of_arn(struct kpw_slice arn)
{
    struct kpw_slice path = path_of_arn(arn);
    const char *end = path.len ? memchr(path.ptr, '/', path.len) : NULL;

    return end ? kpw_slice(path.ptr, (size_t)(end - path.ptr)) : path;
}

static bool stream_missing(struct kinesis_call *call, struct kpw_slice name)
{
    return kinesis_fail(call, "ResourceNotFoundException",
                        "Stream %.*s under account %s not found.", (int)name.len, name.ptr,
                        call->k->local->account);
}

static bool consumer_missing(struct kinesis_call *call, struct kpw_slice arn)
{
    return kinesis_fail(call, "ResourceNotFoundException", "Consumer %.*s not found.", (int)arn.len,
                        arn.ptr);
}

/* "NAME:SECOND" is this consumer's. */
static bool is_consumer(const struct kinesis_consumer *consumer, struct kpw_slice text)
{
    struct kpw_buf own = KPW_BUF_INIT;
    bool is;

    kpw_buf_appendf(&own, "%s:%lld", consumer->name, (long long)(consumer->created_ms / 1000));
    is = !own.failed && kpw_slice_eq(kpw_buf_slice(&own), text);
    kpw_buf_fini(&own);
    return is;
}

/* False: answered. */
static bool find(struct kinesis_call *call, struct kpw_slice arn, struct kinesis_resource *ret)
{
    static const char middle[] = "/consumer/";
    struct kpw_slice name = kinesis_name_of_arn(arn), rest = path_of_arn(arn);

    *ret = (struct kinesis_resource){.stream = kinesis_stream_named(call->k, name)};
    if (!ret->stream)
        return stream_missing(call, name);
    rest = kpw_slice(rest.ptr + name.len, rest.len - name.len);
    if (!rest.len)
        return true;
    if (!kpw_slice_starts(rest, middle))
        return consumer_missing(call, arn);
    rest = kpw_slice(rest.ptr + sizeof middle - 1, rest.len - (sizeof middle - 1));
    ret->consumer = ret->stream->consumers;
    while (ret->consumer && !is_consumer(ret->consumer, rest))
        ret->consumer = ret->consumer->next;
    return ret->consumer || consumer_missing(call, arn);
}

bool kinesis_find_resource(struct kinesis_call *call, struct kinesis_resource *ret)
{
    return find(call, check_get(call->check, "ResourceARN")->text, ret);
}

struct kinesis_consumer *kinesis_consumer_of(struct kinesis_call *call, struct kpw_slice arn)
{
    struct kinesis_resource resource;

    if (!find(call, arn, &resource))
        return NULL;
    if (!resource.consumer)
        consumer_missing(call, arn);
    return resource.consumer;
}

/* ---- tags */

/* Where the tags of a resource are. */
struct owner {
    const char *add, *remove, *list, *count;
    int64_t id;
};

static struct owner owner_of(const struct kinesis_resource *resource)
{
    if (resource->consumer)
        return (struct owner){
            "INSERT OR REPLACE INTO kinesis_consumer_tags(consumer, key, value) VALUES(?, ?, ?)",
            "DELETE FROM kinesis_consumer_tags WHERE consumer = ? AND key = ?",
            "SELECT key, value FROM kinesis_consumer_tags WHERE consumer = ? ORDER BY key",
            "SELECT count(*) FROM kinesis_consumer_tags WHERE consumer = ?",
            resource->consumer->id};
    return (struct owner){"INSERT OR REPLACE INTO kinesis_tags(stream, key, value) VALUES(?, ?, ?)",
                          "DELETE FROM kinesis_tags WHERE stream = ? AND key = ?",
                          "SELECT key, value FROM kinesis_tags WHERE stream = ? ORDER BY key",
                          "SELECT count(*) FROM kinesis_tags WHERE stream = ?",
                          resource->stream->id};
}

static bool add_tags(struct kinesis *k, const struct owner *owner, const struct kpw_slice *items,
                     size_t n)
{
    bool ok = true;

    for (size_t i = 0; ok && i < n; i++) {
        sqlite3_stmt *st = sql_once_of(k->local->db, owner->add, owner->id);

        sql_bind_slice(st, 2, items[2 * i]);
        sql_bind_slice(st, 3, items[2 * i + 1]);
        ok = sql_finish(st);
    }
    return ok;
}

bool kinesis_consumer_tags(struct kinesis_call *call, struct kinesis_consumer *consumer)
{
    const struct check_value *tags = check_get(call->check, "Tags");
    struct kinesis_resource resource = {consumer->stream, consumer};
    struct owner owner = owner_of(&resource);

    return add_tags(call->k, &owner, call->check->items + tags->first, tags->count);
}

static int64_t count_tags(struct kinesis *k, const struct owner *owner)
{
    sqlite3_stmt *st = sql_once_of(k->local->db, owner->count, owner->id);
    int64_t n = st && sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;

    sqlite3_finalize(st);
    return n;
}

/* "stream s", "consumer c" */
static void name_resource(const struct kinesis_resource *resource, char out[KINESIS_OWNER_SIZE])
{
    snprintf(out, KINESIS_OWNER_SIZE, "%s %s", resource->consumer ? "consumer" : "stream",
             resource->consumer ? resource->consumer->name : resource->stream->name);
}

void kinesis_tag(struct kinesis_call *call, const struct kinesis_resource *resource)
{
    const struct check_value *tags = check_get(call->check, "Tags");
    struct owner owner = owner_of(resource);
    char name[KINESIS_OWNER_SIZE];
    bool ok, fits;

    name_resource(resource, name);
    if (!kinesis_check_tags(call, name, tags, tags->count * 2, "add tags to"))
        return;
    ok = sql_begin(call->k->local->db) &&
         add_tags(call->k, &owner, call->check->items + tags->first, tags->count);
    fits = !ok || count_tags(call->k, &owner) <= KINESIS_TAGS_MAX;
    if (!sql_end(call->k->local->db, ok && fits) && fits)
        kinesis_trouble(call, "state.db cannot be written");
    else if (!fits)
        kinesis_too_many_tags(call, name);
    else
        kinesis_answer_empty(call);
}

void kinesis_untag(struct kinesis_call *call, const struct kinesis_resource *resource)
{
    const struct check_value *keys = check_get(call->check, "TagKeys");
    struct owner owner = owner_of(resource);
    char name[KINESIS_OWNER_SIZE];
    bool ok;

    name_resource(resource, name);
    if (!kinesis_check_tags(call, name, keys, keys->count, "remove tags from"))
        return;
    ok = sql_begin(call->k->local->db);
    for (size_t i = 0; ok && i < keys->count; i++) {
        sqlite3_stmt *st = sql_once_of(call->k->local->db, owner.remove, owner.id);

        sql_bind_slice(st, 2, call->check->items[keys->first + i]);
        ok = sql_finish(st);
    }
    if (sql_end(call->k->local->db, ok))
        kinesis_answer_empty(call);
    else
        kinesis_trouble(call, "state.db cannot be written");
}

void kinesis_write_tag(struct write *w, sqlite3_stmt *st)
{
    write_object(w);
    write_member_slice(w, "Key", kpw_slice(sql_text(st, 0), (size_t)sqlite3_column_bytes(st, 0)));
    write_member_slice(w, "Value", kpw_slice(sql_text(st, 1), (size_t)sqlite3_column_bytes(st, 1)));
    write_object_end(w);
}

void kinesis_tag_resource(struct kinesis_call *call)
{
    struct kinesis_resource resource;

    if (kinesis_find_resource(call, &resource))
        kinesis_tag(call, &resource);
}

void kinesis_untag_resource(struct kinesis_call *call)
{
    struct kinesis_resource resource;

    if (kinesis_find_resource(call, &resource))
        kinesis_untag(call, &resource);
}

void kinesis_list_resource_tags(struct kinesis_call *call)
{
    struct kinesis_resource resource;
    struct owner owner;
    sqlite3_stmt *st;
    struct write *w;

    if (!kinesis_find_resource(call, &resource))
        return;
    owner = owner_of(&resource);
    st = sql_once_of(call->k->local->db, owner.list, owner.id);
    w = kinesis_write(call);
    write_object(w);
    write_key(w, "Tags");
    write_list(w);
    while (st && sqlite3_step(st) == SQLITE_ROW)
        kinesis_write_tag(w, st);
    write_list_end(w);
    write_object_end(w);
    sqlite3_finalize(st);
    if (st)
        kinesis_answer(call);
    else
        kinesis_trouble(call, "state.db cannot be read");
}
