/* units.h - "5MiB", "30s": quantities as people write them.
 *
 * Bytes: B KiB MiB GiB (powers of 1024) and kB MB GB (powers of 1000).
 * Durations: ms s m h d, kept in milliseconds. A bare number is refused for a
 * duration, which ends the seconds-or-milliseconds question. No signs, no
 * spaces, one optional fraction ("1.5MiB").
 */
#ifndef KPIPE_BASE_UNITS_H
#define KPIPE_BASE_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool units_bytes(const char *text, int64_t *ret_bytes);
bool units_duration(const char *text, int64_t *ret_ms);

/* The shortest exact form: 300000 gives "5m", 5242880 gives "5MiB". Returns `out`. */
const char *units_show_bytes(int64_t bytes, char *out, size_t cap);
const char *units_show_duration(int64_t ms, char *out, size_t cap);

#endif
