/* describe.h - is what a plugin says about itself sane?
 *
 * Everything the host later relies on without looking again is checked here:
 * sizes, names, kinds, option rows. All problems are reported, not the first one.
 *
 * Threads: main, and the child that scans.
 */
#ifndef KPIPE_PLUGIN_DESCRIBE_H
#define KPIPE_PLUGIN_DESCRIBE_H

#include <kpipe/plugin.h>

/* One problem, one line, without the file's name. */
typedef void describe_report(void *arg, const char *text);

void describe_check(const kp_plugin *plugin, describe_report *report, void *arg);
const char *describe_kind(kp_kind kind); /* "source" */
const char *describe_type(kp_type type); /* "duration" */

#endif
