/* test_wire_time.c - calendar and date texts, against gmtime_r and the examples of their RFCs. */
#include <time.h>

#include "sdk/wire/random.h"
#include "sdk/wire/time.h"
#include "tests/kptest.h"

static bool same_as_libc(int64_t s)
{
    struct kpw_civil civil = {0};
    time_t t = (time_t)s;
    int64_t back = 0;
    struct tm tm;

    gmtime_r(&t, &tm);
    return kpw_civil_from_s(s, &civil) && civil.year == tm.tm_year + 1900 &&
           civil.month == tm.tm_mon + 1 && civil.day == tm.tm_mday && civil.hour == tm.tm_hour &&
           civil.minute == tm.tm_min && civil.second == tm.tm_sec && civil.weekday == tm.tm_wday &&
           kpw_civil_to_s(&civil, &back) && back == s;
}

TEST(the_calendar_is_that_of_the_c_library)
{
    struct kpw_random random;
    uint64_t span = (uint64_t)(KPW_TIME_MAX_S - KPW_TIME_MIN_S) + 1;

    kpw_random_init_from(&random, 1);
    YES(same_as_libc(0) && same_as_libc(-1) && same_as_libc(KPW_TIME_MIN_S) &&
        same_as_libc(KPW_TIME_MAX_S));
    for (int i = 0; i < 20000; i++) {
        int64_t s = KPW_TIME_MIN_S + (int64_t)kpw_random_below(&random, span);

        if (!same_as_libc(s)) {
            CU_FAIL("another date than gmtime_r's");
            return;
        }
    }
}

/* Each day of 800 years follows the one before, with leap days where they belong. */
TEST(every_day_follows_its_yesterday)
{
    struct kpw_civil civil, before = {0};
    int leaps = 0;

    for (int64_t day = 0; day < 2 * 146097; day++) {
        REQUIRE(kpw_civil_from_s(KPW_TIME_MIN_S + day * 86400, &civil));
        leaps += civil.month == 2 && civil.day == 29;
        if (kpw_days_from_civil(civil.year, civil.month, civil.day) * 86400 !=
                KPW_TIME_MIN_S + day * 86400 ||
            (day && civil.weekday != (before.weekday + 1) % 7) ||
            (day && civil.day != before.day + 1 && civil.day != 1)) {
            CU_FAIL("a day is out of order");
            return;
        }
        before = civil;
    }
    EQ_INT(leaps, 2 * 97);
    EQ_INT(before.year, 799);
}

TEST(times_beyond_four_digits_of_year_are_refused)
{
    struct kpw_civil civil;

    NO(kpw_civil_from_s(KPW_TIME_MIN_S - 1, &civil));
    NO(kpw_civil_from_s(KPW_TIME_MAX_S + 1, &civil));
    NO(kpw_civil_from_s(INT64_MIN, &civil));
    NO(kpw_civil_from_s(INT64_MAX, &civil));
    EQ_INT(kpw_days_from_civil(0, 1, 1) * 86400, KPW_TIME_MIN_S);
    EQ_INT(kpw_days_from_civil(-1, 12, 31), kpw_days_from_civil(0, 1, 1) - 1);
    EQ_INT(kpw_days_from_civil(10000, 1, 1) * 86400, KPW_TIME_MAX_S + 1);
}

static bool exists(int32_t year, int month, int day)
{
    struct kpw_civil civil = {.year = year, .month = (uint8_t)month, .day = (uint8_t)day};
    int64_t s;

    return kpw_civil_to_s(&civil, &s);
}

TEST(only_days_that_exist_are_taken)
{
    struct kpw_civil civil = {.year = 2024, .month = 6, .day = 30, .hour = 23, .minute = 59};
    int64_t s;

    YES(exists(2024, 2, 29) && exists(2000, 2, 29) && exists(0, 2, 29));
    NO(exists(2023, 2, 29));
    NO(exists(1900, 2, 29));
    NO(exists(2100, 2, 29));
    NO(exists(2024, 2, 30));
    NO(exists(2024, 4, 31));
    NO(exists(2024, 0, 1));
    NO(exists(2024, 13, 1));
    NO(exists(2024, 1, 0));
    NO(exists(2024, 1, 32));
    NO(exists(-1, 1, 1));
    NO(exists(10000, 1, 1));
    civil.second = 59;
    YES(kpw_civil_to_s(&civil, &s));
    civil.second = 60;
    NO(kpw_civil_to_s(&civil, &s));
    civil.second = 0, civil.minute = 60;
    NO(kpw_civil_to_s(&civil, &s));
    civil.minute = 0, civil.hour = 24;
    NO(kpw_civil_to_s(&civil, &s));
}

/* ---- ISO 8601 */

#define BAD INT64_MIN

static int64_t iso(const char *text)
{
    int64_t ms = 12345;
    bool ok = kpw_iso8601_parse(kpw_slice_cstr(text), &ms);

    YES(ok || ms == 12345); /* nothing is touched on failure */
    return ok ? ms : BAD;
}

/* The examples of RFC 3339 section 5.8 among others */
TEST(iso8601_is_read_with_fractions_and_zones)
{
    EQ_INT(iso("1970-01-01T00:00:00Z"), 0);
    EQ_INT(iso("1985-04-12T23:20:50.52Z"), 482196050520);
    EQ_INT(iso("1996-12-19T16:39:57-08:00"), 851042397000);
    EQ_INT(iso("1937-01-01T12:00:27.87+00:20"), -1041337172130);
    EQ_INT(iso("2015-08-30t12:36:00z"), 1440938160000);
    EQ_INT(iso("2015-08-30T12:36:00.1Z"), 1440938160100);
    EQ_INT(iso("2015-08-30T12:36:00.123456789Z"), 1440938160123);
    EQ_INT(iso("2015-08-30T12:36:00.999999999Z"), 1440938160999);
    EQ_INT(iso("1969-12-31T23:59:59.999Z"), -1);
    EQ_INT(iso("1969-12-31T23:59:59.0009Z"), -1000);
    EQ_INT(iso("2016-02-29T00:00:00-00:00"), 1456704000000);
    EQ_INT(iso("0000-01-01T00:00:00Z"), KPW_TIME_MIN_S * 1000);
    EQ_INT(iso("9999-12-31T23:59:59.999Z"), KPW_TIME_MAX_S * 1000 + 999);
    EQ_INT(iso("2015-08-30T12:36:00+23:59"), 1440938160000 - 86340000);
}

TEST(iso8601_is_read_strictly)
{
    static const char *const bad[] = {
        "",
        "2015",
        "2015-08-30",
        "2015-08-30T12:36Z",
        "2015-08-30T12:36:00",
        "2015-08-30 12:36:00Z",
        "2015-8-30T12:36:00Z",
        "15-08-30T12:36:00Z",
        "02015-08-30T12:36:00Z",
        "2015-08-30T12:36:00ZZ",
        "2015-08-30T12:36:00Z ",
        " 2015-08-30T12:36:00Z",
        "2015-02-29T12:36:00Z",
        "2015-08-32T12:36:00Z",
        "2015-13-01T12:36:00Z",
        "2015-08-30T24:00:00Z",
        "2015-08-30T12:60:00Z",
        "2016-12-31T23:59:60Z",
        "2015-08-30T12:36:00.Z",
        "2015-08-30T12:36:00.1234567890Z",
        "2015-08-30T12:36:00,5Z",
        "2015-08-30T12:36:00+24:00",
        "2015-08-30T12:36:00+01:60",
        "2015-08-30T12:36:00+0100",
        "2015-08-30T12:36:00+01",
        "2015-08-30T12:36:00+1:00",
        "2015-08-30T12:36:00-",
        "2015-08-30T12:36:00.5",
        "20150830T123600Z",
        "+015-08-30T12:36:00Z",
        "2015-08-3\xb0T12:36:00Z",
        "2015-08-30T-1:36:00Z",
        "0000-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(iso(bad[i]), BAD);
    YES(!kpw_iso8601_parse(kpw_slice(NULL, 0), &(int64_t){0}));
    YES(!kpw_iso8601_parse(kpw_slice("2015-08-30T12:36:00Z\0", 21), &(int64_t){0}));
}

static const char *iso_text(int64_t ms)
{
    static char out[4][KPW_ISO8601_SIZE];
    static int at;

    at = (at + 1) % 4;
    EQ_INT(kpw_iso8601_format(ms, out[at]), KPW_ISO8601_SIZE - 1);
    return out[at];
}

TEST(iso8601_is_written_with_milliseconds)
{
    char out[KPW_ISO8601_SIZE];

    EQ_STR(iso_text(0), "1970-01-01T00:00:00.000Z");
    EQ_STR(iso_text(1440938160007), "2015-08-30T12:36:00.007Z");
    EQ_STR(iso_text(-1), "1969-12-31T23:59:59.999Z");
    EQ_STR(iso_text(KPW_TIME_MIN_S * 1000), "0000-01-01T00:00:00.000Z");
    EQ_STR(iso_text(KPW_TIME_MIN_S * 1000 - 1), "0000-01-01T00:00:00.000Z");
    EQ_STR(iso_text(INT64_MIN), "0000-01-01T00:00:00.000Z");
    EQ_STR(iso_text(KPW_TIME_MAX_S * 1000 + 1000), "9999-12-31T23:59:59.999Z");
    EQ_STR(iso_text(INT64_MAX), "9999-12-31T23:59:59.999Z");
    EQ_INT(kpw_iso8601_format_s(1440938160, out), 20);
    EQ_STR(out, "2015-08-30T12:36:00Z");
    EQ_INT(kpw_iso8601_format_s(INT64_MAX, out), 20);
    EQ_STR(out, "9999-12-31T23:59:59Z");
}

/* ---- HTTP dates */

static int64_t http(const char *text)
{
    int64_t s = 12345;
    bool ok = kpw_http_date_parse(kpw_slice_cstr(text), &s);

    YES(ok || s == 12345);
    return ok ? s : BAD;
}

/* RFC 7231 section 7.1.1.1 */
TEST(http_dates_are_read_in_their_three_forms)
{
    EQ_INT(http("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
    EQ_INT(http("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
    EQ_INT(http("Sun Nov  6 08:49:37 1994"), 784111777);
    EQ_INT(http("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
    EQ_INT(http("Thursday, 01-Jan-70 00:00:00 GMT"), 0);
    EQ_INT(http("Tuesday, 31-Dec-69 00:00:00 GMT"), 3155673600); /* 2069 */
    EQ_INT(http("Thu Feb 29 12:00:00 2024"), 1709208000);
    EQ_INT(http("Fri, 31 Dec 9999 23:59:59 GMT"), KPW_TIME_MAX_S);
}

TEST(http_dates_are_read_strictly)
{
    static const char *const bad[] = {
        "",
        "Sun",
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday Nov  6 08:49:37 1994",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun,06 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:60 GMT",
        "Sun Nov   08:49:37 1994",
        "Sun, 06 Foo 1994 08:49:37 GMT",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(http(bad[i]), BAD);
}

TEST(http_and_amz_dates_come_back)
{
    struct kpw_random random;
    uint64_t span = (uint64_t)(KPW_TIME_MAX_S - KPW_TIME_MIN_S) + 1;

    kpw_random_init_from(&random, 2);
    for (int i = 0; i < 2000; i++) {
        int64_t s = KPW_TIME_MIN_S + (int64_t)kpw_random_below(&random, span), back = 0;
        char date[KPW_HTTP_DATE_SIZE], amz[KPW_AMZ_DATE_SIZE];

        EQ_INT(kpw_http_date_format(s, date), KPW_HTTP_DATE_SIZE - 1);
        YES(kpw_http_date_parse(kpw_slice_cstr(date), &back) && back == s);
        EQ_INT(kpw_amz_date_format(s, amz), KPW_AMZ_DATE_SIZE - 1);
        YES(kpw_amz_date_parse(kpw_slice_cstr(amz), &back) && back == s);
        YES(iso(iso_text(s * 1000 + 321)) == s * 1000 + 321);
    }
}

TEST(amz_dates_are_read_strictly)
{
    static const char *const bad[] = {
        "",
        "20150830T123600",
        "20150830t123600Z",
        "20150830T123600z",
        "2015-08-30T12:36:00Z",
        "20150830T123600Z0",
        "20150230T123600Z",
        "20150830T243600Z",
        "20150830 123600Z",
        "2015083T0123600Z",
    };
    char out[KPW_AMZ_DATE_SIZE], date[KPW_HTTP_DATE_SIZE];
    int64_t s = 0;

    YES(kpw_amz_date_parse(kpw_slice_cstr("20150830T123600Z"), &s));
    EQ_INT(s, 1440938160);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_FALSE(kpw_amz_date_parse(kpw_slice_cstr(bad[i]), &s));
    kpw_amz_date_format(INT64_MIN, out);
    EQ_STR(out, "00000101T000000Z");
    kpw_http_date_format(INT64_MAX, date);
    EQ_STR(date, "Fri, 31 Dec 9999 23:59:59 GMT");
}
