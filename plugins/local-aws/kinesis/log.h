/* log.h - the records of one shard in files: DIR/kinesis/STREAM/SHARD/FIRST-INDEX.seg.
 *
 * Only the last segment grows. What is put is gathered in memory as blocks (pending) and written in
 * groups: log_write_begin() takes all that is pending, log_write_run() writes it (on the pool when
 * it must reach the disk), log_write_end() makes it readable. A failed write is cut off again and
 * its indexes are never used again. In memory there is one mark per MiB of the last segment and
 * of the closed one that was searched last, and nothing per record.
 *
 * SHARD/tail notes a block of the last segment, about every 512 KiB and at the end: all before it
 * was good when it was written, so that a start proves what is behind it only.
 *
 * Threads: the service's worker; log_write_run() [any].
 */
#ifndef KPIPE_LOCAL_AWS_KINESIS_LOG_H
#define KPIPE_LOCAL_AWS_KINESIS_LOG_H

#include <sys/types.h>

#include "plugins/local-aws/kinesis/segment.h"

#define LOG_SEGMENT_MAX (64u << 20) /* bytes; a segment of this size is closed */
#define LOG_SEGMENT_MS  3600000     /* so is one whose first record is this old */

struct log_mark {
    uint64_t index, offset; /* of a block */
    int64_t arrival_ms;
};

struct log_segment {
    uint64_t first_index, len;
    int64_t first_arrival_ms;
    struct log_mark *marks; /* [owned] ascending */
    uint32_t n_marks, marks_cap;
    bool is_marked; /* all of it */
};

/* Memory that was written from and will be again: a few buffers go round among all logs of a
 * service. Zero at the start. */
#define LOG_SPARES 8
struct log_spares {
    struct kpw_buf bufs[LOG_SPARES]; /* [owned] empty */
    size_t n;
};
void log_spares_clear(struct log_spares *spares);

struct log {
    int root;   /* [borrowed] folder of all streams */
    char *path; /* [owned] "STREAM/SHARD" below it */
    uint32_t shard, generation;
    uint64_t created_s, stream;
    bool sync;                 /* folders and files reach the disk before a write ends */
    struct log_spares *spares; /* [borrowed] */

    struct log_segment *segments; /* [owned] the last one grows; none before the first write */
    size_t n_segments, segments_cap;
    int fd;       /* [owned] of the last segment, or -1: not opened yet */
    int old_fd;   /* [owned] of the closed segment that was read last, or -1 */
    bool is_used; /* one of the two, since log_expire() */
    uint64_t old_first;
    uint64_t block_at; /* the last good block of the last segment, or 0 */
    uint64_t noted_at; /* the one in SHARD/tail */

    uint64_t next_index;     /* the next record gets it */
    uint64_t readable;       /* records below may be read */
    int64_t last_arrival_ms; /* of the last record given an index; never goes back */
    struct kpw_buf pending;  /* whole blocks */
    uint64_t pending_index;  /* of the first pending record */
    int64_t pending_arrival_ms;
    size_t pending_last;    /* where its last block begins */
    struct kpw_buf writing; /* under way; the pool reads it */
    bool is_writing;
    bool has_complained; /* the last write failed, and that was told */
    bool is_broken;      /* a failed write could not be cut off: refuses all writes */
};

/* Opens what is there (root, path, shard, created_s, stream, sync, spares are set) and cuts a torn
 * tail off; *ret_cut gets its bytes. False: `why` says what is wrong. log_close() in any case. */
bool log_open(struct log *log, uint64_t *ret_cut, char *why, size_t cap);
void log_close(struct log *log);

/* ---- writing */

/* The arrival time of what is put now. */
int64_t log_arrival(struct log *log, int64_t now_ms);
/* Call it before a block is begun on log->pending. */
void log_room(struct log *log);
/* Ends a block that was begun on log->pending and gives its records their indexes. Returns the
 * first one. */
uint64_t log_put(struct log *log, struct segment_writer *w, int64_t arrival_ms);

struct log_write {
    struct log *log;
    int fd;           /* of the segment; [owned] when it is new */
    int folder;       /* [owned] SHARD when it is new, or -1 */
    uint64_t at;      /* where the bytes go */
    uint64_t last;    /* where the last block of them goes */
    uint64_t segment; /* its first index */
    int64_t first_arrival_ms;
    bool is_new; /* the segment begins with this write */
    bool note;   /* in SHARD/tail */
    int error;   /* errno; 0: written */
    bool is_cut; /* after an error: nothing of it is left in the file */
};
/* Takes what is pending; false: nothing is. */
bool log_write_begin(struct log *log, int64_t now_ms, struct log_write *ret);
/* Writes all, then waits for the disk where a log wants that: the disk works on all of them
 * meanwhile. [any] */
void log_write_run(struct log_write *writes, size_t n);
/* False: it failed (w->error), the records are gone. */
bool log_write_end(struct log_write *w);

/* ---- reading */

/* A block. */
struct log_place {
    uint64_t segment; /* its first index */
    uint64_t offset;
};

/* The block that holds the record `index`, or the next one behind it. False: the disk fails or the
 * file is broken. At the end of the log, *ret is its end. */
bool log_find_index(struct log *log, uint64_t index, struct log_place *ret);
/* The first block that arrived at or after a time; *ret_index is its first record (at the end:
 * log->readable). */
bool log_find_time(struct log *log, int64_t arrival_ms, struct log_place *ret, uint64_t *ret_index);
/* Up to `want` bytes from a place into buf's end; at the end of a closed segment the place moves to
 * the next one. Returns the bytes (0: end of the log), -1: the disk fails. */
ssize_t log_read(struct log *log, struct log_place *place, struct kpw_buf *buf, size_t want);
/* Bytes behind a place, about. */
uint64_t log_behind(const struct log *log, const struct log_place *place);

/* Removes closed segments whose records all arrived before `horizon_ms`; a last one that is that
 * old gives way to an empty one. Closes files that nobody used since the last call. */
void log_expire(struct log *log, int64_t horizon_ms);

#endif
