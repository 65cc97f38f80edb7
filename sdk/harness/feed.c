/* feed.c - the records a test feeds, and how each of them ended.
 *
 * Every fed record has one ticket whose origin is the harness itself; its index
 * is the number of the record in feeding order. Records that share a ticket are
 * counted, and the worst end wins, as in the host.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/mem.h"
#include "sdk/harness/internal.h"

static struct harness *from_origin(struct origin *origin)
{
    return (struct harness *)(void *)((char *)origin - offsetof(struct harness, fed_origin));
}

static void fed_share(struct origin *origin, uint32_t index)
{
    from_origin(origin)->fed[index].shares++;
}

static void fed_settle(struct origin *origin, uint32_t index, enum end how, const kp_slice *reason,
                       const kp_receipt *receipt)
{
    static const kp_outcome outcomes[] = {[END_NONE] = KP_RETRY,
                                          [END_FILTERED] = KP_FILTERED,
                                          [END_DELIVERED] = KP_DELIVERED,
                                          [END_DEAD_LETTERED] = KP_REJECTED,
                                          [END_UNSETTLED] = KP_RETRY};
    struct harness *h = from_origin(origin);
    struct fed *fed = &h->fed[index];

    if (!fed->shares) {
        harness_complain("fed record %u was settled twice", index);
        return;
    }
    if (how >= fed->worst) {
        fed->worst = how;
        free(fed->reason);
        free(fed->receipt);
        fed->reason = reason ? mem_dupn(reason->ptr, reason->len) : NULL;
        fed->receipt = receipt ? harness_receipt_copy(receipt) : NULL;
        fed->after_ms = h->settling_after_ms;
    }
    if (--fed->shares == 0)
        fed->outcome = outcomes[fed->worst];
}

static const struct origin_ops fed_ops = {fed_share, fed_settle};

void harness_feed_init(struct harness *h)
{
    h->fed_origin.ops = &fed_ops;
}

void harness_feed_fini(struct harness *h)
{
    for (size_t i = 0; i < h->n_fed; i++) {
        free(h->fed[i].reason);
        free(h->fed[i].receipt);
    }
    for (size_t i = 0; i < h->n_failures; i++)
        free(h->failures[i]);
    free(h->fed);
    free(h->failures);
}

static void put_slice(kp_slice *slice, char **at)
{
    if (slice->len)
        memcpy(*at, slice->ptr, slice->len);
    (*at)[slice->len] = '\0';
    slice->ptr = *at;
    *at += slice->len + 1;
}

kp_receipt *harness_receipt_copy(const kp_receipt *receipt)
{
    kp_receipt *copy = mem_new(sizeof *copy + receipt->shard.len + receipt->sequence.len +
                               receipt->body.len + receipt->body_type.len + 4);
    char *at = (char *)(copy + 1);

    *copy = *receipt;
    put_slice(&copy->shard, &at);
    put_slice(&copy->sequence, &at);
    put_slice(&copy->body, &at);
    put_slice(&copy->body_type, &at);
    return copy;
}

kp_failure *harness_failure_copy(const kp_failure *failure)
{
    kp_failure *copy =
        mem_new(sizeof *copy + failure->stage.len + failure->condition.len + failure->reason.len +
                failure->detail.len + failure->lane.len + failure->stream.len + 6);
    char *at = (char *)(copy + 1);

    *copy = *failure;
    put_slice(&copy->stage, &at);
    put_slice(&copy->condition, &at);
    put_slice(&copy->reason, &at);
    put_slice(&copy->detail, &at);
    put_slice(&copy->lane, &at);
    put_slice(&copy->stream, &at);
    return copy;
}

/* ---- feeding */

static const char *copy_into(kp_batch *b, const char *text, size_t len)
{
    char *copy = batch_alloc(b, len + 1);

    if (!copy)
        harness_die("out of memory");
    if (len)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

static void fill_record(struct harness *h, kp_batch *b, const struct harness_input *in)
{
    kp_record *record = batch_append(b, 1);
    char digits[24];
    const char *sequence = in->sequence;

    if (!sequence) {
        snprintf(digits, sizeof digits, "%llu", (unsigned long long)++h->sequence);
        sequence = digits;
    }
    record->data_len = (uint32_t)(in->data_len || !in->data ? in->data_len : strlen(in->data));
    record->data = copy_into(b, in->data, record->data_len);
    record->key_len = in->key ? (uint32_t)strlen(in->key) : 0;
    record->key = copy_into(b, in->key, record->key_len);
    record->sequence_len = (uint32_t)strlen(sequence);
    record->sequence = copy_into(b, sequence, record->sequence_len);
    record->sub_sequence = in->sub_sequence;
    record->type = in->type;
    record->encoding = in->encoding;
    record->arrival_ms = in->arrival_ms ? in->arrival_ms : clock_wall_ms();
    if (in->failure) {
        kp_failure *failure = (kp_failure *)(void *)batch_alloc(b, sizeof *failure);

        *failure = *in->failure;
        record->failure = failure;
    }
    mem_room(&h->fed, &h->fed_cap, h->n_fed, sizeof *h->fed);
    h->fed[h->n_fed] = (struct fed){.shares = 1};
    batch_set_ticket(b, b->count - 1, &h->fed_origin, (uint32_t)h->n_fed++);
}

/* Gives a batch to the element; what it does not keep is retired if it fails. */
static void process(struct harness *h, kp_lane *lane, kp_batch *b)
{
    lane->current = b;
    if (h->element->process(&h->node, h->state, b) == KP_OK)
        return;
    if (!h->failed)
        harness_complain("process() returned KP_FATAL without kp->fail()");
    if (lane->current == b)
        batch_free(b);
    lane->current = NULL;
}

static void feed_batch(struct harness *h, kp_lane *lane, kp_batch *b)
{
    struct batch **last = &lane->queue;

    b->lane = lane;
    b->lane_name = (kp_slice){lane->name, strlen(lane->name)};
    while (*last)
        last = &(*last)->next;
    *last = batch_of(b);
    harness_pump(h);
}

bool harness_feed_next(struct harness *h)
{
    for (kp_lane *lane = h->lanes; lane; lane = lane->next) {
        struct batch *batch = lane->queue;

        /* The next batch of a lane waits for the last one unless the element says otherwise. */
        if (!batch || (lane->current && !(h->element->flags & KP_CONCURRENT)))
            continue;
        lane->queue = batch->next;
        batch->next = NULL;
        process(h, lane, &batch->pub);
        return true;
    }
    return false;
}

void harness_batch_returned(struct harness *h, const kp_batch *b)
{
    for (kp_lane *lane = h->lanes; lane; lane = lane->next)
        if (lane->current == b)
            lane->current = NULL;
}

void harness_feed_records(struct harness *h, const char *lane, const struct harness_input *inputs,
                          size_t n)
{
    kp_batch *b = batch_new(&h->budget, &h->own_lane, (uint32_t)n);

    if (!h->element->process)
        harness_die("%s takes no records", h->element->name);
    for (size_t i = 0; i < n; i++)
        fill_record(h, b, &inputs[i]);
    feed_batch(h, harness_lane(h, lane), b);
}

void harness_feed(struct harness *h, const char *lane, const char *const *records)
{
    struct harness_input *inputs;
    size_t n = 0;

    while (records[n])
        n++;
    inputs = mem_new((n + 1) * sizeof *inputs);
    for (size_t i = 0; i < n; i++)
        inputs[i].data = records[i];
    harness_feed_records(h, lane, inputs, n);
    free(inputs);
}

void harness_feed_one(struct harness *h, const char *lane, const char *data, const char *key)
{
    struct harness_input input = {.data = data, .key = key};

    harness_feed_records(h, lane, &input, 1);
}

void harness_flush(struct harness *h)
{
    if (h->element->flush)
        h->element->flush(&h->node, h->state);
    harness_pump(h);
}

/* ---- looking */

static const struct fed *fed_at(const struct harness *h, size_t nth)
{
    if (nth >= h->n_fed)
        harness_die("asked for fed record %zu of %zu", nth, h->n_fed);
    return &h->fed[nth];
}

kp_outcome harness_outcome(const struct harness *h, size_t nth)
{
    return fed_at(h, nth)->outcome;
}

const char *harness_reason(const struct harness *h, size_t nth)
{
    const struct fed *fed = fed_at(h, nth);

    return fed->reason ? fed->reason : "";
}

const kp_receipt *harness_receipt(const struct harness *h, size_t nth)
{
    return fed_at(h, nth)->receipt;
}

int64_t harness_retry_after(const struct harness *h, size_t nth)
{
    return fed_at(h, nth)->after_ms;
}

size_t harness_count(const struct harness *h, kp_outcome outcome)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n_fed; i++)
        n += h->fed[i].outcome == outcome;
    return n;
}

size_t harness_open_records(const struct harness *h)
{
    return harness_count(h, KP_NONE);
}

const kp_failure *harness_failure(const struct harness *h, size_t nth)
{
    if (nth >= h->n_failures)
        harness_die("asked for failure %zu of %zu", nth, h->n_failures);
    return h->failures[nth];
}
