/* report.c - Kinesis' part of /_kpipe/state. */
#include "plugins/local-aws/kinesis/consumers.h"
#include "plugins/local-aws/kinesis/kinesis.h"
#include "plugins/local-aws/kinesis/life.h"
#include "plugins/local-aws/kinesis/report.h"
#include "sdk/wire/json.h"

/* Records that can still be read: those below `readable` whose segment is there. */
static uint64_t records_of(const struct log *log)
{
    return log->n_segments ? log->readable - log->segments[0].first_index : 0;
}

static uint64_t bytes_of(const struct log *log)
{
    uint64_t n = 0;

    for (size_t i = 0; i < log->n_segments; i++)
        n += log->segments[i].len;
    return n;
}

static void put_shard(const struct kinesis_shard *shard, struct kpw_buf *out)
{
    kpw_buf_puts(out, "{");
    kpw_json_put_key(out, "id");
    kpw_buf_appendf(out, "\"shardId-%012u\"", shard->number);
    kpw_json_put_member_bool(out, "open", shard->closed_s == 0);
    kpw_json_put_member_int(out, "records", (int64_t)records_of(&shard->log));
    kpw_json_put_member_int(out, "bytes", (int64_t)bytes_of(&shard->log));
    kpw_json_put_member_int(out, "segments", (int64_t)shard->log.n_segments);
    kpw_buf_putc(out, '}');
}

static void put_consumers(const struct kinesis_stream *stream, struct kpw_buf *out)
{
    bool is_first = true;

    kpw_json_put_key(out, "consumers");
    kpw_buf_putc(out, '[');
    for (const struct kinesis_consumer *c = stream->consumers; c; c = c->next) {
        if (!is_first)
            kpw_buf_putc(out, ',');
        is_first = false;
        kpw_json_put_cstr(out, c->name);
    }
    kpw_buf_putc(out, ']');
}

static void put_stream(const struct kinesis_stream *stream, struct kpw_buf *out)
{
    uint64_t records = 0;
    bool is_first = true;

    kpw_buf_putc(out, '{');
    kpw_json_put_member_cstr(out, "name", stream->name);
    kpw_json_put_member_int(out, "retention_hours", stream->retention_hours);
    put_consumers(stream, out);
    kpw_json_put_key(out, "shards");
    kpw_buf_putc(out, '[');
    for (size_t i = 0; i < stream->n_shards; i++) {
        if (!stream->shards[i]) /* expired */
            continue;
        if (!is_first)
            kpw_buf_putc(out, ',');
        is_first = false;
        records += records_of(&stream->shards[i]->log);
        put_shard(stream->shards[i], out);
    }
    kpw_buf_putc(out, ']');
    kpw_json_put_member_int(out, "records", (int64_t)records);
    kpw_buf_putc(out, '}');
}

void kinesis_report(struct local *local, struct kpw_buf *out)
{
    const struct kinesis *k = local->state[LOCAL_KINESIS];

    kpw_json_put_member_int(out, "tail_cut_bytes", (int64_t)k->tail_cut_bytes);
    kpw_json_put_key(out, "streams");
    kpw_buf_putc(out, '[');
    for (size_t i = 0; i < k->n_streams; i++) {
        if (i)
            kpw_buf_putc(out, ',');
        put_stream(k->streams[i], out);
    }
    kpw_buf_putc(out, ']');
}
