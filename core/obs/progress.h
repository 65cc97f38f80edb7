/* progress.h - what a run shows of itself: a live table, log lines, the balance at the end.
 *
 * Threads: main.
 */
#ifndef KPIPE_OBS_PROGRESS_H
#define KPIPE_OBS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct host;

struct progress {
    bool is_live;     /* standard error is a terminal: the table is redrawn in place */
    int rows;         /* of the table as it stands on the screen */
    int64_t said_ms;  /* last log line, monotonic */
    int64_t drawn_ms; /* of the rates */
    uint64_t *read;   /* [owned] per flow, at drawn_ms */
};

void progress_init(struct progress *progress, bool is_quiet);
void progress_fini(struct progress *progress);
/* Fits host_options.progress. */
void progress_show(struct host *host, void *progress);
/* Takes the table off the screen. */
void progress_clear(struct progress *progress);

/* "read 119,996, delivered 5,999, ..." per flow. */
void progress_balance(struct host *host, FILE *out);

#endif
