/* s3_test.h - a bucket behind HTTP, and looking at answers.
 *
 * Threads: the test's only.
 */
#ifndef KPIPE_LOCAL_AWS_S3_S3_TEST_H
#define KPIPE_LOCAL_AWS_S3_S3_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/service_test.h"

/* Signed for s3 in shape only, as the service verifies nothing by default. */
#define SCOPE                                                                              \
    "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, " \
    "SignedHeaders=host, Signature=00\r\n"

static const char *body; /* of the last answer */

static inline int ask(struct harness *h, const char *method, const char *target,
                      const char *headers, const char *data)
{
    char all[4000];

    snprintf(all, sizeof(all), SCOPE "%s", headers);
    return harness_request(h, method, target, all, data, strlen(data), &body);
}

static inline struct harness *start(const char *dir)
{
    struct harness *h = service_start(dir);

    EQ_INT(ask(h, "PUT", "/bucket", "", ""), 200);
    return h;
}

static inline void put(struct harness *h, const char *key, const char *data)
{
    char target[1200];

    snprintf(target, sizeof(target), "/bucket/%s", key);
    EQ_INT(ask(h, "PUT", target, "", data), 200);
}

/* The text between <name> and </name> the nth time, from 0. [static buffers, 4 in turn] */
static inline const char *element(const char *name, int nth)
{
    static char out[4][600];
    static int turn;
    char open[60];
    const char *at = body, *end;

    snprintf(open, sizeof(open), "<%s>", name);
    do
        at = at ? strstr(at, open) : NULL;
    while (at && nth-- > 0 && (at += strlen(open)));
    if (!at)
        return "";
    at += strlen(open);
    end = strchr(at, '<');
    turn = (turn + 1) % 4;
    snprintf(out[turn], sizeof(out[turn]), "%.*s", end ? (int)(end - at) : 0, at);
    return out[turn];
}

static inline const char *header(struct harness *h, const char *name)
{
    const char *value = harness_response_header(h, name);

    return value ? value : "";
}

#endif
