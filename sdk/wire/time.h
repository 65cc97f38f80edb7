/* time.h - dates as texts: ISO 8601, HTTP, SigV4; always UTC, years 0000 to 9999.
 *
 * Times are milliseconds (ms) or seconds (s) since 1970-01-01T00:00:00Z. Parsing is strict: right
 * lengths, existing days, nothing behind. A leap second (:60) is refused.
 *
 * Threads: [any]; no clock and no time zone of the machine is read.
 */
#ifndef KPIPE_WIRE_TIME_H
#define KPIPE_WIRE_TIME_H

#include "sdk/wire/slice.h"

#define KPW_ISO8601_SIZE   25 /* "2015-08-30T12:36:00.000Z" and a NUL */
#define KPW_HTTP_DATE_SIZE 30 /* "Sun, 30 Aug 2015 12:36:00 GMT" and a NUL */
#define KPW_AMZ_DATE_SIZE  17 /* "20150830T123600Z" and a NUL */

/* First and last moment that the formats can say. */
#define KPW_TIME_MIN_S INT64_C(-62167219200)
#define KPW_TIME_MAX_S INT64_C(253402300799)

struct kpw_civil {
    int32_t year;       /* 0000..9999 */
    uint8_t month, day; /* from 1 */
    uint8_t hour, minute, second;
    uint8_t weekday; /* 0 = Sunday; ignored by kpw_civil_to_s() */
};

/* Days since 1970-01-01 in the Gregorian calendar, also before 1582. Does not check its input. */
int64_t kpw_days_from_civil(int32_t year, uint32_t month, uint32_t day);
/* False: outside of the years above. */
bool kpw_civil_from_s(int64_t s, struct kpw_civil *ret);
/* False: no such day or time. */
bool kpw_civil_to_s(const struct kpw_civil *civil, int64_t *ret_s);

/* YYYY-MM-DDTHH:MM:SS[.f to .fffffffff](Z|+HH:MM|-HH:MM); digits below a millisecond are cut off.
 * `t` and `z` may be lower case (RFC 3339). */
bool kpw_iso8601_parse(struct kpw_slice text, int64_t *ret_ms);
/* With three digits of milliseconds and Z. A time outside of the years above gives its nearest end;
 * the same holds for the other formats. Returns the length without the NUL. */
size_t kpw_iso8601_format(int64_t ms, char out[KPW_ISO8601_SIZE]);
/* Without milliseconds: "2015-08-30T12:36:00Z". */
size_t kpw_iso8601_format_s(int64_t s, char out[KPW_ISO8601_SIZE]);

/* RFC 7231 section 7.1.1.1: the three forms that a receiver must take. The day of the week must be
 * right. Two-digit years are taken as 1970 to 2069. */
bool kpw_http_date_parse(struct kpw_slice text, int64_t *ret_s);
size_t kpw_http_date_format(int64_t s, char out[KPW_HTTP_DATE_SIZE]);

/* The X-Amz-Date form YYYYMMDDTHHMMSSZ. */
bool kpw_amz_date_parse(struct kpw_slice text, int64_t *ret_s);
size_t kpw_amz_date_format(int64_t s, char out[KPW_AMZ_DATE_SIZE]);

#endif
