/* lanes.c - plays the host for sources: lanes, tickets of submitted batches, watermarks.
 *
 * A lane takes a bounded number of records that are not settled yet, so an endless
 * source stops by itself when a test holds its records. settled() and wake() come
 * from the pump, never from inside a call of the source.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "sdk/harness/internal.h"

#define LANE_RECORDS 10000
#define LANE_BYTES   (64 << 20)

kp_lane *harness_lane(struct harness *h, const char *name)
{
    kp_lane **link = &h->lanes;

    for (; *link; link = &(*link)->next)
        if (!strcmp((*link)->name, name))
            return *link;
    *link = mem_new(sizeof **link);
    (*link)->harness = h;
    (*link)->name = mem_dup(name);
    return *link;
}

kp_lane *harness_lane_open(kp_node *node, const char *name, void *state, kp_position *ret_start)
{
    kp_lane *lane = harness_lane(harness_of(node), name);

    if (lane->is_open)
        harness_complain("lane %s was opened twice", name);
    if (harness_has(harness_of(node)->element, grant) && !lane->is_granted)
        harness_complain("lane %s was opened without a grant", name);
    lane->is_open = lane->opened = true;
    lane->refused = false;
    lane->state = state;
    if (lane->is_granted) {
        *ret_start = (kp_position){{lane->granted, strlen(lane->granted)}, lane->granted_sub};
        return lane;
    }
    if (lane->position) { /* opened again: the watermark is what a checkpoint would say */
        free(lane->start);
        lane->start = mem_dup(lane->position);
        lane->start_sub = lane->position_sub;
    }
    ret_start->text = (kp_slice){lane->start ? lane->start : "", 0};
    ret_start->text.len = strlen(ret_start->text.ptr);
    ret_start->sub = lane->start_sub;
    return lane;
}

void harness_lane_close(kp_lane *lane)
{
    if (!lane->is_open)
        harness_complain("lane %s was closed twice", lane->name);
    lane->is_open = false;
    lane->refused = false;
    lane->state = NULL;
}

bool harness_lane_ready(kp_lane *lane)
{
    bool ready = !lane->harness->no_room && !lane->harness->stopped &&
                 lane->in_flight < LANE_RECORDS && lane->in_flight_bytes < LANE_BYTES;

    if (!ready)
        lane->refused = true;
    return ready;
}

bool harness_reserve(kp_node *node, size_t bytes)
{
    struct harness *h = harness_of(node);

    if (h->no_room) {
        h->reserve_refused = true;
        return false;
    }
    h->reserved += bytes;
    return true;
}

void harness_unreserve(kp_node *node, size_t bytes)
{
    struct harness *h = harness_of(node);

    if (bytes > h->reserved) {
        harness_complain("%zu bytes unreserved, %zu were reserved", bytes, h->reserved);
        bytes = h->reserved;
    }
    h->reserved -= bytes;
}

/* ---- tickets */

static void submitted_share(struct origin *origin, uint32_t index)
{
    ((struct submitted *)(void *)origin)->shares[index]++;
}

static kp_outcome outcome_of(enum end how)
{
    switch (how) {
    case END_FILTERED: return KP_FILTERED;
    case END_DELIVERED: return KP_DELIVERED;
    case END_DEAD_LETTERED: return KP_REJECTED;
    default: return KP_RETRY;
    }
}

static void submitted_settle(struct origin *origin, uint32_t index, enum end how,
                             const kp_slice *reason, const kp_receipt *receipt)
{
    struct submitted *submitted = (struct submitted *)(void *)origin;
    struct ending *ending = &submitted->endings[index];
    kp_lane *lane = submitted->lane;

    if (how >= ending->worst) {
        ending->worst = how;
        free(ending->reason);
        free(ending->receipt);
        ending->reason = reason ? mem_dupn(reason->ptr, reason->len) : NULL;
        ending->receipt = receipt ? harness_receipt_copy(receipt) : NULL;
    }
    if (--submitted->shares[index] || --submitted->open)
        return;
    lane->in_flight -= submitted->n;
    lane->in_flight_bytes -= submitted->bytes;
}

static const struct origin_ops submitted_ops = {submitted_share, submitted_settle};

static void submitted_free(struct submitted *submitted)
{
    for (uint32_t i = 0; i < submitted->n; i++) {
        free(submitted->endings[i].reason);
        free(submitted->endings[i].receipt);
    }
    free(submitted->endings);
    free(submitted->shares);
    free(submitted->end);
    free(submitted);
}

static void advance(kp_lane *lane, const struct submitted *first)
{
    free(lane->position);
    lane->position = mem_dup(first->end);
    lane->position_sub = first->end_sub;
    lane->harness->wants_offer |= lane->is_granted && !strcmp(first->end, KP_POSITION_END);
}

/* The watermark goes over the gap-free run of ended batches; what is to be read again stops it. */
static void move_watermark(kp_lane *lane)
{
    while (lane->submitted && !lane->submitted->open && !lane->stuck) {
        struct submitted *first = lane->submitted;

        if (first->token && !first->told)
            return;
        for (uint32_t i = 0; i < first->n && !first->is_lost; i++)
            lane->stuck |= first->endings[i].worst == END_UNSETTLED;
        if (lane->stuck)
            return;
        if (!first->is_lost)
            advance(lane, first);
        lane->submitted = first->next;
        submitted_free(first);
    }
}

static struct submitted *submitted_new(kp_lane *lane, kp_batch *b, const kp_position *end,
                                       void *token)
{
    struct submitted *submitted = mem_new(sizeof *submitted), **last = &lane->submitted;

    *submitted = (struct submitted){.origin.ops = &submitted_ops,
                                    .lane = lane,
                                    .token = token,
                                    .n = b->count,
                                    .open = b->count};
    submitted->endings = mem_new((b->count + 1) * sizeof *submitted->endings);
    submitted->shares = mem_new((b->count + 1) * sizeof *submitted->shares);
    submitted->end = mem_dupn(end->text.ptr ? end->text.ptr : "", end->text.len);
    submitted->end_sub = end->sub;
    for (uint32_t i = 0; i < b->count; i++) {
        submitted->shares[i] = 1;
        submitted->bytes += kp_at(b, i)->data_len;
        batch_set_ticket(b, i, &submitted->origin, i);
    }
    while (*last)
        last = &(*last)->next;
    return *last = submitted;
}

void harness_submit(kp_lane *lane, kp_batch *b, const kp_position *end, void *token)
{
    struct harness *h = lane->harness;
    struct submitted *submitted;

    if (!lane->is_open)
        harness_complain("submit on lane %s, which is not open", lane->name);
    if (h->stopped)
        harness_complain("submit on lane %s after stop()", lane->name);
    if (end->text.len > KP_POSITION_MAX)
        harness_complain("a position of %zu bytes: at most %d", end->text.len, KP_POSITION_MAX);
    b->lane = lane;
    b->lane_name = (kp_slice){lane->name, strlen(lane->name)};
    submitted = submitted_new(lane, b, end, token);
    lane->in_flight += submitted->n;
    lane->in_flight_bytes += submitted->bytes;
    harness_out_add(h, b, true);
}

static void tell(struct harness *h, struct submitted *submitted)
{
    kp_result *results = mem_new((submitted->n + 1) * sizeof *results);

    submitted->told = true;
    for (uint32_t i = 0; i < submitted->n; i++) {
        const struct ending *ending = &submitted->endings[i];

        results[i].outcome = outcome_of(ending->worst);
        if (ending->reason)
            results[i].reason = (kp_slice){ending->reason, strlen(ending->reason)};
        results[i].receipt = ending->receipt ? *ending->receipt : (kp_receipt){0};
        results[i].receipt.size = sizeof results[i].receipt;
    }
    if (h->element->settled)
        h->element->settled(&h->node, h->state, submitted->token, results, submitted->n);
    else
        harness_complain("%s submits with a token but has no settled()", h->element->name);
    free(results);
}

bool harness_lanes_tell(struct harness *h)
{
    bool did = false;

    for (kp_lane *lane = h->lanes; lane; lane = lane->next) {
        for (struct submitted *s = lane->submitted; s; s = s->next) {
            if (!s->open && s->token && !s->told) {
                tell(h, s);
                did = true;
            }
        }
        move_watermark(lane);
    }
    return did;
}

bool harness_lanes_wake(struct harness *h)
{
    bool did = false;

    if (h->no_room || h->stopped)
        return false;
    if (h->reserve_refused) {
        h->reserve_refused = false;
        if (h->element->wake)
            h->element->wake(&h->node, h->state, NULL, NULL);
        did = true;
    }
    for (kp_lane *lane = h->lanes; lane; lane = lane->next) {
        if (!lane->is_open || !lane->refused || lane->in_flight >= LANE_RECORDS ||
            lane->in_flight_bytes >= LANE_BYTES)
            continue;
        lane->refused = false;
        if (h->element->wake)
            h->element->wake(&h->node, h->state, lane, lane->state);
        did = true;
    }
    return did;
}

void harness_lanes_fini(struct harness *h)
{
    for (kp_lane *lane = h->lanes, *next; lane; lane = next) {
        next = lane->next;
        if (lane->queue)
            harness_complain("lane %s: a fed batch was never asked for, the one before it was "
                             "never given back",
                             lane->name);
        for (struct batch *batch = lane->queue, *after; batch; batch = after) {
            after = batch->next;
            batch_free(&batch->pub);
        }
        for (struct submitted *s = lane->submitted, *after; s; s = after) {
            after = s->next;
            submitted_free(s);
        }
        free(lane->name);
        free(lane->start);
        free(lane->position);
        free(lane->about);
        harness_lane_grants_fini(lane);
        free(lane);
    }
}

/* ---- for the test */

void harness_checkpoint(struct harness *h, const char *lane, const char *text, uint64_t sub)
{
    kp_lane *at = harness_lane(h, lane);

    free(at->start);
    at->start = mem_dup(text);
    at->start_sub = sub;
}

static const kp_lane *lane_named(const struct harness *h, const char *name)
{
    const kp_lane *at = h->lanes;

    while (at && strcmp(at->name, name) != 0)
        at = at->next;
    return at;
}

const char *harness_position(const struct harness *h, const char *lane)
{
    const kp_lane *at = lane_named(h, lane);

    return at ? at->position : NULL;
}

uint64_t harness_position_sub(const struct harness *h, const char *lane)
{
    const kp_lane *at = lane_named(h, lane);

    return at ? at->position_sub : 0;
}

void harness_lane_about(kp_lane *lane, const kp_lane_about *about)
{
    free(lane->about);
    lane->about =
        mem_fmt("%.*s %.*s %.*s..%.*s", (int)about->parents[0].len, about->parents[0].ptr,
                (int)about->parents[1].len, about->parents[1].ptr, (int)about->low_hash.len,
                about->low_hash.ptr, (int)about->high_hash.len, about->high_hash.ptr);
}

const char *harness_about(const struct harness *h, const char *lane)
{
    const kp_lane *at = lane_named(h, lane);

    return at ? at->about : NULL;
}

bool harness_lane_is_open(const struct harness *h, const char *lane)
{
    const kp_lane *at = lane_named(h, lane);

    return at && at->is_open;
}

void harness_set_room(struct harness *h, bool room)
{
    h->no_room = !room;
    harness_pump(h);
}
