/* tempo.c - when a shard is asked by GetRecords, and for how much.
 *
 * At most five reads and 2 MB a second (the shard's limits), at once while behind, ever slower up
 * to `poll` while nothing comes. Shards that are not behind take turns: so many of their calls are
 * under way at a time, which bounds the connections of a thousand quiet shards.
 *
 * An answer is to have about 1 MiB of text (what stays in the second-level cache while it is
 * decoded): 5 times that a second are more than 2 MB. Smaller ones cost more calls than they save
 * misses, also with 1,000 shards. It is larger where reads are refused, since others read the shard
 * too, and, without limits, where a lone shard would wait for the way there.
 */
#include "plugins/kinesis/source.h"

#define WANTED_NEAR   (1024 * 1024)     /* bytes of text of an answer while there is more */
#define WANTED_SHARED (6 * 1024 * 1024) /* the same, when reads are refused */
#define WANTED_FAR \
    (10 * 1024 * 1024) /* of all that are behind, when answers are long on their way */
#define FAR_MS      8  /* that long */
#define FAR_LOOKS   8  /* answers that show it */
#define FAR_LOOK_MS 60000
#define GAP_MS      250 /* to the next read when the last one brought all there was */
#define SLOTS       24  /* calls of quiet shards at a time, and as many more as it takes ... */
#define SLOT_MS     256 /* ... to ask each of them once in that time */
#define ANSWER_MS   4   /* what an answer takes beside its way */

/* ---- when ----------------------------------------------------------------------------------- */

int64_t tempo_allowed_at(const struct shard *shard)
{
    int64_t oldest = shard->reads[shard->read_at], at = oldest ? oldest + 1000 : 0;

    if (shard->source->info->no_limits)
        return 0;
    return at > shard->bytes_until ? at : shard->bytes_until;
}

void tempo_sent(struct shard *shard)
{
    shard->reads[shard->read_at] = kp->now_ms();
    shard->read_at = (shard->read_at + 1) % READS_A_SECOND;
}

static void note_bytes(struct shard *shard, const struct incoming *in)
{
    int64_t from = in->sent_ms;

    if (from < shard->bytes_until)
        from = shard->bytes_until;
    shard->bytes_until = from + shard->answer_bytes * 1000 / BYTES_A_SECOND;
}

static void plan_next_read(struct shard *shard)
{
    struct source *source = shard->source;
    int64_t gap = 0, poll = source->config->poll_ms;

    if (shard->answer.count)
        shard->empties = 0;
    else if (shard->behind_ms == 0 && shard->empties < 16)
        shard->empties++;
    if (shard->behind_ms == 0 && !(source->info->no_limits && shard->answer.count))
        gap = (int64_t)(source->info->no_limits ? 10 : GAP_MS) << shard->empties;
    if (gap > poll)
        gap = poll;
    if (gap >= 16) /* shards that began together do not stay together */
        gap -= (int64_t)kpw_random_below(&source->random, (uint64_t)gap / 16);
    shard->not_before = source->epoch > shard->call_epoch ? 0 /* somebody waits for us */
                                                          : kp->now_ms() + gap;
}

/* ---- whose turn it is ----------------------------------------------------------------------- */

/* As many as are under way when each shard is asked every SLOT_MS (Little's law), so that a service
 * far away is asked as often as a near one. */
static size_t most_slots(const struct source *source)
{
    size_t answer_ms = ANSWER_MS + (source->far_n ? (size_t)source->far_ms : 0);

    return SLOTS + source->n_shards * answer_ms / SLOT_MS;
}

bool tempo_take_slot(struct shard *shard)
{
    struct source *source = shard->source;

    if (shard->behind_ms > 0)
        return true;
    if (source->slots_used >= most_slots(source)) {
        queue_put(&source->queues[FOR_SLOT], shard, FOR_SLOT);
        return false;
    }
    source->slots_used++;
    shard->has_slot = true;
    return true;
}

void tempo_give_slot(struct shard *shard)
{
    struct source *source = shard->source;

    if (!shard->has_slot)
        return;
    shard->has_slot = false;
    source->slots_used--;
    if (source->queues[FOR_SLOT].first && !source->stopped)
        shard_go(queue_take(&source->queues[FOR_SLOT], FOR_SLOT));
}

/* ---- how much ------------------------------------------------------------------------------- */

/* How far away the service is: the shortest time to a first byte, of answers of usual size. Looked
 * at anew from time to time, for which the answers become small again. */
static void note_distance(struct source *source, const struct incoming *in)
{
    int64_t ms = in->first_ms - in->sent_ms, now = kp->now_ms();

    if (now >= source->far_until_ms) {
        source->far_until_ms = now + FAR_LOOK_MS;
        source->far_n = 0;
    }
    if (source->far_n == 0 || ms < source->far_ms)
        source->far_ms = ms;
    source->far_n++;
}

/* Several shards that are behind fill the way between them. */
static size_t most_wanted(const struct source *source)
{
    size_t share = WANTED_FAR / (source->n_behind ? source->n_behind : 1);

    if (!source->info->no_limits || source->far_n < FAR_LOOKS || source->far_ms < FAR_MS)
        return WANTED_NEAR;
    return share > WANTED_NEAR ? share : WANTED_NEAR;
}

static void adapt(struct shard *shard, size_t body_len)
{
    size_t count = shard->answer.count, most = most_wanted(shard->source);

    if (count) {
        size_t each = body_len / count + 1, mean = ((size_t)shard->record_bytes * 7 + each) / 8;

        shard->record_bytes = (uint32_t)(each > mean ? each : mean);
    }
    if (shard->behind_ms > 0 && shard->wanted < most)
        shard->wanted = shard->wanted * 2 < most ? shard->wanted * 2 : most;
    else if (shard->wanted > most && (shard->behind_ms == 0 || shard->source->info->no_limits))
        shard->wanted = most;
    shard->expected = shard->behind_ms > 0 ? shard->wanted : count ? body_len : 0;
}

void tempo_took(struct shard *shard, const struct incoming *in)
{
    note_bytes(shard, in);
    note_distance(shard->source, in);
    adapt(shard, in->len);
    plan_next_read(shard);
}

void tempo_refused(struct shard *shard)
{
    if (shard->behind_ms > 0 && shard->wanted < WANTED_SHARED)
        shard->wanted = shard->wanted * 2 < WANTED_SHARED ? shard->wanted * 2 : WANTED_SHARED;
}

void tempo_no_memory(struct shard *shard)
{
    if (shard->wanted > POLL_WANTED_FIRST)
        shard->wanted /= 2;
    if (shard->expected > shard->wanted)
        shard->expected = shard->wanted;
}
