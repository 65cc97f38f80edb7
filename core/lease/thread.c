/* thread.c - see thread.h. */
#include "core/lease/thread.h"

#include <stdlib.h>
#include <string.h>

#include "core/aws/aws_client.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/lease/dynamodb.h"
#include "core/lease/file.h"
#include "core/lease/memory.h"
#include "core/net/http_client.h"
#include "core/net/inbox.h"

enum { LOOK_SHARE = 50, LOOK_PAUSE_NS = 50000000 };

struct kept {
    struct lease_thread *thread;
    uint32_t flow;
    struct fleet *fleet;         /* [owned] NULL: the flow keeps no position */
    struct lease_io *io;         /* [borrowed from fleet] */
    struct memory_table *memory; /* [owned] of "none" */
    char *table;                 /* [owned] */
    bool is_shared, is_open, is_loaded;
    _Atomic uint64_t listings, listings_done;
};

struct lease_thread {
    uv_loop_t loop;
    uv_thread_t id;
    struct inbox inbox;
    uv_timer_t timer;
    uv_prepare_t prepare;
    struct http_client *http; /* [owned] */
    struct aws_client *aws;   /* [owned] */
    struct lease_file *file;  /* [owned] */
    struct lease_thread_ops ops;
    void *arg;
    struct kept *kept; /* [owned] one per flow */
    uint32_t n_kept;
    bool is_releasing, is_silent;
    int64_t again_ns; /* fleets are not looked at before, monotonic; see pace() */
    _Atomic bool is_loaded, is_released, has_failed;
    char *failure; /* [owned] set once, before has_failed */
    enum error_kind failure_kind;
};

/* ---- what fleets tell */

static void fail(struct lease_thread *thread, enum error_kind kind, const char *text)
{
    if (thread->has_failed)
        return;
    thread->failure_kind = kind;
    thread->failure = mem_dup(text);
    thread->has_failed = true;
    thread->ops.changed(thread->arg);
}

static void granted(void *arg, struct lease_row *row)
{
    struct kept *kept = arg;

    if (!kept->thread->is_silent)
        kept->thread->ops.grant(kept->thread->arg, kept->flow, row);
}

static void revoked(void *arg, struct lease_row *row, bool is_lost)
{
    struct kept *kept = arg;

    if (!kept->thread->is_silent)
        kept->thread->ops.revoke(kept->thread->arg, kept->flow, row, is_lost);
}

static void list_wanted(void *arg)
{
    struct kept *kept = arg;

    if (!kept->thread->is_silent)
        kept->thread->ops.list(kept->thread->arg, kept->flow);
}

static void failed(void *arg, const char *text)
{
    struct kept *kept = arg;

    fail(kept->thread, ERROR_FAILED, text);
}

static const struct fleet_ops fleet_ops = {granted, revoked, list_wanted, failed};

/* ---- the loop */

/* A source that shares nothing must have its table for itself. */
static bool is_alone(struct kept *kept)
{
    enum fleet_others others = kept->is_shared ? FLEET_ALONE : fleet_others(kept->fleet);
    char *text;

    if (others != FLEET_OTHERS)
        return others == FLEET_ALONE;
    text = mem_fmt("another process renews the leases of table %s: this flow's source cannot be "
                   "shared; give the pipeline another `application`",
                   kept->table);
    fail(kept->thread, ERROR_FAILED, text);
    free(text);
    return false;
}

static void look_loaded(struct lease_thread *thread)
{
    bool all = true;

    if (thread->is_loaded)
        return;
    for (uint32_t i = 0; i < thread->n_kept; i++) {
        struct kept *kept = &thread->kept[i];

        if (kept->fleet && !kept->is_loaded)
            kept->is_loaded = fleet_has_scanned(kept->fleet) && is_alone(kept);
        all &= !kept->fleet || kept->is_loaded;
    }
    if (!all || thread->has_failed)
        return;
    thread->is_loaded = true;
    thread->ops.changed(thread->arg);
}

static void look_released(struct lease_thread *thread)
{
    if (!thread->is_releasing || thread->is_released)
        return;
    for (uint32_t i = 0; i < thread->n_kept; i++)
        if (thread->kept[i].fleet && thread->kept[i].is_open &&
            !fleet_is_released(thread->kept[i].fleet))
            return;
    thread->is_released = true;
    thread->ops.changed(thread->arg);
}

static void rang(uv_timer_t *timer)
{
    (void)timer; /* only wakes the loop */
}

/* A look goes through all rows, and every reply asks for one: with 1,000 leases, of which 300 are
 * renewed in a second, that would be most of what an idle process does. So looks take a fiftieth of
 * the time at most; with few rows that is always. False: not now, the timer comes. */
static bool is_time(struct lease_thread *thread, int64_t now_ns)
{
    if (now_ns >= thread->again_ns || thread->is_releasing)
        return true;
    uv_timer_start(&thread->timer, rang, (uint64_t)((thread->again_ns - now_ns) / 1000000 + 1), 0);
    return false;
}

static void pace(struct lease_thread *thread, int64_t began_ns)
{
    int64_t now_ns = clock_mono_ns(), pause = (now_ns - began_ns) * (LOOK_SHARE - 1);

    if (pause > LOOK_PAUSE_NS)
        pause = LOOK_PAUSE_NS;
    thread->again_ns = pause >= 1000000 ? now_ns + pause : 0;
}

static void run_fleets(uv_prepare_t *prepare)
{
    struct lease_thread *thread = prepare->data;
    int64_t next = INT64_MAX, now, began_ns = clock_mono_ns();

    if (!is_time(thread, began_ns))
        return;
    for (uint32_t i = 0; i < thread->n_kept; i++) {
        struct kept *kept = &thread->kept[i];
        uint64_t grants = kept->fleet ? fleet_grants(kept->fleet) : 0;
        bool was_settled = kept->fleet && fleet_is_settled(kept->fleet);
        int64_t at;

        if (!kept->fleet || !kept->is_open)
            continue;
        at = fleet_run(kept->fleet);
        next = at < next ? at : next;
        if (grants != fleet_grants(kept->fleet) || was_settled != fleet_is_settled(kept->fleet))
            thread->ops.changed(thread->arg);
    }
    look_loaded(thread);
    look_released(thread);
    pace(thread, began_ns);
    uv_update_time(&thread->loop);
    now = clock_mono_ms();
    if (next == INT64_MAX)
        uv_timer_stop(&thread->timer);
    else
        uv_timer_start(&thread->timer, rang, next > now ? (uint64_t)(next - now) : 0, 0);
}

static void thread_main(void *arg)
{
    struct lease_thread *thread = arg;

    uv_run(&thread->loop, UV_RUN_DEFAULT);
}

/* ---- life */

static void opened(void *arg, const struct error *err)
{
    struct kept *kept = arg;

    if (err)
        fail(kept->thread, err->kind, err->text);
    else
        kept->is_open = true;
}

static void keep_flow(struct lease_thread *thread, const struct lease_thread_config *config,
                      uint32_t flow)
{
    struct kept *kept = &thread->kept[flow];
    const struct lease_flow *f = &config->flows[flow];

    kept->thread = thread;
    kept->flow = flow;
    if (!f->table)
        return;
    kept->is_shared = f->is_shared;
    kept->table = mem_dup(f->table);
    if (thread->file) {
        kept->io = lease_file_io(thread->file, f->name);
    } else if (!strcmp(config->leases, "none")) {
        kept->memory = memory_table_new(f->table);
        kept->io = memory_io_new(kept->memory, &thread->loop, true);
    } else {
        kept->io =
            dynamodb_io_new(&(struct dynamodb_io_config){.aws = thread->aws,
                                                         .loop = &thread->loop,
                                                         .table = f->table,
                                                         .region = aws_config_region(config->aws),
                                                         .is_private = config->is_private,
                                                         .failover_ms = config->fleet.failover_ms});
    }
    kept->fleet = fleet_new(&config->fleet, kept->io, &fleet_ops, kept);
    if (thread->aws)
        dynamodb_io_open(kept->io, opened, kept);
    else
        kept->is_open = true;
}

static bool make_clients(struct lease_thread *thread, const struct lease_thread_config *config,
                         struct error *err)
{
    if (!strncmp(config->leases, "file:", 5)) {
        thread->file = lease_file_new(config->leases + 5, config->application, &thread->loop, err);
        return thread->file != NULL;
    }
    if (!strcmp(config->leases, "none"))
        return true;
    thread->http = http_client_new(&thread->loop, err);
    if (!thread->http)
        return false;
    thread->aws = aws_client_new(&thread->loop, thread->http, config->aws);
    return true;
}

static void free_parts(struct lease_thread *thread)
{
    for (uint32_t i = 0; i < thread->n_kept; i++) {
        fleet_free(thread->kept[i].fleet);
        thread->kept[i].fleet = NULL;
        memory_table_free(thread->kept[i].memory);
    }
    lease_file_free(thread->file);
    aws_client_free(thread->aws);
    http_client_free(thread->http);
    uv_close((uv_handle_t *)&thread->timer, NULL);
    uv_close((uv_handle_t *)&thread->prepare, NULL);
    inbox_fini(&thread->inbox);
}

static void free_rest(struct lease_thread *thread)
{
    if (uv_loop_close(&thread->loop))
        bug("the lease thread ended with open handles on its loop");
    for (uint32_t i = 0; i < thread->n_kept; i++)
        free(thread->kept[i].table);
    free(thread->kept);
    free(thread->failure);
    free(thread);
}

struct lease_thread *lease_thread_new(const struct lease_thread_config *config, struct error *err)
{
    struct lease_thread *thread = mem_new(sizeof *thread);
    bool ok;
    int code;

    uv_loop_init(&thread->loop);
    inbox_init(&thread->inbox, &thread->loop);
    uv_timer_init(&thread->loop, &thread->timer);
    uv_prepare_init(&thread->loop, &thread->prepare);
    thread->prepare.data = thread;
    uv_prepare_start(&thread->prepare, run_fleets);
    thread->ops = config->ops;
    thread->arg = config->arg;
    thread->kept = mem_new((config->n_flows + 1) * sizeof *thread->kept);
    ok = make_clients(thread, config, err);
    for (uint32_t i = 0; ok && i < config->n_flows; i++) {
        thread->n_kept++;
        keep_flow(thread, config, i);
    }
    code = ok ? uv_thread_create(&thread->id, thread_main, thread) : 0;
    if (code)
        error_set(err, ERROR_SYSTEM, "cannot start the lease thread: %s", uv_strerror(code));
    if (ok && !code)
        return thread;
    free_parts(thread);
    uv_run(&thread->loop, UV_RUN_DEFAULT);
    free_rest(thread);
    return NULL;
}

struct message {
    struct post post; /* must be first */
    struct lease_thread *thread;
    struct lease_row *row;
    struct listing *listing; /* [owned] */
    uint32_t flow;
};

static void do_silence(void *arg)
{
    ((struct lease_thread *)arg)->is_silent = true;
}

void lease_thread_silence(struct lease_thread *thread)
{
    inbox_call(&thread->inbox, do_silence, thread);
}

bool lease_thread_is_silent(const struct lease_thread *thread)
{
    return thread->is_silent;
}

static void do_end(struct post *post)
{
    free_parts(((struct message *)(void *)post)->thread);
}

void lease_thread_free(struct lease_thread *thread)
{
    struct message end = {.post.run = do_end, .thread = thread};

    if (!thread)
        return;
    inbox_post(&thread->inbox, &end.post);
    uv_thread_join(&thread->id);
    free_rest(thread);
}

/* ---- [any] */

static struct message *message_new(struct lease_thread *thread, void (*run)(struct post *post))
{
    struct message *message = mem_new(sizeof *message);

    message->post.run = run;
    message->thread = thread;
    return message;
}

bool lease_thread_is_loaded(const struct lease_thread *thread)
{
    return thread->is_loaded;
}

const char *lease_thread_failure(const struct lease_thread *thread, enum error_kind *ret_kind)
{
    if (!thread->has_failed)
        return NULL;
    if (ret_kind)
        *ret_kind = thread->failure_kind;
    return thread->failure;
}

static void do_begin(struct post *post)
{
    struct lease_thread *thread = ((struct message *)(void *)post)->thread;

    for (uint32_t i = 0; i < thread->n_kept; i++)
        if (thread->kept[i].fleet)
            fleet_begin(thread->kept[i].fleet);
    free(post);
}

void lease_thread_begin(struct lease_thread *thread)
{
    inbox_post(&thread->inbox, &message_new(thread, do_begin)->post);
}

static void do_list(struct post *post)
{
    struct message *message = (struct message *)(void *)post;
    struct kept *kept = &message->thread->kept[message->flow];

    fleet_list(kept->fleet, message->listing);
    kept->listings_done++; /* after is_settled was taken back */
    free(message);
}

void lease_thread_list(struct lease_thread *thread, uint32_t flow, struct listing *listing)
{
    struct message *message;

    if (!thread->kept[flow].fleet) {
        listing_free(listing);
        return;
    }
    message = message_new(thread, do_list);
    message->flow = flow;
    message->listing = listing;
    thread->kept[flow].listings++;
    inbox_post(&thread->inbox, &message->post);
}

static void do_drained(struct post *post)
{
    struct message *message = (struct message *)(void *)post;

    fleet_drained(message->row->fleet, message->row);
    free(message);
}

void lease_thread_drained(struct lease_thread *thread, struct lease_row *row)
{
    struct message *message = message_new(thread, do_drained);

    message->row = row;
    inbox_post(&thread->inbox, &message->post);
}

static void do_release(struct post *post)
{
    struct lease_thread *thread = ((struct message *)(void *)post)->thread;

    thread->is_releasing = true;
    for (uint32_t i = 0; i < thread->n_kept; i++)
        if (thread->kept[i].fleet)
            fleet_release(thread->kept[i].fleet);
    free(post);
}

void lease_thread_release(struct lease_thread *thread)
{
    inbox_post(&thread->inbox, &message_new(thread, do_release)->post);
}

bool lease_thread_is_released(const struct lease_thread *thread)
{
    return thread->is_released;
}

bool lease_thread_is_settled(const struct lease_thread *thread, uint32_t flow)
{
    const struct kept *kept = &thread->kept[flow];

    return !kept->fleet || !kept->is_shared ||
           (kept->listings_done == kept->listings && fleet_is_settled(kept->fleet));
}

uint64_t lease_thread_grants(const struct lease_thread *thread, uint32_t flow)
{
    return thread->kept[flow].fleet ? fleet_grants(thread->kept[flow].fleet) : 0;
}

struct lease_row *lease_thread_own(struct lease_thread *thread, uint32_t flow, const char *lane)
{
    return thread->kept[flow].fleet ? fleet_own(thread->kept[flow].fleet, lane) : NULL;
}

void lease_thread_wake(struct lease_thread *thread)
{
    inbox_wake(&thread->inbox);
}
