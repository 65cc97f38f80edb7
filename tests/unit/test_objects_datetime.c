/* test_objects_datetime.c - patterns against the C library over many days, and their limits. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sdk/objects/datetime.h"
#include "tests/kptest.h"

#define DAY_MS INT64_C(86400000)

static const char *format(const char *pattern, int64_t ms)
{
    static char out[4][200];
    static int at;
    char problem[160];

    at = (at + 1) % 4;
    REQUIRE(kpo_datetime_check(pattern, strlen(pattern), problem, sizeof problem));
    out[at][kpo_datetime_format(pattern, strlen(pattern), ms, out[at], 199)] = '\0';
    return out[at];
}

/* What strftime says in the C locale, which has the names and the AM/PM of the United States. */
static bool agrees(const char *pattern, const char *libc, int64_t s)
{
    time_t t = (time_t)s;
    char want[200];
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(want, sizeof want, libc, &tm);
    if (!strcmp(format(pattern, s * 1000 + 999), want))
        return true;
    fprintf(stderr, "%s at %lld: %s, not %s\n", pattern, (long long)s, format(pattern, s * 1000),
            want);
    return false;
}

TEST(fields_are_those_of_the_c_library)
{
    for (int64_t s = -2208988800; s < 4102444800; s += 86399 * 41) { /* 1900 to 2100 */
        if (!agrees("yyyy-MM-dd HH:mm:ss", "%Y-%m-%d %H:%M:%S", s) ||
            !agrees("DDD yy E EEEE MMM MMMM hh a", "%j %y %a %A %b %B %I %p", s)) {
            CU_FAIL("another field");
            return;
        }
    }
}

/* By counting: the week of 1 January is the first, and each Sunday begins another one. */
TEST(weeks_count_from_sunday_to_saturday)
{
    int64_t ms = 946684800000; /* 2000-01-01, a Saturday */
    int week = 1, year = 2000;

    for (int day = 0; day < 40 * 366; day++, ms += DAY_MS) {
        struct kpo_date date = kpo_date_of(ms);
        struct kpo_date saturday = kpo_date_of(ms + (6 - date.weekday) * DAY_MS);
        char want[40];

        if (date.weekday == 0 && day)
            week++;
        if (saturday.year != year && date.weekday == 0) /* this week holds the next 1 January */
            week = 1, year = (int)saturday.year;
        snprintf(want, sizeof want, "%04d-%02d %d", year, week, date.weekday + 1);
        if (strcmp(format("YYYY-ww e", ms), want)) {
            fprintf(stderr, "day %d: %s, not %s\n", day, format("YYYY-ww e", ms), want);
            CU_FAIL("another week");
            return;
        }
    }
}

TEST(dates_beyond_four_digits_are_the_nearest)
{
    EQ_STR(format("yyyy-MM-dd HH:mm:ss", INT64_MIN), "0000-01-01 00:00:00");
    EQ_STR(format("yyyy-MM-dd HH:mm:ss", INT64_MAX), "9999-12-31 23:59:59");
    EQ_INT(kpo_date_of(-1).second, 59);
    EQ_INT(kpo_date_of(-1000).second, 59);
    EQ_INT(kpo_date_of(-1001).second, 58);
}

/* Each letter is taken up to its count and refused with one more, as java.time does. */
TEST(letters_have_their_counts)
{
    static const struct {
        char letter;
        int most;
    } letters[] = {{'M', 5}, {'L', 5}, {'Q', 5}, {'w', 2}, {'W', 1}, {'d', 2}, {'D', 3}, {'E', 5},
                   {'e', 5}, {'H', 2}, {'k', 2}, {'h', 2}, {'K', 2}, {'m', 2}, {'s', 2}, {'S', 9},
                   {'n', 9}, {'a', 1}, {'X', 5}, {'x', 5}, {'Z', 5}, {'z', 4}};
    char pattern[16], problem[160], out[64];

    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
        for (int n = 1; n <= letters[i].most + 1; n++) {
            bool ok;

            memset(pattern, letters[i].letter, (size_t)n);
            ok = kpo_datetime_check(pattern, (size_t)n, problem, sizeof problem);
            CU_ASSERT_EQUAL(ok, n <= letters[i].most);
            if (ok)
                CU_ASSERT_TRUE(kpo_datetime_format(pattern, (size_t)n, 0, out, sizeof out) > 0);
        }
    }
}

TEST(every_byte_is_a_letter_a_sign_or_refused)
{
    char problem[160], out[16];
    int taken = 0;

    for (int c = 1; c < 256; c++) {
        char one = (char)c;

        if (!kpo_datetime_check(&one, 1, problem, sizeof problem))
            continue;
        taken++;
        YES(kpo_datetime_format(&one, 1, 0, out, sizeof out) >= 1);
    }
    /* 255 without the 52 letters, of which 26 may stand alone, and without ' [ ] { } # */
    EQ_INT(taken, 255 - 52 - 6 + 26);
}

TEST(a_format_never_writes_beyond_its_room)
{
    const char *pattern = "yyyy'-text-'MMMM ppppppppH zzzz QQQQ";
    char whole[100], out[100];
    size_t len = kpo_datetime_format(pattern, strlen(pattern), 0, whole, sizeof whole);

    YES(len > 50 && len < 100);
    for (size_t cap = 0; cap < len; cap++) {
        memset(out, '#', sizeof out);
        EQ_INT(kpo_datetime_format(pattern, strlen(pattern), 0, out, cap), cap);
        YES(!memcmp(out, whole, cap) && out[cap] == '#');
    }
}
