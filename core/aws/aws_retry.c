/* aws_retry.c - see aws_retry.h. */
#include "core/aws/aws_retry.h"

#define HINT_MORE_MS 5000 /* a hint may ask for this much more than the backoff */

const struct aws_retry_mode aws_retry_2026 = {
    .attempts = 3,
    .dynamodb_attempts = 4,
    .cost_transient = 14,
    .cost_timeout = 14,
    .cost_throttle = 5,
    .base_transient_ms = 50,
    .base_throttle_ms = 1000,
    .base_dynamodb_ms = 25,
    .max_ms = 20000,
    .takes_hints = true,
};

const struct aws_retry_mode aws_retry_before_2026 = {
    .attempts = 3,
    .dynamodb_attempts = 3,
    .cost_transient = 5,
    .cost_timeout = 10,
    .cost_throttle = 5,
    .base_transient_ms = 1000,
    .base_throttle_ms = 1000,
    .base_dynamodb_ms = 1000,
    .max_ms = 20000,
};

int aws_retry_take(struct aws_retry_bucket *bucket, const struct aws_retry_mode *mode,
                   enum aws_fault fault)
{
    int cost = fault == AWS_FAULT_THROTTLE  ? mode->cost_throttle
               : fault == AWS_FAULT_TIMEOUT ? mode->cost_timeout
                                            : mode->cost_transient;

    if (bucket->tokens < cost)
        return 0;
    bucket->tokens -= cost;
    return cost;
}

void aws_retry_refund(struct aws_retry_bucket *bucket, int paid)
{
    bucket->tokens += paid ? paid : 1;
    if (bucket->tokens > AWS_RETRY_TOKENS)
        bucket->tokens = AWS_RETRY_TOKENS;
}

int64_t aws_retry_delay_ms(const struct aws_retry_delay *delay)
{
    const struct aws_retry_mode *mode = delay->mode;
    int64_t base = delay->fault == AWS_FAULT_THROTTLE ? mode->base_throttle_ms
                   : delay->is_dynamodb               ? mode->base_dynamodb_ms
                                                      : mode->base_transient_ms;
    int64_t most = base << (delay->retry > 20 ? 20 : delay->retry - 1), wait;

    if (most > mode->max_ms)
        most = mode->max_ms;
    wait = (int64_t)(delay->unit * (double)most);
    if (!mode->takes_hints || delay->hint_ms <= wait)
        return wait;
    return delay->hint_ms > wait + HINT_MORE_MS ? wait + HINT_MORE_MS : delay->hint_ms;
}
