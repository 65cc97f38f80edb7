/* fuzz_sqs_answer.c - what sqs-dlq reads: SendMessageBatch and GetQueueUrl answers. */
#include <stdlib.h>
#include <string.h>

#include "plugins/sqs-dlq/outcome.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    const char *text;
    size_t size, sum;
};

static void inside(const struct seen *seen, kp_slice part)
{
    if (part.len && (part.ptr < seen->text || part.len > seen->size ||
                     part.ptr > seen->text + seen->size - part.len))
        abort();
}

static void take(void *arg, const struct outcome *o)
{
    struct seen *seen = arg;

    inside(seen, o->message_id);
    inside(seen, o->md5);
    inside(seen, o->code);
    inside(seen, o->message);
    seen->sum += o->id;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1);
    struct seen seen = {text, size, 0};

    memcpy(text, data, size);
    outcome_parse((kp_slice){text, size}, take, &seen);
    free(outcome_queue_url((kp_slice){text, size}));
    free(text);
    return 0;
}
