/* find.h - the segment files of one log; private to log.c, tail.c and find.c.
 *
 * Threads: the service's worker; log_file*(), log_tail_note() [any].
 */
#ifndef KPIPE_LOCAL_AWS_KINESIS_FIND_H
#define KPIPE_LOCAL_AWS_KINESIS_FIND_H

#include "plugins/local-aws/kinesis/log.h"

enum find_step {
    FIND_BLOCK = 1,
    FIND_END,    /* exactly at the end */
    FIND_BROKEN, /* no block here */
};

struct find_walk {
    int fd;
    uint32_t generation;
    bool prove;         /* read whole blocks and compare checksums; else their fronts */
    uint64_t next, end; /* bytes */
    struct segment_block block;
    uint64_t offset;    /* of `block` */
    uint64_t good;      /* the caller's: end of what it takes */
    bool failed;        /* the disk, or memory; errno */
    struct kpw_buf buf; /* [owned] */
    uint64_t buf_at;    /* where buf begins */
};
void find_walk_init(struct find_walk *walk, int fd, uint64_t from, uint64_t end,
                    uint32_t generation);
enum find_step find_walk_next(struct find_walk *walk);
void find_walk_fini(struct find_walk *walk);

/* Opens a segment; -1: errno. */
int log_file(const struct log *log, uint64_t first_index, int flags);
bool log_file_remove(const struct log *log, uint64_t first_index);
/* The last segment's; -1: errno. */
int log_tail_fd(struct log *log);
/* Room for one more segment; false: out of memory. */
bool log_segment_room(struct log *log);
/* Writes SHARD/tail; when that fails, the next start has more to prove. */
void log_tail_note(const struct log *log, uint64_t segment, uint64_t offset);

/* Forgets the marks of all closed segments but this one. */
void find_forget_marks(struct log *log, size_t keep);
/* Adds a mark when the block is far enough behind the last one. False: out of memory. */
bool find_mark(struct log_segment *segment, const struct segment_block *block, uint64_t offset);

#endif
