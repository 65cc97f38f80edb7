/* queue.c - shards that wait for something, first come, first served. */
#include "plugins/kinesis/source.h"

void queue_init(struct queue *queue)
{
    *queue = (struct queue){.end = &queue->first};
}

void queue_put(struct queue *queue, struct shard *shard, enum waits_for what)
{
    struct queue_link *link = &shard->links[what];

    if (link->is_in)
        return;
    *link = (struct queue_link){.is_in = true};
    *queue->end = shard;
    queue->end = &link->next;
    queue->n++;
}

static void unlink_at(struct queue *queue, struct shard **at, enum waits_for what)
{
    struct queue_link *link = &(*at)->links[what];

    if (queue->end == &link->next)
        queue->end = at;
    *at = link->next;
    link->is_in = false;
    queue->n--;
}

struct shard *queue_take(struct queue *queue, enum waits_for what)
{
    struct shard *shard = queue->first;

    if (shard)
        unlink_at(queue, &queue->first, what);
    return shard;
}

void queue_remove(struct queue *queue, struct shard *shard, enum waits_for what)
{
    struct shard **at = &queue->first;

    if (!shard->links[what].is_in)
        return;
    while (*at != shard)
        at = &(*at)->links[what].next;
    unlink_at(queue, at, what);
}
