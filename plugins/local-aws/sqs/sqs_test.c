/* sqs_test.c - SQS through HTTP: queues, messages, long polling, FIFO, dead letters, both
 * protocols. */
#include "plugins/local-aws/sqs/sqs_test.h"

TEST(a_message_is_received_once_and_deleted)
{
    struct harness *h = service_start(NULL);
    char handle[300];

    make_queue(h, "plain", "");
    EQ_STR(queue_url, "http://127.0.0.1/000000000000/plain");
    send_text(h, "hello");
    EQ_STR(attribute(h, "ApproximateNumberOfMessages"), "1");
    snprintf(handle, sizeof(handle), "%s", take(h, 30));
    EQ_STR(receive(h, 10), "");
    EQ_STR(attribute(h, "ApproximateNumberOfMessagesNotVisible"), "1");
    SERVICE_DO(h, 200, SQS("DeleteMessage"), "{'QueueUrl':'%s','ReceiptHandle':'%s'}", queue_url,
               handle);
    harness_advance(h, 31000);
    EQ_STR(receive(h, 10), "");
    /* Deleting again is fine. */
    SERVICE_DO(h, 200, SQS("DeleteMessage"), "{'QueueUrl':'%s','ReceiptHandle':'%s'}", queue_url,
               handle);
    harness_free(h);
}

TEST(a_message_comes_back_when_its_visibility_is_over)
{
    struct harness *h = service_start(NULL);
    char old[300];
    json_t *out;

    make_queue(h, "again", "'VisibilityTimeout':'5'");
    send_text(h, "a");
    EQ_STR(receive(h, 1), "a");
    harness_advance(h, 4999);
    EQ_STR(receive(h, 1), "");
    harness_advance(h, 1);
    out =
        service_ask(h, 200, SQS("ReceiveMessage"),
                    "{'QueueUrl':'%s','AttributeNames':['All'],'VisibilityTimeout':0}", queue_url);
    EQ_STR(service_at(out, "Messages.0.Attributes.ApproximateReceiveCount"), "2");
    snprintf(old, sizeof(old), "%s", service_at(out, "Messages.0.ReceiptHandle"));
    json_decref(out);
    /* A time-out of 0 leaves it visible; the handle of the last receive still deletes it. */
    EQ_STR(receive(h, 10), "a");
    SERVICE_DO(h, 200, SQS("DeleteMessage"), "{'QueueUrl':'%s','ReceiptHandle':'%s'}", queue_url,
               old);
    harness_advance(h, 6000);
    EQ_STR(receive(h, 1), "");
    harness_free(h);
}

TEST(visibility_is_changed_for_the_receive_that_holds_the_message)
{
    struct harness *h = service_start(NULL);
    char handle[300], body[800];

    make_queue(h, "change", "");
    send_text(h, "a");
    snprintf(handle, sizeof(handle), "%s", take(h, 30));
    SERVICE_DO(h, 200, SQS("ChangeMessageVisibility"),
               "{'QueueUrl':'%s','ReceiptHandle':'%s','VisibilityTimeout':0}", queue_url, handle);
    EQ_STR(receive(h, 1), "a");
    snprintf(body, sizeof(body), "{'QueueUrl':'%s','ReceiptHandle':'%s','VisibilityTimeout':10}",
             queue_url, handle);
    refused(h, SQS("ChangeMessageVisibility"), body,
            "com.amazon.coral.service#InvalidParameterValueException",
            "InvalidParameterValue;Sender");
    snprintf(body, sizeof(body), "{'QueueUrl':'%s','ReceiptHandle':'rubbish'}", queue_url);
    refused(h, SQS("DeleteMessage"), body, "com.amazonaws.sqs#ReceiptHandleIsInvalid",
            "ReceiptHandleIsInvalid;Sender");
    harness_free(h);
}

TEST(a_delayed_message_stays_hidden)
{
    struct harness *h = service_start(NULL);

    make_queue(h, "delay", "'DelaySeconds':'3'");
    send_text(h, "late");
    SERVICE_DO(h, 200, SQS("SendMessage"), "{'QueueUrl':'%s','MessageBody':'now','DelaySeconds':0}",
               queue_url);
    EQ_STR(attribute(h, "ApproximateNumberOfMessagesDelayed"), "1");
    EQ_STR(receive(h, 10), "now");
    harness_advance(h, 3000);
    EQ_STR(receive(h, 10), "late");
    harness_free(h);
}

TEST(messages_older_than_the_retention_are_gone)
{
    struct harness *h = service_start(NULL);

    make_queue(h, "retention", "'MessageRetentionPeriod':'60'");
    send_text(h, "old");
    harness_advance(h, 30000);
    send_text(h, "young");
    harness_advance(h, 30000);
    EQ_STR(attribute(h, "ApproximateNumberOfMessages"), "1");
    EQ_STR(receive(h, 10), "young");
    harness_free(h);
}

/* ---- long polling ---- */

TEST(a_long_poll_ends_when_a_message_is_sent)
{
    struct harness *h = service_start(NULL);
    struct harness_exchange *first, *second;

    make_queue(h, "poll", "");
    first = begin_poll(h, 20);
    second = begin_poll(h, 20);
    send_text(h, "one");
    EQ_STR(end_poll(h, first), "one");
    NO(harness_request_answered(second));
    send_text(h, "two");
    EQ_STR(end_poll(h, second), "two");
    harness_free(h);
}

TEST(a_long_poll_ends_empty_when_its_time_is_over)
{
    struct harness *h = service_start(NULL);
    struct harness_exchange *x;

    make_queue(h, "empty", "'ReceiveMessageWaitTimeSeconds':'20'");
    x = begin_poll(h, 2);
    harness_advance(h, 1999);
    NO(harness_request_answered(x));
    harness_advance(h, 1);
    EQ_STR(end_poll(h, x), "");
    harness_free(h);
}

TEST(a_long_poll_sees_delayed_and_returning_messages)
{
    struct harness *h = service_start(NULL);
    struct harness_exchange *x;

    make_queue(h, "timers", "'DelaySeconds':'4'");
    x = begin_poll(h, 20);
    send_text(h, "late");
    NO(harness_request_answered(x));
    harness_advance(h, 4000);
    EQ_STR(end_poll(h, x), "late");
    /* It is hidden for 100 s now. */
    harness_advance(h, 95000);
    x = begin_poll(h, 20);
    harness_advance(h, 5000);
    EQ_STR(end_poll(h, x), "late");
    harness_free(h);
}

TEST(a_long_poll_ends_when_its_queue_is_deleted)
{
    struct harness *h = service_start(NULL);
    struct harness_exchange *x;
    const char *answer = "";

    make_queue(h, "gone", "");
    x = begin_poll(h, 20);
    SERVICE_DO(h, 200, SQS("DeleteQueue"), "{'QueueUrl':'%s'}", queue_url);
    EQ_INT(harness_request_end(h, x, &answer), 400);
    YES(strstr(answer, "QueueDoesNotExist") != NULL);
    harness_free(h);
}

TEST(a_long_poll_does_not_keep_the_service_from_ending)
{
    struct harness *h = service_start(NULL);
    struct harness_exchange *x;

    make_queue(h, "open", "");
    x = begin_poll(h, 20);
    harness_stop(h);
    NO(harness_request_answered(x));
    harness_free(h);
}

/* ---- dead letters ---- */

TEST(a_message_received_too_often_goes_to_the_dead_letter_queue)
{
    struct harness *h = service_start(NULL);
    struct harness_exchange *x;
    char source[300], dead[300];
    json_t *out;

    make_queue(h, "dead", "");
    snprintf(dead, sizeof(dead), "%s", queue_url);
    make_queue(h, "source",
               "'VisibilityTimeout':'1','RedrivePolicy':"
               "'{\\\"deadLetterTargetArn\\\":\\\"arn:aws:sqs:us-east-1:000000000000:dead\\\","
               "\\\"maxReceiveCount\\\":2}'");
    snprintf(source, sizeof(source), "%s", queue_url);
    send_text(h, "bad");
    for (int i = 0; i < 2; i++) {
        EQ_STR(receive(h, 1), "bad");
        harness_advance(h, 1000);
    }
    snprintf(queue_url, sizeof(queue_url), "%s", dead);
    x = begin_poll(h, 20);
    snprintf(queue_url, sizeof(queue_url), "%s", source);
    EQ_STR(receive(h, 1), "");
    EQ_STR(end_poll(h, x), "bad");
    snprintf(queue_url, sizeof(queue_url), "%s", dead);
    harness_advance(h, 100000);
    out = service_ask(h, 200, SQS("ReceiveMessage"),
                      "{'QueueUrl':'%s','MessageSystemAttributeNames':['All']}", queue_url);
    EQ_STR(service_at(out, "Messages.0.Attributes.DeadLetterQueueSourceArn"),
           "arn:aws:sqs:us-east-1:000000000000:source");
    json_decref(out);
    out = service_ask(h, 200, SQS("ListDeadLetterSourceQueues"), "{'QueueUrl':'%s'}", queue_url);
    EQ_STR(service_at(out, "queueUrls.0"), source);
    json_decref(out);
    harness_free(h);
}

/* ---- FIFO ---- */

TEST(a_group_is_delivered_in_order_and_one_at_a_time)
{
    struct harness *h = service_start(NULL);
    char handle[300];

    make_queue(h, "order.fifo", "'FifoQueue':'true','VisibilityTimeout':'10'");
    send_group(h, "a1", "a");
    send_group(h, "a2", "a");
    send_group(h, "b1", "b");
    snprintf(handle, sizeof(handle), "%s", take(h, 10)); /* a1 */
    EQ_STR(receive(h, 10), "b1");                        /* a2 waits for a1 */
    EQ_STR(receive(h, 10), "");
    SERVICE_DO(h, 200, SQS("DeleteMessage"), "{'QueueUrl':'%s','ReceiptHandle':'%s'}", queue_url,
               handle);
    EQ_STR(receive(h, 10), "a2");
    harness_advance(h, 10000);
    EQ_STR(receive(h, 10), "a2 b1");
    harness_free(h);
}

TEST(a_repeated_message_is_taken_once_for_five_minutes)
{
    struct harness *h = service_start(NULL);
    json_t *first, *second;

    make_queue(h, "once.fifo", "'FifoQueue':'true','ContentBasedDeduplication':'true'");
    first = service_ask(h, 200, SQS("SendMessage"),
                        "{'QueueUrl':'%s','MessageBody':'x','MessageGroupId':'g'}", queue_url);
    second = service_ask(h, 200, SQS("SendMessage"),
                         "{'QueueUrl':'%s','MessageBody':'x','MessageGroupId':'g'}", queue_url);
    YES(strlen(service_at(first, "MessageId")) == 36);
    YES(json_equal(first, second));
    EQ_INT(strlen(service_at(first, "SequenceNumber")), 20);
    json_decref(first);
    json_decref(second);
    EQ_STR(attribute(h, "ApproximateNumberOfMessages"), "1");
    harness_advance(h, 299999);
    SERVICE_DO(h, 200, SQS("SendMessage"),
               "{'QueueUrl':'%s','MessageBody':'x','MessageGroupId':'g'}", queue_url);
    EQ_STR(attribute(h, "ApproximateNumberOfMessages"), "1");
    harness_advance(h, 1);
    SERVICE_DO(h, 200, SQS("SendMessage"),
               "{'QueueUrl':'%s','MessageBody':'x','MessageGroupId':'g'}", queue_url);
    EQ_STR(attribute(h, "ApproximateNumberOfMessages"), "2");
    harness_free(h);
}

TEST(a_fifo_handle_expires_with_its_visibility)
{
    struct harness *h = service_start(NULL);
    char body[700];

    make_queue(h, "late.fifo", "'FifoQueue':'true'");
    send_group(h, "a", "g");
    snprintf(body, sizeof(body), "{'QueueUrl':'%s','ReceiptHandle':'%s'}", queue_url, take(h, 1));
    harness_advance(h, 1000);
    refused(h, SQS("DeleteMessage"), body,
            "com.amazon.coral.service#InvalidParameterValueException",
            "InvalidParameterValue;Sender");
    harness_free(h);
}

/* ---- batches, attributes, errors ---- */

TEST(a_batch_answers_each_entry)
{
    struct harness *h = service_start(NULL);
    json_t *out;
    char body[400];

    make_queue(h, "batch", "");
    out = service_ask(h, 200, SQS("SendMessageBatch"),
                      "{'QueueUrl':'%s','Entries':[{'Id':'a','MessageBody':'1'},"
                      "{'Id':'b','MessageBody':''},{'Id':'c','MessageBody':'3'}]}",
                      queue_url);
    EQ_STR(service_at(out, "Successful.0.Id"), "a");
    EQ_STR(service_at(out, "Successful.1.Id"), "c");
    EQ_STR(service_at(out, "Successful.1.MD5OfMessageBody"), "eccbc87e4b5ce2fe28308fd9f2a7baf3");
    EQ_STR(service_at(out, "Failed.0.Id"), "b");
    EQ_STR(service_at(out, "Failed.0.Code"), "MissingParameter");
    json_decref(out);
    EQ_STR(receive(h, 10), "1 3");
    snprintf(body, sizeof(body), "{'QueueUrl':'%s','Entries':[]}", queue_url);
    refused(h, SQS("SendMessageBatch"), body, "com.amazonaws.sqs#EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest;Sender");
    snprintf(body, sizeof(body),
             "{'QueueUrl':'%s','Entries':[{'Id':'a','MessageBody':'1'},{'Id':'a',"
             "'MessageBody':'2'}]}",
             queue_url);
    refused(h, SQS("SendMessageBatch"), body, "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct;Sender");
    harness_free(h);
}

TEST(message_attributes_come_back_with_their_digest)
{
    struct harness *h = service_start(NULL);
    json_t *out;

    make_queue(h, "attributes", "");
    out = service_ask(h, 200, SQS("SendMessage"),
                      "{'QueueUrl':'%s','MessageBody':'m','MessageAttributes':{'Foo':"
                      "{'DataType':'String','StringValue':'Bar'}}}",
                      queue_url);
    EQ_STR(service_at(out, "MD5OfMessageAttributes"), "ae7155c6026991b6d54b11589678bf9c");
    json_decref(out);
    out = service_ask(h, 200, SQS("ReceiveMessage"),
                      "{'QueueUrl':'%s','VisibilityTimeout':0,'MessageAttributeNames':['All']}",
                      queue_url);
    EQ_STR(service_at(out, "Messages.0.MessageAttributes.Foo.StringValue"), "Bar");
    EQ_STR(service_at(out, "Messages.0.MD5OfMessageAttributes"),
           "ae7155c6026991b6d54b11589678bf9c");
    json_decref(out);
    out = service_ask(h, 200, SQS("ReceiveMessage"), "{'QueueUrl':'%s'}", queue_url);
    EQ_STR(service_at(out, "Messages.0.MD5OfMessageAttributes"), "");
    json_decref(out);
    harness_free(h);
}

TEST(a_queue_is_made_again_only_as_it_is)
{
    struct harness *h = service_start(NULL);
    json_t *out;

    make_queue(h, "same", "'DelaySeconds':'3'");
    make_queue(h, "same", "'DelaySeconds':'3'");
    make_queue(h, "same", "");
    refused(h, SQS("CreateQueue"), "{'QueueName':'same','Attributes':{'DelaySeconds':'4'}}",
            "com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists;Sender");
    refused(h, SQS("CreateQueue"), "{'QueueName':'a b'}",
            "com.amazon.coral.service#InvalidParameterValueException",
            "InvalidParameterValue;Sender");
    refused(h, SQS("GetQueueUrl"), "{'QueueName':'none'}", "com.amazonaws.sqs#QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue;Sender");
    out = service_ask(h, 200, SQS("ListQueues"), "{'QueueNamePrefix':'sa'}");
    EQ_STR(service_at(out, "QueueUrls.0"), queue_url);
    json_decref(out);
    out = service_ask(h, 200, SQS("ListQueues"), "{'QueueNamePrefix':'no'}");
    YES(json_object_get(out, "QueueUrls") == NULL);
    json_decref(out);
    harness_free(h);
}

TEST(queues_are_listed_in_pages)
{
    struct harness *h = service_start(NULL);
    json_t *out, *next;

    make_queue(h, "p1", "");
    make_queue(h, "p2", "");
    make_queue(h, "p3", "");
    out = service_ask(h, 200, SQS("ListQueues"), "{'MaxResults':2}");
    EQ_INT(json_array_size(json_object_get(out, "QueueUrls")), 2);
    next = service_ask(h, 200, SQS("ListQueues"), "{'MaxResults':2,'NextToken':'%s'}",
                       service_at(out, "NextToken"));
    EQ_STR(service_at(next, "QueueUrls.0"), "http://127.0.0.1/000000000000/p3");
    YES(json_object_get(next, "NextToken") == NULL);
    json_decref(out);
    json_decref(next);
    harness_free(h);
}

TEST(a_purged_queue_is_empty_and_not_purged_again_at_once)
{
    struct harness *h = service_start(NULL);

    make_queue(h, "purge", "");
    send_text(h, "a");
    SERVICE_DO(h, 200, SQS("PurgeQueue"), "{'QueueUrl':'%s'}", queue_url);
    EQ_STR(receive(h, 1), "");
    SERVICE_DO(h, 403, SQS("PurgeQueue"), "{'QueueUrl':'%s'}", queue_url);
    harness_advance(h, 60000);
    SERVICE_DO(h, 200, SQS("PurgeQueue"), "{'QueueUrl':'%s'}", queue_url);
    harness_free(h);
}

TEST(queues_and_messages_outlive_the_service)
{
    const char *dir = kptest_dir();
    struct harness *h = service_start(dir);

    make_queue(h, "kept", "");
    send_text(h, "kept");
    harness_free(h);
    h = service_start(dir);
    EQ_STR(receive(h, 1), "kept");
    harness_free(h);
}

TEST(a_request_signed_for_another_region_sees_the_same_queues)
{
    static const char headers[] =
        "Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: AmazonSQS.GetQueueUrl\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/sqs/aws4_request, "
        "SignedHeaders=host, Signature=00\r\n";
    struct harness *h = service_start(NULL);
    const char *answer = "";

    make_queue(h, "here", "");
    EQ_INT(harness_request(h, "POST", "/", headers, "{\"QueueName\":\"here\"}", 20, &answer), 200);
    EQ_STR(attribute(h, "QueueArn"), "arn:aws:sqs:us-east-1:000000000000:here");
    harness_free(h);
}

/* ---- the query protocol ---- */

TEST(old_clients_speak_the_query_protocol)
{
    struct harness *h = service_start(NULL);
    const char *xml;

    xml = query(h, 200, "/", "Action=CreateQueue&QueueName=old&Version=2012-11-05");
    YES(strstr(xml, "<QueueUrl>http://127.0.0.1/000000000000/old</QueueUrl>") != NULL);
    xml = query(h, 200, "/000000000000/old",
                "Action=SendMessage&MessageBody=a%26b&Version=2012-11-05");
    YES(strstr(xml, "<MD5OfMessageBody>") != NULL);
    xml = query(h, 200, "/000000000000/old",
                "Action=ReceiveMessage&MaxNumberOfMessages=10&Version=2012-11-05");
    YES(strstr(xml, "<Body>a&amp;b</Body>") != NULL);
    EQ_STR(harness_response_header(h, "content-type"), "text/xml");
    xml = query(h, 400, "/000000000000/none", "Action=ReceiveMessage&Version=2012-11-05");
    YES(strstr(xml, "<Code>AWS.SimpleQueueService.NonExistentQueue</Code>") != NULL);
    YES(strstr(xml, "for this wsdl version.") != NULL);
    xml = query(h, 400, "/", "Action=Nothing&Version=2012-11-05");
    YES(strstr(xml, "<Code>InvalidAction</Code>") != NULL);
    harness_free(h);
}
