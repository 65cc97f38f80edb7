/* operations.c - the operations of Kinesis: their members, and how often they may be called.
 *
 * Facts: the service model of 2013-12-02; rates that it does not state are those of the guide.
 */
#include <string.h>

#include "plugins/local-aws/kinesis/kinesis.h"

/* ---- members */

#define STREAM_NAME                                                                               \
    {                                                                                             \
        .name = "StreamName", .type = CHECK_STRING, .pattern = PATTERN_NAME, .min = 1, .max = 128 \
    }
#define STREAM_ARN                                                                               \
    {                                                                                            \
        .name = "StreamARN", .type = CHECK_STRING, .pattern = PATTERN_ARN, .min = 1, .max = 2048 \
    }
#define STREAM_ID                                                                            \
    {                                                                                        \
        .name = "StreamId", .type = CHECK_STRING, .pattern = PATTERN_ID, .min = 1, .max = 24 \
    }
#define STREAM STREAM_NAME, STREAM_ARN, STREAM_ID
#define SHARD(member, is_required)                                                           \
    {                                                                                        \
        .name = member, .type = CHECK_STRING, .pattern = PATTERN_NAME, .min = 1, .max = 128, \
        .required = is_required                                                              \
    }
#define INTEGER(member, least, most)                                     \
    {                                                                    \
        .name = member, .type = CHECK_INTEGER, .min = least, .max = most \
    }
#define NEXT_TOKEN                                                          \
    {                                                                       \
        .name = "NextToken", .type = CHECK_STRING, .min = 1, .max = 1048576 \
    }
#define TIME(member)                       \
    {                                      \
        .name = member, .type = CHECK_TIME \
    }
#define TAGS(is_required)                                                                         \
    {                                                                                             \
        .name = "Tags", .type = CHECK_MAP, .min = 1, .max = 200, .key_max = 128, .item_max = 256, \
        .required = is_required                                                                   \
    }
#define TAG_KEYS                                                                         \
    {                                                                                    \
        .name = "TagKeys", .type = CHECK_STRINGS, .required = true, .min = 1, .max = 50, \
        .item_min = 1, .item_max = 128                                                   \
    }
#define ARN_OF_STREAM                                                                             \
    {                                                                                             \
        .name = "StreamARN", .type = CHECK_STRING, .pattern = PATTERN_ARN, .min = 1, .max = 2048, \
        .required = true                                                                          \
    }
#define ARN_OF_RESOURCE                                                                     \
    {                                                                                       \
        .name = "ResourceARN", .type = CHECK_STRING, .pattern = PATTERN_RESOURCE, .min = 1, \
        .max = 2048, .required = true                                                       \
    }
#define ARN_OF_CONSUMER(is_required)                                                        \
    {                                                                                       \
        .name = "ConsumerARN", .type = CHECK_STRING, .pattern = PATTERN_CONSUMER, .min = 1, \
        .max = 2048, .required = is_required                                                \
    }
#define CONSUMER_NAME(is_required)                                                       \
    {                                                                                    \
        .name = "ConsumerName", .type = CHECK_STRING, .pattern = PATTERN_NAME, .min = 1, \
        .max = 128, .required = is_required                                              \
    }
#define WARM                                                                              \
    {                                                                                     \
        .name = "WarmThroughputMiBps", .type = CHECK_INTEGER, .min = 0, .max = 2147483647 \
    }
#define END          \
    {                \
        .name = NULL \
    }

static const struct check_member mode_members[] = {{.name = "StreamMode",
                                                    .type = CHECK_STRING,
                                                    .required = true,
                                                    .choices = "[PROVISIONED, ON_DEMAND]"},
                                                   END};
static const struct check_member filter_members[] = {
    {.name = "Type",
     .type = CHECK_STRING,
     .required = true,
     .choices = "[AFTER_SHARD_ID, AT_TRIM_HORIZON, FROM_TRIM_HORIZON, AT_LATEST, AT_TIMESTAMP, "
                "FROM_TIMESTAMP]"},
    SHARD("ShardId", false),
    TIME("Timestamp"),
    END};

static const struct check_member create_members[] = {
    INTEGER("ShardCount", 1, 100000),
    {.name = "StreamName",
     .type = CHECK_STRING,
     .pattern = PATTERN_NAME,
     .min = 1,
     .max = 128,
     .required = true},
    {.name = "StreamModeDetails", .type = CHECK_STRUCT, .members = mode_members},
    TAGS(false),
    WARM,
    INTEGER("MaxRecordSizeInKiB", 1024, 10240),
    END};
static const struct check_member delete_members[] = {
    {.name = "EnforceConsumerDeletion", .type = CHECK_BOOL}, STREAM, END};
static const struct check_member describe_members[] = {
    INTEGER("Limit", 1, 10000), SHARD("ExclusiveStartShardId", false), STREAM, END};
static const struct check_member stream_members[] = {STREAM, END};
static const struct check_member list_members[] = {INTEGER("Limit", 1, 10000),
                                                   {.name = "ExclusiveStartStreamName",
                                                    .type = CHECK_STRING,
                                                    .pattern = PATTERN_NAME,
                                                    .min = 1,
                                                    .max = 128},
                                                   NEXT_TOKEN,
                                                   END};
static const struct check_member shards_members[] = {
    SHARD("ExclusiveStartShardId", false),
    INTEGER("MaxResults", 1, 10000),
    NEXT_TOKEN,
    TIME("StreamCreationTimestamp"),
    {.name = "ShardFilter", .type = CHECK_STRUCT, .members = filter_members},
    STREAM,
    END};
static const struct check_member put_members[] = {
    {.name = "SequenceNumberForOrdering", .type = CHECK_STRING, .pattern = PATTERN_SEQUENCE},
    {.name = "PartitionKey", .type = CHECK_STRING, .required = true, .min = 1, .max = 256},
    {.name = "ExplicitHashKey", .type = CHECK_STRING, .pattern = PATTERN_HASH},
    {.name = "Data", .type = CHECK_BLOB, .required = true, .max = 10485760},
    STREAM,
    END};
static const struct check_member puts_members[] = {
    {.name = "Records", .type = CHECK_RECORDS, .required = true, .min = 1, .max = 500},
    STREAM,
    END};
static const struct check_member iterator_members[] = {
    SHARD("ShardId", true),
    {.name = "ShardIteratorType",
     .type = CHECK_STRING,
     .required = true,
     .choices = "[AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]"},
    {.name = "StartingSequenceNumber", .type = CHECK_STRING, .pattern = PATTERN_SEQUENCE},
    STREAM,
    TIME("Timestamp"),
    END};
static const struct check_member get_members[] = {
    INTEGER("Limit", 1, 10000),
    {.name = "ShardIterator", .type = CHECK_STRING, .required = true, .min = 1, .max = 512},
    STREAM_ARN,
    STREAM_ID,
    END};
static const struct check_member split_members[] = {
    {.name = "NewStartingHashKey", .type = CHECK_STRING, .required = true, .pattern = PATTERN_HASH},
    STREAM,
    SHARD("ShardToSplit", true),
    END};
static const struct check_member merge_members[] = {
    SHARD("ShardToMerge", true), SHARD("AdjacentShardToMerge", true), STREAM, END};
static const struct check_member count_members[] = {
    STREAM,
    {.name = "TargetShardCount", .type = CHECK_INTEGER, .required = true, .min = 1},
    {.name = "ScalingType", .type = CHECK_STRING, .required = true, .choices = "[UNIFORM_SCALING]"},
    END};
static const struct check_member retention_members[] = {{.name = "RetentionPeriodHours",
                                                         .type = CHECK_INTEGER,
                                                         .required = true,
                                                         .min = 1,
                                                         .max = 8760},
                                                        STREAM,
                                                        END};
static const struct check_member tag_members[] = {TAGS(true), STREAM, END};
static const struct check_member untag_members[] = {TAG_KEYS, STREAM, END};
static const struct check_member tags_members[] = {
    INTEGER("Limit", 1, 50),
    {.name = "ExclusiveStartTagKey", .type = CHECK_STRING, .min = 1, .max = 128},
    STREAM,
    END};
static const struct check_member no_members[] = {END};

/* consumers */

static const struct check_member register_members[] = {ARN_OF_STREAM, CONSUMER_NAME(true),
                                                       STREAM_ID, TAGS(false), END};
static const struct check_member consumer_members[] = {STREAM_ARN, CONSUMER_NAME(false),
                                                       ARN_OF_CONSUMER(false), STREAM_ID, END};
static const struct check_member consumers_members[] = {
    ARN_OF_STREAM, NEXT_TOKEN, INTEGER("MaxResults", 1, 10000), TIME("StreamCreationTimestamp"),
    STREAM_ID,     END};
static const struct check_member position_members[] = {
    {.name = "Type",
     .type = CHECK_STRING,
     .required = true,
     .choices = "[AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]"},
    {.name = "SequenceNumber", .type = CHECK_STRING, .pattern = PATTERN_SEQUENCE},
    TIME("Timestamp"),
    END};
static const struct check_member subscribe_members[] = {ARN_OF_CONSUMER(true),
                                                        STREAM_ID,
                                                        SHARD("ShardId", true),
                                                        {.name = "StartingPosition",
                                                         .type = CHECK_STRUCT,
                                                         .required = true,
                                                         .members = position_members},
                                                        END};

/* encryption, monitoring, policies, modes, settings */

static const struct check_member encryption_members[] = {
    STREAM,
    {.name = "EncryptionType", .type = CHECK_STRING, .required = true, .choices = "[NONE, KMS]"},
    {.name = "KeyId", .type = CHECK_STRING, .required = true, .min = 1, .max = 2048},
    END};
static const struct check_member monitoring_members[] = {
    STREAM,
    {.name = "ShardLevelMetrics",
     .type = CHECK_STRINGS,
     .required = true,
     .min = 1,
     .max = 7,
     .choices = "[IncomingBytes, IncomingRecords, OutgoingBytes, OutgoingRecords, "
                "WriteProvisionedThroughputExceeded, ReadProvisionedThroughputExceeded, "
                "IteratorAgeMilliseconds, ALL]"},
    END};
static const struct check_member resource_members[] = {ARN_OF_RESOURCE, STREAM_ID, END};
static const struct check_member policy_members[] = {
    ARN_OF_RESOURCE, STREAM_ID, {.name = "Policy", .type = CHECK_STRING, .required = true}, END};
static const struct check_member tag_resource_members[] = {TAGS(true), ARN_OF_RESOURCE, STREAM_ID,
                                                           END};
static const struct check_member untag_resource_members[] = {TAG_KEYS, ARN_OF_RESOURCE, STREAM_ID,
                                                             END};
static const struct check_member change_mode_members[] = {
    ARN_OF_STREAM,
    STREAM_ID,
    {.name = "StreamModeDetails", .type = CHECK_STRUCT, .required = true, .members = mode_members},
    WARM,
    END};
static const struct check_member record_size_members[] = {STREAM_ARN,
                                                          STREAM_ID,
                                                          {.name = "MaxRecordSizeInKiB",
                                                           .type = CHECK_INTEGER,
                                                           .required = true,
                                                           .min = 1024,
                                                           .max = 10240},
                                                          END};
static const struct check_member warm_members[] = {STREAM,
                                                   {.name = "WarmThroughputMiBps",
                                                    .type = CHECK_INTEGER,
                                                    .required = true,
                                                    .min = 0,
                                                    .max = 2147483647},
                                                   END};
static const struct check_member commitment_members[] = {
    {.name = "Status", .type = CHECK_STRING, .required = true, .choices = "[ENABLED, DISABLED]"},
    END};
static const struct check_member settings_members[] = {
    {.name = "MinimumThroughputBillingCommitment",
     .type = CHECK_STRUCT,
     .required = true,
     .members = commitment_members},
    END};

/* ---- operations */

#define ACCOUNT(n) .per_s = (n), .is_of_stream = false
#define EACH(n)    .per_s = (n), .is_of_stream = true

static const struct kinesis_operation operations[] = {
    /* the frequent ones first; these have limits of their own */
    {"PutRecords", puts_members, kinesis_put_records, 0, false},
    {"GetRecords", get_members, kinesis_get_records, 0, false},
    {"PutRecord", put_members, kinesis_put_record, 0, false},
    {"GetShardIterator", iterator_members, kinesis_get_iterator, 0, false},
    {"SubscribeToShard", subscribe_members, kinesis_subscribe, 0, false},
    {"StartStreamEncryption", encryption_members, kinesis_start_encryption, 0, false},
    {"StopStreamEncryption", encryption_members, kinesis_stop_encryption, 0, false},
    {"UpdateStreamMode", change_mode_members, kinesis_update_mode, 0, false},
    {"UpdateMaxRecordSize", record_size_members, kinesis_update_record_size, 0, false},

    {"AddTagsToStream", tag_members, kinesis_add_tags, ACCOUNT(5)},
    {"CreateStream", create_members, kinesis_create_stream, ACCOUNT(5)},
    {"DecreaseStreamRetentionPeriod", retention_members, kinesis_decrease_retention, EACH(5)},
    {"DeleteResourcePolicy", resource_members, kinesis_delete_policy, ACCOUNT(5)},
    {"DeleteStream", delete_members, kinesis_delete_stream, ACCOUNT(5)},
    {"DeregisterStreamConsumer", consumer_members, kinesis_deregister_consumer, EACH(5)},
    {"DescribeAccountSettings", no_members, kinesis_describe_settings, ACCOUNT(5)},
    {"DescribeLimits", no_members, kinesis_describe_limits, ACCOUNT(1)},
    {"DescribeStream", describe_members, kinesis_describe_stream, ACCOUNT(10)},
    {"DescribeStreamConsumer", consumer_members, kinesis_describe_consumer, EACH(20)},
    {"DescribeStreamSummary", stream_members, kinesis_describe_summary, ACCOUNT(20)},
    {"DisableEnhancedMonitoring", monitoring_members, kinesis_disable_monitoring, EACH(5)},
    {"EnableEnhancedMonitoring", monitoring_members, kinesis_enable_monitoring, EACH(5)},
    {"GetResourcePolicy", resource_members, kinesis_get_policy, ACCOUNT(5)},
    {"IncreaseStreamRetentionPeriod", retention_members, kinesis_increase_retention, EACH(5)},
    {"ListShards", shards_members, kinesis_list_shards, EACH(1000)},
    {"ListStreamConsumers", consumers_members, kinesis_list_consumers, EACH(5)},
    {"ListStreams", list_members, kinesis_list_streams, ACCOUNT(5)},
    {"ListTagsForResource", resource_members, kinesis_list_resource_tags, ACCOUNT(5)},
    {"ListTagsForStream", tags_members, kinesis_list_tags, ACCOUNT(5)},
    {"MergeShards", merge_members, kinesis_merge_shards, ACCOUNT(5)},
    {"PutResourcePolicy", policy_members, kinesis_put_policy, ACCOUNT(5)},
    {"RegisterStreamConsumer", register_members, kinesis_register_consumer, ACCOUNT(5)},
    {"RemoveTagsFromStream", untag_members, kinesis_remove_tags, ACCOUNT(5)},
    {"SplitShard", split_members, kinesis_split_shard, ACCOUNT(5)},
    {"TagResource", tag_resource_members, kinesis_tag_resource, ACCOUNT(5)},
    {"UntagResource", untag_resource_members, kinesis_untag_resource, ACCOUNT(5)},
    {"UpdateAccountSettings", settings_members, kinesis_update_settings, ACCOUNT(5)},
    {"UpdateShardCount", count_members, kinesis_update_shard_count, ACCOUNT(10)},
    {"UpdateStreamWarmThroughput", warm_members, kinesis_update_warm, ACCOUNT(5)},
};

_Static_assert(sizeof operations / sizeof *operations <= KINESIS_OPERATIONS_MAX, "rates are kept");

const struct kinesis_operation *kinesis_operation(const char *name)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (!strcmp(operations[i].name, name))
            return &operations[i];
    return NULL;
}

size_t kinesis_operation_number(const struct kinesis_operation *operation)
{
    return (size_t)(operation - operations);
}
