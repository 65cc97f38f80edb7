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

static inline bool body_is(const struct harness *h, size_t i, const char *text)
{
    size_t len;
    const char *body = harness_request_body(h, i, &len);

    return len == strlen(text) && memcmp(body, text, len) == 0;
}

static inline bool body_has(const struct harness *h, size_t i, const char *text)
{
    size_t len;
    const char *body = harness_request_body(h, i, &len);

    return memmem(body, len, text, strlen(text)) != NULL;
}

static inline int entries_in(const struct harness *h, size_t i)
{
    size_t len;
    const char *body = harness_request_body(h, i, &len), *end = body + len;
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

#endif
