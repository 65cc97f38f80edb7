/* records.c - see records.h. The constant parts of a record are copied in one piece each. */
#include "plugins/local-aws/kinesis/records.h"

#include "sdk/wire/base64.h"
#include "sdk/wire/cbor.h"

#define PART_SEQUENCE "{\"SequenceNumber\":\""
#define PART_TIME     "\",\"ApproximateArrivalTimestamp\":"
#define PART_DATA     ",\"Data\":\""
#define PART_KEY      "\",\"PartitionKey\":\""
#define PART_END      "\"},"
#define PART_END_KMS  "\",\"EncryptionType\":\"KMS\"},"

/* Texts with their heads: 0x60 + length, or 0x78 and the length. */
#define CBOR_SEQUENCE "\xbf\x6eSequenceNumber\x78\x38"
#define CBOR_TIME \
    "\x78\x1b"    \
    "ApproximateArrivalTimestamp\xc1"
#define CBOR_DATA \
    "\x64"        \
    "Data"
#define CBOR_KEY "\x6cPartitionKey"
#define CBOR_END "\xff"
#define CBOR_KMS     \
    "\x6e"           \
    "EncryptionType" \
    "\x63"           \
    "KMS"

_Static_assert(KINESIS_SEQ_LEN == 0x38, "CBOR_SEQUENCE has the length in it");

enum {
    JSON_FRAME = sizeof PART_SEQUENCE + sizeof PART_TIME + sizeof PART_DATA + sizeof PART_KEY +
                 sizeof PART_END_KMS + KINESIS_SEQ_LEN + 32,
    CBOR_FRAME = sizeof CBOR_SEQUENCE + sizeof CBOR_TIME + sizeof CBOR_DATA + sizeof CBOR_KEY +
                 sizeof CBOR_KMS + sizeof CBOR_END + KINESIS_SEQ_LEN + 3 * KPW_CBOR_HEAD_MAX,
};

#define COPY(to, text) ((char *)memcpy(to, text, sizeof(text) - 1) + sizeof(text) - 1)

static struct segment_record record_of(const struct kinesis *k, const struct kinesis_got *got)
{
    struct segment_record record = {0};

    segment_record_read(kpw_slice(k->raw.ptr + got->at, k->raw.len - got->at), &record);
    return record;
}

size_t records_size(const struct kinesis_fetch *f, bool is_cbor)
{
    size_t size = 0;

    for (size_t i = 0; i < f->n; i++) {
        struct segment_record r = record_of(f->k, &f->k->got[i]);

        if (is_cbor)
            size += CBOR_FRAME + r.data.len + r.key.len;
        else
            size += JSON_FRAME + kpw_base64_encoded_len(r.data.len) +
                    (r.flags & SEGMENT_KEY_ESCAPED ? r.key.len * 6 : r.key.len);
    }
    return size;
}

static char *put_slice(char *to, struct kpw_slice s)
{
    if (s.len)
        memcpy(to, s.ptr, s.len);
    return to + s.len;
}

static char *put_key(char *to, const struct segment_record *r)
{
    struct kpw_buf text = KPW_BUF_INIT;

    if (!(r->flags & SEGMENT_KEY_ESCAPED))
        return put_slice(to, r->key);
    kpw_json_put_string(&text, r->key.ptr, r->key.len);
    if (!text.failed && text.len >= 2)
        to = put_slice(to, kpw_slice(text.ptr + 1, text.len - 2));
    kpw_buf_fini(&text);
    return to;
}

/* 1700000000.123 */
static char *put_time(char *to, int64_t ms)
{
    char digits[24];
    size_t n = 0;
    uint64_t s = (uint64_t)ms / 1000;
    unsigned rest = (unsigned)(ms % 1000);

    do
        digits[n++] = (char)('0' + s % 10);
    while (s /= 10);
    while (n)
        *to++ = digits[--n];
    *to++ = '.';
    *to++ = (char)('0' + rest / 100);
    *to++ = (char)('0' + rest / 10 % 10);
    *to++ = (char)('0' + rest % 10);
    return to;
}

static char *put_json(struct kinesis_seq_writer *writer, const struct kinesis_seq *seq,
                      const struct segment_record *r, int64_t arrival_ms, char *to)
{
    to = COPY(to, PART_SEQUENCE);
    kinesis_seq_write(writer, seq, to);
    to = COPY(to + KINESIS_SEQ_LEN, PART_TIME);
    to = put_time(to, arrival_ms);
    to = COPY(to, PART_DATA);
    to += kpw_base64_encode(r->data.ptr, r->data.len, to);
    to = COPY(to, PART_KEY);
    to = put_key(to, r);
    return r->flags & SEGMENT_KMS ? COPY(to, PART_END_KMS) : COPY(to, PART_END);
}

static char *put_cbor(struct kinesis_seq_writer *writer, const struct kinesis_seq *seq,
                      const struct segment_record *r, int64_t arrival_ms, char *to)
{
    to = COPY(to, CBOR_SEQUENCE);
    kinesis_seq_write(writer, seq, to);
    to = COPY(to + KINESIS_SEQ_LEN, CBOR_TIME);
    to += kpw_cbor_head(to, KPW_CBOR_MAJOR_UINT, (uint64_t)arrival_ms);
    to = COPY(to, CBOR_DATA);
    to += kpw_cbor_head(to, KPW_CBOR_MAJOR_BYTES, r->data.len);
    to = put_slice(to, r->data);
    to = COPY(to, CBOR_KEY);
    to += kpw_cbor_head(to, KPW_CBOR_MAJOR_TEXT, r->key.len);
    to = put_slice(to, r->key);
    if (r->flags & SEGMENT_KMS)
        to = COPY(to, CBOR_KMS);
    return COPY(to, CBOR_END);
}

char *records_put(const struct kinesis_fetch *f, bool is_cbor, char *to)
{
    struct kinesis_seq_writer writer = {0};

    for (size_t i = 0; i < f->n; i++) {
        const struct kinesis_got *got = &f->k->got[i];
        struct segment_record r = record_of(f->k, got);
        struct kinesis_seq seq = {.created_s = f->shard->created_s,
                                  .index = got->index,
                                  .time_s = (uint64_t)got->arrival_ms / 1000,
                                  .shard = f->shard->number};

        to = is_cbor ? put_cbor(&writer, &seq, &r, got->arrival_ms, to)
                     : put_json(&writer, &seq, &r, got->arrival_ms, to);
    }
    return f->n && !is_cbor ? to - 1 : to; /* without the last comma */
}

void records_write(const struct kinesis_fetch *f, struct write *w)
{
    char *to;

    write_key(w, "Records");
    write_list(w);
    to = kpw_buf_reserve(w->out, records_size(f, w->is_cbor));
    if (to)
        w->out->len += (size_t)(records_put(f, w->is_cbor, to) - to);
    write_list_end(w);
}

/* ---- the end of a shard */

static bool is_child(const struct kinesis_shard *child, const struct kinesis_shard *of)
{
    return child && (child->parent == of->number || child->adjacent == of->number);
}

static void write_shard_id(struct write *w, uint32_t number)
{
    char id[KINESIS_SHARD_ID];

    kinesis_shard_id(number, id);
    write_string(w, id, KINESIS_SHARD_ID - 1);
}

void records_write_children(const struct kinesis_shard *shard, struct write *w)
{
    const struct kinesis_stream *stream = shard->stream;

    write_key(w, "ChildShards");
    write_list(w);
    for (size_t i = 0; i < stream->n_shards; i++) {
        const struct kinesis_shard *child = stream->shards[i];

        if (!is_child(child, shard))
            continue;
        write_object(w);
        write_key(w, "ShardId");
        write_shard_id(w, child->number);
        write_key(w, "ParentShards");
        write_list(w);
        write_shard_id(w, (uint32_t)child->parent);
        if (child->adjacent >= 0)
            write_shard_id(w, (uint32_t)child->adjacent);
        write_list_end(w);
        kinesis_write_range(child, w);
        write_object_end(w);
    }
    write_list_end(w);
}
