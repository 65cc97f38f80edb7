/* poll.c - reads a shard by asking: an iterator, then GetRecords after GetRecords.
 *
 * At most one call is under way and at most one answer waits for the one before it to be taken. An
 * answer goes into memory that grows with it, so a quiet shard holds next to none. When it is asked
 * and for how much is tempo.c's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/kinesis/source.h"
#include "sdk/wire/cbor.h"
#include "sdk/wire/json.h"

#define CAPACITY_MIN   2048
#define CAPACITY_WORST (16 * 1024 * 1024) /* one record of 10 MiB as base64 and its frame */
#define FRESH_MS       240000             /* an iterator is good for five minutes */
#define CALL_MS        30000
#define RETRY_BASE_MS  200

static void records_arrived(kp_node *node, void *arg, const kp_aws_response *response);

/* ---- the iterator */

static bool take_iterator(struct shard *shard, kp_slice body)
{
    char text[ITERATOR_MAX + 1];

    return kinesis_iterator_parse(body.ptr, body.len, text, sizeof(text)) &&
           shard_set_iterator(shard, text, strlen(text));
}

static void iterator_arrived(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct shard *shard = arg;

    (void)node;
    shard->call = NULL;
    tempo_give_slot(shard);
    kpw_buf_fini(&shard->body);
    if (response->error) {
        shard_judge(shard, "GetShardIterator", response);
    } else if (!take_iterator(shard, response->body)) {
        shard_failed(shard, "MalformedAnswer", "GetShardIterator");
    } else {
        if (shard->begin == BEGIN_LATEST && !shard->read_to[0] && !shard->latest_ms)
            shard->latest_ms = kp->wall_ms();
        shard->state = SHARD_READING;
        shard->not_before = 0;
    }
    shard_go(shard);
}

void poll_iterator(struct shard *shard)
{
    struct source *source = shard->source;
    struct kpw_buf *t = &shard->body;
    kp_aws_request request = {
        .size = sizeof(request),
        .service = "kinesis",
        .target = "Kinesis_20131202.GetShardIterator",
        .attempts = 1,
    };

    if (!tempo_take_slot(shard))
        return;
    kpw_buf_clear(t);
    kpw_buf_appendf(t, "{\"StreamName\":\"%s\",\"ShardId\":\"%s\",\"ShardIteratorType\":",
                    source->config->stream->name, shard->id);
    shard_add_position(shard, "StartingSequenceNumber", t);
    kpw_buf_puts(t, "}");
    if (t->failed) {
        kpw_buf_fini(t);
        tempo_give_slot(shard);
        shard_failed(shard, "OutOfMemory", NULL);
        shard_alarm(shard, shard->not_before);
        return;
    }
    request.body = (kp_slice){t->ptr, t->len};
    shard->call = source->aws->call(source->node, &request, iterator_arrived, shard);
}

/* ---- an answer while it comes */

/* Room for `more` bytes. False: not now. */
static bool make_room(struct shard *shard, size_t more)
{
    struct incoming in = shard->in;
    size_t size = in.capacity * 2;

    if (in.capacity - in.len >= more)
        return true;
    while (size < in.len + more)
        size *= 2;
    if (!shard_take_slab(shard, size)) {
        shard->in = in;
        return false;
    }
    memcpy(kp->slab_data(shard->in.slab), kp->slab_data(in.slab), in.len);
    kp->slab_unref(in.slab);
    return true;
}

static bool piece_came(kp_node *node, void *arg, kp_slice piece)
{
    struct shard *shard = arg;
    struct incoming *in = &shard->in;

    (void)node;
    if (!in->first_ms)
        in->first_ms = kp->now_ms();
    if (in->len + piece.len > CAPACITY_WORST) {
        in->is_too_long = true; /* the rest is left out; the answer's end says so */
        return true;
    }
    if (!make_room(shard, piece.len)) {
        in->is_held = true;
        shard->expected = in->capacity * 2; /* the next time all of it is had before the call */
        return false;
    }
    memcpy(kp->slab_data(in->slab) + in->len, piece.ptr, piece.len);
    in->len += piece.len;
    return true;
}

/* A small answer moves out of its large slab. The large one is kept when that fails. */
static void shrink_slab(struct shard *shard)
{
    struct incoming in = shard->in;

    if (in.len * 4 > in.capacity || in.capacity <= CAPACITY_MIN)
        return;
    if (!shard_take_slab(shard, in.len + 1)) {
        shard->in = in;
        return;
    }
    memcpy(kp->slab_data(shard->in.slab), kp->slab_data(in.slab), in.len);
    kp->slab_unref(in.slab);
}

/* ---- reading */

static void write_get_records(struct shard *shard)
{
    struct kpw_buf *t = &shard->body;

    kpw_buf_clear(t);
    shard->is_cbor = shard->source->wire.is_cbor;
    if (shard->is_cbor) {
        kpw_cbor_put_map(t, 2);
        kpw_cbor_put_cstr(t, "ShardIterator");
        kpw_cbor_put_cstr(t, shard->iterator);
        kpw_cbor_put_cstr(t, "Limit");
        kpw_cbor_put_uint(t, shard->limit);
    } else {
        kpw_buf_puts(t, "{\"ShardIterator\":");
        kpw_json_put_string(t, shard->iterator, strlen(shard->iterator));
        kpw_buf_appendf(t, ",\"Limit\":%u}", shard->limit);
    }
}

static void send_get_records(struct shard *shard)
{
    struct source *source = shard->source;
    kp_aws_request request = {
        .size = sizeof(request),
        .service = "kinesis",
        .target = "Kinesis_20131202.GetRecords",
        .content_type = wire_content_type(shard->is_cbor),
        .body = {shard->body.ptr, shard->body.len},
        .timeout_ms = CALL_MS,
        .attempts = 1,
        .piece = piece_came,
        .expected_body = shard->expected + CAPACITY_MIN,
    };

    shard->in.sent_ms = kp->now_ms();
    shard->call_epoch = source->epoch;
    tempo_sent(shard);
    kp->lane_count(shard->lane, "calls", 1);
    shard->call = source->aws->call(source->node, &request, records_arrived, shard);
}

static void ask(struct shard *shard)
{
    struct kpw_buf *t = &shard->body;
    size_t limit = shard->wanted / shard->record_bytes;

    if (!tempo_take_slot(shard))
        return;
    if (!shard_take_slab(shard, shard->expected + shard->expected / 8 + CAPACITY_MIN)) {
        tempo_give_slot(shard);
        tempo_no_memory(shard);
        return;
    }
    shard->limit = limit < 1 ? 1 : limit > 10000 ? 10000 : (uint32_t)limit;
    write_get_records(shard);
    if (t->failed) {
        kpw_buf_fini(t);
        tempo_give_slot(shard);
        shard_drop_slab(shard);
        shard_alarm(shard, kp->now_ms() + RETRY_BASE_MS);
        return;
    }
    send_get_records(shard);
}

static bool is_due(struct shard *shard)
{
    int64_t allowed = tempo_allowed_at(shard);

    if (shard->not_before < allowed)
        shard->not_before = allowed;
    return shard_is_due(shard);
}

void poll_go(struct shard *shard)
{
    if (shard->in.is_held && shard->call) {
        shard->in.is_held = false;
        shard->source->aws->resume(shard->call);
    }
    if (shard->call || shard->in.is_whole || shard->at_end || !is_due(shard))
        return;
    if (kp->now_ms() < shard->iterator_ms + FRESH_MS) {
        ask(shard);
        return;
    }
    shard->state = SHARD_POSITIONING; /* it may have expired before its call arrives */
    poll_iterator(shard);
}

bool poll_take(struct shard *shard)
{
    struct incoming in = shard->in;

    if (!in.is_whole || shard->answer_slab || (shard->fill.batch && fill_is_due(shard)))
        return false;
    shard->in.is_whole = false;
    if (shard_take_answer(shard, kp->slab_data(in.slab), in.len)) {
        shard->iterator_ms = in.came_ms;
        shard_succeeded(shard);
        tempo_took(shard, &in);
    }
    shard_drop_slab(shard);
    return true;
}

/* Fewer records next time; when it was one there is no way to have it. */
static void was_too_long(struct shard *shard)
{
    if (shard->limit > 1)
        shard->record_bytes = (uint32_t)(shard->wanted / (shard->limit / 4 + 1) + 1);
    else
        shard_failed(shard, "BodyTooLarge", "one record does not fit into 16 MiB");
}

static void records_arrived(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct shard *shard = arg;
    kp_aws_response whole = *response;

    (void)node;
    shard->call = NULL;
    tempo_give_slot(shard);
    kpw_buf_fini(&shard->body);
    if (!response->error)
        whole.body = (kp_slice){kp->slab_data(shard->in.slab), shard->in.len};
    if (shard->in.is_too_long) {
        was_too_long(shard);
        shard_drop_slab(shard);
    } else if (wire_refused(&shard->source->wire, shard->is_cbor, &whole)) {
        shard->not_before = 0; /* again, in JSON */
        shard_drop_slab(shard);
    } else if (response->error && shard->in.is_held) {
        shard->not_before = 0; /* nothing is wrong but that we let it wait for memory */
        shard_drop_slab(shard);
    } else if (response->error) {
        if (response->throttled)
            tempo_refused(shard);
        shard_judge(shard, "GetRecords", response);
        shard_drop_slab(shard);
    } else {
        shard->in.is_whole = true;
        shard->in.came_ms = kp->now_ms();
        shrink_slab(shard);
    }
    shard_go(shard);
}
