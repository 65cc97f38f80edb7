/* out.c - what comes out of an element: emitted, done with, or submitted.
 *
 * Records are copied for the test to look at; the batch itself is kept until all
 * of its records are settled, which happens at once unless the test holds them.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "sdk/harness/internal.h"

static void note_failure(struct harness *h, const struct mark *mark)
{
    if (!mark || !mark->failure)
        return;
    mem_room(&h->failures, &h->failures_cap, h->n_failures, sizeof(kp_failure *));
    h->failures[h->n_failures++] = harness_failure_copy(mark->failure);
}

static void act_on_mark(struct harness *h, kp_batch *b, uint32_t i, kp_outcome outcome)
{
    const struct mark *mark = batch_mark(b, i);
    kp_slice reason = {mark && mark->reason ? mark->reason : "", 0};

    reason.len = strlen(reason.ptr);
    h->settling_after_ms = mark ? mark->after_ms : 0;
    switch (outcome) {
    case KP_DELIVERED: batch_settle(b, i, END_DELIVERED, NULL, mark ? mark->receipt : NULL); break;
    case KP_FILTERED: batch_settle(b, i, END_FILTERED, NULL, NULL); break;
    case KP_REJECTED:
        note_failure(h, mark);
        batch_settle(b, i, END_DEAD_LETTERED, &reason, NULL);
        break;
    default:
        if (h->element->flags & KP_OWN_RETRY)
            harness_complain("%s has KP_OWN_RETRY but marked a record as retry: %s",
                             h->element->name, reason.ptr);
        batch_settle(b, i, END_UNSETTLED, &reason, NULL);
    }
    h->settling_after_ms = 0;
}

/* Settles what is marked. With `is_end`, what is not marked is a bug of the plugin. */
static void act_on_marks(struct harness *h, kp_batch *b, bool is_end)
{
    kp_slice bug = {"ended without an outcome", 24};

    for (uint32_t i = 0; i < b->count; i++) {
        uint8_t outcome = kp_at(b, i)->outcome;

        if (outcome == OUTCOME_GONE)
            continue;
        if (outcome != KP_NONE) {
            act_on_mark(h, b, i, (kp_outcome)outcome);
        } else if (is_end) {
            if (!h->closing && !h->failed)
                harness_complain("plugin bug: record %u of %u ended without an outcome", i,
                                 b->count);
            batch_settle(b, i, END_UNSETTLED, &bug, NULL);
        }
    }
}

void harness_done(kp_node *node, kp_batch *b)
{
    struct harness *h = harness_of(node);

    if (h->element->kind == KP_TRANSFORM)
        harness_complain("%s is a transform: it emits or releases, it is never done",
                         h->element->name);
    harness_batch_returned(h, b);
    act_on_marks(h, b, true);
    batch_free(b);
}

void harness_release(kp_node *node, kp_batch *b)
{
    struct harness *h = harness_of(node);

    harness_batch_returned(h, b);
    if (h->element->kind == KP_SOURCE)
        batch_free(b); /* never submitted: it has no tickets */
    else {
        act_on_marks(h, b, true);
        batch_free(b);
    }
}

void harness_emit(kp_node *node, kp_batch *b)
{
    struct harness *h = harness_of(node);

    if (h->element->kind != KP_TRANSFORM)
        harness_complain("%s is no transform: it must not emit", h->element->name);
    harness_batch_returned(h, b);
    for (uint32_t i = 0; i < b->count; i++)
        if (kp_at(b, i)->outcome == KP_DELIVERED)
            harness_complain("%s is a transform: it must not deliver", h->element->name);
    act_on_marks(h, b, false);
    batch_compact(b);
    harness_out_add(h, b, false);
}

/* ---- the list of what came out */

static char *put(char **at, const char *text, size_t len)
{
    char *start = *at;

    if (len)
        memcpy(start, text, len);
    start[len] = '\0';
    *at += len + 1;
    return start;
}

static uint64_t origins_of(const struct harness *h, const kp_record *record)
{
    struct origin *origin = record->ticket[0];

    if (!origin || origin->ops == h->fed_origin.ops || h->element->kind == KP_SOURCE)
        return 1;
    return group_count((kp_group *)(void *)origin); /* its origin is its first member */
}

static void copy_out(struct harness *h, kp_batch *b, uint32_t i, struct out_batch *batch)
{
    const kp_record *record = kp_at(b, i);
    size_t type_len = record->type ? strlen(record->type) : 0;
    struct out *out = mem_new(sizeof *out + record->data_len + record->key_len +
                              record->sequence_len + type_len + b->lane_name.len + 5);
    char *at = (char *)(out + 1);

    *out = (struct out){.batch = batch, .i = i};
    out->pub.data = put(&at, record->data, record->data_len);
    out->pub.data_len = record->data_len;
    out->pub.key = put(&at, record->key, record->key_len);
    out->pub.sequence = put(&at, record->sequence, record->sequence_len);
    out->pub.type = record->type ? put(&at, record->type, type_len) : NULL;
    out->pub.lane = put(&at, b->lane_name.ptr, b->lane_name.len);
    out->pub.origins = origins_of(h, record);
    out->pub.encoding = record->encoding;
    out->pub.sub_sequence = record->sub_sequence;
    out->pub.arrival_ms = record->arrival_ms;
    mem_room(&h->outs, &h->outs_cap, h->n_outs, sizeof *h->outs);
    h->outs[h->n_outs++] = out;
}

static void batch_ended(struct harness *h, struct out_batch *batch)
{
    struct out_batch **link = &h->out_batches;

    while (*link != batch)
        link = &(*link)->next;
    *link = batch->next;
    batch_free(batch->b);
    free(batch);
}

static void settle_out(struct harness *h, struct out *out, enum end how, const kp_receipt *receipt)
{
    static const char text[] = "settled so by the test";
    kp_slice reason = {text, sizeof text - 1};
    struct out_batch *batch = out->batch;

    out->batch = NULL;
    batch_settle(batch->b, out->i, how, how > END_DELIVERED ? &reason : NULL, receipt);
    if (--batch->open == 0)
        batch_ended(h, batch);
}

static void settle_batch(struct harness *h, const struct out_batch *batch)
{
    /* Called for the batch that came out last; it is freed with its last record. */
    for (size_t i = h->n_outs - batch->open; i < h->n_outs; i++)
        settle_out(h, h->outs[i], END_DELIVERED, NULL);
}

void harness_out_add(struct harness *h, kp_batch *b, bool arrived)
{
    struct out_batch *batch;

    if (!b->count) {
        batch_free(b);
        return;
    }
    batch = mem_new(sizeof *batch);
    *batch = (struct out_batch){b, b->count, arrived && !h->hold, h->out_batches};
    h->out_batches = batch;
    for (uint32_t i = 0; i < b->count; i++)
        copy_out(h, b, i, batch);
    if (!arrived && !h->hold)
        settle_batch(h, batch);
}

bool harness_out_settle_arrived(struct harness *h)
{
    bool did = false;

    while (h->outs_settled < h->n_outs && !h->outs[h->outs_settled]->batch)
        h->outs_settled++;
    for (size_t i = h->outs_settled; i < h->n_outs; i++) {
        struct out *out = h->outs[i];

        if (out->batch && out->batch->arrived) {
            settle_out(h, out, END_DELIVERED, NULL);
            did = true;
        }
    }
    return did;
}

void harness_out_settle_rest(struct harness *h)
{
    for (size_t i = h->outs_settled; i < h->n_outs; i++)
        if (h->outs[i]->batch)
            settle_out(h, h->outs[i], END_DELIVERED, NULL);
}

void harness_out_fini(struct harness *h)
{
    for (size_t i = 0; i < h->n_outs; i++)
        free(h->outs[i]);
    free(h->outs);
}

/* ---- for the test */

size_t harness_out_count(const struct harness *h)
{
    return h->n_outs;
}

const struct harness_record *harness_out(const struct harness *h, size_t i)
{
    if (i >= h->n_outs)
        harness_die("asked for record %zu of %zu that came out", i, h->n_outs);
    return &h->outs[i]->pub;
}

void harness_hold(struct harness *h, bool hold)
{
    h->hold = hold;
}

bool harness_out_is_open(const struct harness *h, size_t i)
{
    return i < h->n_outs && h->outs[i]->batch;
}

void harness_settle_out(struct harness *h, size_t i, kp_outcome outcome, const kp_receipt *receipt)
{
    static const enum end ends[] = {[KP_NONE] = END_UNSETTLED,
                                    [KP_DELIVERED] = END_DELIVERED,
                                    [KP_FILTERED] = END_FILTERED,
                                    [KP_REJECTED] = END_DEAD_LETTERED,
                                    [KP_RETRY] = END_UNSETTLED};

    if (i >= h->n_outs || !h->outs[i]->batch)
        harness_die("record %zu that came out is not open", i);
    settle_out(h, h->outs[i], ends[outcome], receipt);
    harness_pump(h);
}
