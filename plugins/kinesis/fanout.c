/* fanout.c - reads a shard by enhanced fan-out: SubscribeToShard pushes its events.
 *
 * A subscription lasts five minutes; then, and whenever it breaks, the next one begins behind the
 * last continuation. What comes is collected up to a limit, beyond which the connection is not read
 * (HTTP/2: its window closes), and is taken event by event as the lane has room. Events come every
 * few seconds even when there is nothing; silence is a broken connection.
 *
 * Facts: SubscribeToShard in the API reference of Kinesis Data Streams.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/kinesis/source.h"
#include "sdk/wire/json.h"

#define COLLECT_MAX   (1024 * 1024) /* bytes not taken yet; one piece more may come */
#define KEEP_ROOM     (64 * 1024)   /* memory kept between events */
#define SILENCE_MS    60000
#define AGAIN_MS      1000 /* one call a second and shard */
#define IN_USE_MS     5000 /* so long a subscription that was had blocks the next, read or not */
#define RETRY_MS      200
#define GIVE_UP       5 /* failures in a row, with mode = "auto" */
#define REQUEST_TRIES 8 /* of what the service calls wrong: our clock may be ahead */
#define FRAME         (15 * 1024)
#define OPERATION     "SubscribeToShard"

/* ---- events */

static void collect(struct fanout *f, struct kpw_slice rest)
{
    struct kpw_buf *in = &f->in;

    if (rest.len && rest.ptr != in->ptr)
        memmove(in->ptr, rest.ptr, rest.len);
    in->len = rest.len;
    f->at = 0;
    if (!rest.len && in->cap > KEEP_ROOM)
        kpw_buf_fini(in);
}

/* Bytes of the message that begins at `at`; 0: too little is there to know. */
static size_t first_size(const struct fanout *f)
{
    const uint8_t *p = (const uint8_t *)f->in.ptr + f->at;

    if (f->in.len - f->at < KPW_EVENT_OVERHEAD)
        return 0;
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

/* As much as is to be held: the limit, or one message that is larger. */
static bool is_full(const struct fanout *f)
{
    size_t have = f->in.len - f->at, size = first_size(f);

    return have >= COLLECT_MAX && (size <= have || size > FANOUT_EVENT_MAX);
}

/* Looks at the next message, which stays. A reader that finds a whole one keeps nothing of it. */
static enum kpw_event_result look(struct fanout *f, struct kpw_event *ret)
{
    struct kpw_slice rest = kpw_slice(f->in.ptr + f->at, f->in.len - f->at);
    size_t size = first_size(f);

    if (!size || (size > rest.len && size <= FANOUT_EVENT_MAX))
        return KPW_EVENT_MORE;
    return kpw_event_read(&f->reader, &rest, ret);
}

static bool piece_came(kp_node *node, void *arg, kp_slice piece)
{
    struct shard *shard = arg;
    struct fanout *f = shard->fanout;

    (void)node;
    if (is_full(f)) {
        f->is_held = true;
        return false;
    }
    if (f->at)
        collect(f, kpw_slice(f->in.ptr + f->at, f->in.len - f->at));
    kpw_buf_append(&f->in, piece.ptr, piece.len);
    f->heard_ms = kp->now_ms();
    if (!f->had_ms)
        f->had_ms = f->heard_ms;
    shard_alarm(shard, f->heard_ms); /* not from inside the HTTP client */
    return true;
}

static void unsubscribe(struct shard *shard)
{
    struct fanout *f = shard->fanout;

    if (shard->call)
        shard->source->aws->cancel(shard->call);
    shard->call = NULL;
    f->is_held = false;
    kpw_buf_fini(&f->in);
    f->at = 0;
    kpw_event_reader_fini(&f->reader);
    kpw_event_reader_init(&f->reader, FANOUT_EVENT_MAX);
}

/* The service lets it be subscribed to again. */
static int64_t next_allowed(const struct fanout *f)
{
    return f->had_ms ? f->had_ms + IN_USE_MS : f->subscribed_ms + AGAIN_MS;
}

static void broke(struct shard *shard, const char *error, const char *message)
{
    unsubscribe(shard);
    shard_failed(shard, error, message);
    if (shard->not_before < next_allowed(shard->fanout))
        shard->not_before = next_allowed(shard->fanout);
}

/* An exception in the stream ends it. */
static void take_exception(struct shard *shard, const struct kpw_event *event)
{
    struct kpw_slice name = kpw_event_string(event, ":exception-type"), text = {NULL, 0};
    char type[64], message[200] = "";

    if (!name.len)
        name = kpw_event_string(event, ":error-code");
    snprintf(type, sizeof(type), "%.*s", (int)(name.len < 60 ? name.len : 60), name.ptr);
    if (kpw_json_find(event->payload, "$.message", &text) == KPW_JSON_STRING)
        snprintf(message, sizeof(message), "%.*s", (int)(text.len < 190 ? text.len : 190),
                 text.ptr);
    broke(shard, *type ? type : "UnknownException", message);
    if (strcmp(type, "ResourceNotFoundException") == 0)
        shard->is_missing = true;
    if (shard->is_missing)
        discover_now(shard->source);
}

/* False: no memory now; the event is read again. */
static bool take_event(struct shard *shard, const struct kpw_event *event)
{
    struct kpw_slice payload = event->payload;
    char *text;

    if (!shard_take_slab(shard, payload.len))
        return false;
    text = kp->slab_data(shard->in.slab);
    memcpy(text, payload.ptr, payload.len);
    if (!shard_take_answer(shard, text, payload.len)) {
        unsubscribe(shard); /* it has complained */
    } else {
        shard_succeeded(shard);
        if (shard->iterator[0] && strlen(shard->iterator) <= KP_POSITION_MAX)
            memcpy(shard->read_to, shard->iterator, strlen(shard->iterator) + 1);
    }
    shard_drop_slab(shard);
    return true;
}

static bool is_for_us(const struct kpw_event *event)
{
    return kpw_slice_is(kpw_event_string(event, ":event-type"), "SubscribeToShardEvent");
}

/* One message. True: goes on to the next. */
static bool take_message(struct shard *shard, bool *ret_has_answer)
{
    struct fanout *f = shard->fanout;
    struct kpw_event event;
    enum kpw_event_result result = look(f, &event);

    if (result == KPW_EVENT_MORE)
        return false;
    if (result == KPW_EVENT_ERROR) {
        broke(shard, "MalformedAnswer", f->reader.error);
        return false;
    }
    if (!kpw_slice_is(kpw_event_string(&event, ":message-type"), "event")) {
        take_exception(shard, &event);
        return false;
    }
    if (is_for_us(&event)) { /* else initial-response, or something newer */
        if (!take_event(shard, &event))
            return false;
        *ret_has_answer = true;
    }
    if (f->in.len) /* it did not end the subscription */
        f->at += event.size;
    return true;
}

bool fanout_take(struct shard *shard)
{
    struct fanout *f = shard->fanout;
    bool has_answer = false;

    if (!f)
        return false;
    while (!has_answer && !shard->answer_slab && !shard->at_end && f->at < f->in.len)
        if (!take_message(shard, &has_answer))
            break;
    if (f->at && f->at == f->in.len)
        collect(f, kpw_slice(NULL, 0));
    if (f->is_held && shard->call && !is_full(f)) {
        f->is_held = false;
        shard->source->aws->resume(shard->call);
    }
    return has_answer;
}

/* ---- subscriptions */

static void judge(struct shard *shard, const kp_aws_response *response)
{
    struct source *source = shard->source;

    if (response->throttled)
        kp->lane_count(shard->lane, "throttles", 1);
    if (strcmp(response->error, "ResourceInUseException") == 0) {
        shard_failed(shard, response->error, response->message);
        shard->not_before = kp->now_ms() + IN_USE_MS;
    } else if (calls_judge(response) == CALLS_AGAIN ||
               (calls_judge(response) == CALLS_REQUEST && shard->tries < REQUEST_TRIES)) {
        shard_failed(shard, response->error, response->message);
    } else if (calls_judge(response) == CALLS_MISSING &&
               (!consumer_is_given(source) || shard->tries + 1 < REQUEST_TRIES)) {
        /* the shard, the consumer or the stream */
        shard_failed(shard, response->error, response->message);
        shard->is_missing = true;
        discover_now(source);
        consumer_begin(source);
    } else {
        consumer_give_up(source, OPERATION, response);
        if (source->has_failed)
            shard->not_before = INT64_MAX / 2;
        return;
    }
    if (source->config->mode == MODE_AUTO && shard->tries >= GIVE_UP)
        consumer_give_up(source, OPERATION, response);
}

static void subscription_ended(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct shard *shard = arg;
    struct fanout *f = shard->fanout;

    (void)node;
    shard->call = NULL;
    kpw_buf_fini(&shard->body);
    f->is_held = false;
    if (response->error)
        judge(shard, response);
    if (shard->not_before < next_allowed(f))
        shard->not_before = next_allowed(f);
    shard_go(shard);
}

static void subscribe(struct shard *shard)
{
    struct source *source = shard->source;
    struct fanout *f = shard->fanout;
    struct kpw_buf *t = &shard->body;
    kp_aws_request request = {
        .size = sizeof(request),
        .service = "kinesis",
        .target = "Kinesis_20131202." OPERATION,
        .attempts = 1,
        .piece = piece_came,
        .http2 = true,
        .expected_body = FRAME, /* what libcurl hands on at a time, whatever comes */
    };

    unsubscribe(shard);
    kpw_buf_clear(t);
    kpw_buf_puts(t, "{\"ConsumerARN\":");
    kpw_json_put_string(t, source->consumer_arn, strlen(source->consumer_arn));
    kpw_buf_appendf(t, ",\"ShardId\":\"%s\",\"StartingPosition\":{\"Type\":", shard->id);
    shard_add_position(shard, "SequenceNumber", t);
    kpw_buf_puts(t, "}}");
    if (t->failed) {
        kpw_buf_fini(t);
        shard_alarm(shard, kp->now_ms() + RETRY_MS);
        return;
    }
    if (shard->begin == BEGIN_LATEST && !shard->read_to[0] && !shard->latest_ms)
        shard->latest_ms = kp->wall_ms(); /* what comes from now on must not be left out later */
    shard->limit = UINT32_MAX;
    shard->call_epoch = source->epoch;
    f->had_ms = 0;
    f->subscribed_ms = f->heard_ms = kp->now_ms();
    kp->count(source->node, "subscriptions", 1);
    kp->lane_count(shard->lane, "calls", 1);
    request.body = (kp_slice){t->ptr, t->len};
    shard->call = source->aws->call(source->node, &request, subscription_ended, shard);
    shard_alarm(shard, f->heard_ms + SILENCE_MS);
}

/* False: no memory now. */
static bool begin(struct shard *shard)
{
    if (shard->fanout)
        return true;
    shard->fanout = calloc(1, sizeof(*shard->fanout));
    if (shard->fanout)
        kpw_event_reader_init(&shard->fanout->reader, FANOUT_EVENT_MAX);
    else
        shard_alarm(shard, kp->now_ms() + RETRY_MS);
    return shard->fanout;
}

void fanout_go(struct shard *shard)
{
    const struct source *source = shard->source;
    struct fanout *f;

    if (!source->consumer_arn || shard->answer_slab || !begin(shard))
        return;
    f = shard->fanout;
    if (shard->call && kp->now_ms() >= f->heard_ms + SILENCE_MS) {
        kp->lane_count(shard->lane, "rebuilds", 1);
        broke(shard, "Timeout", "no event for a minute");
    }
    /* Somebody asks whether all is read that was written until now. Only what a subscription of
     * after the question says can answer that: an event may have been long on its way. */
    if (shard->call && source->epoch > shard->call_epoch && f->at == f->in.len &&
        kp->now_ms() >= next_allowed(f))
        unsubscribe(shard);
    if (shard->call)
        shard_alarm(shard,
                    source->epoch > shard->call_epoch ? next_allowed(f) : f->heard_ms + SILENCE_MS);
    else if (f->at == f->in.len && shard_is_due(shard))
        subscribe(shard);
}

void fanout_leave(struct shard *shard)
{
    if (shard->fanout)
        unsubscribe(shard);
    shard->state = SHARD_POSITIONING;
    shard->tries = 0;
    shard->not_before = 0;
}

void fanout_fini(struct shard *shard)
{
    if (!shard->fanout)
        return;
    unsubscribe(shard);
    kpw_event_reader_fini(&shard->fanout->reader);
    free(shard->fanout);
    shard->fanout = NULL;
}
