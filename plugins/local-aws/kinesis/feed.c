/* feed.c - subscriptions under way: events, their pace, their end.
 *
 * A subscription sends when records become readable, when its peer has taken what was sent, when
 * its pace allows more, and at every beat. Between those it costs nothing but its timer, which is
 * set to the next of them. What waits for a slow peer is one event at most; the records stay in the
 * log.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <string.h>

#include "plugins/local-aws/kinesis/consumers.h"
#include "plugins/local-aws/kinesis/records.h"
#include "sdk/wire/base64.h"
#include "sdk/wire/eventstream.h"

enum { EVENTS_AT_ONCE = 32 };

/* ---- frames */

/* ":event-type" and such with its value, then media and kind of message; the payload is next. */
static void begin_frame(struct kpw_event_writer *e, struct kpw_buf *out, bool is_cbor,
                        const char *header, const char *value)
{
    kpw_event_begin(e, out);
    kpw_event_put_string(e, header, kpw_slice_cstr(value));
    kpw_event_put_string(e, ":content-type",
                         kpw_slice_cstr(is_cbor ? KINESIS_CBOR_11 : LOCAL_JSON_11));
    kpw_event_put_string(
        e, ":message-type",
        kpw_slice_cstr(header[1] == 'e' && header[2] == 'v' ? "event" : "exception"));
    kpw_event_payload(e);
}

void kinesis_frame_initial(struct kpw_buf *out, bool is_cbor)
{
    struct kpw_event_writer e;
    struct write w;

    begin_frame(&e, out, is_cbor, ":event-type", "initial-response");
    w = write_to(out, is_cbor);
    write_object(&w);
    write_object_end(&w);
    kpw_event_end(&e);
}

void kinesis_frame_exception(struct kpw_buf *out, bool is_cbor, const char *type,
                             const char *message)
{
    struct kpw_event_writer e;
    struct write w;

    begin_frame(&e, out, is_cbor, ":exception-type", type);
    w = write_to(out, is_cbor);
    write_object(&w);
    write_member(&w, "message", message);
    write_object_end(&w);
    kpw_event_end(&e);
}

/* ---- the place in the shard */

static bool has_more(const struct kinesis_fan *fan)
{
    return fan->cursor.index < fan->shard->log.readable;
}

/* The shard is closed and all of it was read. */
static bool is_over(const struct kinesis_fan *fan)
{
    const struct log *log = &fan->shard->log;

    return fan->shard->closed_s && !log->is_writing && !log->pending.len && !has_more(fan);
}

/* The number to go on after. Without new records it is the number before the next one's index, and
 * grows with the time. */
static void advance(struct kinesis_fan *fan, const struct kinesis_fetch *f, int64_t now_ms)
{
    uint64_t before = fan->cursor.index ? fan->cursor.index - 1 : 0;

    fan->last.created_s = fan->shard->created_s;
    fan->last.shard = fan->shard->number;
    if (f->n) {
        fan->last.index = f->k->got[f->n - 1].index;
        fan->last.time_s = (uint64_t)f->k->got[f->n - 1].arrival_ms / 1000;
        return;
    }
    if (fan->last.index < before)
        fan->last.index = before;
    if (fan->last.time_s < (uint64_t)now_ms / 1000)
        fan->last.time_s = (uint64_t)now_ms / 1000;
}

static int64_t behind_ms(const struct kinesis_fan *fan, int64_t now_ms)
{
    int64_t behind = has_more(fan) ? now_ms - (int64_t)fan->last.time_s * 1000 : 0;

    return behind < 0 ? 0 : behind;
}

/* ---- events */

static void put_event(const struct kinesis_fan *fan, const struct kinesis_fetch *f, int64_t now_ms,
                      struct kpw_buf *out)
{
    char number[KINESIS_SEQ_SIZE];
    struct kpw_event_writer e;
    struct write w;

    kinesis_seq_format(&fan->last, number);
    begin_frame(&e, out, fan->is_cbor, ":event-type", "SubscribeToShardEvent");
    w = write_to(out, fan->is_cbor);
    write_object(&w);
    records_write(f, &w);
    write_member(&w, "ContinuationSequenceNumber", number);
    write_member_int(&w, "MillisBehindLatest", behind_ms(fan, now_ms));
    if (is_over(fan))
        records_write_children(fan->shard, &w);
    write_object_end(&w);
    kpw_event_end(&e);
}

/* k->out, emptied. */
static struct kpw_buf *empty_out(struct kinesis *k)
{
    if (k->out.failed)
        kpw_buf_fini(&k->out);
    kpw_buf_clear(&k->out);
    return &k->out;
}

/* Sends k->out. */
static void send_out(struct kinesis *k, struct kinesis_fan *fan)
{
    kp_exchange *x = fan->x;
    size_t waiting;

    if (k->out.failed) {
        kpw_buf_fini(&k->out);
        kinesis_feed_forget(k, fan);
        k->local->server_ext->abort(x); /* out of memory */
        return;
    }
    /* set first: the peer may take all of it, and say so, before write() returns */
    fan->is_full = true;
    waiting = k->local->server_ext->write(x, (kp_slice){k->out.ptr, k->out.len}, NULL);
    if (fan->x == x && waiting <= KINESIS_UNSENT_BYTES)
        fan->is_full = false;
}

/* Sends what was fetched (or that there is nothing). False: that was the end. */
static bool send_event(struct kinesis *k, struct kinesis_fan *fan, const struct kinesis_fetch *f)
{
    int64_t now_ms = local_now_ms(k->local);

    advance(fan, f, now_ms);
    put_event(fan, f, now_ms, empty_out(k));
    fan->beat_ms = kp->now_ms() + KINESIS_BEAT_MS;
    fan->bytes.level -= (double)f->bytes;
    send_out(k, fan);
    if (!fan->x || !is_over(fan))
        return fan->x != NULL;
    kinesis_feed_end(k, fan, NULL, NULL);
    return false;
}

/* ---- the pump */

static bool may_send(const struct kinesis *k, struct kinesis_fan *fan)
{
    return k->local->no_limits ||
           (kinesis_bucket_take(&fan->bytes, kp->now_ms(), KINESIS_FAN_BYTES_S, 0) &&
            fan->bytes.level > 0);
}

/* One event; false: there is nothing more to do now. */
static bool step(struct kinesis *k, struct kinesis_fan *fan)
{
    struct kinesis_fetch f = {
        .k = k,
        .shard = fan->shard,
        .c = &fan->cursor,
        .limit = KINESIS_GET_RECORDS,
        .most = KINESIS_EVENT_BYTES,
        .horizon_ms = local_now_ms(k->local) - fan->shard->stream->retention_hours * 3600000,
    };

    if (has_more(fan)) {
        if (!may_send(k, fan))
            return false;
        kinesis_busy(k);
        if (!kinesis_fetch(&f)) {
            kpw_buf_fini(&k->raw);
            kinesis_feed_end(k, fan, "InternalFailureException", "A segment cannot be read.");
            return false;
        }
    }
    return (f.n || is_over(fan)) && send_event(k, fan, &f);
}

static void arm(struct kinesis *k, struct kinesis_fan *fan, bool at_once)
{
    int64_t now_ms = kp->now_ms(), end_ms = fan->end_ms - k->local->clock_ms,
            next_ms = fan->beat_ms < end_ms ? fan->beat_ms : end_ms;
    bool is_paced = !k->local->no_limits && !fan->is_full && has_more(fan) && fan->bytes.level <= 0;
    int64_t pace_ms =
        is_paced ? now_ms + 1 + (int64_t)(-fan->bytes.level * 1000 / KINESIS_FAN_BYTES_S) : next_ms;

    if (pace_ms < next_ms)
        next_ms = pace_ms;
    k->local->timer_ext->start(fan->timer, !at_once && next_ms > now_ms ? next_ms - now_ms : 1, 0);
}

/* Sends what there is, but leaves room for others after some events. */
static void pump(struct kinesis *k, struct kinesis_fan *fan)
{
    bool more = true;

    if (fan->is_pumping)
        return;
    fan->is_pumping = true;
    for (int i = 0; i < EVENTS_AT_ONCE && more; i++)
        more = fan->x && !fan->is_full && step(k, fan);
    fan->is_pumping = false;
    if (fan->x)
        arm(k, fan, more);
}

void kinesis_feed_readable(struct kinesis *k, struct kinesis_shard *shard)
{
    struct kinesis_fan *next;

    for (struct kinesis_fan *fan = shard->fans; fan; fan = next) {
        next = fan->after;
        pump(k, fan);
        /* a connection that broke takes others of its subscriptions along */
        if (next && !next->x)
            next = shard->fans;
    }
}

/* An event without records. */
static void beat(struct kinesis *k, struct kinesis_fan *fan)
{
    struct kinesis_fetch none = {.k = k, .shard = fan->shard, .c = &fan->cursor};

    send_event(k, fan, &none);
}

static void tick(kp_node *node, void *arg)
{
    struct kinesis_fan *fan = arg;
    struct kinesis *k = fan->k;
    int64_t now_ms = kp->now_ms();

    (void)node;
    if (!fan->x)
        return;
    if (kinesis_subscribed_ms(k) >= fan->end_ms) {
        kinesis_feed_end(k, fan, NULL, NULL);
        return;
    }
    pump(k, fan);
    if (!fan->x || now_ms < fan->beat_ms)
        return;
    fan->beat_ms = now_ms + KINESIS_BEAT_MS; /* a peer that takes nothing needs no beat */
    if (!fan->is_full)
        beat(k, fan);
    if (fan->x)
        arm(k, fan, false);
}

static void drained(kp_node *node, void *arg, kp_exchange *x)
{
    struct kinesis_fan *fan = arg;

    (void)node;
    if (fan->x != x)
        return;
    fan->is_full = false;
    pump(fan->k, fan);
}

static void gone(kp_node *node, void *arg, kp_exchange *x)
{
    struct kinesis_fan *fan = arg;

    (void)node;
    if (fan->x == x)
        kinesis_feed_forget(fan->k, fan);
}

/* ---- begin and end */

static void start_answer(struct kinesis *k, struct kinesis_fan *fan)
{
    static const char media[] = "application/vnd.amazon.eventstream";
    kp_server_stream stream = {sizeof stream, drained, gone, fan};
    char id[KPW_UUID_SIZE], id2[100];
    uint64_t noise[9];
    kp_http_header headers[3];

    local_request_id(k->local, id);
    for (size_t i = 0; i < 9; i++)
        noise[i] = kpw_random_next(&k->local->random);
    headers[0] = (kp_http_header){{"x-amzn-RequestId", 16}, {id, strlen(id)}};
    headers[1] =
        (kp_http_header){{"x-amz-id-2", 10}, {id2, kpw_base64_encode(noise, sizeof noise, id2)}};
    headers[2] = (kp_http_header){{"Content-Type", 12}, {media, sizeof media - 1}};
    k->local->server_ext->start(fan->x, 200, headers, 3, &stream);
}

void kinesis_feed_begin(struct kinesis_call *call, struct kinesis_fan *fan)
{
    struct kinesis *k = call->k;
    struct kinesis_shard *shard = fan->shard;

    if (!local_begin_answer(k->local, call->x, 200)) { /* a fault */
        fan->shard = NULL;
        return;
    }
    fan->x = call->x;
    fan->is_cbor = call->is_cbor;
    fan->is_full = false;
    fan->after = shard->fans;
    fan->in_front = &shard->fans;
    if (fan->after)
        fan->after->in_front = &fan->after;
    shard->fans = fan;
    fan->beat_ms = kp->now_ms();
    fan->began_ms = kinesis_subscribed_ms(k);
    fan->has_begun = true;
    fan->end_ms = fan->began_ms + KINESIS_SUBSCRIBED_MS;
    start_answer(k, fan);
    kinesis_frame_initial(empty_out(k), fan->is_cbor);
    send_out(k, fan);
    if (fan->x)
        tick(k->local->node, fan); /* records, or that there are none */
}

void kinesis_feed_forget(struct kinesis *k, struct kinesis_fan *fan)
{
    if (!fan->x)
        return;
    fan->x = NULL;
    *fan->in_front = fan->after;
    if (fan->after)
        fan->after->in_front = fan->in_front;
    fan->after = NULL;
    fan->in_front = NULL;
    fan->shard = NULL;
    k->local->timer_ext->stop(fan->timer);
}

void kinesis_feed_end(struct kinesis *k, struct kinesis_fan *fan, const char *type, const char *fmt,
                      ...)
{
    struct kpw_buf text = KPW_BUF_INIT;
    kp_exchange *x = fan->x;
    va_list args;

    if (!x)
        return;
    if (fmt) {
        va_start(args, fmt);
        kpw_buf_vappendf(&text, fmt, args);
        va_end(args);
        kinesis_frame_exception(empty_out(k), fan->is_cbor, type,
                                kpw_buf_cstr(&text) ? text.ptr : "");
        kpw_buf_fini(&text);
        send_out(k, fan);
        if (!fan->x)
            return;
    }
    kinesis_feed_forget(k, fan);
    k->local->server_ext->finish(x);
}

void kinesis_feed_end_stream(struct kinesis *k, struct kinesis_stream *stream)
{
    for (struct kinesis_consumer *consumer = stream->consumers; consumer; consumer = consumer->next)
        for (struct kinesis_fan *fan = consumer->fans; fan; fan = fan->next)
            kinesis_feed_end(k, fan, "ResourceNotFoundException",
                             "Stream %s under account %s not found.", stream->name,
                             k->local->account);
}

void kinesis_feed_end_shard(struct kinesis *k, struct kinesis_shard *shard)
{
    char id[KINESIS_SHARD_ID];

    kinesis_shard_id(shard->number, id);
    while (shard->fans)
        kinesis_feed_end(k, shard->fans, "ResourceNotFoundException",
                         "Shard %s in stream %s under account %s does not exist", id,
                         shard->stream->name, k->local->account);
}

bool kinesis_fan_open(struct kinesis *k, struct kinesis_fan *fan)
{
    fan->k = k;
    fan->timer = k->local->timer_ext->create(k->local->node, tick, fan);
    return fan->timer != NULL;
}

void kinesis_fan_free(struct kinesis_fan *fan)
{
    kinesis_feed_end(fan->k, fan, NULL, NULL); /* the service closes: its memory is given up */
    fan->k->local->timer_ext->destroy(fan->timer);
    free(fan);
}
