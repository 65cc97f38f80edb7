/* aws_retry.h - private to core/aws: the standard retry mode as arithmetic.
 *
 * A bucket of 500 tokens per service and worker pays for retries; what succeeds pays back. Two
 * generations of numbers: the one from 2026 on is used unless AWS_NEW_RETRIES_2026=false.
 * Source: lambda-apigw section 5.7 of the specification.
 *
 * Threads: [any]; a bucket belongs to one worker.
 */
#ifndef KPIPE_AWS_AWS_RETRY_H
#define KPIPE_AWS_AWS_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#define AWS_RETRY_TOKENS 500

enum aws_fault { AWS_FAULT_NONE = 0, AWS_FAULT_TRANSIENT, AWS_FAULT_TIMEOUT, AWS_FAULT_THROTTLE };

struct aws_retry_mode {
    int attempts, dynamodb_attempts;
    int cost_transient, cost_timeout, cost_throttle;                       /* tokens */
    int64_t base_transient_ms, base_throttle_ms, base_dynamodb_ms, max_ms; /* delays */
    bool takes_hints; /* x-amz-retry-after and Retry-After */
};
extern const struct aws_retry_mode aws_retry_2026, aws_retry_before_2026;

struct aws_retry_bucket {
    int tokens;
};

/* Takes what a retry costs. 0: there is not enough, so no retry. */
int aws_retry_take(struct aws_retry_bucket *bucket, const struct aws_retry_mode *mode,
                   enum aws_fault fault);
/* After a success: `paid` is what its last retry cost, 0 without a retry. */
void aws_retry_refund(struct aws_retry_bucket *bucket, int paid);

struct aws_retry_delay {
    const struct aws_retry_mode *mode;
    enum aws_fault fault;
    bool is_dynamodb;
    int retry;       /* 1 for the first */
    double unit;     /* random, 0 <= unit < 1 */
    int64_t hint_ms; /* what the service asked for; 0: nothing */
};
int64_t aws_retry_delay_ms(const struct aws_retry_delay *delay);

#endif
