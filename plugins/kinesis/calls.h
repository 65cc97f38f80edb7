/* calls.h - what source and sink share: one way to read service errors, back-off, texts as slices.
 *
 * Owned by: nobody.   Threads: any, except where a node is given: its worker.
 */
#ifndef KPIPE_KINESIS_CALLS_H
#define KPIPE_KINESIS_CALLS_H

#include "sdk/wire/random.h"

#include <kpipe/ext/aws.h>
#include <kpipe/plugin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline kp_slice slice_of(const char *text)
{
    return (kp_slice){text, strlen(text)};
}

enum calls_error {
    CALLS_FINE = 0,
    CALLS_AGAIN,    /* throttled, 5xx, network: the same call may succeed later */
    CALLS_ITERATOR, /* the iterator is expired or was never good: get another */
    CALLS_TOO_LONG, /* the answer does not fit where it was to go */
    CALLS_MISSING,  /* no such stream or shard */
    CALLS_REQUEST,  /* something in the request is wrong */
    CALLS_FATAL,    /* permission, credentials, anything else */
};

enum calls_error calls_judge(const kp_aws_response *answer);

/* Fails the node with action, stream, region and what the service said. */
kp_status calls_fail(kp_node *node, const char *action, const kp_resource *stream,
                     const kp_aws_response *answer);

/* Full jitter: base/2 and a random part of base * 2^tries, which is at most max. */
int64_t calls_backoff_ms(struct kpw_random *random, unsigned tries, int64_t base_ms,
                         int64_t max_ms);

#endif
