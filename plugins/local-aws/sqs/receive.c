/* receive.c - ReceiveMessage: which messages, and how they look in the answer. */
#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/sqs/call.h"

#define SENDER_ID "AIDAAAAAAAAAAAAAAAAAA" /* the one user there is */

enum { ATTEMPT_MS = 5 * 60 * 1000 };

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
    size_t max;    /* messages to give */
    json_t *out;   /* [owned] */
    json_t *given; /* for the attempt: [id, receives, visible_ms] of each message [owned] */
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

/* Hides the message and puts it into the answer. */
static bool give(struct take *take, struct sqs_message *message)
{
    int64_t seconds = take->receive->visibility_s;

    if (seconds < 0)
        seconds = sqs_setting(take->queue, "VisibilityTimeout");
    message->visible_ms = take->call->now_ms + seconds * 1000;
    if (!sqs_message_touch(take->call->store, message))
        return false;
    json_array_append_new(take->out, answer_of(take->queue, message, take->receive));
    json_array_append_new(take->given, json_pack("[I,I,I]", (json_int_t)message->id,
                                                 (json_int_t)message->receives,
                                                 (json_int_t)message->visible_ms));
    return true;
}

static bool take_one(struct take *take, int64_t id)
{
    struct sqs_call *call = take->call;
    struct sqs_message message;
    bool ok = sqs_message_find(call->store, take->queue->id, id, &message);

    if (ok && take->has_target && message.receives >= take->max_receives) {
        ok = move_dead(take, &message);
    } else if (ok) {
        message.receives++;
        message.received_ms = call->now_ms;
        if (message.first_ms == 0)
            message.first_ms = call->now_ms;
        take->ids[take->n_ids++] = id;
        ok = give(take, &message);
    }
    sqs_message_fini(&message);
    return ok;
}

/* ---- attempts ---- */

/* Is the message still as the attempt left it? */
static bool is_untouched(struct take *take, const json_t *one, struct sqs_message *ret)
{
    return sqs_message_find(take->call->store, take->queue->id,
                            json_integer_value(json_array_get(one, 0)), ret) &&
           ret->receives == json_integer_value(json_array_get(one, 1)) &&
           ret->visible_ms == json_integer_value(json_array_get(one, 2)) &&
           ret->visible_ms > take->call->now_ms;
}

static bool give_again(struct take *take, const json_t *given)
{
    bool ok = true;

    for (size_t i = 0; ok && i < json_array_size(given); i++) {
        struct sqs_message message;

        ok = is_untouched(take, json_array_get(given, i), &message) && give(take, &message);
        sqs_message_fini(&message);
    }
    return ok;
}

/* The messages of an earlier receive with the same attempt id, with their handles: as long as
 * nobody deleted one or changed its visibility. They are hidden for the full time again. */
static bool repeat_attempt(struct take *take)
{
    const char *id = json_string_value(take->receive->attempt);
    json_t *given = sqs_attempt_find(take->call->store, take->queue->id, id, take->call->now_ms);
    bool intact = given != NULL;

    for (size_t i = 0; intact && i < json_array_size(given); i++) {
        struct sqs_message message;

        intact = is_untouched(take, json_array_get(given, i), &message);
        sqs_message_fini(&message);
    }
    intact = intact && give_again(take, given);
    json_decref(given);
    return intact;
}

static bool keep_attempt(struct take *take)
{
    if (!take->receive->attempt || json_array_size(take->given) == 0)
        return true;
    return sqs_attempt_put(take->call->store, take->queue->id,
                           json_string_value(take->receive->attempt),
                           take->call->now_ms + ATTEMPT_MS, take->given);
}

/* ---- all of them ---- */

/* One look at what is ready; dead letters on the way make room for another. */
static bool take_ready(struct take *take)
{
    int64_t ids[2 * SQS_RECEIVE_MAX];
    size_t left = take->max - json_array_size(take->out);
    size_t n = sqs_message_ready(take->call->store, take->queue, take->call->now_ms, ids,
                                 left + take->n_ids);

    take->moved = false;
    for (size_t i = 0; i < n && json_array_size(take->out) < take->max; i++)
        if (!is_taken(take, ids[i]) && !take_one(take, ids[i]))
            return false;
    return true;
}

/* How many of `max` messages may come into flight. Counting costs with what is in flight, so it is
 * done only when as many as there was room for have been received since. */
static size_t room_in_flight(struct sqs_call *call, const struct sqs_queue *queue, size_t max)
{
    struct sqs_flight *flight = &call->service->flight;

    if (flight->queue != queue->id || flight->room < (int64_t)max)
        *flight = (struct sqs_flight){
            queue->id,
            SQS_IN_FLIGHT_MAX - sqs_queue_in_flight(call->store, queue->id, call->now_ms)};
    return flight->room < (int64_t)max ? (size_t)flight->room : max;
}

json_t *sqs_take(struct sqs_call *call, const struct sqs_queue *queue,
                 const struct sqs_receive *receive)
{
    struct take take = {.call = call,
                        .queue = queue,
                        .receive = receive,
                        .max = room_in_flight(call, queue, (size_t)receive->max),
                        .out = json_array(),
                        .given = json_array()};
    bool ok = sqs_expire(call, queue), again = ok && receive->attempt && repeat_attempt(&take);

    if (!again)
        take.has_target = sqs_dead_letters(call, queue, &take.target, &take.max_receives);
    if (!again && take.max > 0) {
        do
            ok = ok && take_ready(&take);
        while (ok && take.moved && json_array_size(take.out) < take.max);
    }
    ok = ok && keep_attempt(&take);
    call->service->flight.room -= again ? 0 : (int64_t)json_array_size(take.out);
    sqs_queue_fini(&take.target);
    json_decref(take.given);
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

void sqs_receive_fini(struct sqs_receive *receive)
{
    json_decref(receive->system);
    json_decref(receive->attributes);
    json_decref(receive->attempt);
    receive->system = receive->attributes = receive->attempt = NULL;
}

static bool is_attempt_id(const char *id)
{
    size_t n = strlen(id);

    for (const char *p = id; *p; p++)
        if (*p <= ' ' || *p >= 0x7F)
            return false;
    return n >= 1 && n <= 128;
}

static bool read_attempt(struct sqs_call *call, const struct sqs_queue *queue,
                         struct sqs_receive *ret)
{
    const char *id = sqs_text(call->in, "ReceiveRequestAttemptId");

    if (!id)
        return true;
    if (!queue->is_fifo || !is_attempt_id(id))
        return sqs_invalid(&call->err,
                           "Value %.200s for parameter ReceiveRequestAttemptId is invalid. Reason: "
                           "%s",
                           id,
                           queue->is_fifo
                               ? "ReceiveRequestAttemptId can only include alphanumeric and "
                                 "punctuation characters. 1 to 128 in length."
                               : "The request include parameter that is not valid for this queue "
                                 "type.");
    ret->attempt = json_string(id);
    return true;
}

static bool read_receive(struct sqs_call *call, const struct sqs_queue *queue,
                         struct sqs_receive *ret)
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
    if (!read_attempt(call, queue, ret))
        return false;
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
    else if (ok && !queue->is_fifo && call->service->flight.room == 0)
        ok = sqs_refuse(&call->err, "OverLimit",
                        "The maximum number of in flight messages for this queue is reached: %d.",
                        SQS_IN_FLIGHT_MAX);
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
    ok = read_receive(call, &queue, &receive) && receive_now(call, &queue, &receive);
    sqs_receive_fini(&receive);
    sqs_queue_fini(&queue);
    return ok;
}
