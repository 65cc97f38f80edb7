/* Texts of Kinesis: sequence numbers, shard ids, types and constraints of members. */
#include "plugins/local-aws/kinesis/check.h"
#include "plugins/local-aws/kinesis/seq.h"

#include <stdlib.h>

#include "sdk/wire/u128.h"
#include "tests/kptest.h"

/* ---- sequence numbers; the five numbers are those of the service's scheme, version 2 */

static const struct {
    struct kinesis_seq seq;
    const char *text;
} vectors[] = {
    {{1700000000, 0, 1700000000, 0}, "49646437577108476416916876405825929425585429676275269634"},
    {{1700000000, 0, 1700000000, 1}, "49646437577130777162115407028967465143858078037781250066"},
    {{1700000000, 1, 1700000001, 0}, "49646437577108476416916876405827138351405044374169452546"},
    {{1700000000, 5, 1700000005, 17}, "49646437577130777162115407028973509772956151527252164882"},
    {{1700000000, KINESIS_SEQ_END, 1700000100, 0},
     "49646437577119626789516141717395488358902146099801227266"},
};

TEST(a_sequence_number_is_written_and_read_as_the_service_does)
{
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        char text[KINESIS_SEQ_SIZE];
        struct kinesis_seq seq;

        kinesis_seq_format(&vectors[i].seq, text);
        EQ_STR(text, vectors[i].text);
        EQ_INT(kinesis_seq_parse(kpw_slice_cstr(vectors[i].text), &seq), KINESIS_SEQ_OK);
        YES(memcmp(&seq, &vectors[i].seq, sizeof seq) == 0);
    }
}

TEST(numbers_in_a_row_are_those_written_one_by_one)
{
    struct kinesis_seq_writer writer = {0};
    struct kinesis_seq seq = {1700000000, UINT64_C(0xfffffff0), 1700000003, 9};

    for (int i = 0; i < 100000; i++, seq.index++) {
        char text[KINESIS_SEQ_SIZE], row[KINESIS_SEQ_LEN];

        if (i % 7000 == 6999)
            seq.time_s++;
        kinesis_seq_write(&writer, &seq, row);
        if (i % 97 && i % 7000 < 6990)
            continue;
        kinesis_seq_format(&seq, text);
        REQUIRE(memcmp(text, row, sizeof row) == 0);
    }
}

TEST(what_is_no_sequence_number_is_refused)
{
    static const char *const bad[] = {
        "",
        "x",
        "-1",
        "4964643757710847641691687640582592942558542967627526963",
        "49646437577108476416916876405825929425585429676275269635", /* version 3 */
        "99999999999999999999999999999999999999999999999999999999999999999999999999999999"};
    struct kinesis_seq seq;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        EQ_INT(kinesis_seq_parse(kpw_slice_cstr(bad[i]), &seq), KINESIS_SEQ_INVALID);
    EQ_INT(kinesis_seq_parse(kpw_slice_cstr("5"), &seq), KINESIS_SEQ_OLD);
    EQ_INT(seq.shard, 5);
}

TEST(a_shard_id_is_read_leniently)
{
    static const struct {
        const char *text;
        long number; /* -1: refused */
    } cases[] = {{"shardId-000000000017", 17},
                 {"0", 0},
                 {"shard-0", 0},
                 {"a-00000000000", 0},
                 {"-0", 0},
                 {"2147483647", 2147483647},
                 {"2147483648", -1},
                 {"ABKLFD8", -1},
                 {"2.14E4", -1},
                 {"shardId-", -1},
                 {"", -1},
                 {NULL, -1},
                 {"a-1-2", -1}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t number = 0;
        bool ok = kinesis_shard_parse(kpw_slice_cstr(cases[i].text), &number);

        EQ_INT(ok ? (long)number : -1, cases[i].number);
    }
}

/* ---- members */

static const struct check_member members[] = {
    {.name = "Limit", .type = CHECK_INTEGER, .min = 1, .max = 10000},
    {.name = "StreamName",
     .type = CHECK_STRING,
     .pattern = PATTERN_NAME,
     .min = 1,
     .max = 128,
     .required = true},
    {.name = "StreamARN", .type = CHECK_STRING, .pattern = PATTERN_ARN, .min = 1, .max = 2048},
    {.name = "Data", .type = CHECK_BLOB, .max = 4},
    {.name = "Enforce", .type = CHECK_BOOL},
    {.name = "Timestamp", .type = CHECK_TIME},
    {.name = "Tags", .type = CHECK_MAP, .min = 1, .max = 2, .key_max = 3, .item_max = 4},
    {.name = "TagKeys", .type = CHECK_STRINGS, .min = 1, .max = 2, .item_min = 1, .item_max = 3},
    {.name = "Kind", .type = CHECK_STRING, .choices = "[ONE, TWO]"},
    {.name = NULL}};
static const struct check_member records[] = {
    {.name = "Records", .type = CHECK_RECORDS, .required = true, .min = 1, .max = 500},
    {.name = "StreamName", .type = CHECK_STRING, .pattern = PATTERN_NAME, .min = 1, .max = 128},
    {.name = NULL}};

/* The result and text for a body with ' for ". */
static void expect(const struct check_member *table, const char *body, enum check_result result,
                   const char *message)
{
    struct check check = {0};
    char *text = strdup(body);

    for (char *p = text; *p; p++)
        if (*p == '\'')
            *p = '"';
    EQ_INT(check_read(&check, table, kpw_slice_cstr(text)), result);
    if (message)
        EQ_STR(kpw_buf_cstr(&check.error), message);
    check_fini(&check);
    free(text);
}

TEST(a_wrong_type_is_named_in_the_words_of_the_service)
{
    static const struct {
        const char *member, *message;
    } cases[] = {
        {"'StreamName': 3", "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not "
                            "be converted to an String"},
        {"'StreamName': true", "class java.lang.Boolean can not be converted to an String"},
        {"'StreamName': []", "Start of list found where not expected"},
        {"'StreamName': {}", "Start of structure or map found where not expected."},
        {"'Limit': '1'", "class java.lang.String can not be converted to an Integer"},
        {"'Enforce': 'yes'", "'YES' can not be converted to an Boolean"},
        {"'Data': 5", "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be "
                      "converted to a Blob"},
        {"'Timestamp': 'x'", "class java.lang.String can not be converted to milliseconds since "
                             "epoch"},
        {"'Tags': 'x'", "Expected map or null"},
        {"'Tags': []", "Start of list found where not expected"},
        {"'TagKeys': 'x'", "Expected list or null"},
        {"'TagKeys': {}", "Start of structure or map found where not expected."},
        {"'TagKeys': ['a', 7]", "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can "
                                "not be converted to an String"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[200];

        snprintf(body, sizeof body, "{%s}", cases[i].member);
        expect(members, body, CHECK_WRONG_TYPE, cases[i].message);
    }
}

TEST(all_broken_constraints_are_in_one_message)
{
    expect(members, "{}", CHECK_INVALID,
           "1 validation error detected: Value null at 'streamName' failed to satisfy constraint: "
           "Member must not be null");
    expect(members, "{'StreamName': '', 'Limit': 0}", CHECK_INVALID,
           "3 validation errors detected: Value '0' at 'limit' failed to satisfy constraint: "
           "Member must have value greater than or equal to 1; Value '' at 'streamName' failed to "
           "satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; "
           "Value '' at 'streamName' failed to satisfy constraint: Member must have length greater "
           "than or equal to 1");
    expect(members, "{'StreamName': 'a', 'Data': 'AAECAwQ='}", CHECK_INVALID,
           "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=5 cap=5]' at "
           "'data' failed to satisfy constraint: Member must have length less than or equal to 4");
    expect(members, "{'StreamName': 'a', 'Limit': 5e20}", CHECK_INVALID,
           "1 validation error detected: Value '2147483647' at 'limit' failed to satisfy "
           "constraint: Member must have value less than or equal to 10000");
    expect(members, "{'StreamName': 'a', 'Kind': 'TW'}", CHECK_INVALID,
           "1 validation error detected: Value 'TW' at 'kind' failed to satisfy constraint: Member "
           "must satisfy enum value set: [ONE, TWO]");
    expect(members, "{'StreamName': 'a', 'TagKeys': ['', 'b']}", CHECK_INVALID,
           "1 validation error detected: Value '[, b]' at 'tagKeys' failed to satisfy constraint: "
           "Member must satisfy constraint: [Member must have length less than or equal to 3, "
           "Member must have length greater than or equal to 1]");
    expect(members, "{'StreamName': 'a', 'Tags': {'long': 'v'}}", CHECK_INVALID,
           "1 validation error detected: Value '{long=v}' at 'tags' failed to satisfy constraint: "
           "Map keys must satisfy constraint: [Member must have length less than or equal to 3, "
           "Member must have length greater than or equal to 1]");
}

TEST(what_is_right_passes)
{
    expect(members,
           "{'StreamName': 'a.b-C_1', 'Limit': 10000.7, 'Unknown': [1], 'Kind': null, 'Data': "
           "'AAECAw==', 'Tags': {'a': ''}, 'TagKeys': ['abc'], 'Enforce': false, "
           "'StreamARN': 'arn:aws:kinesis:us-east-1:000000000000:stream/x'}",
           CHECK_OK, NULL);
    expect(members, "{'StreamName': 'a', 'StreamARN': 'arn:aws:kinesis:us-east-1:0:stream/x'}",
           CHECK_INVALID, NULL);
    expect(members, "[]", CHECK_BROKEN, NULL);
    expect(members, "{'StreamName': 'a'} x", CHECK_BROKEN, NULL);
    expect(members, "{'StreamName': 'a'", CHECK_BROKEN, NULL);
}

TEST(a_text_with_escapes_is_read_unescaped)
{
    struct check check = {0};

    EQ_INT(check_read(&check, members, kpw_slice_cstr("{\"StreamName\":\"\\u0061\\u002eb\"}")),
           CHECK_OK);
    YES(kpw_slice_is(check_get(&check, "StreamName")->text, "a.b"));
    check_fini(&check);
}

TEST(ten_errors_are_reported_of_too_many_empty_records)
{
    struct kpw_buf body = KPW_BUF_INIT;
    struct check check = {0};
    const char *text;

    kpw_buf_puts(&body, "{\"StreamName\":\"\",\"Records\":[");
    for (int i = 0; i < 501; i++)
        kpw_buf_puts(&body, i ? ",{\"Data\":\"\"}" : "{\"Data\":\"\"}");
    kpw_buf_puts(&body, "]}");
    EQ_INT(check_read(&check, records, kpw_buf_slice(&body)), CHECK_INVALID);
    text = kpw_buf_cstr(&check.error);
    YES(!strncmp(text, "10 validation errors detected: Value '[com.amazonaws.kinesis.", 60));
    YES(strstr(text, "Member must have length less than or equal to 500; Value null at "
                     "'records.1.member.partitionKey' failed to satisfy constraint: Member must "
                     "not be null; ") != NULL);
    YES(strstr(text, "records.9.member.partitionKey") != NULL);
    NO(strstr(text, "records.10.") != NULL);
    NO(strstr(text, "streamName") != NULL);
    check_fini(&check);
    kpw_buf_fini(&body);
}

TEST(a_broken_blob_counts_before_a_broken_constraint)
{
    expect(records, "{'Records': [{'Data': '='}], 'StreamName': ''}", CHECK_WRONG_TYPE,
           "'=' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 "
           "bytes but found: 1");
    expect(records, "{'Records': [{'Data': 'A&=='}], 'StreamName': ''}", CHECK_WRONG_TYPE,
           "'A&==' can not be converted to a Blob: Invalid Base64 character: '&'");
    expect(records, "{'Records': [{'Data': 'AB=='}], 'StreamName': ''}", CHECK_WRONG_TYPE,
           "'AB==' can not be converted to a Blob: Invalid last non-pad Base64 character "
           "dectected");
}

TEST(of_equal_members_the_last_one_counts)
{
    struct check check = {0};
    const char *text = "{\"StreamName\":\"a\",\"Records\":[{\"PartitionKey\":\"1\",\"Data\":\"\"},"
                       "{\"PartitionKey\":\"2\",\"Data\":\"\"}],\"StreamName\":\"b\","
                       "\"Records\":[{\"PartitionKey\":\"3\",\"Data\":\"\"}]}";

    EQ_INT(check_read(&check, records, kpw_slice_cstr(text)), CHECK_OK);
    YES(kpw_slice_is(check_get(&check, "StreamName")->text, "b"));
    EQ_INT(check.n_records, 1);
    YES(kpw_slice_is(check.records[0].key.text, "3"));
    check_fini(&check);
}
