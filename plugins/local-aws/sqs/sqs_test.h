/* sqs_test.h - asking SQS in tests: the queue in hand, its messages, long polls.
 *
 * Threads: the test's only.
 */
#ifndef KPIPE_LOCAL_AWS_SQS_TEST_H
#define KPIPE_LOCAL_AWS_SQS_TEST_H

#include "plugins/local-aws/service_test.h"

#define SQS(op) "AmazonSQS." op

static char queue_url[300];

/* Makes a queue; the following requests are about it. */
static inline void make_queue(struct harness *h, const char *name, const char *attributes)
{
    json_t *out = service_ask(h, 200, SQS("CreateQueue"), "{'QueueName':'%s','Attributes':{%s}}",
                              name, attributes);

    snprintf(queue_url, sizeof(queue_url), "%s", service_at(out, "QueueUrl"));
    json_decref(out);
}

static inline void send_text(struct harness *h, const char *body)
{
    SERVICE_DO(h, 200, SQS("SendMessage"), "{'QueueUrl':'%s','MessageBody':'%s'}", queue_url, body);
}

static inline void send_group(struct harness *h, const char *body, const char *group)
{
    SERVICE_DO(h, 200, SQS("SendMessage"),
               "{'QueueUrl':'%s','MessageBody':'%s','MessageGroupId':'%s',"
               "'MessageDeduplicationId':'%s'}",
               queue_url, body, group, body);
}

/* Bodies received at once, one blank between. [static buffer] */
static inline const char *receive(struct harness *h, int max)
{
    static char out[1000];
    json_t *answer = service_ask(h, 200, SQS("ReceiveMessage"),
                                 "{'QueueUrl':'%s','MaxNumberOfMessages':%d}", queue_url, max);
    const json_t *messages = json_object_get(answer, "Messages");
    size_t n = 0;

    out[0] = '\0';
    if (messages)
        YES(json_array_size(messages) > 0); /* absent, not empty */
    for (size_t i = 0; i < json_array_size(messages); i++)
        n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%s", i ? " " : "",
                              service_at(json_array_get(messages, i), "Body"));
    json_decref(answer);
    return out;
}

/* Receives one message and keeps its handle. [static buffer] */
static inline const char *take(struct harness *h, int visibility)
{
    static char handle[300];
    json_t *answer = service_ask(h, 200, SQS("ReceiveMessage"),
                                 "{'QueueUrl':'%s','VisibilityTimeout':%d}", queue_url, visibility);

    snprintf(handle, sizeof(handle), "%s", service_at(answer, "Messages.0.ReceiptHandle"));
    YES(handle[0] != '\0');
    json_decref(answer);
    return handle;
}

static inline const char *attribute(struct harness *h, const char *name)
{
    static char out[2000];
    char path[100];
    json_t *answer = service_ask(h, 200, SQS("GetQueueAttributes"),
                                 "{'QueueUrl':'%s','AttributeNames':['All']}", queue_url);

    snprintf(path, sizeof(path), "Attributes.%s", name);
    snprintf(out, sizeof(out), "%s", service_at(answer, path));
    json_decref(answer);
    return out;
}

/* The request is refused; expected: type, query code, and the text or NULL. */
static inline void refused_with(struct harness *h, int status, const char *target, const char *body,
                                const char *const *expected)
{
    json_t *out = service_ask(h, status, target, "%s", body);

    EQ_STR(service_at(out, "__type"), expected[0]);
    REQUIRE(harness_response_header(h, "x-amzn-query-error") != NULL);
    EQ_STR(harness_response_header(h, "x-amzn-query-error"), expected[1]);
    if (expected[2])
        EQ_STR(service_at(out, "message"), expected[2]);
    json_decref(out);
}

static inline void refused(struct harness *h, const char *target, const char *body,
                           const char *type, const char *code)
{
    refused_with(h, 400, target, body, (const char *[]){type, code, NULL});
}

#define SQS_INVALID_TYPE "com.amazon.coral.service#InvalidParameterValueException"
#define SQS_INVALID_CODE "InvalidParameterValue;Sender"

/* InvalidParameterValue with that text. */
static inline void invalid(struct harness *h, const char *target, const char *body,
                           const char *text)
{
    refused_with(h, 400, target, body, (const char *[]){SQS_INVALID_TYPE, SQS_INVALID_CODE, text});
}

static inline struct harness_exchange *begin_poll(struct harness *h, int wait_s)
{
    char headers[200], body[500];
    struct harness_exchange *x;

    service_headers(SQS("ReceiveMessage"), headers);
    snprintf(body, sizeof(body),
             "{\"QueueUrl\":\"%s\",\"WaitTimeSeconds\":%d,\"VisibilityTimeout\":100}", queue_url,
             wait_s);
    x = harness_request_begin(h, "POST", "/", headers, body, strlen(body));
    attribute(h, "QueueArn"); /* answered behind it: by now the poll waits */
    NO(harness_request_answered(x));
    return x;
}

static inline const char *end_poll(struct harness *h, struct harness_exchange *x)
{
    static char out[100];
    const char *answer = "";
    json_t *document;

    EQ_INT(harness_request_end(h, x, &answer), 200);
    document = json_loads(answer, 0, NULL);
    REQUIRE(document != NULL);
    snprintf(out, sizeof(out), "%s", service_at(document, "Messages.0.Body"));
    if (out[0] == '\0')
        YES(json_object_get(document, "Messages") == NULL);
    json_decref(document);
    return out;
}

static inline const char *query(struct harness *h, int status, const char *path, const char *form)
{
    const char *answer = "";

    EQ_INT(harness_request(h, "POST", path, "Content-Type: application/x-www-form-urlencoded\r\n",
                           form, strlen(form), &answer),
           status);
    return answer;
}

#endif
