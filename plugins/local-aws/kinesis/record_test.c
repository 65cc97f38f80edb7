/* Kinesis Data Streams of the local AWS: records as a client writes and reads them. */
#include "plugins/local-aws/kinesis/kinesis_test.h"

/* ---- writing and reading */

TEST(records_come_back_as_they_were_put_in_order)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    const char *a = kinesis_put(h, "s", "key", "aGVsbG8="), *b = kinesis_put(h, "s", "k2", "");
    json_t *out = kinesis_all(h, "s", 0);

    YES(strcmp(a, b) < 0);
    EQ_INT(json_array_size(kinesis_at(out, "Records")), 2);
    EQ_STR(kinesis_text(out, "Records.0.Data"), "aGVsbG8=");
    EQ_STR(kinesis_text(out, "Records.0.PartitionKey"), "key");
    EQ_STR(kinesis_text(out, "Records.0.SequenceNumber"), a);
    EQ_STR(kinesis_text(out, "Records.1.Data"), "");
    EQ_STR(kinesis_text(out, "Records.1.SequenceNumber"), b);
    NO(kinesis_at(out, "Records.0.EncryptionType") != NULL);
    EQ_INT(kinesis_int(out, "MillisBehindLatest"), 0);
    json_decref(out);
    harness_free(h);
}

TEST(a_key_with_quotes_and_other_scripts_comes_back)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    json_t *out;

    kinesis_do(h, 200, "PutRecord",
               "{'StreamName': 's', 'PartitionKey': '\\u0022\\\\ \\n\\u00e4\\ud83d\\ude00', "
               "'Data': 'QQ=='}");
    out = kinesis_all(h, "s", 0);
    EQ_STR(kinesis_text(out, "Records.0.PartitionKey"), "\"\\ \n\xc3\xa4\xf0\x9f\x98\x80");
    json_decref(out);
    harness_free(h);
}

TEST(keys_go_to_the_shard_of_their_md5)
{
    struct harness *h = kinesis_with("s", 3, NULL);
    json_t *out = kinesis_ask(h, 200, "PutRecords",
                              "{'StreamName': 's', 'Records': ["
                              "{'PartitionKey': 'a', 'Data': 'MA=='},"
                              "{'PartitionKey': 'b', 'Data': 'MQ=='},"
                              "{'PartitionKey': 'e', 'Data': 'Mg=='},"
                              "{'PartitionKey': 'f', 'Data': 'Mw=='},"
                              "{'PartitionKey': 'a', 'Data': 'NA==', 'ExplicitHashKey': "
                              "'340282366920938463463374607431768211455'}]}");

    EQ_INT(kinesis_int(out, "FailedRecordCount"), 0);
    EQ_STR(kinesis_text(out, "Records.0.ShardId"), "shardId-000000000000");
    EQ_STR(kinesis_text(out, "Records.1.ShardId"), "shardId-000000000001");
    EQ_STR(kinesis_text(out, "Records.2.ShardId"), "shardId-000000000002");
    EQ_STR(kinesis_text(out, "Records.3.ShardId"), "shardId-000000000001");
    EQ_STR(kinesis_text(out, "Records.4.ShardId"), "shardId-000000000002");
    json_decref(out);
    kinesis_refused(kinesis_do(h, 400, "PutRecord",
                               "{'StreamName': 's', 'PartitionKey': 'a', 'Data': '',"
                               "'ExplicitHashKey': '340282366920938463463374607431768211456'}"),
                    "InvalidArgumentException",
                    "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. "
                    "Specified value was 340282366920938463463374607431768211456");
    EQ_INT(kinesis_count(h, "s", 0), 1);
    EQ_INT(kinesis_count(h, "s", 1), 2);
    EQ_INT(kinesis_count(h, "s", 2), 2);
    harness_free(h);
}

TEST(a_broken_record_fails_the_whole_call_and_keeps_nothing)
{
    struct harness *h = kinesis_with("s", 2, NULL);
    json_t *out;

    kinesis_put(h, "s", "a", "YQ==");
    kinesis_refused(kinesis_do(h, 400, "PutRecords",
                               "{'StreamName': 's', 'Records': ["
                               "{'PartitionKey': 'a', 'Data': 'MA=='},"
                               "{'PartitionKey': 'b', 'Data': 'MA=='},"
                               "{'PartitionKey': 'a', 'Data': 'M'}]}"),
                    "SerializationException",
                    "'M' can not be converted to a Blob: Base64 encoded length is expected a "
                    "multiple of 4 bytes but found: 1");
    kinesis_put(h, "s", "a", "Yg==");
    out = kinesis_all(h, "s", 0);
    EQ_INT(json_array_size(kinesis_at(out, "Records")), 2);
    EQ_STR(kinesis_text(out, "Records.1.Data"), "Yg==");
    json_decref(out);
    EQ_INT(kinesis_count(h, "s", 1), 0);
    harness_free(h);
}

TEST(ten_thousand_records_come_in_one_answer_and_the_rest_in_the_next)
{
    struct harness *h = kinesis_with("s", 1, "no_limits = true");
    char *body = kinesis_many("s", 500, 200), *iterator, last[60] = "";
    json_t *out;

    for (int i = 0; i < 21; i++)
        kinesis_send(h, 200, "PutRecords", body);
    free(body);
    iterator = kinesis_iterator(h, "s", 0, "TRIM_HORIZON", NULL);
    harness_advance(h, 5000);
    out = kinesis_get(h, &iterator, 0);
    EQ_INT(json_array_size(kinesis_at(out, "Records")), 10000);
    EQ_INT(kinesis_int(out, "MillisBehindLatest"), 5000);
    for (size_t i = 0; i < 10000; i++) {
        const char *number =
            kinesis_text(json_array_get(kinesis_at(out, "Records"), i), "SequenceNumber");

        REQUIRE(strlen(number) == 56 && strcmp(last, number) < 0);
        snprintf(last, sizeof last, "%s", number);
    }
    json_decref(out);
    out = kinesis_get(h, &iterator, 0);
    EQ_INT(json_array_size(kinesis_at(out, "Records")), 500);
    EQ_INT(kinesis_int(out, "MillisBehindLatest"), 0);
    EQ_STR(kinesis_text(out, "Records.499.PartitionKey"), "499");
    YES(strcmp(last, kinesis_text(out, "Records.0.SequenceNumber")) < 0);
    json_decref(out);
    free(iterator);
    harness_free(h);
}

TEST(an_answer_has_ten_mebibytes_at_most)
{
    struct harness *h = kinesis_with("s", 1, "no_limits = true");
    char *body = kinesis_many("s", 9, 1000000), *iterator;
    json_t *out;
    size_t n;

    kinesis_send(h, 200, "PutRecords", body);
    kinesis_send(h, 200, "PutRecords", body);
    free(body);
    iterator = kinesis_iterator(h, "s", 0, "TRIM_HORIZON", NULL);
    out = kinesis_get(h, &iterator, 0);
    EQ_INT(json_array_size(kinesis_at(out, "Records")), 10);
    n = json_array_size(kinesis_at(out, "Records"));
    EQ_STR(kinesis_text(out, "Records.9.PartitionKey"), "0");
    json_decref(out);
    out = kinesis_get(h, &iterator, 0);
    EQ_INT(n + json_array_size(kinesis_at(out, "Records")), 18);
    json_decref(out);
    free(iterator);
    harness_free(h);
}

TEST(a_limit_stops_inside_of_a_block_and_goes_on_there)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    char *body = kinesis_many("s", 10, 20), *iterator;
    int next = 0;

    kinesis_send(h, 200, "PutRecords", body);
    free(body);
    iterator = kinesis_iterator(h, "s", 0, "TRIM_HORIZON", NULL);
    while (next < 10) {
        json_t *out = kinesis_get(h, &iterator, 3), *list = kinesis_at(out, "Records");

        for (size_t i = 0; i < json_array_size(list); i++, next++)
            EQ_INT(atoi(kinesis_text(json_array_get(list, i), "PartitionKey")), next);
        REQUIRE(json_array_size(list) > 0);
        json_decref(out);
    }
    free(iterator);
    harness_free(h);
}

/* ---- iterators */

TEST(each_type_of_iterator_starts_at_its_place)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    char number[60], more[200], *iterator;
    json_t *out;
    double at;

    kinesis_put(h, "s", "a", "MA==");
    harness_advance(h, 10000);
    snprintf(number, sizeof number, "%s", kinesis_put(h, "s", "b", "MQ=="));
    out = kinesis_all(h, "s", 0);
    at = json_number_value(kinesis_at(out, "Records.1.ApproximateArrivalTimestamp"));
    json_decref(out);
    harness_advance(h, 10000);
    kinesis_put(h, "s", "c", "Mg==");

    static const struct {
        const char *type;
        int what; /* 0: nothing more, 1: the number, 2: the time, 3: a little later */
        const char *first;
    } cases[] = {
        {"TRIM_HORIZON", 0, "MA=="},       {"LATEST", 0, ""},
        {"AT_SEQUENCE_NUMBER", 1, "MQ=="}, {"AFTER_SEQUENCE_NUMBER", 1, "Mg=="},
        {"AT_TIMESTAMP", 2, "MQ=="},       {"AT_TIMESTAMP", 3, "Mg=="},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(more, sizeof more,
                 cases[i].what == 1 ? ", 'StartingSequenceNumber': '%s'" : "%.0s", number);
        if (cases[i].what > 1)
            snprintf(more, sizeof more, ", 'Timestamp': %.3f", cases[i].what == 2 ? at : at + 0.5);
        harness_advance(h, 1000); /* five calls a second are allowed */
        iterator = kinesis_iterator(h, "s", 0, cases[i].type, more);
        out = kinesis_get(h, &iterator, 1);
        EQ_STR(kinesis_text(out, "Records.0.Data"), cases[i].first);
        json_decref(out);
        free(iterator);
    }
    harness_free(h);
}

TEST(an_iterator_at_the_tip_hears_what_comes)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    char *latest = kinesis_iterator(h, "s", 0, "LATEST", NULL), before[600];
    json_t *out;

    snprintf(before, sizeof before, "%s", latest);
    out = kinesis_get(h, &latest, 0);
    EQ_INT(json_array_size(kinesis_at(out, "Records")), 0);
    YES(strcmp(before, latest) != 0);
    json_decref(out);
    kinesis_put(h, "s", "a", "MA==");
    out = kinesis_get(h, &latest, 0);
    EQ_STR(kinesis_text(out, "Records.0.Data"), "MA==");
    json_decref(out);
    /* the first one still is where it was, also in quotes */
    out = kinesis_ask(h, 200, "GetRecords", "{'ShardIterator': '\\u0022%s\\u0022'}", before);
    EQ_STR(kinesis_text(out, "Records.0.Data"), "MA==");
    json_decref(out);
    free(latest);
    harness_free(h);
}

TEST(an_iterator_expires_after_five_minutes)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    char *iterator = kinesis_iterator(h, "s", 0, "TRIM_HORIZON", NULL);

    harness_advance(h, 300000);
    kinesis_do(h, 200, "GetRecords", "{'ShardIterator': '%s'}", iterator);
    harness_advance(h, 1);
    kinesis_refused(kinesis_do(h, 400, "GetRecords", "{'ShardIterator': '%s'}", iterator),
                    "ExpiredIteratorException", NULL);
    free(iterator);
    harness_free(h);
}

TEST(a_changed_iterator_is_refused)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    char *iterator = kinesis_iterator(h, "s", 0, "TRIM_HORIZON", NULL);

    for (size_t i = 0; i < strlen(iterator); i += 11) {
        char was = iterator[i];

        iterator[i] = was == 'A' ? 'B' : 'A';
        kinesis_refused(kinesis_do(h, 400, "GetRecords", "{'ShardIterator': '%s'}", iterator),
                        "InvalidArgumentException", "Invalid ShardIterator.");
        iterator[i] = was;
    }
    kinesis_do(h, 200, "GetRecords", "{'ShardIterator': '%s'}", iterator);
    free(iterator);
    harness_free(h);
}

static const char *iterator_error(struct harness *h, const char *more)
{
    return kinesis_do(h, 400, "GetShardIterator", "{'StreamName': 's', %s}", more);
}

TEST(a_wrong_start_of_an_iterator_is_explained)
{
    struct harness *h = kinesis_with("s", 2, NULL);
    const char *number = kinesis_put(h, "s", "a", "MA==");
    char more[300];

    kinesis_refused(iterator_error(h, "'ShardId': 'x', 'ShardIteratorType': 'LATEST'"),
                    "ResourceNotFoundException",
                    "Could not find shard x in stream s under account 000000000000.");
    kinesis_refused(iterator_error(h, "'ShardId': '7', 'ShardIteratorType': 'LATEST'"),
                    "ResourceNotFoundException",
                    "Shard shardId-000000000007 in stream s under account 000000000000 does not "
                    "exist");
    kinesis_refused(iterator_error(h, "'ShardId': '0', 'ShardIteratorType': 'AT_SEQUENCE_NUMBER'"),
                    "InvalidArgumentException",
                    "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and "
                    "StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no "
                    "StartingSequenceNumber. Request specified AT_SEQUENCE_NUMBER and no "
                    "StartingSequenceNumber.");
    kinesis_refused(iterator_error(h, "'ShardId': '0', 'ShardIteratorType': 'LATEST', "
                                      "'StartingSequenceNumber': '3'"),
                    "InvalidArgumentException", NULL);
    snprintf(more, sizeof more,
             "'ShardId': '1', 'ShardIteratorType': 'AT_SEQUENCE_NUMBER', "
             "'StartingSequenceNumber': '%s'",
             number);
    kinesis_refused(iterator_error(h, more), "InvalidArgumentException",
                    "Invalid StartingSequenceNumber. It encodes shardId-000000000000, while it was "
                    "used in a call to a shard with shardId-000000000001");
    kinesis_refused(iterator_error(h, "'ShardId': '0', 'ShardIteratorType': 'AT_TIMESTAMP'"),
                    "InvalidArgumentException",
                    "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. "
                    "Current request has no timestamp parameter.");
    kinesis_refused(iterator_error(h, "'ShardId': '0', 'ShardIteratorType': 'AT_TIMESTAMP', "
                                      "'Timestamp': 99999999999"),
                    "InvalidArgumentException", NULL);
    kinesis_refused(iterator_error(h, "'ShardId': '0', 'ShardIteratorType': 'NEVER'"),
                    "ValidationException",
                    "1 validation error detected: Value 'NEVER' at 'shardIteratorType' failed to "
                    "satisfy constraint: Member must satisfy enum value set: "
                    "[AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, "
                    "TRIM_HORIZON]");
    harness_free(h);
}

/* ---- limits */

TEST(a_shard_takes_a_thousand_records_a_second_and_fails_the_rest_one_by_one)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    char *body = kinesis_many("s", 500, 10);
    json_t *out;

    kinesis_send(h, 200, "PutRecords", body);
    kinesis_send(h, 200, "PutRecords", body);
    harness_advance(h, 100);
    out = kinesis_json(kinesis_send(h, 200, "PutRecords", body));
    EQ_INT(kinesis_int(out, "FailedRecordCount"), 400);
    YES(*kinesis_text(out, "Records.99.SequenceNumber") != '\0');
    EQ_STR(kinesis_text(out, "Records.100.ErrorCode"), "ProvisionedThroughputExceededException");
    EQ_STR(kinesis_text(out, "Records.100.ErrorMessage"),
           "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000.");
    NO(kinesis_at(out, "Records.100.ShardId") != NULL);
    json_decref(out);
    kinesis_refused(
        kinesis_do(h, 400, "PutRecord", "{'StreamName': 's', 'PartitionKey': 'a', 'Data': ''}"),
        "ProvisionedThroughputExceededException",
        "Rate exceeded for shard shardId-000000000000 in stream s under account "
        "000000000000.");
    harness_advance(h, 1000);
    kinesis_put(h, "s", "a", "");
    EQ_INT(kinesis_count(h, "s", 0), 1101);
    free(body);
    harness_free(h);
}

TEST(a_shard_takes_a_mebibyte_a_second)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    char *body = kinesis_many("s", 3, 500000);
    json_t *out = kinesis_json(kinesis_send(h, 200, "PutRecords", body));

    EQ_INT(kinesis_int(out, "FailedRecordCount"), 1);
    json_decref(out);
    free(body);
    harness_free(h);
}

TEST(records_refused_for_their_bytes_do_not_count_as_records)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    char *large = kinesis_many("s", 1, 1048000), *medium = kinesis_many("s", 500, 20000),
         *small = kinesis_many("s", 20, 10);
    json_t *out;

    kinesis_send(h, 200, "PutRecords", large);
    for (int i = 0; i < 2; i++) {
        out = kinesis_json(kinesis_send(h, 200, "PutRecords", medium));
        EQ_INT(kinesis_int(out, "FailedRecordCount"), 500);
        json_decref(out);
    }
    harness_advance(h, 10);
    out = kinesis_json(kinesis_send(h, 200, "PutRecords", small));
    EQ_INT(kinesis_int(out, "FailedRecordCount"), 0);
    json_decref(out);
    free(large);
    free(medium);
    free(small);
    harness_free(h);
}

TEST(a_shard_answers_five_reads_a_second)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    char *iterator = kinesis_iterator(h, "s", 0, "LATEST", NULL);

    for (int i = 0; i < 5; i++)
        kinesis_do(h, 200, "GetRecords", "{'ShardIterator': '%s'}", iterator);
    kinesis_refused(kinesis_do(h, 400, "GetRecords", "{'ShardIterator': '%s'}", iterator),
                    "ProvisionedThroughputExceededException", NULL);
    harness_advance(h, 200);
    kinesis_do(h, 200, "GetRecords", "{'ShardIterator': '%s'}", iterator);
    free(iterator);
    harness_free(h);
}

TEST(a_large_answer_costs_the_reads_of_the_next_seconds)
{
    struct harness *h = kinesis_with("s", 1, NULL);
    char *body = kinesis_many("s", 1, 1000000), *iterator;

    for (int i = 0; i < 10; i++) {
        kinesis_send(h, 200, "PutRecords", body);
        harness_advance(h, 1000);
    }
    free(body);
    iterator = kinesis_iterator(h, "s", 0, "TRIM_HORIZON", NULL);
    kinesis_do(h, 200, "GetRecords", "{'ShardIterator': '%s'}", iterator);
    harness_advance(h, 4500);
    kinesis_do(h, 400, "GetRecords", "{'ShardIterator': '%s'}", iterator);
    harness_advance(h, 500);
    kinesis_do(h, 200, "GetRecords", "{'ShardIterator': '%s'}", iterator);
    free(iterator);
    harness_free(h);
}

TEST(a_record_above_the_limit_of_the_stream_is_refused)
{
    struct harness *h = kinesis_with("s", 1, "no_limits = true");
    char *body = kinesis_many("s", 1, 1048576);

    kinesis_refused(kinesis_send(h, 400, "PutRecords", body), "ValidationException",
                    "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=1048576 "
                    "cap=1048576]' at 'records.1.member.data' failed to satisfy constraint: Member "
                    "must have length less than or equal to 1048576");
    free(body);
    body = kinesis_many("s", 1, 1048575);
    kinesis_send(h, 200, "PutRecords", body);
    free(body);
    kinesis_do(h, 200, "CreateStream",
               "{'StreamName': 'big', 'ShardCount': 1, 'MaxRecordSizeInKiB': 10240}");
    body = kinesis_many("big", 1, 10000000);
    kinesis_send(h, 200, "PutRecords", body);
    free(body);
    EQ_INT(kinesis_count(h, "big", 0), 1);
    harness_free(h);
}
