/* get.c - GetRecords: computes the size of the answer and writes it once, into the memory that is
 * sent.
 */
#include <string.h>

#include "plugins/local-aws/kinesis/records.h"

enum { SMALL = 64 << 10 };

static bool may_read(struct kinesis_call *call, struct kinesis_shard *shard)
{
    char id[KINESIS_SHARD_ID];

    if (call->k->local->no_limits ||
        (kinesis_bucket_take(&shard->get_bytes, call->now_ms, 2 << 20, 0) &&
         shard->get_bytes.level > 0 && kinesis_bucket_take(&shard->get_calls, call->now_ms, 5, 1)))
        return true;
    kinesis_shard_id(shard->number, id);
    return kinesis_fail(call, "ProvisionedThroughputExceededException",
                        "Rate exceeded for shard %s in stream %s under account %s.", id,
                        shard->stream->name, call->k->local->account);
}

/* ---- the answer */

/* Everything but the records and the end. */
static void put_front(struct kinesis_call *call, const struct kinesis_fetch *f, struct write *w)
{
    const struct kinesis_shard *shard = f->shard;
    bool at_end = f->c->index >= shard->log.readable;
    int64_t behind = at_end || !f->n ? 0 : call->now_ms - f->k->got[f->n - 1].arrival_ms;
    size_t begun;

    write_object(w);
    if (at_end && shard->closed_s && !shard->log.is_writing && !shard->log.pending.len) {
        records_write_children(shard, w);
    } else {
        write_key(w, "NextShardIterator");
        begun = write_text_begin(w);
        kinesis_cursor_seal(call, shard->stream, f->c, w->out);
        write_text_end(w, begun);
    }
    write_member_int(w, "MillisBehindLatest", behind < 0 ? 0 : behind);
    write_key(w, "Records");
    write_list(w);
}

/* The records go into `memory`, which begins with what w->out has; the end as a writer puts it. */
static size_t put_rest(const struct kinesis_fetch *f, struct write *w, char *memory)
{
    size_t front = w->out->len, len = (size_t)(records_put(f, w->is_cbor, memory + front) - memory);

    kpw_buf_clear(w->out);
    write_list_end(w);
    write_object_end(w);
    memcpy(memory + len, w->out->ptr, w->out->len);
    return len + w->out->len;
}

/* Large answers are written into the memory that is sent. */
static void answer_records(struct kinesis_call *call, const struct kinesis_fetch *f)
{
    struct write *w = kinesis_write(call);
    size_t size;
    kp_slab *slab;
    char *start;

    put_front(call, f, w);
    size = w->out->len + records_size(f, call->is_cbor) + 2;
    if (size < SMALL) {
        char *to = kpw_buf_reserve(w->out, size - w->out->len);

        if (to) {
            w->out->len += (size_t)(records_put(f, call->is_cbor, to) - to);
            write_list_end(w);
            write_object_end(w);
        }
        kinesis_answer(call);
        return;
    }
    slab = w->out->failed ? NULL : kp->slab_new(call->k->local->node, size);
    if (!slab) {
        kinesis_trouble(call, "out of memory");
        return;
    }
    start = kp->slab_data(slab);
    memcpy(start, w->out->ptr, w->out->len);
    size = put_rest(f, w, start);
    kinesis_respond(call, &(struct local_answer){.status = 200,
                                                 .content_type = kinesis_media(call),
                                                 .body = {start, size},
                                                 .keep = slab});
}

/* A StreamARN is of the iterator's stream. */
static bool fits(struct kinesis_call *call, const struct kinesis_shard *shard)
{
    const struct check_value *arn = check_get(call->check, "StreamARN");

    return !arn->is_given || kpw_slice_is(kinesis_name_of_arn(arn->text), shard->stream->name) ||
           kinesis_fail(call, "InvalidArgumentException",
                        "StreamARN and ShardIterator name different streams.");
}

void kinesis_get_records(struct kinesis_call *call)
{
    const struct check_value *limit = check_get(call->check, "Limit");
    struct kinesis_cursor c;
    struct kinesis_shard *shard = kinesis_cursor_open(call, &c);
    struct kinesis_fetch f = {.k = call->k, .shard = shard, .c = &c, .most = KINESIS_GET_BYTES};

    if (!shard || !fits(call, shard) || !may_read(call, shard))
        return;
    kinesis_flush(call->k, shard);
    f.limit = limit->is_given ? (size_t)limit->number : KINESIS_GET_RECORDS;
    f.horizon_ms = call->now_ms - shard->stream->retention_hours * 3600000;
    if (!kinesis_fetch(&f)) {
        kpw_buf_fini(&call->k->raw);
        kinesis_trouble(call, "a segment cannot be read");
        return;
    }
    if (f.bytes > 2 << 20)
        shard->get_bytes.level = 0; /* a large answer takes all, and the time that it costs */
    shard->get_bytes.level -= (double)f.bytes;
    answer_records(call, &f);
}
