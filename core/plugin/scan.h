/* scan.h - looks at plugins in a child process, so that a crash costs one line.
 *
 * One child looks at many files; it is replaced when it dies or hangs.
 *
 * Threads: main, before others run (it forks).
 */
#ifndef KPIPE_PLUGIN_SCAN_H
#define KPIPE_PLUGIN_SCAN_H

#include <kpipe/plugin.h>
#include <stddef.h>

struct scan_job {
    char *const *paths;
    size_t n;
    const kp_host *host;
    int64_t limit_ms; /* for opening one file */
    /* Called for every problem of paths[i]; a file without a call is fine. */
    void (*problem)(void *arg, size_t i, const char *text);
    /* Called for every element of a file that was fine so far; NULL: not wanted. */
    void (*element)(void *arg, size_t i, kp_kind kind, const char *name);
    void *arg;
};

void scan_files(const struct scan_job *job);

/* Opens a plugin for good; NULL: what dlerror() says is in `problem`. */
const kp_plugin *scan_open(const char *path, const kp_host *host, char *problem, size_t cap);

#endif
