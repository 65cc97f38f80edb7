/* aws.h - extension "aws/1": signed calls to AWS services. [worker]
 *
 * Credentials (environment, profile, container, IMDSv2), region, endpoint
 * (AWS_ENDPOINT_URL[_SERVICE], the embedded local AWS), SigV4, clock-skew
 * correction and the standard retry mode are the host's business.
 */
#ifndef KPIPE_EXT_AWS_H
#define KPIPE_EXT_AWS_H

#include <kpipe/ext/http.h>
#include <kpipe/plugin.h>

typedef struct kp_aws_request {
    uint32_t size;
    const char *service; /* endpoint id and signing name: "kinesis", "dynamodb", "sqs", "s3" ... */
    const char *target;  /* X-Amz-Target of the JSON protocols, NULL for REST */
    const char *content_type; /* NULL: none for REST, "application/x-amz-json-1.1" with target */
    const char *method;       /* NULL: "POST" */
    const char *path;         /* already percent-encoded, begins with '/'; NULL: "/" */
    const char *query;        /* already percent-encoded, without '?'; NULL: none */
    const kp_http_header *headers; /* further ones, signed too; copied */
    size_t n_headers;
    kp_slice body;      /* [borrowed until the answer] */
    int64_t timeout_ms; /* one attempt; 0 = 30 s */
    int32_t attempts;   /* 0 = the retry mode's own (3); 1 = never retried here */
    size_t max_body;    /* as in http.h */
    kp_slab *into;      /* as in http.h */
    size_t into_capacity;
    /* ---- appended in 1.1: as in http.h; `arg` is that of call() */
    bool (*piece)(kp_node *, void *arg, kp_slice piece);
    bool http2;
    /* ---- appended in 1.2: as in http.h */
    size_t expected_body;
} kp_aws_request;

typedef struct kp_aws_response {
    uint32_t size;
    int32_t status; /* HTTP; 0 when no answer came */
    kp_slice body;  /* [borrowed for the call], or inside request.into */
    const char
        *error; /* NULL on 2xx; else the error code: "ProvisionedThroughputExceededException",
                   or "NetworkError", "Timeout", "NoCredentials", "BodyTooLarge" (the answer is
                   longer than max_body or into_capacity; not retried) */
    const char *message; /* the service's text, "" when none */
    bool retryable;      /* throttle, 5xx, network: the same call may succeed later */
    bool throttled;
    const kp_http_response *http; /* headers; NULL when no answer came */
    int64_t retry_after_ms;       /* what the service asked for, else 0 */
} kp_aws_response;

typedef struct kp_aws_call kp_aws_call;
typedef void (*kp_aws_fn)(kp_node *, void *arg, const kp_aws_response *);

typedef struct kp_aws_ext {
    uint32_t size;
    /* fn is called exactly once, never from inside call(), unless cancelled. */
    kp_aws_call *(*call)(kp_node *, const kp_aws_request *, kp_aws_fn fn, void *arg);
    void (*cancel)(kp_aws_call *);
    const char *(*region)(kp_node *); /* "us-east-1" */
    const char *(*endpoint)(kp_node *,
                            const char *service); /* "http://127.0.0.1:4566" [owned by host] */
    /* ---- appended in 1.1 */
    void (*resume)(kp_aws_call *); /* pieces are wanted again; piece() may be called at once */
} kp_aws_ext;

#endif
