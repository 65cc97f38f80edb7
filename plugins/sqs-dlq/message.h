/* message.h - the text of one message: Lambda's on-failure record for a Kinesis batch, or a
 * payload.
 *
 * Owned by: the sqs-dlq sink.   Threads: any.
 * Not here: sending (sqs-dlq.c).
 */
#ifndef KPIPE_SQS_DLQ_MESSAGE_H
#define KPIPE_SQS_DLQ_MESSAGE_H

#include <kpipe/plugin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct message_frame {
    const char *pipeline, *flow;
    const char *region;
    const char *account; /* of the queue; the function and the stream are taken to be there too */
    const char *stream;  /* name of the pipeline's only stream, "" when there are several */
    int64_t now_ms;
    const char *request_id; /* a UUID */
    bool payload;           /* with the records themselves */
    size_t max_bytes;
};

/* Writes the message of records b[at[0..n)], which failed together. False: out of memory. The
 * caller frees *ret. */
bool message_of_failure(const struct message_frame *frame, const kp_batch *b, const uint32_t *at,
                        uint32_t n, char **ret, size_t *ret_len);

/* True when the text consists of characters that SQS takes as they are. */
bool message_is_text(const char *text, size_t len);

#endif
