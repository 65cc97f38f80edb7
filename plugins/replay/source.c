/* source.c - source "replay": the lines of stored objects again, at their own pace or at full
 * speed.
 *
 * After amazon-kinesis-replay: objects in name order, one record per line with its '\n', due at
 * start + (t - t_first) / speedup by a time stamp member. One lane for the whole replay; its
 * position is "object#lines", so a restart goes on behind the last settled line.
 *
 * Pieces (pieces.h) are cut into batches of at most BATCH_LINES lines that point into the slab. A
 * broken object fails the flow only after all that was read before it is settled.
 *
 * Owned by: the source node, singleton.   Threads: its worker.
 */
#include "plugins/replay/source.h"

#include "plugins/replay/line.h"
#include "plugins/replay/objects.h"
#include "plugins/replay/pieces.h"
#include "sdk/wire/random.h"

#include <kpipe/ext/timer.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_LINES 1000
#define RETRY_MS    50  /* after an allocation failed */
#define NAME_KEPT   160 /* bytes of an object's name that a position carries: its end */

enum key_kind { KEY_RANDOM, KEY_HASH };

struct replay_config {
    const char *path;
    kp_list files;
    const char *timestamp;
    double speedup;
    int partition_key; /* enum key_kind */
};

struct cut_line {
    uint32_t at, len; /* in the piece, from pos; with the '\n' */
};

struct replay {
    const struct replay_config *config;
    kp_lane *lane;
    const kp_timer_ext *timers;
    kp_timer *timer;               /* [owned by node] */
    struct replay_objects objects; /* until start() gives them to `pieces` [owned] */
    struct pieces *pieces;         /* [owned] */
    struct kpw_random random;
    char path[200];             /* "$.dropoff_datetime" */
    uint64_t line;              /* lines of the current object that are submitted or skipped */
    uint64_t skip;              /* lines of the first object that an earlier run has settled */
    uint64_t unsettled;         /* batches */
    int64_t first_ms, start_ms; /* event time of the first line, when it was sent */
    bool has_first, stopped, over, is_pumping;
    bool has_complained; /* a line of the current object had no time stamp */
    char *failure;       /* what to fail with when all is settled [owned] */
    struct cut_line cut[BATCH_LINES];
};

/* The lines of one batch: how many records, and what of the piece they cover. */
struct cut {
    uint32_t records, bytes;
    uint64_t lines;  /* with empty ones, which are no records */
    int64_t wait_ms; /* until the next line is due; 0: at once */
};

static void pump(kp_node *node, void *arg);

/* ---- pace ----------------------------------------------------------------------------------- */

/* Milliseconds until the line, the nth of this batch, is due; 0 for a line without a time stamp. */
static int64_t until_due(kp_node *node, struct replay *r, kp_slice line, size_t object,
                         uint64_t nth)
{
    int64_t at_ms, now = kp->now_ms(), due;

    if (!replay_time_of(line, r->path, &at_ms)) {
        if (!r->has_complained)
            kp->log(node, KP_LOG_WARN, "line.untimed", "object=%s line=%llu member=%s",
                    pieces_object(r->pieces, object), (unsigned long long)(r->line + nth),
                    r->config->timestamp);
        r->has_complained = true;
        return 0;
    }
    if (!r->has_first) {
        r->has_first = true;
        r->first_ms = at_ms;
        r->start_ms = now;
    }
    due = r->start_ms + llround((double)(at_ms - r->first_ms) / r->config->speedup);
    return due > now ? due - now : 0;
}

static void cut_lines(kp_node *node, struct replay *r, struct piece *piece, struct cut *cut)
{
    const char *at = piece->pos;

    *cut = (struct cut){0};
    while (at < piece->end && cut->records < BATCH_LINES) {
        const char *end = (const char *)memchr(at, '\n', (size_t)(piece->end - at)) + 1;
        kp_slice line = {at, (size_t)(end - at)};

        if (line.len > 1 && r->config->speedup > 0)
            cut->wait_ms = until_due(node, r, line, piece->object, cut->lines + 1);
        if (cut->wait_ms)
            break;
        if (line.len > 1)
            r->cut[cut->records++] =
                (struct cut_line){(uint32_t)(at - piece->pos), (uint32_t)line.len};
        cut->lines++;
        at = end;
    }
    cut->bytes = (uint32_t)(at - piece->pos);
}

/* ---- batches -------------------------------------------------------------------------------- */

#define KEY_MAX KPW_UUID_SIZE

static uint32_t make_key(struct replay *r, const kp_record *record, char *out)
{
    if (r->config->partition_key == KEY_HASH)
        return (uint32_t)replay_hash_key(record->data, record->data_len, out);
    return (uint32_t)kpw_random_uuid(&r->random, out);
}

static size_t print_position(const struct replay *r, size_t object, uint64_t line, char *out,
                             size_t cap)
{
    const char *name = pieces_object(r->pieces, object);
    size_t len = strlen(name);

    if (len > NAME_KEPT)
        name += len - NAME_KEPT;
    return (size_t)snprintf(out, cap, "%s#%llu", name, (unsigned long long)line);
}

/* False: no memory now. */
static bool submit(kp_node *node, struct replay *r, struct piece *piece, const struct cut *cut)
{
    kp_batch *b = kp->batch_new(node, cut->records);
    kp_record *records = b ? kp->append(b, cut->records) : NULL;
    char *keys = records ? kp->alloc(b, (size_t)cut->records * KEY_MAX) : NULL;
    char position[KP_POSITION_MAX + 1];
    kp_position end = {.text = {position, 0}};
    int64_t now = kp->wall_ms();

    if (!keys) {
        if (b)
            kp->release(node, b);
        return false;
    }
    kp->keep(b, piece->slab);
    for (uint32_t i = 0; i < cut->records; i++) {
        kp_record *record = (kp_record *)(void *)kp_at(b, i);

        record->data = piece->pos + r->cut[i].at;
        record->data_len = r->cut[i].len;
        record->key = keys;
        record->key_len = make_key(r, record, keys);
        record->arrival_ms = now;
        keys += record->key_len;
    }
    end.text.len =
        print_position(r, piece->object, r->line + cut->lines, position, sizeof(position));
    r->unsettled++;
    kp->submit(r->lane, b, &end, r);
    return true;
}

/* Steps over lines that an earlier run has settled. */
static void skip_lines(struct replay *r, struct piece *piece)
{
    while (r->skip && piece->pos < piece->end) {
        piece->pos = (char *)memchr(piece->pos, '\n', (size_t)(piece->end - piece->pos)) + 1;
        r->skip--;
        r->line++;
    }
}

/* ---- the loop ------------------------------------------------------------------------------- */

static void fail_when_settled(kp_node *node, struct replay *r)
{
    if (r->failure && r->unsettled == 0 && !r->stopped) {
        (void)kp->fail(node, "%s", r->failure);
        free(r->failure);
        r->failure = NULL;
    }
}

static void finish(kp_node *node, struct replay *r)
{
    r->over = true;
    kp->lane_close(r->lane);
    kp->ended(node);
}

/* All lines of the piece are sent. */
static void leave_piece(kp_node *node, struct replay *r, struct piece *piece)
{
    if (piece->why[0]) {
        r->over = true;
        r->failure = strdup(piece->why);
        if (!r->failure)
            (void)kp->fail(node, "%s", piece->why);
    }
    if (piece->last) {
        r->line = r->skip = 0;
        r->has_complained = false;
    }
    pieces_drop(r->pieces);
}

/* One batch. False: it has to wait for time, room or memory. */
static bool step(kp_node *node, struct replay *r, struct piece *piece)
{
    struct cut cut;

    if (!kp->lane_ready(r->lane))
        return false;
    cut_lines(node, r, piece, &cut);
    if (cut.records && !submit(node, r, piece, &cut)) {
        r->timers->start(r->timer, RETRY_MS, 0);
        return false;
    }
    piece->pos += cut.bytes;
    r->line += cut.lines;
    if (cut.wait_ms)
        r->timers->start(r->timer, cut.wait_ms, 0);
    return cut.wait_ms == 0;
}

static void pump(kp_node *node, void *arg)
{
    struct replay *r = arg;
    struct piece *piece;
    bool go_on = !r->is_pumping;

    if (r->is_pumping)
        return;
    r->is_pumping = true; /* submit() may settle and wake at once */
    while (go_on && !r->stopped && !r->over) {
        bool has_memory = pieces_fetch(r->pieces);

        piece = pieces_head(r->pieces);
        if (!piece) {
            if (pieces_at_end(r->pieces))
                finish(node, r);
            else if (!has_memory)
                r->timers->start(r->timer, RETRY_MS, 0);
            break;
        }
        skip_lines(r, piece);
        if (piece->pos == piece->end)
            leave_piece(node, r, piece);
        else
            go_on = step(node, r, piece);
    }
    r->is_pumping = false;
    fail_when_settled(node, r);
}

/* ---- the element ---------------------------------------------------------------------------- */

static kp_status replay_validate(kp_node *node, const void *config)
{
    const struct replay_config *c = config;

    if ((c->path && *c->path) == (c->files.count > 0))
        return kp->fail(node, "give either path or files");
    if (!*c->timestamp || strlen(c->timestamp) > 150 || strchr(c->timestamp, '\''))
        return kp->fail(node, "timestamp must name a member of the records");
    return KP_OK;
}

static kp_status find_objects(kp_node *node, struct replay *r)
{
    const struct replay_config *c = r->config;
    char why[512];

    for (size_t i = 0; i < c->files.count; i++)
        if (!replay_objects_add(&r->objects, c->files.items[i], why, sizeof(why)))
            return kp->fail(node, "%s", why);
    if (c->files.count)
        return KP_OK;
    if (!replay_objects_add(&r->objects, c->path, why, sizeof(why)))
        return kp->fail(node, "%s", why);
    replay_objects_sort(&r->objects);
    return KP_OK;
}

static kp_status replay_open(kp_node *node, const void *config, void *state)
{
    struct replay *r = state;

    r->config = config;
    kpw_random_init(&r->random);
    snprintf(r->path, sizeof(r->path), "$['%s']", r->config->timestamp);
    r->timers = kp->extension("timer/1");
    if (!r->timers)
        return kp->fail(node, "this host has no timer/1");
    r->timer = r->timers->create(node, pump, r);
    if (!r->timer)
        return kp->fail(node, "out of memory");
    return find_objects(node, r);
}

/* The object an earlier run stopped in, and how many of its lines it has settled. Answers the first
 * one when the objects have changed so that the name is not there: better twice than never. */
static size_t resume_at(kp_node *node, struct replay *r, const kp_position *at)
{
    const char *hash = at->text.len ? memrchr(at->text.ptr, '#', at->text.len) : NULL;
    size_t len = hash ? (size_t)(hash - at->text.ptr) : 0;
    uint64_t lines = 0;

    if (!hash)
        return 0;
    for (const char *p = hash + 1; p < at->text.ptr + at->text.len; p++)
        lines = lines * 10 + (uint64_t)(*p - '0');
    for (size_t i = 0; i < r->objects.count; i++) {
        const char *name = r->objects.items[i].name;
        size_t n = strlen(name);

        if (n > NAME_KEPT) {
            name += n - NAME_KEPT;
            n = NAME_KEPT;
        }
        if (n == len && memcmp(name, at->text.ptr, n) == 0) {
            r->skip = lines;
            return i;
        }
    }
    kp->log(node, KP_LOG_WARN, "object.missing", "position=%.*s from=start", (int)at->text.len,
            at->text.ptr);
    return 0;
}

static kp_status replay_start(kp_node *node, void *state)
{
    struct replay *r = state;
    kp_position at = {0};
    size_t first;

    r->lane = kp->lane_open(node, "replay", r, &at);
    if (!r->lane)
        return kp->fail(node, "cannot open the lane");
    first = resume_at(node, r, &at);
    r->pieces = pieces_new(node, &r->objects, first, pump, r);
    if (!r->pieces)
        return kp->fail(node, "out of memory");
    pump(node, r);
    return KP_OK;
}

static void replay_wake(kp_node *node, void *state, kp_lane *lane, void *lane_state)
{
    (void)lane;
    (void)lane_state;
    if (((struct replay *)state)->pieces)
        pump(node, state);
}

static void replay_settled(kp_node *node, void *state, void *token, const kp_result *results,
                           uint32_t n)
{
    struct replay *r = state;

    (void)token;
    (void)results;
    (void)n;
    r->unsettled--;
    if (!r->is_pumping)
        fail_when_settled(node, r);
}

static void replay_stop(kp_node *node, void *state)
{
    struct replay *r = state;

    (void)node;
    r->stopped = true;
    r->timers->stop(r->timer);
}

static void replay_close(kp_node *node, void *state)
{
    struct replay *r = state;

    (void)node;
    if (r->timer)
        r->timers->destroy(r->timer);
    r->timer = NULL;
    pieces_free(r->pieces);
    r->pieces = NULL;
    replay_objects_fini(&r->objects);
    free(r->failure);
    r->failure = NULL;
}

static const kp_option replay_options[] = {
    {"path", KP_T_STRING, offsetof(struct replay_config, path), KP_OPTIONAL, NULL,
     "a directory, a glob pattern or one file; k.file makes it relative to the pipeline file",
     NULL},
    {"files", KP_T_LIST, offsetof(struct replay_config, files), KP_OPTIONAL, NULL,
     "instead of path: directories, patterns and files, in this order", NULL},
    {"timestamp", KP_T_STRING, offsetof(struct replay_config, timestamp), "dropoff_datetime", NULL,
     "the top-level member that holds the time of a record", NULL},
    {"speedup", KP_T_NUMBER, offsetof(struct replay_config, speedup), "0", "0..1000000000",
     "how much faster than the time stamps; 0 = as fast as possible", NULL},
    {"partition_key", KP_T_ENUM, offsetof(struct replay_config, partition_key), "random",
     "random|hash", "random UUID, or the content hash of amazon-kinesis-replay 0.1", NULL},
    {0},
};

const kp_element replay_element = {
    .size = sizeof(kp_element),
    .kind = KP_SOURCE,
    .flags = KP_BOUNDED | KP_SINGLETON,
    .name = "replay",
    .help = "the lines of stored objects again, paced by a time stamp or at full speed",
    .options = replay_options,
    .config_size = sizeof(struct replay_config),
    .state_size = sizeof(struct replay),
    .validate = replay_validate,
    .open = replay_open,
    .start = replay_start,
    .wake = replay_wake,
    .settled = replay_settled,
    .stop = replay_stop,
    .close = replay_close,
};
