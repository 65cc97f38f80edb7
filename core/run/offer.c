/* offer.c - see offer.h: gathers a listing and hands it to the lease thread. */
#include "core/run/offer.h"

#include <string.h>

#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/lease/sync.h"
#include "core/run/leases.h"
#include "core/run/node.h"

static char *text_of(kp_slice slice)
{
    return slice.len ? mem_dupn(slice.ptr, slice.len) : NULL;
}

static struct listing *listing_of(kp_node *node)
{
    if (!node_offers(node->element) || node->worker->index)
        bug("%s: only the first instance of a source with grant() offers lanes", node->who);
    if (!node->offer)
        node->offer = mem_new(sizeof *node->offer);
    return node->offer;
}

void offer_lane(kp_node *node, const char *name, const kp_lane_about *about)
{
    struct listing *listing = listing_of(node);
    struct listed_lane *lane;

    mem_room(&listing->lanes, &listing->cap, listing->n, sizeof *listing->lanes);
    lane = &listing->lanes[listing->n++];
    *lane = (struct listed_lane){.key = mem_dup(name)};
    if (!about)
        return;
    lane->parents[0] = text_of(about->parents[0]);
    lane->parents[1] = text_of(about->parents[1]);
    lane->low = text_of(about->low_hash);
    lane->high = text_of(about->high_hash);
    lane->is_closed = about->size >= offsetof(kp_lane_about, is_closed) + sizeof about->is_closed &&
                      about->is_closed;
}

void offer_end(kp_node *node, const kp_offer *offer)
{
    struct listing *listing = listing_of(node);

    listing->begin = mem_dup(offer->begin);
    listing->is_fixed = offer->is_fixed;
    node->offer = NULL;
    leases_offer(node, listing);
}
