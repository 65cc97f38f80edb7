/* queue_test.c - SQS's queues: permissions, redrive policies and attributes, wrong ones. */
#include "plugins/local-aws/sqs/sqs_test.h"

#define ARN "arn:aws:sqs:us-east-1:000000000000:"

/* The Policy attribute, " turned into '. [static buffer] */
static const char *policy(struct harness *h)
{
    static char out[2000];

    snprintf(out, sizeof(out), "%s", attribute(h, "Policy"));
    for (char *p = out; *p; p++)
        if (*p == '"')
            *p = '\'';
    return out;
}

static const char *body_of(const char *fmt, ...)
{
    static char out[2000];
    va_list args;
    size_t n = (size_t)snprintf(out, sizeof(out), "{'QueueUrl':'%s',", queue_url);

    va_start(args, fmt);
    vsnprintf(out + n, sizeof(out) - n, fmt, args);
    va_end(args);
    strcat(out, "}");
    return out;
}

TEST(permissions_are_statements_of_the_policy)
{
    struct harness *h = service_start(NULL);

    make_queue(h, "shared", "");
    SERVICE_DO(h, 200, SQS("AddPermission"), "%s",
               body_of("'Label':'one','AWSAccountIds':['111111111111'],"
                       "'Actions':['ReceiveMessage']"));
    EQ_STR(policy(h), "{'Version':'2008-10-17','Id':'" ARN "shared/SQSDefaultPolicy',"
                      "'Statement':[{'Sid':'one','Effect':'Allow','Principal':{'AWS':"
                      "'arn:aws:iam::111111111111:root'},'Action':'SQS:ReceiveMessage',"
                      "'Resource':'" ARN "shared'}]}");
    invalid(h, SQS("AddPermission"),
            body_of("'Label':'one','AWSAccountIds':['222222222222'],'Actions':['*']"),
            "Value one for parameter Label is invalid. Reason: Already exists.");
    SERVICE_DO(h, 200, SQS("AddPermission"), "%s",
               body_of("'Label':'two','AWSAccountIds':['111111111111','222222222222'],"
                       "'Actions':['SendMessage','*']"));
    YES(strstr(policy(h), "'Action':['SQS:SendMessage','SQS:*']") != NULL);
    invalid(h, SQS("AddPermission"),
            body_of("'Label':'three','AWSAccountIds':['111111111111'],'Actions':['AddPermission']"),
            "Value SQS:AddPermission for parameter ActionName is invalid. Reason: Only the queue "
            "owner is allowed to invoke this action.");
    SERVICE_DO(h, 200, SQS("RemovePermission"), "%s", body_of("'Label':'one'"));
    YES(strstr(policy(h), "'Sid':'one'") == NULL);
    YES(strstr(policy(h), "'Sid':'two'") != NULL);
    SERVICE_DO(h, 200, SQS("RemovePermission"), "%s", body_of("'Label':'two'"));
    EQ_STR(policy(h), "");
    invalid(h, SQS("RemovePermission"), body_of("'Label':'two'"),
            "Value two for parameter Label is invalid. Reason: can't find label.");
    harness_free(h);
}

#define REDRIVE "'Attributes':{'RedrivePolicy':'{\\\"deadLetterTargetArn\\\":\\\"%s\\\"%s}'}"

TEST(a_redrive_policy_needs_a_queue_that_lets_it)
{
    struct harness *h = service_start(NULL);
    json_t *out;

    make_queue(h, "dead", "");
    make_queue(h, "source", "");
    SERVICE_DO(h, 400, SQS("SetQueueAttributes"), "%s",
               body_of(REDRIVE, ARN "none", ",\\\"maxReceiveCount\\\":3"));
    SERVICE_DO(h, 400, SQS("SetQueueAttributes"), "%s", body_of(REDRIVE, ARN "dead", ""));
    out = service_ask(h, 400, SQS("SetQueueAttributes"), "%s",
                      body_of(REDRIVE, "dummy", ",\\\"maxReceiveCount\\\":3"));
    YES(strstr(service_at(out, "message"),
               "for parameter RedrivePolicy is invalid. Reason: Invalid value for "
               "deadLetterTargetArn.") != NULL);
    json_decref(out);
    out = service_ask(h, 400, SQS("SetQueueAttributes"), "%s",
                      body_of(REDRIVE, ARN "dead", ",\\\"maxReceiveCount\\\":1001"));
    YES(strstr(service_at(out, "message"),
               "Invalid value for maxReceiveCount: 1001, valid values are from 1 to 1000 both "
               "inclusive.") != NULL);
    json_decref(out);
    SERVICE_DO(h, 200, SQS("SetQueueAttributes"),
               "{'QueueUrl':'http://h/000000000000/dead','Attributes':{'RedriveAllowPolicy':"
               "'{\\\"redrivePermission\\\":\\\"byQueue\\\",\\\"sourceQueueArns\\\":[\\\"" ARN
               "other\\\"]}'}}");
    SERVICE_DO(h, 400, SQS("SetQueueAttributes"), "%s",
               body_of(REDRIVE, ARN "dead", ",\\\"maxReceiveCount\\\":3"));
    make_queue(h, "other", "");
    SERVICE_DO(h, 200, SQS("SetQueueAttributes"), "%s",
               body_of(REDRIVE, ARN "dead", ",\\\"maxReceiveCount\\\":\\\"3\\\""));
    SERVICE_DO(h, 200, SQS("SetQueueAttributes"), "%s",
               body_of("'Attributes':{'RedrivePolicy':''}"));
    EQ_STR(attribute(h, "RedrivePolicy"), "");
    harness_free(h);
}

TEST(wrong_redrive_allow_policies_are_refused_in_the_words_of_sqs)
{
#define ALLOW(policy) "'Attributes':{'RedriveAllowPolicy':'" policy "'}"
    struct harness *h = service_start(NULL);

    make_queue(h, "dead", "");
    invalid(h, SQS("SetQueueAttributes"), body_of(ALLOW("{\\\"redrivePermission\\\":\\\"x\\\"}")),
            "Invalid value for the parameter RedriveAllowPolicy. Reason: Amazon SQS can't create "
            "the redrive allow policy, as it\xE2\x80\x99s in an unsupported format.");
    SERVICE_DO(h, 400, SQS("SetQueueAttributes"), "%s",
               body_of(ALLOW("{\\\"redrivePermission\\\":\\\"byQueue\\\"}")));
    SERVICE_DO(h, 400, SQS("SetQueueAttributes"), "%s",
               body_of(ALLOW("{\\\"redrivePermission\\\":\\\"denyAll\\\",\\\"sourceQueueArns\\\":"
                             "[\\\"a\\\"]}")));
    SERVICE_DO(h, 200, SQS("SetQueueAttributes"), "%s",
               body_of(ALLOW("{\\\"redrivePermission\\\":\\\"denyAll\\\"}")));
    harness_free(h);
#undef ALLOW
}

TEST(attributes_that_do_not_go_together_are_refused)
{
    struct harness *h = service_start(NULL);

    make_queue(h, "sse", "'SqsManagedSseEnabled':'true'");
    refused_with(h, 400, SQS("SetQueueAttributes"), body_of("'Attributes':{'KmsMasterKeyId':'k'}"),
                 (const char *[]){"com.amazonaws.sqs#InvalidAttributeName",
                                  "InvalidAttributeName;Sender",
                                  "You can use one type of server-side encryption (SSE) at one "
                                  "time. You can either enable KMS SSE or SQS SSE."});
    refused(h, SQS("SetQueueAttributes"), body_of("'Attributes':{'DeduplicationScope':'queue'}"),
            "com.amazonaws.sqs#InvalidAttributeName", "InvalidAttributeName;Sender");
    make_queue(h, "fast.fifo", "'FifoQueue':'true'");
    refused(h, SQS("SetQueueAttributes"),
            body_of("'Attributes':{'FifoThroughputLimit':'perMessageGroupId'}"),
            "com.amazonaws.sqs#InvalidAttributeValue", "InvalidAttributeValue;Sender");
    SERVICE_DO(h, 200, SQS("SetQueueAttributes"), "%s",
               body_of("'Attributes':{'FifoThroughputLimit':'perMessageGroupId',"
                       "'DeduplicationScope':'messageGroup'}"));
    EQ_STR(attribute(h, "FifoThroughputLimit"), "perMessageGroupId");
    refused_with(h, 400, SQS("SetQueueAttributes"), body_of("'Attributes':{'FifoQueue':'false'}"),
                 (const char *[]){"com.amazonaws.sqs#InvalidAttributeValue",
                                  "InvalidAttributeValue;Sender",
                                  "Invalid value for the parameter FifoQueue. Reason: Modifying "
                                  "queue type is not supported."});
    harness_free(h);
}

TEST(a_queue_of_another_account_does_not_exist)
{
    struct harness *h = service_start(NULL);
    json_t *out;

    make_queue(h, "mine", "");
    out = service_ask(h, 200, SQS("GetQueueUrl"),
                      "{'QueueName':'mine','QueueOwnerAWSAccountId':'000000000000'}");
    EQ_STR(service_at(out, "QueueUrl"), queue_url);
    json_decref(out);
    refused(h, SQS("GetQueueUrl"), "{'QueueName':'mine','QueueOwnerAWSAccountId':'111111111111'}",
            "com.amazonaws.sqs#QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue;Sender");
    harness_free(h);
}

TEST(a_queue_is_named_by_url_path_or_name)
{
    struct harness *h = service_start(NULL);

    make_queue(h, "named", "");
    SERVICE_DO(h, 200, SQS("ReceiveMessage"), "{'QueueUrl':'named'}");
    SERVICE_DO(h, 200, SQS("ReceiveMessage"),
               "{'QueueUrl':'https://sqs.us-east-1.amazonaws.com/000000000000/named'}");
    SERVICE_DO(h, 200, SQS("ReceiveMessage"),
               "{'QueueUrl':'http://us-east-1.queue.amazonaws.com/000000000000/named'}");
    SERVICE_DO(h, 200, SQS("ReceiveMessage"), "{'QueueUrl':'http://localhost:1/0/named'}");
    query(h, 200, "/000000000000/named", "Action=ReceiveMessage&Version=2012-11-05");
    query(h, 200, "/",
          "Action=ReceiveMessage&Version=2012-11-05&QueueUrl=http%3A%2F%2Fh%2F0%2Fnamed");
    harness_free(h);
}

TEST(tags_come_and_go)
{
    struct harness *h = service_start(NULL);
    json_t *out;

    make_queue(h, "tagged", "");
    out = service_ask(h, 200, SQS("ListQueueTags"), "{'QueueUrl':'%s'}", queue_url);
    YES(json_object_get(out, "Tags") == NULL);
    json_decref(out);
    SERVICE_DO(h, 200, SQS("TagQueue"), "%s", body_of("'Tags':{'a':'1','b':'2'}"));
    SERVICE_DO(h, 200, SQS("UntagQueue"), "%s", body_of("'TagKeys':['a','none']"));
    out = service_ask(h, 200, SQS("ListQueueTags"), "{'QueueUrl':'%s'}", queue_url);
    EQ_INT(json_object_size(json_object_get(out, "Tags")), 1);
    EQ_STR(service_at(out, "Tags.b"), "2");
    json_decref(out);
    harness_free(h);
}
