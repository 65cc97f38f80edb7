/* datetime.c - see datetime.h.
 *
 * One walk over the pattern serves check and format: runs of one letter are
 * looked up in a table that knows how many of it are allowed and which function
 * prints them.
 */
#include "sdk/objects/datetime.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sdk/wire/time.h"

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};

struct text {
    char *at;
    size_t left;
    size_t len;
};

static void put(struct text *text, const char *bytes, size_t len)
{
    if (len > text->left)
        len = text->left;
    memcpy(text->at, bytes, len);
    text->at += len;
    text->left -= len;
    text->len += len;
}

static void put_word(struct text *text, const char *word, size_t len)
{
    put(text, word, len < strlen(word) ? len : strlen(word));
}

static void put_number(struct text *text, int64_t n, int width)
{
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%0*lld", width, (long long)n);

    put(text, digits, (size_t)len);
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

struct kpo_date kpo_date_of(int64_t unix_ms)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t s = unix_ms / 1000 - (unix_ms % 1000 < 0);
    struct kpw_civil civil;

    if (s < KPW_TIME_MIN_S || s > KPW_TIME_MAX_S)
        s = s < 0 ? KPW_TIME_MIN_S : KPW_TIME_MAX_S;
    kpw_civil_from_s(s, &civil);
    return (struct kpo_date){
        .year = civil.year,
        .month = civil.month,
        .day = civil.day,
        .hour = civil.hour,
        .minute = civil.minute,
        .second = civil.second,
        .weekday = civil.weekday,
        .yearday = before[civil.month - 1] + civil.day + (civil.month > 2 && is_leap(civil.year)),
    };
}

/* ---- letters */

/* Week of the week-based year; the first one holds 1 January. */
static int week_of_year(const struct kpo_date *date, int64_t *ret_year)
{
    int first = (date->weekday - (date->yearday - 1) % 7 + 7) % 7; /* weekday of 1 January */
    int week = (date->yearday - 1 + first) / 7 + 1;
    int length = is_leap(date->year) ? 366 : 365;
    int to_saturday = 6 - date->weekday;

    *ret_year = date->year;
    if (date->yearday + to_saturday > length) {
        *ret_year = date->year + 1;
        week = 1;
    }
    return week;
}

static int week_of_month(const struct kpo_date *date)
{
    int first = (date->weekday - (date->day - 1) % 7 + 7) % 7; /* weekday of the 1st */

    return (date->day - 1 + first) / 7 + 1;
}

static void put_year(struct text *text, int64_t year, int count)
{
    if (count == 2)
        put_number(text, (year % 100 + 100) % 100, 2);
    else
        put_number(text, year, count);
}

static void put_month(struct text *text, int month, int count)
{
    if (count <= 2)
        put_number(text, month, count);
    else
        put_word(text, months[month - 1], count == 3 ? 3 : count == 4 ? 99 : 1);
}

static void put_weekday(struct text *text, int weekday, int count)
{
    put_word(text, days[weekday], count <= 3 ? 3 : count == 4 ? 99 : 1);
}

static void put_quarter(struct text *text, int quarter, int count)
{
    static const char *const full[] = {"1st quarter", "2nd quarter", "3rd quarter", "4th quarter"};

    if (count == 3)
        put(text, "Q", 1);
    if (count == 4)
        put_word(text, full[quarter - 1], 99);
    else
        put_number(text, quarter, count == 2 ? 2 : 1);
}

/* Date letters; false: not one of them. */
static bool put_date(struct text *text, char letter, int count, const struct kpo_date *date)
{
    int64_t week_year;
    int week = week_of_year(date, &week_year);

    switch (letter) {
    case 'y':
    case 'u': put_year(text, date->year, count); return true;
    case 'Y': put_year(text, week_year, count); return true;
    case 'M':
    case 'L': put_month(text, date->month, count); return true;
    case 'Q': put_quarter(text, (date->month + 2) / 3, count); return true;
    case 'w': put_number(text, week, count); return true;
    case 'W': put_number(text, week_of_month(date), 1); return true;
    case 'd': put_number(text, date->day, count); return true;
    case 'D': put_number(text, date->yearday, count); return true;
    case 'E': put_weekday(text, date->weekday, count); return true;
    case 'e':
        if (count <= 2)
            put_number(text, date->weekday + 1, count);
        else
            put_weekday(text, date->weekday, count);
        return true;
    default: return false;
    }
}

static void put_zone(struct text *text, char letter, int count)
{
    static const char *const offsets[] = {"+00", "+0000", "+00:00", "+0000", "+00:00"};

    if (letter == 'X')
        put(text, "Z", 1);
    else if (letter == 'x')
        put_word(text, offsets[count - 1], 99);
    else if (letter == 'Z')
        put_word(text, count < 4 ? "+0000" : count == 4 ? "GMT" : "Z", 99);
    else if (letter == 'O')
        put_word(text, "GMT", 99);
    else if (letter == 'z' && count == 4)
        put_word(text, "Coordinated Universal Time", 99);
    else
        put_word(text, "UTC", 99);
}

static void put_letter(struct text *text, char letter, int count, const struct kpo_date *date)
{
    if (put_date(text, letter, count, date))
        return;
    switch (letter) {
    case 'H': put_number(text, date->hour, count); break;
    case 'k': put_number(text, date->hour ? date->hour : 24, count); break;
    case 'K': put_number(text, date->hour % 12, count); break;
    case 'h': put_number(text, date->hour % 12 ? date->hour % 12 : 12, count); break;
    case 'm': put_number(text, date->minute, count); break;
    case 's': put_number(text, date->second, count); break;
    case 'S':
    case 'n': put_number(text, 0, count); break;
    case 'a': put(text, date->hour < 12 ? "AM" : "PM", 2); break;
    default: put_zone(text, letter, count); break;
    }
}

/* ---- the walk */

/* How many of a letter may stand together; 0: not a letter we know. */
static int most_of(char letter)
{
    static const char letters[] = "yuYMLQwWdDEeHkKhmsSnaXxZOzVp";
    static const char most[] = {9, 9, 9, 5, 5, 5, 2, 1, 2, 3, 5, 5, 2, 2,
                                2, 2, 2, 2, 9, 9, 1, 5, 5, 5, 4, 4, 2, 9};
    const char *at = memchr(letters, letter, sizeof letters - 1);

    return at ? most[at - letters] : 0;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t run_of(const char *at, const char *end)
{
    size_t n = 1;

    while (at + n < end && at[n] == *at)
        n++;
    return n;
}

/* The end of the quoted text that begins at `at` (a quote), or NULL when it is not closed. */
static const char *quote_end(const char *at, const char *end)
{
    for (at++; at < end; at++) {
        if (*at != '\'')
            continue;
        if (at + 1 < end && at[1] == '\'')
            at++;
        else
            return at + 1;
    }
    return NULL;
}

__attribute__((format(printf, 3, 4))) static bool refuse(char *err, size_t size, const char *fmt,
                                                         ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(err, size, fmt, args);
    va_end(args);
    return false;
}

static bool check_run(const char *at, const char *end, size_t n, char *err, size_t size)
{
    int most = most_of(*at);

    if (!most)
        return refuse(err, size, "'%c' is no pattern letter; put text in single quotes", *at);
    if (n > (size_t)most || (*at == 'V' && n != 2) || (*at == 'O' && n != 1 && n != 4))
        return refuse(err, size, "too many pattern letters: %.*s", (int)n, at);
    if (*at == 'p' && (at + n >= end || !is_letter(at[n])))
        return refuse(err, size, "'p' (padding) needs a letter behind it");
    return true;
}

bool kpo_datetime_check(const char *pattern, size_t len, char *err, size_t err_size)
{
    const char *at = pattern, *end = pattern + len;
    int depth = 0;

    while (at < end) {
        size_t n = is_letter(*at) ? run_of(at, end) : 1;

        if (is_letter(*at) && !check_run(at, end, n, err, err_size))
            return false;
        if (*at == '\'') {
            const char *stop = quote_end(at, end);

            if (!stop)
                return refuse(err, err_size, "a single quote is not closed");
            n = (size_t)(stop - at);
        }
        if (*at == '{' || *at == '}' || *at == '#')
            return refuse(err, err_size, "'%c' is reserved; put it in single quotes", *at);
        depth += (*at == '[') - (*at == ']');
        if (depth < 0)
            return refuse(err, err_size, "']' without '['");
        at += n;
    }
    return depth == 0 || refuse(err, err_size, "'[' is not closed");
}

static void put_quoted(struct text *text, const char *at, const char *stop)
{
    if (stop - at == 2) { /* '' is one quote */
        put(text, "'", 1);
        return;
    }
    for (at++; at < stop - 1; at++) {
        put(text, at, 1);
        at += *at == '\'';
    }
}

/* `pppH`: the next field, padded with blanks to the number of p. */
static size_t put_padded(struct text *text, const char *at, const char *end, size_t pad,
                         const struct kpo_date *date)
{
    char field[64];
    struct text inner = {field, sizeof field, 0};
    size_t n = run_of(at + pad, end);

    put_letter(&inner, at[pad], (int)n, date);
    for (size_t i = inner.len; i < pad; i++)
        put(text, " ", 1);
    put(text, field, inner.len);
    return pad + n;
}

size_t kpo_datetime_format(const char *pattern, size_t len, int64_t unix_ms, char *out, size_t cap)
{
    struct kpo_date date = kpo_date_of(unix_ms);
    struct text text = {out, cap, 0};
    const char *at = pattern, *end = pattern + len;

    while (at < end) {
        size_t n = 1;

        if (*at == 'p') {
            n = put_padded(&text, at, end, run_of(at, end), &date);
        } else if (is_letter(*at)) {
            n = run_of(at, end);
            put_letter(&text, *at, (int)n, &date);
        } else if (*at == '\'') {
            const char *stop = quote_end(at, end);

            put_quoted(&text, at, stop);
            n = (size_t)(stop - at);
        } else if (*at != '[' && *at != ']') { /* optional parts are always there */
            put(&text, at, 1);
        }
        at += n;
    }
    return text.len;
}
