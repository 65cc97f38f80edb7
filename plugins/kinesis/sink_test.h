/* sink_test.h - what the tests of the kinesis sink share. */
#ifndef KPIPE_KINESIS_SINK_TEST_H
#define KPIPE_KINESIS_SINK_TEST_H

#include "sdk/harness/harness.h"
#include "sdk/wire/base64.h"
#include "sdk/wire/kpl.h"
#include "tests/kptest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM  "stream = k.resource.stream { name = 'orders', shards = 2 }"
#define OK(seq) "{\"SequenceNumber\":\"" seq "\",\"ShardId\":\"shardId-000000000001\"}"
#define THROTTLE                                                                         \
    "{\"ErrorCode\":\"ProvisionedThroughputExceededException\",\"ErrorMessage\":\"Rate " \
    "exceeded\"}"

static inline struct harness *sink(const char *more)
{
    char options[600];

    snprintf(options, sizeof(options), "{ " STREAM "%s%s }",
             strstr(more, "wire") ? "" : ", wire = 'json'", more);
    return harness_new("kinesis", KP_SINK, options);
}

static inline void answer(struct harness *h, const char *entries)
{
    char body[4000];

    snprintf(body, sizeof(body), "{\"FailedRecordCount\":0,\"Records\":[%s]}", entries);
    harness_aws_answer(h, "PutRecords", 200, NULL, body, 0);
}

static inline void answer_many(struct harness *h, int n)
{
    char *body;
    size_t len;
    FILE *out = open_memstream(&body, &len);

    REQUIRE(out != NULL);
    fputs("{\"FailedRecordCount\":0,\"Records\":[", out);
    for (int i = 0; i < n; i++)
        fprintf(out, "%s{\"SequenceNumber\":\"%d\",\"ShardId\":\"shardId-000000000000\"}",
                i ? "," : "", i + 1);
    fputs("],\"EncryptionType\":\"NONE\"}", out);
    fclose(out);
    harness_aws_answer(h, "PutRecords", 200, NULL, body, 0);
    free(body);
}

static inline void refuse(struct harness *h, int status, const char *error)
{
    char body[300];

    snprintf(body, sizeof(body), "{\"__type\":\"%s\",\"message\":\"said the service\"}", error);
    harness_aws_answer(h, "PutRecords", status, error, body, 0);
}

/* The number among all requests of the nth PutRecords, or SIZE_MAX. */
static inline size_t put_at(const struct harness *h, size_t nth)
{
    for (size_t i = 0; i < harness_requests(h); i++)
        if (strstr(harness_request_line(h, i), "PutRecords") && nth-- == 0)
            return i;
    return SIZE_MAX;
}

static inline size_t n_puts(const struct harness *h)
{
    size_t n = 0;

    while (put_at(h, n) != SIZE_MAX)
        n++;
    return n;
}

static inline const char *put_body(const struct harness *h, size_t nth, size_t *ret_len)
{
    size_t i = put_at(h, nth);

    REQUIRE(i != SIZE_MAX);
    return harness_request_body(h, i, ret_len);
}

static inline bool body_is(const struct harness *h, size_t i, const char *text)
{
    size_t len;
    const char *body = put_body(h, i, &len);

    return len == strlen(text) && memcmp(body, text, len) == 0;
}

static inline bool body_has(const struct harness *h, size_t i, const char *text)
{
    size_t len;
    const char *body = put_body(h, i, &len);

    return memmem(body, len, text, strlen(text)) != NULL;
}

static inline int entries_in(const struct harness *h, size_t i)
{
    size_t len;
    const char *body = put_body(h, i, &len), *end = body + len;
    int n = 0;

    while ((body = memmem(body, (size_t)(end - body), "\"Data\"", 6))) {
        body += 6;
        n++;
    }
    return n;
}

/* [owned by caller] n records "r0", "r1" ... */
static inline const char **many(int n)
{
    const char **list = calloc((size_t)n + 1, sizeof(*list));

    REQUIRE(list != NULL);
    for (int i = 0; i < n; i++) {
        char text[16];

        snprintf(text, sizeof(text), "r%d", i);
        list[i] = strdup(text);
    }
    return list;
}

static inline void free_many(const char **list)
{
    for (int i = 0; list[i]; i++)
        free((char *)(uintptr_t)list[i]);
    free(list);
}

/* ---- shards. Of 2^128, "low" shards take the first half; MD5("a") begins with 0c, "b" 92, "c"
 * 4a, "d" 82, "e" e1: a and c are in the first half, the others in the second. */

#define HALF  "170141183460469231731687303715884105728"
#define BELOW "170141183460469231731687303715884105727"
#define LAST  "340282366920938463463374607431768211455"
#define LISTED(id, low, high, rest)                                                           \
    "{\"ShardId\":\"shardId-00000000000" id "\",\"HashKeyRange\":{\"StartingHashKey\":\"" low \
    "\",\"EndingHashKey\":\"" high "\"}," rest "}"
#define OPEN "\"SequenceNumberRange\":{\"StartingSequenceNumber\":\"1\"}"
#define CLOSED \
    "\"SequenceNumberRange\":{\"StartingSequenceNumber\":\"1\",\"EndingSequenceNumber\":\"9\"}"
#define TWO_SHARDS \
    "{\"Shards\":[" LISTED("1", HALF, LAST, OPEN) "," LISTED("0", "0", BELOW, OPEN) "]}"

static inline void list(struct harness *h, const char *body)
{
    harness_aws_answer(h, "ListShards", 200, NULL, body, 0);
}

/* One batch; each record's key is its payload. */
static inline void feed_keyed(struct harness *h, const char *lane, const char *keys)
{
    struct harness_input inputs[16] = {0};
    char texts[16][2] = {0};
    size_t n = 0;

    for (; keys[n]; n++) {
        texts[n][0] = keys[n];
        inputs[n].data = inputs[n].key = texts[n];
    }
    harness_feed_records(h, lane, inputs, n);
}

#define TAKEN(shard, seq) \
    "{\"SequenceNumber\":\"" seq "\",\"ShardId\":\"shardId-00000000000" shard "\"}"

#endif
