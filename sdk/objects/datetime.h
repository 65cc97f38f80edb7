/* datetime.h - Java DateTimeFormatter patterns, as Firehose prefixes use them.
 *
 * The instant has whole seconds and is in UTC, so fractions print as 0 and zone
 * letters as UTC's. Week letters follow the locale of the United States, in which
 * a week begins on Sunday and the week of 1 January is the first one.
 *
 * Threads: any. Not here: `!{timestamp:...}` around the pattern (key.h).
 */
#ifndef KPIPE_SDK_OBJECTS_DATETIME_H
#define KPIPE_SDK_OBJECTS_DATETIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Calendar fields of an instant, UTC; years 0 to 9999, the nearest end beyond them. */
struct kpo_date {
    int64_t year;
    int month, day;           /* 1..12, 1..31 */
    int hour, minute, second; /* */
    int weekday;              /* 0 = Sunday */
    int yearday;              /* 1..366 */
};

struct kpo_date kpo_date_of(int64_t unix_ms);

/* True when the pattern can be formatted; else `err` says why not. */
bool kpo_datetime_check(const char *pattern, size_t len, char *err, size_t err_size);

/* Formats into out (at most cap bytes, not terminated). Returns the length; what does not fit is
 * cut. The pattern must have passed the check. */
size_t kpo_datetime_format(const char *pattern, size_t len, int64_t unix_ms, char *out, size_t cap);

#endif
