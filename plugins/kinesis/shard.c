/* shard.c - the life of one shard from its grant: its lane, its errors, its answers, its end.
 *
 * How it is read is not here: poll.c asks for records, fanout.c gets them pushed; both hand their
 * answers to shard_take_answer(), and fill.c makes batches of them.
 */
#include "plugins/kinesis/source.h"
#include "sdk/wire/cbor.h"
#include "sdk/wire/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_GUESS  1400
#define TURN_MS       20 /* the functions of the flow run inside submit() */
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

/* The host has forgotten whom it refused, so that all are gone through, but for those behind one
 * that is refused memory: it will be given back another time. */
void shard_wake_waiting(struct source *source)
{
    struct queue *queue = &source->queues[FOR_ROOM];

    source->is_refused = false;
    for (size_t n = queue->n; n && queue->first && !source->is_refused; n--)
        shard_go(queue_take(queue, FOR_ROOM));
}

static void wait_no_more(struct shard *shard)
{
    for (int i = 0; i < WAITS_FOR_MAX_; i++)
        queue_remove(&shard->source->queues[i], shard, (enum waits_for)i);
}

static void cancel(struct shard *shard)
{
    if (!shard->call)
        return;
    shard->source->aws->cancel(shard->call);
    shard->call = NULL;
    tempo_give_slot(shard);
}

/* ---- errors --------------------------------------------------------------------------------- */

void shard_failed(struct shard *shard, const char *error, const char *message)
{
    struct source *source = shard->source;

    shard->not_before =
        kp->now_ms() + calls_backoff_ms(&source->random, shard->tries, RETRY_BASE_MS, RETRY_MAX_MS);
    shard->tries++;
    kp->count(source->node, "read_errors", 1);
    kp->lane_count(shard->lane, "errors", 1);
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
    shard->is_missing = false;
    shard->tries = 0;
}

static void fail_for_good(struct shard *shard, const char *action, const kp_aws_response *response)
{
    struct source *source = shard->source;
    const char *message = response->message ? response->message : "";

    if (shard->read_to[0] && strstr(message, "did not come from this stream"))
        (void)kp->fail(source->node,
                       "shard %s of stream %s cannot go on behind record %s: the service says that "
                       "it did not come from this stream. Either the stream was made anew, or the "
                       "leases are of another one: `kpipe leases reset` forgets where they stand, "
                       "or give the pipeline another `application`",
                       shard->id, source->config->stream->name, shard->read_to);
    else
        (void)calls_fail(source->node, action, source->config->stream, response);
    source->has_failed = true;
    shard->not_before = INT64_MAX / 2;
}

/* What both calls have in common when they fail. */
void shard_judge(struct shard *shard, const char *action, const kp_aws_response *response)
{
    struct source *source = shard->source;

    if (response->throttled)
        kp->lane_count(shard->lane, "throttles", 1);
    switch (calls_judge(response)) {
    case CALLS_AGAIN: shard_failed(shard, response->error, response->message); break;
    case CALLS_ITERATOR: shard->state = SHARD_POSITIONING; break;
    case CALLS_MISSING: /* the shard or the whole stream: the list will tell */
        shard_failed(shard, response->error, response->message);
        shard->is_missing = true;
        if (!shard->at_end) /* if it is listed after all, its iterator is of a stream of that name
                               that was deleted: a new one shows whether that is so */
            shard->state = SHARD_POSITIONING;
        discover_now(source);
        break;
    case CALLS_REQUEST: /* an iterator of another time, or our clock is ahead of the service's; an
                           own mistake does not go away */
        if ((shard->state == SHARD_READING || (shard->latest_ms && !shard->read_to[0])) &&
            shard->tries < TRIES_MAX) {
            shard_failed(shard, response->error, response->message);
            shard->state = SHARD_POSITIONING;
            break;
        }
        /* fall through */
    default: fail_for_good(shard, action, response); break;
    }
}

/* ---- answers */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

void shard_add_position(struct shard *shard, const char *member, struct kpw_buf *t)
{
    if (shard->read_to[0]) {
        /* The record of a checkpoint may be an aggregate that is settled in part: it is read again.
         */
        kpw_buf_appendf(t, "\"%s_SEQUENCE_NUMBER\",\"%s\":\"%s\"",
                        shard->fill.resume ? "AT" : "AFTER", member, shard->read_to);
    } else if (shard->latest_ms) { /* LATEST again would leave out what came since */
        kpw_buf_appendf(t, "\"AT_TIMESTAMP\",\"Timestamp\":%lld.%03d",
                        (long long)(shard->latest_ms / 1000), (int)(shard->latest_ms % 1000));
    } else if (shard->begin == BEGIN_TIME) {
        kpw_buf_appendf(t, "\"AT_TIMESTAMP\",\"Timestamp\":%.3f", shard->source->start_s);
    } else {
        kpw_buf_puts(t, shard->begin == BEGIN_LATEST ? "\"LATEST\"" : "\"TRIM_HORIZON\"");
    }
}

bool shard_set_iterator(struct shard *shard, const char *text, size_t len)
{
    if (len + 1 > shard->iterator_room) {
        char *grown = realloc(shard->iterator, len + 1);

        if (!grown)
            return false;
        shard->iterator = grown;
        shard->iterator_room = len + 1;
    }
    memcpy(shard->iterator, text, len);
    shard->iterator[len] = 0;
    shard->iterator_ms = kp->now_ms();
    return true;
}

bool shard_take_slab(struct shard *shard, size_t size)
{
    kp_node *node = shard->source->node;

    if (!kp->reserve(node, size)) {
        shard->source->is_refused = true;
        queue_put(&shard->source->queues[FOR_ROOM], shard, FOR_ROOM);
        return false;
    }
    shard->in.slab = kp->slab_new(node, size);
    if (!shard->in.slab) {
        kp->unreserve(node, size);
        shard_alarm(shard, kp->now_ms() + RETRY_BASE_MS);
        return false;
    }
    shard->in.capacity = size;
    return true;
}

void shard_drop_slab(struct shard *shard)
{
    if (shard->in.slab)
        kp->slab_unref(shard->in.slab);
    shard->in = (struct incoming){0};
}

static bool parse(struct shard *shard, char *text, size_t len)
{
    struct source *source = shard->source;
    struct kinesis_answer *a = &shard->answer;

    if (!a->entries && source->spare) {
        a->entries = source->spare; /* moved */
        a->room = source->spare_room;
        source->spare = NULL;
        source->spare_room = 0;
    }
    shard->at = 0;
    if (kinesis_answer_parse(a, text, len) && a->next_len <= ITERATOR_MAX &&
        shard_set_iterator(shard, a->next_len ? a->next : "", a->next_len))
        return true;
    a->count = 0;
    shard_failed(shard, "MalformedAnswer", a->why ? a->why : "NextShardIterator is too long");
    return false;
}

static void set_behind(struct shard *shard, int64_t behind_ms)
{
    shard->source->n_behind += (size_t)(behind_ms > 0) - (size_t)(shard->behind_ms > 0);
    shard->behind_ms = behind_ms;
}

bool shard_take_answer(struct shard *shard, char *text, size_t len)
{
    struct kinesis_answer *a = &shard->answer;

    if (!parse(shard, text, len))
        return false;
    if (a->behind_ms == 0 && a->count >= shard->limit)
        a->behind_ms = 1; /* there may be more of the same millisecond */
    set_behind(shard, a->behind_ms);
    shard->at_end = a->next == NULL || a->has_children;
    if (a->behind_ms == 0 || shard->at_end)
        shard->answer_epoch = shard->call_epoch;
    if (a->count) {
        const struct kinesis_entry *last = &a->entries[a->count - 1];

        memcpy(shard->read_to, last->sequence, last->sequence_len);
        shard->read_to[last->sequence_len] = 0;
        shard->answer_slab = shard->in.slab;
        shard->in.slab = NULL; /* moved */
    }
    watch_fetched(shard);
    return true;
}

/* ---- the life of a shard -------------------------------------------------------------------- */

/* Checkpoints may be the KCL's: beside sequence numbers those are words. */
static bool take_position(struct shard *shard, const kp_position *at)
{
    const struct source *source = shard->source;
    struct kpw_slice text = kpw_slice(at->text.ptr, at->text.len);

    if (text.len && text.len <= KP_POSITION_MAX && is_digit(text.ptr[0])) {
        memcpy(shard->read_to, text.ptr, text.len);
        shard->read_to[text.len] = 0;
        return (!at->sub && !source->config->deaggregate) ||
               fill_resume(shard, shard->read_to, at->sub);
    }
    if (kpw_slice_is(text, KP_POSITION_END))
        shard->at_end = true;
    else if (kpw_slice_is(text, "LATEST"))
        shard->begin = BEGIN_LATEST;
    else if (kpw_slice_is(text, "AT_TIMESTAMP") && source->config->start == START_AT_TIMESTAMP)
        shard->begin = BEGIN_TIME;
    else if (!kpw_slice_is(text, "TRIM_HORIZON")) /* from its oldest record, that none is lost */
        kp->log(source->node, KP_LOG_WARN, "shard.position", "stream=%s shard=%s position=%.*s",
                source->config->stream->name, shard->id, (int)text.len, text.ptr);
    return true;
}

static kpw_u128 hash_key(kp_slice text, kpw_u128 other)
{
    kpw_u128 key;

    return text.len && kpw_u128_parse(kpw_slice(text.ptr, text.len), &key) ? key : other;
}

static struct shard *new_shard(struct source *source, const kp_grant *grant)
{
    struct shard *shard = calloc(1, sizeof(*shard));

    if (!shard)
        return NULL;
    shard->source = source;
    shard->state = SHARD_CLOSED; /* it has no lane yet */
    shard->id = strndup(grant->name.ptr, grant->name.len);
    shard->low = hash_key(grant->about.low_hash, 0);
    shard->high = hash_key(grant->about.high_hash, KPW_U128_MAX);
    shard->wanted = POLL_WANTED_FIRST;
    shard->record_bytes = RECORD_GUESS;
    shard->watched_ms = shard->fetched_ms = kp->now_ms();
    shard->next = source->shards;
    source->shards = shard;
    source->n_shards++;
    shard->timer = source->timers->create(source->node, alarm_rang, shard);
    return shard->id && shard->timer && take_position(shard, &grant->start) ? shard : NULL;
}

void shard_grant(struct source *source, const kp_grant *grant)
{
    struct shard *shard = grant->name.len <= SHARD_ID_MAX ? new_shard(source, grant) : NULL;
    kp_position start;

    if (shard)
        shard->lane = kp->lane_open(source->node, shard->id, shard, &start);
    if (!shard || !shard->lane) {
        (void)kp->fail(source->node, "cannot open a lane for %.*s", (int)grant->name.len,
                       grant->name.ptr);
        source->has_failed = true;
        return;
    }
    kp->log(source->node, KP_LOG_INFO, "shard.opened", "stream=%s shard=%s from=%.*s",
            source->config->stream->name, shard->id, (int)grant->start.text.len,
            grant->start.text.ptr);
    shard->state = shard->at_end ? SHARD_READING : SHARD_POSITIONING;
    shard_alarm(shard, kp->now_ms());
}

void shard_close(struct shard *shard)
{
    struct source *source = shard->source;

    if (shard->state == SHARD_CLOSED)
        return;
    shard->state = SHARD_CLOSED;
    wait_no_more(shard);
    set_behind(shard, 0);
    shard_stop(shard);
    fill_drop(shard);
    kp->lane_close(shard->lane);
    shard->lane = NULL;
    source->timers->start(source->reaper, 0, 0);
}

/* All is submitted: the checkpoint becomes KCL's word for a shard that is done with. */
static void end(struct shard *shard)
{
    struct source *source = shard->source;
    const kp_position end = {{KP_POSITION_END, strlen(KP_POSITION_END)}, 0};
    kp_batch *b = kp->batch_new(source->node, 1);

    if (!b) {
        shard_alarm(shard, kp->now_ms() + RETRY_BASE_MS);
        return;
    }
    kp->submit(shard->lane, b, &end, NULL);
    kp->log(source->node, KP_LOG_INFO, "shard.ended", "stream=%s shard=%s",
            source->config->stream->name, shard->id);
    shard_close(shard);
    discover_caught_up(source);
}

/* The next answer. The call for the one behind it is made first: it is on its way while this one
 * is taken apart. */
static bool next_answer(struct shard *shard)
{
    return shard->source->is_pushed ? fanout_take(shard) : poll_take(shard);
}

static void read_on(struct shard *shard)
{
    uint64_t before = shard->caught_epoch;

    do {
        if (!shard->source->is_pushed)
            poll_go(shard);
        fill_submit(shard);
    } while (shard->state == SHARD_READING && next_answer(shard));
    if (shard->state != SHARD_READING)
        return;
    if (shard->at_end && !shard->fill.batch && shard->at == shard->answer.count)
        end(shard);
    else if (shard->source->is_pushed)
        fanout_go(shard);
    if (shard->caught_epoch > before)
        discover_caught_up(shard->source);
}

void shard_go(struct shard *shard)
{
    if (shard->source->stopped || shard->is_going || shard->state == SHARD_CLOSED)
        return;
    shard->is_going = true; /* submit() may settle and wake at once */
    shard->turn_ends = kp->now_ms() + TURN_MS;
    if (shard->state == SHARD_POSITIONING && shard->source->is_pushed)
        shard->state = SHARD_READING; /* a subscription says its position itself */
    if (shard->state == SHARD_POSITIONING) {
        fill_submit(shard);
        if (shard->state == SHARD_POSITIONING && !shard->call && shard_is_due(shard))
            poll_iterator(shard);
    } else {
        read_on(shard);
    }
    shard->is_going = false;
}

void shard_hurry(struct shard *shard)
{
    if (shard->state == SHARD_READING && !shard->tries &&
        shard->not_before > tempo_allowed_at(shard))
        shard->not_before = tempo_allowed_at(shard);
    shard_go(shard);
}

void shard_rebuild(struct shard *shard)
{
    if (shard->fanout) {
        fanout_leave(shard);
    } else {
        cancel(shard);
        shard_drop_slab(shard);
    }
    shard->state = SHARD_POSITIONING;
    shard_alarm(shard, kp->now_ms());
}

void shard_stop(struct shard *shard)
{
    cancel(shard);
    shard_drop_slab(shard);
    if (shard->timer)
        shard->source->timers->stop(shard->timer);
    shard->alarm_at = 0;
}

void shard_free(struct shard *shard)
{
    shard->source->n_shards--;
    wait_no_more(shard);
    shard_stop(shard);
    fill_drop(shard);
    fanout_fini(shard);
    if (shard->timer)
        shard->source->timers->destroy(shard->timer);
    free(shard->id);
    free(shard->iterator);
    kpw_buf_fini(&shard->body);
    free(shard);
}
