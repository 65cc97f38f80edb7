/* shard.c - the life of one shard: its lane, its errors, its answers, its end.
 *
 * How it is read is not here: poll.c asks for records, fanout.c gets them pushed; both hand their
 * answers to shard_take_answer(), and fill.c makes batches of them.
 */
#include "plugins/kinesis/family.h"
#include "plugins/kinesis/source.h"
#include "sdk/wire/cbor.h"
#include "sdk/wire/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_GUESS  1400
#define RETRY_BASE_MS 200
#define RETRY_MAX_MS  10000
#define QUIET_MS      60000 /* between two complaints about a shard */
#define TRIES_MAX     8     /* of requests the service calls wrong */

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

bool shard_is_due(struct shard *shard)
{
    if (kp->now_ms() >= shard->not_before)
        return true;
    shard_alarm(shard, shard->not_before);
    return false;
}

/* ---- errors --------------------------------------------------------------------------------- */

void shard_failed(struct shard *shard, const char *error, const char *message)
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

void shard_succeeded(struct shard *shard)
{
    if (shard->has_complained)
        kp->log(shard->source->node, KP_LOG_INFO, "shard.recovered", "shard=%s tries=%u", shard->id,
                shard->tries);
    shard->has_complained = false;
    shard->tries = 0;
}

/* What both calls have in common when they fail. */
void shard_judge(struct shard *shard, const char *action, const kp_aws_response *response)
{
    struct source *source = shard->source;

    switch (calls_judge(response)) {
    case CALLS_AGAIN: shard_failed(shard, response->error, response->message); break;
    case CALLS_ITERATOR: shard->state = SHARD_POSITIONING; break;
    case CALLS_MISSING: /* the shard or the whole stream: the list will tell */
        shard_failed(shard, response->error, response->message);
        discover_now(source);
        break;
    case CALLS_REQUEST: /* an iterator of another time; an own mistake does not go away */
        if (shard->state == SHARD_READING && shard->tries < TRIES_MAX) {
            shard_failed(shard, response->error, response->message);
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

/* ---- answers */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

void shard_add_position(struct shard *shard, const char *member, struct kpw_buf *t)
{
    const struct source *source = shard->source;
    int start = source->config->start;

    if (is_digit(shard->read_to[0])) {
        /* The record of a checkpoint may be an aggregate that is settled in part: it is read again.
         */
        kpw_buf_appendf(t, "\"%s_SEQUENCE_NUMBER\",\"%s\":\"%s\"",
                        shard->fill.resumes ? "AT" : "AFTER", member, shard->read_to);
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

bool shard_take_slab(struct shard *shard, size_t size)
{
    kp_node *node = shard->source->node;

    if (!kp->reserve(node, size))
        return false; /* wake() comes */
    shard->slab = kp->slab_new(node, size);
    if (!shard->slab) {
        kp->unreserve(node, size);
        shard_alarm(shard, kp->now_ms() + RETRY_BASE_MS);
        return false;
    }
    shard->capacity = size;
    return true;
}

void shard_drop_slab(struct shard *shard)
{
    if (shard->slab)
        kp->slab_unref(shard->slab);
    shard->slab = NULL;
}

bool shard_take_answer(struct shard *shard, char *text, size_t len)
{
    struct kinesis_answer *a = &shard->answer;
    shard->at = 0;
    if (!kinesis_answer_parse(a, text, len) || a->next_len > ITERATOR_MAX) {
        a->count = 0;
        shard_failed(shard, "MalformedAnswer", a->why);
        return false;
    }
    if (a->behind_ms == 0 && a->count >= shard->limit)
        a->behind_ms = 1; /* there may be more of the same millisecond */
    shard->at_end = a->next == NULL || a->has_children;
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

static kp_slice slice_of(const char *text)
{
    return (kp_slice){text, strlen(text)};
}

/* For whoever else reads the lease table. */
static void tell_about(struct shard *shard)
{
    char low[KPW_U128_SIZE], high[KPW_U128_SIZE];
    kp_lane_about about = {
        .size = sizeof(about),
        .parents = {slice_of(shard->parents[0]), slice_of(shard->parents[1])},
        .low_hash = {low, kpw_u128_format(shard->low, low)},
        .high_hash = {high, kpw_u128_format(shard->high, high)},
    };

    kp->lane_about(shard->lane, &about);
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
    tell_about(shard);
    take_position(shard, &at);
    shard->was_followed =
        shard->read_to[0] || shard->is_child || source->config->start != START_LATEST;
    shard->wanted = POLL_CAPACITY_MIN * 4;
    shard->record_bytes = RECORD_GUESS;
    kpw_event_reader_init(&shard->fanout.reader, FANOUT_EVENT_MAX);
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

/* The checkpoint becomes KCL's word for a shard that is done with, once all of it is settled. */
static void submit_end(struct shard *shard)
{
    kp_position end = {slice_of("SHARD_END"), 0};
    kp_batch *b = kp->batch_new(shard->source->node, 1);

    if (!b)
        return; /* read again after a restart, only to find its end */
    shard->unsettled++;
    kp->submit(shard->lane, b, &end, shard);
}

/* All is submitted: the children are looked for at once, and begin when all is settled. */
static void close_lane(struct shard *shard)
{
    struct source *source = shard->source;

    if (shard->call) /* a shard that vanished while it was asked */
        source->aws->cancel(shard->call);
    shard->call = NULL;
    shard_drop_slab(shard);
    shard->state = SHARD_DRAINING;
    shard->caught_epoch = source->epoch;
    submit_end(shard);
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

    do
        fill_submit(shard);
    while (shard->source->is_pushed && fanout_take(shard));
    if (shard->at_end && !shard->fill.batch && shard->at == shard->answer.count)
        close_lane(shard);
    else if (shard->source->is_pushed)
        fanout_go(shard);
    else if (!shard->call && !shard->answer_slab && (!shard->fill.batch || !fill_is_due(shard)) &&
             shard_is_due(shard))
        poll_records(shard);
    if (shard->caught_epoch > before)
        discover_caught_up(shard->source);
}

void shard_go(struct shard *shard)
{
    if (shard->source->stopped || shard->is_going)
        return;
    shard->is_going = true; /* submit() may settle and wake at once */
    if (shard->state == SHARD_POSITIONING && shard->source->is_pushed)
        shard->state = SHARD_READING; /* a subscription says its position itself */
    if (shard->state == SHARD_POSITIONING) {
        fill_submit(shard);
        if (!shard->call && shard_is_due(shard))
            poll_iterator(shard);
    } else if (shard->state == SHARD_READING) {
        read_on(shard);
    }
    shard->is_going = false;
    if (shard->state == SHARD_DRAINING && shard->unsettled == 0)
        finish(shard);
}

void shard_hurry(struct shard *shard)
{
    if (shard->state == SHARD_READING && !shard->tries &&
        shard->not_before > poll_allowed_at(shard))
        shard->not_before = poll_allowed_at(shard);
    shard_go(shard);
}

void shard_stop(struct shard *shard)
{
    if (shard->call)
        shard->source->aws->cancel(shard->call);
    shard->call = NULL;
    shard_drop_slab(shard);
    if (shard->timer)
        shard->source->timers->stop(shard->timer);
    shard->alarm_at = 0;
}

void shard_fini(struct shard *shard)
{
    shard_stop(shard);
    fill_fini(shard);
    fanout_fini(shard);
    if (shard->answer_slab)
        kp->slab_unref(shard->answer_slab);
    shard->answer_slab = NULL;
    if (shard->timer)
        shard->source->timers->destroy(shard->timer);
    shard->timer = NULL;
    kinesis_answer_fini(&shard->answer);
    kpw_buf_fini(&shard->body);
}
