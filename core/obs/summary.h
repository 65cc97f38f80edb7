/* summary.h - the outcome of a run as JSON, for `kpipe run --summary FILE`.
 *
 *   {"pipeline":"pattern4","exit_code":3,"seconds":61.2,"cpu_seconds":9.1,"peak_rss_bytes":...,
 *    "read":..,"delivered":..,"filtered":..,"dead_lettered":..,"retried":..,"unsettled":..,
 *    "flows":{"enrich":{... the same six ..., "stages":[{"stage":"kinesis","kind":"source",..}]}}}
 *
 * Threads: main.
 */
#ifndef KPIPE_OBS_SUMMARY_H
#define KPIPE_OBS_SUMMARY_H

#include <stdbool.h>

struct error;
struct host;

/* Writes beside `path` and renames, so that a reader never sees half of it; into a device or pipe.
 */
bool summary_write(struct host *host, int exit_code, const char *path, struct error *err);

#endif
