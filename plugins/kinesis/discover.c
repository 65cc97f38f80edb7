/* discover.c - which shards there are, for the host.
 *
 * The instance of worker 0 lists the stream at the start, every 30 s and when the host asks for it
 * (a shard has ended), and offers what it found. Another instance lists when a shard of its own is
 * not known to the service any more, to learn whether that or the stream is gone.
 */
#include "plugins/kinesis/listing.h"
#include "plugins/kinesis/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MS       30000
#define MISSING_MS    1000 /* between looks at a stream that is waited for */
#define RETRY_BASE_MS 200
#define RETRY_MAX_MS  10000
#define NAMED         10 /* shards that a complaint names */

static void page_arrived(kp_node *node, void *arg, const kp_aws_response *response);

bool discover_offers(const struct source *source)
{
    return source->info->worker == 0;
}

/* ---- what is listed ------------------------------------------------------------------------- */

static bool add_shard(void *arg, const struct listed_shard *listed)
{
    struct source *source = arg;

    if (source->n_listed == source->listed_room) {
        size_t room = source->listed_room ? source->listed_room * 2 : 16;
        struct listed_shard *grown = reallocarray(source->listed, room, sizeof(*grown));

        if (!grown)
            return false;
        source->listed = grown;
        source->listed_room = room;
    }
    source->listed[source->n_listed++] = *listed;
    return true;
}

static const struct listed_shard *find(const struct source *source, const char *id)
{
    for (size_t i = 0; i < source->n_listed; i++)
        if (strcmp(source->listed[i].id, id) == 0)
            return &source->listed[i];
    return NULL;
}

static void forget(struct source *source)
{
    free(source->listed);
    source->listed = NULL;
    source->n_listed = source->listed_room = 0;
}

/* Shards that the service does not know and the listing neither have ended. */
static void end_missing(struct source *source)
{
    for (struct shard *shard = source->shards; shard; shard = shard->next) {
        if (shard->state == SHARD_CLOSED || !shard->is_missing || find(source, shard->id))
            continue;
        shard->state = SHARD_READING;
        shard->at_end = true;
        shard_alarm(shard, kp->now_ms());
    }
}

/* ---- offers --------------------------------------------------------------------------------- */

static void offer(struct source *source, const struct listed_shard *listed)
{
    char low[KPW_U128_SIZE], high[KPW_U128_SIZE];
    kp_lane_about about = {
        .size = sizeof(about),
        .parents = {slice_of(listed->parents[0]), slice_of(listed->parents[1])},
        .low_hash = {low, kpw_u128_format(listed->low, low)},
        .high_hash = {high, kpw_u128_format(listed->high, high)},
        .is_closed = !listed->is_open,
    };

    kp->lane_offer(source->node, listed->id, &about);
}

static void complain(struct source *source, const char *missing)
{
    const char *stream = source->config->stream->name;
    struct kpw_buf names = KPW_BUF_INIT;

    for (size_t i = 0; i < source->n_listed && i < NAMED; i++)
        kpw_buf_appendf(&names, "%s%s", i ? ", " : "", source->listed[i].id);
    if (source->n_listed > NAMED)
        kpw_buf_appendf(&names, " and %zu more", source->n_listed - NAMED);
    (void)kp->fail(source->node, "stream %s has no shard %s; it has %s", stream, missing,
                   kpw_buf_cstr(&names) ? names.ptr : "others");
    source->has_failed = true;
    kpw_buf_fini(&names);
}

/* The shards that the pipeline file names. One that is gone later has been read to its end. */
static bool offer_named(struct source *source)
{
    const kp_list *named = &source->config->shards;

    for (size_t i = 0; i < named->count && !source->has_listed; i++) {
        if (find(source, named->items[i]))
            continue;
        complain(source, named->items[i]);
        return false;
    }
    for (size_t i = 0; i < named->count; i++) {
        const struct listed_shard *listed = find(source, named->items[i]);

        if (listed)
            offer(source, listed);
    }
    return true;
}

static bool offer_all(struct source *source)
{
    static const char *const words[] = {"TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"};
    kp_offer all = {.size = sizeof(all),
                    .begin = words[source->config->start],
                    .is_fixed = source->config->shards.count > 0};

    if (all.is_fixed && !offer_named(source))
        return false;
    for (size_t i = 0; i < source->n_listed && !all.is_fixed; i++)
        offer(source, &source->listed[i]);
    kp->lanes_offered(source->node, &all);
    return true;
}

void discover_caught_up(struct source *source)
{
    if (source->epoch == source->told_epoch)
        return;
    if (discover_offers(source) && (source->listed_epoch < source->epoch || source->list_call))
        return;
    for (const struct shard *shard = source->shards; shard; shard = shard->next)
        if (shard->state != SHARD_CLOSED && shard->caught_epoch < source->epoch)
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
    source->n_listed = 0;
    source->listing_epoch = source->epoch;
    send_page(source, NULL);
}

static void list_failed(struct source *source, const kp_aws_response *response)
{
    const kp_resource *stream = source->config->stream;
    enum calls_error error = calls_judge(response);
    bool missing = error == CALLS_MISSING && source->config->wait;

    forget(source);
    if (!missing && error != CALLS_AGAIN &&
        strcmp(response->error, "ExpiredNextTokenException") != 0) {
        (void)calls_fail(source->node, "ListShards", stream, response);
        source->has_failed = true;
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
    bool again = source->list_again, is_fine;

    source->has_complained = false;
    source->list_tries = 0;
    source->list_again = false;
    end_missing(source);
    is_fine = !discover_offers(source) || offer_all(source);
    forget(source);
    if (!is_fine)
        return;
    source->has_listed = true;
    source->listed_epoch = source->listing_epoch;
    if (again)
        discover_now(source);
    else if (!source->list_call && discover_offers(source))
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

void discover_stop(struct source *source)
{
    source->timers->stop(source->list_timer);
    if (source->list_call)
        source->aws->cancel(source->list_call);
    source->list_call = NULL;
}

void discover_fini(struct source *source)
{
    if (source->list_call)
        source->aws->cancel(source->list_call);
    source->list_call = NULL;
    forget(source);
    kpw_buf_fini(&source->list_body);
}
