/* turn.c - see proxy.h: the requests of one turn of the loop travel as one batch.
 *
 * A batch costs more than a record, so requests that arrive together share one.
 * Which lane it takes does not matter: a connection has one request under way at
 * a time, so requests of one connection cannot overtake each other, and the
 * gateway promises no order between connections. Lanes only let several batches
 * be under way, and keep a retry from holding up all of them: a batch takes the
 * next idle lane in turn.
 */
#include <stdlib.h>
#include <string.h>

#include "plugins/apigw-proxy/proxy.h"

#define EXPECTED 64

static struct turn *turn_new(struct proxy *proxy)
{
    struct turn *turn = proxy->spare;

    if (turn)
        proxy->spare = turn->next;
    else
        turn = calloc(1, sizeof *turn);
    if (!turn)
        return NULL;
    turn->b = kp->batch_new(proxy->node, EXPECTED);
    if (!turn->b) {
        turn->next = proxy->spare;
        proxy->spare = turn;
        return NULL;
    }
    turn->n = turn->open = 0;
    turn->lane = NULL;
    turn->next = NULL;
    turn->since_ms = kp->now_ms();
    turn->prev = proxy->newest;
    *proxy->newest = turn;
    proxy->newest = &turn->next;
    return turn;
}

static void turn_recycle(struct proxy *proxy, struct turn *turn)
{
    *turn->prev = turn->next;
    if (turn->next)
        turn->next->prev = turn->prev;
    else
        proxy->newest = turn->prev;
    turn->next = proxy->spare;
    proxy->spare = turn;
}

kp_batch *turn_batch(struct proxy *proxy)
{
    struct turn *turn = proxy->turn;

    if (!turn) {
        turn = proxy->turn = turn_new(proxy);
        if (!turn)
            return NULL;
        proxy->timer->start(proxy->submit_timer, 0, 0);
    }
    if (turn->n == turn->cap) {
        uint32_t cap = turn->cap ? turn->cap * 2 : EXPECTED;
        struct pending *items = realloc(turn->items, cap * sizeof *items);

        if (!items)
            return NULL;
        turn->items = items;
        turn->cap = cap;
    }
    return turn->b;
}

void turn_add(struct proxy *proxy, kp_exchange *exchange, uint32_t first, enum wanted wanted,
              const char *id)
{
    struct turn *turn = proxy->turn;
    struct pending *pending = &turn->items[turn->n++];

    pending->exchange = exchange;
    pending->first = first;
    pending->count = turn->b->count - first;
    pending->wanted = (uint8_t)wanted;
    memcpy(pending->id, id, sizeof pending->id);
    turn->open++;
    proxy->in_flight++;
}

/* ---- lanes */

static struct lane *ready_lane(struct proxy *proxy)
{
    struct lane *best = NULL;

    for (uint32_t i = 0; i < proxy->n_lanes; i++) {
        struct lane *lane = &proxy->lanes[(proxy->lane_at + i) % proxy->n_lanes];

        if ((!best || lane->out < best->out) && kp->lane_ready(lane->id))
            best = lane;
        if (best && !best->out)
            break;
    }
    if (best)
        proxy->lane_at = (uint32_t)(best - proxy->lanes + 1) % proxy->n_lanes;
    return best;
}

void turn_submit(kp_node *node, void *arg)
{
    struct proxy *proxy = arg;
    struct turn *turn = proxy->turn;
    kp_position end = {{"", 0}, 0};

    (void)node;
    if (!turn || proxy->stopped)
        return;
    if (!turn->n) { /* memory ran out before its first request */
        kp->release(proxy->node, turn->b);
        proxy->turn = NULL;
        turn_recycle(proxy, turn);
        return;
    }
    turn->lane = ready_lane(proxy);
    if (!turn->lane)
        return; /* wake() comes; until then the turn takes more requests */
    turn->lane->out++;
    proxy->turn = NULL;
    kp->submit(turn->lane->id, turn->b, &end, turn);
}

/* ---- ends */

static void answer(struct proxy *proxy, const struct pending *pending, const kp_result *results)
{
    if (pending->wanted == WANTS_RECORD)
        answer_record(proxy, pending, &results[pending->first]);
    else if (pending->wanted == WANTS_RECORDS)
        answer_records(proxy, pending, results);
    else
        reply_send(proxy, pending, &results[pending->first]);
}

void turn_settled(struct proxy *proxy, struct turn *turn, const kp_result *results)
{
    for (uint32_t i = 0; i < turn->n; i++) {
        if (!turn->items[i].exchange)
            continue;
        answer(proxy, &turn->items[i], results);
        proxy->in_flight--;
    }
    turn->lane->out--;
    turn_recycle(proxy, turn);
}

/* Answers all of a turn's requests; their records go on by themselves. */
static void give_up(struct proxy *proxy, struct turn *turn, int status, const char *body)
{
    for (uint32_t i = 0; i < turn->n; i++) {
        struct pending *pending = &turn->items[i];

        if (!pending->exchange)
            continue;
        proxy_error(proxy, pending->exchange, status, pending->id, "InternalServerErrorException",
                    body);
        pending->exchange = NULL;
        proxy->in_flight--;
    }
    turn->open = 0;
}

void turn_sweep(kp_node *node, void *arg)
{
    struct proxy *proxy = arg;
    int64_t limit = kp->now_ms() - proxy->config->timeout_ms;

    (void)node;
    for (struct turn *turn = proxy->oldest; turn && turn->since_ms <= limit; turn = turn->next)
        if (turn->open)
            give_up(proxy, turn, 504, "{\"message\": \"Endpoint request timed out\"}");
}

/* What has not been submitted is refused; what has is answered as it ends. */
void turn_stop(struct proxy *proxy)
{
    struct turn *turn = proxy->turn;

    proxy->stopped = true;
    proxy->turn = NULL;
    if (!turn)
        return;
    give_up(proxy, turn, 503, "{\"message\":\"Service Unavailable\"}");
    kp->release(proxy->node, turn->b);
    turn_recycle(proxy, turn);
}

void turn_free_all(struct proxy *proxy)
{
    struct turn *lists[] = {proxy->oldest, proxy->spare};

    if (proxy->turn) /* never submitted */
        kp->release(proxy->node, proxy->turn->b);
    for (int k = 0; k < 2; k++)
        for (struct turn *turn = lists[k], *next; turn; turn = next) {
            next = turn->next;
            free(turn->items);
            free(turn);
        }
    proxy->oldest = proxy->spare = proxy->turn = NULL;
}
