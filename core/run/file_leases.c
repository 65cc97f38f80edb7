/* file_leases.c - leases in one JSON file, for a single process without DynamoDB.
 *
 *   {"kpipe":1,"application":"pattern4","flows":{"enrich":{"shardId-000000000000":
 *     {"checkpoint":"4959...","sub":0}}}}
 *
 * Every publish writes the whole file anew beside the old one and renames it. A
 * lock on FILE.lock keeps a second process out.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/config/plan.h"
#include "core/run/leases.h"

struct file_leases {
    char *path, *next_path; /* [owned] */
    int lock_fd;
};

static bool lock_file(struct file_leases *file, struct error *err)
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

/* False: not a file of ours. What cannot be read is never taken for "not there". */
static bool read_flow(struct leases *leases, uint32_t flow, json_t *lanes)
{
    const char *lane;
    json_t *value;

    if (lanes && !json_is_object(lanes))
        return false;
    json_object_foreach(lanes, lane, value)
    {
        const char *text = json_string_value(json_object_get(value, "checkpoint"));
        json_t *sub = json_object_get(value, "sub");
        kp_position position;
        struct lease_row *row;

        if (!text || strlen(text) > KP_POSITION_MAX || (sub && !json_is_integer(sub)))
            return false;
        row = leases_row(leases, flow, lane, &position);
        lease_row_move(row, text, strlen(text), (uint64_t)json_integer_value(sub));
        row->is_dirty = false;
        row->is_stored = true;
    }
    return true;
}

static bool read_root(struct leases *leases, json_t *root)
{
    json_t *flows = json_object_get(root, "flows");
    bool ok = json_integer_value(json_object_get(root, "kpipe")) == 1 && json_is_object(flows);

    for (uint32_t i = 0; ok && i < leases->plan->n_flows; i++)
        ok = read_flow(leases, i, json_object_get(flows, leases->plan->flows[i].name));
    return ok;
}

static bool load(struct leases *leases, struct error *err)
{
    struct file_leases *file = leases->state;
    json_error_t problem;
    json_t *root;
    bool ok;

    if (!lock_file(file, err))
        return false;
    if (access(file->path, F_OK) && errno == ENOENT)
        return true;
    root = json_load_file(file->path, JSON_REJECT_DUPLICATES, &problem);
    ok = root && read_root(leases, root);
    if (!ok)
        error_set(err, ERROR_CORRUPT, "the lease file %s cannot be read: %s", file->path,
                  root ? "it is not one of ours" : problem.text);
    json_decref(root);
    return ok;
}

static json_t *flow_object(struct leases *leases, uint32_t flow)
{
    json_t *lanes = json_object();

    for (struct lease_row *row = leases->rows[flow]; row; row = row->next) {
        char text[KP_POSITION_MAX + 1];
        uint64_t sub;

        row->is_stored |= lease_row_take(row, text, &sub);
        if (row->is_stored)
            json_object_set_new(
                lanes, row->lane,
                json_pack("{s:s, s:I}", "checkpoint", text, "sub", (json_int_t)sub));
    }
    return lanes;
}

static bool write_whole(const struct file_leases *file, json_t *root)
{
    int fd = open(file->next_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool ok = fd >= 0 && !json_dumpfd(root, fd, JSON_INDENT(1)) && !fdatasync(fd);
    int saved = errno;

    if (fd >= 0 && close(fd))
        ok = false;
    if (ok && !rename(file->next_path, file->path))
        return true;
    errno = saved ? saved : errno;
    saved = errno;
    unlink(file->next_path);
    errno = saved;
    return false;
}

/* The file does not have what was taken for it. */
static void owe_all(struct leases *leases)
{
    pthread_mutex_lock(&leases->lock);
    for (uint32_t i = 0; i < leases->plan->n_flows; i++) {
        for (struct lease_row *row = leases->rows[i]; row; row = row->next) {
            pthread_mutex_lock(&row->lock);
            row->is_dirty |= row->is_stored;
            pthread_mutex_unlock(&row->lock);
        }
    }
    pthread_mutex_unlock(&leases->lock);
}

static void publish(struct leases *leases, bool is_last)
{
    struct file_leases *file = leases->state;
    json_t *root, *flows;

    (void)is_last;
    if (!leases_is_dirty(leases))
        return;
    pthread_mutex_lock(&leases->lock);
    root = json_pack("{s:i, s:s, s:{}}", "kpipe", 1, "application", leases->plan->application,
                     "flows");
    flows = json_object_get(root, "flows");
    for (uint32_t i = 0; i < leases->plan->n_flows; i++)
        json_object_set_new(flows, leases->plan->flows[i].name, flow_object(leases, i));
    pthread_mutex_unlock(&leases->lock);
    errno = 0;
    if (!write_whole(file, root)) {
        char *text = mem_fmt("cannot write the lease file %s: %s", file->path, strerror(errno));

        leases_fail(leases, text);
        free(text);
        owe_all(leases);
    }
    json_decref(root);
}

static bool is_busy(const struct leases *leases)
{
    (void)leases;
    return false;
}

static void free_store(struct leases *leases)
{
    struct file_leases *file = leases->state;

    if (file->lock_fd >= 0)
        close(file->lock_fd);
    free(file->path);
    free(file->next_path);
    free(file);
}

static const struct lease_store store = {load, publish, is_busy, free_store};

void leases_use_file(struct leases *leases, const char *path)
{
    struct file_leases *file = mem_new(sizeof *file);

    file->path = mem_dup(path);
    file->next_path = mem_fmt("%s.next", path);
    file->lock_fd = -1;
    leases->state = file;
    leases->store = &store;
}
