/* permission.c - AddPermission and RemovePermission: statements of the queue's Policy attribute. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/sqs/call.h"

enum { LABEL_MAX = 80 };

static bool bad_label(struct sqs_call *call, const char *label, const char *reason)
{
    return sqs_invalid(&call->err, "Value %.100s for parameter Label is invalid. Reason: %s", label,
                       reason);
}

static bool is_label(const char *label)
{
    size_t n = strlen(label);

    return n >= 1 && n <= LABEL_MAX &&
           strspn(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n;
}

/* [new reference] One text stands alone, several in a list. */
static json_t *one_or_list(json_t *list)
{
    json_t *ret =
        json_array_size(list) == 1 ? json_incref(json_array_get(list, 0)) : json_incref(list);

    json_decref(list);
    return ret;
}

static bool is_action(const char *action)
{
    static const char *const all[] = {"*",
                                      "SendMessage",
                                      "ReceiveMessage",
                                      "DeleteMessage",
                                      "ChangeMessageVisibility",
                                      "GetQueueAttributes",
                                      "GetQueueUrl",
                                      "ListDeadLetterSourceQueues",
                                      "PurgeQueue",
                                      "StartMessageMoveTask",
                                      "CancelMessageMoveTask",
                                      "ListMessageMoveTasks"};

    for (size_t i = 0; action && i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(all[i], action) == 0)
            return true;
    return false;
}

/* [new reference] "SQS:Name" of each action; NULL with an error. */
static json_t *read_actions(struct sqs_call *call)
{
    const json_t *given = sqs_member(call->in, "Actions");
    json_t *out = json_array();

    for (size_t i = 0; i < json_array_size(given); i++) {
        const char *action = json_string_value(json_array_get(given, i));

        if (is_action(action)) {
            json_array_append_new(out, json_sprintf("SQS:%s", action));
            continue;
        }
        sqs_invalid(&call->err,
                    "Value SQS:%.80s for parameter ActionName is invalid. Reason: Only the queue "
                    "owner is allowed to invoke this action.",
                    action ? action : "");
        json_decref(out);
        return NULL;
    }
    if (json_array_size(out) > 0)
        return one_or_list(out);
    sqs_missing(&call->err, "Actions");
    json_decref(out);
    return NULL;
}

/* [new reference] ARNs of the accounts; NULL with an error. */
static json_t *read_accounts(struct sqs_call *call)
{
    const json_t *given = sqs_member(call->in, "AWSAccountIds");
    json_t *out = json_array();

    for (size_t i = 0; i < json_array_size(given); i++) {
        const char *id = json_string_value(json_array_get(given, i));

        if (id && strlen(id) == 12 && strspn(id, "0123456789") == 12) {
            json_array_append_new(out, json_sprintf("arn:aws:iam::%s:root", id));
            continue;
        }
        sqs_invalid(&call->err,
                    "Value [%.80s] for parameter PrincipalId is invalid. Reason: Unable to verify.",
                    id ? id : "");
        json_decref(out);
        return NULL;
    }
    if (json_array_size(out) > 0)
        return one_or_list(out);
    sqs_missing(&call->err, "AWSAccountIds");
    json_decref(out);
    return NULL;
}

/* [new reference] The queue's policy, or a fresh one without statements. */
static json_t *policy_of(struct sqs_call *call, const struct sqs_queue *queue)
{
    const char *text = sqs_text(queue->attributes, "Policy");
    json_t *policy = text ? json_loads(text, 0, NULL) : NULL;
    char arn[200];

    if (!json_is_object(policy)) {
        json_decref(policy);
        sqs_put_arn(call, queue->name, arn);
        policy = json_pack("{s:s,s:o}", "Version", "2008-10-17", "Id",
                           json_sprintf("%s/SQSDefaultPolicy", arn));
    }
    /* A policy may have one statement that stands without a list. */
    if (!json_is_array(json_object_get(policy, "Statement"))) {
        json_t *one = json_incref(json_object_get(policy, "Statement"));
        json_t *list = json_array();

        if (one)
            json_array_append_new(list, one);
        json_object_set_new(policy, "Statement", list);
    }
    return policy;
}

/* Index of the statement with that Sid; -1: there is none. */
static long find_statement(const json_t *policy, const char *label)
{
    const json_t *list = json_object_get(policy, "Statement");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *sid = sqs_text(json_array_get(list, i), "Sid");

        if (sid && strcmp(sid, label) == 0)
            return (long)i;
    }
    return -1;
}

static bool keep_policy(struct sqs_call *call, struct sqs_queue *queue, const json_t *policy)
{
    char *text = json_dumps(policy, JSON_COMPACT);

    if (json_array_size(json_object_get(policy, "Statement")) == 0)
        json_object_del(queue->attributes, "Policy");
    else if (text)
        json_object_set_new(queue->attributes, "Policy", json_string(text));
    free(text);
    queue->modified_ms = call->now_ms;
    return (text && sqs_queue_change(call->store, queue)) || sqs_trouble(&call->err);
}

static bool add_statement(struct sqs_call *call, struct sqs_queue *queue, const char *label)
{
    json_t *accounts = read_accounts(call);
    json_t *actions = accounts ? read_actions(call) : NULL;
    json_t *policy = actions ? policy_of(call, queue) : NULL;
    char arn[200];
    bool ok = policy != NULL;

    sqs_put_arn(call, queue->name, arn);
    if (ok && find_statement(policy, label) >= 0)
        ok = bad_label(call, label, "Already exists.");
    if (ok) {
        json_array_append_new(json_object_get(policy, "Statement"),
                              json_pack("{s:s,s:s,s:{s:O},s:O,s:s}", "Sid", label, "Effect",
                                        "Allow", "Principal", "AWS", accounts, "Action", actions,
                                        "Resource", arn));
        ok = keep_policy(call, queue, policy);
    }
    json_decref(accounts);
    json_decref(actions);
    json_decref(policy);
    return ok;
}

static bool read_label(struct sqs_call *call, const char **ret)
{
    *ret = sqs_text(call->in, "Label");
    if (!*ret)
        return sqs_missing(&call->err, "Label");
    return is_label(*ret) ||
           bad_label(call, *ret,
                     "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 "
                     "in length.");
}

bool sqs_add_permission(struct sqs_call *call)
{
    struct sqs_queue queue;
    const char *label;
    bool ok = sqs_find_queue(call, &queue) && read_label(call, &label) &&
              add_statement(call, &queue, label);

    sqs_queue_fini(&queue);
    return ok;
}

bool sqs_remove_permission(struct sqs_call *call)
{
    struct sqs_queue queue;
    json_t *policy = NULL;
    const char *label;
    bool ok = sqs_find_queue(call, &queue) && read_label(call, &label);

    if (ok) {
        long at;

        policy = policy_of(call, &queue);
        at = find_statement(policy, label);
        ok = at >= 0 ? json_array_remove(json_object_get(policy, "Statement"), (size_t)at) == 0 &&
                           keep_policy(call, &queue, policy)
                     : bad_label(call, label, "can't find label.");
    }
    json_decref(policy);
    sqs_queue_fini(&queue);
    return ok;
}
