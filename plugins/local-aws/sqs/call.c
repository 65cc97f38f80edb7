/* call.c - SQS's operations by name, and what they have in common. */
#include "plugins/local-aws/sqs/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/sql.h"

enum { ID_MAX = 80 };

static const struct {
    const char *name;
    bool (*run)(struct sqs_call *);
} operations[] = {
    {"SendMessage", sqs_send},
    {"SendMessageBatch", sqs_send_batch},
    {"ReceiveMessage", sqs_receive_message},
    {"DeleteMessage", sqs_delete},
    {"DeleteMessageBatch", sqs_delete_batch},
    {"ChangeMessageVisibility", sqs_change_visibility},
    {"ChangeMessageVisibilityBatch", sqs_change_visibility_batch},
    {"CreateQueue", sqs_create_queue},
    {"GetQueueUrl", sqs_get_queue_url},
    {"ListQueues", sqs_list_queues},
    {"DeleteQueue", sqs_delete_queue},
    {"GetQueueAttributes", sqs_get_attributes},
    {"SetQueueAttributes", sqs_set_attributes},
    {"PurgeQueue", sqs_purge_queue},
    {"TagQueue", sqs_tag_queue},
    {"UntagQueue", sqs_untag_queue},
    {"ListQueueTags", sqs_list_tags},
    {"ListDeadLetterSourceQueues", sqs_list_sources},
    {"AddPermission", sqs_add_permission},
    {"RemovePermission", sqs_remove_permission},
    {"StartMessageMoveTask", sqs_start_move},
    {"ListMessageMoveTasks", sqs_list_moves},
    {"CancelMessageMoveTask", sqs_cancel_move},
};

bool sqs_run(struct sqs_call *call)
{
    bool ok;

    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (strcmp(operations[i].name, call->operation) != 0)
            continue;
        if (!sql_begin(call->store->db))
            return sqs_trouble(&call->err);
        ok = operations[i].run(call);
        if (!sql_end(call->store->db, ok) && ok)
            ok = sqs_trouble(&call->err);
        return ok;
    }
    return sqs_refuse(&call->err, "InvalidAction",
                      "The action %.80s is not valid for this web service.", call->operation);
}

/* ---- errors ---- */

#define SQS_SPACE   "com.amazonaws.sqs#"
#define CORAL_SPACE "com.amazon.coral.service#"
#define OLD_CODE    "AWS.SimpleQueueService."

static const struct sqs_error_row rows[] = {
    {"QueueDoesNotExist", OLD_CODE "NonExistentQueue", SQS_SPACE, 400},
    {"QueueNameExists", "QueueAlreadyExists", SQS_SPACE, 400},
    {"PurgeQueueInProgress", OLD_CODE "PurgeQueueInProgress", SQS_SPACE, 403},
    {"TooManyEntriesInBatchRequest", OLD_CODE "TooManyEntriesInBatchRequest", SQS_SPACE, 400},
    {"EmptyBatchRequest", OLD_CODE "EmptyBatchRequest", SQS_SPACE, 400},
    {"BatchEntryIdsNotDistinct", OLD_CODE "BatchEntryIdsNotDistinct", SQS_SPACE, 400},
    {"InvalidBatchEntryId", OLD_CODE "InvalidBatchEntryId", SQS_SPACE, 400},
    {"BatchRequestTooLong", OLD_CODE "BatchRequestTooLong", SQS_SPACE, 400},
    {"InvalidParameterValueException", "InvalidParameterValue", CORAL_SPACE, 400},
    {"MissingRequiredParameterException", "MissingParameter", CORAL_SPACE, 400},
    {"InvalidAttributeName", "InvalidAttributeName", SQS_SPACE, 400},
    {"InvalidAttributeValue", "InvalidAttributeValue", SQS_SPACE, 400},
    {"ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", SQS_SPACE, 400},
    {"InvalidMessageContents", "InvalidMessageContents", SQS_SPACE, 400},
    {"UnsupportedOperation", OLD_CODE "UnsupportedOperation", SQS_SPACE, 400},
    {"OverLimit", "OverLimit", SQS_SPACE, 403},
    {"ResourceNotFoundException", "ResourceNotFoundException", SQS_SPACE, 404},
    {"SerializationException", "MalformedInput", CORAL_SPACE, 400},
    {"InvalidAction", "InvalidAction", CORAL_SPACE, 400},
    {"InternalError", "InternalError", CORAL_SPACE, 500},
};

const struct sqs_error_row *sqs_error_row(const char *shape)
{
    size_t n = sizeof(rows) / sizeof(rows[0]);

    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].shape, shape) == 0)
            return &rows[i];
    return &rows[n - 1];
}

static void fill(struct sqs_error *err, const char *shape, const char *fmt, va_list args)
{
    err->shape = shape;
    vsnprintf(err->text, sizeof(err->text), fmt, args);
}

bool sqs_refuse(struct sqs_error *err, const char *shape, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fill(err, shape, fmt, args);
    va_end(args);
    return false;
}

bool sqs_invalid(struct sqs_error *err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fill(err, "InvalidParameterValueException", fmt, args);
    va_end(args);
    return false;
}

bool sqs_missing(struct sqs_error *err, const char *parameter)
{
    return sqs_refuse(err, "MissingRequiredParameterException",
                      "The request must contain the parameter %s.", parameter);
}

bool sqs_trouble(struct sqs_error *err)
{
    return sqs_refuse(err, "InternalError", "We encountered an internal error. Please try again.");
}

/* ---- reading input ---- */

json_t *sqs_member(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);

    return json_is_null(value) ? NULL : value;
}

const char *sqs_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

bool sqs_int(const json_t *object, const char *name, int64_t *ret, struct sqs_error *err)
{
    const json_t *value = sqs_member(object, name);
    const char *text = json_string_value(value);
    long long number;
    char *end;

    if (!value)
        return true;
    if (json_is_integer(value)) {
        *ret = json_integer_value(value);
        return true;
    }
    number = text ? strtoll(text, &end, 10) : 0;
    if (!text || end == text || *end != '\0')
        return sqs_invalid(err,
                           "Value %.100s for parameter %s is invalid. Reason: Must be an integer.",
                           text ? text : "", name);
    *ret = number;
    return true;
}

/* The last part of a URL or path, without the query; a bare name is itself. */
static bool name_of_url(const char *url, char out[SQS_NAME_MAX])
{
    size_t len = strcspn(url, "?#");
    const char *start = url + len;

    while (start > url && start[-1] != '/')
        start--;
    len -= (size_t)(start - url);
    if (len == 0 || len >= SQS_NAME_MAX)
        return false;
    memcpy(out, start, len);
    out[len] = '\0';
    return true;
}

bool sqs_find_queue(struct sqs_call *call, struct sqs_queue *ret)
{
    const char *url = sqs_text(call->in, "QueueUrl");
    char name[SQS_NAME_MAX];

    memset(ret, 0, sizeof(*ret));
    if (!url && call->is_query && strlen(call->path) > 1)
        url = call->path;
    if (!url)
        return sqs_missing(&call->err, "QueueUrl");
    if (name_of_url(url, name) && sqs_queue_find(call->store, call->region, name, ret)) {
        call->touched = ret->id;
        return true;
    }
    return sqs_refuse(&call->err, "QueueDoesNotExist", "The specified queue does not exist%s.",
                      call->is_query ? " for this wsdl version" : "");
}

bool sqs_expire(struct sqs_call *call, const struct sqs_queue *queue)
{
    int64_t kept_ms = sqs_setting(queue, "MessageRetentionPeriod") * 1000;

    return sqs_queue_expire(call->store, queue->id, call->now_ms - kept_ms, call->now_ms) ||
           sqs_trouble(&call->err);
}

void sqs_put_url(struct sqs_call *call, const char *name, char out[640])
{
    if (call->host[0] != '\0')
        snprintf(out, 640, "http%s://%s/%s/%s", call->is_tls ? "s" : "", call->host,
                 call->service->local->account, name);
    else
        snprintf(out, 640, "%s/%s/%s", call->service->local->url, call->service->local->account,
                 name);
}

void sqs_put_arn(const struct sqs_call *call, const char *name, char out[200])
{
    snprintf(out, 200, "arn:aws:sqs:%s:%s:%s", call->region, call->service->local->account, name);
}

const char *sqs_name_of_arn(const struct sqs_call *call, const char *arn)
{
    char prefix[200];
    size_t n;

    sqs_put_arn(call, "", prefix);
    n = strlen(prefix);
    return strncmp(arn, prefix, n) == 0 && arn[n] != '\0' ? arn + n : NULL;
}

void sqs_sequence(int64_t number, char out[SQS_SEQUENCE_MAX])
{
    snprintf(out, SQS_SEQUENCE_MAX, "18850%015lld", (long long)number);
}

/* ---- batches ---- */

static bool is_entry_id(const char *id)
{
    size_t n = id ? strlen(id) : 0;

    return n >= 1 && n <= ID_MAX &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n;
}

bool sqs_batch_check(struct sqs_call *call)
{
    const json_t *entries = sqs_member(call->in, "Entries");
    size_t n = json_array_size(entries);

    if (n > SQS_BATCH_MAX)
        return sqs_refuse(&call->err, "TooManyEntriesInBatchRequest",
                          "Maximum number of entries per request are 10. You have sent %zu.", n);
    if (n == 0)
        return sqs_refuse(&call->err, "EmptyBatchRequest",
                          "There should be at least one %sRequestEntry in the request.",
                          call->operation);
    for (size_t i = 0; i < n; i++)
        if (!is_entry_id(sqs_text(json_array_get(entries, i), "Id")))
            return sqs_refuse(&call->err, "InvalidBatchEntryId",
                              "A batch entry id can only contain alphanumeric characters, hyphens "
                              "and underscores. It can be at most 80 letters long.");
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(sqs_text(json_array_get(entries, i), "Id"),
                       sqs_text(json_array_get(entries, k), "Id")) == 0)
                return sqs_refuse(&call->err, "BatchEntryIdsNotDistinct", "Id %s repeated.",
                                  sqs_text(json_array_get(entries, i), "Id"));
    return true;
}

/* [new reference] How one entry failed. */
static json_t *failure(const json_t *entry, const struct sqs_error *err)
{
    const struct sqs_error_row *row = sqs_error_row(err->shape);

    return json_pack("{s:O,s:b,s:s,s:s}", "Id", json_object_get(entry, "Id"), "SenderFault",
                     row->status < 500, "Code", row->query_code, "Message", err->text);
}

bool sqs_batch(struct sqs_call *call, const struct sqs_queue *queue, sqs_entry_fn fn)
{
    return sqs_batch_check(call) && sqs_batch_run(call, queue, fn);
}

bool sqs_batch_run(struct sqs_call *call, const struct sqs_queue *queue, sqs_entry_fn fn)
{
    json_t *entries = sqs_member(call->in, "Entries");
    json_t *successful = json_array(), *failed = json_array();

    for (size_t i = 0; i < json_array_size(entries); i++) {
        json_t *entry = json_array_get(entries, i), *result = json_object();
        struct sqs_error err = {0};

        json_object_set(result, "Id", json_object_get(entry, "Id"));
        if (local_fault_entry(call->service->local, call->exchange))
            sqs_trouble(&err);
        if (!err.shape && fn(call, queue, entry, result, &err))
            json_array_append(successful, result);
        else
            json_array_append_new(failed, failure(entry, &err));
        json_decref(result);
    }
    json_object_set_new(call->out, "Successful", successful);
    if (json_array_size(failed) > 0)
        json_object_set(call->out, "Failed", failed);
    json_decref(failed);
    return true;
}
