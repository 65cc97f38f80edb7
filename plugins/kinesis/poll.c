/* poll.c - reads a shard by asking: an iterator, then GetRecords after GetRecords.
 *
 * At most one call is under way and at most one answer waits for the lane. How much is asked for
 * follows what comes: little while the shard is quiet, about 1 MiB of text while there is more
 * (what stays in the second-level cache while it is decoded). A small answer is moved to a slab of
 * its size, so that a trickle of records does not hold much memory. Reads are paced: at most five a
 * second (the shard's limit), at once while behind, ever slower up to `poll` while nothing comes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/kinesis/source.h"
#include "sdk/wire/cbor.h"
#include "sdk/wire/json.h"

#define CAPACITY_MAX   (1536 * 1024)
#define CAPACITY_WORST (16 * 1024 * 1024) /* one record of 10 MiB as base64 and its frame */
#define GAP_MS         250 /* to the next read when the last one brought all there was */
#define RETRY_BASE_MS  200

static void records_arrived(kp_node *node, void *arg, const kp_aws_response *response);

/* ---- pace */

/* When the shard may be read again without going over its limit. */
int64_t poll_allowed_at(const struct shard *shard)
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
    int64_t gap = 0, poll = source->config->poll_ms, allowed = poll_allowed_at(shard);

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

/* ---- the iterator */

static void iterator_arrived(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct shard *shard = arg;
    struct source *source = shard->source;

    (void)node;
    shard->call = NULL;
    if (response->error) {
        shard_judge(shard, "GetShardIterator", response);
    } else if (!kinesis_iterator_parse(response->body.ptr, response->body.len, shard->iterator,
                                       sizeof(shard->iterator))) {
        shard_failed(shard, "MalformedAnswer", "GetShardIterator");
    } else {
        if (source->config->start == START_LATEST && !shard->is_child && !shard->read_to[0] &&
            !shard->latest_ms)
            shard->latest_ms = kp->wall_ms();
        shard->state = SHARD_READING;
        shard->not_before = poll_allowed_at(shard);
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
        .content_type = wire_content_type(shard->is_cbor),
        .body = {shard->body.ptr, shard->body.len},
        .attempts = 1,
        .into = shard->slab,
        .into_capacity = shard->slab ? shard->capacity : 0,
    };

    shard->call = source->aws->call(source->node, &request, fn, shard);
}

void poll_iterator(struct shard *shard)
{
    struct kpw_buf *t = &shard->body;

    kpw_buf_clear(t);
    kpw_buf_appendf(t, "{\"StreamName\":\"%s\",\"ShardId\":\"%s\",\"ShardIteratorType\":",
                    shard->source->config->stream->name, shard->id);
    shard_add_position(shard, "StartingSequenceNumber", t);
    kpw_buf_puts(t, "}");
    if (t->failed) {
        kpw_buf_fini(t);
        shard_failed(shard, "OutOfMemory", NULL);
        shard_alarm(shard, shard->not_before);
        return;
    }
    shard->is_cbor = false;
    send_call(shard, "Kinesis_20131202.GetShardIterator", iterator_arrived);
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

void poll_records(struct shard *shard)
{
    struct kpw_buf *t = &shard->body;
    size_t limit = shard->wanted / 3 * 2 / shard->record_bytes;

    if (!shard_take_slab(shard, shard->wanted))
        return;
    shard->limit = limit < 1 ? 1 : limit > 10000 ? 10000 : (uint32_t)limit;
    write_get_records(shard);
    if (t->failed) {
        kpw_buf_fini(t);
        shard_drop_slab(shard);
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
        shard->wanted = POLL_CAPACITY_MIN;
}

/* The answer did not fit: ask for fewer, or, when it was one, make more room. */
static void shrink(struct shard *shard)
{
    if (shard->limit > 1)
        shard->record_bytes = (uint32_t)(shard->wanted / 3 * 2 / (shard->limit / 4 + 1) + 1);
    else if (shard->wanted < CAPACITY_WORST)
        shard->wanted = shard->wanted * 4 < CAPACITY_WORST ? shard->wanted * 4 : CAPACITY_WORST;
    else
        shard_failed(shard, "BodyTooLarge", "one record does not fit into 16 MiB");
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
    shard_drop_slab(shard);
    shard->slab = small;
    return kp->slab_data(small);
}

static void records_arrived(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct shard *shard = arg;

    (void)node;
    shard->call = NULL;
    if (wire_refused(&shard->source->wire, shard->is_cbor, response)) {
        shard->not_before = 0; /* again, in JSON */
    } else if (!response->error) {
        if (shard_take_answer(shard, settle_memory(shard, response->body.len),
                              response->body.len)) {
            shard_succeeded(shard);
            adapt(shard, response->body.len);
            plan_next_read(shard);
        }
    } else if (calls_judge(response) == CALLS_TOO_LONG) {
        shrink(shard);
    } else {
        shard_judge(shard, "GetRecords", response);
    }
    shard_drop_slab(shard);
    if (shard->state == SHARD_READING && shard->not_before < poll_allowed_at(shard))
        shard->not_before = poll_allowed_at(shard);
    shard_go(shard);
}
