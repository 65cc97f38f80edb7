/* attributes.c - what can be set on a queue, within which bounds, and what holds when nothing
 * is set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/sqs/call.h"

enum kind { NUMBER = 1, FLAG, CHOICE, DOCUMENT, TEXT, COMPUTED };

static const struct row {
    const char *name;
    enum kind kind;
    const char *standard, *fifo; /* defaults; NULL: the queue has none */
    int64_t min, max;            /* NUMBER */
    const char *choices;         /* CHOICE: "a|b" */
} rows[] = {
    {"VisibilityTimeout", NUMBER, "30", "30", 0, 43200, NULL},
    {"DelaySeconds", NUMBER, "0", "0", 0, 900, NULL},
    {"MaximumMessageSize", NUMBER, "1048576", "1048576", 1024, 1048576, NULL},
    {"MessageRetentionPeriod", NUMBER, "345600", "345600", 60, 1209600, NULL},
    {"ReceiveMessageWaitTimeSeconds", NUMBER, "0", "0", 0, 20, NULL},
    {"KmsDataKeyReusePeriodSeconds", NUMBER, NULL, NULL, 60, 86400, NULL},
    {"SqsManagedSseEnabled", FLAG, "true", "true", 0, 0, NULL},
    {"FifoQueue", FLAG, NULL, "true", 0, 0, NULL},
    {"ContentBasedDeduplication", FLAG, NULL, "false", 0, 0, NULL},
    {"DeduplicationScope", CHOICE, NULL, "queue", 0, 0, "queue|messageGroup"},
    {"FifoThroughputLimit", CHOICE, NULL, "perQueue", 0, 0, "perQueue|perMessageGroupId"},
    {"RedrivePolicy", DOCUMENT, NULL, NULL, 0, 0, NULL},
    {"RedriveAllowPolicy", DOCUMENT, NULL, NULL, 0, 0, NULL},
    {"Policy", DOCUMENT, NULL, NULL, 0, 0, NULL},
    {"KmsMasterKeyId", TEXT, NULL, NULL, 0, 0, NULL},
    {"QueueArn", COMPUTED, NULL, NULL, 0, 0, NULL},
    {"CreatedTimestamp", COMPUTED, NULL, NULL, 0, 0, NULL},
    {"LastModifiedTimestamp", COMPUTED, NULL, NULL, 0, 0, NULL},
    {"ApproximateNumberOfMessages", COMPUTED, NULL, NULL, 0, 0, NULL},
    {"ApproximateNumberOfMessagesNotVisible", COMPUTED, NULL, NULL, 0, 0, NULL},
    {"ApproximateNumberOfMessagesDelayed", COMPUTED, NULL, NULL, 0, 0, NULL},
};

const char *const sqs_attribute_names[] = {"VisibilityTimeout",
                                           "DelaySeconds",
                                           "MaximumMessageSize",
                                           "MessageRetentionPeriod",
                                           "ReceiveMessageWaitTimeSeconds",
                                           "KmsDataKeyReusePeriodSeconds",
                                           "SqsManagedSseEnabled",
                                           "FifoQueue",
                                           "ContentBasedDeduplication",
                                           "DeduplicationScope",
                                           "FifoThroughputLimit",
                                           "RedrivePolicy",
                                           "RedriveAllowPolicy",
                                           "Policy",
                                           "KmsMasterKeyId",
                                           "QueueArn",
                                           "CreatedTimestamp",
                                           "LastModifiedTimestamp",
                                           "ApproximateNumberOfMessages",
                                           "ApproximateNumberOfMessagesNotVisible",
                                           "ApproximateNumberOfMessagesDelayed",
                                           NULL};

static const struct row *find_row(const char *name)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

/* What is set, else the default; NULL: neither. */
static const char *in_force(const struct sqs_queue *queue, const struct row *row)
{
    const char *text = sqs_text(queue->attributes, row->name);

    if (text)
        return text;
    if (strcmp(row->name, "SqsManagedSseEnabled") == 0 &&
        sqs_text(queue->attributes, "KmsMasterKeyId"))
        return "false";
    if (strcmp(row->name, "KmsDataKeyReusePeriodSeconds") == 0 &&
        sqs_text(queue->attributes, "KmsMasterKeyId"))
        return "300";
    return queue->is_fifo ? row->fifo : row->standard;
}

int64_t sqs_setting(const struct sqs_queue *queue, const char *name)
{
    const struct row *row = find_row(name);
    const char *text = row ? in_force(queue, row) : NULL;

    return text ? strtoll(text, NULL, 10) : 0;
}

bool sqs_flag(const struct sqs_queue *queue, const char *name)
{
    const struct row *row = find_row(name);
    const char *text = row ? in_force(queue, row) : NULL;

    return text && strcmp(text, "true") == 0;
}

/* ---- setting ---- */

static bool bad_value(struct sqs_call *call, const char *name)
{
    return sqs_refuse(&call->err, "InvalidAttributeValue", "Invalid value for the parameter %s.",
                      name);
}

static bool is_choice(const char *choices, const char *text)
{
    size_t n = strlen(text);

    for (const char *p = choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (strncmp(p, text, n) == 0 && (p[n] == '|' || p[n] == '\0'))
            return true;
    return false;
}

static bool bad_policy(struct sqs_call *call, const char *text, const char *reason)
{
    return sqs_invalid(&call->err,
                       "Value %.300s for parameter RedrivePolicy is invalid. Reason: %s", text,
                       reason);
}

/* maxReceiveCount as a number or as a text of one; 0: neither. */
static int64_t max_receives(const json_t *policy)
{
    const json_t *value = sqs_member(policy, "maxReceiveCount");

    return json_is_integer(value)  ? json_integer_value(value)
           : json_is_string(value) ? strtoll(json_string_value(value), NULL, 10)
                                   : 0;
}

static bool bad_receives(struct sqs_call *call, const char *text, const json_t *policy)
{
    const json_t *value = sqs_member(policy, "maxReceiveCount");
    char *shown = json_is_string(value) ? strdup(json_string_value(value))
                                        : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    char reason[160];

    snprintf(reason, sizeof(reason),
             "Invalid value for maxReceiveCount: %.60s, valid values are from 1 to 1000 both "
             "inclusive.",
             shown ? shown : "");
    free(shown);
    return bad_policy(call, text, reason);
}

static bool names_queue(const json_t *arns, const char *arn)
{
    for (size_t i = 0; i < json_array_size(arns); i++) {
        const char *one = json_string_value(json_array_get(arns, i));

        if (one && strcmp(one, arn) == 0)
            return true;
    }
    return false;
}

/* Does the dead-letter queue let this one use it? */
static bool is_allowed_by(struct sqs_call *call, const struct sqs_queue *target,
                          const struct sqs_queue *queue)
{
    const char *text = sqs_text(target->attributes, "RedriveAllowPolicy");
    json_t *policy = text ? json_loads(text, 0, NULL) : NULL;
    const char *how = sqs_text(policy, "redrivePermission");
    char arn[200];
    bool ok;

    sqs_put_arn(call, queue->name, arn);
    ok = !how || strcmp(how, "allowAll") == 0 ||
         (strcmp(how, "byQueue") == 0 && names_queue(sqs_member(policy, "sourceQueueArns"), arn));
    json_decref(policy);
    return ok;
}

static bool bad_allow_policy(struct sqs_call *call, const char *text, const char *reason)
{
    return sqs_invalid(&call->err,
                       "Value %.300s for parameter RedriveAllowPolicy is invalid. Reason: Amazon "
                       "SQS can't create the redrive allow policy. %s",
                       text, reason);
}

static bool check_allow(struct sqs_call *call, const char *text)
{
    enum { SOURCES_MAX = 10 };
    json_t *policy = json_loads(text, 0, NULL);
    const char *how = sqs_text(policy, "redrivePermission");
    const json_t *sources = sqs_member(policy, "sourceQueueArns");
    bool by_queue = how && strcmp(how, "byQueue") == 0;
    bool ok = false;

    if (!how || !is_choice("allowAll|denyAll|byQueue", how) || (sources && !json_is_array(sources)))
        sqs_invalid(&call->err,
                    "Invalid value for the parameter RedriveAllowPolicy. Reason: Amazon SQS can't "
                    "create the redrive allow policy, as it’s in an unsupported format.");
    else if (by_queue && json_array_size(sources) == 0)
        bad_allow_policy(call, text,
                         "When you specify the byQueue permission type, you must also specify one "
                         "or more sourceQueueArns values.");
    else if (!by_queue && sources)
        bad_allow_policy(call, text,
                         "To specify one or more source queue ARNs, you must set redrivePermission "
                         "to byQueue.");
    else if (json_array_size(sources) > SOURCES_MAX)
        bad_allow_policy(call, text,
                         "The maximum number of source queue ARNs you can specify is 10.");
    else
        ok = true;
    json_decref(policy);
    return ok;
}

static bool check_redrive(struct sqs_call *call, const struct sqs_queue *queue, const char *text)
{
    json_t *policy = json_loads(text, 0, NULL);
    const char *arn = sqs_text(policy, "deadLetterTargetArn");
    const char *name = arn ? sqs_name_of_arn(call, arn) : NULL;
    struct sqs_queue target = {0};
    int64_t n = max_receives(policy);
    bool ok = false;

    if (!json_is_object(policy))
        bad_policy(call, text, "Redrive policy is not a valid JSON map.");
    else if (!arn)
        bad_policy(call, text,
                   "Redrive policy does not contain mandatory attribute: deadLetterTargetArn.");
    else if (!sqs_member(policy, "maxReceiveCount"))
        bad_policy(call, text,
                   "Redrive policy does not contain mandatory attribute: maxReceiveCount.");
    else if (n < 1 || n > 1000)
        bad_receives(call, text, policy);
    else if (!name && strncmp(arn, "arn:", 4) != 0)
        bad_policy(call, text, "Invalid value for deadLetterTargetArn.");
    else if (!name || !sqs_queue_find(call->store, call->region, name, &target))
        bad_policy(call, text, "Dead letter target does not exist.");
    else if (target.is_fifo != queue->is_fifo)
        bad_policy(call, text, "Dead-letter queue must be same type of queue as the source.");
    else if (!is_allowed_by(call, &target, queue))
        bad_policy(call, text,
                   "The redrive allow policy of the dead-letter queue does not allow this source "
                   "queue.");
    else
        ok = true;
    sqs_queue_fini(&target);
    json_decref(policy);
    return ok;
}

static bool check_document(struct sqs_call *call, const struct sqs_queue *queue,
                           const struct row *row, const char *text)
{
    json_t *document;
    bool ok;

    if (strcmp(row->name, "RedrivePolicy") == 0)
        return check_redrive(call, queue, text);
    if (strcmp(row->name, "RedriveAllowPolicy") == 0)
        return check_allow(call, text);
    document = json_loads(text, 0, NULL);
    ok = json_is_object(document);
    json_decref(document);
    return ok || bad_value(call, row->name);
}

static bool check_number(struct sqs_call *call, const struct row *row, const char *text)
{
    char *end;
    long long n = strtoll(text, &end, 10);

    return (end != text && *end == '\0' && n >= row->min && n <= row->max) ||
           bad_value(call, row->name);
}

static bool check_flag(struct sqs_call *call, const struct sqs_queue *queue, const struct row *row,
                       const char *text, bool is_new)
{
    bool is_true = strcmp(text, "true") == 0;

    if (strcmp(row->name, "FifoQueue") == 0 && (!is_true || !queue->is_fifo)) {
        if (!is_new)
            return sqs_refuse(&call->err, "InvalidAttributeValue",
                              "Invalid value for the parameter FifoQueue. Reason: Modifying queue "
                              "type is not supported.");
        return is_true
                   ? sqs_invalid(&call->err,
                                 "The name of a FIFO queue can only include alphanumeric "
                                 "characters, hyphens, or underscores, must end with .fifo "
                                 "suffix and be 1 to 80 in length")
                   : sqs_refuse(&call->err, "InvalidAttributeName", "Unknown Attribute FifoQueue.");
    }
    return is_true || strcmp(text, "false") == 0 || bad_value(call, row->name);
}

static bool check(struct sqs_call *call, const struct sqs_queue *queue, const struct row *row,
                  const char *text, bool is_new)
{
    switch (row->kind) {
    case NUMBER: return check_number(call, row, text);
    case FLAG: return check_flag(call, queue, row, text, is_new);
    case CHOICE: return is_choice(row->choices, text) || bad_value(call, row->name);
    case DOCUMENT: return check_document(call, queue, row, text);
    case TEXT: return true;
    case COMPUTED: break;
    }
    return sqs_refuse(&call->err, "InvalidAttributeName", "Unknown Attribute %.80s.", row->name);
}

/* Attributes of FIFO queues on a queue that is none. */
static bool check_type(struct sqs_call *call, const struct sqs_queue *queue, const struct row *row)
{
    if (queue->is_fifo || !row->fifo || row->standard || strcmp(row->name, "FifoQueue") == 0)
        return true;
    if (row->kind == CHOICE)
        return sqs_refuse(&call->err, "InvalidAttributeName",
                          "You can specify the %s only when FifoQueue is set to true.", row->name);
    return sqs_refuse(&call->err, "InvalidAttributeName", "Unknown Attribute %s.", row->name);
}

/* What no attribute alone shows. */
static bool check_together(struct sqs_call *call, const struct sqs_queue *queue)
{
    const char *limit = sqs_text(queue->attributes, "FifoThroughputLimit");
    const char *scope = sqs_text(queue->attributes, "DeduplicationScope");
    const char *sse = sqs_text(queue->attributes, "SqsManagedSseEnabled");

    if (sse && strcmp(sse, "true") == 0 && sqs_text(queue->attributes, "KmsMasterKeyId"))
        return sqs_refuse(&call->err, "InvalidAttributeName",
                          "You can use one type of server-side encryption (SSE) at one time. You "
                          "can either enable KMS SSE or SQS SSE.");
    if (limit && strcmp(limit, "perMessageGroupId") == 0 &&
        (!scope || strcmp(scope, "messageGroup") != 0))
        return sqs_refuse(&call->err, "InvalidAttributeValue",
                          "The perMessageGroupId value is allowed only when the value for "
                          "DeduplicationScope is messageGroup.");
    return true;
}

bool sqs_apply_attributes(struct sqs_call *call, struct sqs_queue *queue, json_t *given,
                          bool is_new)
{
    const char *name;
    json_t *value;

    json_object_foreach(given, name, value)
    {
        const struct row *row = find_row(name);
        const char *text = json_string_value(value);

        if (!row)
            return sqs_refuse(&call->err, "InvalidAttributeName", "Unknown Attribute %.80s.", name);
        if (!text)
            return bad_value(call, row->name);
        if (row->kind == DOCUMENT && text[0] == '\0') {
            json_object_del(queue->attributes, row->name);
            continue;
        }
        if (!check_type(call, queue, row) || !check(call, queue, row, text, is_new))
            return false;
        if (row->kind == TEXT && text[0] == '\0')
            json_object_del(queue->attributes, row->name);
        else
            json_object_set(queue->attributes, row->name, value);
    }
    return check_together(call, queue);
}

/* ---- reading ---- */

static const struct sqs_counts *counts_of(struct sqs_call *call, const struct sqs_queue *queue)
{
    if (!call->has_counts)
        sqs_queue_count(call->store, queue->id, call->now_ms, &call->counts);
    call->has_counts = true; /* a call is about one queue */
    return &call->counts;
}

static char *computed(struct sqs_call *call, const struct sqs_queue *queue, const char *name)
{
    char text[200];
    int64_t n;

    if (strcmp(name, "QueueArn") == 0) {
        sqs_put_arn(call, queue->name, text);
        return strdup(text);
    }
    if (strcmp(name, "CreatedTimestamp") == 0)
        n = queue->created_ms / 1000;
    else if (strcmp(name, "LastModifiedTimestamp") == 0)
        n = queue->modified_ms / 1000;
    else if (strcmp(name, "ApproximateNumberOfMessages") == 0)
        n = counts_of(call, queue)->visible;
    else if (strcmp(name, "ApproximateNumberOfMessagesNotVisible") == 0)
        n = counts_of(call, queue)->in_flight;
    else
        n = counts_of(call, queue)->delayed;
    snprintf(text, sizeof(text), "%lld", (long long)n);
    return strdup(text);
}

char *sqs_attribute_text(struct sqs_call *call, const struct sqs_queue *queue, const char *name)
{
    const struct row *row = find_row(name);
    const char *text;

    if (!row)
        return NULL;
    if (row->kind == COMPUTED)
        return computed(call, queue, name);
    text = in_force(queue, row);
    return text ? strdup(text) : NULL;
}

/* Documents are equal when they say the same. */
static bool same_text(const struct row *row, const char *a, const char *b)
{
    json_t *x, *y;
    bool same;

    if (strcmp(a, b) == 0 || row->kind != DOCUMENT)
        return strcmp(a, b) == 0;
    x = json_loads(a, 0, NULL);
    y = json_loads(b, 0, NULL);
    same = x && y && json_equal(x, y);
    json_decref(x);
    json_decref(y);
    return same;
}

bool sqs_same_attributes(struct sqs_call *call, const struct sqs_queue *queue, json_t *given,
                         const char **ret_name)
{
    const char *name;
    json_t *value;

    json_object_foreach(given, name, value)
    {
        const struct row *row = find_row(name);
        const char *text = json_string_value(value);
        char *ours = row ? sqs_attribute_text(call, queue, name) : NULL;
        bool same = row && text && same_text(row, ours ? ours : "", text);

        free(ours);
        *ret_name = name;
        if (!same)
            return false;
    }
    return true;
}

bool sqs_dead_letters(struct sqs_call *call, const struct sqs_queue *queue,
                      struct sqs_queue *ret_target, int64_t *ret_receives)
{
    const char *text = sqs_text(queue->attributes, "RedrivePolicy");
    json_t *policy = text ? json_loads(text, 0, NULL) : NULL;
    const char *arn = sqs_text(policy, "deadLetterTargetArn");
    const char *name = arn ? sqs_name_of_arn(call, arn) : NULL;
    bool found = name && sqs_queue_find(call->store, call->region, name, ret_target);

    *ret_receives = max_receives(policy);
    if (!found && name)
        sqs_queue_fini(ret_target);
    json_decref(policy);
    return found;
}
