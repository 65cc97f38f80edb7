/* mode.c - UpdateStreamMode, UpdateMaxRecordSize, UpdateStreamWarmThroughput. */
#include "plugins/local-aws/kinesis/kinesis.h"
#include "plugins/local-aws/sql.h"

enum { SWITCHES_MAX = 2 }; /* of the mode, in a rolling day */

/* Is this throughput possible? False: answered. */
bool kinesis_check_warm(struct kinesis_call *call, bool on_demand, int64_t mib)
{
    if (!on_demand)
        return kinesis_fail(call, "ValidationException",
                            "WarmThroughputMiBps is only valid for streams in ON_DEMAND mode.");
    if (!kinesis_has_commitment(call->k, call->now_ms))
        return kinesis_fail(call, "ValidationException",
                            "WarmThroughputMiBps needs the account's minimum throughput billing "
                            "commitment, see UpdateAccountSettings.");
    return mib <= KINESIS_WARM_MAX ||
           kinesis_fail(call, "InvalidArgumentException",
                        "WarmThroughputMiBps must be %d at most, and is %lld.", KINESIS_WARM_MAX,
                        (long long)mib);
}

/* Writes the stream; what it was is put back when that fails. False: answered. */
static bool write_change(struct kinesis_call *call, struct kinesis_stream *stream,
                         const struct kinesis_stream *before)
{
    sqlite3 *db = call->k->local->db;

    kinesis_updating(call, stream);
    if (sql_end(db, sql_begin(db) && kinesis_stream_change(call->k, stream) &&
                        kinesis_life_write(call->k, stream)))
        return true;
    stream->on_demand = before->on_demand;
    stream->max_record_kib = before->max_record_kib;
    stream->life.warm_mib = before->life.warm_mib;
    return kinesis_trouble(call, "state.db cannot be written");
}

void kinesis_update_mode(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find_active(call), before;
    const struct check_value *warm = check_get(call->check, "WarmThroughputMiBps");
    bool on_demand = kpw_slice_is(check_inner(call->check, "StreamModeDetails", "StreamMode")->text,
                                  "ON_DEMAND");
    bool switches;

    if (!stream || (warm->is_given && !kinesis_check_warm(call, on_demand, warm->number)))
        return;
    switches = stream->on_demand != on_demand;
    if (switches && (!kinesis_may_change(call, stream, KINESIS_MODE_CHANGED, SWITCHES_MAX) ||
                     (on_demand && !kinesis_may_be_on_demand(call))))
        return;
    before = *stream;
    stream->on_demand = on_demand;
    if (warm->is_given || !on_demand)
        stream->life.warm_mib = warm->number;
    if (!write_change(call, stream, &before))
        return;
    if (switches)
        kinesis_note_change(call, stream, KINESIS_MODE_CHANGED);
    kinesis_answer_empty(call);
}

void kinesis_update_record_size(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find_active(call), before;

    if (!stream)
        return;
    before = *stream;
    stream->max_record_kib = check_get(call->check, "MaxRecordSizeInKiB")->number;
    if (write_change(call, stream, &before))
        kinesis_answer_empty(call);
}

void kinesis_write_warm(struct write *w, const struct kinesis_stream *stream)
{
    write_key(w, "WarmThroughput");
    write_object(w);
    write_member_int(w, "TargetMiBps", stream->life.warm_mib);
    write_member_int(w, "CurrentMiBps", stream->life.warm_mib);
    write_object_end(w);
}

void kinesis_update_warm(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find_active(call), before;
    int64_t mib = check_get(call->check, "WarmThroughputMiBps")->number;
    struct write *w;

    if (!stream || !kinesis_check_warm(call, stream->on_demand, mib))
        return;
    before = *stream;
    stream->life.warm_mib = mib;
    if (!write_change(call, stream, &before))
        return;
    w = kinesis_write(call);
    write_object(w);
    kinesis_write_arn(call->k, stream, w);
    write_member(w, "StreamName", stream->name);
    kinesis_write_warm(w, stream);
    write_object_end(w);
    kinesis_answer(call);
}
