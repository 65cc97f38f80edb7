/* calls.c - the error codes of the Kinesis API sorted by what a client can do about them.
 *
 * The table follows the service's own advice: throttles, 5xx and lost connections
 * are retried, an expired iterator is replaced, the rest is for a person.
 */
#include "plugins/kinesis/calls.h"

#include <string.h>

static bool is(const kp_aws_response *answer, const char *code)
{
    return answer->error && strcmp(answer->error, code) == 0;
}

enum calls_error calls_judge(const kp_aws_response *answer)
{
    if (!answer->error)
        return CALLS_FINE;
    if (is(answer, "BodyTooLarge"))
        return CALLS_TOO_LONG;
    if (is(answer, "ExpiredIteratorException"))
        return CALLS_ITERATOR;
    if (is(answer, "ResourceNotFoundException"))
        return CALLS_MISSING;
    if (answer->retryable || answer->throttled || is(answer, "LimitExceededException") ||
        is(answer, "ResourceInUseException") || is(answer, "ExpiredTokenException") ||
        is(answer, "ExpiredToken")) /* the host renews credentials; these may come late */
        return CALLS_AGAIN;
    if (is(answer, "InvalidArgumentException") || is(answer, "ValidationException") ||
        is(answer, "SerializationException"))
        return CALLS_REQUEST;
    return CALLS_FATAL;
}

kp_status calls_fail(kp_node *node, const char *action, const kp_resource *stream,
                     const kp_aws_response *answer)
{
    const kp_aws_ext *aws = kp->extension("aws/1");
    const char *region = aws->region(node);
    const char *message = answer->message ? answer->message : "";

    if (is(answer, "ResourceNotFoundException"))
        return kp->fail(node, "stream %s does not exist in %s (kinesis:%s: %s)", stream->name,
                        region, action, message);
    if (answer->status == 403 || is(answer, "AccessDeniedException"))
        return kp->fail(node, "not allowed: kinesis:%s on stream %s in %s (%s: %s)", action,
                        stream->name, region, answer->error, message);
    return kp->fail(node, "kinesis:%s on stream %s in %s failed: %s%s%s", action, stream->name,
                    region, answer->error, *message ? ": " : "", message);
}

int64_t calls_backoff_ms(struct kpw_random *random, unsigned tries, int64_t base_ms, int64_t max_ms)
{
    int64_t most = base_ms << (tries < 16 ? tries : 16);

    if (most > max_ms)
        most = max_ms;
    return base_ms / 2 + (int64_t)kpw_random_below(random, (uint64_t)most);
}
