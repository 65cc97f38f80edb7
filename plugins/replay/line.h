/* line.h - what replay needs of one line: its time and its key.
 *
 * Owned by: nobody, no state.   Threads: any.
 */
#ifndef KPIPE_REPLAY_LINE_H
#define KPIPE_REPLAY_LINE_H

#include <kpipe/plugin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The time stamp in the top-level member `path` ("$.dropoff_datetime"), in milliseconds since 1970:
 * "2018-01-01T00:12:08.000Z", the same with a blank for the T and no zone (then UTC), or a number
 * of seconds or, from 10^11 on, milliseconds. False: there is none that can be read. */
bool replay_time_of(kp_slice line, const char *path, int64_t *ret_ms);
/* The same of its bare text. */
bool replay_time(kp_slice text, int64_t *ret_ms);

/* The key of amazon-kinesis-replay 0.1: decimal text of 31 + String.hashCode(line), where the
 * line carries its '\n'. Writes at most 11 bytes, returns their number. */
size_t replay_hash_key(const char *line, size_t len, char *out);

#endif
