/* queue.c - operations on queues: making, finding, listing, attributes, tags, purging. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/sqs/call.h"
#include "sdk/wire/base64.h"

enum { PURGE_PAUSE_MS = 60000, LIST_MAX = 1000, TAGS_MAX = 50 };

/* ---- making ---- */

static bool is_name(const char *name, bool fifo)
{
    size_t n = strlen(name);

    if (n < 1 || n > 80)
        return false;
    if (fifo) {
        if (n < 6 || strcmp(name + n - 5, ".fifo") != 0)
            return false;
        n -= 5;
    }
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n;
}

static bool check_name(struct sqs_call *call, const char *name, bool fifo)
{
    if (!name)
        return sqs_missing(&call->err, "QueueName");
    if (is_name(name, fifo))
        return true;
    return fifo ? sqs_invalid(&call->err,
                              "The name of a FIFO queue can only include alphanumeric characters, "
                              "hyphens, or underscores, must end with .fifo suffix and be 1 to 80 "
                              "in length")
                : sqs_invalid(&call->err, "Can only include alphanumeric characters, hyphens, or "
                                          "underscores. 1 to 80 in length");
}

static bool answer_url(struct sqs_call *call, const char *name)
{
    char url[640];

    sqs_put_url(call, name, url);
    json_object_set_new(call->out, "QueueUrl", json_string(url));
    return true;
}

/* A queue of that name is there: fine when it is as asked for. */
static bool create_again(struct sqs_call *call, const struct sqs_queue *queue, json_t *given)
{
    const char *differs;

    if (sqs_same_attributes(call, queue, given, &differs))
        return answer_url(call, queue->name);
    return sqs_refuse(&call->err, "QueueNameExists",
                      "A queue already exists with the same name and a different value for "
                      "attribute %.80s",
                      differs);
}

static bool create(struct sqs_call *call, const char *name, json_t *given, json_t *tags)
{
    struct sqs_queue queue = {.created_ms = call->now_ms, .modified_ms = call->now_ms};
    bool ok;

    snprintf(queue.name, sizeof(queue.name), "%s", name);
    queue.is_fifo = is_name(name, true);
    queue.attributes = json_object();
    queue.tags = json_is_object(tags) ? json_copy(tags) : json_object();
    ok = sqs_apply_attributes(call, &queue, given, true);
    if (ok && !sqs_queue_add(call->store, call->region, &queue))
        ok = sqs_trouble(&call->err);
    sqs_queue_fini(&queue);
    return ok && answer_url(call, name);
}

bool sqs_create_queue(struct sqs_call *call)
{
    const char *name = sqs_text(call->in, "QueueName");
    json_t *given = sqs_member(call->in, "Attributes");
    json_t *tags = sqs_member(call->in, "tags");
    const char *fifo = sqs_text(given, "FifoQueue");
    struct sqs_queue queue;
    bool ok;

    if (!tags)
        tags = sqs_member(call->in, "Tags"); /* of the query protocol */
    if (!check_name(call, name, fifo && strcmp(fifo, "true") == 0))
        return false;
    if (sqs_queue_find(call->store, call->region, name, &queue))
        ok = create_again(call, &queue, given);
    else
        ok = create(call, name, given, tags);
    sqs_queue_fini(&queue);
    return ok;
}

bool sqs_delete_queue(struct sqs_call *call)
{
    struct sqs_queue queue;
    bool ok = sqs_find_queue(call, &queue);

    if (ok && !sqs_queue_remove(call->store, queue.id))
        ok = sqs_trouble(&call->err);
    sqs_queue_fini(&queue);
    return ok;
}

/* ---- finding ---- */

bool sqs_get_queue_url(struct sqs_call *call)
{
    const char *name = sqs_text(call->in, "QueueName");
    const char *owner = sqs_text(call->in, "QueueOwnerAWSAccountId");
    struct sqs_queue queue;
    bool found;

    if (!name)
        return sqs_missing(&call->err, "QueueName");
    found = sqs_queue_find(call->store, call->region, name, &queue) &&
            (!owner || strcmp(owner, call->service->local->account) == 0);
    sqs_queue_fini(&queue);
    if (found)
        return answer_url(call, name);
    return sqs_refuse(&call->err, "QueueDoesNotExist", "The specified queue does not exist%s.",
                      call->is_query ? " for this wsdl version" : "");
}

struct list {
    struct sqs_call *call;
    json_t *urls;           /* [owned] */
    int64_t max;            /* 0: not limited by the request */
    const char *target_arn; /* only queues whose dead letters go there; NULL: all */
    char last[SQS_NAME_MAX];
    bool more;
};

static bool has_target(const struct sqs_queue *queue, const char *arn)
{
    const char *text = sqs_text(queue->attributes, "RedrivePolicy");
    json_t *policy = text ? json_loads(text, 0, NULL) : NULL;
    const char *target = sqs_text(policy, "deadLetterTargetArn");
    bool same = target && strcmp(target, arn) == 0;

    json_decref(policy);
    return same;
}

static bool take_queue(void *arg, const struct sqs_queue *queue)
{
    struct list *list = arg;
    size_t n = json_array_size(list->urls);
    char url[640];

    if (list->target_arn && !has_target(queue, list->target_arn))
        return true;
    if (n >= LIST_MAX || (list->max > 0 && (int64_t)n >= list->max)) {
        list->more = list->max > 0;
        return false;
    }
    sqs_put_url(list->call, queue->name, url);
    json_array_append_new(list->urls, json_string(url));
    snprintf(list->last, sizeof(list->last), "%s", queue->name);
    return true;
}

static bool read_token(struct sqs_call *call, char after[SQS_NAME_MAX])
{
    const char *token = sqs_text(call->in, "NextToken");
    size_t len = token ? strlen(token) : 0, n = 0;

    after[0] = '\0';
    if (!token)
        return true;
    if (kpw_base64_decoded_max(len) >= SQS_NAME_MAX ||
        !kpw_base64_decode_url(token, len, after, &n))
        return sqs_invalid(&call->err, "Invalid or expired next token.");
    after[n] = '\0';
    return true;
}

static bool read_list(struct sqs_call *call, struct list *list, char after[SQS_NAME_MAX])
{
    list->max = 0;
    if (!sqs_int(call->in, "MaxResults", &list->max, &call->err) || !read_token(call, after))
        return false;
    if (sqs_member(call->in, "MaxResults") && (list->max < 1 || list->max > LIST_MAX))
        return sqs_invalid(&call->err,
                           "Value %lld for parameter MaxResults is invalid. Reason: MaxResults "
                           "must be an integer between 1 and 1000.",
                           (long long)list->max);
    return true;
}

static void answer_list(struct sqs_call *call, const struct list *list, const char *member)
{
    char token[SQS_NAME_MAX * 2];

    if (json_array_size(list->urls) > 0 || member[0] == 'q')
        json_object_set(call->out, member, list->urls);
    if (!list->more)
        return;
    token[kpw_base64_encode_url(list->last, strlen(list->last), false, token)] = '\0';
    json_object_set_new(call->out, "NextToken", json_string(token));
}

bool sqs_list_queues(struct sqs_call *call)
{
    struct list list = {.call = call};
    const char *prefix = sqs_text(call->in, "QueueNamePrefix");
    char after[SQS_NAME_MAX];

    if (!read_list(call, &list, after))
        return false;
    list.urls = json_array();
    sqs_queue_each(call->store, &(struct sqs_range){call->region, prefix ? prefix : "", after},
                   take_queue, &list);
    answer_list(call, &list, "QueueUrls");
    json_decref(list.urls);
    return true;
}

bool sqs_list_sources(struct sqs_call *call)
{
    struct list list = {.call = call};
    struct sqs_queue queue;
    char after[SQS_NAME_MAX], arn[200];
    bool ok = sqs_find_queue(call, &queue) && read_list(call, &list, after);

    if (ok) {
        sqs_put_arn(call, queue.name, arn);
        list.target_arn = arn;
        list.urls = json_array();
        sqs_queue_each(call->store, &(struct sqs_range){call->region, "", after}, take_queue,
                       &list);
        answer_list(call, &list, "queueUrls");
        json_decref(list.urls);
    }
    sqs_queue_fini(&queue);
    return ok;
}

/* ---- attributes ---- */

static bool put_attribute(struct sqs_call *call, const struct sqs_queue *queue, const char *name,
                          json_t *out)
{
    char *text = sqs_attribute_text(call, queue, name);

    if (text)
        json_object_set_new(out, name, json_string(text));
    free(text);
    return text != NULL;
}

static bool is_known(const char *name)
{
    for (const char *const *p = sqs_attribute_names; *p; p++)
        if (strcmp(*p, name) == 0)
            return true;
    return false;
}

static bool put_attributes(struct sqs_call *call, const struct sqs_queue *queue, json_t *names,
                           json_t *out)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));

        if (name && strcmp(name, "All") == 0) {
            for (const char *const *p = sqs_attribute_names; *p; p++)
                put_attribute(call, queue, *p, out);
        } else if (!name || !is_known(name)) {
            return sqs_refuse(&call->err, "InvalidAttributeName", "Unknown Attribute %.80s.",
                              name ? name : "");
        } else {
            put_attribute(call, queue, name, out);
        }
    }
    return true;
}

bool sqs_get_attributes(struct sqs_call *call)
{
    json_t *out = json_object();
    struct sqs_queue queue;
    bool ok = sqs_find_queue(call, &queue) && sqs_expire(call, &queue) &&
              put_attributes(call, &queue, sqs_member(call->in, "AttributeNames"), out);

    if (ok && json_object_size(out) > 0)
        json_object_set(call->out, "Attributes", out);
    json_decref(out);
    sqs_queue_fini(&queue);
    return ok;
}

bool sqs_set_attributes(struct sqs_call *call)
{
    json_t *given = sqs_member(call->in, "Attributes");
    struct sqs_queue queue;
    bool ok = sqs_find_queue(call, &queue);

    if (ok && json_object_size(given) == 0)
        ok = sqs_missing(&call->err, "Attribute.Name");
    ok = ok && sqs_apply_attributes(call, &queue, given, false);
    queue.modified_ms = call->now_ms;
    if (ok && !sqs_queue_change(call->store, &queue))
        ok = sqs_trouble(&call->err);
    sqs_queue_fini(&queue);
    return ok;
}

bool sqs_purge_queue(struct sqs_call *call)
{
    struct sqs_queue queue;
    bool ok = sqs_find_queue(call, &queue);

    if (ok && queue.purged_ms > 0 && call->now_ms < queue.purged_ms + PURGE_PAUSE_MS &&
        !call->service->local->no_limits)
        ok = sqs_refuse(&call->err, "PurgeQueueInProgress",
                        "Only one PurgeQueue operation on %s is allowed every 60 seconds.",
                        queue.name);
    queue.purged_ms = call->now_ms;
    if (ok && (!sqs_queue_purge(call->store, queue.id) || !sqs_queue_change(call->store, &queue)))
        ok = sqs_trouble(&call->err);
    sqs_queue_fini(&queue);
    return ok;
}

/* ---- tags ---- */

bool sqs_tag_queue(struct sqs_call *call)
{
    json_t *tags = sqs_member(call->in, "Tags");
    struct sqs_queue queue;
    bool ok = sqs_find_queue(call, &queue);

    if (ok && json_object_size(tags) == 0)
        ok = sqs_missing(&call->err, "Tags");
    if (ok &&
        (json_object_update(queue.tags, tags) != 0 || json_object_size(queue.tags) > TAGS_MAX))
        ok = sqs_invalid(&call->err, "Too many tags added for queue %s.", queue.name);
    if (ok && !sqs_queue_change(call->store, &queue))
        ok = sqs_trouble(&call->err);
    sqs_queue_fini(&queue);
    return ok;
}

bool sqs_untag_queue(struct sqs_call *call)
{
    json_t *keys = sqs_member(call->in, "TagKeys");
    struct sqs_queue queue;
    bool ok = sqs_find_queue(call, &queue);

    if (ok && json_array_size(keys) == 0)
        ok = sqs_missing(&call->err, "TagKeys");
    for (size_t i = 0; ok && i < json_array_size(keys); i++) {
        const char *key = json_string_value(json_array_get(keys, i));

        if (key)
            json_object_del(queue.tags, key);
    }
    if (ok && !sqs_queue_change(call->store, &queue))
        ok = sqs_trouble(&call->err);
    sqs_queue_fini(&queue);
    return ok;
}

bool sqs_list_tags(struct sqs_call *call)
{
    struct sqs_queue queue;
    bool ok = sqs_find_queue(call, &queue);

    if (ok && json_object_size(queue.tags) > 0)
        json_object_set(call->out, "Tags", queue.tags);
    sqs_queue_fini(&queue);
    return ok;
}
