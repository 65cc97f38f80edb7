/* find.c - finding blocks by index or time, and reading.
 *
 * A search is three steps: the segment (binary), the last mark before the block (binary), then from
 * block to block. A closed segment has no marks until it is searched; reading on from a place needs
 * none.
 */
#include "plugins/local-aws/kinesis/find.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { MARK_BYTES = 1 << 20, WALK_BYTES = 1 << 20, FRONT_BYTES = 16 << 10 };

/* ---- walking */

void find_walk_init(struct find_walk *walk, int fd, uint64_t from, uint64_t end,
                    uint32_t generation)
{
    *walk = (struct find_walk){
        .fd = fd, .generation = generation, .next = from, .end = end, .good = from};
}

void find_walk_fini(struct find_walk *walk)
{
    int error = errno;

    kpw_buf_fini(&walk->buf);
    errno = error;
}

/* The bytes at walk->next, `want` of them if there are so many. */
static struct kpw_slice walk_bytes(struct find_walk *walk, size_t want)
{
    uint64_t left = walk->end - walk->next;
    size_t ahead = walk->prove ? WALK_BYTES : FRONT_BYTES, have = 0;

    want = want > left ? (size_t)left : want;
    if (walk->next >= walk->buf_at && walk->next + want <= walk->buf_at + walk->buf.len)
        return kpw_slice(walk->buf.ptr + (walk->next - walk->buf_at),
                         (size_t)(walk->buf_at + walk->buf.len - walk->next));
    ahead = ahead < want ? want : ahead > left ? (size_t)left : ahead;
    kpw_buf_clear(&walk->buf);
    walk->buf_at = walk->next;
    if (!kpw_buf_reserve(&walk->buf, ahead)) {
        errno = ENOMEM;
        walk->failed = true;
        return kpw_slice(NULL, 0);
    }
    while (have < ahead) {
        ssize_t n = pread(walk->fd, walk->buf.ptr + have, ahead - have, (off_t)(walk->next + have));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            walk->failed |= n < 0;
            break;
        }
        have += (size_t)n;
    }
    walk->buf.len = have;
    return kpw_slice(walk->buf.ptr, have);
}

enum find_step find_walk_next(struct find_walk *walk)
{
    struct kpw_slice text;
    enum segment_result result;

    if (walk->next >= walk->end)
        return FIND_END;
    text = walk_bytes(walk, SEGMENT_BLOCK);
    result = segment_block_peek(text, walk->generation, &walk->block);
    if (result == SEGMENT_BAD || walk->failed || text.len < SEGMENT_BLOCK ||
        walk->block.size > walk->end - walk->next)
        return FIND_BROKEN;
    if (walk->prove) {
        text = walk_bytes(walk, walk->block.size);
        if (walk->failed || segment_block_read(text, walk->generation, &walk->block) != SEGMENT_OK)
            return FIND_BROKEN;
    }
    walk->offset = walk->next;
    walk->next += walk->block.size;
    return FIND_BLOCK;
}

bool find_mark(struct log_segment *segment, const struct segment_block *block, uint64_t offset)
{
    if (segment->n_marks && offset - segment->marks[segment->n_marks - 1].offset < MARK_BYTES)
        return true;
    if (segment->n_marks == segment->marks_cap) {
        uint32_t cap = segment->marks_cap ? segment->marks_cap * 2 : 4;
        struct log_mark *more = reallocarray(segment->marks, cap, sizeof *more);

        if (!more)
            return false;
        segment->marks = more;
        segment->marks_cap = cap;
    }
    segment->marks[segment->n_marks++] =
        (struct log_mark){block->first_index, offset, block->arrival_ms};
    return true;
}

/* ---- segments */

/* Where the segment with this first index is, or would be. */
static size_t segment_at(const struct log *log, uint64_t first_index)
{
    size_t low = 0, high = log->n_segments;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (log->segments[middle].first_index < first_index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int segment_fd(struct log *log, size_t i)
{
    uint64_t first = log->segments[i].first_index;

    if (i + 1 == log->n_segments)
        return log_tail_fd(log);
    log->is_used = true;
    if (log->old_fd >= 0 && log->old_first == first)
        return log->old_fd;
    if (log->old_fd >= 0)
        close(log->old_fd);
    log->old_fd = log_file(log, first, O_RDONLY);
    log->old_first = first;
    return log->old_fd;
}

void find_forget_marks(struct log *log, size_t keep)
{
    for (size_t i = 0; i + 1 < log->n_segments; i++) {
        struct log_segment *segment = &log->segments[i];

        if (i == keep || !segment->marks)
            continue;
        free(segment->marks);
        segment->marks = NULL;
        segment->n_marks = segment->marks_cap = 0;
        segment->is_marked = false;
    }
}

static bool mark_all(struct log *log, size_t i)
{
    struct log_segment *segment = &log->segments[i];
    struct find_walk walk;
    enum find_step step;
    int fd = segment_fd(log, i);

    if (segment->is_marked)
        return true;
    if (fd < 0)
        return false;
    find_forget_marks(log, i);
    segment->n_marks = 0;
    find_walk_init(&walk, fd, SEGMENT_HEAD, segment->len, log->generation);
    while ((step = find_walk_next(&walk)) == FIND_BLOCK)
        if (!find_mark(segment, &walk.block, walk.offset))
            break;
    find_walk_fini(&walk);
    segment->is_marked = step == FIND_END;
    return segment->is_marked;
}

/* What is looked for: a block is before it, or not. */
struct wanted {
    uint64_t index;
    int64_t arrival_ms;
    bool by_time;
};

static bool is_before(const struct wanted *wanted, const struct segment_block *block)
{
    return wanted->by_time ? block->arrival_ms < wanted->arrival_ms
                           : block->first_index + block->count <= wanted->index;
}

/* The last mark that is surely before what is wanted, or the start. */
static uint64_t start_of(const struct log_segment *segment, const struct wanted *wanted)
{
    uint32_t low = 0, high = segment->n_marks;

    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct log_mark *mark = &segment->marks[middle];

        if (wanted->by_time ? mark->arrival_ms < wanted->arrival_ms : mark->index <= wanted->index)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? segment->marks[low - 1].offset : SEGMENT_HEAD;
}

/* Inside one segment; at its end *ret_index is 0. */
static bool find_in(struct log *log, size_t i, const struct wanted *wanted, struct log_place *ret,
                    uint64_t *ret_index)
{
    const struct log_segment *segment = &log->segments[i];
    struct find_walk walk;
    enum find_step step;

    if (!mark_all(log, i))
        return false;
    find_walk_init(&walk, segment_fd(log, i), start_of(segment, wanted), segment->len,
                   log->generation);
    while ((step = find_walk_next(&walk)) == FIND_BLOCK && is_before(wanted, &walk.block))
        ;
    ret->segment = segment->first_index;
    ret->offset = step == FIND_BLOCK ? walk.offset : segment->len;
    *ret_index = step == FIND_BLOCK ? walk.block.first_index : 0;
    find_walk_fini(&walk);
    return step != FIND_BROKEN;
}

/* From segment i on. */
static bool find_from(struct log *log, size_t i, const struct wanted *wanted, struct log_place *ret,
                      uint64_t *ret_index)
{
    *ret = (struct log_place){0, 0};
    *ret_index = 0;
    for (; i < log->n_segments && !*ret_index; i++)
        if (!find_in(log, i, wanted, ret, ret_index))
            return false;
    if (!*ret_index)
        *ret_index = log->readable;
    return true;
}

bool log_find_index(struct log *log, uint64_t index, struct log_place *ret)
{
    struct wanted wanted = {.index = index};
    size_t i = segment_at(log, index + 1);
    uint64_t found;

    return find_from(log, i ? i - 1 : 0, &wanted, ret, &found);
}

bool log_find_time(struct log *log, int64_t arrival_ms, struct log_place *ret, uint64_t *ret_index)
{
    struct wanted wanted = {.arrival_ms = arrival_ms, .by_time = true};
    size_t i = 0;

    while (i + 1 < log->n_segments && log->segments[i + 1].first_arrival_ms < arrival_ms)
        i++;
    return find_from(log, i, &wanted, ret, ret_index);
}

/* ---- reading */

ssize_t log_read(struct log *log, struct log_place *place, struct kpw_buf *buf, size_t want)
{
    size_t i = segment_at(log, place->segment), have = 0;
    char *to;
    int fd;

    if (i == log->n_segments)
        return 0;
    if (log->segments[i].first_index != place->segment) /* expired, or nothing was there yet */
        *place = (struct log_place){log->segments[i].first_index, SEGMENT_HEAD};
    if (place->offset >= log->segments[i].len && i + 1 < log->n_segments)
        *place = (struct log_place){log->segments[++i].first_index, SEGMENT_HEAD};
    if (place->offset >= log->segments[i].len)
        return 0;
    if (want > log->segments[i].len - place->offset)
        want = (size_t)(log->segments[i].len - place->offset);
    to = kpw_buf_reserve(buf, want);
    fd = segment_fd(log, i);
    if (!to || fd < 0)
        return -1;
    while (have < want) {
        ssize_t n = pread(fd, to + have, want - have, (off_t)(place->offset + have));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        have += (size_t)n;
    }
    buf->len += have;
    return (ssize_t)have;
}

uint64_t log_behind(const struct log *log, const struct log_place *place)
{
    size_t i = segment_at(log, place->segment);
    uint64_t bytes = 0;

    for (size_t at = i; at < log->n_segments; at++)
        bytes += log->segments[at].len;
    if (i < log->n_segments && log->segments[i].first_index == place->segment)
        bytes -= place->offset < bytes ? place->offset : bytes;
    return bytes;
}
