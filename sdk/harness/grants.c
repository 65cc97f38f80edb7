/* grants.c - plays the host for sources that offer their lanes, and for sinks that prepare
 * checkpoints.
 *
 * As in the host everything comes from the pump, never from inside a call of the
 * plugin. What a whole offer did not name is gone; a lane that was revoked is not
 * granted again by itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "sdk/harness/internal.h"

/* ---- offers */

static void offered_fini(struct offered *offered)
{
    free(offered->parents[0]);
    free(offered->parents[1]);
    free(offered->low);
    free(offered->high);
    *offered = (struct offered){0};
}

static bool may_offer(struct harness *h, const char *row)
{
    if (!harness_has(h->element, grant))
        harness_complain("%s() of %s, which has no grant()", row, h->element->name);
    else if (h->info.worker)
        harness_complain("%s() of the instance on worker %u", row, h->info.worker);
    else
        return true;
    return false;
}

void harness_lane_offer(kp_node *node, const char *name, const kp_lane_about *about)
{
    struct harness *h = harness_of(node);
    kp_lane *lane = harness_lane(h, name);

    if (!may_offer(h, "lane_offer"))
        return;
    if (lane->is_named)
        harness_complain("lane %s is twice in one offer", name);
    lane->is_named = true;
    lane->is_late |= h->has_offer && !lane->is_offered && !lane->granted;
    offered_fini(&lane->offered);
    for (int i = 0; i < 2; i++)
        lane->offered.parents[i] = mem_dupn(about->parents[i].ptr, about->parents[i].len);
    lane->offered.low = mem_dupn(about->low_hash.ptr, about->low_hash.len);
    lane->offered.high = mem_dupn(about->high_hash.ptr, about->high_hash.len);
    lane->offered.is_closed = about->is_closed;
}

void harness_lanes_offered(kp_node *node, const kp_offer *offer)
{
    struct harness *h = harness_of(node);

    if (!may_offer(h, "lanes_offered"))
        return;
    for (kp_lane *lane = h->lanes; lane; lane = lane->next) {
        lane->is_offered = lane->is_named;
        lane->is_named = false;
    }
    h->has_offer = true;
    free(h->begin);
    h->begin = mem_dup(offer->begin ? offer->begin : "");
    h->is_fixed = offer->is_fixed;
}

/* ---- grants */

static const kp_lane *lane_named(const struct harness *h, const char *name)
{
    const kp_lane *at = h->lanes;

    while (at && strcmp(at->name, name) != 0)
        at = at->next;
    return at;
}

static bool has_ended(const kp_lane *lane)
{
    const char *at = lane->position ? lane->position : lane->start;

    return at && !strcmp(at, KP_POSITION_END);
}

static bool parent_is_done(const struct harness *h, const char *name)
{
    const kp_lane *parent = *name ? lane_named(h, name) : NULL;

    return !parent || has_ended(parent) || (!parent->is_offered && !parent->is_granted);
}

static bool waits(const kp_lane *lane)
{
    return lane->is_offered && !lane->is_granted && !lane->is_revoked && !has_ended(lane);
}

static bool may_begin(const struct harness *h, const kp_lane *lane)
{
    return waits(lane) && parent_is_done(h, lane->offered.parents[0]) &&
           parent_is_done(h, lane->offered.parents[1]);
}

bool harness_waits_for_grant(const struct harness *h)
{
    for (const kp_lane *lane = h->lanes; lane; lane = lane->next)
        if (waits(lane))
            return true;
    return false;
}

static kp_slice slice_of(const char *text)
{
    return text ? (kp_slice){text, strlen(text)} : (kp_slice){"", 0};
}

static void note_start(struct harness *h, kp_lane *lane, const char *start)
{
    const char *word = lane->is_late || !h->begin ? "TRIM_HORIZON" : h->begin;

    lane->granted_sub = start ? 0 : lane->position ? lane->position_sub : lane->start_sub;
    if (!start)
        start = lane->position ? lane->position : lane->start ? lane->start : word;
    start = mem_dup(start);
    free(lane->granted);
    lane->granted = (char *)(uintptr_t)start;
}

static void grant(struct harness *h, kp_lane *lane, const char *start)
{
    kp_grant grant = {.size = sizeof grant, .name = slice_of(lane->name)};

    note_start(h, lane, start);
    grant.start = (kp_position){slice_of(lane->granted), lane->granted_sub};
    grant.about = (kp_lane_about){
        .size = sizeof grant.about,
        .parents = {slice_of(lane->offered.parents[0]), slice_of(lane->offered.parents[1])},
        .low_hash = slice_of(lane->offered.low),
        .high_hash = slice_of(lane->offered.high),
        .is_closed = lane->offered.is_closed};
    lane->is_granted = true;
    lane->is_revoked = false;
    lane->opened = false;
    h->element->grant(&h->node, h->state, &grant);
    if (!lane->opened && !h->failed)
        harness_complain("grant() of lane %s did not open it", lane->name);
}

static bool grant_all(struct harness *h)
{
    bool did = false;

    if (!h->started || h->stopped || h->hold_grants || h->failed || !harness_has(h->element, grant))
        return false;
    for (kp_lane *lane = h->lanes; lane; lane = lane->next) {
        if (!may_begin(h, lane))
            continue;
        grant(h, lane, NULL);
        did = true;
    }
    if (did && h->asks_on) { /* what it holds was not there when the source was asked */
        h->caught_up = false;
        h->element->catch_up(&h->node, h->state);
    }
    return did;
}

static bool ask_offer(struct harness *h)
{
    if (!h->wants_offer || h->stopped || h->failed)
        return false;
    h->wants_offer = false;
    if (harness_has(h->element, offer))
        h->element->offer(&h->node, h->state);
    return true;
}

static bool answer_prepare(struct harness *h, bool ok)
{
    struct harness_prepare *first = h->prepares;
    kp_lane *lane;

    if (!first)
        return false;
    h->prepares = first->next;
    lane = first->lane;
    if (ok) {
        free(lane->pending);
        lane->pending = first->text; /* moved */
        lane->pending_sub = first->sub;
    } else {
        free(first->text);
    }
    first->fn(&h->node, first->arg, ok);
    free(first);
    return true;
}

bool harness_grants_step(struct harness *h)
{
    return (!h->hold_prepares && answer_prepare(h, true)) || ask_offer(h) || grant_all(h);
}

/* ---- checkpoints in two phases */

void harness_lane_prepare(kp_node *node, kp_lane *lane, const kp_position *boundary,
                          void (*fn)(kp_node *, void *arg, bool ok), void *arg)
{
    struct harness *h = harness_of(node);
    struct harness_prepare *prepare = mem_new(sizeof *prepare), **last = &h->prepares;

    *prepare = (struct harness_prepare){.lane = lane,
                                        .text = mem_dupn(boundary->text.ptr, boundary->text.len),
                                        .sub = boundary->sub,
                                        .fn = fn,
                                        .arg = arg};
    while (*last)
        last = &(*last)->next;
    *last = prepare;
}

bool harness_lane_pending(kp_lane *lane, kp_position *ret)
{
    if (!lane->pending)
        return false;
    *ret = (kp_position){slice_of(lane->pending), lane->pending_sub};
    return true;
}

/* ---- counters */

const int64_t *harness_counter_find(const struct harness_counters *counters, const char *name)
{
    for (size_t i = 0; i < counters->n; i++)
        if (!strcmp(counters->rows[i].name, name))
            return &counters->rows[i].value;
    return NULL;
}

static int64_t *value_of(struct harness_counters *counters, const char *name)
{
    int64_t *found = (int64_t *)(uintptr_t)harness_counter_find(counters, name);

    if (found)
        return found;
    mem_room(&counters->rows, &counters->cap, counters->n, sizeof *counters->rows);
    counters->rows[counters->n] = (struct harness_counter){name, 0};
    return &counters->rows[counters->n++].value;
}

void harness_counter_add(struct harness_counters *counters, const char *name, int64_t by)
{
    *value_of(counters, name) += by;
}

void harness_lane_count(kp_lane *lane, const char *name, int64_t by)
{
    harness_counter_add(&lane->counters, name, by);
}

void harness_lane_gauge(kp_lane *lane, const char *name, int64_t value)
{
    *value_of(&lane->gauges, name) = value;
}

/* ---- for the test */

void harness_hold_grants(struct harness *h, bool hold)
{
    h->hold_grants = hold;
    harness_pump(h);
}

void harness_grant(struct harness *h, const char *lane, const char *start)
{
    grant(h, harness_lane(h, lane), start);
    harness_pump(h);
}

void harness_revoke(struct harness *h, const char *name, bool is_lost)
{
    kp_lane *lane = harness_lane(h, name);

    if (!lane->is_granted)
        harness_die("lane %s is not granted", name);
    h->element->revoke(&h->node, h->state, lane->is_open ? lane : NULL, lane->state, is_lost);
    if (lane->is_open)
        harness_complain("revoke() of lane %s did not close it", name);
    lane->is_granted = false;
    lane->is_revoked = true;
    for (struct submitted *s = lane->submitted; s && is_lost; s = s->next)
        s->is_lost = true;
    lane->stuck &= !is_lost;
    harness_pump(h);
}

void harness_ask_offer(struct harness *h)
{
    h->wants_offer = true;
    harness_pump(h);
}

const char *harness_offered(const struct harness *h, const char *name)
{
    static char text[1000];
    const kp_lane *lane = lane_named(h, name);

    if (!lane || !lane->is_offered)
        return NULL;
    snprintf(text, sizeof text, "%s %s %s..%s %s", lane->offered.parents[0],
             lane->offered.parents[1], lane->offered.low, lane->offered.high,
             lane->offered.is_closed ? "closed" : "open");
    return text;
}

size_t harness_offered_count(const struct harness *h)
{
    size_t n = 0;

    for (const kp_lane *lane = h->lanes; lane; lane = lane->next)
        n += lane->is_offered;
    return n;
}

const char *harness_offered_begin(const struct harness *h)
{
    return h->begin;
}

bool harness_offered_is_fixed(const struct harness *h)
{
    return h->is_fixed;
}

static int64_t counted(const struct harness_counters *counters, const char *name)
{
    const int64_t *value = harness_counter_find(counters, name);

    return value ? *value : 0;
}

int64_t harness_lane_counter(const struct harness *h, const char *lane, const char *name)
{
    const kp_lane *at = lane_named(h, lane);

    return at ? counted(&at->counters, name) : 0;
}

int64_t harness_lane_gauge_of(const struct harness *h, const char *lane, const char *name)
{
    const kp_lane *at = lane_named(h, lane);

    return at ? counted(&at->gauges, name) : 0;
}

void harness_hold_prepares(struct harness *h, bool hold)
{
    h->hold_prepares = hold;
    harness_pump(h);
}

bool harness_answer_prepare(struct harness *h, bool ok)
{
    bool did = answer_prepare(h, ok);

    harness_pump(h);
    return did;
}

void harness_set_pending(struct harness *h, const char *name, const char *text, uint64_t sub)
{
    kp_lane *lane = harness_lane(h, name);

    free(lane->pending);
    lane->pending = text ? mem_dup(text) : NULL;
    lane->pending_sub = sub;
}

const char *harness_pending(const struct harness *h, const char *name, uint64_t *ret_sub)
{
    const kp_lane *lane = lane_named(h, name);

    if (lane && ret_sub)
        *ret_sub = lane->pending_sub;
    return lane ? lane->pending : NULL;
}

/* ---- the end */

void harness_lane_grants_fini(kp_lane *lane)
{
    offered_fini(&lane->offered);
    free(lane->granted);
    free(lane->pending);
    free(lane->counters.rows);
    free(lane->gauges.rows);
}

void harness_grants_fini(struct harness *h)
{
    while (h->prepares) {
        struct harness_prepare *next = h->prepares->next;

        harness_complain("lane %s: a preparation was never answered", h->prepares->lane->name);
        free(h->prepares->text);
        free(h->prepares);
        h->prepares = next;
    }
    free(h->counters.rows);
    free(h->begin);
}
