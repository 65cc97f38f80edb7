/* iterator.c - GetShardIterator, and what an iterator holds.
 *
 * An iterator is a position (index and second of the record) with the place of its block, so that
 * reading on needs no search.
 */
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/kinesis/kinesis.h"
#include "sdk/wire/time.h"

#define ITERATOR 'i'

enum { ITERATORS_PER_S = 5 }; /* of a shard */

void kinesis_cursor_seal(struct kinesis_call *call, const struct kinesis_stream *stream,
                         const struct kinesis_cursor *c, struct kpw_buf *out)
{
    uint64_t numbers[] = {(uint64_t)c->stream, c->shard,         c->index,
                          c->time_s,           c->place.segment, c->place.offset};
    char text[sizeof numbers + KINESIS_NAME_MAX];
    size_t len = strlen(stream->name);

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        numbers[i] = htole64(numbers[i]);
    memcpy(text, numbers, sizeof numbers);
    memcpy(text + sizeof numbers, stream->name, len);
    kinesis_seal(call->k, ITERATOR, call->now_ms, kpw_slice(text, sizeof numbers + len), out);
}

static bool shard_missing(struct kinesis_call *call, uint32_t shard, struct kpw_slice stream)
{
    char id[KINESIS_SHARD_ID];

    kinesis_shard_id(shard, id);
    return kinesis_fail(call, "ResourceNotFoundException",
                        "Shard %s in stream %.*s under account %s does not exist", id,
                        (int)stream.len, stream.ptr, call->k->local->account);
}

/* ---- GetShardIterator */

static bool may_ask(struct kinesis_call *call, struct kinesis_shard *shard)
{
    char id[KINESIS_SHARD_ID];

    if (call->k->local->no_limits ||
        kinesis_bucket_take(&shard->iterator_calls, call->now_ms, ITERATORS_PER_S, 1))
        return true;
    kinesis_shard_id(shard->number, id);
    return kinesis_fail(call, "ProvisionedThroughputExceededException",
                        "Rate exceeded for shard %s in stream %s under account %s.", id,
                        shard->stream->name, call->k->local->account);
}

static struct kinesis_shard *find_shard(struct kinesis_call *call)
{
    const struct check_value *id = check_get(call->check, "ShardId");
    struct kinesis_stream *stream;
    struct kinesis_shard *shard;
    struct kpw_slice name;
    uint32_t number;

    if (!kinesis_name(call, &name))
        return NULL;
    if (!kinesis_shard_parse(id->text, &number)) {
        kinesis_fail(call, "ResourceNotFoundException",
                     "Could not find shard %.*s in stream %.*s under account %s.",
                     (int)id->text.len, id->text.ptr, (int)name.len, name.ptr,
                     call->k->local->account);
        return NULL;
    }
    stream = kinesis_stream_named(call->k, name);
    shard = stream && kinesis_is_live(stream) ? kinesis_shard_numbered(stream, number) : NULL;
    if (!shard)
        shard_missing(call, number, name);
    return shard && may_ask(call, shard) ? shard : NULL;
}

/* Type and StartingSequenceNumber do not fit. */
static bool clash(struct kinesis_call *call, struct kpw_slice type, bool has_number)
{
    return kinesis_fail(call, "InvalidArgumentException",
                        "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and "
                        "StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no "
                        "StartingSequenceNumber. Request specified %.*s and %s "
                        "StartingSequenceNumber.",
                        (int)type.len, type.ptr, has_number ? "also a" : "no");
}

static bool bad_number(struct kinesis_call *call, const struct kinesis_shard *shard,
                       const struct kinesis_position *position, const char *why)
{
    struct kpw_slice text = position->number->text;
    char id[KINESIS_SHARD_ID];

    kinesis_shard_id(shard->number, id);
    return kinesis_fail(call, "InvalidArgumentException",
                        "StartingSequenceNumber %.*s used in %s on shard %s in stream %s under "
                        "account %s is invalid%s",
                        (int)text.len, text.ptr, position->operation, id, shard->stream->name,
                        call->k->local->account, why);
}

static bool start_at_number(struct kinesis_call *call, struct kinesis_shard *shard,
                            const struct kinesis_position *position, bool after,
                            struct kinesis_cursor *c)
{
    struct kinesis_seq seq;
    enum kinesis_seq_kind kind = kinesis_seq_parse(position->number->text, &seq);
    char id[KINESIS_SHARD_ID], other[KINESIS_SHARD_ID];

    if (kind == KINESIS_SEQ_INVALID)
        return bad_number(call, shard, position, ".");
    if (seq.shard != shard->number) {
        kinesis_shard_id(shard->number, id);
        kinesis_shard_id(seq.shard, other);
        return kinesis_fail(call, "InvalidArgumentException",
                            "Invalid StartingSequenceNumber. It encodes %s, while it was used in "
                            "a call to a shard with %s",
                            other, id);
    }
    if (kind == KINESIS_SEQ_OLD)
        return kinesis_fail(call, "InternalFailure", NULL);
    if (seq.created_s != shard->created_s)
        return bad_number(call, shard, position, " because it did not come from this stream.");
    c->index = seq.index;
    c->time_s = seq.time_s + after;
    return true;
}

static bool start_at_time(struct kinesis_call *call, struct kinesis_shard *shard,
                          const struct check_value *time, struct kinesis_cursor *c)
{
    if (!time->is_given)
        return kinesis_fail(call, "InvalidArgumentException",
                            "Must specify timestampInMillis parameter for iterator of type "
                            "AT_TIMESTAMP. Current request has no timestamp parameter.");
    if (time->number > call->now_ms)
        return kinesis_fail(call, "InvalidArgumentException",
                            "The timestampInMillis parameter cannot be greater than the "
                            "currentTimestampInMillis. timestampInMillis: %lld, "
                            "currentTimestampInMillis: %lld",
                            (long long)time->number, (long long)call->now_ms);
    kinesis_flush(call->k, shard);
    if (!log_find_time(&shard->log, time->number, &c->place, &c->index))
        return kinesis_trouble(call, "a segment cannot be read");
    return true;
}

bool kinesis_start_at(struct kinesis_call *call, struct kinesis_shard *shard,
                      const struct kinesis_position *position, struct kinesis_cursor *c)
{
    struct kpw_slice type = position->type;
    bool at = kpw_slice_is(type, "AT_SEQUENCE_NUMBER");
    bool after = kpw_slice_is(type, "AFTER_SEQUENCE_NUMBER");

    if ((at || after) != position->number->is_given)
        return clash(call, type, position->number->is_given);
    if (at || after)
        return start_at_number(call, shard, position, after, c);
    if (kpw_slice_is(type, "AT_TIMESTAMP"))
        return start_at_time(call, shard, position->time, c);
    if (kpw_slice_is(type, "LATEST")) {
        kinesis_flush(call->k, shard);
        c->index = shard->log.readable;
    }
    return true;
}

void kinesis_get_iterator(struct kinesis_call *call)
{
    struct kinesis_shard *shard = find_shard(call);
    struct kinesis_cursor c = {.place = {KINESIS_NO_PLACE, 0}};
    struct kinesis_position position = {
        .operation = "GetShardIterator",
        .type = check_get(call->check, "ShardIteratorType")->text,
        .number = check_get(call->check, "StartingSequenceNumber"),
        .time = check_get(call->check, "Timestamp"),
    };
    struct write *w;
    size_t begun;

    if (!shard)
        return;
    c.stream = shard->stream->id;
    c.shard = shard->number;
    if (!kinesis_start_at(call, shard, &position, &c))
        return;
    w = kinesis_write(call);
    write_object(w);
    write_key(w, "ShardIterator");
    begun = write_text_begin(w);
    kinesis_cursor_seal(call, shard->stream, &c, w->out);
    write_text_end(w, begun);
    write_object_end(w);
    kinesis_answer(call);
}

/* ---- reading them back */

/* "Thu Jan 22 01:22:02 UTC 2015" */
static void date_text(int64_t ms, char out[40])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct kpw_civil c;

    if (!kpw_civil_from_s(ms / 1000, &c))
        memset(&c, 0, sizeof c), c.month = 1;
    snprintf(out, 40, "%.3s %.3s %02u %02u:%02u:%02u UTC %d", days + 3 * (size_t)c.weekday,
             months + 3 * (size_t)(c.month - 1), c.day, c.hour, c.minute, c.second, c.year);
}

static bool expired(struct kinesis_call *call, int64_t issued_ms)
{
    char then[40], now[40];

    date_text(issued_ms, then);
    date_text(call->now_ms, now);
    return kinesis_fail(call, "ExpiredIteratorException",
                        "Iterator expired. The iterator was created at time %s while right now it "
                        "is %s which is further in the future than the tolerated delay of 300000 "
                        "milliseconds.",
                        then, now);
}

struct kinesis_shard *kinesis_cursor_open(struct kinesis_call *call, struct kinesis_cursor *c)
{
    struct kpw_slice text = check_get(call->check, "ShardIterator")->text;
    struct kpw_buf *out = kinesis_out(call);
    uint64_t numbers[6];
    struct kinesis_stream *stream;
    struct kinesis_shard *shard;
    int64_t issued_ms;

    if (text.len > 1 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"')
        text = kpw_slice(text.ptr + 1, text.len - 2); /* as some shells leave it */
    if (!kinesis_unseal(call->k, ITERATOR, text, out, &issued_ms) || out->len < sizeof numbers ||
        issued_ms > call->now_ms + 1000) {
        kinesis_fail(call, "InvalidArgumentException", "Invalid ShardIterator.");
        return NULL;
    }
    if (call->now_ms - issued_ms > KINESIS_TOKEN_MS) {
        expired(call, issued_ms);
        return NULL;
    }
    memcpy(numbers, out->ptr, sizeof numbers);
    for (size_t i = 0; i < 6; i++)
        numbers[i] = le64toh(numbers[i]);
    *c = (struct kinesis_cursor){(int64_t)numbers[0],
                                 (uint32_t)numbers[1],
                                 numbers[2],
                                 numbers[3],
                                 {numbers[4], numbers[5]}};
    stream = kinesis_stream_by_id(call->k, c->stream);
    shard = stream ? kinesis_shard_numbered(stream, c->shard) : NULL;
    if (!shard) {
        char name[KINESIS_NAME_MAX + 1];
        size_t len = out->len - sizeof numbers;

        len = len > KINESIS_NAME_MAX ? KINESIS_NAME_MAX : len;
        memcpy(name, out->ptr + sizeof numbers, len);
        shard_missing(call, c->shard, kpw_slice(name, len));
    }
    return shard;
}
