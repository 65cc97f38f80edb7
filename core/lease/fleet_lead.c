/* fleet_lead.c - beside KCL 3: what is known of the workers, our own metrics, and the lock.
 *
 * In a fleet of KCL 3 nobody takes: the holder of the lock assigns. So we say how
 * loaded we are, try for the lock like everybody, and assign when we have it.
 * When no worker but kpipe's own says anything any more, we go back to taking: then
 * nobody has to wait until a dead leader's lock runs out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/lease/fleet_internal.h"

enum {
    METRICS_MS = 30000, /* KCL's workerMetricsReporterFreq */
    STALE_S = 60,       /* twice that: such a worker is not there */
    DROP_S = 86400,     /* staleWorkerMetricsEntryCleanupDuration */
    LOCK_MS = 120000,   /* dynamoDbLockBasedLeaderLeaseDuration */
    BEAT_MS = 30000,    /* ...LeaderHeartbeatPeriod */
    RETRY_MS = 2000,
};

/* ---- what the table says */

bool lead_is_fresh(const struct fleet *fleet, const struct lease_worker *worker)
{
    return !worker->has_failed && fleet->io->wall_s(fleet->io) - worker->updated_s <= STALE_S;
}

static bool is_version(const struct fleet *fleet, const char *version)
{
    return fleet->client_version && !strcmp(fleet->client_version, version);
}

/* Who says who reads what? */
static bool find_assigned(const struct fleet *fleet)
{
    if (fleet->config.layout == FLEET_KCL2)
        return false;
    if (is_version(fleet, "CLIENT_VERSION_2X") ||
        is_version(fleet, "CLIENT_VERSION_UPGRADE_FROM_2X"))
        return false;
    if (fleet->config.layout != FLEET_AUTO)
        return true;
    for (size_t i = 0; i < fleet->n_workers; i++)
        if (!fleet_is_kpipe(fleet->workers[i].id) && lead_is_fresh(fleet, &fleet->workers[i]))
            return true;
    return false;
}

struct lead_note *lead_note(struct fleet *fleet, const char *id)
{
    for (size_t i = 0; i < fleet->n_notes; i++)
        if (fleet->notes[i].id && !strcmp(fleet->notes[i].id, id))
            return &fleet->notes[i];
    return NULL;
}

/* One for each worker there is; what was known of it stays. */
static void keep_notes(struct fleet *fleet)
{
    struct lead_note *notes = mem_new((fleet->n_workers + 1) * sizeof *notes);

    for (size_t i = 0; i < fleet->n_workers; i++) {
        struct lead_note *before = lead_note(fleet, fleet->workers[i].id);

        notes[i] = before ? *before : (struct lead_note){0};
        if (before)
            before->id = NULL;
        else
            notes[i].id = mem_dup(fleet->workers[i].id);
    }
    for (size_t i = 0; i < fleet->n_notes; i++)
        free(fleet->notes[i].id);
    free(fleet->notes);
    fleet->notes = notes;
    fleet->n_notes = fleet->n_workers;
}

static void keep_workers(struct fleet *fleet, const struct lease_scan *scan)
{
    for (size_t i = 0; i < fleet->n_workers; i++)
        free(fleet->workers[i].id);
    free(fleet->workers);
    fleet->workers = mem_new((scan->n_workers + 1) * sizeof *fleet->workers);
    fleet->n_workers = scan->n_workers;
    for (size_t i = 0; i < scan->n_workers; i++) {
        fleet->workers[i] = scan->workers[i];
        fleet->workers[i].id = mem_dup(scan->workers[i].id);
    }
    keep_notes(fleet);
}

static void set_lock(struct fleet *fleet, const struct lease_lock *lock, int64_t now)
{
    bool is_same = lock->version && fleet->lock_item.version &&
                   !strcmp(lock->version, fleet->lock_item.version) &&
                   lock->is_released == fleet->lock_item.is_released;

    if (is_same)
        return;
    free(fleet->lock_item.owner);
    free(fleet->lock_item.version);
    fleet->lock_item = *lock;
    fleet->lock_item.owner = lock->owner ? mem_dup(lock->owner) : NULL;
    fleet->lock_item.version = lock->version ? mem_dup(lock->version) : NULL;
    fleet->lock_moved_ms = now;
}

void lead_learn(struct fleet *fleet, const struct lease_scan *scan, int64_t sent_ms, int64_t now)
{
    bool was_assigned = fleet->is_assigned;
    /* It may tell of the lock as it stood before our own write. */
    bool is_old = fleet->is_locking || sent_ms <= fleet->lock_done_ms;

    keep_workers(fleet, scan);
    free(fleet->client_version);
    fleet->client_version = scan->client_version ? mem_dup(scan->client_version) : NULL;
    if (fleet->config.layout == FLEET_AUTO)
        fleet->layout = scan->has_kcl3_items    ? LEASE_LAYOUT_KCL3_SINGLE
                        : scan->has_kcl3_tables ? LEASE_LAYOUT_KCL3_TABLES
                                                : LEASE_LAYOUT_KCL2;
    fleet->is_assigned = find_assigned(fleet);
    fleet->writes_metrics =
        fleet->is_assigned || is_version(fleet, "CLIENT_VERSION_UPGRADE_FROM_2X");
    if (fleet->is_assigned != was_assigned)
        log_info("leases.mode", "table=%s mode=%s", fleet->io->table,
                 fleet->is_assigned ? "assigned" : "taken");
    if (is_old)
        return;
    set_lock(fleet, &scan->lock, now);
    if (fleet->is_leader && !(scan->lock.owner && !strcmp(scan->lock.owner, fleet->me))) {
        log_warn("leases.deposed", "table=%s by=%s", fleet->io->table,
                 scan->lock.owner ? scan->lock.owner : "-");
        fleet->is_leader = false;
    }
}

/* ---- our own metrics */

/* Busy share of all CPUs since the last time, per cent; below 0: not known. /proc/stat, proc(5). */
static double cpu_load(struct fleet *fleet)
{
    unsigned long long v[8] = {0};
    uint64_t busy, all = 0;
    double load = -1;
    FILE *file = fopen("/proc/stat", "re");

    if (!file)
        return -1;
    if (fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3],
               &v[4], &v[5], &v[6], &v[7]) == 8) {
        for (int i = 0; i < 8; i++)
            all += v[i];
        busy = all - v[3] - v[4]; /* idle, iowait */
        if (fleet->cpu_all && all > fleet->cpu_all)
            load = (double)(busy - fleet->cpu_busy) * 100 / (double)(all - fleet->cpu_all);
        fleet->cpu_busy = busy;
        fleet->cpu_all = all;
    }
    fclose(file);
    return load;
}

/* In the currency of the others: CPU where they say it, else throughput (KCL's default metric). */
static bool others_say_cpu(const struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->n_workers; i++)
        if (strcmp(fleet->workers[i].id, fleet->me) != 0 &&
            lead_is_fresh(fleet, &fleet->workers[i]) && fleet->workers[i].cpu >= 0)
            return true;
    return false;
}

static void metrics_written(struct fleet_call *call, const struct lease_reply *reply)
{
    struct fleet *fleet = call->fleet;

    fleet->is_writing_metrics = false;
    if (reply->status == LEASE_DONE)
        return;
    if (fleet->is_releasing) /* it may stand there or not: it is not waited for */
        return;
    fleet->metrics_ms = fleet_now(fleet) - METRICS_MS + RETRY_MS;
    fleet_call_failed(call, reply);
}

static void write_metrics(struct fleet *fleet, int64_t now)
{
    double load = cpu_load(fleet);
    struct lease_call call = {.op = LEASE_METRICS,
                              .worker = {.id = fleet->me,
                                         .updated_s = fleet->io->wall_s(fleet->io),
                                         .cpu = others_say_cpu(fleet) ? load : -1,
                                         .cpu_limit = 100}};

    fleet->is_writing_metrics = fleet_call(fleet, NULL, &call, metrics_written) != NULL;
    if (!fleet->is_writing_metrics)
        return;
    fleet->metrics_ms = now;
    fleet->metrics_s = call.worker.updated_s;
}

static void metrics_dropped(struct fleet_call *call, const struct lease_reply *reply)
{
    (void)reply; /* whatever it is, the leases do not wait longer */
    call->fleet->is_writing_metrics = false;
    call->fleet->metrics_s = 0;
}

/* A leader must not give us what we are about to release: our metrics would be fresh for a minute.
 */
bool lead_has_left(struct fleet *fleet)
{
    struct lease_call call = {.op = LEASE_METRICS_DROP,
                              .worker = {.id = fleet->me, .updated_s = fleet->metrics_s}};

    if (fleet->metrics_s && !fleet->is_writing_metrics)
        fleet->is_writing_metrics = fleet_call(fleet, NULL, &call, metrics_dropped) != NULL;
    return !fleet->metrics_s && !fleet->is_writing_metrics;
}

static void dropped(struct fleet_call *call, const struct lease_reply *reply)
{
    if (reply->status == LEASE_FAILED)
        fleet_call_failed(call, reply);
}

static void drop_old_metrics(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->n_workers; i++) {
        struct lease_call call = {.op = LEASE_METRICS_DROP, .worker = fleet->workers[i]};

        if (fleet->io->wall_s(fleet->io) - fleet->workers[i].updated_s > DROP_S)
            fleet_call(fleet, NULL, &call, dropped);
    }
}

/* ---- the lock */

static void lock_failed(struct fleet_call *call, const struct lease_reply *reply, int64_t now)
{
    struct fleet *fleet = call->fleet;

    free(fleet->lock_item.version); /* ours may stand there or not: the next scan says */
    fleet->lock_item.version = NULL;
    if (reply->status == LEASE_REFUSED) {
        if (fleet->is_leader)
            log_warn("leases.deposed", "table=%s by=-", fleet->io->table);
        fleet->is_leader = false;
    } else {
        fleet->beat_ms = now - BEAT_MS + RETRY_MS;
        fleet_call_failed(call, reply);
    }
    fleet->scan_ms = now;
}

static void locked(struct fleet_call *call, const struct lease_reply *reply)
{
    struct fleet *fleet = call->fleet;
    int64_t now = fleet_now(fleet);

    fleet->is_locking = false;
    fleet->beat_ms = fleet->lock_done_ms = now;
    if (reply->status == LEASE_DONE) {
        if (!fleet->is_leader) {
            log_info("leases.leader", "table=%s", fleet->io->table);
            fleet->balance_ms = now;
            fleet->scan_ms = now; /* what is assigned goes by a fresh look */
        }
        fleet->is_leader = true;
        fleet->lock_moved_ms = now;
    } else {
        lock_failed(call, reply, now);
    }
    if (fleet->is_releasing)
        lead_release(fleet);
}

static void send_lock(struct fleet *fleet, enum lease_op op)
{
    char version[KPW_UUID_SIZE];
    struct lease_call call = {.op = op, .lock_was = &fleet->lock_item};

    kpw_random_uuid(&fleet->random, version);
    if (!fleet->lock_item.owner)
        call.lock_was = NULL;
    call.lock = (struct lease_lock){.owner = fleet->me, .version = version, .duration_ms = LOCK_MS};
    fleet->is_locking = fleet_call(fleet, NULL, &call, locked) != NULL;
    if (!fleet->is_locking)
        return;
    /* As it will be, if it works. */
    call.lock.owner = mem_dup(fleet->me);
    call.lock.version = mem_dup(version);
    free(fleet->lock_item.owner);
    free(fleet->lock_item.version);
    fleet->lock_item = call.lock;
}

static bool may_lock(const struct fleet *fleet, int64_t now)
{
    const struct lease_lock *lock = &fleet->lock_item;
    int64_t duration = lock->duration_ms > 0 ? lock->duration_ms : LOCK_MS;

    if (!lock->owner || lock->is_released)
        return true;
    if (!strcmp(lock->owner, fleet->me)) /* a write of ours whose answer was lost */
        return lock->version != NULL;
    return lock->version && now - fleet->lock_moved_ms > duration;
}

static void unlocked(struct fleet_call *call, const struct lease_reply *reply)
{
    (void)reply;
    call->fleet->is_locking = call->fleet->is_leader = false;
}

void lead_release(struct fleet *fleet)
{
    struct lease_call call = {.op = LEASE_LOCK_RELEASE, .lock_was = &fleet->lock_item};

    if (fleet->is_locking) /* locked() comes back here */
        return;
    if (!fleet->is_leader || !fleet->lock_item.version) {
        fleet->is_leader = false;
        return;
    }
    call.lock = fleet->lock_item;
    call.lock.is_released = true;
    fleet->is_locking = fleet_call(fleet, NULL, &call, unlocked) != NULL;
    if (!fleet->is_locking)
        fleet->is_leader = false; /* it runs out by itself */
}

/* ---- what is due */

static void lock_run(struct fleet *fleet, int64_t now)
{
    if (fleet->is_locking)
        return;
    if (fleet->is_leader && now - fleet->lock_moved_ms > LOCK_MS - BEAT_MS / 2) {
        fleet->is_leader = false; /* it could not be renewed: others may have it */
    } else if (fleet->is_leader) {
        if (now - fleet->beat_ms >= BEAT_MS)
            send_lock(fleet, LEASE_LOCK_BEAT);
    } else if (may_lock(fleet, now)) {
        send_lock(fleet, LEASE_LOCK_TAKE);
    }
}

void lead_run(struct fleet *fleet, int64_t now)
{
    bool must_assign = fleet->must_assign;

    fleet->must_assign = false; /* a while after a scan all would seem late */
    if (fleet->writes_metrics && !fleet->is_writing_metrics &&
        (!fleet->metrics_ms || now - fleet->metrics_ms >= METRICS_MS))
        write_metrics(fleet, now);
    if (!fleet->is_assigned) {
        if (fleet->is_leader)
            lead_release(fleet);
        return;
    }
    lock_run(fleet, now);
    if (!fleet->is_leader || !must_assign || !fleet->has_begun)
        return;
    lead_assign(fleet, now);
    drop_old_metrics(fleet);
}

int64_t lead_next(const struct fleet *fleet)
{
    int64_t next = INT64_MAX;

    if (fleet->writes_metrics)
        next = fleet->metrics_ms + METRICS_MS;
    if (fleet->is_leader && fleet->beat_ms + BEAT_MS < next)
        next = fleet->beat_ms + BEAT_MS;
    return fleet->is_releasing ? INT64_MAX : next;
}

void lead_fini(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->n_notes; i++)
        free(fleet->notes[i].id);
    free(fleet->notes);
    for (size_t i = 0; i < fleet->n_workers; i++)
        free(fleet->workers[i].id);
    free(fleet->workers);
    free(fleet->client_version);
    free(fleet->lock_item.owner);
    free(fleet->lock_item.version);
}
