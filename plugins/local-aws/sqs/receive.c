/* receive.c - ReceiveMessage: which messages, and how they look in the answer. */
#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/sqs/call.h"

#define SENDER_ID "AIDAAAAAAAAAAAAAAAAAA" /* the one user there is */

/* ---- one message ---- */

static bool wants(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *one = json_string_value(json_array_get(names, i));
        size_t n = one ? strlen(one) : 0;

        if (!one)
            continue;
        if (strcmp(one, name) == 0 || strcmp(one, "All") == 0 || strcmp(one, ".*") == 0)
            return true;
        if (n > 2 && strcmp(one + n - 2, ".*") == 0 && strncmp(one, name, n - 2) == 0)
            return true;
    }
    return false;
}

static void put_number(json_t *out, const json_t *names, const char *name, int64_t number)
{
    if (wants(names, name))
        json_object_set_new(out, name, json_sprintf("%lld", (long long)number));
}

/* [new reference] The system attributes that are wanted. */
static json_t *system_attributes(const struct sqs_message *message, const json_t *names)
{
    json_t *out = json_object(), *value;
    char sequence[SQS_SEQUENCE_MAX];
    const char *name;

    if (wants(names, "SenderId"))
        json_object_set_new(out, "SenderId", json_string(SENDER_ID));
    put_number(out, names, "SentTimestamp", message->sent_ms);
    put_number(out, names, "ApproximateReceiveCount", message->receives);
    put_number(out, names, "ApproximateFirstReceiveTimestamp", message->first_ms);
    if (message->sequence > 0 && wants(names, "SequenceNumber")) {
        sqs_sequence(message->sequence, sequence);
        json_object_set_new(out, "SequenceNumber", json_string(sequence));
    }
    json_object_foreach(message->system, name, value)
    {
        if (wants(names, name))
            json_object_set(out, name, value);
    }
    return out;
}

/* [new reference] The sender's attributes that are wanted. */
static json_t *message_attributes(const struct sqs_message *message, const json_t *names)
{
    json_t *out = json_object(), *value;
    const char *name;

    json_object_foreach(message->attributes, name, value)
    {
        if (wants(names, name))
            json_object_set(out, name, value);
    }
    return out;
}

static json_t *answer_of(const struct sqs_queue *queue, const struct sqs_message *message,
                         const struct sqs_receive *receive)
{
    json_t *out = json_object(), *system = system_attributes(message, receive->system);
    json_t *attributes = message_attributes(message, receive->attributes);
    char md5[SQS_MD5_MAX], handle[SQS_HANDLE_MAX];

    sqs_put_handle(queue, message, handle);
    sqs_md5(json_string_value(message->body), json_string_length(message->body), md5);
    json_object_set_new(out, "MessageId", json_string(message->uid));
    json_object_set_new(out, "ReceiptHandle", json_string(handle));
    json_object_set_new(out, "MD5OfBody", json_string(md5));
    json_object_set(out, "Body", message->body);
    if (json_object_size(system) > 0)
        json_object_set(out, "Attributes", system);
    if (json_object_size(attributes) > 0) {
        sqs_md5_attributes(attributes, md5);
        json_object_set_new(out, "MD5OfMessageAttributes", json_string(md5));
        json_object_set(out, "MessageAttributes", attributes);
    }
    json_decref(system);
    json_decref(attributes);
    return out;
}

/* ---- taking messages ---- */

struct take {
    struct sqs_call *call;
    const struct sqs_queue *queue;
    const struct sqs_receive *receive;
    struct sqs_queue target; /* dead letters go there */
    bool has_target;
    int64_t max_receives;
    int64_t ids[2 * SQS_RECEIVE_MAX]; /* taken already: with a time-out of 0 they are ready again */
    size_t n_ids;
    json_t *out; /* [owned] */
    bool moved;
};

static bool is_taken(const struct take *take, int64_t id)
{
    for (size_t i = 0; i < take->n_ids; i++)
        if (take->ids[i] == id)
            return true;
    return false;
}

static bool move_dead(struct take *take, const struct sqs_message *message)
{
    char arn[200];

    sqs_put_arn(take->call, take->queue->name, arn);
    take->moved = take->call->service->moved = true;
    return sqs_message_move(take->call->store, message, &take->target, arn, take->call->now_ms);
}

static bool take_one(struct take *take, int64_t id)
{
    struct sqs_call *call = take->call;
    int64_t seconds = take->receive->visibility_s;
    struct sqs_message message;
    bool ok = sqs_message_find(call->store, take->queue->id, id, &message);

    if (ok && take->has_target && message.receives >= take->max_receives) {
        ok = move_dead(take, &message);
    } else if (ok) {
        if (seconds < 0)
            seconds = sqs_setting(take->queue, "VisibilityTimeout");
        message.receives++;
        message.received_ms = call->now_ms;
        if (message.first_ms == 0)
            message.first_ms = call->now_ms;
        message.visible_ms = call->now_ms + seconds * 1000;
        take->ids[take->n_ids++] = id;
        ok = sqs_message_touch(call->store, &message);
        if (ok)
            json_array_append_new(take->out, answer_of(take->queue, &message, take->receive));
    }
    sqs_message_fini(&message);
    return ok;
}

/* One look at what is ready; dead letters on the way make room for another. */
static bool take_ready(struct take *take)
{
    int64_t ids[2 * SQS_RECEIVE_MAX];
    size_t left = (size_t)take->receive->max - json_array_size(take->out);
    size_t n = sqs_message_ready(take->call->store, take->queue, take->call->now_ms, ids,
                                 left + take->n_ids);

    take->moved = false;
    for (size_t i = 0; i < n && json_array_size(take->out) < (size_t)take->receive->max; i++)
        if (!is_taken(take, ids[i]) && !take_one(take, ids[i]))
            return false;
    return true;
}

json_t *sqs_take(struct sqs_call *call, const struct sqs_queue *queue,
                 const struct sqs_receive *receive)
{
    struct take take = {.call = call, .queue = queue, .receive = receive, .out = json_array()};
    bool ok = sqs_expire(call, queue);

    take.has_target = sqs_dead_letters(call, queue, &take.target, &take.max_receives);
    do
        ok = ok && take_ready(&take);
    while (ok && take.moved && json_array_size(take.out) < (size_t)receive->max);
    sqs_queue_fini(&take.target);
    if (ok)
        return take.out;
    json_decref(take.out);
    if (!call->err.shape)
        sqs_trouble(&call->err);
    return NULL;
}

/* ---- the operation ---- */

static bool out_of_range(struct sqs_call *call, const char *name, int64_t value, const char *reason)
{
    return sqs_invalid(&call->err, "Value %lld for parameter %s is invalid. Reason: %s",
                       (long long)value, name, reason);
}

static bool read_receive(struct sqs_call *call, struct sqs_receive *ret)
{
    json_t *old = sqs_member(call->in, "AttributeNames");
    json_t *new = sqs_member(call->in, "MessageSystemAttributeNames");

    *ret = (struct sqs_receive){.max = 1, .visibility_s = -1, .wait_s = -1};
    if (!sqs_int(call->in, "MaxNumberOfMessages", &ret->max, &call->err) ||
        !sqs_int(call->in, "VisibilityTimeout", &ret->visibility_s, &call->err) ||
        !sqs_int(call->in, "WaitTimeSeconds", &ret->wait_s, &call->err))
        return false;
    if (ret->max < 1 || ret->max > SQS_RECEIVE_MAX)
        return out_of_range(call, "MaxNumberOfMessages", ret->max,
                            "Must be between 1 and 10, if provided.");
    if (sqs_member(call->in, "WaitTimeSeconds") && (ret->wait_s < 0 || ret->wait_s > 20))
        return out_of_range(call, "WaitTimeSeconds", ret->wait_s,
                            "Must be >= 0 and <= 20, if provided.");
    if (sqs_member(call->in, "VisibilityTimeout") &&
        (ret->visibility_s < 0 || ret->visibility_s > 43200))
        return out_of_range(call, "VisibilityTimeout", ret->visibility_s,
                            "Must be between 0 and 43200, if provided.");
    ret->system = json_array();
    json_array_extend(ret->system, old);
    json_array_extend(ret->system, new);
    ret->attributes = json_incref(sqs_member(call->in, "MessageAttributeNames"));
    return true;
}

static bool receive_now(struct sqs_call *call, const struct sqs_queue *queue,
                        struct sqs_receive *receive)
{
    int64_t wait_s = receive->wait_s;
    json_t *messages = sqs_take(call, queue, receive);
    bool ok = messages != NULL;

    if (wait_s < 0)
        wait_s = sqs_setting(queue, "ReceiveMessageWaitTimeSeconds");
    if (ok && json_array_size(messages) > 0)
        json_object_set(call->out, "Messages", messages);
    else if (ok && wait_s > 0)
        ok = sqs_wait(call, queue, receive, wait_s);
    json_decref(messages);
    return ok;
}

bool sqs_receive_message(struct sqs_call *call)
{
    struct sqs_receive receive;
    struct sqs_queue queue;
    bool ok;

    if (!sqs_find_queue(call, &queue)) {
        sqs_queue_fini(&queue);
        return false;
    }
    ok = read_receive(call, &receive);
    if (ok) {
        ok = receive_now(call, &queue, &receive);
        json_decref(receive.system);
        json_decref(receive.attributes);
    }
    sqs_queue_fini(&queue);
    return ok;
}
