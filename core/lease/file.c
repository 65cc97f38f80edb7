/* file.c - see file.h.
 *
 * A call is executed when it comes; what waits for the next turn of the loop is its answer, and
 * before the first of these is given the file is written if it has to be. What only owners
 * and counters tell apart (a renewal, a take-over) is not in the file and needs no writing.
 */
#include "core/lease/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/queue.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/lease/file_json.h"

struct file_reply {
    TAILQ_ENTRY(file_reply) at;
    struct file_io *io; /* [borrowed] */
    enum lease_op op;
    lease_fn fn;
    void *arg;
    int64_t sent_ms;
    struct memory_answer answer;
};

TAILQ_HEAD(file_replies, file_reply);

struct lease_file {
    char *path, *next_path, *application; /* [owned] */
    int lock_fd;                          /* -1: it is only looked at */
    struct file_flows flows;
    bool is_dirty;
    uv_idle_t *idle; /* [owned until closed] */
    struct file_replies replies;
};

struct file_io {
    struct lease_io io; /* first */
    struct lease_file *file;
    struct memory_table *table; /* [borrowed from the file] */
    char *name;                 /* [owned] */
};

/* ---- the file */

static bool lock_file(struct lease_file *file, struct error *err)
{
    char *path = mem_fmt("%s.lock", file->path);

    file->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file->lock_fd < 0)
        error_sys(err, errno, "cannot open the lease file's lock %s", path);
    else if (flock(file->lock_fd, LOCK_EX | LOCK_NB))
        error_set(err, ERROR_FAILED, "another process runs with the lease file %s", file->path);
    else {
        free(path);
        return true;
    }
    free(path);
    return false;
}

/* Another application's positions may be of another stream. False with err. */
static bool is_of_application(const struct lease_file *file, json_t *root, struct error *err)
{
    const char *whose = json_string_value(json_object_get(root, "application"));

    if (!whose || !strcmp(whose, file->application))
        return true;
    error_set(err, ERROR_CONFIG,
              "the lease file %s is of the application '%s', and the pipeline's is '%s'; give the "
              "pipeline a file of its own, or that `application`",
              file->path, whose, file->application);
    return false;
}

/* What cannot be read is never taken for "not there". */
static bool load(struct lease_file *file, struct error *err)
{
    json_error_t problem;
    json_t *root;
    bool ok;

    if (access(file->path, F_OK) && errno == ENOENT)
        return true;
    root = json_load_file(file->path, JSON_REJECT_DUPLICATES, &problem);
    ok = root && file_json_read(root, &file->flows);
    if (!ok)
        error_set(err, ERROR_CORRUPT, "the lease file %s cannot be read: %s", file->path,
                  root ? "it is not one of ours" : problem.text);
    ok = ok && is_of_application(file, root, err);
    json_decref(root);
    return ok;
}

/* False with errno. */
static bool write_whole(const struct lease_file *file, json_t *root)
{
    int fd = open(file->next_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool ok = fd >= 0 && !json_dumpfd(root, fd, JSON_INDENT(1)) && !fdatasync(fd);
    int saved = errno;

    if (fd >= 0 && close(fd) && ok) {
        ok = false;
        saved = errno;
    }
    if (ok && !rename(file->next_path, file->path))
        return true;
    saved = ok ? errno : saved;
    unlink(file->next_path);
    errno = saved;
    return false;
}

/* NULL: the file holds all there is; else what is wrong [owned by caller]. */
static char *save(struct lease_file *file)
{
    json_t *root;
    int problem;

    if (!file->is_dirty)
        return NULL;
    if (file->lock_fd < 0)
        return mem_fmt("the lease file %s is only looked at", file->path);
    root = file_json_write(&file->flows, file->application);
    if (!root)
        return mem_fmt("cannot write the lease file %s: the name of a lane is not UTF-8",
                       file->path);
    file->is_dirty = !write_whole(file, root);
    problem = errno;
    json_decref(root);
    return file->is_dirty
               ? mem_fmt("cannot write the lease file %s: %s", file->path, strerror(problem))
               : NULL;
}

/* ---- answers */

static void reply_free(struct file_reply *reply)
{
    memory_answer_fini(&reply->answer);
    free(reply);
}

static void answer(struct file_reply *reply, const char *problem)
{
    struct lease_reply out = {.status = reply->answer.status, .sent_ms = reply->sent_ms};

    if (problem) {
        out.status = LEASE_FAILED;
        out.error = "LeaseFile";
        out.message = problem;
        out.is_final = true; /* a full disk or a lost folder: somebody has to come */
    } else {
        out.row = reply->answer.row.key ? &reply->answer.row : NULL;
        out.scan = reply->op == LEASE_SCAN ? &reply->answer.scan : NULL;
    }
    reply->fn(reply->arg, &out);
    reply_free(reply);
}

/* Those that are there now. A callback may free the file. */
static void on_idle(uv_idle_t *idle)
{
    struct lease_file *file = idle->data;
    struct file_reply *reply;
    char *problem = save(file);
    size_t n = 0;

    TAILQ_FOREACH(reply, &file->replies, at)
    n++;
    uv_idle_stop(idle);
    while (n-- && idle->data && (reply = TAILQ_FIRST(&file->replies))) {
        TAILQ_REMOVE(&file->replies, reply, at);
        answer(reply, problem);
    }
    free(problem);
}

/* ---- handles */

static bool is_kept(enum lease_op op)
{
    return op == LEASE_CREATE || op == LEASE_CHECKPOINT || op == LEASE_PREPARE ||
           op == LEASE_META || op == LEASE_DELETE;
}

static void call_io(struct lease_io *io, const struct lease_call *call, lease_fn fn, void *arg)
{
    struct file_io *mine = (struct file_io *)io;
    struct lease_file *file = mine->file;
    struct file_reply *reply = mem_new(sizeof *reply);

    reply->io = mine;
    reply->op = call->op;
    reply->fn = fn;
    reply->arg = arg;
    reply->sent_ms = clock_mono_ms();
    memory_table_do(mine->table, call, &reply->answer);
    file->is_dirty |= reply->answer.has_changed && is_kept(call->op);
    TAILQ_INSERT_TAIL(&file->replies, reply, at);
    uv_idle_start(file->idle, on_idle);
}

static void free_io(struct lease_io *io)
{
    struct file_io *mine = (struct file_io *)io;
    struct file_reply *reply = TAILQ_FIRST(&mine->file->replies), *next;

    for (; reply; reply = next) {
        next = TAILQ_NEXT(reply, at);
        if (reply->io != mine)
            continue;
        TAILQ_REMOVE(&mine->file->replies, reply, at);
        reply_free(reply);
    }
    free(mine->name);
    free(mine);
}

struct lease_io *lease_file_io(struct lease_file *file, const char *flow)
{
    struct file_io *mine = mem_new(sizeof *mine);

    mine->file = file;
    mine->table = file_flows_table(&file->flows, flow);
    mine->name = mem_fmt("%s of %s", flow, file->path);
    mine->io = (struct lease_io){.call = call_io,
                                 .now_ms = lease_io_now_ms,
                                 .wall_s = lease_io_wall_s,
                                 .is_private = true,
                                 .table = mine->name,
                                 .free = free_io};
    return &mine->io;
}

/* ---- begin and end */

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static struct lease_file *file_open(const char *path, const char *application, uv_loop_t *loop,
                                    bool is_locked, struct error *err)
{
    struct lease_file *file = mem_new(sizeof *file);

    file->path = mem_dup(path);
    file->next_path = mem_fmt("%s.next", path);
    file->application = mem_dup(application);
    file->lock_fd = -1;
    TAILQ_INIT(&file->replies);
    if ((is_locked && !lock_file(file, err)) || !load(file, err)) {
        lease_file_free(file);
        return NULL;
    }
    file->idle = mem_new(sizeof *file->idle);
    uv_idle_init(loop, file->idle);
    file->idle->data = file;
    return file;
}

struct lease_file *lease_file_new(const char *path, const char *application, uv_loop_t *loop,
                                  struct error *err)
{
    return file_open(path, application, loop, true, err);
}

struct lease_file *lease_file_look(const char *path, const char *application, uv_loop_t *loop,
                                   struct error *err)
{
    return file_open(path, application, loop, false, err);
}

void lease_file_free(struct lease_file *file)
{
    if (!file)
        return;
    free(save(file)); /* what nobody waits for any more; it is read again if this fails */
    if (file->idle) {
        file->idle->data = NULL;
        uv_close((uv_handle_t *)file->idle, on_closed);
    }
    if (file->lock_fd >= 0)
        close(file->lock_fd);
    file_flows_fini(&file->flows);
    free(file->path);
    free(file->next_path);
    free(file->application);
    free(file);
}
