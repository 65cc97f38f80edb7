/* test_objects_key.c - key templates: what is refused, and what a whole key looks like. */
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "sdk/objects/key.h"
#include "tests/kptest.h"

static const char *problem_of(const char *prefix, bool for_errors)
{
    static char problem[200];

    problem[0] = '\0';
    return kpo_prefix_check(prefix, for_errors, problem, sizeof problem) ? "(fine)" : problem;
}

TEST(prefixes_are_checked_with_a_reason)
{
    char longest[KPO_KEY_MAX + 2];

    EQ_STR(problem_of(NULL, false), "(fine)");
    EQ_STR(problem_of("", false), "(fine)");
    EQ_STR(problem_of("a/b!c{d}/", false), "(fine)");
    EQ_STR(problem_of("!{timestamp:yyyy}/!{firehose:random-string}/", false), "(fine)");
    EQ_STR(problem_of("!{timestamp:yyyy", false),
           "'!{timestamp:yyyy' is no expression of the form !{name:value}");
    EQ_STR(problem_of("!{timestamp}", false),
           "'!{timestamp}' is no expression of the form !{name:value}");
    EQ_STR(problem_of("!{}", false), "'!{}' is no expression of the form !{name:value}");
    EQ_STR(problem_of("!{time:yyyy}", false), "!{time:...} is not known (timestamp, firehose)");
    EQ_STR(problem_of("!{timestamp:'yyyy}", false),
           "'!{timestamp:'yyyy}' is no expression of the form !{name:value}");
    EQ_STR(problem_of("!{timestamp:bad}", false),
           "'b' is no pattern letter; put text in single quotes");
    EQ_STR(problem_of("!{firehose:uuid}", false), "!{firehose:uuid} is not known");
    EQ_STR(problem_of("!{firehose:error-output-type}/", false),
           "!{firehose:error-output-type} belongs into the error prefix");
    EQ_STR(problem_of("e/!{firehose:error-output-type}/", true), "(fine)");
    EQ_STR(problem_of("e/", true), "(fine)");
    EQ_STR(problem_of("e/!{timestamp:yyyy}/", true),
           "an error prefix needs !{firehose:error-output-type}");
    memset(longest, 'a', sizeof longest);
    longest[KPO_KEY_MAX + 1] = '\0';
    EQ_STR(problem_of(longest, false), "longer than 1024 bytes");
    longest[KPO_KEY_MAX] = '\0';
    EQ_STR(problem_of(longest, false), "(fine)");
}

TEST(expressions_may_stand_side_by_side)
{
    char out[KPO_KEY_MAX];
    const char *prefix = "!{timestamp:yyyy}!{timestamp:'}'MM}!{timestamp:''''}x";
    size_t len = kpo_prefix_format(prefix, 0, NULL, out, sizeof out);

    EQ_STR(problem_of(prefix, false), "(fine)");
    YES(len == 9 && !memcmp(out, "1970}01'x", 9));
}

TEST(a_key_ends_with_its_unique_name)
{
    char out[KPO_KEY_MAX + 1], other[KPO_KEY_MAX + 1];
    struct kpo_key key = {"p/!{timestamp:yyyy}/", "my.stream", 12, ".json.gz"};
    regex_t regex;

    REQUIRE(
        regcomp(&regex,
                "^p/2024/my\\.stream-12-2024-03-09-23-59-58-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}"
                "-[89ab][0-9a-f]{3}-[0-9a-f]{12}\\.json\\.gz$",
                REG_EXTENDED | REG_NOSUB) == 0);
    out[kpo_key_format(&key, 1710028798000, out, KPO_KEY_MAX)] = '\0';
    other[kpo_key_format(&key, 1710028798000, other, KPO_KEY_MAX)] = '\0';
    YES(regexec(&regex, out, 0, NULL, 0) == 0);
    YES(regexec(&regex, other, 0, NULL, 0) == 0);
    YES(strcmp(out, other) != 0);
    regfree(&regex);
}

TEST(random_texts_use_the_whole_set)
{
    char text[4000];
    bool seen[128] = {false};
    int n = 0;

    kpo_random_text(text, sizeof text);
    for (size_t i = 0; i < sizeof text; i++)
        seen[text[i] & 127] = true;
    for (int c = 0; c < 128; c++) {
        n += seen[c];
        YES(!seen[c] || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'));
    }
    EQ_INT(n, 62);
    for (int i = 0; i < 100; i++)
        YES(kpo_random_below(3) < 3);
}
