/* put.c - PutRecord and PutRecords: routing, limits, group commit.
 *
 * A request's records go as blocks into the pending memory of their shards' logs. Then one write
 * takes what is pending of all shards that wait: at once and here (durability os), or on the pool
 * with fdatasync (fsync), where everything that comes meanwhile forms the next group. With
 * durability memory the answer does not wait and a timer writes.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/kinesis/kinesis.h"
#include "sdk/wire/base64.h"

enum { BLOCK_MAX = 1 << 20, FLUSH_BYTES = 256 << 10, FLUSH_MS = 100 };

enum put_state { PUT_OK = 0, PUT_THROTTLED, PUT_FAILED };

struct put_entry {
    struct kinesis_shard *shard; /* [borrowed from the stream, which is referenced] */
    uint64_t index;
    int64_t arrival_ms;
    enum put_state state;
};

struct kinesis_put {
    struct kinesis_put *next;
    kp_exchange *x;
    struct kinesis_stream *stream; /* a reference */
    bool is_single;                /* PutRecord */
    bool is_cbor, has_origin;      /* of the call */
    size_t n;
    struct put_entry entries[];
};

/* The write on the pool. It outlives the service when that is closed meanwhile: close waits for the
 * writing, and the one who comes last frees. */
struct kinesis_commit {
    pthread_mutex_t lock; /* of is_running */
    pthread_cond_t ended;
    bool is_running;
    struct kinesis *k; /* NULL: the service was closed. [worker] */
};

/* ---- answers */

static void throttle_text(struct kinesis *k, const struct put_entry *e, struct kpw_buf *out)
{
    char id[KINESIS_SHARD_ID];

    kinesis_shard_id(e->shard->number, id);
    kpw_buf_appendf(out, "Rate exceeded for shard %s in stream %s under account %s.", id,
                    e->shard->stream->name, k->local->account);
}

/* {"SequenceNumber":...,"ShardId":...}: an answer has 500 of them, so their constant parts are
 * copied in one piece. CBOR's have the heads of the texts in them, 56 and 20 bytes. */
static const struct put_parts {
    struct kpw_slice number, shard, end;
} json_parts = {KPW_LIT("{\"SequenceNumber\":\""), KPW_LIT("\",\"ShardId\":\""), KPW_LIT("\"}")},
  cbor_parts = {KPW_LIT("\xbf\x6eSequenceNumber\x78\x38"), KPW_LIT("\x67ShardId\x74"),
                KPW_LIT("\xff")};

_Static_assert(KINESIS_SEQ_LEN == 0x38 && KINESIS_SHARD_ID == 20 + 1, "cbor_parts has the lengths");

static void put_sequence(const struct put_entry *e, struct write *w)
{
    const struct put_parts *parts = w->is_cbor ? &cbor_parts : &json_parts;
    struct kinesis_seq seq = {.created_s = e->shard->created_s,
                              .index = e->index,
                              .time_s = (uint64_t)e->arrival_ms / 1000,
                              .shard = e->shard->number};
    char *to = kpw_buf_reserve(w->out, 128), id[KINESIS_SHARD_ID];

    if (!to)
        return;
    if (w->has_item && !w->is_cbor)
        *to++ = ',';
    w->has_item = true;
    kinesis_shard_id(e->shard->number, id);
    to = mempcpy(to, parts->number.ptr, parts->number.len);
    kinesis_seq_write(&e->shard->seq, &seq, to);
    to = mempcpy(to + KINESIS_SEQ_LEN, parts->shard.ptr, parts->shard.len);
    to = mempcpy(to, id, KINESIS_SHARD_ID - 1);
    to = mempcpy(to, parts->end.ptr, parts->end.len);
    w->out->len = (size_t)(to - w->out->ptr);
}

static void put_entry(struct kinesis *k, const struct put_entry *e, struct write *w)
{
    size_t begun;

    if (e->state == PUT_OK) {
        put_sequence(e, w);
        return;
    }
    write_object(w);
    if (e->state == PUT_THROTTLED) {
        write_member(w, "ErrorCode", "ProvisionedThroughputExceededException");
        write_key(w, "ErrorMessage");
        begun = write_text_begin(w);
        throttle_text(k, e, w->out);
        write_text_end(w, begun);
    } else {
        write_member(w, "ErrorCode", "InternalFailure");
        write_member(w, "ErrorMessage", "Internal Service Failure");
    }
    write_object_end(w);
}

/* Into the object that was written last. */
static void add_encryption(struct write *w)
{
    if (w->out->len)
        w->out->len--; /* its end, in both forms */
    write_member(w, "EncryptionType", "KMS");
    write_object_end(w);
}

static void answer_single(struct kinesis *k, struct kinesis_call *call, const struct put_entry *e)
{
    struct kpw_buf *out = kinesis_out(call);

    if (e->state == PUT_THROTTLED) {
        throttle_text(k, e, out);
        kinesis_fail(call, "ProvisionedThroughputExceededException", "%s",
                     kpw_buf_cstr(out) ? out->ptr : "");
    } else if (e->state == PUT_FAILED) {
        kinesis_fail(call, "InternalFailure", NULL);
    } else {
        put_entry(k, e, kinesis_write(call));
        if (e->shard->stream->life.key_id)
            add_encryption(&k->writer);
        kinesis_answer(call);
    }
}

/* [consumes put] */
static void put_answer(struct kinesis *k, struct kinesis_put *put)
{
    struct kinesis_call call = {.k = k,
                                .check = &k->check,
                                .x = put->x,
                                .is_cbor = put->is_cbor,
                                .has_origin = put->has_origin};
    struct write *w;
    int64_t failed = 0;

    if (put->is_single) {
        answer_single(k, &call, &put->entries[0]);
    } else {
        for (size_t i = 0; i < put->n; i++)
            failed += put->entries[i].state != PUT_OK;
        w = kinesis_write(&call);
        write_object(w);
        write_member_int(w, "FailedRecordCount", failed);
        write_key(w, "Records");
        write_list(w);
        for (size_t i = 0; i < put->n; i++)
            put_entry(k, &put->entries[i], w);
        write_list_end(w);
        if (put->stream->life.key_id)
            write_member(w, "EncryptionType", "KMS");
        write_object_end(w);
        kinesis_answer(&call);
    }
    kinesis_stream_unref(put->stream);
    free(put);
}

/* ---- commit */

static void commit_begin(struct kinesis *k);

static bool add_write(struct kinesis *k, const struct log_write *w)
{
    if (k->n_writes == k->writes_cap) {
        size_t cap = k->writes_cap ? k->writes_cap * 2 : 16;
        struct log_write *more = reallocarray(k->writes, cap, sizeof *more);

        if (!more)
            return false;
        k->writes = more;
        k->writes_cap = cap;
    }
    k->writes[k->n_writes++] = *w;
    return true;
}

static void commit_run(void *arg) /* [any] */
{
    struct kinesis_commit *commit = arg;

    log_write_run(commit->k->writes, commit->k->n_writes);
    pthread_mutex_lock(&commit->lock);
    commit->is_running = false;
    pthread_cond_signal(&commit->ended);
    pthread_mutex_unlock(&commit->lock);
}

static void commit_free(struct kinesis_commit *commit)
{
    if (!commit)
        return;
    pthread_mutex_destroy(&commit->lock);
    pthread_cond_destroy(&commit->ended);
    free(commit);
}

static struct kinesis_shard *shard_of(struct log *log)
{
    return (struct kinesis_shard *)((char *)log - offsetof(struct kinesis_shard, log));
}

static void write_failed(struct kinesis *k, struct log_write *w)
{
    /* A full disk stays full for a while: the first refusal is news, the rest are counted. */
    if (!w->log->has_complained && !shard_of(w->log)->stream->is_deleted)
        kp->log(k->local->node, KP_LOG_ERROR, "kinesis.write-failed",
                "shard=%s error=\"%s\" cut=%d", w->log->path, strerror(w->error), w->is_cut);
    w->log->has_complained = true;
    kp->count(k->local->node, "kinesis_write_failures", 1);
    for (struct kinesis_put *put = k->committing; put; put = put->next)
        for (size_t i = 0; i < put->n; i++)
            if (&put->entries[i].shard->log == w->log && put->entries[i].state == PUT_OK)
                put->entries[i].state = PUT_FAILED;
}

static void write_worked(struct kinesis *k, struct log_write *w)
{
    if (w->log->has_complained)
        kp->log(k->local->node, KP_LOG_INFO, "kinesis.write-recovered", "shard=%s", w->log->path);
    w->log->has_complained = false;
    if (k->on_readable)
        k->on_readable(k, shard_of(w->log));
}

static void write_end(struct kinesis *k, struct log_write *w)
{
    if (log_write_end(w))
        write_worked(k, w);
    else
        write_failed(k, w);
}

static void commit_end(struct kinesis *k)
{
    struct kinesis_put *put, *next;

    for (size_t i = 0; i < k->n_writes; i++)
        write_end(k, &k->writes[i]);
    k->n_writes = 0;
    k->is_committing = false;
    put = k->committing;
    k->committing = NULL;
    for (; put; put = next) {
        next = put->next;
        put_answer(k, put);
    }
}

static void commit_after(kp_node *node, void *arg)
{
    struct kinesis_commit *commit = arg;
    struct kinesis *k = commit->k;

    (void)node;
    if (!k) {
        commit_free(commit);
        return;
    }
    commit_end(k);
    if (k->waiting)
        commit_begin(k);
}

/* Takes a shard's pending records into the write; without memory for that, writes them here. */
static void commit_take(struct kinesis *k, struct kinesis_shard *shard, int64_t now_ms)
{
    struct log_write w;

    if (!log_write_begin(&shard->log, now_ms, &w) || add_write(k, &w))
        return;
    log_write_run(&w, 1);
    write_end(k, &w);
}

static void commit_put(struct kinesis *k, struct kinesis_put *put, int64_t now_ms)
{
    for (size_t i = 0; i < put->n; i++) {
        struct put_entry *e = &put->entries[i];

        if (e->state != PUT_OK)
            continue;
        if (put->stream->is_deleted) /* its folder may be another stream's by now */
            e->state = PUT_FAILED;
        else if (e->shard->log.pending.len)
            commit_take(k, e->shard, now_ms);
    }
}

static void commit_begin(struct kinesis *k)
{
    int64_t now_ms = local_now_ms(k->local);

    k->is_committing = true;
    k->committing = k->waiting; /* moved */
    k->waiting = NULL;
    k->waiting_end = &k->waiting;
    for (struct kinesis_put *put = k->committing; put; put = put->next)
        commit_put(k, put, now_ms);
    if (k->local->durability == LOCAL_FSYNC) {
        kp->count(k->local->node, "kinesis_commits", 1);
        k->commit->is_running = true;
        kp->work(k->local->node, commit_run, commit_after, k->commit);
    } else {
        commit_run(k->commit);
        commit_end(k);
    }
}

void kinesis_flush(struct kinesis *k, struct kinesis_shard *shard)
{
    struct log_write w;

    if (k->local->durability != LOCAL_MEMORY ||
        !log_write_begin(&shard->log, local_now_ms(k->local), &w))
        return;
    log_write_run(&w, 1);
    write_end(k, &w);
}

static void flush_all(kp_node *node, void *arg)
{
    struct kinesis *k = arg;

    (void)node;
    for (size_t i = 0; i < k->n_streams; i++)
        for (size_t s = 0; s < k->streams[i]->n_open; s++)
            kinesis_flush(k, k->streams[i]->open[s]);
}

/* [consumes put] Answers when its records are as durable as configured. */
static void put_commit(struct kinesis *k, struct kinesis_put *put)
{
    kinesis_busy(k);
    if (k->local->durability == LOCAL_MEMORY) {
        for (size_t i = 0; i < put->n; i++)
            if (put->entries[i].shard->log.pending.len >= FLUSH_BYTES ||
                put->entries[i].shard->fans)
                kinesis_flush(k, put->entries[i].shard);
        if (!k->local->timer_ext->active(k->flush_timer))
            k->local->timer_ext->start(k->flush_timer, FLUSH_MS, 0);
        put_answer(k, put);
        return;
    }
    *k->waiting_end = put;
    k->waiting_end = &put->next;
    if (!k->is_committing)
        commit_begin(k);
}

/* ---- limits */

bool kinesis_bucket_take(struct kinesis_bucket *bucket, int64_t now_ms, double rate, double cost)
{
    if (!bucket->is_set || bucket->at_ms > now_ms)
        *bucket = (struct kinesis_bucket){bucket->is_set ? bucket->level : rate, now_ms, true};
    bucket->level += rate * (double)(now_ms - bucket->at_ms) / 1000;
    bucket->at_ms = now_ms;
    if (bucket->level > rate)
        bucket->level = rate;
    if (bucket->level + 1e-6 < (cost < rate ? cost : rate))
        return false;
    bucket->level -= cost;
    return true;
}

static bool has_capacity(struct kinesis_call *call, struct kinesis_shard *shard, size_t bytes)
{
    if (call->k->local->no_limits)
        return true;
    if (!kinesis_bucket_take(&shard->put_records, call->now_ms, 1000, 1))
        return false;
    if (kinesis_bucket_take(&shard->put_bytes, call->now_ms, 1 << 20, (double)bytes))
        return true;
    shard->put_records.level += 1;
    return false;
}

/* ---- putting */

static bool hash_of(struct kpw_slice key, const struct check_value *explicit_hash, kpw_u128 *ret)
{
    uint8_t md5[KPW_MD5_SIZE];

    if (explicit_hash->is_given)
        return kpw_u128_parse(explicit_hash->text, ret);
    kpw_md5(key.ptr, key.len, md5);
    *ret = kpw_u128_from_bytes(md5);
    return true;
}

static uint16_t record_flags(const struct kinesis_stream *stream, struct kpw_slice key)
{
    uint16_t kms = stream->life.key_id ? SEGMENT_KMS : 0;

    for (size_t i = 0; i < key.len; i++)
        if ((unsigned char)key.ptr[i] < 0x20 || key.ptr[i] == '"' || key.ptr[i] == '\\')
            return kms | SEGMENT_KEY_ESCAPED;
    return kms;
}

static void begin_block(struct kinesis_call *call, struct kinesis_shard *shard)
{
    log_room(&shard->log);
    shard->has_block = true;
    shard->mark = shard->log.pending.len;
    shard->arrival_ms = log_arrival(&shard->log, call->now_ms);
    segment_block_begin(&shard->block, &shard->log.pending);
}

static void end_block(struct kinesis_shard *shard)
{
    if (shard->block.count)
        log_put(&shard->log, &shard->block, shard->arrival_ms);
    else
        shard->log.pending.len = shard->block.start;
}

/* Where CBOR has the bytes themselves. */
static bool decode(bool is_cbor, struct kpw_slice data, char *to, size_t *ret_len)
{
    if (!is_cbor)
        return kpw_base64_decode(data.ptr, data.len, to, ret_len);
    if (data.len)
        memcpy(to, data.ptr, data.len);
    *ret_len = data.len;
    return true;
}

/* Decodes the data into the shard's block. False: not base64, or out of memory. */
static bool store(struct kinesis_call *call, const struct check_record *r, struct put_entry *e)
{
    struct kinesis_shard *shard = e->shard;
    struct kpw_slice key = r->key.text, data = r->data.text;
    bool is_cbor = call->check->is_cbor;
    size_t room = is_cbor ? data.len : kpw_base64_decoded_max(data.len), len = 0;
    char *to;

    if (!shard->has_block) {
        begin_block(call, shard);
    } else if (shard->log.pending.len - shard->block.start + room > BLOCK_MAX) {
        end_block(shard);
        segment_block_begin(&shard->block, &shard->log.pending);
    }
    to = segment_record_add(&shard->block, key, record_flags(shard->stream, key), room);
    if (!to || !decode(is_cbor, data, to, &len))
        return false;
    segment_record_end(&shard->block, len);
    e->index = shard->log.next_index + shard->block.count - 1;
    e->arrival_ms = shard->arrival_ms;
    return true;
}

/* Ends the blocks of all shards of the request, or takes everything back. */
static void finish_blocks(struct kinesis_put *put, bool keep)
{
    for (size_t i = 0; i < put->n; i++) {
        struct kinesis_shard *shard = put->entries[i].shard;

        if (!shard || !shard->has_block)
            continue;
        shard->has_block = false;
        if (keep) {
            end_block(shard);
        } else {
            shard->log.pending.len = shard->mark;
            shard->log.pending.failed = false;
        }
    }
}

/* The size of a record against the limit of its stream. */
static bool check_size(struct kinesis_call *call, const struct kinesis_put *put,
                       const struct check_record *r, size_t i, size_t *total)
{
    size_t n = check_blob_len(call->check, &r->data) + r->key.text.len;
    char path[60] = "data";

    *total += n;
    if (n <= (size_t)put->stream->max_record_kib * 1024)
        return true;
    if (!put->is_single)
        snprintf(path, sizeof path, "records.%zu.member.data", i + 1);
    return kinesis_fail(call, "ValidationException",
                        "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 "
                        "lim=%zu cap=%zu]' at '%s' failed to satisfy constraint: Member must have "
                        "length less than or equal to %lld",
                        n - r->key.text.len, n - r->key.text.len, path,
                        (long long)put->stream->max_record_kib * 1024);
}

/* A fault's shard: the open one behind a record's own. */
static struct kinesis_shard *wrong_shard(const struct kinesis_stream *stream,
                                         const struct kinesis_shard *shard)
{
    size_t i = 0;

    while (stream->open[i] != shard)
        i++;
    return stream->open[(i + 1) % stream->n_open];
}

/* Finds the shard of every record. False: answered. */
static bool route(struct kinesis_call *call, struct kinesis_put *put,
                  const struct check_record *records)
{
    bool is_wrong = local_fault_wrong_shard(call->k->local, call->x);
    size_t total = 0;
    kpw_u128 hash;

    for (size_t i = 0; i < put->n; i++) {
        if (!hash_of(records[i].key.text, &records[i].hash, &hash))
            return kinesis_fail(call, "InvalidArgumentException",
                                "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: "
                                "[0, 2^128-1]. Specified value was %.*s",
                                (int)records[i].hash.text.len, records[i].hash.text.ptr);
        put->entries[i].shard = kinesis_shard_of(put->stream, hash);
        if (is_wrong)
            put->entries[i].shard = wrong_shard(put->stream, put->entries[i].shard);
        if (!check_size(call, put, &records[i], i, &total))
            return false;
    }
    if (total > KINESIS_PUT_BYTES && !put->is_single)
        return kinesis_fail(call, "InvalidArgumentException", "Records size exceeds 10 MB limit");
    return true;
}

/* False: answered; nothing is kept. */
static bool store_all(struct kinesis_call *call, struct kinesis_put *put,
                      const struct check_record *records)
{
    struct kpw_buf *error = &call->check->error;

    for (size_t i = 0; i < put->n; i++) {
        const struct check_record *r = &records[i];
        struct put_entry *e = &put->entries[i];
        size_t bytes = check_blob_len(call->check, &r->data) + r->key.text.len;

        if (local_fault_entry(call->k->local, call->x)) {
            e->state = PUT_FAILED;
            continue;
        }
        if (!has_capacity(call, e->shard, bytes)) {
            e->state = PUT_THROTTLED;
            continue;
        }
        if (store(call, r, e))
            continue;
        finish_blocks(put, false);
        if (call->check->is_cbor || check_blob(r->data.text, error))
            return kinesis_trouble(call, "out of memory");
        return kinesis_fail(call, "SerializationException", "%s",
                            kpw_buf_cstr(error) ? error->ptr : "");
    }
    finish_blocks(put, true);
    return true;
}

static void put_all(struct kinesis_call *call, struct kinesis_stream *stream,
                    const struct check_record *records, size_t n, bool is_single)
{
    struct kinesis_put *put = calloc(1, sizeof *put + n * sizeof *put->entries);

    if (!put) {
        kinesis_trouble(call, "out of memory");
        return;
    }
    put->x = call->x;
    put->stream = stream;
    put->is_single = is_single;
    put->is_cbor = call->is_cbor;
    put->has_origin = call->has_origin;
    put->n = n;
    if (!route(call, put, records) || !store_all(call, put, records)) {
        free(put);
        return;
    }
    stream->refs++;
    put_commit(call->k, put);
}

void kinesis_put_records(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find_live(call);

    if (stream)
        put_all(call, stream, call->check->records, call->check->n_records, false);
}

/* SequenceNumberForOrdering is a lower bound that time always fulfils; it must only make sense. */
static bool check_ordering(struct kinesis_call *call, const struct kinesis_stream *stream)
{
    const struct check_value *v = check_get(call->check, "SequenceNumberForOrdering");
    struct kinesis_seq seq;
    enum kinesis_seq_kind kind;

    if (!v->is_given)
        return true;
    kind = kinesis_seq_parse(v->text, &seq);
    if (kind == KINESIS_SEQ_OLD || (kind == KINESIS_SEQ_OK && seq.index != KINESIS_SEQ_END &&
                                    (int64_t)seq.time_s <= call->now_ms / 1000 + 1))
        return true;
    return kinesis_fail(call, "InvalidArgumentException",
                        "ExclusiveMinimumSequenceNumber %.*s used in PutRecord on stream %s under "
                        "account %s is invalid.",
                        (int)v->text.len, v->text.ptr, stream->name, call->k->local->account);
}

void kinesis_put_record(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find_live(call);
    struct check_record record;

    if (!stream)
        return;
    record.key = *check_get(call->check, "PartitionKey");
    record.hash = *check_get(call->check, "ExplicitHashKey");
    record.data = *check_get(call->check, "Data");
    if (check_ordering(call, stream))
        put_all(call, stream, &record, 1, true);
}

bool kinesis_put_open(struct kinesis *k)
{
    k->waiting_end = &k->waiting;
    k->flush_timer = k->local->timer_ext->create(k->local->node, flush_all, k);
    k->commit = calloc(1, sizeof *k->commit);
    if (!k->commit)
        return false;
    pthread_mutex_init(&k->commit->lock, NULL);
    pthread_cond_init(&k->commit->ended, NULL);
    k->commit->k = k;
    return k->flush_timer != NULL;
}

static void drop_puts(struct kinesis_put *put)
{
    struct kinesis_put *next;

    for (; put; put = next) {
        next = put->next;
        kinesis_stream_unref(put->stream);
        free(put);
    }
}

/* The pool may be writing: waits for it. What it wrote stays, though nobody hears of it. */
static void commit_close(struct kinesis *k)
{
    struct kinesis_commit *commit = k->commit;

    if (!commit)
        return;
    pthread_mutex_lock(&commit->lock);
    while (commit->is_running)
        pthread_cond_wait(&commit->ended, &commit->lock);
    pthread_mutex_unlock(&commit->lock);
    if (k->is_committing)
        commit->k = NULL; /* commit_after() frees */
    else
        commit_free(commit);
    k->commit = NULL;
}

void kinesis_put_close(struct kinesis *k)
{
    commit_close(k);
    flush_all(k->local->node, k);
    drop_puts(k->committing);
    drop_puts(k->waiting);
    k->committing = k->waiting = NULL;
    free(k->writes);
    k->local->timer_ext->destroy(k->flush_timer);
}
