/* aws_answer.h - private to core/aws: what an answer means.
 *
 * Error codes of the JSON protocols (x-amzn-errortype, __type, code), of the query protocols and S3
 * (XML), and of answers that have none (the status). Sources: lambda-apigw sections 4.5, 5.6 and
 * 5.7 of the specification.
 *
 * Threads: [any]
 */
#ifndef KPIPE_AWS_AWS_ANSWER_H
#define KPIPE_AWS_AWS_ANSWER_H

#include <kpipe/ext/http.h>

#include "core/aws/aws_retry.h"
#include "sdk/wire/slice.h"

struct aws_answer {
    bool is_error;
    char code[128];         /* "ResourceNotFoundException", "NetworkError" */
    struct kpw_buf message; /* [owned] the service's text */
    enum aws_fault fault;   /* why another attempt may help */
    bool is_expired;        /* the credentials have expired */
    bool is_skewed;         /* the service thinks our clock is wrong, or may do so */
    int64_t retry_after_ms; /* 0: not said */
};

/* Reads a whole answer into `answer`, whose message is used again. `may_hide` (S3): a 200 may have
 * an error in its body. */
void aws_answer_read(struct aws_answer *answer, const kp_http_response *response, bool may_hide);
/* An error of our own. */
void aws_answer_set(struct aws_answer *answer, const char *code, const char *message);
void aws_answer_fini(struct aws_answer *answer);

#endif
