/* discover.c - which shards there are and whose turn it is.
 *
 * The stream is listed at the start, every 30 s, and as soon as a shard ended. A worker takes the
 * shards whose number modulo the number of workers is its own. A shard begins when all of its
 * parents that are still listed are finished: read to the end, and every record of them has ended.
 */
#include "plugins/kinesis/family.h"
#include "plugins/kinesis/listing.h"
#include "plugins/kinesis/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MS       30000
#define MISSING_MS    1000 /* between looks at a stream that is waited for */
#define FOREIGN_MS    250  /* between looks at the parents other workers read */
#define RETRY_BASE_MS 200
#define RETRY_MAX_MS  10000

static void page_arrived(kp_node *node, void *arg, const kp_aws_response *response);

/* ---- the set of shards ---------------------------------------------------------------------- */

static struct shard *find(struct source *source, const char *id)
{
    struct shard *shard = source->shards;

    while (shard && strcmp(shard->id, id) != 0)
        shard = shard->next;
    return shard;
}

/* The number behind the last '-' of a shard id. */
static unsigned long shard_number(const char *id)
{
    const char *dash = strrchr(id, '-');

    return strtoul(dash ? dash + 1 : id, NULL, 10);
}

static bool add_shard(void *arg, const struct listed_shard *listed)
{
    struct source *source = arg;
    struct shard *shard = find(source, listed->id), **end = &source->shards;

    if (shard) {
        shard->is_seen = true;
        return true;
    }
    shard = calloc(1, sizeof(*shard));
    if (!shard)
        return false;
    shard->source = source;
    memcpy(shard->id, listed->id, sizeof(shard->id));
    memcpy(shard->parents, listed->parents, sizeof(shard->parents));
    shard->low = listed->low;
    shard->high = listed->high;
    shard->is_seen = shard->is_listed = true;
    shard->is_child = source->has_listed;
    if (shard_number(shard->id) % source->info->n_workers == source->info->worker)
        shard->state = SHARD_WAITING;
    while (*end)
        end = &(*end)->next;
    *end = shard;
    return true;
}

/* Shards that left the list: finished ones are forgotten, one that answers "not found" has ended.
 */
static void sweep(struct source *source)
{
    struct shard **at = &source->shards;

    while (*at) {
        struct shard *shard = *at;

        shard->is_listed = shard->is_seen;
        if (shard->is_listed) {
            at = &shard->next;
        } else if (shard->state == SHARD_DONE || shard->state == SHARD_FOREIGN) {
            *at = shard->next;
            shard_fini(shard);
            free(shard);
        } else {
            if (shard->tries &&
                (shard->state == SHARD_READING || shard->state == SHARD_POSITIONING)) {
                shard->state = SHARD_READING;
                shard->at_end = true;
            }
            at = &shard->next;
        }
    }
}

/* ---- whose turn it is ----------------------------------------------------------------------- */

/* 1: finished or no longer there, 0: not yet, -1: not yet, and another worker's. */
static int parent_is_finished(struct source *source, const char *id, bool *ret_was_followed)
{
    const struct shard *parent = *id ? find(source, id) : NULL;

    if (!parent || !parent->is_listed)
        return 1;
    if (parent->state == SHARD_FOREIGN)
        return family_is_finished(source->family, id, ret_was_followed) ? 1 : -1;
    if (parent->state != SHARD_DONE)
        return 0;
    *ret_was_followed = parent->was_followed;
    return 1;
}

void discover_start_ready(struct source *source)
{
    bool wait_for_others = false;

    if (source->stopped || !source->has_listed)
        return;
    for (struct shard *shard = source->shards; shard; shard = shard->next) {
        bool was_followed[2] = {false, false};
        int first, second;

        if (shard->state != SHARD_WAITING)
            continue;
        first = parent_is_finished(source, shard->parents[0], &was_followed[0]);
        second = parent_is_finished(source, shard->parents[1], &was_followed[1]);
        if (first < 0 || second < 0)
            wait_for_others = true;
        if (first != 1 || second != 1)
            continue;
        shard->is_child = shard->is_child || was_followed[0] || was_followed[1];
        shard_open(shard);
    }
    if (wait_for_others)
        source->timers->start(source->wait_timer, FOREIGN_MS, 0);
}

void discover_caught_up(struct source *source)
{
    const struct shard *shard;

    if (source->epoch == source->told_epoch || source->listed_epoch < source->epoch ||
        source->list_call)
        return;
    for (shard = source->shards; shard; shard = shard->next)
        if (shard->state != SHARD_FOREIGN && shard->state != SHARD_DRAINING &&
            shard->state != SHARD_DONE && shard->caught_epoch < source->epoch)
            return;
    source->told_epoch = source->epoch;
    kp->caught_up(source->node);
}

/* ---- the listing ---------------------------------------------------------------------------- */

static void list_later(struct source *source, int64_t after_ms)
{
    source->timers->start(source->list_timer, after_ms, 0);
}

static void send_page(struct source *source, const struct listing_token *token)
{
    struct kpw_buf *t = &source->list_body;
    kp_aws_request request = {
        .size = sizeof(request),
        .service = "kinesis",
        .target = "Kinesis_20131202.ListShards",
        .attempts = 1,
    };

    listing_request(t, source->config->stream->name, token);
    if (t->failed) {
        kpw_buf_fini(t);
        list_later(source, RETRY_BASE_MS);
        return;
    }
    request.body = (kp_slice){t->ptr, t->len};
    source->list_call = source->aws->call(source->node, &request, page_arrived, source);
}

void discover_now(struct source *source)
{
    if (source->stopped)
        return;
    if (source->list_call) {
        source->list_again = true;
        return;
    }
    source->timers->stop(source->list_timer);
    for (struct shard *shard = source->shards; shard; shard = shard->next)
        shard->is_seen = false;
    source->listing_epoch = source->epoch;
    send_page(source, NULL);
}

static void list_failed(struct source *source, const kp_aws_response *response)
{
    const kp_resource *stream = source->config->stream;
    enum calls_error error = calls_judge(response);
    bool missing = error == CALLS_MISSING && source->config->wait;

    if (!missing && error != CALLS_AGAIN &&
        strcmp(response->error, "ExpiredNextTokenException") != 0) {
        (void)calls_fail(source->node, "ListShards", stream, response);
        return;
    }
    if (!source->has_complained)
        kp->log(source->node, KP_LOG_WARN, missing ? "stream.awaited" : "list.failed",
                "stream=%s region=%s error=%s", stream->name, source->aws->region(source->node),
                response->error);
    source->has_complained = true;
    list_later(source, missing ? MISSING_MS
                               : calls_backoff_ms(&source->random, source->list_tries,
                                                  RETRY_BASE_MS, RETRY_MAX_MS));
    source->list_tries++;
}

static void list_done(struct source *source)
{
    bool again = source->list_again;

    source->has_complained = false;
    source->list_tries = 0;
    source->list_again = false;
    source->has_listed = true;
    source->listed_epoch = source->listing_epoch;
    sweep(source);
    discover_start_ready(source);
    for (struct shard *shard = source->shards; shard; shard = shard->next)
        if (shard->at_end)
            shard_go(shard);
    if (again)
        discover_now(source);
    else if (!source->list_call)
        list_later(source, LIST_MS);
    discover_caught_up(source);
}

static void page_arrived(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct source *source = arg;
    struct listing_token token;

    (void)node;
    source->list_call = NULL;
    if (response->error) {
        list_failed(source, response);
        return;
    }
    if (!listing_parse(response->body.ptr, response->body.len, add_shard, source, &token)) {
        const kp_aws_response malformed = {.error = "MalformedAnswer", .retryable = true};

        list_failed(source, &malformed);
        return;
    }
    if (token.text)
        send_page(source, &token);
    else
        list_done(source);
    listing_token_fini(&token);
}

void discover_fini(struct source *source)
{
    if (source->list_call)
        source->aws->cancel(source->list_call);
    source->list_call = NULL;
    while (source->shards) {
        struct shard *next = source->shards->next;

        shard_fini(source->shards);
        free(source->shards);
        source->shards = next;
    }
    kpw_buf_fini(&source->list_body);
}
