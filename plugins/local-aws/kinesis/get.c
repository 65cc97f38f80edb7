/* get.c - GetRecords.
 *
 * It reads whole blocks into one buffer, picks records out of them, computes the size of the answer
 * and writes it once, into the memory that is sent.
 */
#include <string.h>

#include "plugins/local-aws/kinesis/kinesis.h"
#include "sdk/wire/base64.h"

enum { READ_LEAST = 64 << 10, READ_MOST = 2 << 20 };

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

/* ---- GetRecords: reading */

struct fetch {
    struct kinesis *k;
    struct kinesis_shard *shard;
    struct kinesis_cursor *c;
    size_t limit, n, bytes;
    size_t want; /* of the next read */
    int64_t horizon_ms;
    bool is_full;
};

static bool is_wanted(const struct kinesis_cursor *c, uint64_t index, int64_t arrival_ms)
{
    return index > c->index || (index == c->index && (uint64_t)arrival_ms / 1000 >= c->time_s);
}

/* Picks the records of a block; false: the answer is full before its end. */
static bool pick(struct fetch *f, const struct segment_block *block)
{
    struct kpw_slice rest = block->body;
    struct segment_record record;

    for (uint32_t i = 0; i < block->count && segment_record_read(rest, &record); i++) {
        if (is_wanted(f->c, block->first_index + i, block->arrival_ms)) {
            size_t bytes = record.key.len + record.data.len;

            if (f->n == f->limit || (f->n && f->bytes + bytes > KINESIS_GET_BYTES))
                return false;
            f->k->got[f->n++] = (struct kinesis_got){block->first_index + i, block->arrival_ms,
                                                     (size_t)(rest.ptr - f->k->raw.ptr)};
            f->bytes += bytes;
        }
        rest = kpw_slice(rest.ptr + record.size, rest.len - record.size);
    }
    return true;
}

enum step { STEP_MORE, STEP_DONE, STEP_BROKEN };

/* Takes the blocks that were read behind `from` of k->raw. */
static enum step take_blocks(struct fetch *f, size_t from)
{
    struct kpw_buf *raw = &f->k->raw;
    struct log *log = &f->shard->log;
    struct segment_block block;
    uint64_t index;
    size_t start = from;

    while (from < raw->len) {
        enum segment_result result = segment_block_read(kpw_slice(raw->ptr + from, raw->len - from),
                                                        log->generation, &block);

        if (result == SEGMENT_SHORT) { /* the rest is read again, from the block's start */
            if (raw->len - start < f->want && from == start)
                return STEP_BROKEN; /* that was the segment's end */
            f->want = block.size > f->want ? block.size : f->want;
            raw->len = from;
            return STEP_MORE;
        }
        if (result != SEGMENT_OK)
            return STEP_BROKEN;
        if (block.arrival_ms < f->horizon_ms && !f->n) {
            raw->len = 0;
            return log_find_time(log, f->horizon_ms, &f->c->place, &index) ? STEP_MORE
                                                                           : STEP_BROKEN;
        }
        if (!pick(f, &block))
            return STEP_DONE;
        f->c->place.offset += block.size;
        from += block.size;
    }
    return f->n == f->limit || f->bytes >= KINESIS_GET_BYTES ? STEP_DONE : STEP_MORE;
}

/* False: the disk fails, a segment is broken, or no memory. */
static bool fetch(struct fetch *f)
{
    struct log *log = &f->shard->log;
    enum step step = STEP_MORE;

    kpw_buf_clear(&f->k->raw);
    f->want = READ_LEAST;
    if (f->c->place.segment == KINESIS_NO_PLACE && !log_find_index(log, f->c->index, &f->c->place))
        return false;
    while (step == STEP_MORE) {
        size_t from = f->k->raw.len;
        ssize_t n = log_read(log, &f->c->place, &f->k->raw, f->want);

        if (n < 0 || f->k->raw.failed)
            return false;
        if (n == 0) {
            if (!f->n && f->c->index < log->readable) { /* nothing there is wanted */
                f->c->index = log->readable;
                f->c->time_s = 0;
            }
            break;
        }
        step = take_blocks(f, from);
        if (f->want < READ_MOST)
            f->want *= 2;
    }
    if (f->n) {
        f->c->index = f->k->got[f->n - 1].index + 1;
        f->c->time_s = 0;
    }
    return step != STEP_BROKEN;
}

/* ---- GetRecords: the answer */

#define PART_SEQUENCE "{\"SequenceNumber\":\""
#define PART_TIME     "\",\"ApproximateArrivalTimestamp\":"
#define PART_DATA     ",\"Data\":\""
#define PART_KEY      "\",\"PartitionKey\":\""
#define PART_END      "\"},"

enum {
    RECORD_FRAME = sizeof PART_SEQUENCE + sizeof PART_TIME + sizeof PART_DATA + sizeof PART_KEY +
                   sizeof PART_END + KINESIS_SEQ_LEN + 32
};

#define COPY(to, text) ((char *)memcpy(to, text, sizeof(text) - 1) + sizeof(text) - 1)

static struct segment_record record_of(const struct kinesis *k, const struct kinesis_got *got)
{
    struct segment_record record = {0};

    segment_record_read(kpw_slice(k->raw.ptr + got->at, k->raw.len - got->at), &record);
    return record;
}

static size_t answer_size(const struct kinesis *k, size_t n)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++) {
        struct segment_record r = record_of(k, &k->got[i]);

        size += RECORD_FRAME + kpw_base64_encoded_len(r.data.len) +
                (r.flags & SEGMENT_KEY_ESCAPED ? r.key.len * 6 : r.key.len);
    }
    return size;
}

static char *put_key(char *to, const struct segment_record *r)
{
    struct kpw_buf text = KPW_BUF_INIT;

    if (!(r->flags & SEGMENT_KEY_ESCAPED)) {
        memcpy(to, r->key.ptr, r->key.len);
        return to + r->key.len;
    }
    kpw_json_put_string(&text, r->key.ptr, r->key.len);
    if (!text.failed && text.len >= 2) {
        memcpy(to, text.ptr + 1, text.len - 2);
        to += text.len - 2;
    }
    kpw_buf_fini(&text);
    return to;
}

/* 1700000000.123 */
static char *put_time(char *to, int64_t ms)
{
    char digits[24];
    size_t n = 0;
    uint64_t s = (uint64_t)ms / 1000;
    unsigned rest = (unsigned)(ms % 1000);

    do
        digits[n++] = (char)('0' + s % 10);
    while (s /= 10);
    while (n)
        *to++ = digits[--n];
    *to++ = '.';
    *to++ = (char)('0' + rest / 100);
    *to++ = (char)('0' + rest / 10 % 10);
    *to++ = (char)('0' + rest % 10);
    return to;
}

static char *put_records(const struct fetch *f, char *to)
{
    struct kinesis_seq_writer writer = {0};

    for (size_t i = 0; i < f->n; i++) {
        const struct kinesis_got *got = &f->k->got[i];
        struct segment_record r = record_of(f->k, got);
        struct kinesis_seq seq = {.created_s = f->shard->created_s,
                                  .index = got->index,
                                  .time_s = (uint64_t)got->arrival_ms / 1000,
                                  .shard = f->shard->number};

        to = COPY(to, PART_SEQUENCE);
        kinesis_seq_write(&writer, &seq, to);
        to = COPY(to + KINESIS_SEQ_LEN, PART_TIME);
        to = put_time(to, got->arrival_ms);
        to = COPY(to, PART_DATA);
        to += kpw_base64_encode(r.data.ptr, r.data.len, to);
        to = COPY(to, PART_KEY);
        to = put_key(to, &r);
        to = COPY(to, PART_END);
    }
    return f->n ? to - 1 : to; /* without the last comma */
}

static bool is_child(const struct kinesis_shard *child, const struct kinesis_shard *of)
{
    return child && (child->parent == of->number || child->adjacent == of->number);
}

static void put_children(const struct kinesis_shard *shard, struct kpw_buf *out)
{
    const struct kinesis_stream *stream = shard->stream;
    const char *comma = "";
    char id[KINESIS_SHARD_ID];

    kpw_buf_puts(out, "\"ChildShards\":[");
    for (size_t i = 0; i < stream->n_shards; i++) {
        const struct kinesis_shard *child = stream->shards[i];

        if (!is_child(child, shard))
            continue;
        kinesis_shard_id(child->number, id);
        kpw_buf_appendf(out, "%s{\"ShardId\":\"%s\",\"ParentShards\":[", comma, id);
        kinesis_shard_id((uint32_t)child->parent, id);
        kpw_buf_appendf(out, "\"%s\"", id);
        if (child->adjacent >= 0) {
            kinesis_shard_id((uint32_t)child->adjacent, id);
            kpw_buf_appendf(out, ",\"%s\"", id);
        }
        kpw_buf_puts(out, "],");
        kinesis_put_range(child, out);
        kpw_buf_putc(out, '}');
        comma = ",";
    }
    kpw_buf_puts(out, "],");
}

/* Everything but the records. */
static void put_front(struct kinesis_call *call, const struct fetch *f, struct kpw_buf *out)
{
    const struct kinesis_shard *shard = f->shard;
    bool at_end = f->c->index >= shard->log.readable;
    int64_t behind = at_end || !f->n ? 0 : call->now_ms - f->k->got[f->n - 1].arrival_ms;

    kpw_buf_putc(out, '{');
    if (at_end && shard->closed_s && !shard->log.is_writing && !shard->log.pending.len) {
        put_children(shard, out);
    } else {
        kpw_buf_puts(out, "\"NextShardIterator\":\"");
        kinesis_cursor_seal(call, shard->stream, f->c, out);
        kpw_buf_puts(out, "\",");
    }
    kpw_buf_appendf(out, "\"MillisBehindLatest\":%lld,\"Records\":[",
                    (long long)(behind < 0 ? 0 : behind));
}

/* Large answers are written into the memory that is sent. */
static void answer_records(struct kinesis_call *call, const struct fetch *f)
{
    struct kpw_buf *out = kinesis_out(call);
    size_t size;
    kp_slab *slab;
    char *start, *at;

    put_front(call, f, out);
    size = out->len + answer_size(f->k, f->n) + 2;
    if (size < READ_LEAST) {
        at = kpw_buf_reserve(out, size - out->len);
        if (at) {
            out->len += (size_t)(put_records(f, at) - at);
            kpw_buf_puts(out, "]}");
        }
        kinesis_answer(call);
        return;
    }
    slab = out->failed ? NULL : kp->slab_new(call->k->local->node, size);
    if (!slab) {
        kinesis_trouble(call, "out of memory");
        return;
    }
    start = kp->slab_data(slab);
    memcpy(start, out->ptr, out->len);
    at = put_records(f, start + out->len);
    at = COPY(at, "]}");
    local_answer(call->k->local, call->x,
                 &(struct local_answer){.status = 200,
                                        .content_type = LOCAL_JSON_11,
                                        .body = {start, (size_t)(at - start)},
                                        .keep = slab});
}

void kinesis_get_records(struct kinesis_call *call)
{
    const struct check_value *limit = check_get(call->check, "Limit");
    struct kinesis_cursor c;
    struct kinesis_shard *shard = kinesis_cursor_open(call, &c);
    struct fetch f = {.k = call->k, .shard = shard, .c = &c};

    if (!shard || !may_read(call, shard))
        return;
    kinesis_flush(call->k, shard);
    f.limit = limit->is_given ? (size_t)limit->number : KINESIS_GET_RECORDS;
    f.horizon_ms = call->now_ms - shard->stream->retention_hours * 3600000;
    if (!fetch(&f)) {
        kpw_buf_fini(&call->k->raw);
        kinesis_trouble(call, "a segment cannot be read");
        return;
    }
    if (f.bytes > 2 << 20)
        shard->get_bytes.level = 0; /* a large answer takes all, and the time that it costs */
    shard->get_bytes.level -= (double)f.bytes;
    answer_records(call, &f);
}
