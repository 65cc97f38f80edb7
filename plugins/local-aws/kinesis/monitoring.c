/* monitoring.c - enhanced monitoring: which metrics of shards are wanted. */
#include <string.h>

#include "plugins/local-aws/kinesis/kinesis.h"

static const char *const names[] = {"IncomingBytes",
                                    "IncomingRecords",
                                    "OutgoingBytes",
                                    "OutgoingRecords",
                                    "WriteProvisionedThroughputExceeded",
                                    "ReadProvisionedThroughputExceeded",
                                    "IteratorAgeMilliseconds"};

enum { N_METRICS = sizeof names / sizeof *names, ALL_METRICS = (1 << N_METRICS) - 1 };

void kinesis_write_metrics(struct write *w, const char *member, uint32_t metrics)
{
    write_key(w, member);
    write_list(w);
    for (size_t i = 0; i < N_METRICS; i++)
        if (metrics & 1u << i)
            write_string(w, names[i], strlen(names[i]));
    write_list_end(w);
}

/* The bits of the member ShardLevelMetrics. */
static uint32_t wanted(const struct check *check)
{
    const struct check_value *v = check_get(check, "ShardLevelMetrics");
    uint32_t metrics = 0;

    for (size_t i = 0; i < v->count; i++) {
        struct kpw_slice name = check->items[v->first + i];

        if (kpw_slice_is(name, "ALL"))
            metrics |= ALL_METRICS;
        for (size_t m = 0; m < N_METRICS; m++)
            if (kpw_slice_is(name, names[m]))
                metrics |= 1u << m;
    }
    return metrics;
}

static void answer(struct kinesis_call *call, const struct kinesis_stream *stream, uint32_t before)
{
    struct write *w = kinesis_write(call);

    write_object(w);
    write_member(w, "StreamName", stream->name);
    kinesis_write_metrics(w, "CurrentShardLevelMetrics", before);
    kinesis_write_metrics(w, "DesiredShardLevelMetrics", stream->life.metrics);
    kinesis_write_arn(call->k, stream, w);
    write_object_end(w);
    kinesis_answer(call);
}

static void change(struct kinesis_call *call, bool on)
{
    struct kinesis_stream *stream = kinesis_find_active(call);
    uint32_t before, bits = wanted(call->check);

    if (!stream)
        return;
    before = stream->life.metrics;
    stream->life.metrics = on ? before | bits : before & ~bits;
    kinesis_updating(call, stream);
    if (kinesis_life_write(call->k, stream)) {
        answer(call, stream, before);
        return;
    }
    stream->life.metrics = before;
    kinesis_trouble(call, "state.db cannot be written");
}

void kinesis_enable_monitoring(struct kinesis_call *call)
{
    change(call, true);
}

void kinesis_disable_monitoring(struct kinesis_call *call)
{
    change(call, false);
}
