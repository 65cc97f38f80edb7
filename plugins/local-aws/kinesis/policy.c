/* policy.c - resource policies of streams and consumers: kept and given back, not enforced. */
#include <string.h>

#include "plugins/local-aws/kinesis/consumers.h"
#include "plugins/local-aws/kinesis/kinesis.h"
#include "plugins/local-aws/sql.h"

enum { POLICY_MAX = 20 << 10 }; /* bytes */

/* A statement on the policy of a resource. */
static sqlite3_stmt *prepare(struct kinesis *k, const char *text,
                             const struct kinesis_resource *resource)
{
    sqlite3_stmt *st = sql_once_of(k->local->db, text, resource->stream->id);

    sql_bind_int(st, 2, resource->consumer ? resource->consumer->id : 0);
    return st;
}

static void finish(struct kinesis_call *call, sqlite3_stmt *st)
{
    if (sql_finish(st))
        kinesis_answer_empty(call);
    else
        kinesis_trouble(call, "state.db cannot be written");
}

static bool is_policy(struct kpw_slice text)
{
    text = kpw_slice_trim(text);
    return text.len && text.len <= POLICY_MAX && text.ptr[0] == '{' &&
           kpw_json_valid(text.ptr, text.len);
}

void kinesis_put_policy(struct kinesis_call *call)
{
    struct kpw_slice text = check_get(call->check, "Policy")->text;
    struct kinesis_resource resource;
    sqlite3_stmt *st;

    if (!kinesis_find_resource(call, &resource) ||
        (resource.consumer && !kinesis_consumer_active(call, resource.consumer)))
        return;
    if (!is_policy(text)) {
        kinesis_fail(call, "InvalidArgumentException",
                     "The policy is not a JSON object of at most %d bytes.", POLICY_MAX);
        return;
    }
    st = prepare(call->k,
                 "INSERT OR REPLACE INTO kinesis_policies(stream, consumer, policy)"
                 " VALUES(?, ?, ?)",
                 &resource);
    sql_bind_slice(st, 3, text);
    finish(call, st);
}

void kinesis_delete_policy(struct kinesis_call *call)
{
    struct kinesis_resource resource;

    if (kinesis_find_resource(call, &resource))
        finish(call,
               prepare(call->k, "DELETE FROM kinesis_policies WHERE stream = ? AND consumer = ?",
                       &resource));
}

/* A resource without a policy has an empty one. */
void kinesis_get_policy(struct kinesis_call *call)
{
    struct kinesis_resource resource;
    sqlite3_stmt *st;
    struct write *w;

    if (!kinesis_find_resource(call, &resource))
        return;
    st = prepare(call->k, "SELECT policy FROM kinesis_policies WHERE stream = ? AND consumer = ?",
                 &resource);
    if (!st) {
        kinesis_trouble(call, "state.db cannot be read");
        return;
    }
    w = kinesis_write(call);
    write_object(w);
    if (sqlite3_step(st) == SQLITE_ROW)
        write_member_slice(w, "Policy",
                           kpw_slice(sql_text(st, 0), (size_t)sqlite3_column_bytes(st, 0)));
    else
        write_member(w, "Policy", "{}");
    write_object_end(w);
    sqlite3_finalize(st);
    kinesis_answer(call);
}
