/* rates.c - how often calls may be made: per second in memory, per rolling day in state.db. */
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/kinesis/consumers.h"
#include "plugins/local-aws/kinesis/kinesis.h"
#include "plugins/local-aws/sql.h"

/* ---- per second */

/* The stream that the members name, whichever member that is; NULL: none that exists. */
static struct kinesis_stream *stream_of(struct kinesis_call *call)
{
    static const char *const arns[] = {"StreamARN", "ConsumerARN", "ResourceARN"};
    const struct check_value *v = check_find(call->check, "StreamName");

    if (v && v->is_given)
        return kinesis_stream_named(call->k, v->text);
    for (size_t i = 0; i < sizeof arns / sizeof *arns; i++) {
        v = check_find(call->check, arns[i]);
        if (v && v->is_given)
            return kinesis_stream_named(call->k, kinesis_name_of_arn(v->text));
    }
    return NULL;
}

/* The buckets of the stream; NULL: none, or no memory, and then nothing is limited. */
static struct kinesis_bucket *buckets_of(struct kinesis_stream *stream)
{
    if (!stream)
        return NULL;
    if (!stream->life.rates)
        stream->life.rates = calloc(KINESIS_OPERATIONS_MAX, sizeof(struct kinesis_bucket));
    return stream->life.rates;
}

bool kinesis_rate_take(struct kinesis_call *call, const struct kinesis_operation *operation)
{
    struct kinesis_stream *stream;
    struct kinesis_bucket *buckets;

    if (call->k->local->no_limits || !operation->per_s)
        return true;
    stream = operation->is_of_stream ? stream_of(call) : NULL;
    buckets = operation->is_of_stream ? buckets_of(stream) : call->k->rates;
    if (!buckets || kinesis_bucket_take(&buckets[kinesis_operation_number(operation)], call->now_ms,
                                        operation->per_s, 1))
        return true;
    if (stream)
        return kinesis_fail(call, "LimitExceededException",
                            "Rate exceeded for stream %s under account %s.", stream->name,
                            call->k->local->account);
    return kinesis_fail(call, "LimitExceededException", "Rate exceeded for account %s.",
                        call->k->local->account);
}

/* ---- per day */

bool kinesis_may_change(struct kinesis_call *call, const struct kinesis_stream *stream,
                        enum kinesis_change change, unsigned most)
{
    static const char *const names[] = {[KINESIS_SCALED] = "UpdateShardCount",
                                        [KINESIS_ENCRYPTED] = "StartStreamEncryption",
                                        [KINESIS_DECRYPTED] = "StopStreamEncryption",
                                        [KINESIS_MODE_CHANGED] = "UpdateStreamMode"};
    sqlite3_stmt *st = NULL;
    unsigned n = 0;

    if (call->k->local->no_limits)
        return true;
    sqlite3_prepare_v2(call->k->local->db,
                       "SELECT count(*) FROM kinesis_changes WHERE stream = ? AND change = ?"
                       " AND at_ms > ?",
                       -1, &st, NULL);
    sql_bind_int(st, 1, stream->id);
    sql_bind_int(st, 2, change);
    sql_bind_int(st, 3, call->now_ms - KINESIS_DAY_MS);
    if (st && sqlite3_step(st) == SQLITE_ROW)
        n = (unsigned)sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return n < most ||
           kinesis_fail(call, "LimitExceededException",
                        "%s was called %u times for stream %s under account %s within 24 hours, "
                        "and may be called %u times.",
                        names[change], n, stream->name, call->k->local->account, most);
}

/* One that is not written is not counted, which is no harm. */
void kinesis_note_change(struct kinesis_call *call, const struct kinesis_stream *stream,
                         enum kinesis_change change)
{
    static const char *const texts[] = {
        "DELETE FROM kinesis_changes WHERE stream = ? AND change = ? AND at_ms <= ?",
        "INSERT INTO kinesis_changes(stream, change, at_ms) VALUES(?, ?, ?)"};

    for (size_t i = 0; i < 2; i++) {
        sqlite3_stmt *st = NULL;

        sqlite3_prepare_v2(call->k->local->db, texts[i], -1, &st, NULL);
        sql_bind_int(st, 1, stream->id);
        sql_bind_int(st, 2, change);
        sql_bind_int(st, 3, call->now_ms - (i ? 0 : KINESIS_DAY_MS));
        sql_run(st);
        sqlite3_finalize(st);
    }
}
