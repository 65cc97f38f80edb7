/* log.c - opening, writing and expiring. Reading is in find.c.
 *
 * Segments are named by their first index in 20 digits, so their names sort like their records.
 */
#include "plugins/local-aws/kinesis/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sdk/wire/hash.h"

#include "plugins/local-aws/kinesis/find.h"

enum { NAME_SIZE = 32 };

static int open_segment(const struct log *log, uint64_t first_index, int flags)
{
    struct kpw_buf path = KPW_BUF_INIT;
    int fd = -1;

    kpw_buf_appendf(&path, "%s/%020llu.seg", log->path, (unsigned long long)first_index);
    if (kpw_buf_cstr(&path))
        fd = openat(log->root, path.ptr, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    kpw_buf_fini(&path);
    return fd;
}

static void remove_segment(const struct log *log, uint64_t first_index)
{
    struct kpw_buf path = KPW_BUF_INIT;

    kpw_buf_appendf(&path, "%s/%020llu.seg", log->path, (unsigned long long)first_index);
    if (kpw_buf_cstr(&path))
        unlinkat(log->root, path.ptr, 0);
    kpw_buf_fini(&path);
}

static bool sync_folder(const struct log *log)
{
    int fd = openat(log->root, log->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return ok;
}

static bool add_segment(struct log *log, const struct log_segment *segment)
{
    if (log->n_segments == log->segments_cap) {
        size_t cap = log->segments_cap ? log->segments_cap * 2 : 4;
        struct log_segment *more = reallocarray(log->segments, cap, sizeof *more);

        if (!more)
            return false;
        log->segments = more;
        log->segments_cap = cap;
    }
    log->segments[log->n_segments++] = *segment;
    return true;
}

static void drop_first(struct log *log)
{
    remove_segment(log, log->segments[0].first_index);
    free(log->segments[0].marks);
    memmove(log->segments, log->segments + 1, --log->n_segments * sizeof *log->segments);
}

/* ---- opening */

static int by_index(const void *a, const void *b)
{
    const struct log_segment *x = a, *y = b;

    return x->first_index < y->first_index ? -1 : x->first_index > y->first_index;
}

static bool is_segment_name(const char *name, uint64_t *ret_first)
{
    char *end;

    if (strspn(name, "0123456789") != 20)
        return false;
    *ret_first = strtoull(name, &end, 10);
    return strcmp(end, ".seg") == 0;
}

/* The segments of the folder, sorted; a folder that is not there is made. */
static bool list_segments(struct log *log)
{
    int fd = openat(log->root, log->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    struct log_segment segment = {0};
    bool ok = true;

    if (!dir) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    while (ok && (entry = readdir(dir)))
        if (is_segment_name(entry->d_name, &segment.first_index))
            ok = add_segment(log, &segment);
    closedir(dir);
    if (log->n_segments)
        qsort(log->segments, log->n_segments, sizeof segment, by_index);
    return ok;
}

/* Reads a head and compares it with what the log is. */
static bool read_head(const struct log *log, int fd, struct log_segment *segment)
{
    char bytes[SEGMENT_HEAD];
    struct segment_head head;
    struct stat st;

    if (fstat(fd, &st) || pread(fd, bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes ||
        !segment_head_read(bytes, &head))
        return false;
    segment->len = (uint64_t)st.st_size;
    segment->first_arrival_ms = head.first_arrival_ms;
    return head.shard == log->shard && head.created_s == log->created_s &&
           head.stream == log->stream && head.generation == log->generation &&
           head.first_index == segment->first_index;
}

/* A last segment whose head never came to be holds nothing that was acknowledged. */
static void drop_unborn(struct log *log)
{
    while (log->n_segments) {
        struct log_segment *last = &log->segments[log->n_segments - 1];
        int fd = open_segment(log, last->first_index, O_RDONLY);
        struct log_segment copy = *last;
        struct stat st;
        bool unborn = fd >= 0 && fstat(fd, &st) == 0 && st.st_size <= SEGMENT_HEAD &&
                      !read_head(log, fd, &copy);

        if (fd >= 0)
            close(fd);
        if (!unborn)
            break;
        remove_segment(log, last->first_index);
        log->n_segments--;
    }
}

/* Walks the last segment, proving every block; cuts off what is behind the last good one. */
static bool open_tail(struct log *log, uint64_t *ret_cut, char *why, size_t cap)
{
    struct log_segment *last = &log->segments[log->n_segments - 1];
    struct find_walk walk;
    uint64_t good;

    log->fd = open_segment(log, last->first_index, O_RDWR);
    log->next_index = last->first_index;
    log->last_arrival_ms = last->first_arrival_ms;
    find_walk_init(&walk, log->fd, SEGMENT_HEAD, last->len, log->generation);
    walk.prove = true;
    while (find_walk_next(&walk) == FIND_BLOCK) {
        if (walk.block.first_index < log->next_index)
            break;
        log->next_index = walk.block.first_index + walk.block.count;
        log->last_arrival_ms = walk.block.arrival_ms;
        if (!find_mark(last, &walk.block, walk.offset))
            break;
        walk.good = walk.offset + walk.block.size;
    }
    good = walk.good;
    find_walk_fini(&walk);
    if (walk.failed) {
        snprintf(why, cap, "cannot read the last segment of %s: %s", log->path, strerror(errno));
        return false;
    }
    *ret_cut = last->len - good;
    if (good < last->len && ftruncate(log->fd, (off_t)good)) {
        snprintf(why, cap, "cannot cut the torn tail of %s off: %s", log->path, strerror(errno));
        return false;
    }
    last->len = good;
    last->is_marked = true;
    return true;
}

static uint32_t generation_of(const struct log *log)
{
    uint64_t parts[3] = {log->stream, log->created_s, log->shard};

    return kpw_crc32c(0, parts, sizeof parts);
}

bool log_open(struct log *log, uint64_t *ret_cut, char *why, size_t cap)
{
    *ret_cut = 0;
    log->fd = log->old_fd = -1;
    log->next_index = log->readable = 1;
    log->generation = generation_of(log);
    log->last_arrival_ms = (int64_t)log->created_s * 1000;
    if (!list_segments(log)) {
        snprintf(why, cap, "cannot read the folder %s: %s", log->path, strerror(errno));
        return false;
    }
    drop_unborn(log);
    for (size_t i = 0; i < log->n_segments; i++) {
        struct log_segment *segment = &log->segments[i];
        int fd = open_segment(log, segment->first_index, O_RDONLY);
        bool ok = fd >= 0 && read_head(log, fd, segment);

        if (fd >= 0)
            close(fd);
        if (!ok) {
            snprintf(why, cap, "%s/%020llu.seg is not a segment of this shard", log->path,
                     (unsigned long long)segment->first_index);
            return false;
        }
    }
    if (log->n_segments && !open_tail(log, ret_cut, why, cap))
        return false;
    log->readable = log->next_index;
    return true;
}

void log_close(struct log *log)
{
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

/* ---- writing */

int64_t log_arrival(struct log *log, int64_t now_ms)
{
    return now_ms > log->last_arrival_ms ? now_ms : log->last_arrival_ms;
}

uint64_t log_put(struct log *log, struct segment_writer *w, int64_t arrival_ms)
{
    uint64_t first = log->next_index;

    segment_block_end(w, log->generation, first, arrival_ms);
    if (w->start == 0) {
        log->pending_index = first;
        log->pending_arrival_ms = arrival_ms;
    }
    log->next_index += w->count;
    log->last_arrival_ms = arrival_ms;
    return first;
}

/* A new last segment, for records from `first_index` on. Returns errno. */
static int start_segment(struct log *log, uint64_t first_index, int64_t arrival_ms)
{
    struct segment_head head = {log->shard,  log->generation, log->created_s,
                                first_index, log->stream,     arrival_ms};
    struct log_segment segment = {first_index, SEGMENT_HEAD, arrival_ms, NULL, 0, 0, true};
    char bytes[SEGMENT_HEAD];
    int fd = open_segment(log, first_index, O_RDWR | O_CREAT | O_TRUNC), error = errno;

    if (fd < 0)
        return error;
    segment_head_write(&head, bytes);
    errno = ENOSPC; /* for a short write */
    if (pwrite(fd, bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes ||
        (log->sync && (fdatasync(fd) || !sync_folder(log))) || !add_segment(log, &segment)) {
        error = errno ? errno : EIO;
        close(fd);
        remove_segment(log, first_index);
        return error;
    }
    if (log->fd >= 0)
        close(log->fd);
    log->fd = fd;
    return 0;
}

static bool is_full(const struct log *log, int64_t now_ms)
{
    const struct log_segment *last = &log->segments[log->n_segments - 1];

    return last->len > SEGMENT_HEAD &&
           (last->len >= LOG_SEGMENT_MAX || now_ms - last->first_arrival_ms >= LOG_SEGMENT_MS);
}

bool log_write_begin(struct log *log, int64_t now_ms, struct log_write *ret)
{
    struct kpw_buf empty = log->writing;

    if (!log->pending.len || log->is_writing)
        return false;
    *ret = (struct log_write){.log = log, .is_cut = true};
    log->writing = log->pending; /* moved */
    log->pending = empty;
    kpw_buf_clear(&log->pending);
    log->is_writing = true;
    if (log->is_broken)
        ret->error = EIO;
    else if (!log->n_segments || is_full(log, now_ms))
        ret->error = start_segment(log, log->pending_index, log->pending_arrival_ms);
    if (!ret->error) {
        ret->fd = log->fd;
        ret->at = log->segments[log->n_segments - 1].len;
    }
    return true;
}

void log_write_run(struct log_write *w)
{
    const struct kpw_buf *buf = &w->log->writing;
    size_t done = 0;

    if (w->error)
        return;
    while (done < buf->len) {
        ssize_t n = pwrite(w->fd, buf->ptr + done, buf->len - done, (off_t)(w->at + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            w->error = n < 0 ? errno : ENOSPC;
            break;
        }
        done += (size_t)n;
    }
    if (!w->error && w->log->sync && fdatasync(w->fd))
        w->error = errno;
    if (w->error)
        w->is_cut = ftruncate(w->fd, (off_t)w->at) == 0;
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

bool log_write_end(struct log_write *w)
{
    struct log *log = w->log;
    struct log_segment *last = log->n_segments ? &log->segments[log->n_segments - 1] : NULL;

    log->is_writing = false;
    if (w->error) {
        log->is_broken |= !w->is_cut;
    } else if (last) {
        last->len = w->at + log->writing.len;
        if (!mark_written(log, last, w->at)) { /* out of memory: search it from the file */
            last->is_marked = false;
            last->n_marks = 0;
            log->readable = log->pending.len ? log->pending_index : log->next_index;
        }
    }
    kpw_buf_clear(&log->writing);
    if (log->writing.cap > 4u << 20)
        kpw_buf_fini(&log->writing);
    return !w->error;
}

void log_expire(struct log *log, int64_t horizon_ms)
{
    const struct log_segment *last;

    while (log->n_segments > 1 && log->segments[1].first_arrival_ms < horizon_ms) {
        if (log->old_fd >= 0 && log->old_first == log->segments[0].first_index) {
            close(log->old_fd);
            log->old_fd = -1;
        }
        drop_first(log);
    }
    if (log->n_segments != 1 || log->is_writing || log->pending.len)
        return;
    last = &log->segments[0];
    if (last->len > SEGMENT_HEAD && log->last_arrival_ms < horizon_ms &&
        !start_segment(log, log->next_index, horizon_ms))
        drop_first(log);
}
