/* fetch.c - reads records of a shard for GetRecords and for subscriptions: whole blocks into one
 * buffer, of which the wanted records are picked.
 */
#include "plugins/local-aws/kinesis/kinesis.h"

enum { READ_LEAST = 64 << 10, READ_MOST = 2 << 20 };

static bool is_wanted(const struct kinesis_cursor *c, uint64_t index, int64_t arrival_ms)
{
    return index > c->index || (index == c->index && (uint64_t)arrival_ms / 1000 >= c->time_s);
}

/* Picks the records of a block; false: the answer is full before its end. */
static bool pick(struct kinesis_fetch *f, const struct segment_block *block)
{
    struct kpw_slice rest = block->body;
    struct segment_record record;

    for (uint32_t i = 0; i < block->count && segment_record_read(rest, &record); i++) {
        if (is_wanted(f->c, block->first_index + i, block->arrival_ms)) {
            size_t bytes = record.key.len + record.data.len;

            if (f->n == f->limit || (f->n && f->bytes + bytes > f->most))
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
static enum step take_blocks(struct kinesis_fetch *f, size_t from)
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
    return f->n == f->limit || f->bytes >= f->most ? STEP_DONE : STEP_MORE;
}

bool kinesis_fetch(struct kinesis_fetch *f)
{
    struct log *log = &f->shard->log;
    enum step step = STEP_MORE;

    kinesis_busy(f->k);
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
