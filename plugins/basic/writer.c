/* writer.c - group commit of lines to a descriptor; see basic.h.
 *
 * A group is formatted, written and synced by one job on the pool. What comes
 * meanwhile makes the next group, so the length of a group follows the speed of
 * the disk. A group that fails is cut off again and its records are tried later:
 * nothing is lost and no half line is left behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/basic/basic.h"

#define WRITE_BYTES (256 << 10)

struct basic_group {
    struct basic_writer *w; /* [borrowed] */
    kp_batch **batches;     /* [owned], each batch too */
    size_t n, cap;
    int error; /* errno of the write, 0: all is well */
};

/* ---- on the pool */

static int write_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};

            poll(&wait, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            return errno;
        } else if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static int write_batch(struct basic_writer *w, struct kpw_buf *out, const kp_batch *b)
{
    int error = 0;

    for (uint32_t i = 0; i < b->count && !error; i++) {
        w->format(out, kp_at(b, i), b);
        if (out->failed)
            error = ENOMEM;
        else if (out->len >= WRITE_BYTES) {
            error = write_all(w->fd, out->ptr, out->len);
            kpw_buf_clear(out);
        }
    }
    return error;
}

static int sync_fd(int fd)
{
    if (fdatasync(fd) == 0 || errno == EINVAL || errno == EROFS || errno == ENOTSUP)
        return 0; /* a pipe or a device has nothing to sync */
    return errno;
}

static void write_group(void *arg)
{
    struct basic_group *group = arg;
    struct basic_writer *w = group->w;
    struct kpw_buf out = KPW_BUF_INIT;
    off_t start = lseek(w->fd, 0, SEEK_END);

    for (size_t i = 0; i < group->n && !group->error; i++)
        group->error = write_batch(w, &out, group->batches[i]);
    if (!group->error)
        group->error = write_all(w->fd, out.ptr, out.len);
    if (!group->error && w->sync)
        group->error = sync_fd(w->fd);
    if (group->error && start >= 0 && ftruncate(w->fd, start))
        start = -1; /* no regular file: what is out is out */
    kpw_buf_fini(&out);
}

/* ---- on the worker */

static void start_group(struct basic_writer *w);

static void end_batch(struct basic_writer *w, kp_batch *b, int error)
{
    if (!error)
        kp->deliver_all(b);
    for (uint32_t i = 0; error && i < b->count; i++)
        kp->retry(b, i, 0, "cannot write %s: %s", w->path, strerror(error));
    kp->done(w->node, b);
}

/* A disk that is full stays so for a while: said once, and once when it is over. */
static void tell(kp_node *node, struct basic_writer *w, int error)
{
    if (error == EPIPE)
        kp->fail(node, "%s was closed by its reader", w->path);
    else if (error)
        kp->count(node, "write_errors", 1);
    if (error && error != EPIPE && !w->has_complained)
        kp->log(node, KP_LOG_WARN, "write.failed", "path=\"%s\" reason=\"%s\"", w->path,
                strerror(error));
    if (!error && w->has_complained)
        kp->log(node, KP_LOG_INFO, "write.recovered", "path=\"%s\"", w->path);
    w->has_complained = error != 0;
}

static void group_written(kp_node *node, void *arg)
{
    struct basic_group *group = arg;
    struct basic_writer *w = group->w;

    w->writing = NULL;
    tell(node, w, group->error);
    for (size_t i = 0; i < group->n; i++)
        end_batch(w, group->batches[i], group->error);
    free(group->batches);
    free(group);
    start_group(w);
}

static void start_group(struct basic_writer *w)
{
    if (w->writing || !w->waiting)
        return;
    w->writing = w->waiting;
    w->waiting = NULL; /* moved */
    kp->work(w->node, write_group, group_written, w->writing);
}

static bool keep(struct basic_writer *w, kp_batch *b)
{
    struct basic_group *group = w->waiting;

    if (!group)
        group = w->waiting = calloc(1, sizeof *group);
    if (!group)
        return false;
    group->w = w;
    if (group->n == group->cap) {
        size_t cap = group->cap ? group->cap * 2 : 16;
        kp_batch **grown = realloc(group->batches, cap * sizeof(kp_batch *));

        if (!grown)
            return false;
        group->batches = grown;
        group->cap = cap;
    }
    group->batches[group->n++] = b;
    return true;
}

kp_status basic_writer_add(struct basic_writer *w, kp_batch *b)
{
    if (!keep(w, b))
        end_batch(w, b, ENOMEM);
    else
        start_group(w);
    return KP_OK;
}

/* One line per record: those of `replay` bring their own end. */
static void format_line(struct kpw_buf *out, const kp_record *record, const kp_batch *b)
{
    (void)b;
    kpw_buf_append(out, record->data, record->data_len);
    if (!record->data_len || record->data[record->data_len - 1] != '\n')
        kpw_buf_putc(out, '\n');
}

void basic_writer_init(struct basic_writer *w, kp_node *node, const char *path, int fd, bool sync)
{
    *w = (struct basic_writer){
        .node = node, .path = path, .fd = fd, .sync = sync, .is_open = true, .format = format_line};
}

void basic_writer_close(struct basic_writer *w)
{
    if (!w->is_open)
        return;
    for (size_t i = 0; w->waiting && i < w->waiting->n; i++)
        kp->release(w->node, w->waiting->batches[i]); /* read again at the next start */
    if (w->waiting)
        free(w->waiting->batches);
    free(w->waiting);
    close(w->fd);
    *w = (struct basic_writer){0};
}

/* ---- opening */

/* A crash may have torn the last line: what follows must not be glued to it. */
static bool end_torn_line(kp_node *node, const char *path, int fd)
{
    struct stat st;
    char last = '\n';
    int in;

    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !st.st_size)
        return true;
    in = open(path, O_RDONLY | O_CLOEXEC);
    if (in < 0 || pread(in, &last, 1, st.st_size - 1) != 1)
        last = '\n'; /* may be written but not read: nothing to be done */
    if (in >= 0)
        close(in);
    if (last == '\n')
        return true;
    kp->log(node, KP_LOG_WARN, "line.torn", "path=\"%s\" at=%lld", path, (long long)st.st_size);
    return write_all(fd, "\n", 1) == 0;
}

int basic_open_append(kp_node *node, const char *path)
{
    /* O_NONBLOCK: opening a FIFO that nobody reads must say so instead of waiting. */
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0644);

    if (fd < 0) {
        kp->fail(node, "cannot open %s for writing: %s", path, strerror(errno));
        return -1;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    if (!end_torn_line(node, path, fd)) {
        kp->fail(node, "cannot write %s: %s", path, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}
