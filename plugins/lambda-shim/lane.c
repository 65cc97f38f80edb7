/* lane.c - see shim.h: what waits, in order, and how it is cut into jobs.
 *
 * A batch of the host is held until all of its records have ended. Jobs are cut
 * from the front of a lane: up to batch_size records and 6 MiB of event, across
 * the borders of the host's batches. A lane has one job at a time, so that its
 * order holds; only raw events may run side by side (concurrency > 1), because
 * whoever sends those has asked for it. The parallelization factor splits a
 * shard into lanes by partition key: each key's order holds, and one key's
 * failures do not hold up the keys of other lanes.
 */
#include <stdlib.h>
#include <string.h>

#include "plugins/lambda-shim/shim.h"
#include "sdk/wire/hash.h"

#define PARTS_MAX 10
#define TURN_MS   5 /* how long the loop may be kept by functions that answer at once */

static uint32_t max_jobs(const struct shim *shim)
{
    return shim->config->event == EVENT_RAW ? (uint32_t)shim->config->concurrency : 1;
}

static uint32_t max_records(const struct shim *shim)
{
    return shim->config->event == EVENT_RAW ? 1 : (uint32_t)shim->config->batch_size;
}

/* ---- held batches */

static struct held *held_new(struct shim *shim, kp_batch *b)
{
    struct held *held = calloc(1, sizeof *held);

    if (!held)
        return NULL;
    held->b = b;
    held->open = b->count;
    held->next = shim->held;
    held->prev = &shim->held;
    if (shim->held)
        shim->held->prev = &held->next;
    shim->held = held;
    return held;
}

static void held_free(struct held *held)
{
    *held->prev = held->next;
    if (held->next)
        held->next->prev = held->prev;
    free(held);
}

void lane_ended(struct shim *shim, struct ref ref)
{
    struct held *held = ref.held;
    kp_batch *b = held->b;

    if (--held->open)
        return;
    held_free(held);
    kp->done(shim->node, b);
}

static void reject_too_large(struct shim *shim, struct ref ref)
{
    static const char reason[] = "the event of this record alone is larger than 6 MiB";
    kp_failure failure = {
        .size = sizeof failure,
        .batch = ++shim->failure_batch,
        .condition = {"MaximumPayloadSizeExceeded", 26},
        .reason = {reason, sizeof reason - 1},
        .stream = {shim->stream_arn, strlen(shim->stream_arn)},
    };

    kp->reject_with(ref.held->b, ref.i, &failure);
    lane_ended(shim, ref);
}

/* ---- cutting */

/* Room for n more; false: no memory, nothing has changed. */
static bool queue_reserve(struct lane *lane, size_t n)
{
    size_t cap = lane->cap ? lane->cap : 64;
    struct ref *queue;

    while (cap < lane->waiting + n)
        cap *= 2;
    if (cap == lane->cap)
        return true;
    queue = malloc(cap * sizeof *queue);
    if (!queue)
        return false;
    for (size_t i = 0; i < lane->waiting; i++)
        queue[i] = lane->queue[(lane->at + i) & (lane->cap - 1)];
    free(lane->queue);
    lane->queue = queue;
    lane->cap = cap;
    lane->at = 0;
    return true;
}

static void queue_put(struct lane *lane, struct ref ref)
{
    lane->queue[(lane->at + lane->waiting++) & (lane->cap - 1)] = ref;
}

static struct ref queue_take(struct lane *lane)
{
    struct ref ref = lane->queue[lane->at];

    lane->at = (lane->at + 1) & (lane->cap - 1);
    lane->waiting--;
    return ref;
}

/* Takes records from the front for one event; 0 when those at hand were all too large. */
static uint32_t take_refs(struct lane *lane, struct ref *refs, uint32_t max)
{
    struct shim *shim = lane->shim;
    size_t bytes = 16; /* {"Records":[]} */
    uint32_t n = 0;

    while (lane->waiting && n < max) {
        size_t size = event_size(shim, lane, ref_record(lane->queue[lane->at]));
        struct ref ref;

        if (bytes + size > EVENT_MAX && n)
            break;
        ref = queue_take(lane);
        if (bytes + size > EVENT_MAX) {
            reject_too_large(shim, ref);
            continue;
        }
        bytes += size;
        refs[n++] = ref;
    }
    return n;
}

/* False: no memory, or nothing to do; what waits goes on waiting. */
static bool cut_job(struct lane *lane)
{
    uint64_t max = max_records(lane->shim), n = lane->waiting < max ? lane->waiting : max;
    struct ref *refs = malloc(n * sizeof *refs);
    struct job *job;
    uint32_t taken;

    if (!refs)
        return false;
    taken = take_refs(lane, refs, (uint32_t)n);
    if (!taken) {
        free(refs);
        return lane->waiting > 0;
    }
    job = job_new(lane, refs, taken);
    if (!job)
        return false;
    lane->running++;
    shim_enqueue(lane->shim, job);
    return true;
}

static bool may_cut(const struct lane *lane)
{
    const struct shim *shim = lane->shim;

    if (!lane->waiting || lane->running >= max_jobs(shim) || shim->closing || lane->cutting)
        return false;
    return lane->window_closed || !shim->config->batch_window_ms ||
           lane->waiting >= max_records(shim);
}

static void lane_cut(struct lane *lane)
{
    /* Handing a batch back may bring the next one at once: that one waits its turn. */
    while (may_cut(lane)) {
        bool ok;

        lane->cutting = true;
        ok = cut_job(lane);
        lane->cutting = false;
        if (!ok)
            break;
    }
    if (!lane->waiting) {
        lane->window_closed = false;
        if (lane->window)
            lane->shim->timer->stop(lane->window);
    }
}

static void window_over(kp_node *node, void *arg)
{
    struct lane *lane = arg;

    (void)node;
    lane->window_closed = true;
    lane_cut(lane);
    shim_run(lane->shim);
}

static void open_window(struct lane *lane)
{
    struct shim *shim = lane->shim;

    if (!shim->config->batch_window_ms || shim->config->event == EVENT_RAW || lane->window_closed)
        return;
    if (!lane->window)
        lane->window = shim->timer->create(shim->node, window_over, lane);
    if (!shim->timer->active(lane->window))
        shim->timer->start(lane->window, shim->config->batch_window_ms, 0);
}

/* The next window begins when an invocation has completed. */
void lane_job_ended(struct lane *lane)
{
    lane->running--;
    if (lane->waiting)
        open_window(lane);
    lane_cut(lane);
}

/* ---- lanes */

static char *dup_slice(kp_slice slice)
{
    char *copy = malloc(slice.len + 1);

    if (copy) {
        memcpy(copy, slice.ptr, slice.len);
        copy[slice.len] = '\0';
    }
    return copy;
}

static bool is_named(const struct lane *lane, kp_slice name)
{
    return strlen(lane->name) == name.len && memcmp(lane->name, name.ptr, name.len) == 0;
}

static struct lane *lane_of(struct shim *shim, const kp_batch *b, uint32_t part)
{
    struct lane *lane = shim->lanes;

    while (lane && !(lane->id == b->lane && lane->part == part && is_named(lane, b->lane_name)))
        lane = lane->next;
    if (lane)
        return lane;
    lane = calloc(1, sizeof *lane);
    if (!lane)
        return NULL;
    lane->name = dup_slice(b->lane_name);
    if (!lane->name) {
        free(lane);
        return NULL;
    }
    lane->shim = shim;
    lane->id = b->lane;
    lane->part = part;
    lane->next = shim->lanes;
    shim->lanes = lane;
    return lane;
}

/* The last four bytes of the key's MD5: all keys of a shard share the leading ones. */
static uint32_t part_of(const kp_record *record, uint32_t parts)
{
    uint8_t sum[KPW_MD5_SIZE];
    uint32_t last = 0;

    if (parts == 1)
        return 0;
    kpw_md5(record->key_len ? record->key : "", record->key_len, sum);
    for (int i = KPW_MD5_SIZE - 4; i < KPW_MD5_SIZE; i++)
        last = last << 8 | sum[i];
    return last % parts;
}

/* Finds the lanes the batch's records go to and makes room there. False: no memory. */
static bool find_lanes(struct shim *shim, const kp_batch *b, uint32_t parts, struct lane **ret)
{
    size_t counts[PARTS_MAX] = {0};

    for (uint32_t i = 0; i < b->count; i++)
        counts[part_of(kp_at(b, i), parts)]++;
    for (uint32_t part = 0; part < parts; part++) {
        if (!counts[part])
            continue;
        ret[part] = lane_of(shim, b, part);
        if (!ret[part] || !queue_reserve(ret[part], counts[part]))
            return false;
    }
    return true;
}

bool lane_add(struct shim *shim, kp_batch *b)
{
    uint32_t parts = (uint32_t)shim->config->parallelization_factor;
    struct lane *lanes[PARTS_MAX] = {NULL};
    struct held *held;

    if (!find_lanes(shim, b, parts, lanes))
        return false;
    held = held_new(shim, b);
    if (!held)
        return false;
    for (uint32_t i = 0; i < b->count; i++)
        queue_put(lanes[part_of(kp_at(b, i), parts)], (struct ref){held, i});
    for (uint32_t part = 0; part < parts; part++) {
        if (!lanes[part])
            continue;
        open_window(lanes[part]);
        lane_cut(lanes[part]);
    }
    return true;
}

void lane_flush(struct shim *shim)
{
    for (struct lane *lane = shim->lanes; lane; lane = lane->next) {
        lane->window_closed = lane->waiting > 0;
        lane_cut(lane);
    }
}

/* Records without an end stay unsettled: they are read again by whoever comes next. */
void lane_free_all(struct shim *shim)
{
    for (struct lane *lane = shim->lanes, *next; lane; lane = next) {
        next = lane->next;
        if (lane->window)
            shim->timer->destroy(lane->window);
        free(lane->queue);
        free(lane->name);
        free(lane);
    }
    shim->lanes = NULL;
    while (shim->held) {
        kp_batch *b = shim->held->b;

        held_free(shim->held);
        kp->done(shim->node, b);
    }
}

/* ---- slots */

void shim_enqueue(struct shim *shim, struct job *job)
{
    job->next = NULL;
    *shim->ready_end = job;
    shim->ready_end = &job->next;
}

void shim_run(struct shim *shim)
{
    int64_t since = kp->now_ms();

    if (shim->running || shim->closing)
        return;
    shim->running = true;
    while (shim->ready && shim->backend->has_slot(shim)) {
        struct job *job = shim->ready;

        shim->ready = job->next;
        if (!shim->ready)
            shim->ready_end = &shim->ready;
        if (job_prepare(job)) {
            kp->count(shim->node, "invocations", 1);
            shim->backend->invoke(shim, job);
        }
        if (kp->now_ms() - since > TURN_MS && shim->ready) {
            shim->timer->start(shim->again, 0, 0);
            break;
        }
    }
    shim->running = false;
}
