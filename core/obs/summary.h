/* summary.h - the outcome of a run as JSON, for `kpipe run --summary FILE`.
 *
 *   {"pipeline":"pattern4","exit_code":3,"seconds":61.2,"cpu_seconds":9.1,"peak_rss_bytes":...,
 *    "read":..,"delivered":..,"filtered":..,"dead_lettered":..,"retried":..,"unsettled":..,
 *    "flows":{"enrich":{... the same six ..., "stages":[{"stage":"kinesis","kind":"source",..}],
 *      "lanes":{"shardId-000000000000":{"records":..,"millis_behind_latest":0,..},..}}}}
 *
 * "lanes" has what a source counts of each lane, also of those that have ended; at most 1,000, then
 * the ones furthest behind, and "lanes_left_out" says how many more there are. The counters of all
 * lanes, added up, are in the "counters" of the source.
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
