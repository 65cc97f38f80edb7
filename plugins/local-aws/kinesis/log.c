/* log.c - writing and expiring. Opening is in tail.c, reading in find.c.
 */
#include "plugins/local-aws/kinesis/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "plugins/local-aws/kinesis/find.h"

enum {
    LOG_NAME_SIZE = 32,
    LOG_NOTE_BYTES = 512 << 10,
    LOG_PIECE = 1 << 20,
    LOG_SPARE_MAX = 8 << 20
};

int64_t log_arrival(struct log *log, int64_t now_ms)
{
    return now_ms > log->last_arrival_ms ? now_ms : log->last_arrival_ms;
}

void log_room(struct log *log)
{
    if (!log->pending.cap && log->spares && log->spares->n)
        log->pending = log->spares->bufs[--log->spares->n]; /* moved */
}

uint64_t log_put(struct log *log, struct segment_writer *w, int64_t arrival_ms)
{
    uint64_t first = log->next_index;

    segment_block_end(w, log->generation, first, arrival_ms);
    if (w->start == 0) {
        log->pending_index = first;
        log->pending_arrival_ms = arrival_ms;
    }
    log->pending_last = w->start;
    log->next_index += w->count;
    log->last_arrival_ms = arrival_ms;
    return first;
}

static int open_folder(const struct log *log)
{
    return openat(log->root, log->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void segment_name(uint64_t first_index, char out[LOG_NAME_SIZE])
{
    snprintf(out, LOG_NAME_SIZE, "%020llu.seg", (unsigned long long)first_index);
}

/* A segment that has its head. -1: errno; then nothing is left of it. [any] */
static int new_segment(const struct log *log, int folder, uint64_t first_index, int64_t arrival_ms)
{
    struct segment_head head = {log->shard,  log->generation, log->created_s,
                                first_index, log->stream,     arrival_ms};
    char bytes[SEGMENT_HEAD], name[LOG_NAME_SIZE];
    int fd, error;

    segment_name(first_index, name);
    fd = openat(folder, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    segment_head_write(&head, bytes);
    errno = ENOSPC; /* for a short write */
    if (pwrite(fd, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes)
        return fd;
    error = errno;
    close(fd);
    unlinkat(folder, name, 0);
    errno = error;
    return -1;
}

/* [consumes fd] There is room for it. */
static void add_segment(struct log *log, int fd, uint64_t first_index, int64_t arrival_ms)
{
    log->segments[log->n_segments++] =
        (struct log_segment){first_index, SEGMENT_HEAD, arrival_ms, NULL, 0, 0, true};
    if (log->fd >= 0)
        close(log->fd);
    log->fd = fd;
    log->block_at = log->noted_at = 0;
    find_forget_marks(log, log->n_segments - 2);
}

static bool is_full(const struct log *log, int64_t now_ms)
{
    const struct log_segment *last = &log->segments[log->n_segments - 1];

    return last->len > SEGMENT_HEAD &&
           (last->len >= LOG_SEGMENT_MAX || now_ms - last->first_arrival_ms >= LOG_SEGMENT_MS);
}

/* Where the bytes will go. Returns errno. */
static int write_place(struct log *log, int64_t now_ms, struct log_write *w)
{
    const struct log_segment *last;

    if (log->is_broken)
        return EIO;
    w->is_new = !log->n_segments || is_full(log, now_ms);
    if (w->is_new) {
        w->segment = log->pending_index;
        w->first_arrival_ms = log->pending_arrival_ms;
        w->at = SEGMENT_HEAD;
        if (!log_segment_room(log))
            return ENOMEM;
        /* Held, for the stream may be deleted and another one have its name before the write. */
        w->folder = open_folder(log);
        return w->folder < 0 ? errno : 0;
    }
    last = &log->segments[log->n_segments - 1];
    w->segment = last->first_index;
    w->at = last->len;
    w->fd = log_tail_fd(log);
    return w->fd < 0 ? errno : 0;
}

bool log_write_begin(struct log *log, int64_t now_ms, struct log_write *ret)
{
    if (!log->pending.len || log->is_writing)
        return false;
    *ret = (struct log_write){.log = log, .fd = -1, .folder = -1, .is_cut = true};
    ret->error = write_place(log, now_ms, ret);
    ret->last = ret->at + log->pending_last;
    ret->note = ret->last - log->noted_at >= LOG_NOTE_BYTES;
    log->writing = log->pending; /* moved */
    log->pending = (struct kpw_buf)KPW_BUF_INIT;
    log->is_writing = true;
    return true;
}

/* The write failed: takes back what it left. */
static void undo(struct log_write *w)
{
    char name[LOG_NAME_SIZE];

    w->error = errno ? errno : EIO;
    if (w->is_new && w->fd >= 0) {
        segment_name(w->segment, name);
        close(w->fd);
        w->fd = -1;
        w->is_cut = unlinkat(w->folder, name, 0) == 0;
    } else if (!w->is_new) {
        w->is_cut = ftruncate(w->fd, (off_t)w->at) == 0;
    }
}

/* In pieces. `start`: the disk begins with one while the next is copied. */
static bool write_all(struct log_write *w, bool start)
{
    const struct kpw_buf *buf = &w->log->writing;
    size_t done = 0;

    if (w->is_new && (w->fd = new_segment(w->log, w->folder, w->segment, w->first_arrival_ms)) < 0)
        return false;
    while (done < buf->len) {
        size_t want = buf->len - done < LOG_PIECE ? buf->len - done : LOG_PIECE;
        off_t at = (off_t)(w->at + done);
        ssize_t n = pwrite(w->fd, buf->ptr + done, want, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n ? errno : ENOSPC;
            return false;
        }
        if (start)
            sync_file_range(w->fd, at, n, SYNC_FILE_RANGE_WRITE);
        done += (size_t)n;
    }
    return true;
}

void log_write_run(struct log_write *writes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct log_write *w = &writes[i];

        if (w->error)
            continue;
        if (!write_all(w, w->log->sync && (n > 1 || w->log->writing.len > LOG_PIECE)))
            undo(w);
    }
    for (size_t i = 0; i < n; i++) {
        struct log_write *w = &writes[i];

        if (!w->error && w->log->sync && (fdatasync(w->fd) || (w->is_new && fsync(w->folder))))
            undo(w);
        if (!w->error && w->note)
            log_tail_note(w->log, w->segment, w->last);
    }
}

/* Marks for what was just written. */
static bool mark_written(struct log *log, struct log_segment *last, uint64_t at)
{
    struct kpw_slice rest = kpw_buf_slice(&log->writing);
    struct segment_block block;

    while (rest.len && segment_block_peek(rest, log->generation, &block) == SEGMENT_OK) {
        if (!find_mark(last, &block, at))
            return false;
        at += block.size;
        log->readable = block.first_index + block.count;
        rest = kpw_slice(rest.ptr + block.size, rest.len - block.size);
    }
    return !rest.len;
}

/* The memory of the write goes to whoever writes next. */
static void give_back(struct log *log)
{
    struct log_spares *spares = log->spares;

    kpw_buf_clear(&log->writing);
    if (!spares || spares->n == LOG_SPARES || log->writing.cap > LOG_SPARE_MAX)
        kpw_buf_fini(&log->writing);
    else
        spares->bufs[spares->n++] = log->writing; /* moved */
    log->writing = (struct kpw_buf)KPW_BUF_INIT;
}

void log_spares_clear(struct log_spares *spares)
{
    while (spares->n)
        kpw_buf_fini(&spares->bufs[--spares->n]);
}

static void write_worked(struct log *log, const struct log_write *w)
{
    struct log_segment *last;

    if (w->is_new)
        add_segment(log, w->fd, w->segment, w->first_arrival_ms);
    last = &log->segments[log->n_segments - 1];
    last->len = w->at + log->writing.len;
    log->block_at = w->last;
    if (w->note)
        log->noted_at = w->last;
    if (!mark_written(log, last, w->at)) { /* out of memory: search it from the file */
        last->is_marked = false;
        last->n_marks = 0;
        log->readable = log->pending.len ? log->pending_index : log->next_index;
    }
}

bool log_write_end(struct log_write *w)
{
    struct log *log = w->log;

    log->is_writing = false;
    if (w->folder >= 0)
        close(w->folder);
    if (w->error)
        log->is_broken |= !w->is_cut;
    else
        write_worked(log, w);
    give_back(log);
    return !w->error;
}

void log_close(struct log *log)
{
    if (log->block_at != log->noted_at && log->n_segments)
        log_tail_note(log, log->segments[log->n_segments - 1].first_index, log->block_at);
    for (size_t i = 0; i < log->n_segments; i++)
        free(log->segments[i].marks);
    free(log->segments);
    free(log->path);
    if (log->fd >= 0)
        close(log->fd);
    if (log->old_fd >= 0)
        close(log->old_fd);
    kpw_buf_fini(&log->pending);
    kpw_buf_fini(&log->writing);
    *log = (struct log){.fd = -1, .old_fd = -1};
}

/* ---- expiring */

static void drop_first(struct log *log)
{
    if (log->old_fd >= 0 && log->old_first == log->segments[0].first_index) {
        close(log->old_fd);
        log->old_fd = -1;
    }
    log_file_remove(log, log->segments[0].first_index);
    free(log->segments[0].marks);
    memmove(log->segments, log->segments + 1, --log->n_segments * sizeof *log->segments);
}

/* Files that nobody used for a while need not be open. */
static void close_unused(struct log *log)
{
    if (!log->is_used && !log->is_writing) {
        if (log->fd >= 0)
            close(log->fd);
        if (log->old_fd >= 0)
            close(log->old_fd);
        log->fd = log->old_fd = -1;
    }
    log->is_used = false;
}

/* The last segment has expired: an empty one takes its place, for its name keeps the numbers
 * growing. */
static void replace_last(struct log *log, int64_t horizon_ms)
{
    int folder = log_segment_room(log) ? open_folder(log) : -1;
    int fd = folder >= 0 ? new_segment(log, folder, log->next_index, horizon_ms) : -1;
    bool ok = fd >= 0 && (!log->sync || (fdatasync(fd) == 0 && fsync(folder) == 0));

    if (folder >= 0)
        close(folder);
    if (ok) {
        add_segment(log, fd, log->next_index, horizon_ms);
        drop_first(log);
    } else if (fd >= 0) {
        close(fd);
        log_file_remove(log, log->next_index);
    }
}

void log_expire(struct log *log, int64_t horizon_ms)
{
    close_unused(log);
    while (log->n_segments > 1 && log->segments[1].first_arrival_ms < horizon_ms)
        drop_first(log);
    if (log->n_segments == 1 && !log->is_writing && !log->pending.len &&
        log->segments[0].len > SEGMENT_HEAD && log->last_arrival_ms < horizon_ms)
        replace_last(log, horizon_ms);
}
