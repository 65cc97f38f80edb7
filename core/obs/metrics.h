/* metrics.h - `kpipe run --metrics ADDRESS`: what a run counts, for Prometheus, while it runs.
 *
 *   GET /metrics  text format 0.0.4: per stage, per lane (label "shard"), and of the process
 *   GET /live     200 while the process runs its loop
 *   GET /ready    200 once the flows have started and until they stop; else 503
 *
 * Names: kpipe_stage_* are the host's counts of a stage, kpipe_NAME_total what a plugin counts with
 * kp->count() or kp->lane_count() (the latter added up over all lanes there were), kpipe_lane_* the
 * figures of the lanes that are read now. No figure is kept for this: each answer is made of the
 * counters as they stand.
 *
 * Owned by: the caller.   Threads: main, on the host's loop.
 * Facts: Prometheus, "Exposition formats", text-based format version 0.0.4.
 */
#ifndef KPIPE_OBS_METRICS_H
#define KPIPE_OBS_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct host;
struct kpw_buf;
struct metrics;

/* Listens. `address` as http_listen.h has it, or a port alone, which is one of 127.0.0.1. NULL with
 * err: it cannot. */
struct metrics *metrics_open(struct host *host, const char *address, struct error *err);
/* NULL is fine. Before host_free(), which lets the loop end what is still open. */
void metrics_close(struct metrics *metrics);
uint32_t metrics_port(const struct metrics *metrics);
/* False: metrics_open() would refuse the address. */
bool metrics_is_address(const char *address);

/* The text of /metrics, appended to `out`. */
void metrics_write(const struct host *host, struct kpw_buf *out);

#endif
