/* lease_item.c - see lease_item.h. */
#include "core/lease/lease_item.h"

#include <kpipe/plugin.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

/* ---- attributes */

static const json_t *value_of(const json_t *item, const char *name, const char *type)
{
    return json_object_get(json_object_get(item, name), type);
}

static const char *text_of(const json_t *item, const char *name)
{
    return json_string_value(value_of(item, name, "S"));
}

static bool is_there(const json_t *item, const char *name)
{
    return json_object_get(item, name) != NULL;
}

/* *ret: a copy, NULL when there is no such attribute. False: it is there and no such text. */
static bool read_text(const json_t *item, const char *name, size_t max, char **ret)
{
    const char *text = text_of(item, name);

    if (text && strlen(text) > max)
        return false;
    *ret = mem_dup(text);
    return text || !is_there(item, name);
}

/* A count: digits alone. False: it is there and none. */
static bool read_count(const json_t *item, const char *name, uint64_t *ret)
{
    const char *text = json_string_value(value_of(item, name, "N"));
    uint64_t n = 0;

    if (!text)
        return !is_there(item, name);
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || n > (UINT64_MAX - 9) / 10)
            return false;
        n = n * 10 + (uint64_t)(*text - '0');
    }
    *ret = n;
    return true;
}

static bool read_double(const json_t *value, double *ret)
{
    const char *text = json_string_value(json_object_get(value, "N"));
    char *end;
    double number;

    if (!text || !*text || text[strspn(text, "0123456789+-.eE")])
        return false;
    number = strtod(text, &end);
    if (*end || !isfinite(number))
        return false;
    *ret = number;
    return true;
}

/* A string set of two at most; a shard has no more parents or children. */
static bool read_pair(const json_t *item, const char *name, char *ret[2])
{
    const json_t *set = value_of(item, name, "SS");

    if (!is_there(item, name))
        return true;
    if (!json_is_array(set) || json_array_size(set) > 2)
        return false;
    for (size_t i = 0; i < json_array_size(set); i++) {
        ret[i] = mem_dup(json_string_value(json_array_get(set, i)));
        if (!ret[i])
            return false;
    }
    return true;
}

/* ---- a lease */

#define MAX_KEY      2048 /* DynamoDB's */
#define MAX_HASH_KEY 39   /* digits of 2^128-1 */

static bool is_of_type(const json_t *item, const char *type)
{
    const char *text = text_of(item, "entityType");

    return text ? !strcmp(text, type) : !is_there(item, "entityType");
}

static bool read_fields(const json_t *item, struct lease *ret)
{
    return read_text(item, "leaseKey", MAX_KEY, &ret->key) && ret->key && *ret->key &&
           read_text(item, "leaseOwner", MAX_KEY, &ret->owner) &&
           read_text(item, "checkpointOwner", MAX_KEY, &ret->checkpoint_owner) &&
           is_there(item, "leaseCounter") && read_count(item, "leaseCounter", &ret->counter) &&
           read_count(item, "ownerSwitchesSinceCheckpoint", &ret->switches) &&
           read_text(item, "checkpoint", KP_POSITION_MAX, &ret->checkpoint) && ret->checkpoint &&
           *ret->checkpoint && read_count(item, "checkpointSubSequenceNumber", &ret->sub) &&
           read_text(item, "pendingCheckpoint", KP_POSITION_MAX, &ret->pending) &&
           read_count(item, "pendingCheckpointSubSequenceNumber", &ret->pending_sub);
}

static bool read_relations(const json_t *item, struct lease *ret)
{
    return read_pair(item, "parentShardId", ret->parents) &&
           read_pair(item, "childShardIds", ret->children) &&
           read_text(item, "startingHashKey", MAX_HASH_KEY, &ret->low) &&
           read_text(item, "endingHashKey", MAX_HASH_KEY, &ret->high);
}

bool lease_item_read(const json_t *item, struct lease *ret)
{
    double throughput = -1;

    *ret = (struct lease){0};
    if (!json_is_object(item) || !is_of_type(item, "LEASE") || !read_fields(item, ret) ||
        !read_relations(item, ret)) {
        lease_fini(ret);
        return false;
    }
    if (!read_double(json_object_get(item, "throughputKBps"), &throughput) || throughput < 0)
        throughput = -1; /* what it measures is no reason to leave a shard unread */
    ret->throughput = throughput;
    return true;
}

/* ---- metrics of a worker */

/* KCL's rule: each measure has a limit of 1..100 % and no newest value of -1, which says that
 * it could not be taken. */
static bool is_measure(const json_t *values, const json_t *range, double *ret_newest,
                       double *ret_limit)
{
    const json_t *list = json_object_get(values, "L"), *limits = json_object_get(range, "L");
    size_t n = json_array_size(list);

    return n && json_array_size(limits) && read_double(json_array_get(list, n - 1), ret_newest) &&
           read_double(json_array_get(limits, 0), ret_limit) && *ret_newest >= 0 &&
           *ret_limit >= 1 && *ret_limit <= 100;
}

static bool read_measures(const json_t *item, struct lease_worker *worker)
{
    json_t *stats = json_object_get(json_object_get(item, "sts"), "M");
    const json_t *ranges = value_of(item, "opr", "M");
    const char *name;
    json_t *values;

    if (!json_is_object(stats) || !json_is_object(ranges))
        return false;
    json_object_foreach(stats, name, values)
    {
        double newest, limit;

        if (!is_measure(values, json_object_get(ranges, name), &newest, &limit))
            return false;
        if (strcmp(name, "C") != 0)
            continue;
        worker->cpu = newest;
        worker->cpu_limit = limit;
    }
    return true;
}

/* False: it does not even say whose it is. */
static bool gather_worker(struct scan *scan, const char *key, const json_t *item)
{
    struct lease_worker worker = {.cpu = -1, .cpu_limit = 100};
    uint64_t updated_s = 0;

    if (!read_text(item, key, MAX_KEY, &worker.id) || !worker.id || !*worker.id) {
        free(worker.id);
        return false;
    }
    worker.has_failed = !is_there(item, "lut") || !read_count(item, "lut", &updated_s) ||
                        updated_s > INT64_MAX || !read_measures(item, &worker);
    if (worker.has_failed)
        worker.cpu = -1;
    worker.updated_s = updated_s > INT64_MAX ? 0 : (int64_t)updated_s;
    scan_worker(scan, &worker);
    return true;
}

/* ---- the lock, and where a migration stands */

#define MAX_DURATION_MS (INT64_C(365) * 24 * 3600 * 1000)
#define MAX_STATE       200

/* A duration is a text of digits: "120000". */
static int64_t duration_of(const json_t *item)
{
    const char *text = text_of(item, "leaseDuration");
    size_t n = text ? strspn(text, "0123456789") : 0;
    int64_t ms = n && n < 18 && !text[n] ? strtoll(text, NULL, 10) : 0;

    return ms < MAX_DURATION_MS ? ms : MAX_DURATION_MS;
}

static bool gather_lock(struct scan *scan, enum scan_place place, const json_t *item)
{
    const char *released = text_of(item, "isReleased");
    struct lease_lock lock = {.duration_ms = duration_of(item),
                              .is_released = released && !strcmp(released, "1")};

    if (read_text(item, "ownerName", MAX_KEY, &lock.owner) && lock.owner &&
        read_text(item, "recordVersionNumber", MAX_STATE, &lock.version) && lock.version) {
        scan_lock(scan, place, &lock);
        return true;
    }
    free(lock.owner);
    free(lock.version);
    return false;
}

static bool gather_text(char **at, const json_t *item, const char *name)
{
    char *text = NULL;

    if (!read_text(item, name, MAX_STATE, &text) || !text)
        return false;
    scan_text(at, text);
    return true;
}

/* One of the items with a name of their own. False: none of them. */
static bool gather_state(struct scan *scan, enum scan_place place, const char *key,
                         const json_t *item)
{
    const char *name = text_of(item, key);

    if (!name)
        return false;
    if (!strcmp(name, LEASE_ITEM_LOCK))
        return gather_lock(scan, place, item);
    if (!strcmp(name, LEASE_ITEM_VERSION))
        return gather_text(&scan->places[place].client_version, item, "cv");
    if (!strcmp(name, LEASE_ITEM_MIGRATION))
        return gather_text(&scan->places[place].table_migration, item, "tm");
    return text_of(item, "streamId") != NULL; /* on-boarding of a stream: nothing for us */
}

/* ---- any item */

static bool gather_of_leases(struct scan *scan, const json_t *item)
{
    struct lease lease;

    if (lease_item_read(item, &lease)) {
        scan_lease(scan, &lease);
        return true;
    }
    if ((is_there(item, "entityType") && is_of_type(item, "WORKER_METRIC_STATS") &&
         gather_worker(scan, "leaseKey", item)) ||
        gather_state(scan, SCAN_LEASE_TABLE, "leaseKey", item)) {
        scan->out.has_kcl3_items = true;
        return true;
    }
    return false;
}

void lease_item_gather(struct scan *scan, enum scan_place place, const json_t *item)
{
    bool is_known = place == SCAN_LEASE_TABLE ? gather_of_leases(scan, item)
                                              : gather_state(scan, place, "key", item) ||
                                                    gather_worker(scan, "wid", item);

    scan->out.n_strange += !is_known;
}
