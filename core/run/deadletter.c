/* deadletter.c - see deadletter.h. The failure and the envelope live in the batch's own memory. */
#include "core/run/deadletter.h"

#include <string.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/run/flow.h"
#include "core/run/hop.h"
#include "core/run/node.h"
#include "sdk/wire/base64.h"
#include "sdk/wire/json.h"
#include "sdk/wire/time.h"
#include "sdk/wire/utf8.h"

static kp_slice slice_of(const char *text)
{
    return (kp_slice){text ? text : "", text ? strlen(text) : 0};
}

/* What is known about the failure; slices are still those of others. */
static kp_failure describe(kp_node *node, const kp_batch *b, const struct deadletter *letter)
{
    kp_failure failure = letter->failure ? *letter->failure : (kp_failure){0};

    failure.size = sizeof failure;
    if (!failure.attempts)
        failure.attempts = letter->attempts;
    if (!failure.stage.len)
        failure.stage = slice_of(node->info.stage);
    if (!failure.condition.len)
        failure.condition = slice_of(letter->condition);
    if (!failure.reason.len)
        failure.reason = slice_of(letter->reason);
    if (!failure.lane.len)
        failure.lane = b->lane_name;
    return failure;
}

static void copy_in(kp_batch *to, kp_slice *slice)
{
    char *copy = batch_alloc(to, slice->len + 1);

    if (!copy)
        bug("out of memory for a dead letter");
    if (slice->len)
        memcpy(copy, slice->ptr, slice->len);
    copy[slice->len] = '\0';
    slice->ptr = copy;
}

static void keep_failure(kp_batch *to, uint32_t i, const kp_failure *failure)
{
    kp_failure *copy = (kp_failure *)(void *)batch_alloc(to, sizeof *copy);

    if (!copy)
        bug("out of memory for a dead letter");
    *copy = *failure;
    copy_in(to, &copy->stage);
    copy_in(to, &copy->condition);
    copy_in(to, &copy->reason);
    copy_in(to, &copy->detail);
    copy_in(to, &copy->lane);
    copy_in(to, &copy->stream);
    batch_of(to)->records[i].failure = copy;
}

static void put_slice(struct kpw_buf *out, const char *name, kp_slice slice)
{
    if (slice.len)
        kpw_json_put_member(out, name, slice.ptr, slice.len);
}

static void put_payload(struct kpw_buf *out, const kp_record *record)
{
    if (kpw_utf8_valid(record->data, record->data_len)) {
        kpw_json_put_member(out, "data", record->data, record->data_len);
        return;
    }
    kpw_json_put_key(out, "data_base64");
    kpw_buf_putc(out, '"');
    kpw_base64_put(out, record->data, record->data_len);
    kpw_buf_putc(out, '"');
}

/* The record's payload becomes the envelope. */
static void wrap(kp_node *node, kp_batch *b, uint32_t i, const kp_failure *failure)
{
    kp_record *record = &batch_of(b)->records[i];
    struct kpw_buf out = KPW_BUF_INIT;
    char time[KPW_ISO8601_SIZE];

    kpw_buf_putc(&out, '{');
    kpw_json_put_member_cstr(&out, "pipeline", node->info.pipeline);
    kpw_json_put_member_cstr(&out, "flow", node->info.flow);
    put_slice(&out, "stage", failure->stage);
    put_slice(&out, "condition", failure->condition);
    put_slice(&out, "reason", failure->reason);
    kpw_json_put_member_int(&out, "attempts", failure->attempts);
    kpw_iso8601_format(clock_wall_ms(), time);
    kpw_json_put_member_cstr(&out, "failed_at", time);
    put_slice(&out, "lane", failure->lane);
    put_slice(&out, "stream", failure->stream);
    put_slice(&out, "sequence", (kp_slice){record->sequence, record->sequence_len});
    if (record->sub_sequence)
        kpw_json_put_member_int(&out, "sub_sequence", (int64_t)record->sub_sequence);
    if (record->arrival_ms)
        kpw_json_put_member_int(&out, "arrival_ms", record->arrival_ms);
    put_slice(&out, "key", (kp_slice){record->key, record->key_len});
    if (failure->detail.len && kpw_json_valid(failure->detail.ptr, failure->detail.len)) {
        kpw_json_put_key(&out, "detail");
        kpw_buf_append(&out, failure->detail.ptr, failure->detail.len);
    }
    put_payload(&out, record);
    kpw_buf_putc(&out, '}');
    if (out.failed || !batch_set(b, i, out.ptr, out.len))
        bug("out of memory for a dead letter");
    batch_set_type(b, i, "application/json", KP_PLAIN);
    kpw_buf_fini(&out);
}

/* There is nowhere to put it. */
static void refuse(kp_node *node, kp_batch *b, uint32_t i, const kp_failure *failure)
{
    const struct flow *flow = node->flow;

    if (flow_is_request(flow) && node != flow_failure_node(node->flow)) {
        batch_settle(b, i, END_DEAD_LETTERED, &failure->reason, NULL);
        return;
    }
    if (!node->has_failed) {
        if (node == flow_failure_node(node->flow))
            node_fail(node, "the on_failure sink refused a dead letter: %.*s",
                      (int)failure->reason.len, failure->reason.ptr);
        else
            node_fail(node,
                      "a record was rejected (%.*s) and flow '%s' has no on_failure sink to "
                      "take it; it stays unread",
                      (int)failure->reason.len, failure->reason.ptr, node->info.flow);
    }
    batch_settle(b, i, END_UNSETTLED, &failure->reason, NULL);
}

void deadletter_add(kp_node *node, kp_batch **failed, kp_batch *b, uint32_t i,
                    const struct deadletter *letter)
{
    kp_failure failure = describe(node, b, letter);
    kp_node *to = flow_failure_node(node->flow);

    count_add(&node->counts.dead_lettered, 1);
    if (!to || to == node) {
        refuse(node, b, i, &failure);
        return;
    }
    if (!*failed) {
        *failed = batch_new(node->budget, &node->own, 1);
        log_write(LOG_WARN, node->who, "records.rejected", "attempts=%u reason=\"%.*s\"",
                  failure.attempts, (int)failure.reason.len, failure.reason.ptr);
    }
    if (!failure.batch) /* rejected together: one call, one number */
        failure.batch = (uint64_t)(uintptr_t)*failed;
    if (!batch_move(*failed, b, i))
        bug("out of memory for a dead letter");
    i = (*failed)->count - 1;
    if (to->element->flags & KP_TAKES_FAILURES)
        keep_failure(*failed, i, &failure);
    else
        wrap(node, *failed, i, &failure);
}

void deadletter_send(kp_node *node, kp_batch *failed)
{
    hop_put(node, node->flow->n_nodes, failed);
}
