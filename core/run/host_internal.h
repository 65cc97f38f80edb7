/* host_internal.h - private to core/run: what the host's own files share.
 *
 *   host.c          the course of a run
 *   host_prepare.c  everything before the flows start
 *   host_end.c      draining, last checkpoints, closing
 *   host_stats.c    what can be looked at, and the catalog of plugins
 *
 * Threads: main.
 */
#ifndef KPIPE_RUN_HOST_INTERNAL_H
#define KPIPE_RUN_HOST_INTERNAL_H

#include <stdbool.h>

#include "core/run/host.h"

/* host.c */
void host_set_failure(struct host *host, const char *text); /* the first one counts */
bool host_fail(struct host *host, struct error *err);       /* always false */
void host_all_workers(struct host *host, void (*fn)(struct worker *worker, void *arg), void *arg);
/* fn on every flow that answers requests, or every other; arg is the flow's number. */
void host_flows_where(struct host *host, bool is_request,
                      void (*fn)(struct worker *worker, void *arg));
/* Checkpoints and progress that are due. */
void host_look_after(struct host *host);

/* host_prepare.c: false with err, but for host_prepare(), which keeps the failure itself */
bool host_start_local(struct host *host, struct error *err);
bool host_make_clients(struct host *host, struct error *err);
bool host_ensure(struct host *host, const char *action, struct error *err);
bool host_prepare(struct host *host);

/* host_end.c */
enum host_end host_drain(struct host *host);
void host_write_checkpoints(struct host *host);
void host_close_flows(struct host *host);

#endif
