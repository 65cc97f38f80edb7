/* job.c - see shim.h: the attempts of one event's records.
 *
 * The rules are those of an event source mapping (lambda-apigw sections 1.6 to
 * 1.9 of the specification): a failed range of more than one record is halved,
 * left half first, and that costs no attempt; a range that cannot be halved is
 * tried again until its attempts are used up; a partial answer finishes the
 * records before the first one named. What is still to be done is a stack of
 * neighbouring ranges, the leftmost on top, so a lane's order holds.
 */
#include <stdlib.h>
#include <string.h>

#include "plugins/lambda-shim/shim.h"
#include "sdk/objects/key.h"

#define BACKOFF_MIN_MS 500
#define BACKOFF_MAX_MS 60000

struct job *job_new(struct lane *lane, struct ref *refs, uint32_t n)
{
    struct job *job = calloc(1, sizeof *job);
    struct shim *shim = lane->shim;

    if (!job) {
        free(refs);
        return NULL;
    }
    job->lane = lane;
    job->refs = refs;
    job->n = n;
    job->ranges[0] = (struct range){0, n, 0, 0};
    job->depth = 1;
    job->all_next = shim->jobs;
    job->all_prev = &shim->jobs;
    if (shim->jobs)
        shim->jobs->all_prev = &job->all_next;
    shim->jobs = job;
    return job;
}

void job_free(struct job *job)
{
    *job->all_prev = job->all_next;
    if (job->all_next)
        job->all_next->all_prev = job->all_prev;
    if (job->timer)
        job->lane->shim->timer->destroy(job->timer);
    if (job->event.cap)
        kpw_buf_fini(&job->event);
    free(job->refs);
    free(job);
}

/* ---- ends */

static void deliver(struct job *job, uint32_t from, uint32_t to, kp_slice answer)
{
    struct shim *shim = job->lane->shim;
    kp_receipt receipt = {.size = sizeof receipt,
                          .status = 200,
                          .body = answer,
                          .body_type = {"application/json", 16}};

    for (uint32_t i = from; i < to; i++) {
        struct ref ref = job->refs[i];

        kp->deliver(ref.held->b, ref.i, shim->config->event == EVENT_RAW ? &receipt : NULL);
        lane_ended(shim, ref);
    }
}

/* All records of one failed call are rejected together, with the same failure number. */
static void reject(struct job *job, uint32_t from, uint32_t to, const char *condition,
                   const char *reason, uint32_t attempts, kp_slice detail)
{
    struct shim *shim = job->lane->shim;
    kp_failure failure = {
        .size = sizeof failure,
        .attempts = attempts,
        .batch = ++shim->failure_batch,
        .condition = {condition, strlen(condition)},
        .reason = {reason, strlen(reason)},
        .detail = detail,
        .stream = {shim->stream_arn, strlen(shim->stream_arn)},
    };

    kp->log(shim->node, KP_LOG_WARN, "function.gave-up",
            "function=%s condition=%s records=%u attempts=%u shard=%s", shim->function_name,
            condition, to - from, attempts, job->lane->name);
    for (uint32_t i = from; i < to; i++) {
        struct ref ref = job->refs[i];

        kp->reject_with(ref.held->b, ref.i, &failure);
        lane_ended(shim, ref);
    }
}

/* ---- the next call */

static bool is_too_old(const struct job *job, uint32_t i, int64_t now_ms)
{
    int64_t max_ms = job->lane->shim->config->max_age_ms;
    const kp_record *record = ref_record(job->refs[i]);

    return max_ms && record->arrival_ms && now_ms - record->arrival_ms > max_ms;
}

static void drop_too_old(struct job *job, struct range *range)
{
    int64_t now_ms = kp->wall_ms();
    uint32_t i = range->from;

    while (i < range->to && is_too_old(job, i, now_ms))
        i++;
    if (i == range->from)
        return;
    reject(job, range->from, i, "RecordAgeExceeded", "older than max_record_age", range->calls + 1,
           (kp_slice){"", 0});
    range->from = i;
}

static void job_wait(struct job *job, int64_t ms);

bool job_prepare(struct job *job)
{
    struct lane *lane = job->lane;
    struct range *range = NULL;

    while (job->depth) {
        range = &job->ranges[job->depth - 1];
        drop_too_old(job, range);
        if (range->from < range->to)
            break;
        job->depth--;
    }
    if (!job->depth) {
        job_free(job);
        lane_job_ended(lane);
        return false;
    }
    job->event.len = 0;
    if (!event_build(lane->shim, lane, job->refs + range->from, range->to - range->from,
                     &job->event)) {
        job_wait(job, BACKOFF_MIN_MS); /* no memory now */
        return false;
    }
    kpo_uuid(job->request_id);
    return true;
}

static void wait_over(kp_node *node, void *arg)
{
    struct job *job = arg;
    struct shim *shim = job->lane->shim;

    (void)node;
    shim_enqueue(shim, job);
    shim_run(shim);
}

static void job_wait(struct job *job, int64_t ms)
{
    struct shim *shim = job->lane->shim;

    if (!job->timer)
        job->timer = shim->timer->create(shim->node, wait_over, job);
    shim->timer->start(job->timer, ms, 0);
}

/* After the nth failed attempt: 0.5 s * 2^(n-1), at most 60 s, ±10 %; not beyond the age limit. */
static int64_t backoff_ms(const struct job *job, const struct range *range)
{
    int64_t ms = BACKOFF_MIN_MS, max_ms = job->lane->shim->config->max_age_ms, left;
    const kp_record *record = ref_record(job->refs[range->from]);

    for (uint32_t n = 1; n < range->attempts && ms < BACKOFF_MAX_MS; n++)
        ms *= 2;
    if (ms > BACKOFF_MAX_MS)
        ms = BACKOFF_MAX_MS;
    ms += ms / 10 - (int64_t)kpo_random_below((uint64_t)ms / 5 + 1);
    if (max_ms && record->arrival_ms) {
        left = record->arrival_ms + max_ms + 1 - kp->wall_ms();
        if (left < ms)
            ms = left > 0 ? left : 0;
    }
    return ms;
}

/* ---- what the function said */

static void split(struct job *job)
{
    struct range *range = &job->ranges[job->depth - 1];
    uint32_t middle = range->from + (range->to - range->from + 1) / 2;
    struct range left = {range->from, middle, range->attempts, 0};

    *range = (struct range){middle, range->to, range->attempts, 0};
    job->ranges[job->depth++] = left;
    shim_enqueue(job->lane->shim, job);
}

static void failed(struct job *job, kp_slice detail)
{
    const struct shim_config *config = job->lane->shim->config;
    struct range *range = &job->ranges[job->depth - 1];

    if (config->bisect_on_error && range->to - range->from > 1 && job->depth < JOB_DEPTH) {
        split(job);
        return;
    }
    range->attempts++;
    if (config->retries < 0 || range->attempts <= config->retries) {
        job_wait(job, backoff_ms(job, range));
        return;
    }
    reject(job, range->from, range->to, "RetryAttemptsExhausted",
           detail.len ? "the function failed" : "the function returned these records as failed",
           range->calls, detail);
    job->depth--;
    shim_enqueue(job->lane->shim, job);
}

/* Everything before the first named record is done; the rest begins anew. */
static void partly_done(struct job *job, uint32_t done)
{
    struct range *range = &job->ranges[job->depth - 1];

    deliver(job, range->from, range->from + done, (kp_slice){"", 0});
    range->from += done;
    range->attempts = range->calls = 0;
    shim_enqueue(job->lane->shim, job);
}

void job_answered(struct job *job, const struct answer *answer)
{
    struct shim *shim = job->lane->shim;
    struct range *range = &job->ranges[job->depth - 1];
    enum verdict verdict = VERDICT_ALL;
    uint32_t done = 0;

    range->calls++;
    if (answer->failed) {
        kp->count(shim->node, "function_errors", 1);
        event_log(shim, KP_LOG_WARN, "function.failed", "error", answer->body);
        failed(job, answer->body);
        shim_run(shim);
        return;
    }
    if (shim->config->report_item_failures && shim->config->event != EVENT_RAW)
        verdict = verdict_of(answer->body, job->refs + range->from, range->to - range->from, &done);
    if (verdict == VERDICT_NONE || (verdict == VERDICT_PART && !done)) {
        failed(job, (kp_slice){"", 0});
    } else if (verdict == VERDICT_PART) {
        partly_done(job, done);
    } else {
        deliver(job, range->from, range->to, answer->body);
        job->depth--;
        shim_enqueue(shim, job);
    }
    shim_run(shim);
}
