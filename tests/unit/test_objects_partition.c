/* test_objects_partition.c - folders: paths, time stamps, room, and what may not be a folder. */
#include <stdio.h>
#include <string.h>

#include "sdk/objects/partition.h"
#include "tests/kptest.h"

static const char *folder_of(const char *template, bool is_path, const char *json, size_t cap)
{
    static char out[1200];
    char problem[160] = "";
    struct kpo_partition *p = kpo_partition_new(template, is_path, problem, sizeof problem);
    size_t len = 77;

    if (!p) {
        snprintf(out, sizeof out, "refused: %s", problem);
        return out;
    }
    if (kpo_partition_path(p, (kp_slice){json, strlen(json)}, out, cap, &len, problem,
                           sizeof problem))
        out[len] = '\0';
    else
        snprintf(out, sizeof out, "rejected: %s", problem);
    kpo_partition_free(p);
    return out;
}

static const char *folder(const char *template, const char *json)
{
    return folder_of(template, false, json, 1000);
}

TEST(a_path_names_its_last_member)
{
    const char *json = "{\"order\":{\"country\":\"DE\",\"a b\":1},\"list\":[{\"x\":\"y\"}]}";

    EQ_STR(folder_of("$.order.country", true, json, 100), "country=DE");
    EQ_STR(folder("c=${$.order.country}/${$.list[0].x}", json), "c=DE/y");
    EQ_STR(folder("${$.order['a b']}", json), "1");
    EQ_STR(folder("${$.order.none}", json), "__DEFAULT_PARTITION__");
    EQ_STR(folder("o=${order}", json), "o=%7B%22country%22%3A%22DE%22,%22a b%22%3A1}");
}

TEST(text_between_members_stays)
{
    EQ_STR(folder("a/b=${x}-${y}/z", "{\"x\":1,\"y\":2}"), "a/b=1-2/z");
    EQ_STR(folder("only/text=1", "{}"), "only/text=1");
    EQ_STR(folder("name", "{\"name\":\"v\"}"), "name=v");
    EQ_STR(folder("$5", "{}"), "$5");
}

TEST(members_are_limited_in_number)
{
    char template[200] = "";

    for (int i = 0; i < 16; i++)
        strcat(template, "${a}-");
    template[strlen(template) - 1] = '\0';
    EQ_STR(folder(template, "{\"a\":1}"), "1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1");
    strcat(template, "-${a}");
    EQ_STR(folder(template, "{\"a\":1}"), "refused: more than 16 members");
}

TEST(a_folder_has_exactly_its_room)
{
    EQ_STR(folder_of("k=${k}", false, "{\"k\":\"12345678\"}", 10), "k=12345678");
    EQ_STR(folder_of("k=${k}", false, "{\"k\":\"123456789\"}", 10),
           "rejected: the folder is longer than 10 bytes");
    EQ_STR(folder_of("k=${k}", false, "{\"k\":\"1234567:\"}", 10),
           "rejected: the folder is longer than 10 bytes"); /* an escape is whole or not there */
    EQ_STR(folder_of("k=${k}", false, "{}", 10), "rejected: the folder is longer than 10 bytes");
}

TEST(a_value_over_a_kibibyte_is_no_folder)
{
    char json[1200] = "{\"k\":\"";

    memset(json + 6, 'x', 1025);
    strcpy(json + 6 + 1025, "\"}");
    EQ_STR(folder("${k}", json), "rejected: the folder is longer than 1000 bytes");
}

/* A folder that leads out of the bucket's place in a file system. */
TEST(a_value_cannot_climb)
{
    EQ_STR(folder("${k}/x", "{\"k\":\"..\"}"), "rejected: a part of the folder is '.' or '..'");
    EQ_STR(folder("x/${k}", "{\"k\":\".\"}"), "rejected: a part of the folder is '.' or '..'");
    EQ_STR(folder("a/${k}${k}/b", "{\"k\":\".\"}"),
           "rejected: a part of the folder is '.' or '..'");
    EQ_STR(folder("${k}", "{\"k\":\"../../etc\"}"), "..%2F..%2Fetc");
    EQ_STR(folder("k=${k}", "{\"k\":\"..\"}"), "k=..");
    EQ_STR(folder("${k}/x", "{\"k\":\"...\"}"), ".../x");
    EQ_STR(folder("${k}/x", "{\"k\":\".a\"}"), ".a/x");
}

static const char *time_of(const char *text)
{
    static char out[32];
    int64_t ms;

    if (!kpo_time_parse((kp_slice){text, strlen(text)}, &ms))
        return "(no time)";
    snprintf(out, sizeof out, "%lld", (long long)ms);
    return out;
}

TEST(time_stamps_are_read_in_their_usual_forms)
{
    EQ_STR(time_of("2020-08-01 12:00:00.000"), "1596283200000");
    EQ_STR(time_of("2020-08-01T12:00:00.250Z"), "1596283200250");
    EQ_STR(time_of("2020-08-01T12:00:00"), "1596283200000");
    EQ_STR(time_of("2020-08-01 12:00"), "1596283200000");
    EQ_STR(time_of("2020-08-01"), "1596240000000");
    EQ_STR(time_of("2020-08-01T14:00:00+02:00"), "1596283200000");
    EQ_STR(time_of("2020-08-01 10:00:00-02:00"), "1596283200000");
    EQ_STR(time_of("2020-08-01T12:00:00.123456789Z"), "1596283200123");
    EQ_STR(time_of("2020-02-30"), "(no time)");
    EQ_STR(time_of("2020-08-01 "), "(no time)");
    EQ_STR(time_of("2020-08-01 12"), "(no time)");
    EQ_STR(time_of("2020-08-0"), "(no time)");
    EQ_STR(time_of(""), "(no time)");
    EQ_STR(time_of("2020-08-01T12:00:00.000 and much more behind it"), "(no time)");
}

TEST(numbers_are_seconds_or_milliseconds)
{
    EQ_STR(folder("${t:yyyy-MM-dd HH}", "{\"t\":1596283200}"), "2020-08-01 12");
    EQ_STR(folder("${t:yyyy-MM-dd HH}", "{\"t\":1596283200000}"), "2020-08-01 12");
    EQ_STR(folder("${t:yyyy-MM-dd HH}", "{\"t\":1596283200.75}"), "2020-08-01 12");
    EQ_STR(folder("${t:date}", "{\"t\":-1}"), "1969-12-31");
    EQ_STR(folder("${t:date}", "{\"t\":1e300}"), "__DEFAULT_PARTITION__");
    EQ_STR(folder("${t:date}", "{\"t\":true}"), "__DEFAULT_PARTITION__");
    EQ_STR(folder("${t:HH:mm}", "{\"t\":1596283200}"), "12%3A00");
}
