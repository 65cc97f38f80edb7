/* outcome.h - what SQS answers. [any] */
#ifndef KPIPE_SQS_DLQ_OUTCOME_H
#define KPIPE_SQS_DLQ_OUTCOME_H

#include <kpipe/plugin.h>
#include <stdbool.h>
#include <stdint.h>

/* One entry of a SendMessageBatch answer. Slices are [borrowed for the call]. */
struct outcome {
    uint32_t id;
    bool is_sent;
    bool is_own_fault; /* sending it again cannot help */
    kp_slice message_id, md5;
    kp_slice code, message; /* of one that was not sent */
};

/* False: the text is no such answer; entries before the mistake were told. */
bool outcome_parse(kp_slice body, void (*each)(void *, const struct outcome *), void *arg);

/* QueueUrl of a GetQueueUrl answer [owned by caller], NULL: there is none. */
char *outcome_queue_url(kp_slice body);

bool outcome_is_missing(const char *error); /* "no such queue", by its two names */

#endif
