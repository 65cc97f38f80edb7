/* kinesis_members.h - members of every kind, for the fuzz targets of requests; included once. */
#ifndef KPIPE_TESTS_FUZZ_KINESIS_MEMBERS_H
#define KPIPE_TESTS_FUZZ_KINESIS_MEMBERS_H

#include "plugins/local-aws/kinesis/check.h"

static const struct check_member mode[] = {
    {.name = "StreamMode", .type = CHECK_STRING, .required = true, .choices = "[A, B]"},
    {.name = "Consumer", .type = CHECK_STRING, .pattern = PATTERN_CONSUMER},
    {.name = NULL}};
static const struct check_member table[] = {
    {.name = "Limit", .type = CHECK_INTEGER, .min = 1, .max = 10000},
    {.name = "StreamName", .type = CHECK_STRING, .pattern = PATTERN_NAME, .min = 1, .max = 128},
    {.name = "StreamARN", .type = CHECK_STRING, .pattern = PATTERN_ARN, .min = 1, .max = 2048},
    {.name = "StreamId", .type = CHECK_STRING, .pattern = PATTERN_ID, .min = 1, .max = 24},
    {.name = "Number", .type = CHECK_STRING, .pattern = PATTERN_SEQUENCE},
    {.name = "Data", .type = CHECK_BLOB, .max = 100},
    {.name = "Timestamp", .type = CHECK_TIME},
    {.name = "Tags", .type = CHECK_MAP, .min = 1, .max = 3, .key_max = 5, .item_max = 4},
    {.name = "TagKeys", .type = CHECK_STRINGS, .min = 1, .max = 5, .item_min = 1, .item_max = 9},
    {.name = "Mode", .type = CHECK_STRUCT, .members = mode},
    {.name = "Records", .type = CHECK_RECORDS, .min = 1, .max = 500},
    {.name = "Resource", .type = CHECK_STRING, .pattern = PATTERN_RESOURCE},
    {.name = NULL}};

#endif
