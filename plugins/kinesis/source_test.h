/* source_test.h - what the tests of the kinesis source share: answers of the service by hand. */
#ifndef KPIPE_KINESIS_SOURCE_TEST_H
#define KPIPE_KINESIS_SOURCE_TEST_H

#include "sdk/harness/harness.h"
#include "sdk/wire/base64.h"
#include "sdk/wire/cbor.h"
#include "sdk/wire/kpl.h"
#include "tests/kptest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM   "stream = k.resource.stream { name = 'orders', shards = 2 }"
#define ONE      "{\"ShardId\":\"shardId-000000000000\",\"HashKeyRange\":{\"StartingHashKey\":\"0\"}}"
#define TWO      "{\"ShardId\":\"shardId-000000000001\",\"HashKeyRange\":{\"StartingHashKey\":\"9\"}}"
#define ITERATOR "{\"ShardIterator\":\"it-1\"}"
#define SHARD    "shardId-000000000000"

static inline struct harness *source(const char *more)
{
    char options[500];

    snprintf(options, sizeof(options), "{ " STREAM "%s%s }",
             strstr(more, "wire") ? "" : ", wire = 'json'", more);
    return harness_new("kinesis", KP_SOURCE, options);
}

static inline void answer(struct harness *h, const char *operation, const char *body)
{
    harness_aws_answer(h, operation, 200, NULL, body, 0);
}

static inline void refuse(struct harness *h, const char *operation, int status, const char *error)
{
    char body[300];

    snprintf(body, sizeof(body), "{\"__type\":\"%s\",\"message\":\"said the service\"}", error);
    harness_aws_answer(h, operation, status, error, body, 0);
}

/* One answer of GetRecords: records with sequence numbers from..to, "cmVjb3Jk" is "record". */
static inline void records(struct harness *h, int from, int to, const char *next, int behind_ms)
{
    char *body, iterator[100] = "";
    size_t len;
    FILE *out = open_memstream(&body, &len);

    REQUIRE(out != NULL);
    fputs("{\"Records\":[", out);
    for (int i = from; i <= to; i++)
        fprintf(out,
                "%s{\"SequenceNumber\":\"%d\",\"ApproximateArrivalTimestamp\":1700000000.25,"
                "\"Data\":\"cmVjb3Jk\",\"PartitionKey\":\"k%d\"}",
                i > from ? "," : "", i, i);
    if (next)
        snprintf(iterator, sizeof(iterator), "\"NextShardIterator\":\"%s\",", next);
    fprintf(out, "],%s\"MillisBehindLatest\":%d}", iterator, behind_ms);
    fclose(out);
    answer(h, "GetRecords", body);
    free(body);
}

static inline void list_one(struct harness *h)
{
    answer(h, "ListShards", "{\"Shards\":[" ONE "]}");
    answer(h, "GetShardIterator", ITERATOR);
}

/* The nth request of that operation (from 0), or NULL. */
static inline const char *request_of(const struct harness *h, const char *operation, size_t nth)
{
    for (size_t i = 0; i < harness_requests(h); i++)
        if (strstr(harness_request_line(h, i), operation) && nth-- == 0)
            return harness_request_body(h, i, &(size_t){0});
    return NULL;
}

static inline size_t requests_of(const struct harness *h, const char *operation)
{
    size_t n = 0;

    for (size_t i = 0; i < harness_requests(h); i++)
        n += strstr(harness_request_line(h, i), operation) != NULL;
    return n;
}

static inline bool body_has(const struct harness *h, const char *operation, size_t nth,
                            const char *text)
{
    const char *body = request_of(h, operation, nth);

    return body && strstr(body, text);
}

#endif
