/* time.c - calendar arithmetic and the date texts.
 *
 * Days are counted in eras of 400 years that begin on March 1st, so that the leap day is the last
 * of its year (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"). Texts are read by a
 * cursor that remembers its first failure, so that each format reads as one list of parts.
 */
#include "sdk/wire/time.h"

#define DAY_S 86400

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const weekdays[7] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};

/* ---- calendar */

int64_t kpw_days_from_civil(int32_t year, uint32_t month, uint32_t day)
{
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, struct kpw_civil *ret)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;

    ret->day = (uint8_t)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    ret->month = (uint8_t)(month_from_march + (month_from_march < 10 ? 3 : -9));
    ret->year = (int32_t)(year_of_era + era * 400 + (ret->month <= 2));
    ret->weekday = (uint8_t)((days % 7 + 11) % 7); /* 1970-01-01 was a Thursday */
}

bool kpw_civil_from_s(int64_t s, struct kpw_civil *ret)
{
    int64_t days, rest;

    if (s < KPW_TIME_MIN_S || s > KPW_TIME_MAX_S)
        return false;
    days = s / DAY_S;
    rest = s % DAY_S;
    if (rest < 0) {
        rest += DAY_S;
        days--;
    }
    civil_from_days(days, ret);
    ret->hour = (uint8_t)(rest / 3600);
    ret->minute = (uint8_t)(rest / 60 % 60);
    ret->second = (uint8_t)(rest % 60);
    return true;
}

static uint32_t days_in_month(int32_t year, uint32_t month)
{
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    if (month == 2)
        return leap ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

bool kpw_civil_to_s(const struct kpw_civil *civil, int64_t *ret_s)
{
    if (civil->year < 0 || civil->year > 9999 || civil->month < 1 || civil->month > 12)
        return false;
    if (civil->day < 1 || civil->day > days_in_month(civil->year, civil->month))
        return false;
    if (civil->hour > 23 || civil->minute > 59 || civil->second > 59)
        return false;
    *ret_s = kpw_days_from_civil(civil->year, civil->month, civil->day) * DAY_S +
             (int64_t)civil->hour * 3600 + civil->minute * 60 + civil->second;
    return true;
}

/* ---- reading */

struct cursor {
    const char *at, *end;
    bool failed;
};

static struct cursor cursor_of(struct kpw_slice text)
{
    return (struct cursor){text.ptr, text.len ? text.ptr + text.len : text.ptr, false};
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Exactly n digits. */
static uint32_t digits(struct cursor *c, uint32_t n)
{
    uint32_t value = 0;

    if (c->failed || (size_t)(c->end - c->at) < n) {
        c->failed = true;
        return 0;
    }
    for (; n; n--, c->at++) {
        c->failed |= !is_digit(*c->at);
        value = value * 10 + (uint32_t)(uint8_t)(*c->at - '0');
    }
    return c->failed ? 0 : value;
}

/* Passes over `text` if it is what comes next. */
static bool take(struct cursor *c, const char *text)
{
    size_t n = strlen(text);

    if (c->failed || (size_t)(c->end - c->at) < n || memcmp(c->at, text, n))
        return false;
    c->at += n;
    return true;
}

static void expect(struct cursor *c, const char *text)
{
    if (!take(c, text))
        c->failed = true;
}

/* HH:MM:SS */
static void clock_time(struct cursor *c, struct kpw_civil *civil)
{
    civil->hour = (uint8_t)digits(c, 2);
    expect(c, ":");
    civil->minute = (uint8_t)digits(c, 2);
    expect(c, ":");
    civil->second = (uint8_t)digits(c, 2);
}

/* ".f" up to nine digits, or nothing. */
static uint32_t fraction_ms(struct cursor *c)
{
    uint32_t ms = 0, n = 0;

    if (!take(c, "."))
        return 0;
    for (; c->at < c->end && is_digit(*c->at); c->at++, n++) {
        if (n < 3)
            ms = ms * 10 + (uint32_t)(*c->at - '0');
    }
    if (!n || n > 9)
        c->failed = true;
    for (; n < 3; n++)
        ms *= 10;
    return ms;
}

/* Z, +HH:MM or -HH:MM, in seconds east of Greenwich. */
static int64_t zone_s(struct cursor *c)
{
    bool east;
    uint32_t hours, minutes;

    if (take(c, "Z") || take(c, "z"))
        return 0;
    east = take(c, "+");
    if (!east)
        expect(c, "-");
    hours = digits(c, 2);
    expect(c, ":");
    minutes = digits(c, 2);
    if (hours > 23 || minutes > 59)
        c->failed = true;
    return (east ? 1 : -1) * (int64_t)(hours * 3600 + minutes * 60);
}

bool kpw_iso8601_parse(struct kpw_slice text, int64_t *ret_ms)
{
    struct cursor c = cursor_of(text);
    struct kpw_civil civil = {0};
    uint32_t ms;
    int64_t s, zone;

    civil.year = (int32_t)digits(&c, 4);
    expect(&c, "-");
    civil.month = (uint8_t)digits(&c, 2);
    expect(&c, "-");
    civil.day = (uint8_t)digits(&c, 2);
    if (!take(&c, "T"))
        expect(&c, "t");
    clock_time(&c, &civil);
    ms = fraction_ms(&c);
    zone = zone_s(&c);
    if (c.failed || c.at < c.end || !kpw_civil_to_s(&civil, &s))
        return false;
    s -= zone;
    if (s < KPW_TIME_MIN_S || s > KPW_TIME_MAX_S)
        return false;
    *ret_ms = s * 1000 + ms;
    return true;
}

static uint8_t month_name(struct cursor *c)
{
    for (uint8_t i = 0; i < 12; i++) {
        if (take(c, months[i]))
            return (uint8_t)(i + 1);
    }
    c->failed = true;
    return 0;
}

/* " 06 Nov 1994 08:49:37 GMT" with blanks, or "-" and two digits of the year */
static void date_of_header(struct cursor *c, struct kpw_civil *civil, bool is_rfc850)
{
    const char *dash = is_rfc850 ? "-" : " ";
    uint32_t year;

    civil->day = (uint8_t)digits(c, 2);
    expect(c, dash);
    civil->month = month_name(c);
    expect(c, dash);
    year = digits(c, is_rfc850 ? 2 : 4);
    if (is_rfc850)
        year += year < 70 ? 2000 : 1900;
    civil->year = (int32_t)year;
    expect(c, " ");
    clock_time(c, civil);
    expect(c, " GMT");
}

/* "Nov  6 08:49:37 1994" */
static void date_of_asctime(struct cursor *c, struct kpw_civil *civil)
{
    civil->month = month_name(c);
    expect(c, " ");
    civil->day = (uint8_t)digits(c, take(c, " ") ? 1 : 2);
    expect(c, " ");
    clock_time(c, civil);
    expect(c, " ");
    civil->year = (int32_t)digits(c, 4);
}

static uint8_t weekday_name(struct cursor *c, bool *ret_is_long)
{
    char three[4] = "";

    for (uint8_t i = 0; i < 7; i++) {
        *ret_is_long = take(c, weekdays[i]);
        memcpy(three, weekdays[i], 3);
        if (*ret_is_long || take(c, three))
            return i;
    }
    c->failed = true;
    return 0;
}

bool kpw_http_date_parse(struct kpw_slice text, int64_t *ret_s)
{
    struct cursor c = cursor_of(text);
    struct kpw_civil civil = {0}, check;
    bool is_long = false;
    uint8_t weekday = weekday_name(&c, &is_long);
    int64_t s;

    if (take(&c, ", ")) {
        date_of_header(&c, &civil, is_long);
    } else {
        c.failed |= is_long;
        expect(&c, " ");
        date_of_asctime(&c, &civil);
    }
    if (c.failed || c.at < c.end || !kpw_civil_to_s(&civil, &s))
        return false;
    if (!kpw_civil_from_s(s, &check) || check.weekday != weekday)
        return false;
    *ret_s = s;
    return true;
}

bool kpw_amz_date_parse(struct kpw_slice text, int64_t *ret_s)
{
    struct cursor c = cursor_of(text);
    struct kpw_civil civil = {0};

    civil.year = (int32_t)digits(&c, 4);
    civil.month = (uint8_t)digits(&c, 2);
    civil.day = (uint8_t)digits(&c, 2);
    expect(&c, "T");
    civil.hour = (uint8_t)digits(&c, 2);
    civil.minute = (uint8_t)digits(&c, 2);
    civil.second = (uint8_t)digits(&c, 2);
    expect(&c, "Z");
    return !c.failed && c.at == c.end && kpw_civil_to_s(&civil, ret_s);
}

/* ---- writing */

static char *put_number(char *to, uint32_t value, uint32_t n)
{
    for (uint32_t i = n; i; i--) {
        to[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return to + n;
}

static char *put_char(char *to, char c)
{
    *to = c;
    return to + 1;
}

static char *put_text(char *to, const char *text, size_t n)
{
    memcpy(to, text, n);
    return to + n;
}

static char *put_clock(char *to, const struct kpw_civil *civil)
{
    to = put_char(put_number(to, civil->hour, 2), ':');
    to = put_char(put_number(to, civil->minute, 2), ':');
    return put_number(to, civil->second, 2);
}

static size_t put_end(char *to, const char *out)
{
    *to = '\0';
    return (size_t)(to - out);
}

/* The civil time of the nearest moment that the formats can say. */
static void civil_within(int64_t s, struct kpw_civil *ret)
{
    if (s < KPW_TIME_MIN_S)
        s = KPW_TIME_MIN_S;
    if (s > KPW_TIME_MAX_S)
        s = KPW_TIME_MAX_S;
    kpw_civil_from_s(s, ret);
}

static char *put_iso8601(char *to, int64_t s)
{
    struct kpw_civil civil = {0};

    civil_within(s, &civil);
    to = put_char(put_number(to, (uint32_t)civil.year, 4), '-');
    to = put_char(put_number(to, civil.month, 2), '-');
    to = put_char(put_number(to, civil.day, 2), 'T');
    return put_clock(to, &civil);
}

size_t kpw_iso8601_format(int64_t ms, char out[KPW_ISO8601_SIZE])
{
    int64_t s = ms / 1000, rest = ms % 1000;
    char *to;

    if (rest < 0) {
        rest += 1000;
        s--;
    }
    if (s < KPW_TIME_MIN_S)
        rest = 0;
    if (s > KPW_TIME_MAX_S)
        rest = 999;
    to = put_char(put_iso8601(out, s), '.');
    to = put_char(put_number(to, (uint32_t)rest, 3), 'Z');
    return put_end(to, out);
}

size_t kpw_iso8601_format_s(int64_t s, char out[KPW_ISO8601_SIZE])
{
    return put_end(put_char(put_iso8601(out, s), 'Z'), out);
}

size_t kpw_http_date_format(int64_t s, char out[KPW_HTTP_DATE_SIZE])
{
    struct kpw_civil civil = {0};
    char *to = out;

    civil_within(s, &civil);
    to = put_text(put_text(to, weekdays[civil.weekday], 3), ", ", 2);
    to = put_char(put_number(to, civil.day, 2), ' ');
    to = put_char(put_text(to, months[civil.month - 1], 3), ' ');
    to = put_char(put_number(to, (uint32_t)civil.year, 4), ' ');
    return put_end(put_text(put_clock(to, &civil), " GMT", 4), out);
}

size_t kpw_amz_date_format(int64_t s, char out[KPW_AMZ_DATE_SIZE])
{
    struct kpw_civil civil = {0};
    char *to = out;

    civil_within(s, &civil);
    to = put_number(to, (uint32_t)civil.year, 4);
    to = put_number(to, civil.month, 2);
    to = put_char(put_number(to, civil.day, 2), 'T');
    to = put_number(to, civil.hour, 2);
    to = put_number(to, civil.minute, 2);
    return put_end(put_char(put_number(to, civil.second, 2), 'Z'), out);
}
