/* relay.c - see relay.h.
 *
 * One allocation per batch holds the tickets and both messages. On the home
 * worker the batch travels on a stand-in lane (same name), so the order of the
 * lane and its retries work there as they do here.
 */
#include "core/run/relay.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/run/flow.h"
#include "core/run/host.h"
#include "core/run/hop.h"
#include "core/run/lane.h"

struct relayed {
    struct origin *origin; /* [borrowed] the sender's ticket */
    uint32_t index;
    uint32_t shares; /* records over there that carry it */
    enum end worst;
    char *reason;        /* [owned] */
    kp_receipt *receipt; /* [owned] its texts follow it */
};

struct relay {
    struct origin origin; /* must be first */
    struct post post;
    struct worker *sender;   /* [borrowed] */
    struct flow *home;       /* [borrowed] the instance over there */
    kp_lane *lane;           /* the sender's; only compared over there */
    kp_lane *stand_in;       /* the home worker's, held until all tickets have ended */
    char *lane_name;         /* [owned] */
    struct lease_row *lease; /* [borrowed] of the lane */
    size_t lane_len;
    kp_batch *b; /* [owned] until it has arrived */
    uint32_t to, n, open;
    struct relayed tickets[];
};

static struct relay *relay_of_post(struct post *post)
{
    return (struct relay *)(void *)((char *)post - offsetof(struct relay, post));
}

/* ---- on the sender's worker again */

static void came_back(struct post *post)
{
    struct relay *relay = relay_of_post(post);

    for (uint32_t i = 0; i < relay->n; i++) {
        struct relayed *ticket = &relay->tickets[i];
        kp_slice reason = {ticket->reason, ticket->reason ? strlen(ticket->reason) : 0};

        if (ticket->origin)
            ticket->origin->ops->settle(ticket->origin, ticket->index, ticket->worst,
                                        ticket->reason ? &reason : NULL, ticket->receipt);
        free(ticket->reason);
        free(ticket->receipt);
    }
    lane_let_go(relay->lane);
    free(relay->lane_name);
    free(relay);
}

/* ---- on the home worker */

static void relay_share(struct origin *origin, uint32_t index)
{
    ((struct relay *)(void *)origin)->tickets[index].shares++;
}

static void relay_settle(struct origin *origin, uint32_t index, enum end how,
                         const kp_slice *reason, const kp_receipt *receipt)
{
    struct relay *relay = (struct relay *)(void *)origin;
    struct relayed *ticket = &relay->tickets[index];

    if (how >= ticket->worst) {
        ticket->worst = how;
        free(ticket->reason);
        free(ticket->receipt);
        ticket->reason = reason ? mem_dupn(reason->ptr, reason->len) : NULL;
        ticket->receipt = receipt ? receipt_copy(receipt) : NULL;
    }
    if (--ticket->shares || --relay->open)
        return;
    if (relay->stand_in)
        lane_let_go(relay->stand_in);
    relay->post.run = came_back;
    inbox_post(&relay->sender->inbox, &relay->post);
}

static const struct origin_ops relay_ops = {relay_share, relay_settle};

static kp_lane *find_stand_in(struct relay *relay)
{
    kp_node *node = &relay->home->nodes[relay->to];
    struct kp_lane *lane;

    for (lane = node->lanes; lane; lane = lane->next) /* an address may have come back: name too */
        if (lane->state == relay->lane && !strcmp(lane->name, relay->lane_name))
            return lane;
    lane = mem_new(sizeof *lane);
    lane_init(lane, node, relay->lane_name, relay->lane_len);
    lane->state = relay->lane;
    lane->lease = relay->lease;
    lane->is_closed = true; /* goes as soon as it is empty */
    lane->next = node->lanes;
    if (lane->next)
        lane->next->previous = lane;
    node->lanes = lane;
    return lane;
}

static void arrived(struct post *post)
{
    struct relay *relay = relay_of_post(post);
    kp_batch *b = relay->b;
    kp_node *node = &relay->home->nodes[relay->to];

    relay->b = NULL;
    if (!node->is_open) { /* the run is over: unsettled */
        batch_free(b);
        return;
    }
    batch_of(b)->mixed_lane = &node->own;
    b->lane = relay->stand_in = find_stand_in(relay);
    lane_hold(relay->stand_in); /* a stage may keep records longer than their batch */
    hop_put(node, relay->to, b);
}

/* ---- the way there */

void relay_send(kp_node *from, uint32_t index, kp_batch *b)
{
    struct flow *flow = from->flow;
    struct relay *relay;

    if (flow->home == flow->worker->index) { /* it lives here but is closed */
        batch_free(b);
        return;
    }
    relay = mem_new(sizeof *relay + b->count * sizeof relay->tickets[0]);
    relay->origin.ops = &relay_ops;
    relay->origin.ignores_receipts = true;
    relay->post.run = arrived;
    relay->sender = flow->worker;
    relay->home = host_flow(flow->host, flow->index, flow->home);
    relay->lane = b->lane;
    relay->lane_name = mem_dupn(b->lane->name, b->lane->name_len);
    relay->lane_len = b->lane->name_len;
    relay->lease = b->lane->lease;
    relay->b = b;
    relay->to = index;
    relay->n = relay->open = b->count;
    for (uint32_t i = 0; i < b->count; i++) {
        const kp_record *record = kp_at(b, i);

        relay->tickets[i] = (struct relayed){.origin = record->ticket[0],
                                             .index = (uint32_t)(uintptr_t)record->ticket[1],
                                             .shares = 1};
        if (relay->tickets[i].origin && !relay->tickets[i].origin->ignores_receipts)
            relay->origin.ignores_receipts = false;
        batch_set_ticket(b, i, &relay->origin, i);
    }
    lane_hold(relay->lane);
    inbox_post(&relay->home->worker->inbox, &relay->post);
}
