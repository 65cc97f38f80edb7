/* shard.c - reads one shard: an iterator, then GetRecords after GetRecords.
 *
 * At most one call is under way and at most one answer waits for the lane. How much is asked for
 * follows what comes: little while the shard is quiet, about 1 MiB of text while there is more
 * (what stays in the second-level cache while it is decoded). A small answer is moved to a slab of
 * its size, so that a trickle of records does not hold much memory. Reads are paced: at most five a
 * second (the shard's limit), at once while behind, ever slower up to `poll` while nothing comes.
 */
#include "plugins/kinesis/family.h"
#include "plugins/kinesis/source.h"
#include "sdk/wire/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN   (128 * 1024)
#define CAPACITY_MAX   (1536 * 1024)
#define CAPACITY_WORST (16 * 1024 * 1024) /* one record of 10 MiB as base64 and its frame */
#define RECORD_GUESS   1400
#define GAP_MS         250 /* to the next read when the last one brought all there was */
#define RETRY_BASE_MS  200
#define RETRY_MAX_MS   10000
#define QUIET_MS       60000 /* between two complaints about a shard */
#define TRIES_MAX      8     /* of requests the service calls wrong */

static void records_arrived(kp_node *node, void *arg, const kp_aws_response *response);

/* ---- time ----------------------------------------------------------------------------------- */

void shard_alarm(struct shard *shard, int64_t when)
{
    const kp_timer_ext *timers = shard->source->timers;

    if (shard->alarm_at && shard->alarm_at <= when)
        return;
    shard->alarm_at = when;
    when -= kp->now_ms();
    timers->start(shard->timer, when > 0 ? when : 0, 0);
}

static void alarm_rang(kp_node *node, void *arg)
{
    struct shard *shard = arg;

    (void)node;
    shard->alarm_at = 0;
    shard_go(shard);
}

static bool is_due(struct shard *shard)
{
    if (kp->now_ms() >= shard->not_before)
        return true;
    shard_alarm(shard, shard->not_before);
    return false;
}

/* When the shard may be read again without going over its limit. */
static int64_t allowed_at(const struct shard *shard)
{
    int64_t oldest = shard->reads[shard->read_at];

    return shard->source->info->no_limits || !oldest ? 0 : oldest + 1000;
}

static void note_read(struct shard *shard)
{
    shard->reads[shard->read_at] = kp->now_ms();
    shard->read_at = (shard->read_at + 1) % READS_A_SECOND;
}

static void plan_next_read(struct shard *shard)
{
    const struct source *source = shard->source;
    int64_t gap = 0, poll = source->config->poll_ms, allowed = allowed_at(shard);

    if (shard->answer.count)
        shard->empties = 0;
    else if (shard->answer.behind_ms == 0 && shard->empties < 16)
        shard->empties++;
    if (shard->answer.behind_ms == 0 && !(source->info->no_limits && shard->answer.count))
        gap = (int64_t)(source->info->no_limits ? 10 : GAP_MS) << shard->empties;
    shard->not_before = kp->now_ms() + (gap < poll ? gap : poll);
    if (source->epoch > shard->call_epoch) /* somebody waits for us */
        shard->not_before = 0;
    if (shard->not_before < allowed)
        shard->not_before = allowed;
}

/* ---- errors --------------------------------------------------------------------------------- */

static void call_failed(struct shard *shard, const char *error, const char *message)
{
    struct source *source = shard->source;

    shard->not_before =
        kp->now_ms() + calls_backoff_ms(&source->random, shard->tries, RETRY_BASE_MS, RETRY_MAX_MS);
    shard->tries++;
    kp->count(source->node, "read_errors", 1);
    if (shard->has_complained ||
        (shard->complained_ms && kp->now_ms() < shard->complained_ms + QUIET_MS))
        return; /* throttles come and go many times a minute where several read one shard */
    kp->log(source->node, KP_LOG_WARN, "shard.failed", "stream=%s shard=%s error=%s message=%s",
            source->config->stream->name, shard->id, error, message ? message : "");
    shard->has_complained = true;
    shard->complained_ms = kp->now_ms();
}

static void call_succeeded(struct shard *shard)
{
    if (shard->has_complained)
        kp->log(shard->source->node, KP_LOG_INFO, "shard.recovered", "shard=%s tries=%u", shard->id,
                shard->tries);
    shard->has_complained = false;
    shard->tries = 0;
}

/* What both calls have in common when they fail. */
static void judge_failure(struct shard *shard, const char *action, const kp_aws_response *response)
{
    struct source *source = shard->source;

    switch (calls_judge(response)) {
    case CALLS_AGAIN: call_failed(shard, response->error, response->message); break;
    case CALLS_ITERATOR: shard->state = SHARD_POSITIONING; break;
    case CALLS_MISSING: /* the shard or the whole stream: the list will tell */
        call_failed(shard, response->error, response->message);
        discover_now(source);
        break;
    case CALLS_REQUEST: /* an iterator of another time; an own mistake does not go away */
        if (shard->state == SHARD_READING && shard->tries < TRIES_MAX) {
            call_failed(shard, response->error, response->message);
            shard->state = SHARD_POSITIONING;
            break;
        }
        /* fall through */
    default:
        (void)calls_fail(source->node, action, source->config->stream, response);
        shard->not_before = INT64_MAX / 2;
        break;
    }
}

/* ---- the iterator --------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void add_position(struct shard *shard, struct kpw_buf *t)
{
    const struct source *source = shard->source;
    int start = source->config->start;

    if (is_digit(shard->read_to[0])) {
        /* The record of a checkpoint may be an aggregate that is settled in part: it is read again.
         */
        kpw_buf_appendf(t, "\"%s_SEQUENCE_NUMBER\",\"StartingSequenceNumber\":\"%s\"",
                        shard->fill.resumes ? "AT" : "AFTER", shard->read_to);
    } else if (shard->latest_ms) { /* LATEST again would leave out what came since */
        kpw_buf_appendf(t, "\"AT_TIMESTAMP\",\"Timestamp\":%lld.%03d",
                        (long long)(shard->latest_ms / 1000), (int)(shard->latest_ms % 1000));
    } else if (start == START_AT_TIMESTAMP) {
        kpw_buf_appendf(t, "\"AT_TIMESTAMP\",\"Timestamp\":%.3f", source->start_s);
    } else if (start == START_LATEST && !shard->is_child) {
        kpw_buf_puts(t, "\"LATEST\"");
    } else {
        kpw_buf_puts(t, "\"TRIM_HORIZON\"");
    }
}

static void iterator_arrived(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct shard *shard = arg;
    struct source *source = shard->source;

    (void)node;
    shard->call = NULL;
    if (response->error) {
        judge_failure(shard, "GetShardIterator", response);
    } else if (!kinesis_iterator_parse(response->body.ptr, response->body.len, shard->iterator,
                                       sizeof(shard->iterator))) {
        call_failed(shard, "MalformedAnswer", "GetShardIterator");
    } else {
        if (source->config->start == START_LATEST && !shard->is_child && !shard->read_to[0] &&
            !shard->latest_ms)
            shard->latest_ms = kp->wall_ms();
        shard->state = SHARD_READING;
        shard->not_before = allowed_at(shard);
    }
    shard_go(shard);
}

static void send_call(struct shard *shard, const char *target, kp_aws_fn fn)
{
    struct source *source = shard->source;
    kp_aws_request request = {
        .size = sizeof(request),
        .service = "kinesis",
        .target = target,
        .body = {shard->body.ptr, shard->body.len},
        .attempts = 1,
        .into = shard->slab,
        .into_capacity = shard->slab ? shard->capacity : 0,
    };

    shard->call = source->aws->call(source->node, &request, fn, shard);
}

static void get_iterator(struct shard *shard)
{
    struct kpw_buf *t = &shard->body;

    kpw_buf_clear(t);
    kpw_buf_appendf(t, "{\"StreamName\":\"%s\",\"ShardId\":\"%s\",\"ShardIteratorType\":",
                    shard->source->config->stream->name, shard->id);
    add_position(shard, t);
    kpw_buf_puts(t, "}");
    if (t->failed) {
        kpw_buf_fini(t);
        call_failed(shard, "OutOfMemory", NULL);
        shard_alarm(shard, shard->not_before);
        return;
    }
    send_call(shard, "Kinesis_20131202.GetShardIterator", iterator_arrived);
}

/* ---- reading -------------------------------------------------------------------------------- */

static bool take_slab(struct shard *shard)
{
    kp_node *node = shard->source->node;

    if (!kp->reserve(node, shard->wanted))
        return false; /* wake() comes */
    shard->slab = kp->slab_new(node, shard->wanted);
    if (!shard->slab) {
        kp->unreserve(node, shard->wanted);
        shard_alarm(shard, kp->now_ms() + RETRY_BASE_MS);
        return false;
    }
    shard->capacity = shard->wanted;
    return true;
}

static void drop_slab(struct shard *shard)
{
    if (shard->slab)
        kp->slab_unref(shard->slab);
    shard->slab = NULL;
}

static void get_records(struct shard *shard)
{
    struct kpw_buf *t = &shard->body;
    size_t limit = shard->wanted / 3 * 2 / shard->record_bytes;

    if (!take_slab(shard))
        return;
    shard->limit = limit < 1 ? 1 : limit > 10000 ? 10000 : (uint32_t)limit;
    kpw_buf_clear(t);
    kpw_buf_puts(t, "{\"ShardIterator\":");
    kpw_json_put_string(t, shard->iterator, strlen(shard->iterator));
    kpw_buf_appendf(t, ",\"Limit\":%u}", shard->limit);
    if (t->failed) {
        kpw_buf_fini(t);
        drop_slab(shard);
        shard_alarm(shard, kp->now_ms() + RETRY_BASE_MS);
        return;
    }
    shard->call_epoch = shard->source->epoch;
    note_read(shard);
    send_call(shard, "Kinesis_20131202.GetRecords", records_arrived);
}

/* More next time when there was more, less when little came. */
static void adapt(struct shard *shard, size_t body_len)
{
    const struct kinesis_answer *a = &shard->answer;
    size_t count = a->count;

    if (count) {
        size_t each = body_len / count + 1, mean = ((size_t)shard->record_bytes * 7 + each) / 8;

        shard->record_bytes = (uint32_t)(each > mean ? each : mean);
    }
    if ((count == shard->limit || a->behind_ms > 0) && shard->wanted < CAPACITY_MAX)
        shard->wanted = shard->wanted * 4 < CAPACITY_MAX ? shard->wanted * 4 : CAPACITY_MAX;
    else if (shard->wanted > CAPACITY_MAX && body_len * 8 < shard->wanted)
        shard->wanted = CAPACITY_MAX;
    else if (count == 0 && a->behind_ms == 0)
        shard->wanted = CAPACITY_MIN;
}

/* The answer did not fit: ask for fewer, or, when it was one, make more room. */
static void shrink(struct shard *shard)
{
    if (shard->limit > 1)
        shard->record_bytes = (uint32_t)(shard->wanted / 3 * 2 / (shard->limit / 4 + 1) + 1);
    else if (shard->wanted < CAPACITY_WORST)
        shard->wanted = shard->wanted * 4 < CAPACITY_WORST ? shard->wanted * 4 : CAPACITY_WORST;
    else
        call_failed(shard, "BodyTooLarge", "one record does not fit into 16 MiB");
}

/* A small answer moves out of its large slab. The large one is given back when that fails too. */
static char *settle_memory(struct shard *shard, size_t len)
{
    kp_node *node = shard->source->node;
    char *text = kp->slab_data(shard->slab);
    kp_slab *small = NULL;

    if (len * 4 > shard->capacity || len < 64)
        return text;
    if (kp->reserve(node, len)) {
        small = kp->slab_new(node, len);
        if (!small)
            kp->unreserve(node, len);
    }
    if (!small)
        return text;
    memcpy(kp->slab_data(small), text, len);
    drop_slab(shard);
    shard->slab = small;
    return kp->slab_data(small);
}

static bool take_answer(struct shard *shard, size_t len)
{
    struct kinesis_answer *a = &shard->answer;
    char *text = settle_memory(shard, len);

    shard->at = 0;
    if (!kinesis_answer_parse(a, text, len) || a->next_len > ITERATOR_MAX) {
        a->count = 0;
        call_failed(shard, "MalformedAnswer", a->why);
        return false;
    }
    if (a->behind_ms == 0 && a->count >= shard->limit)
        a->behind_ms = 1; /* there may be more of the same millisecond */
    shard->at_end = a->next == NULL;
    memcpy(shard->iterator, a->next_len ? a->next : "", a->next_len);
    shard->iterator[a->next_len] = 0;
    if (a->behind_ms == 0 || shard->at_end)
        shard->answer_epoch = shard->call_epoch;
    if (a->count) {
        const struct kinesis_entry *last = &a->entries[a->count - 1];

        memcpy(shard->read_to, last->sequence, last->sequence_len);
        shard->read_to[last->sequence_len] = 0;
        shard->was_followed = true;
        shard->answer_slab = shard->slab;
        shard->slab = NULL; /* moved */
    }
    return true;
}

static void records_arrived(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct shard *shard = arg;

    (void)node;
    shard->call = NULL;
    if (!response->error) {
        if (take_answer(shard, response->body.len)) {
            call_succeeded(shard);
            adapt(shard, response->body.len);
            plan_next_read(shard);
        }
    } else if (calls_judge(response) == CALLS_TOO_LONG) {
        shrink(shard);
    } else {
        judge_failure(shard, "GetRecords", response);
    }
    drop_slab(shard);
    if (shard->state == SHARD_READING && shard->not_before < allowed_at(shard))
        shard->not_before = allowed_at(shard);
    shard_go(shard);
}

/* ---- the life of a shard -------------------------------------------------------------------- */

/* Checkpoints may be the KCL's: beside sequence numbers those are words. */
static void take_position(struct shard *shard, const kp_position *at)
{
    if (!at->text.len || at->text.len >= sizeof(shard->read_to))
        return;
    memcpy(shard->read_to, at->text.ptr, at->text.len);
    shard->read_to[at->text.len] = 0;
    if (strcmp(shard->read_to, "TRIM_HORIZON") == 0)
        shard->is_child = true;
    if (strcmp(shard->read_to, "SHARD_END") != 0 && !is_digit(shard->read_to[0]))
        shard->read_to[0] = 0; /* LATEST, AT_TIMESTAMP: what `start` says holds */
    if (is_digit(shard->read_to[0]) && (at->sub || shard->source->config->deaggregate))
        fill_resume(shard, shard->read_to, at->sub);
}

void shard_open(struct shard *shard)
{
    struct source *source = shard->source;
    kp_position at = {0};

    shard->timer = source->timers->create(source->node, alarm_rang, shard);
    shard->lane = shard->timer ? kp->lane_open(source->node, shard->id, shard, &at) : NULL;
    if (!shard->lane) {
        (void)kp->fail(source->node, "cannot open a lane for %s", shard->id);
        return;
    }
    take_position(shard, &at);
    shard->was_followed =
        shard->read_to[0] || shard->is_child || source->config->start != START_LATEST;
    shard->wanted = CAPACITY_MIN * 4;
    shard->record_bytes = RECORD_GUESS;
    shard->state = SHARD_POSITIONING;
    kp->log(source->node, KP_LOG_INFO, "shard.opened", "stream=%s shard=%s from=%s",
            source->config->stream->name, shard->id,
            shard->read_to[0] ? shard->read_to
            : shard->is_child ? "TRIM_HORIZON"
                              : "start");
    if (strcmp(shard->read_to, "SHARD_END") == 0) {
        shard->state = SHARD_READING;
        shard->at_end = true;
    }
    shard_go(shard);
}

/* All is submitted: the children are looked for at once, and begin when all is settled. */
static void close_lane(struct shard *shard)
{
    struct source *source = shard->source;

    if (shard->call) /* a shard that vanished while it was asked */
        source->aws->cancel(shard->call);
    shard->call = NULL;
    drop_slab(shard);
    shard->state = SHARD_DRAINING;
    shard->caught_epoch = source->epoch;
    kp->lane_close(shard->lane);
    shard->lane = NULL;
    kp->log(source->node, KP_LOG_INFO, "shard.ended", "stream=%s shard=%s",
            source->config->stream->name, shard->id);
    discover_now(source);
}

static void finish(struct shard *shard)
{
    if (!family_finished(shard->source->family, shard->id, shard->was_followed)) {
        shard_alarm(shard, kp->now_ms() + RETRY_BASE_MS);
        return;
    }
    shard->state = SHARD_DONE;
    discover_start_ready(shard->source);
}

static void read_on(struct shard *shard)
{
    uint64_t before = shard->caught_epoch;

    fill_submit(shard);
    if (shard->at_end && !shard->fill.batch && shard->at == shard->answer.count)
        close_lane(shard);
    else if (!shard->call && !shard->answer_slab && (!shard->fill.batch || !fill_is_due(shard)) &&
             is_due(shard))
        get_records(shard);
    if (shard->caught_epoch > before)
        discover_caught_up(shard->source);
}

void shard_go(struct shard *shard)
{
    if (shard->source->stopped || shard->is_going)
        return;
    shard->is_going = true; /* submit() may settle and wake at once */
    if (shard->state == SHARD_POSITIONING) {
        fill_submit(shard);
        if (!shard->call && is_due(shard))
            get_iterator(shard);
    } else if (shard->state == SHARD_READING) {
        read_on(shard);
    }
    shard->is_going = false;
    if (shard->state == SHARD_DRAINING && shard->unsettled == 0)
        finish(shard);
}

void shard_hurry(struct shard *shard)
{
    if (shard->state == SHARD_READING && !shard->tries && shard->not_before > allowed_at(shard))
        shard->not_before = allowed_at(shard);
    shard_go(shard);
}

void shard_stop(struct shard *shard)
{
    if (shard->call)
        shard->source->aws->cancel(shard->call);
    shard->call = NULL;
    drop_slab(shard);
    if (shard->timer)
        shard->source->timers->stop(shard->timer);
    shard->alarm_at = 0;
}

void shard_fini(struct shard *shard)
{
    shard_stop(shard);
    fill_fini(shard);
    if (shard->answer_slab)
        kp->slab_unref(shard->answer_slab);
    shard->answer_slab = NULL;
    if (shard->timer)
        shard->source->timers->destroy(shard->timer);
    shard->timer = NULL;
    kinesis_answer_fini(&shard->answer);
    kpw_buf_fini(&shard->body);
}
