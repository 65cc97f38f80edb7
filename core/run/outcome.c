/* outcome.c - the outcome marks of batch.h.
 *
 * The outcome itself is a byte in the record; what else is said about it lies in
 * a parallel table that only exists once somebody says more.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/run/batch.h"

#define REASON_MAX 1000 /* bytes of a reason that are kept */

static bool set_outcome(kp_batch *b, uint32_t i, kp_outcome outcome)
{
    struct batch *batch = batch_of(b);
    kp_record *record = &batch->records[i];

    if (i >= b->count)
        bug("outcome for record %u of %u", i, b->count);
    if (record->outcome == OUTCOME_GONE)
        return false;
    batch->n_marked += record->outcome == KP_NONE;
    record->outcome = (uint8_t)outcome;
    return true;
}

static struct mark *mark_for(kp_batch *b, uint32_t i)
{
    struct batch *batch = batch_of(b);

    if (!batch->marks)
        batch->marks = mem_new(batch->cap * sizeof *batch->marks);
    return &batch->marks[i];
}

const struct mark *batch_mark(const kp_batch *b, uint32_t i)
{
    const struct batch *batch = (const struct batch *)(const void *)b;

    return batch->marks ? &batch->marks[i] : NULL;
}

void batch_clear_mark(kp_batch *b, uint32_t i)
{
    struct batch *batch = batch_of(b);

    if (batch->records[i].outcome == KP_NONE || batch->records[i].outcome == OUTCOME_GONE)
        return;
    batch->records[i].outcome = KP_NONE;
    batch->n_marked--;
}

static void put_slice(kp_slice *slice, char **at)
{
    if (slice->len)
        memcpy(*at, slice->ptr, slice->len);
    slice->ptr = *at;
    *at += slice->len;
}

kp_receipt *receipt_copy(const kp_receipt *receipt)
{
    kp_receipt *copy = mem_new(sizeof *copy + receipt->shard.len + receipt->sequence.len +
                               receipt->body.len + receipt->body_type.len);
    char *at = (char *)(copy + 1);

    *copy = *receipt;
    put_slice(&copy->shard, &at);
    put_slice(&copy->sequence, &at);
    put_slice(&copy->body, &at);
    put_slice(&copy->body_type, &at);
    return copy;
}

void batch_deliver(kp_batch *b, uint32_t i, const kp_receipt *receipt)
{
    const struct origin *origin;
    struct mark *mark;

    if (!set_outcome(b, i, KP_DELIVERED) || !receipt)
        return;
    origin = batch_of(b)->records[i].ticket[0];
    if (!origin || origin->ignores_receipts)
        return;
    mark = mark_for(b, i);
    free(mark->receipt);
    mark->receipt = receipt_copy(receipt);
}

void batch_deliver_all(kp_batch *b)
{
    struct batch *batch = batch_of(b);

    for (uint32_t i = 0; i < b->count; i++) {
        if (batch->records[i].outcome == KP_NONE) {
            batch->records[i].outcome = KP_DELIVERED;
            batch->n_marked++;
        }
    }
}

void batch_filter(kp_batch *b, uint32_t i)
{
    set_outcome(b, i, KP_FILTERED);
}

static void set_reason(struct mark *mark, const char *fmt, va_list args)
{
    char text[REASON_MAX];

    vsnprintf(text, sizeof text, fmt, args);
    free(mark->reason);
    mark->reason = mem_dup(text);
}

void batch_reject(kp_batch *b, uint32_t i, const char *fmt, ...)
{
    va_list args;

    if (!set_outcome(b, i, KP_REJECTED))
        return;
    va_start(args, fmt);
    set_reason(mark_for(b, i), fmt, args);
    va_end(args);
}

void batch_retry(kp_batch *b, uint32_t i, int64_t after_ms, const char *fmt, ...)
{
    struct mark *mark;
    va_list args;

    if (!set_outcome(b, i, KP_RETRY))
        return;
    mark = mark_for(b, i);
    mark->after_ms = after_ms;
    va_start(args, fmt);
    set_reason(mark, fmt, args);
    va_end(args);
}

void batch_reject_with(kp_batch *b, uint32_t i, const kp_failure *failure)
{
    struct mark *mark;
    kp_failure *copy;
    char *at;

    if (!set_outcome(b, i, KP_REJECTED))
        return;
    mark = mark_for(b, i);
    copy =
        mem_new(sizeof *copy + failure->stage.len + failure->condition.len + failure->reason.len +
                failure->detail.len + failure->lane.len + failure->stream.len);
    *copy = *failure;
    at = (char *)(copy + 1);
    put_slice(&copy->stage, &at);
    put_slice(&copy->condition, &at);
    put_slice(&copy->reason, &at);
    put_slice(&copy->detail, &at);
    put_slice(&copy->lane, &at);
    put_slice(&copy->stream, &at);
    free(mark->failure);
    free(mark->reason);
    mark->failure = copy;
    mark->reason = mem_dupn(copy->reason.ptr, copy->reason.len);
}
