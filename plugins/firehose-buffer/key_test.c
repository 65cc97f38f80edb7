/* key_test.c - prefixes, date patterns and random names of sdk/objects. */
#include <stdio.h>
#include <string.h>

#include "sdk/objects/datetime.h"
#include "sdk/objects/key.h"
#include "sdk/objects/partition.h"
#include "tests/kptest.h"

static const char *format(const char *pattern, int64_t ms)
{
    static char out[200];
    char problem[160];

    if (!kpo_datetime_check(pattern, strlen(pattern), problem, sizeof problem)) {
        snprintf(out, sizeof out, "refused: %s", problem);
        return out;
    }
    out[kpo_datetime_format(pattern, strlen(pattern), ms, out, sizeof out - 1)] = '\0';
    return out;
}

#define NINTH 1710028798000 /* Saturday, 2024-03-09T23:59:58Z */

/* Expected texts are those of java.time in the locale en_US, zone UTC. */
TEST(dates_are_formatted_as_java_does)
{
    EQ_STR(format("yyyy/MM/dd/HH", NINTH), "2024/03/09/23");
    EQ_STR(format("yy-M-d H:m:s", NINTH), "24-3-9 23:59:58");
    EQ_STR(format("MMM MMMM MMMMM", NINTH), "Mar March M");
    EQ_STR(format("E EEE EEEE EEEEE", NINTH), "Sat Sat Saturday S");
    EQ_STR(format("hh:mm a", NINTH), "11:59 PM");
    EQ_STR(format("h K k a", 0), "12 0 24 AM");
    EQ_STR(format("D DDD", NINTH), "69 069");
    EQ_STR(format("Q QQ QQQ QQQQ", NINTH), "1 01 Q1 1st quarter");
    EQ_STR(format("SSS n", NINTH), "000 0");
    EQ_STR(format("e w W", NINTH), "7 10 2");
    EQ_STR(format("'year='yyyy''''", NINTH), "year=2024'");
    EQ_STR(format("yyyy['T'HH]", NINTH), "2024T23");
    EQ_STR(format("ppppd", NINTH), "   9");
    EQ_STR(format("XXX xxx Z VV z", NINTH), "Z +00:00 +0000 UTC UTC");
}

TEST(the_calendar_holds_at_its_edges)
{
    EQ_STR(format("yyyy-MM-dd'T'HH:mm:ss", 0), "1970-01-01T00:00:00");
    EQ_STR(format("yyyy-MM-dd'T'HH:mm:ss", -1), "1969-12-31T23:59:59");
    EQ_STR(format("yyyy-MM-dd D", 951782400000), "2000-02-29 60");
    EQ_STR(format("yyyy-MM-dd D", 978220800000), "2000-12-31 366");
    EQ_STR(format("yyyy-MM-dd", 4107542400000), "2100-03-01");
    EQ_STR(format("YYYY-'W'ww", 1735516800000), "2025-W01"); /* 2024-12-30 */
    EQ_STR(format("YYYY-'W'ww", 1735344000000), "2024-W52"); /* 2024-12-28 */
}

TEST(wrong_patterns_are_refused)
{
    EQ_STR(format("yyyy b", 0), "refused: 'b' is no pattern letter; put text in single quotes");
    EQ_STR(format("HHH", 0), "refused: too many pattern letters: HHH");
    EQ_STR(format("'T", 0), "refused: a single quote is not closed");
    EQ_STR(format("[yyyy", 0), "refused: '[' is not closed");
    EQ_STR(format("yyyy]", 0), "refused: ']' without '['");
    EQ_STR(format("p", 0), "refused: 'p' (padding) needs a letter behind it");
    EQ_STR(format("V", 0), "refused: too many pattern letters: V");
}

static const char *prefix(const char *text)
{
    static char out[KPO_KEY_MAX + 1];

    out[kpo_prefix_format(text, NINTH, "processing-failed", out, KPO_KEY_MAX)] = '\0';
    return out;
}

TEST(prefixes_are_evaluated_as_firehose_does)
{
    EQ_STR(prefix(NULL), "2024/03/09/23/");
    EQ_STR(prefix(""), "2024/03/09/23/");
    EQ_STR(prefix("legacy"), "legacy2024/03/09/23/");
    EQ_STR(prefix("a/!{timestamp:yyyy}/b/"), "a/2024/b/");
    EQ_STR(prefix("dt=!{timestamp:yyyy-MM-dd'}'}/"), "dt=2024-03-09}/");
    EQ_STR(prefix("e/!{firehose:error-output-type}"), "e/processing-failed");
    EQ_INT(strlen(prefix("!{firehose:random-string}/")), 12);
}

TEST(random_names_differ)
{
    char a[KPO_UUID_LENGTH], b[KPO_UUID_LENGTH], first[12] = "", second[12] = "";

    kpo_uuid(a);
    kpo_uuid(b);
    YES(memcmp(a, b, sizeof a) != 0);
    EQ_INT(a[14], '4');
    strcpy(first, prefix("!{firehose:random-string}"));
    strcpy(second, prefix("!{firehose:random-string}"));
    YES(strcmp(first, second) != 0);
}

TEST(a_key_is_never_longer_than_its_room)
{
    char out[40];
    struct kpo_key key = {"a/very/long/prefix/", "stream", 1, ".gz"};

    EQ_INT(kpo_key_format(&key, NINTH, out, sizeof out), sizeof out);
}

/* ---- partitions */

static const char *folder(const char *template, const char *json)
{
    static char out[400];
    char problem[160];
    struct kpo_partition *p = kpo_partition_new(template, false, problem, sizeof problem);
    size_t len;

    if (!p) {
        snprintf(out, sizeof out, "refused: %s", problem);
        return out;
    }
    if (kpo_partition_path(p, (kp_slice){json, strlen(json)}, out, 300, &len, problem,
                           sizeof problem))
        out[len] = '\0';
    else
        snprintf(out, sizeof out, "rejected: %s", problem);
    kpo_partition_free(p);
    return out;
}

#define SEED "ticker=${ticker}/dt=${event_time:date}/hr=${event_time:hour}"

TEST(partitions_are_folders_of_member_values)
{
    EQ_STR(folder(SEED, "{\"event_time\":\"2020-08-01 12:00:00.000\",\"ticker\":\"AMZN\","
                        "\"price\":50.5}"),
           "ticker=AMZN/dt=2020-08-01/hr=12");
    EQ_STR(folder(SEED, "{\"ticker\":\"X\",\"event_time\":\"2018-01-01T00:12:08.000Z\"}\n"),
           "ticker=X/dt=2018-01-01/hr=00");
    EQ_STR(folder("${event_time:yyyy'w'ww}", "{\"event_time\":1710028798}"), "2024w10");
    EQ_STR(folder("${event_time:date}", "{\"event_time\":1710028798000}"), "2024-03-09");
    EQ_STR(folder("${t:hour}", "{\"t\":\"2024-03-10T01:30:00+02:00\"}"), "23");
    EQ_STR(folder("ticker", "{\"ticker\":\"A\"}"), "ticker=A");
    EQ_STR(folder("${n}/${b}", "{\"n\":12.50,\"b\":true}"), "12.50/true");
}

TEST(values_are_escaped_as_flink_does)
{
    EQ_STR(folder("k=${k}", "{\"k\":\"a/b c=d\\u0001%\"}"), "k=a%2Fb c%3Dd%01%25");
    EQ_STR(folder("k=${k}", "{\"k\":\"\\u00e9}\"}"), "k=\xc3\xa9}");
    EQ_STR(folder("k=${k}", "{\"k\":null}"), "k=__DEFAULT_PARTITION__");
    EQ_STR(folder("k=${k}", "{\"k\":\"\"}"), "k=__DEFAULT_PARTITION__");
    EQ_STR(folder("k=${k}", "{}"), "k=__DEFAULT_PARTITION__");
    EQ_STR(folder("k=${k:date}", "{\"k\":\"yesterday\"}"), "k=__DEFAULT_PARTITION__");
}

TEST(what_is_no_object_has_no_partition)
{
    EQ_STR(folder("k=${k}", "[1]"), "rejected: the record is no JSON object");
    EQ_STR(folder("k=${k}", "{\"k\":"), "rejected: the record is no JSON object");
    YES(strncmp(folder("k=${k}/${k}/${k}", "{\"k\":\""
                                           "0123456789012345678901234567890123456789012345678901234"
                                           "567890123456789012345678901234567"
                                           "0123456789012345678901234567890123456789012345678901234"
                                           "567890123456789012345678901234567"
                                           "\"}"),
                "rejected: the folder is longer", 30) == 0);
}

TEST(wrong_templates_are_refused)
{
    EQ_STR(folder("k=${k", "{}"), "refused: '${' is not closed");
    EQ_STR(folder("k=${}", "{}"), "refused: ${} names no member");
    EQ_STR(folder("k=${k:day of}", "{}"), "refused: 'o' is no pattern letter; put text in single "
                                          "quotes");
    EQ_STR(folder("/k=${k}", "{}"), "refused: a folder begins and ends without '/'");
    EQ_STR(folder("", "{}"), "refused: it is empty");
}
