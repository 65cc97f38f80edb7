/* split.c - SplitShard, MergeShards, UpdateShardCount. The shards are changed when they answer. */
#include <stdio.h>

#include "plugins/local-aws/kinesis/kinesis.h"

enum { SHARDS_MAX = 10000, SCALINGS_MAX = 10 /* in a rolling day */ };

/* The stream when it is ACTIVE and the members are ids of shards, which is looked at first.
 * NULL: answered. */
static struct kinesis_stream *find_stream(struct kinesis_call *call, const char *const members[],
                                          size_t n)
{
    struct kpw_slice name;
    uint32_t number;

    if (!kinesis_name(call, &name))
        return NULL;
    for (size_t i = 0; i < n; i++) {
        struct kpw_slice text = check_get(call->check, members[i])->text;

        if (kinesis_shard_parse(text, &number))
            continue;
        kinesis_fail(call, "ResourceNotFoundException",
                     "Could not find shard %.*s in stream %.*s under account %s.", (int)text.len,
                     text.ptr, (int)name.len, name.ptr, call->k->local->account);
        return NULL;
    }
    return kinesis_find_active(call);
}

/* The shard a member names; NULL: answered. */
static struct kinesis_shard *find_shard(struct kinesis_call *call, struct kinesis_stream *stream,
                                        const char *member)
{
    struct kpw_slice text = check_get(call->check, member)->text;
    struct kinesis_shard *shard = NULL;
    char id[KINESIS_SHARD_ID];
    uint32_t number;

    if (kinesis_shard_parse(text, &number)) {
        shard = kinesis_shard_numbered(stream, number);
        kinesis_shard_id(number, id);
        text = kpw_slice_cstr(id);
    }
    if (!shard) {
        kinesis_fail(call, "ResourceNotFoundException",
                     "Could not find shard %.*s in stream %s under account %s.", (int)text.len,
                     text.ptr, stream->name, call->k->local->account);
        return NULL;
    }
    if (!shard->closed_s)
        return shard;
    kinesis_fail(call, "ResourceInUseException",
                 "Shard %s in stream %s under account %s is not open.", id, stream->name,
                 call->k->local->account);
    return NULL;
}

static bool is_provisioned(struct kinesis_call *call, const struct kinesis_stream *stream)
{
    return !stream->on_demand || kinesis_fail(call, "ValidationException",
                                              "Stream %s under account %s is in ON_DEMAND mode.",
                                              stream->name, call->k->local->account);
}

/* A put under way may still end in a shard that closes: readers see the end after it. */
static void do_reshard(struct kinesis_call *call, struct kinesis_reshard *reshard)
{
    for (size_t i = 0; i < reshard->n_from; i++)
        kinesis_flush(call->k, reshard->from[i]);
    if (!kinesis_reshard(call->k, reshard, call->now_ms)) {
        kinesis_trouble(call, "the shards cannot be changed");
        return;
    }
    kinesis_updating(call, reshard->from[0]->stream);
    kinesis_answer_empty(call);
}

void kinesis_split_shard(struct kinesis_call *call)
{
    struct kinesis_stream *stream = find_stream(call, (const char *const[]){"ShardToSplit"}, 1);
    struct kpw_slice text = check_get(call->check, "NewStartingHashKey")->text;
    struct kinesis_shard *shard;
    char id[KINESIS_SHARD_ID], low[KPW_U128_SIZE], high[KPW_U128_SIZE];
    kpw_u128 key;

    if (!stream || !is_provisioned(call, stream) ||
        !(shard = find_shard(call, stream, "ShardToSplit")) || !kinesis_within_shards(call, 1))
        return;
    if (!kpw_u128_parse(text, &key) || shard->high - shard->low < 2 || key <= shard->low + 1 ||
        key >= shard->high) {
        kinesis_shard_id(shard->number, id);
        kpw_u128_format(shard->low, low);
        kpw_u128_format(shard->high, high);
        kinesis_fail(call, "InvalidArgumentException",
                     "NewStartingHashKey %.*s used in SplitShard() on shard %s in stream %s under "
                     "account %s is not both greater than one plus the shard's StartingHashKey %s "
                     "and less than the shard's EndingHashKey %s.",
                     (int)text.len, text.ptr, id, stream->name, call->k->local->account, low, high);
        return;
    }
    do_reshard(call, &(struct kinesis_reshard){.from = {shard},
                                               .n_from = 1,
                                               .to = {{shard->low, key - 1}, {key, shard->high}},
                                               .n_to = 2});
}

void kinesis_merge_shards(struct kinesis_call *call)
{
    static const char *const ids[] = {"ShardToMerge", "AdjacentShardToMerge"};
    struct kinesis_stream *stream = find_stream(call, ids, 2);
    struct kinesis_shard *a, *b;
    char first[KINESIS_SHARD_ID], second[KINESIS_SHARD_ID];

    if (!stream || !is_provisioned(call, stream) ||
        !(a = find_shard(call, stream, "ShardToMerge")) ||
        !(b = find_shard(call, stream, "AdjacentShardToMerge")))
        return;
    if (a->high == KPW_U128_MAX || a->high + 1 != b->low) {
        kinesis_shard_id(a->number, first);
        kinesis_shard_id(b->number, second);
        kinesis_fail(call, "InvalidArgumentException",
                     "Shards %s and %s in stream %s under account %s are not an adjacent pair of "
                     "shards eligible for merging",
                     first, second, stream->name, call->k->local->account);
        return;
    }
    do_reshard(call, &(struct kinesis_reshard){
                         .from = {a, b}, .n_from = 2, .to = {{a->low, b->high}}, .n_to = 1});
}

/* ---- UpdateShardCount */

/* Start of range i of n equal ones. */
static kpw_u128 boundary(size_t i, size_t n)
{
    kpw_u128 half = (kpw_u128)1 << 127;
    kpw_u128 width = n == 1 ? 0 : (half / n << 1) + (half % n << 1) / n;

    return width * i;
}

static bool step(struct kinesis *k, struct kinesis_reshard reshard, int64_t now_ms)
{
    return kinesis_reshard(k, &reshard, now_ms);
}

/* Splits shards at the boundaries that are missing, then merges away those that are too many. */
static bool resize(struct kinesis *k, struct kinesis_stream *stream, size_t n, int64_t now_ms)
{
    for (size_t i = 1; i < n; i++) {
        kpw_u128 at = boundary(i, n);
        struct kinesis_shard *shard = kinesis_shard_of(stream, at);

        if (shard->low != at && !step(k,
                                      (struct kinesis_reshard){
                                          {shard}, 1, {{shard->low, at - 1}, {at, shard->high}}, 2},
                                      now_ms))
            return false;
    }
    for (size_t i = 0; i < n; i++) {
        kpw_u128 end = i + 1 == n ? KPW_U128_MAX : boundary(i + 1, n) - 1;
        struct kinesis_shard *a;

        while ((a = kinesis_shard_of(stream, boundary(i, n)))->high != end) {
            struct kinesis_shard *b = kinesis_shard_of(stream, a->high + 1);

            if (!step(k, (struct kinesis_reshard){{a, b}, 2, {{a->low, b->high}}, 1}, now_ms))
                return false;
        }
    }
    return true;
}

void kinesis_update_shard_count(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find_active(call);
    size_t target = (size_t)check_get(call->check, "TargetShardCount")->number, n;
    struct write *w;

    if (!stream || !is_provisioned(call, stream))
        return;
    n = stream->n_open;
    if (target > SHARDS_MAX) {
        kinesis_fail(call, "InvalidArgumentException",
                     "UpdateShardCount cannot scale beyond %d shards. Target: %zu.", SHARDS_MAX,
                     target);
        return;
    }
    if (target > 2 * n || target < (n + 1) / 2) {
        kinesis_fail(call, "InvalidArgumentException",
                     "UpdateShardCount cannot scale beyond double or below half of the current "
                     "shard count. Current: %zu. Target: %zu.",
                     n, target);
        return;
    }
    if (!kinesis_may_change(call, stream, KINESIS_SCALED, SCALINGS_MAX) ||
        (target > n && !kinesis_within_shards(call, target - n)))
        return;
    for (size_t i = 0; i < n; i++)
        kinesis_flush(call->k, stream->open[i]);
    if (!resize(call->k, stream, target, call->now_ms)) {
        kinesis_trouble(call, "the shards cannot be changed");
        return;
    }
    kinesis_updating(call, stream);
    kinesis_note_change(call, stream, KINESIS_SCALED);
    w = kinesis_write(call);
    write_object(w);
    write_member(w, "StreamName", stream->name);
    write_member_int(w, "CurrentShardCount", (int64_t)n);
    write_member_int(w, "TargetShardCount", (int64_t)target);
    kinesis_write_arn(call->k, stream, w);
    write_object_end(w);
    kinesis_answer(call);
}
