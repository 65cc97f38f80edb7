/* dynamodb_scan.c - LEASE_SCAN: all pages of the lease table, then what KCL 3.0-3.4 has beside it.
 *
 * The two old tables are small (an item per worker; a few in all), so they are scanned
 * with it each time. One that is not there, or that we may not read, is looked for once a minute.
 */
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/lease/dynamodb_send.h"
#include "core/lease/lease_item.h"

#define LOOK_AGAIN_MS 60000

enum stage { STAGE_LEASES, STAGE_STATE, STAGE_METRICS, STAGES };

struct scanning {
    struct dynamodb_io *db;
    enum lease_layout layout;
    lease_fn fn;
    void *arg;
    enum stage stage;
    struct scan scan;
    int64_t sent_ms; /* of the first page */
};

static void dropped(void *arg)
{
    struct scanning *scanning = arg;

    scan_fini(&scanning->scan);
    free(scanning);
}

static struct dynamodb_beside *beside(const struct scanning *scanning)
{
    return scanning->stage == STAGE_STATE ? &scanning->db->state : &scanning->db->metrics;
}

static void answered(void *arg, const struct dynamodb_answer *answer);

static void ask(struct scanning *scanning, json_t *start)
{
    static const char *const ends[STAGES] = {"", REQUEST_STATE_TABLE, REQUEST_METRICS_TABLE};
    struct dynamodb_asker asker = {answered, dropped, scanning};
    char *table = mem_fmt("%s%s", scanning->db->table, ends[scanning->stage]);
    struct request request;

    request_scan(&request, table, start);
    dynamodb_send(scanning->db, &request, &asker);
    free(table);
}

static void fail(struct scanning *scanning, const struct dynamodb_answer *answer)
{
    struct lease_reply reply = {.status = LEASE_FAILED,
                                .error = answer->error,
                                .message = answer->message,
                                .is_final = answer->is_final,
                                .sent_ms = answer->first_ms};

    scanning->fn(scanning->arg, &reply);
    dropped(scanning);
}

static void finish(struct scanning *scanning)
{
    struct lease_scan found;
    struct lease_reply reply = {.status = LEASE_DONE, .scan = &found, .sent_ms = scanning->sent_ms};

    scanning->scan.out.has_kcl3_tables =
        scanning->db->state.is_there || scanning->db->metrics.is_there;
    scan_finish(&scanning->scan, scanning->layout, &found);
    scanning->fn(scanning->arg, &reply);
    lease_scan_fini(&found);
    free(scanning);
}

/* The next table that is worth asking, or the end. */
static void go_on(struct scanning *scanning)
{
    while (++scanning->stage < STAGES) {
        const struct dynamodb_beside *at = beside(scanning);

        if (at->is_there || !at->looked_ms || clock_mono_ms() - at->looked_ms >= LOOK_AGAIN_MS) {
            ask(scanning, NULL);
            return;
        }
    }
    finish(scanning);
}

static void gather(struct scanning *scanning, json_t *items)
{
    enum scan_place place = scanning->stage == STAGE_LEASES ? SCAN_LEASE_TABLE : SCAN_KCL3_TABLES;
    json_t *item;
    size_t i;

    json_array_foreach(items, i, item) lease_item_gather(&scanning->scan, place, item);
}

static void answered(void *arg, const struct dynamodb_answer *answer)
{
    struct scanning *scanning = arg;
    json_t *last;

    if (scanning->stage == STAGE_LEASES && !scanning->sent_ms)
        scanning->sent_ms = answer->sent_ms;
    if (answer->error) {
        if (scanning->stage == STAGE_LEASES || !answer->is_missing) {
            fail(scanning, answer);
            return;
        }
        *beside(scanning) = (struct dynamodb_beside){.looked_ms = clock_mono_ms()};
        go_on(scanning);
        return;
    }
    if (scanning->stage != STAGE_LEASES)
        beside(scanning)->is_there = true;
    gather(scanning, json_object_get(answer->body, "Items"));
    last = json_object_get(answer->body, "LastEvaluatedKey");
    if (json_object_size(last))
        ask(scanning, last);
    else
        go_on(scanning);
}

void dynamodb_scan(struct dynamodb_io *db, enum lease_layout layout, lease_fn fn, void *arg)
{
    struct scanning *scanning = mem_new(sizeof *scanning);

    *scanning = (struct scanning){.db = db, .layout = layout, .fn = fn, .arg = arg};
    ask(scanning, NULL);
}
