/* local_rows.h - the services of the local AWS as its front end knows them, without the services:
 * for fuzz targets of what the front end reads.
 */
#ifndef KPIPE_TESTS_FUZZ_LOCAL_ROWS_H
#define KPIPE_TESTS_FUZZ_LOCAL_ROWS_H

#include "plugins/local-aws/local.h"

#define QUIET_ROW(id, ...) static const struct local_row row_##id = {__VA_ARGS__}

QUIET_ROW(kinesis, .name = "kinesis", .hosts = "data-kinesis control-kinesis",
          .targets = "Kinesis_20131202", .form = LOCAL_FORM_JSON_11);
QUIET_ROW(s3, .name = "s3", .form = LOCAL_FORM_S3);
QUIET_ROW(dynamodb, .name = "dynamodb", .targets = "DynamoDB_20120810 DynamoDBStreams_20120810",
          .form = LOCAL_FORM_JSON_10);
QUIET_ROW(sqs, .name = "sqs", .hosts = "queue", .targets = "AmazonSQS", .version = "2012-11-05",
          .form = LOCAL_FORM_JSON_10);
QUIET_ROW(sts, .name = "sts", .version = "2011-06-15", .form = LOCAL_FORM_QUERY);
QUIET_ROW(cloudwatch, .name = "cloudwatch", .scope = "monitoring",
          .targets = "GraniteServiceVersion20100801", .version = "2010-08-01",
          .form = LOCAL_FORM_QUERY);

#define QUIET_PLACE(NAME, name) [LOCAL_##NAME] = &row_##name,
const struct local_row *const local_rows[LOCAL_N_SERVICES] = {LOCAL_SERVICES(QUIET_PLACE)};

#endif
