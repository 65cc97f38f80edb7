/* send.c - SendMessage and its batch: what a message may be, and FIFO's de-duplication. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/sqs/call.h"
#include "sdk/wire/base64.h"
#include "sdk/wire/hash.h"

enum {
    ATTRIBUTES_MAX = 10,
    ATTRIBUTE_NAME_MAX = 256,
    BATCH_BYTES_MAX = 1048576,
    TOKEN_MAX = 128, /* MessageGroupId, MessageDeduplicationId */
    DELAY_MAX = 900,
    DEDUP_MS = 5 * 60 * 1000
};

/* ---- attributes of a message ---- */

static bool is_attribute_name(const char *name)
{
    size_t n = strlen(name);

    if (n < 1 || n > ATTRIBUTE_NAME_MAX || name[0] == '.' || name[n - 1] == '.' ||
        strstr(name, "..") || strncasecmp(name, "AWS.", 4) == 0 ||
        strncasecmp(name, "Amazon.", 7) == 0)
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n;
}

/* "String", "Number.int": the word before the dot. */
static bool is_type(const char *type, const char *word)
{
    size_t n = strlen(word);

    return type && strncmp(type, word, n) == 0 && (type[n] == '\0' || type[n] == '.');
}

static bool is_base64(const json_t *text)
{
    size_t len = json_string_length(text), n;
    char *room = malloc(kpw_base64_decoded_max(len) + 1);
    bool ok = room && kpw_base64_decode(json_string_value(text), len, room, &n);

    free(room);
    return ok;
}

static bool check_binary(const char *name, const json_t *binary, struct sqs_error *err)
{
    return is_base64(binary) ||
           sqs_invalid(err,
                       "Message (user) attribute '%.256s' must contain a BinaryValue that is "
                       "base64.",
                       name);
}

static bool check_text(const char *name, const json_t *text, struct sqs_error *err)
{
    return sqs_is_body(json_string_value(text), json_string_length(text)) ||
           sqs_refuse(err, "InvalidMessageContents",
                      "Invalid characters found in message attribute '%.256s'.", name);
}

static bool check_value(const char *name, const json_t *attribute, struct sqs_error *err)
{
    const char *type = sqs_text(attribute, "DataType");
    const json_t *text = sqs_member(attribute, "StringValue");
    const json_t *binary = sqs_member(attribute, "BinaryValue");
    bool is_binary = is_type(type, "Binary");

    if (!type || type[0] == '\0')
        return sqs_invalid(err,
                           "The message attribute '%.256s' must contain non-empty message "
                           "attribute type.",
                           name);
    if (!is_binary && !is_type(type, "String") && !is_type(type, "Number"))
        return sqs_invalid(err,
                           "The message attribute '%.256s' has an invalid message attribute type, "
                           "the set of supported type prefixes is Binary, Number, and String.",
                           name);
    if (json_string_length(is_binary ? binary : text) == 0 || (is_binary ? text : binary))
        return sqs_invalid(err,
                           "Message (user) attribute '%.256s' must contain a non-empty value of "
                           "type '%s'.",
                           name,
                           is_binary                 ? "Binary"
                           : is_type(type, "Number") ? "Number"
                                                     : "String");
    return is_binary ? check_binary(name, binary, err) : check_text(name, text, err);
}

static bool check_attributes(json_t *attributes, struct sqs_error *err)
{
    const char *name;
    json_t *value;

    if (json_object_size(attributes) > ATTRIBUTES_MAX)
        return sqs_invalid(err,
                           "Number of message attributes [%zu] exceeds the allowed maximum [10].",
                           json_object_size(attributes));
    json_object_foreach(attributes, name, value)
    {
        if (!is_attribute_name(name))
            return sqs_invalid(err,
                               "Message (user) attribute name '%.256s' can only include "
                               "alphanumeric characters, hyphens, underscores and dots.",
                               name);
        if (!check_value(name, value, err))
            return false;
    }
    return true;
}

/* ---- the rest of a message ---- */

static bool check_body(const json_t *entry, struct sqs_error *err)
{
    const json_t *body = sqs_member(entry, "MessageBody");

    if (json_string_length(body) == 0)
        return sqs_missing(err, "MessageBody");
    return sqs_is_body(json_string_value(body), json_string_length(body)) ||
           sqs_refuse(err, "InvalidMessageContents",
                      "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | "
                      "#x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF");
}

static size_t size_of(const json_t *entry)
{
    return json_string_length(sqs_member(entry, "MessageBody")) +
           sqs_attributes_size(sqs_member(entry, "MessageAttributes"));
}

static bool check_token(const json_t *entry, const char *name, struct sqs_error *err)
{
    const char *text = sqs_text(entry, name);
    size_t n = text ? strlen(text) : 0;
    bool ok = n >= 1 && n <= TOKEN_MAX;

    if (!text)
        return true;
    for (size_t i = 0; ok && i < n; i++)
        ok = text[i] > ' ' && text[i] < 0x7F;
    return ok || sqs_invalid(err,
                             "Value %.200s for parameter %s is invalid. Reason: %s can only "
                             "include alphanumeric and punctuation characters. 1 to 128 in length.",
                             text, name, name);
}

/* The seconds a message is hidden at first. */
static bool read_delay(const struct sqs_queue *queue, const json_t *entry, int64_t *ret,
                       struct sqs_error *err)
{
    *ret = sqs_setting(queue, "DelaySeconds");
    if (!sqs_member(entry, "DelaySeconds"))
        return true;
    if (!sqs_int(entry, "DelaySeconds", ret, err))
        return false;
    if (*ret < 0 || *ret > DELAY_MAX)
        return sqs_invalid(err,
                           "Value %lld for parameter DelaySeconds is invalid. Reason: DelaySeconds "
                           "must be >= 0 and <= 900.",
                           (long long)*ret);
    if (queue->is_fifo && *ret != 0)
        return sqs_invalid(err,
                           "Value %lld for parameter DelaySeconds is invalid. Reason: The request "
                           "include parameter that is not valid for this queue type.",
                           (long long)*ret);
    if (queue->is_fifo)
        *ret = sqs_setting(queue, "DelaySeconds");
    return true;
}

static bool check_fifo(struct sqs_call *call, const struct sqs_queue *queue, const json_t *entry,
                       struct sqs_error *err)
{
    const char *dedup = sqs_text(entry, "MessageDeduplicationId");

    if (!queue->is_fifo)
        return !dedup ||
               sqs_invalid(err,
                           "Value %.200s for parameter MessageDeduplicationId is invalid. Reason: "
                           "The request includes a parameter that is not valid for this queue "
                           "type.",
                           dedup);
    if (!sqs_text(entry, "MessageGroupId")) {
        sqs_missing(err, "MessageGroupId");
        if (entry != call->in) /* in a batch SQS has another name for it */
            err->shape = "InvalidParameterValueException";
        return false;
    }
    return dedup || sqs_flag(queue, "ContentBasedDeduplication") ||
           sqs_invalid(err, "The queue should either have ContentBasedDeduplication enabled or "
                            "MessageDeduplicationId provided explicitly");
}

/* AWSTraceHeader is the only system attribute there is to send. */
static bool check_system(const json_t *entry, struct sqs_error *err)
{
    json_t *system = sqs_member(entry, "MessageSystemAttributes"), *value;
    const char *name;

    json_object_foreach(system, name, value)
    {
        const char *type = sqs_text(value, "DataType");

        if (strcmp(name, "AWSTraceHeader") != 0 || !type || strcmp(type, "String") != 0 ||
            json_string_length(sqs_member(value, "StringValue")) == 0)
            return sqs_invalid(err, "Message system attribute '%.100s' is not valid.", name);
    }
    return true;
}

static bool check_message(struct sqs_call *call, const struct sqs_queue *queue, json_t *entry,
                          struct sqs_error *err)
{
    int64_t max = sqs_setting(queue, "MaximumMessageSize");

    if (!check_body(entry, err) || !check_attributes(sqs_member(entry, "MessageAttributes"), err) ||
        !check_system(entry, err))
        return false;
    if (size_of(entry) > (size_t)max)
        return sqs_invalid(err,
                           "One or more parameters are invalid. Reason: Message must be shorter "
                           "than %lld bytes.",
                           (long long)max);
    return check_token(entry, "MessageGroupId", err) &&
           check_token(entry, "MessageDeduplicationId", err) && check_fifo(call, queue, entry, err);
}

/* ---- sending ---- */

static void answer_sent(const struct sqs_message *message, const json_t *entry, json_t *result)
{
    const json_t *body = sqs_member(entry, "MessageBody");
    const json_t *attributes = sqs_member(entry, "MessageAttributes");
    const json_t *system = sqs_member(entry, "MessageSystemAttributes");
    char md5[SQS_MD5_MAX], sequence[SQS_SEQUENCE_MAX];

    json_object_set_new(result, "MessageId", json_string(message->uid));
    sqs_md5(json_string_value(body), json_string_length(body), md5);
    json_object_set_new(result, "MD5OfMessageBody", json_string(md5));
    if (json_object_size(attributes) > 0) {
        sqs_md5_attributes(attributes, md5);
        json_object_set_new(result, "MD5OfMessageAttributes", json_string(md5));
    }
    if (json_object_size(system) > 0) {
        sqs_md5_attributes(system, md5);
        json_object_set_new(result, "MD5OfMessageSystemAttributes", json_string(md5));
    }
    if (message->sequence > 0) {
        sqs_sequence(message->sequence, sequence);
        json_object_set_new(result, "SequenceNumber", json_string(sequence));
    }
}

/* [new reference] What is not the sender's own, as text per name. */
static json_t *system_of(const json_t *entry, const char *dedup)
{
    static const char trace[] = "AWSTraceHeader";
    const json_t *given = json_object_get(sqs_member(entry, "MessageSystemAttributes"), trace);
    const char *group = sqs_text(entry, "MessageGroupId"), *text = sqs_text(given, "StringValue");
    json_t *system = json_object();

    if (group)
        json_object_set_new(system, "MessageGroupId", json_string(group));
    if (dedup)
        json_object_set_new(system, "MessageDeduplicationId", json_string(dedup));
    if (text)
        json_object_set_new(system, trace, json_string(text));
    return system;
}

static bool add_message(struct sqs_call *call, const struct sqs_queue *queue, json_t *entry,
                        const struct sqs_dedup *dedup, struct sqs_message *message)
{
    json_t *attributes = sqs_member(entry, "MessageAttributes");

    kpw_random_uuid(&call->service->local->random, message->uid);
    message->body = json_incref(sqs_member(entry, "MessageBody"));
    message->attributes = json_object_size(attributes) > 0 ? json_incref(attributes) : NULL;
    message->system = system_of(entry, dedup->id);
    message->group = sqs_text(message->system, "MessageGroupId");
    message->sent_ms = call->now_ms;
    return sqs_message_add(call->store, queue, message) &&
           (!dedup->id ||
            sqs_dedup_add(call->store, queue->id, dedup, call->now_ms + DEDUP_MS, message));
}

static bool send_one(struct sqs_call *call, const struct sqs_queue *queue, json_t *entry,
                     json_t *result, struct sqs_error *err)
{
    struct sqs_message message = {0};
    char hash[KPW_SHA256_HEX + 1];
    const char *scope = sqs_text(queue->attributes, "DeduplicationScope");
    bool per_group = scope && strcmp(scope, "messageGroup") == 0;
    struct sqs_dedup dedup = {"", NULL};
    int64_t delay;
    bool ok;

    if (!check_message(call, queue, entry, err) || !read_delay(queue, entry, &delay, err))
        return false;
    if (queue->is_fifo) {
        const json_t *body = sqs_member(entry, "MessageBody");

        dedup.scope = per_group ? sqs_text(entry, "MessageGroupId") : "";
        dedup.id = sqs_text(entry, "MessageDeduplicationId");
        kpw_sha256_hex(json_string_value(body), json_string_length(body), hash);
        if (!dedup.id)
            dedup.id = hash;
    }
    message.visible_ms = call->now_ms + delay * 1000;
    ok = (dedup.id && sqs_dedup_find(call->store, queue->id, &dedup, call->now_ms, &message)) ||
         add_message(call, queue, entry, &dedup, &message) || sqs_trouble(err);
    if (ok)
        answer_sent(&message, entry, result);
    sqs_message_fini(&message);
    return ok;
}

bool sqs_send(struct sqs_call *call)
{
    struct sqs_queue queue;
    bool ok =
        sqs_find_queue(call, &queue) && send_one(call, &queue, call->in, call->out, &call->err);

    sqs_queue_fini(&queue);
    return ok;
}

static bool check_batch_size(struct sqs_call *call)
{
    const json_t *entries = sqs_member(call->in, "Entries");
    size_t sum = 0;

    for (size_t i = 0; i < json_array_size(entries); i++)
        sum += size_of(json_array_get(entries, i));
    return sum <= BATCH_BYTES_MAX ||
           sqs_refuse(&call->err, "BatchRequestTooLong",
                      "Batch requests cannot be longer than %d bytes. You have sent %zu bytes.",
                      BATCH_BYTES_MAX, sum);
}

/* What a FIFO queue must know of every message: one without it fails the whole batch. */
static bool check_batch_fifo(struct sqs_call *call, const struct sqs_queue *queue)
{
    const json_t *entries = sqs_member(call->in, "Entries");

    for (size_t i = 0; queue->is_fifo && i < json_array_size(entries); i++)
        if (!check_fifo(call, queue, json_array_get(entries, i), &call->err))
            return false;
    return true;
}

bool sqs_send_batch(struct sqs_call *call)
{
    struct sqs_queue queue;
    bool ok = sqs_find_queue(call, &queue) && sqs_batch_check(call) && check_batch_size(call) &&
              check_batch_fifo(call, &queue) && sqs_batch_run(call, &queue, send_one);

    sqs_queue_fini(&queue);
    return ok;
}
