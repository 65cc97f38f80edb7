/* reader.h - the decoded bytes of one object, piece by piece.
 *
 * An object that begins with the magic of an LZ4 frame is decoded (all frames,
 * one after the other, checksums verified); any other is read as it is, unless
 * its first bytes are those of another compression, which is refused by name.
 *
 * Owned by: one replay source.   Threads: one at a time; runs on the work pool.
 * Not here: lines (source.c).
 */
#ifndef KPIPE_REPLAY_READER_H
#define KPIPE_REPLAY_READER_H

#include <stddef.h>

struct replay_reader;

enum replay_read {
    REPLAY_MORE,   /* the piece is full */
    REPLAY_END,    /* the object ended; what was read before is in the piece */
    REPLAY_BROKEN, /* see replay_reader_why(); what was read before is in the piece */
};

struct replay_reader *replay_reader_new(void); /* NULL: out of memory */
void replay_reader_free(struct replay_reader *reader);

/* Makes `path` the object to read; it is opened by the next fill.
 * [borrowed until the object ended] */
void replay_reader_open(struct replay_reader *reader, const char *path);
/* Appends decoded bytes at out[*used..cap) and moves *used. */
enum replay_read replay_reader_fill(struct replay_reader *reader, char *out, size_t cap,
                                    size_t *used);
const char *replay_reader_why(const struct replay_reader *reader);

#endif
