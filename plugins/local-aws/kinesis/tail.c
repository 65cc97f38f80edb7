/* tail.c - the files of a log, and opening it: which segments there are, where the last one ends.
 *
 * Segments are named by their first index in 20 digits, so their names sort like their records.
 */
#include "plugins/local-aws/kinesis/log.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sdk/wire/hash.h"

#include "plugins/local-aws/kinesis/find.h"

int log_file(const struct log *log, uint64_t first_index, int flags)
{
    struct kpw_buf path = KPW_BUF_INIT;
    int fd = -1;

    kpw_buf_appendf(&path, "%s/%020llu.seg", log->path, (unsigned long long)first_index);
    if (kpw_buf_cstr(&path))
        fd = openat(log->root, path.ptr, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    kpw_buf_fini(&path);
    return fd;
}

bool log_file_remove(const struct log *log, uint64_t first_index)
{
    struct kpw_buf path = KPW_BUF_INIT;
    bool ok = false;

    kpw_buf_appendf(&path, "%s/%020llu.seg", log->path, (unsigned long long)first_index);
    if (kpw_buf_cstr(&path))
        ok = unlinkat(log->root, path.ptr, 0) == 0;
    kpw_buf_fini(&path);
    return ok;
}

int log_tail_fd(struct log *log)
{
    log->is_used = true;
    if (log->fd < 0)
        log->fd = log_file(log, log->segments[log->n_segments - 1].first_index, O_RDWR);
    return log->fd;
}

bool log_segment_room(struct log *log)
{
    size_t cap = log->segments_cap ? log->segments_cap * 2 : 4;
    struct log_segment *more;

    if (log->n_segments < log->segments_cap)
        return true;
    more = reallocarray(log->segments, cap, sizeof *more);
    if (!more)
        return false;
    log->segments = more;
    log->segments_cap = cap;
    return true;
}

/* ---- SHARD/tail: "KPKTAIL1", generation u32, zero u32, segment's first index u64, offset of a
 *      block u64, zeros, crc32c of all before u32; little-endian */

enum { TAIL_SIZE = 40 };

struct tail {
    uint64_t magic;
    uint32_t generation, zero;
    uint64_t segment, offset;
    uint32_t zeros, crc;
};
_Static_assert(sizeof(struct tail) == TAIL_SIZE, "no padding");

static int open_note(const struct log *log, int flags)
{
    struct kpw_buf path = KPW_BUF_INIT;
    int fd = -1;

    kpw_buf_appendf(&path, "%s/tail", log->path);
    if (kpw_buf_cstr(&path))
        fd = openat(log->root, path.ptr, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    kpw_buf_fini(&path);
    return fd;
}

static uint64_t tail_magic(void)
{
    uint64_t magic;

    memcpy(&magic, "KPKTAIL1", sizeof magic);
    return magic;
}

void log_tail_note(const struct log *log, uint64_t segment, uint64_t offset)
{
    struct tail tail = {.magic = tail_magic(),
                        .generation = htole32(log->generation),
                        .segment = htole64(segment),
                        .offset = htole64(offset)};
    int fd = open_note(log, O_WRONLY | O_CREAT);

    if (fd < 0)
        return;
    tail.crc = htole32(kpw_crc32c(0, &tail, offsetof(struct tail, crc)));
    /* Half a note has a wrong checksum and counts as none. */
    if (pwrite(fd, &tail, sizeof tail, 0) != (ssize_t)sizeof tail)
        errno = 0;
    close(fd);
}

/* Where the proof of the last segment may begin. */
static uint64_t read_note(const struct log *log, const struct log_segment *last)
{
    struct tail tail;
    int fd = open_note(log, O_RDONLY);
    bool ok = fd >= 0 && pread(fd, &tail, sizeof tail, 0) == (ssize_t)sizeof tail;

    if (fd >= 0)
        close(fd);
    if (!ok || tail.magic != tail_magic() || le32toh(tail.generation) != log->generation ||
        le64toh(tail.segment) != last->first_index ||
        le32toh(tail.crc) != kpw_crc32c(0, &tail, offsetof(struct tail, crc)))
        return SEGMENT_HEAD;
    return le64toh(tail.offset) < SEGMENT_HEAD ? SEGMENT_HEAD : le64toh(tail.offset);
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
    while (ok && (entry = readdir(dir))) {
        if (!is_segment_name(entry->d_name, &segment.first_index))
            continue;
        ok = log_segment_room(log);
        if (ok)
            log->segments[log->n_segments++] = segment;
    }
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
        int fd = log_file(log, last->first_index, O_RDONLY);
        struct log_segment copy = *last;
        struct stat st;
        bool unborn = fd >= 0 && fstat(fd, &st) == 0 && st.st_size <= SEGMENT_HEAD &&
                      !read_head(log, fd, &copy);

        if (fd >= 0)
            close(fd);
        if (!unborn)
            break;
        log_file_remove(log, last->first_index);
        log->n_segments--;
    }
}

/* Walks the last segment from a block on, proving every block. False: there is none at `from`, or
 * the disk fails (errno). */
static bool prove(struct log *log, int fd, uint64_t from, uint64_t *ret_good)
{
    struct log_segment *last = &log->segments[log->n_segments - 1];
    struct find_walk walk;

    find_walk_init(&walk, fd, from, last->len, log->generation);
    walk.prove = true;
    errno = 0;
    while (find_walk_next(&walk) == FIND_BLOCK) {
        if (walk.block.first_index < log->next_index || !find_mark(last, &walk.block, walk.offset))
            break;
        log->next_index = walk.block.first_index + walk.block.count;
        log->last_arrival_ms = walk.block.arrival_ms;
        log->block_at = walk.offset;
        walk.good = walk.offset + walk.block.size;
    }
    *ret_good = walk.good;
    find_walk_fini(&walk);
    return !walk.failed && walk.good > from;
}

/* Finds the end of the last segment, from the block that was noted on, and cuts off what is behind
 * the last good one. */
static bool open_tail(struct log *log, uint64_t *ret_cut, char *why, size_t cap)
{
    struct log_segment *last = &log->segments[log->n_segments - 1];
    uint64_t from = read_note(log, last), good = SEGMENT_HEAD;
    int fd = log_file(log, last->first_index, O_RDWR);
    bool ok = fd >= 0;

    log->next_index = last->first_index;
    log->last_arrival_ms = last->first_arrival_ms;
    last->is_marked = from == SEGMENT_HEAD;
    if (ok && from > SEGMENT_HEAD && prove(log, fd, from, &good)) {
        log->noted_at = from;
    } else if (ok) {
        last->is_marked = true;
        last->n_marks = 0;
        ok = prove(log, fd, SEGMENT_HEAD, &good) || !errno;
    }
    if (!ok)
        snprintf(why, cap, "cannot read the last segment of %s: %s", log->path, strerror(errno));
    *ret_cut = ok ? last->len - good : 0;
    if (*ret_cut && ftruncate(fd, (off_t)good)) {
        snprintf(why, cap, "cannot cut the torn tail of %s off: %s", log->path, strerror(errno));
        ok = false;
    }
    if (fd >= 0)
        close(fd);
    last->len = good;
    return ok;
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
        int fd = log_file(log, segment->first_index, O_RDONLY);
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
