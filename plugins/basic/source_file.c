/* source_file.c - source file: the lines of files as records.
 *
 * Every file is a lane; its position is the byte behind the last line that was
 * submitted. A file is read in pieces on the pool, straight into the slab that
 * its records point into; what is left of a line moves to the next slab.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <kpipe/ext/lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/basic/basic.h"

#define PIECE    (256 << 10) /* bytes of one read */
#define PARALLEL 4           /* files a worker has open at once */

struct file_config {
    kp_list path;
    kp_value key;
    int64_t max_line;
};

struct file_state;
struct file_lane {
    struct file_state *me;
    kp_node *node;
    const char *path; /* [owned by the list of paths] */
    kp_lane *lane;
    int fd;
    uint64_t offset;       /* of the first byte of `rest` in the file */
    char *rest;            /* [owned] a begun line */
    size_t rest_len, grow; /* grow: more than a piece is needed for this line */
    kp_slab *slab;         /* being read into */
    size_t capacity;
    ssize_t got;
    int error;
    bool reading, want, done;
};

struct file_state {
    const struct file_config *config;
    const kp_lua_ext *lua;
    char **paths; /* [owned] */
    size_t n_paths, paths_cap, next, n_open;
    struct file_lane *lanes; /* [owned] PARALLEL of them */
    bool stopped, failed, ended, filling;
};

static const kp_option file_options[] = {
    {"path", KP_T_LIST, offsetof(struct file_config, path), KP_REQUIRED, NULL,
     "files to read, wildcards allowed", NULL},
    {"key", KP_T_VALUE, offsetof(struct file_config, key), KP_OPTIONAL, NULL,
     "partition key: text, k.field or a function", NULL},
    {"max_line", KP_T_BYTES, offsetof(struct file_config, max_line), "10MiB", "1KiB..256MiB",
     "longest line; a longer one ends the run with an error", NULL},
    {0},
};

static void next_read(struct file_lane *lane);
static void fill_lanes(kp_node *node, struct file_state *me);

/* ---- records */

static void set_keys(kp_node *node, const struct file_state *me, kp_batch *b)
{
    kp_slice ret;

    for (uint32_t i = 0; i < b->count && me->config->key.kind != KP_V_NONE; i++) {
        kp_lua_result result = me->lua->value(node, &me->config->key, b, i, &ret);

        if (result == KP_LUA_ERROR)
            kp->log(node, KP_LOG_WARN, "key.failed", "reason=\"%.*s\"", (int)ret.len, ret.ptr);
        else if (result == KP_LUA_TEXT)
            kp->set_key(b, i, ret.ptr, ret.len);
    }
}

static bool add_line(kp_batch *b, const char *data, size_t len, uint64_t at)
{
    kp_record *record;
    char *digits;

    if (len && data[len - 1] == '\r')
        len--;
    if (!len)
        return true; /* an empty line is no record */
    digits = kp->alloc(b, 24);
    record = digits ? kp->append(b, 1) : NULL;
    if (!record)
        return false;
    record->data = data;
    record->data_len = (uint32_t)len;
    record->sequence = digits;
    record->sequence_len = (uint32_t)snprintf(digits, 24, "%llu", (unsigned long long)at);
    record->arrival_ms = kp->wall_ms();
    return true;
}

/* Puts the lines of data into b; returns the bytes used up, -1: out of memory. */
static ssize_t add_lines(kp_batch *b, const char *data, size_t len, uint64_t at, bool is_end)
{
    size_t used = 0;

    while (used < len) {
        const char *line = data + used, *end = memchr(line, '\n', len - used);
        size_t n = end ? (size_t)(end - line) : len - used;

        if (!end && !is_end)
            break;
        if (!add_line(b, line, n, at + used))
            return -1;
        used += n + (end != NULL);
    }
    return (ssize_t)used;
}

static bool keep_rest(struct file_lane *lane, const char *data, size_t len)
{
    char *rest = realloc(lane->rest, len + 1);

    if (!rest)
        return false;
    memcpy(rest, data, len);
    lane->rest = rest;
    lane->rest_len = len;
    return true;
}

/* ---- a lane's life */

static void fail_lane(struct file_lane *lane, const char *what, const char *why)
{
    lane->me->failed = true;
    kp->fail(lane->node, "%s %s: %s", what, lane->path, why);
}

static void close_lane(struct file_lane *lane)
{
    kp_node *node = lane->node;
    struct file_state *me = lane->me;

    if (lane->lane)
        kp->lane_close(lane->lane);
    if (lane->fd >= 0)
        close(lane->fd);
    free(lane->rest);
    *lane = (struct file_lane){.me = me, .node = node, .fd = -1};
    me->n_open--;
}

static void submit_piece(struct file_lane *lane)
{
    struct file_state *me = lane->me;
    const char *data = kp->slab_data(lane->slab);
    size_t len = lane->rest_len + (size_t)lane->got;
    bool is_end = lane->got == 0;
    kp_batch *b = kp->batch_new(lane->node, 1024);
    ssize_t used = b ? add_lines(b, data, len, lane->offset, is_end) : -1;
    char text[24];
    int n;

    if (used < 0 || !keep_rest(lane, data + used, len - (size_t)used)) {
        if (b)
            kp->release(lane->node, b);
        fail_lane(lane, "reading", "out of memory");
        return;
    }
    lane->grow = used || is_end ? 0 : len;
    lane->offset += (uint64_t)used;
    n = snprintf(text, sizeof text, "%llu", (unsigned long long)lane->offset);
    if (b->count) {
        kp->keep(b, lane->slab);
        set_keys(lane->node, me, b);
        kp->submit(lane->lane, b, &(kp_position){{text, (size_t)n}, 0}, NULL);
    } else {
        kp->release(lane->node, b);
    }
    lane->done = is_end;
}

static void piece_read(kp_node *node, void *arg)
{
    struct file_lane *lane = arg;
    struct file_state *me = lane->me;

    lane->reading = false;
    if (lane->error)
        fail_lane(lane, "cannot read", strerror(lane->error));
    else if (!me->stopped && !me->failed)
        submit_piece(lane);
    kp->slab_unref(lane->slab);
    lane->slab = NULL;
    if (me->stopped || me->failed)
        return;
    if (lane->done) {
        close_lane(lane);
        fill_lanes(node, me);
    } else {
        next_read(lane);
    }
}

static void read_piece(void *arg)
{
    struct file_lane *lane = arg;
    char *data = kp->slab_data(lane->slab);

    memcpy(data, lane->rest_len ? lane->rest : "", lane->rest_len);
    do
        lane->got = pread(lane->fd, data + lane->rest_len, lane->capacity - lane->rest_len,
                          (off_t)(lane->offset + lane->rest_len));
    while (lane->got < 0 && errno == EINTR);
    lane->error = lane->got < 0 ? errno : 0;
}

static void next_read(struct file_lane *lane)
{
    struct file_state *me = lane->me;
    size_t capacity = PIECE + lane->rest_len + lane->grow; /* a long line doubles the piece */

    lane->want = true;
    if (lane->reading || me->stopped || me->failed || !kp->lane_ready(lane->lane) ||
        !kp->reserve(lane->node, capacity))
        return; /* wake() comes */
    lane->want = false;
    if (lane->rest_len > (size_t)me->config->max_line) {
        kp->unreserve(lane->node, capacity);
        fail_lane(lane, "reading", "a line is longer than max_line");
        return;
    }
    lane->slab = kp->slab_new(lane->node, capacity);
    if (!lane->slab) {
        kp->unreserve(lane->node, capacity);
        fail_lane(lane, "reading", "out of memory");
        return;
    }
    lane->capacity = capacity;
    lane->reading = true;
    kp->work(lane->node, read_piece, piece_read, lane);
}

/* Opens the file where its checkpoint stands; false: kp->fail() was called. */
static bool open_lane(struct file_lane *lane, const char *path)
{
    kp_position start;
    char digits[24];
    struct stat st;

    lane->path = path;
    lane->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (lane->fd < 0 || fstat(lane->fd, &st)) {
        fail_lane(lane, "cannot open", strerror(errno));
        return false;
    }
    if (!S_ISREG(st.st_mode)) {
        fail_lane(lane, "cannot read", "it is no regular file");
        return false;
    }
    lane->lane = kp->lane_open(lane->node, path, lane, &start);
    snprintf(digits, sizeof digits, "%.*s", (int)(start.text.len < 23 ? start.text.len : 23),
             start.text.len ? start.text.ptr : "");
    lane->offset = strtoull(digits, NULL, 10);
    if (lane->offset > (uint64_t)st.st_size) {
        fail_lane(lane, "cannot go on with", "it is shorter than its checkpoint says");
        return false;
    }
    return true;
}

/* Opens files until PARALLEL are open or none is left. */
static void fill_lanes(kp_node *node, struct file_state *me)
{
    if (me->filling) /* called by a file that was read while others are being opened */
        return;
    me->filling = true;
    for (size_t i = 0; i < PARALLEL && me->next < me->n_paths && !me->failed; i++) {
        struct file_lane *lane = &me->lanes[i];

        if (lane->fd >= 0)
            continue;
        me->n_open++;
        if (open_lane(lane, me->paths[me->next++]))
            next_read(lane);
    }
    me->filling = false;
    if (!me->n_open && !me->failed && !me->ended) {
        me->ended = true;
        kp->ended(node);
    }
}

/* ---- the element */

static bool add_path(struct file_state *me, const char *path)
{
    if (me->n_paths == me->paths_cap) {
        size_t cap = me->paths_cap ? me->paths_cap * 2 : 16;
        char **grown = realloc(me->paths, cap * sizeof(char *));

        if (!grown)
            return false;
        me->paths = grown;
        me->paths_cap = cap;
    }
    me->paths[me->n_paths] = strdup(path);
    return me->paths[me->n_paths++] != NULL;
}

/* All workers see the same files in the same order and take every n-th. */
static kp_status list_files(kp_node *node, struct file_state *me)
{
    const kp_info *info = kp->info(node);
    size_t number = 0;
    bool ok = true;

    for (size_t i = 0; i < me->config->path.count && ok; i++) {
        const char *pattern = me->config->path.items[i];
        glob_t found = {0};
        int error = glob(pattern, GLOB_ERR | GLOB_BRACE | GLOB_TILDE, NULL, &found);

        if (error == GLOB_NOMATCH)
            return strpbrk(pattern, "*?[{")
                       ? kp->fail(node, "no file matches %s", pattern)
                       : kp->fail(node, "cannot open %s: %s", pattern, strerror(ENOENT));
        if (error)
            return kp->fail(node, "cannot list %s: %s", pattern,
                            error == GLOB_NOSPACE ? "out of memory" : strerror(errno));
        for (size_t k = 0; k < found.gl_pathc && ok; k++)
            if (number++ % info->n_workers == info->worker)
                ok = add_path(me, found.gl_pathv[k]);
        globfree(&found);
    }
    return ok ? KP_OK : kp->fail(node, "out of memory");
}

static kp_status file_open(kp_node *node, const void *config, void *state)
{
    struct file_state *me = state;

    me->config = config;
    me->lua = kp->extension("lua/1");
    me->lanes = calloc(PARALLEL, sizeof *me->lanes);
    if (!me->lua || !me->lanes)
        return kp->fail(node, me->lanes ? "this host has no lua/1" : "out of memory");
    for (size_t i = 0; i < PARALLEL; i++)
        me->lanes[i] = (struct file_lane){.me = me, .node = node, .fd = -1};
    return list_files(node, me);
}

static kp_status file_start(kp_node *node, void *state)
{
    struct file_state *me = state;

    fill_lanes(node, me);
    return me->failed ? KP_FATAL : KP_OK;
}

static void file_wake(kp_node *node, void *state, kp_lane *lane, void *lane_state)
{
    struct file_state *me = state;

    (void)node, (void)lane_state;
    for (size_t i = 0; i < PARALLEL; i++)
        if (me->lanes[i].want && (!lane || me->lanes[i].lane == lane))
            next_read(&me->lanes[i]);
}

static void file_stop(kp_node *node, void *state)
{
    (void)node;
    ((struct file_state *)state)->stopped = true;
}

static void file_close(kp_node *node, void *state)
{
    struct file_state *me = state;

    (void)node;
    for (size_t i = 0; me->lanes && i < PARALLEL; i++) {
        free(me->lanes[i].rest);
        if (me->lanes[i].fd >= 0)
            close(me->lanes[i].fd);
    }
    for (size_t i = 0; i < me->n_paths; i++)
        free(me->paths[i]);
    free(me->paths);
    free(me->lanes);
}

const kp_element basic_file_source = {
    .size = sizeof(kp_element),
    .kind = KP_SOURCE,
    .flags = KP_BOUNDED,
    .name = "file",
    .help = "reads the lines of files",
    .options = file_options,
    .config_size = sizeof(struct file_config),
    .state_size = sizeof(struct file_state),
    .open = file_open,
    .start = file_start,
    .wake = file_wake,
    .stop = file_stop,
    .close = file_close,
};
