/* poll.c - reads a shard by asking: an iterator, then GetRecords after GetRecords.
 *
 * At most one call is under way and at most one answer waits for the one before it to be taken. An
 * answer goes into memory that grows with it, so a quiet shard holds next to none. How much is
 * asked for follows what the way there is like: about 1 MiB of text (what stays in the second-level
 * cache while it is decoded), more where an answer is long on its way or reads are refused.
 *
 * Reads are paced: at most five and 2 MB a second (the shard's limits), at once while behind, ever
 * slower up to `poll` while nothing comes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/kinesis/source.h"
#include "sdk/wire/cbor.h"
#include "sdk/wire/json.h"

#define WANTED_NEAR    (1024 * 1024)      /* bytes of text of an answer while there is more */
#define WANTED_SHARED  (6 * 1024 * 1024)  /* the same, when reads are refused */
#define WANTED_FAR     (10 * 1024 * 1024) /* the same, when answers are long on their way */
#define FAR_MS         8                  /* that long */
#define FAR_LOOKS      8                  /* answers that show it */
#define FAR_LOOK_MS    60000
#define CAPACITY_MIN   2048
#define CAPACITY_WORST (16 * 1024 * 1024) /* one record of 10 MiB as base64 and its frame */
#define FRESH_MS       240000             /* an iterator is good for five minutes */
#define CALL_MS        30000
#define GAP_MS         250 /* to the next read when the last one brought all there was */
#define RETRY_BASE_MS  200

static void records_arrived(kp_node *node, void *arg, const kp_aws_response *response);

/* ---- pace */

/* When the shard may be read again without going over its limits. */
int64_t poll_allowed_at(const struct shard *shard)
{
    int64_t oldest = shard->reads[shard->read_at], at = oldest ? oldest + 1000 : 0;

    if (shard->source->info->no_limits)
        return 0;
    return at > shard->bytes_until ? at : shard->bytes_until;
}

static void note_read(struct shard *shard)
{
    shard->reads[shard->read_at] = kp->now_ms();
    shard->read_at = (shard->read_at + 1) % READS_A_SECOND;
}

static void note_bytes(struct shard *shard)
{
    const struct kinesis_answer *a = &shard->answer;
    int64_t from = shard->in.sent_ms, bytes = 0;

    for (size_t i = 0; i < a->count; i++)
        bytes += a->entries[i].data_len + a->entries[i].key_len;
    if (from < shard->bytes_until)
        from = shard->bytes_until;
    shard->bytes_until = from + bytes * 1000 / BYTES_A_SECOND;
    kp->lane_count(shard->lane, "bytes", bytes);
}

static void plan_next_read(struct shard *shard)
{
    const struct source *source = shard->source;
    int64_t gap = 0, poll = source->config->poll_ms;

    if (shard->answer.count)
        shard->empties = 0;
    else if (shard->behind_ms == 0 && shard->empties < 16)
        shard->empties++;
    if (shard->behind_ms == 0 && !(source->info->no_limits && shard->answer.count))
        gap = (int64_t)(source->info->no_limits ? 10 : GAP_MS) << shard->empties;
    shard->not_before = kp->now_ms() + (gap < poll ? gap : poll);
    if (source->epoch > shard->call_epoch) /* somebody waits for us */
        shard->not_before = 0;
}

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

    kpw_buf_clear(t);
    kpw_buf_appendf(t, "{\"StreamName\":\"%s\",\"ShardId\":\"%s\",\"ShardIteratorType\":",
                    source->config->stream->name, shard->id);
    shard_add_position(shard, "StartingSequenceNumber", t);
    kpw_buf_puts(t, "}");
    if (t->failed) {
        kpw_buf_fini(t);
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
    };

    shard->in.sent_ms = kp->now_ms();
    shard->call_epoch = source->epoch;
    note_read(shard);
    kp->lane_count(shard->lane, "calls", 1);
    shard->call = source->aws->call(source->node, &request, records_arrived, shard);
}

static void ask(struct shard *shard)
{
    struct kpw_buf *t = &shard->body;
    size_t limit = shard->wanted / shard->record_bytes;

    if (!shard_take_slab(shard, shard->expected + shard->expected / 8 + CAPACITY_MIN))
        return;
    shard->limit = limit < 1 ? 1 : limit > 10000 ? 10000 : (uint32_t)limit;
    write_get_records(shard);
    if (t->failed) {
        kpw_buf_fini(t);
        shard_drop_slab(shard);
        shard_alarm(shard, kp->now_ms() + RETRY_BASE_MS);
        return;
    }
    send_get_records(shard);
}

static bool is_due(struct shard *shard)
{
    int64_t allowed = poll_allowed_at(shard);

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

/* How far away the service is: the shortest time to a first byte, of answers of usual size. Looked
 * at anew from time to time, for which the answers become small again. */
static void note_distance(struct source *source, const struct incoming *in)
{
    int64_t ms = in->first_ms - in->sent_ms, now = kp->now_ms();

    if (now >= source->far_until_ms) {
        source->far_until_ms = now + FAR_LOOK_MS;
        source->far_n = 0;
    }
    if (source->far_n == 0 || ms < source->far_ms)
        source->far_ms = ms;
    source->far_n++;
}

static bool is_far(const struct source *source)
{
    return source->info->no_limits && source->far_n >= FAR_LOOKS && source->far_ms >= FAR_MS;
}

/* More next time when there was more, less when little came. */
static void adapt(struct shard *shard, size_t body_len)
{
    size_t count = shard->answer.count, most = is_far(shard->source) ? WANTED_FAR : WANTED_NEAR;

    if (count) {
        size_t each = body_len / count + 1, mean = ((size_t)shard->record_bytes * 7 + each) / 8;

        shard->record_bytes = (uint32_t)(each > mean ? each : mean);
    }
    if (shard->behind_ms > 0 && shard->wanted < most)
        shard->wanted = shard->wanted * 2 < most ? shard->wanted * 2 : most;
    else if (shard->wanted > most && (shard->behind_ms == 0 || shard->source->info->no_limits))
        shard->wanted = most;
    shard->expected = shard->behind_ms > 0 ? shard->wanted : count ? body_len : 0;
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
        note_bytes(shard);
        note_distance(shard->source, &in);
        adapt(shard, in.len);
        plan_next_read(shard);
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

/* Reads that are refused are fewer when each brings more. */
static void note_refusal(struct shard *shard, const kp_aws_response *response)
{
    if (response->throttled && shard->behind_ms > 0 && shard->wanted < WANTED_SHARED)
        shard->wanted = shard->wanted * 2 < WANTED_SHARED ? shard->wanted * 2 : WANTED_SHARED;
}

static void records_arrived(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct shard *shard = arg;
    kp_aws_response whole = *response;

    (void)node;
    shard->call = NULL;
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
        note_refusal(shard, response);
        shard_judge(shard, "GetRecords", response);
        shard_drop_slab(shard);
    } else {
        shard->in.is_whole = true;
        shard->in.came_ms = kp->now_ms();
        shrink_slab(shard);
    }
    shard_go(shard);
}
