/* fill.c - the batches of one shard: filled from its answers, KPL aggregates taken apart.
 *
 * An answer stays as it came, one entry a record of the stream. Its aggregates are taken apart one
 * at a time, when their turn comes: a single megabyte can hold 150,000 user records. Data and keys
 * are slices of the answer in either case.
 *
 * As KCL does it (AggregatorUtil): user records have the sequence number of their aggregate and
 * count 0, 1, ... in it. An aggregate with a user record whose hash key is not the shard's is left
 * out whole: its producer found the shard closed and has sent those records to the children.
 */
#include <stdlib.h>
#include <string.h>

#include "plugins/kinesis/source.h"
#include "sdk/wire/hash.h"

#define RETRY_MS 200

/* ---- aggregates */

static kpw_u128 hash_key_of(const struct kpw_kpl_record *r)
{
    uint8_t digest[KPW_MD5_SIZE];
    kpw_u128 hash;

    if (r->explicit_hash_key.ptr && kpw_u128_parse(r->explicit_hash_key, &hash))
        return hash;
    kpw_md5(r->partition_key.ptr, r->partition_key.len, digest);
    return kpw_u128_from_bytes(digest);
}

static bool is_of_shard(const struct shard *shard)
{
    const struct kpw_kpl_reader *kpl = &shard->fill.kpl;
    const struct kpw_kpl_record *last = NULL;

    if (shard->low == 0 && shard->high == KPW_U128_MAX)
        return true;
    for (size_t i = 0; i < kpl->n; i++) {
        const struct kpw_kpl_record *r = &kpl->records[i];
        kpw_u128 hash;

        if (last && r->partition_key.ptr == last->partition_key.ptr &&
            r->explicit_hash_key.ptr == last->explicit_hash_key.ptr)
            continue; /* entries of one table: the same key as before */
        hash = hash_key_of(r);
        if (hash < shard->low || hash > shard->high)
            return false;
        last = r;
    }
    return true;
}

static bool looks_aggregated(const struct shard *shard, const struct kinesis_entry *e)
{
    return shard->source->config->deaggregate && kpw_kpl_looks_like(e->data, e->data_len);
}

/* Takes the aggregate apart whose turn it is. False: out of memory. */
static bool open_aggregate(struct shard *shard, const struct kinesis_entry *e)
{
    struct fill *fill = &shard->fill;
    kp_node *node = shard->source->node;
    enum kpw_kpl_verdict verdict = kpw_kpl_read(&fill->kpl, e->data, e->data_len);

    if (verdict == KPW_KPL_NO_MEMORY)
        return false;
    fill->is_known = true;
    fill->is_open = verdict == KPW_KPL_AGGREGATE;
    fill->inside = 0;
    if (fill->is_open && !is_of_shard(shard)) {
        kp->count(node, "aggregates_of_other_shards", 1);
        fill->inside = fill->kpl.n;
    } else {
        kp->count(node, fill->is_open ? "aggregates" : "damaged_aggregates", 1);
    }
    return true;
}

/* ---- records */

/* The next `n` records at the end of the batch, which is made when it is not there. */
static kp_record *append(struct shard *shard, size_t n)
{
    const struct source *source = shard->source;
    struct fill *fill = &shard->fill;
    kp_record *records;

    if (!fill->batch) {
        size_t have = shard->answer.count - shard->at, most = (size_t)source->config->batch.records;

        fill->batch = kp->batch_new(source->node, (uint32_t)(have < most ? have : most));
        fill->due = kp->now_ms() + source->config->batch.wait_ms;
        fill->is_kept = false;
        if (!fill->batch)
            return NULL;
    }
    records = kp->append(fill->batch, (uint32_t)n);
    if (records && !fill->is_kept)
        kp->keep(fill->batch, shard->answer_slab);
    fill->is_kept |= records != NULL;
    return records;
}

static size_t room_of(const struct shard *shard)
{
    size_t most = (size_t)shard->source->config->batch.records;

    return shard->fill.batch ? most - shard->fill.batch->count : most;
}

static void copy_source(kp_record *r, const struct kinesis_entry *e)
{
    r->sequence = e->sequence;
    r->sequence_len = e->sequence_len;
    r->arrival_ms = e->arrival_ms;
}

/* Records as they are in the stream, up to the next aggregate. */
static bool add_plain(struct shard *shard)
{
    const struct kinesis_entry *e = &shard->answer.entries[shard->at];
    size_t n = 1, most = shard->answer.count - shard->at, room = room_of(shard);
    kp_record *r;

    most = most < room ? most : room;
    while (n < most && !looks_aggregated(shard, &e[n]))
        n++;
    r = append(shard, n);
    if (!r)
        return false;
    for (size_t i = 0; i < n; i++) {
        copy_source(&r[i], &e[i]);
        r[i].data = e[i].data;
        r[i].data_len = e[i].data_len;
        r[i].key = e[i].key;
        r[i].key_len = e[i].key_len;
    }
    shard->at += n;
    shard->fill.last = &e[n - 1];
    shard->fill.last_sub = 0;
    return true;
}

/* User records of the aggregate that is open, as many as there is room for. */
static bool add_of_aggregate(struct shard *shard)
{
    const struct kinesis_entry *e = &shard->answer.entries[shard->at];
    struct fill *fill = &shard->fill;
    size_t n = fill->kpl.n - fill->inside, room = room_of(shard);
    kp_record *r = NULL;

    n = n < room ? n : room;
    if (n && !(r = append(shard, n)))
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct kpw_kpl_record *user = &fill->kpl.records[fill->inside + i];

        copy_source(&r[i], e);
        r[i].data = user->data.ptr;
        r[i].data_len = (uint32_t)user->data.len;
        r[i].key = user->partition_key.ptr;
        r[i].key_len = (uint32_t)user->partition_key.len;
        r[i].sub_sequence = fill->inside + i;
    }
    fill->inside += n;
    fill->last = e;
    fill->last_sub = fill->inside ? fill->inside - 1 : 0;
    if (fill->inside < fill->kpl.n)
        return true;
    shard->at++;
    fill->is_open = fill->is_known = false;
    return true;
}

/* After a restart the record of the checkpoint is read again: what was settled of it is left out.
 */
static bool skip_settled(struct shard *shard)
{
    struct fill *fill = &shard->fill;
    const struct kinesis_entry *e = &shard->answer.entries[shard->at];
    bool is_it;

    if (!fill->resume)
        return false;
    is_it = strlen(fill->resume) == e->sequence_len &&
            memcmp(fill->resume, e->sequence, e->sequence_len) == 0;
    free(fill->resume); /* it is the first record, or not there any more */
    fill->resume = NULL;
    if (!is_it)
        return false;
    if (fill->resume_sub && !shard->source->config->deaggregate)
        return false; /* what was settled of the aggregate cannot be told from the rest */
    if (fill->is_open && fill->resume_sub + 1 < fill->kpl.n) {
        if (fill->inside < fill->resume_sub + 1)
            fill->inside = fill->resume_sub + 1;
        return false;
    }
    shard->at++;
    fill->is_open = fill->is_known = false;
    return true;
}

/* Moves the next records into the batch. False: no memory now. */
static bool add_next(struct shard *shard)
{
    struct fill *fill = &shard->fill;
    const struct kinesis_entry *e = &shard->answer.entries[shard->at];

    if (!fill->is_known && looks_aggregated(shard, e) && !open_aggregate(shard, e))
        return false;
    if (skip_settled(shard))
        return true;
    if (fill->is_open)
        return add_of_aggregate(shard);
    fill->is_known = false;
    return add_plain(shard);
}

/* ---- batches */

/* The entries go back to be used by the next shard; a quiet one holds no memory. */
static void drop_answer(struct shard *shard)
{
    struct source *source = shard->source;
    struct kinesis_answer *a = &shard->answer;

    if (shard->answer_slab)
        kp->slab_unref(shard->answer_slab);
    shard->answer_slab = NULL;
    if (a->room > source->spare_room) {
        free(source->spare);
        source->spare = a->entries; /* moved */
        source->spare_room = a->room;
        a->entries = NULL;
    }
    kinesis_answer_fini(a);
    shard->at = 0;
    shard->fill.is_kept = false;
    if (shard->behind_ms == 0)
        kpw_kpl_reader_fini(&shard->fill.kpl);
}

/* The end of the batch, and of the answer when all of it was taken. */
static void note_end(struct shard *shard)
{
    struct fill *fill = &shard->fill;

    if (fill->last) {
        memcpy(fill->end, fill->last->sequence, fill->last->sequence_len);
        fill->end[fill->last->sequence_len] = 0;
        fill->end_sub = fill->last_sub;
        fill->last = NULL;
    }
    if (shard->at < shard->answer.count)
        return;
    drop_answer(shard); /* the batch keeps its memory */
}

static bool add_to_batch(struct shard *shard)
{
    bool ok = true;

    if (shard->at == shard->answer.count)
        return true;
    while (ok && shard->at < shard->answer.count && room_of(shard))
        ok = add_next(shard);
    note_end(shard);
    if (!ok)
        shard_alarm(shard, kp->now_ms() + RETRY_MS);
    return ok;
}

bool fill_is_due(const struct shard *shard)
{
    const struct source *source = shard->source;
    const struct fill *fill = &shard->fill;

    return fill->batch->count >= (uint64_t)source->config->batch.records || shard->at_end ||
           source->epoch > shard->caught_epoch || kp->now_ms() >= fill->due;
}

static void submit_batch(struct shard *shard)
{
    struct fill *fill = &shard->fill;
    kp_position end = {{fill->end, strlen(fill->end)}, fill->end_sub};
    kp_batch *b = fill->batch;

    fill->batch = NULL; /* moved */
    kp->submit(shard->lane, b, &end, NULL);
}

static bool is_lane_ready(struct shard *shard)
{
    kp_node *node = shard->source->node;

    if (kp->lane_ready(shard->lane))
        return true;
    if (kp->reserve(node, 1))
        kp->unreserve(node, 1);
    else
        shard->source->is_refused = true; /* it is memory that lacks, for the others too */
    queue_put(&shard->source->queues[FOR_ROOM], shard, FOR_ROOM);
    return false;
}

void fill_submit(struct shard *shard)
{
    struct fill *fill = &shard->fill;

    while (fill->batch || shard->at < shard->answer.count) {
        if (!add_to_batch(shard))
            return;
        if (!fill->batch)
            continue; /* nothing of it was for us */
        if (!fill_is_due(shard)) {
            shard_alarm(shard, fill->due);
            return;
        }
        if (!is_lane_ready(shard))
            return; /* wake() comes */
        submit_batch(shard);
        if (!shard->lane)
            return; /* revoked meanwhile */
        if (shard->at < shard->answer.count && kp->now_ms() >= shard->turn_ends) {
            shard_alarm(shard, kp->now_ms());
            return;
        }
    }
    shard->caught_epoch = shard->answer_epoch;
}

bool fill_resume(struct shard *shard, const char *sequence, uint64_t sub)
{
    shard->fill.resume_sub = sub;
    shard->fill.resume = strdup(sequence);
    return shard->fill.resume;
}

void fill_drop(struct shard *shard)
{
    struct fill *fill = &shard->fill;

    if (fill->batch)
        kp->release(shard->source->node, fill->batch);
    fill->batch = NULL;
    drop_answer(shard);
    kpw_kpl_reader_fini(&fill->kpl);
    free(fill->resume);
    fill->resume = NULL;
}
