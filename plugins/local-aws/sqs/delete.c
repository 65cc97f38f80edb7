/* delete.c - DeleteMessage, ChangeMessageVisibility, and the receipt handles they take. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/sqs/call.h"
#include "sdk/wire/base64.h"

enum { VISIBILITY_MAX = 43200 };

/* ---- receipt handles ---- */

struct handle {
    long long queue, message, receives;
    char uid[KPW_UUID_SIZE];
};

void sqs_put_handle(const struct sqs_queue *queue, const struct sqs_message *message,
                    char out[SQS_HANDLE_MAX])
{
    char raw[SQS_HANDLE_MAX / 4 * 3 - 3];
    int n = snprintf(raw, sizeof(raw), "1:%lld:%lld:%lld:%s", (long long)queue->id,
                     (long long)message->id, (long long)message->receives, message->uid);

    if ((size_t)n >= sizeof(raw))
        n = sizeof(raw) - 1;
    out[kpw_base64_encode_url(raw, (size_t)n, false, out)] = '\0';
}

static bool read_handle(const char *text, struct handle *ret)
{
    char raw[SQS_HANDLE_MAX];
    size_t len = strlen(text), n;
    int end = 0;

    if (kpw_base64_decoded_max(len) >= sizeof(raw) || !kpw_base64_decode_url(text, len, raw, &n))
        return false;
    raw[n] = '\0';
    return strlen(raw) == n && strspn(raw, "0123456789abcdef-:") == n &&
           sscanf(raw, "1:%lld:%lld:%lld:%36[0-9a-f-]%n", &ret->queue, &ret->message,
                  &ret->receives, ret->uid, &end) == 4 &&
           (size_t)end == n;
}

static bool take_handle(const struct sqs_queue *queue, const json_t *entry, struct handle *ret,
                        struct sqs_error *err)
{
    const char *text = sqs_text(entry, "ReceiptHandle");

    if (!text || text[0] == '\0')
        return sqs_missing(err, "ReceiptHandle");
    if (read_handle(text, ret) && ret->queue == queue->id)
        return true;
    return sqs_refuse(err, "ReceiptHandleIsInvalid",
                      "The input receipt handle \"%.500s\" is not a valid receipt handle.", text);
}

/* The message a handle means. False: it is gone. sqs_message_fini() in any case. */
static bool find_message(struct sqs_call *call, const struct sqs_queue *queue,
                         const struct handle *handle, struct sqs_message *ret)
{
    return sqs_message_find(call->store, queue->id, handle->message, ret) &&
           strcmp(ret->uid, handle->uid) == 0;
}

/* ---- deleting ---- */

/* A FIFO queue takes only the handle of the receive that holds the message now. */
static bool has_expired(struct sqs_call *call, const struct sqs_queue *queue,
                        const struct handle *handle, const struct sqs_message *message)
{
    return queue->is_fifo &&
           (handle->receives != message->receives || message->visible_ms <= call->now_ms);
}

static bool delete_one(struct sqs_call *call, const struct sqs_queue *queue, json_t *entry,
                       json_t *result, struct sqs_error *err)
{
    struct sqs_message message = {0};
    struct handle handle;
    bool ok = true;

    (void)result;
    if (!take_handle(queue, entry, &handle, err))
        return false;
    if (find_message(call, queue, &handle, &message)) {
        if (has_expired(call, queue, &handle, &message))
            ok = sqs_invalid(err,
                             "Value %.200s for parameter ReceiptHandle is invalid. Reason: The "
                             "receipt handle has expired.",
                             sqs_text(entry, "ReceiptHandle"));
        else
            ok = sqs_message_remove(call->store, message.id) || sqs_trouble(err);
    }
    sqs_message_fini(&message);
    return ok;
}

bool sqs_delete(struct sqs_call *call)
{
    struct sqs_queue queue;
    bool ok =
        sqs_find_queue(call, &queue) && delete_one(call, &queue, call->in, call->out, &call->err);

    sqs_queue_fini(&queue);
    return ok;
}

bool sqs_delete_batch(struct sqs_call *call)
{
    struct sqs_queue queue;
    bool ok = sqs_find_queue(call, &queue) && sqs_batch(call, &queue, delete_one);

    sqs_queue_fini(&queue);
    return ok;
}

/* ---- visibility ---- */

static bool read_visibility(const json_t *entry, int64_t *ret, struct sqs_error *err)
{
    if (!sqs_member(entry, "VisibilityTimeout"))
        return sqs_missing(err, "VisibilityTimeout");
    if (!sqs_int(entry, "VisibilityTimeout", ret, err))
        return false;
    return (*ret >= 0 && *ret <= VISIBILITY_MAX) ||
           sqs_invalid(err,
                       "Value %lld for parameter VisibilityTimeout is invalid. Reason: Must be "
                       "between 0 and 43200.",
                       (long long)*ret);
}

static bool change(struct sqs_call *call, struct sqs_message *message, int64_t seconds,
                   struct sqs_error *err)
{
    message->visible_ms = call->now_ms + seconds * 1000;
    if (message->visible_ms - message->received_ms > (int64_t)VISIBILITY_MAX * 1000)
        return sqs_invalid(err,
                           "Value %lld for parameter VisibilityTimeout is invalid. Reason: Total "
                           "VisibilityTimeout for the message is beyond the limit [43200 seconds].",
                           (long long)seconds);
    return sqs_message_touch(call->store, message) || sqs_trouble(err);
}

static bool change_one(struct sqs_call *call, const struct sqs_queue *queue, json_t *entry,
                       json_t *result, struct sqs_error *err)
{
    struct sqs_message message = {0};
    struct handle handle;
    int64_t seconds = 0;
    bool ok;

    (void)result;
    if (!take_handle(queue, entry, &handle, err) || !read_visibility(entry, &seconds, err))
        return false;
    if (find_message(call, queue, &handle, &message) && handle.receives == message.receives)
        ok = change(call, &message, seconds, err);
    else
        ok = sqs_invalid(err,
                         "Value %.200s for parameter ReceiptHandle is invalid. Reason: Message "
                         "does not exist or is not available for visibility timeout change.",
                         sqs_text(entry, "ReceiptHandle"));
    sqs_message_fini(&message);
    return ok;
}

bool sqs_change_visibility(struct sqs_call *call)
{
    struct sqs_queue queue;
    bool ok =
        sqs_find_queue(call, &queue) && change_one(call, &queue, call->in, call->out, &call->err);

    sqs_queue_fini(&queue);
    return ok;
}

bool sqs_change_visibility_batch(struct sqs_call *call)
{
    struct sqs_queue queue;
    bool ok = sqs_find_queue(call, &queue) && sqs_batch(call, &queue, change_one);

    sqs_queue_fini(&queue);
    return ok;
}
