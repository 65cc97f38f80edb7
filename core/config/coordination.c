/* coordination.c - see coordination.h. */
#include "core/config/coordination.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

enum { MIN_TABLE = 3, MAX_TABLE = 255 }; /* characters of a DynamoDB table's name */

#define OF(member) offsetof(struct coordination_config, member)

const kp_option coordination_rows[] = {
    {"layout", KP_T_ENUM, OF(layout), "auto", "auto|kcl2|kcl3-tables|kcl3-single",
     "the other workers are KCL 1.x or 2.x, 3.0 to 3.4, 3.5; auto: found out, or none", NULL},
    {"failover_time", KP_T_DURATION, OF(failover_ms), "10s", "1s..10m",
     "others take what is not renewed for so long; all workers' failoverTimeMillis", NULL},
    {"graceful_lease_handoff_timeout", KP_T_DURATION, OF(hand_over_ms), "30s", "1s..10m",
     "how long the records in hand may take when a lease is handed over", NULL},
    {"max_leases_for_worker", KP_T_INT, OF(max_leases), "0", "0..1000000",
     "most shards of one process; 0: no limit", NULL},
    {"max_leases_to_steal_at_one_time", KP_T_INT, OF(max_steals), "1", "1..1000000",
     "leases asked of a busier worker in one round", NULL},
    {"lease_assignment_strategy", KP_T_ENUM, OF(strategy), "worker-utilization-aware",
     "worker-utilization-aware|lease-count-based",
     "as leader of KCL 3 workers: the load is shared, or the number of leases", NULL},
    {"worker_identifier", KP_T_STRING, OF(worker), KP_OPTIONAL, NULL,
     "of no other living process, kpipe: is put before it; default: host:pid:time", NULL},
    {0},
};

/* What every client can print and every table can keep. */
static bool is_printable(const char *id)
{
    for (; *id; id++)
        if (*id <= ' ' || *id > '~')
            return false;
    return true;
}

void coordination_check(struct schema *schema, const struct coordination_config *config)
{
    struct key_path group = {NULL, "coordination", 0};
    struct key_path worker = {&group, "worker_identifier", 0};
    const char *id = config->worker;

    if (!id)
        return;
    if (!*id || strlen(id) > 255 || !is_printable(id))
        schema_problem(schema, &worker,
                       "is of 1 to 255 visible ASCII characters without spaces, got \"%.40s\"", id);
}

void coordination_check_tables(struct schema *schema, const struct plan *plan, bool has_application)
{
    struct key_path path = {NULL, has_application ? "application" : "name", 0};

    if (strcmp(plan->leases, "dynamodb") != 0)
        return;
    for (size_t i = 0; i < plan->n_flows; i++) {
        char *table = plan_lease_table(plan, i);
        size_t len = table ? strlen(table) : MIN_TABLE;
        bool is_wrong = len < MIN_TABLE || len > MAX_TABLE;

        if (is_wrong)
            schema_problem(schema, &path,
                           "the lease table of flow '%s' would be called '%.40s'%s, and DynamoDB "
                           "takes 3 to 255 characters; give the pipeline another `application`",
                           plan->flows[i].name, table, len > 40 ? " ..." : "");
        free(table);
        if (is_wrong)
            return;
    }
}

struct plan_coordination coordination_of(const struct coordination_config *config, void *values)
{
    return (struct plan_coordination){.layout = (enum plan_layout)config->layout,
                                      .failover_ms = config->failover_ms,
                                      .hand_over_ms = config->hand_over_ms,
                                      .max_leases = (size_t)config->max_leases,
                                      .max_steals = (size_t)config->max_steals,
                                      .by_count = config->strategy == 1,
                                      .worker = config->worker,
                                      .values = values};
}

char *plan_lease_table(const struct plan *plan, size_t flow)
{
    bool is_first = true;

    if (plan->flows[flow].nodes[0].element->flags & KP_REQUEST)
        return NULL;
    for (size_t i = 0; i < flow; i++)
        is_first &= !(plan->flows[i].nodes[0].element->flags & KP_STREAM);
    if (is_first && plan->flows[flow].nodes[0].element->flags & KP_STREAM)
        return mem_dup(plan->application);
    return mem_fmt("%s-%s", plan->application, plan->flows[flow].name);
}
