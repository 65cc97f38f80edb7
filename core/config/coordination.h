/* coordination.h - coordination = { ... } of a pipeline: how its processes share the lease table.
 *
 * The options have the names of the Kinesis Client Library in kpipe's spelling, and mean the same.
 *
 * Threads: main.
 */
#ifndef KPIPE_CONFIG_COORDINATION_H
#define KPIPE_CONFIG_COORDINATION_H

#include <stdint.h>

#include "core/config/plan.h"
#include "core/config/schema.h"

struct coordination_config {
    int layout, strategy;
    int64_t failover_ms, hand_over_ms, max_leases, max_steals;
    const char *worker; /* [borrowed from the arena] NULL: not given */
};

/* Rows of a KP_T_GROUP whose config is a struct coordination_config. */
extern const kp_option coordination_rows[];

/* What no row can say; complaints go to `schema`. */
void coordination_check(struct schema *schema, const struct coordination_config *config);

/* The names that the flows' lease tables will have; for a plan whose flows could be read. */
void coordination_check_tables(struct schema *schema, const struct plan *plan,
                               bool has_application);

/* `values` is the group as it was understood. */
struct plan_coordination coordination_of(const struct coordination_config *config, void *values);

#endif
