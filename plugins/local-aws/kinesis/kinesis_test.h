/* kinesis_test.h - asking the Kinesis of the local AWS in tests.
 *
 * Threads: the test's only.
 */
#ifndef KPIPE_LOCAL_AWS_KINESIS_TEST_H
#define KPIPE_LOCAL_AWS_KINESIS_TEST_H

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/harness/harness.h"
#include "sdk/wire/base64.h"
#include "tests/kptest.h"

/* The service on a folder, with further options ("no_limits = true"). */
static inline struct harness *kinesis_start(const char *dir, const char *options)
{
    char text[4600];
    struct harness *h;

    snprintf(text, sizeof text, "{ dir = '%s', %s }", dir, options ? options : "");
    h = harness_new("local-aws", KP_SERVICE, text);
    harness_start(h);
    REQUIRE(harness_url(h) != NULL);
    return h;
}

/* [borrowed until the next request] Sends `body` with each ' turned into ". */
static inline const char *kinesis_send(struct harness *h, int status, const char *operation,
                                       const char *body)
{
    char headers[200], *text = strdup(body);
    const char *answer = "";
    int got;

    REQUIRE(text != NULL);
    for (char *p = text; *p; p++)
        if (*p == '\'')
            *p = '"';
    snprintf(headers, sizeof headers,
             "Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: Kinesis_20131202.%s\r\n",
             operation);
    got = harness_request(h, "POST", "/", headers, text, strlen(text), &answer);
    if (got != status)
        fprintf(stderr, "%s %.300s: %d %.300s\n", operation, text, got, answer);
    EQ_INT(got, status);
    free(text);
    return answer;
}

__attribute__((format(printf, 4, 5))) static inline const char *kinesis_do(struct harness *h,
                                                                           int status,
                                                                           const char *operation,
                                                                           const char *fmt, ...)
{
    static char *body; /* of the last call */
    va_list args;

    free(body);
    body = NULL;
    va_start(args, fmt);
    REQUIRE(vasprintf(&body, fmt, args) >= 0);
    va_end(args);
    return kinesis_send(h, status, operation, body);
}

/* [owned by caller] The same, the answer's JSON. */
#define kinesis_ask(...) kinesis_json(kinesis_do(__VA_ARGS__))

static inline json_t *kinesis_json(const char *answer)
{
    json_t *out = json_loads(answer, JSON_ALLOW_NUL, NULL);

    if (!out)
        fprintf(stderr, "not JSON: %.300s\n", answer);
    REQUIRE(out != NULL);
    return out;
}

/* The value at a path of members and list indexes: "Records.0.Data", or NULL. */
static inline json_t *kinesis_at(const json_t *document, const char *path)
{
    const json_t *at = document;
    char part[100];

    while (at && *path) {
        size_t n = strcspn(path, ".");

        snprintf(part, sizeof part, "%.*s", (int)n, path);
        path += n + (path[n] == '.');
        at = json_is_array(at) ? json_array_get(at, (size_t)atol(part)) : json_object_get(at, part);
    }
    return (json_t *)(uintptr_t)at;
}

static inline const char *kinesis_text(const json_t *document, const char *path)
{
    const char *text = json_string_value(kinesis_at(document, path));

    return text ? text : "";
}

static inline int64_t kinesis_int(const json_t *document, const char *path)
{
    return json_integer_value(kinesis_at(document, path));
}

/* The answer must be an error of this type with this text (NULL: whatever). */
static inline void kinesis_refused(const char *answer, const char *type, const char *message)
{
    json_t *out = kinesis_json(answer);
    const char *text = kinesis_text(out, "message");

    EQ_STR(kinesis_text(out, "__type"), type);
    if (message)
        EQ_STR(*text ? text : kinesis_text(out, "Message"), message);
    json_decref(out);
}

/* [owned by caller] An iterator; `more` are further members (", 'StartingSequenceNumber': '1'"). */
static inline char *kinesis_iterator(struct harness *h, const char *stream, int shard,
                                     const char *type, const char *more)
{
    json_t *out = kinesis_ask(h, 200, "GetShardIterator",
                              "{'StreamName': '%s', 'ShardId': 'shardId-%012d',"
                              " 'ShardIteratorType': '%s'%s}",
                              stream, shard, type, more ? more : "");
    char *text = strdup(kinesis_text(out, "ShardIterator"));

    REQUIRE(text && *text);
    json_decref(out);
    return text;
}

/* [owned by caller] The next records; *iterator is replaced by the next one, or NULL. */
static inline json_t *kinesis_get(struct harness *h, char **iterator, int limit)
{
    json_t *out = limit ? kinesis_ask(h, 200, "GetRecords", "{'ShardIterator': '%s', 'Limit': %d}",
                                      *iterator, limit)
                        : kinesis_ask(h, 200, "GetRecords", "{'ShardIterator': '%s'}", *iterator);
    const char *next = json_string_value(kinesis_at(out, "NextShardIterator"));

    free(*iterator);
    *iterator = next ? strdup(next) : NULL;
    return out;
}

/* [owned by caller] The first up to 10,000 records of a shard. */
static inline json_t *kinesis_all(struct harness *h, const char *stream, int shard)
{
    char *iterator = kinesis_iterator(h, stream, shard, "TRIM_HORIZON", NULL);
    json_t *out = kinesis_get(h, &iterator, 0);

    free(iterator);
    return out;
}

static inline size_t kinesis_count(struct harness *h, const char *stream, int shard)
{
    json_t *out = kinesis_all(h, stream, shard);
    size_t n = json_array_size(kinesis_at(out, "Records"));

    json_decref(out);
    return n;
}

/* Puts one record and returns its sequence number. [static buffer, 8 in turn] */
static inline const char *kinesis_put(struct harness *h, const char *stream, const char *key,
                                      const char *base64)
{
    static char numbers[8][60];
    static unsigned turn;
    char *number = numbers[turn++ % 8];
    json_t *out =
        kinesis_ask(h, 200, "PutRecord", "{'StreamName': '%s', 'PartitionKey': '%s', 'Data': '%s'}",
                    stream, key, base64);

    snprintf(number, sizeof numbers[0], "%s", kinesis_text(out, "SequenceNumber"));
    json_decref(out);
    return number;
}

/* The service on a folder of its own, with one stream. */
static inline struct harness *kinesis_with(const char *stream, int shards, const char *options)
{
    struct harness *h = kinesis_start(kptest_dir(), options);

    kinesis_do(h, 200, "CreateStream", "{'StreamName': '%s', 'ShardCount': %d}", stream, shards);
    return h;
}

/* A PutRecords body of n records of `bytes` bytes each. [owned by caller] */
static inline char *kinesis_many(const char *stream, int n, size_t bytes)
{
    struct kpw_buf out = KPW_BUF_INIT;
    char *data = calloc(1, bytes + 1);
    size_t len;

    kpw_buf_appendf(&out, "{\"StreamName\":\"%s\",\"Records\":[", stream);
    for (int i = 0; i < n; i++) {
        snprintf(data, bytes + 1, "%0*d", (int)(bytes < 9 ? bytes : 9), i);
        kpw_buf_appendf(&out, "%s{\"PartitionKey\":\"%d\",\"Data\":\"", i ? "," : "", i);
        kpw_base64_put(&out, data, bytes);
        kpw_buf_puts(&out, "\"}");
    }
    kpw_buf_puts(&out, "]}");
    free(data);
    REQUIRE(kpw_buf_cstr(&out) != NULL);
    return kpw_buf_take(&out, &len);
}

#endif
