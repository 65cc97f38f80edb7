/* message_test.c - SQS's messages: batches, FIFO groups, attempts, what is in flight, peers that go
 * away, and message move tasks. */
#include <sqlite3.h>

#include "plugins/local-aws/sqs/sqs_test.h"
#include "plugins/local-aws/sqs/text.h"

#define ARN "arn:aws:sqs:us-east-1:000000000000:"

TEST(messages_of_one_group_come_before_those_of_the_next)
{
    struct harness *h = service_start(NULL);

    make_queue(h, "groups.fifo", "'FifoQueue':'true','VisibilityTimeout':'10'");
    send_group(h, "a1", "a");
    send_group(h, "b1", "b");
    send_group(h, "a2", "a");
    send_group(h, "c1", "c");
    send_group(h, "b2", "b");
    EQ_STR(receive(h, 3), "a1 a2 b1");
    EQ_STR(receive(h, 10), "c1"); /* b2 waits for b1 */
    harness_advance(h, 10000);
    EQ_STR(receive(h, 10), "a1 a2 b1 b2 c1");
    harness_free(h);
}

TEST(the_same_id_in_another_group_is_another_message_when_the_scope_is_the_group)
{
    struct harness *h = service_start(NULL);

    make_queue(h, "scope.fifo",
               "'FifoQueue':'true','DeduplicationScope':'messageGroup',"
               "'ContentBasedDeduplication':'true'");
    for (int i = 0; i < 2; i++) {
        SERVICE_DO(h, 200, SQS("SendMessage"),
                   "{'QueueUrl':'%s','MessageBody':'x','MessageGroupId':'a'}", queue_url);
        SERVICE_DO(h, 200, SQS("SendMessage"),
                   "{'QueueUrl':'%s','MessageBody':'x','MessageGroupId':'b'}", queue_url);
    }
    EQ_STR(receive(h, 10), "x x");
    harness_free(h);
}

TEST(one_message_without_a_group_fails_a_fifo_batch)
{
    struct harness *h = service_start(NULL);
    char body[600];

    make_queue(h, "batch.fifo", "'FifoQueue':'true'");
    snprintf(body, sizeof(body),
             "{'QueueUrl':'%s','Entries':[{'Id':'a','MessageBody':'1','MessageGroupId':'g',"
             "'MessageDeduplicationId':'d'},{'Id':'b','MessageBody':'2'}]}",
             queue_url);
    invalid(h, SQS("SendMessageBatch"), body,
            "The request must contain the parameter MessageGroupId.");
    EQ_STR(attribute(h, "ApproximateNumberOfMessages"), "0");
    snprintf(body, sizeof(body), "{'QueueUrl':'%s','MessageBody':'1','MessageGroupId':'g'}",
             queue_url);
    invalid(h, SQS("SendMessage"), body,
            "The queue should either have ContentBasedDeduplication enabled or "
            "MessageDeduplicationId provided explicitly");
    snprintf(body, sizeof(body),
             "{'QueueUrl':'%s','MessageBody':'1','MessageGroupId':'g','MessageDeduplicationId':"
             "'d','DelaySeconds':2}",
             queue_url);
    invalid(h, SQS("SendMessage"), body,
            "Value 2 for parameter DelaySeconds is invalid. Reason: The request include parameter "
            "that is not valid for this queue type.");
    harness_free(h);
}

/* ---- attempts ---- */

static json_t *attempt(struct harness *h, const char *id)
{
    return service_ask(h, 200, SQS("ReceiveMessage"),
                       "{'QueueUrl':'%s','MaxNumberOfMessages':10,'ReceiveRequestAttemptId':'%s'}",
                       queue_url, id);
}

TEST(an_attempt_that_is_repeated_gets_the_same_messages)
{
    struct harness *h = service_start(NULL);
    json_t *first, *again;

    make_queue(h, "attempt.fifo", "'FifoQueue':'true','VisibilityTimeout':'10'");
    send_group(h, "a", "g");
    send_group(h, "b", "g");
    first = attempt(h, "try-1");
    EQ_STR(service_at(first, "Messages.1.Body"), "b");
    harness_advance(h, 8000);
    again = attempt(h, "try-1"); /* hides them for 10 s again */
    YES(json_equal(first, again));
    json_decref(again);
    harness_advance(h, 8000);
    again = attempt(h, "try-2");
    YES(json_object_get(again, "Messages") == NULL);
    json_decref(again);
    /* A message that was deleted ends it: the other one is in flight, so nothing comes. */
    SERVICE_DO(h, 200, SQS("DeleteMessage"), "{'QueueUrl':'%s','ReceiptHandle':'%s'}", queue_url,
               service_at(first, "Messages.0.ReceiptHandle"));
    again = attempt(h, "try-1");
    YES(json_object_get(again, "Messages") == NULL);
    json_decref(again);
    json_decref(first);
    harness_free(h);
}

TEST(an_attempt_is_over_with_the_visibility)
{
    struct harness *h = service_start(NULL);
    json_t *first, *again;
    char body[400];

    make_queue(h, "over.fifo", "'FifoQueue':'true','VisibilityTimeout':'5'");
    send_group(h, "a", "g");
    first = attempt(h, "id");
    harness_advance(h, 5000);
    again = attempt(h, "id");
    EQ_STR(service_at(again, "Messages.0.Body"), "a");
    YES(strcmp(service_at(again, "Messages.0.ReceiptHandle"),
               service_at(first, "Messages.0.ReceiptHandle")) != 0);
    json_decref(first);
    json_decref(again);
    make_queue(h, "standard", "");
    snprintf(body, sizeof(body), "{'QueueUrl':'%s','ReceiveRequestAttemptId':'x'}", queue_url);
    refused(h, SQS("ReceiveMessage"), body, SQS_INVALID_TYPE, SQS_INVALID_CODE);
    harness_free(h);
}

/* ---- in flight ---- */

/* Puts `n` messages in flight behind the service's back. */
static void fill(const char *dir, int n)
{
    char path[4200], sql[600];
    sqlite3 *db = NULL;

    snprintf(path, sizeof(path), "%s/state.db", dir);
    REQUIRE(sqlite3_open(path, &db) == SQLITE_OK);
    snprintf(sql, sizeof(sql),
             "INSERT INTO sqs_message(queue, uid, visible, sent, first, received, receives, body,"
             " attributes, system, grp, sequence) WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT"
             " x + 1 FROM c WHERE x < %d) SELECT q.id, x, 9000000000000, 9000000000000, 1, 1, 1,"
             " 'x', NULL, '{}', CASE WHEN q.name LIKE '%%.fifo' THEN 'g' END, 0"
             " FROM c, sqs_queue AS q",
             n);
    REQUIRE(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
}

TEST(a_queue_has_at_most_120000_messages_in_flight)
{
    const char *dir = kptest_dir();
    struct harness *h = service_start(dir);
    char body[400];

    make_queue(h, "line.fifo", "'FifoQueue':'true'");
    make_queue(h, "full", "");
    harness_free(h);
    fill(dir, 119999);
    h = service_start(dir);
    send_text(h, "a");
    send_text(h, "b");
    EQ_STR(receive(h, 10), "a");
    snprintf(body, sizeof(body), "{'QueueUrl':'%s'}", queue_url);
    refused_with(h, 403, SQS("ReceiveMessage"), body,
                 (const char *[]){"com.amazonaws.sqs#OverLimit", "OverLimit;Sender", NULL});
    strcpy(queue_url, "line.fifo");
    send_group(h, "1", "h");
    send_group(h, "2", "h");
    EQ_STR(receive(h, 10), "1");
    EQ_STR(receive(h, 10), ""); /* no error there */
    harness_free(h);
}

/* ---- peers that go away ---- */

TEST(a_message_is_not_handed_to_a_peer_that_has_gone)
{
    struct harness *h = service_start(NULL);
    struct harness_exchange *first, *second;

    make_queue(h, "gone", "");
    first = begin_poll(h, 20);
    second = begin_poll(h, 20);
    harness_request_drop(h, first);
    attribute(h, "QueueArn"); /* answered after the loop saw the end of that connection */
    send_text(h, "for the second");
    EQ_STR(end_poll(h, second), "for the second");
    EQ_STR(attribute(h, "ApproximateNumberOfMessagesNotVisible"), "1");
    harness_free(h);
}

TEST(with_fsync_an_answer_waits_for_the_disk_and_still_comes)
{
    char options[4400];
    struct harness_exchange *x;
    struct harness *h;

    snprintf(options, sizeof(options), "{ dir = '%s', durability = 'fsync' }", kptest_dir());
    h = harness_new("local-aws", KP_SERVICE, options);
    harness_start(h);
    make_queue(h, "durable", "");
    x = begin_poll(h, 20);
    send_text(h, "kept");
    EQ_STR(end_poll(h, x), "kept");
    EQ_STR(attribute(h, "ApproximateNumberOfMessagesNotVisible"), "1");
    YES(harness_counter(h, "state_commits") >= 2);
    x = begin_poll(h, 20); /* and one that is open at the end */
    harness_stop(h);
    NO(harness_request_answered(x));
    harness_free(h);
}

/* ---- message move tasks ---- */

/* A dead-letter queue with three messages that came from "source", which is empty. */
static struct harness *start_with_dead_letters(void)
{
    struct harness *h = service_start(NULL);

    make_queue(h, "dead", "");
    make_queue(h, "source",
               "'VisibilityTimeout':'1','RedrivePolicy':'{\\\"deadLetterTargetArn\\\":\\\"" ARN
               "dead\\\",\\\"maxReceiveCount\\\":1}'");
    send_text(h, "1");
    send_text(h, "2");
    send_text(h, "3");
    EQ_STR(receive(h, 10), "1 2 3");
    harness_advance(h, 1000);
    EQ_STR(receive(h, 10), "");
    return h;
}

static json_t *list_moves(struct harness *h)
{
    return service_ask(h, 200, SQS("ListMessageMoveTasks"), "{'SourceArn':'" ARN "dead'}");
}

static void is_status(struct harness *h, const char *status, const char *moved)
{
    json_t *out = list_moves(h);

    EQ_STR(service_at(out, "Results.0.Status"), status);
    EQ_STR(service_at(out, "Results.0.ApproximateNumberOfMessagesMoved"), moved);
    EQ_STR(service_at(out, "Results.0.ApproximateNumberOfMessagesToMove"), "3");
    YES((service_at(out, "Results.0.TaskHandle")[0] != '\0') == (strcmp(status, "RUNNING") == 0));
    json_decref(out);
}

TEST(dead_letters_go_back_to_where_they_came_from)
{
    struct harness *h = start_with_dead_letters();
    json_t *out;

    SERVICE_DO(h, 200, SQS("StartMessageMoveTask"), "{'SourceArn':'" ARN "dead'}");
    harness_advance(h, 0);
    is_status(h, "COMPLETED", "3");
    out = service_ask(h, 200, SQS("ReceiveMessage"),
                      "{'QueueUrl':'%s','MaxNumberOfMessages':10,'AttributeNames':['All']}",
                      queue_url);
    EQ_INT(json_array_size(json_object_get(out, "Messages")), 3);
    EQ_STR(service_at(out, "Messages.0.Attributes.ApproximateReceiveCount"), "1"); /* it is new */
    EQ_STR(service_at(out, "Messages.0.Attributes.DeadLetterQueueSourceArn"), "");
    json_decref(out);
    harness_free(h);
}

TEST(a_move_with_a_limit_takes_its_time_and_can_be_cancelled)
{
    struct harness *h = start_with_dead_letters();
    json_t *out;
    char handle[600];

    make_queue(h, "other", "");
    out = service_ask(h, 200, SQS("StartMessageMoveTask"),
                      "{'SourceArn':'" ARN "dead','DestinationArn':'" ARN
                      "other','MaxNumberOfMessagesPerSecond':1}");
    snprintf(handle, sizeof(handle), "%s", service_at(out, "TaskHandle"));
    json_decref(out);
    is_status(h, "RUNNING", "0");
    out = service_ask(h, 400, SQS("StartMessageMoveTask"), "{'SourceArn':'" ARN "dead'}");
    EQ_STR(service_at(out, "message"),
           "There is already a task running. Only one active task is allowed for a source queue "
           "arn at a given time.");
    json_decref(out);
    harness_advance(h, 2000);
    is_status(h, "RUNNING", "2");
    out = service_ask(h, 200, SQS("CancelMessageMoveTask"), "{'TaskHandle':'%s'}", handle);
    EQ_STR(service_at(out, "ApproximateNumberOfMessagesMoved"), "2");
    json_decref(out);
    harness_advance(h, 2000);
    is_status(h, "CANCELLED", "2");
    EQ_STR(receive(h, 10), "1 2");
    out = service_ask(h, 404, SQS("CancelMessageMoveTask"), "{'TaskHandle':'%s'}", handle);
    EQ_STR(service_at(out, "message"), "Task does not exist.");
    json_decref(out);
    harness_free(h);
}

TEST(a_move_ends_when_its_destination_is_deleted)
{
    struct harness *h = start_with_dead_letters();
    json_t *out;

    make_queue(h, "other", "");
    SERVICE_DO(h, 200, SQS("StartMessageMoveTask"),
               "{'SourceArn':'" ARN "dead','DestinationArn':'" ARN
               "other','MaxNumberOfMessagesPerSecond':1}");
    harness_advance(h, 1000);
    SERVICE_DO(h, 200, SQS("DeleteQueue"), "{'QueueUrl':'%s'}", queue_url);
    harness_advance(h, 1000);
    is_status(h, "FAILED", "1");
    out = list_moves(h);
    EQ_STR(service_at(out, "Results.0.FailureReason"), "AWS.SimpleQueueService.NonExistentQueue");
    json_decref(out);
    harness_free(h);
}

TEST(a_move_goes_on_after_a_restart)
{
    const char *dir = kptest_dir();
    struct harness *h = service_start(dir);

    make_queue(h, "dead", "");
    make_queue(h, "source",
               "'RedrivePolicy':'{\\\"deadLetterTargetArn\\\":\\\"" ARN
               "dead\\\",\\\"maxReceiveCount\\\":1}'");
    strcpy(queue_url, "dead");
    send_text(h, "1");
    send_text(h, "2");
    SERVICE_DO(h, 200, SQS("StartMessageMoveTask"),
               "{'SourceArn':'" ARN "dead','DestinationArn':'" ARN
               "source','MaxNumberOfMessagesPerSecond':1}");
    harness_advance(h, 1000);
    harness_free(h);
    h = service_start(dir);
    harness_advance(h, 1000);
    strcpy(queue_url, "source");
    EQ_STR(receive(h, 10), "1 2");
    harness_free(h);
}

static void not_moved(struct harness *h, int status, const char *operation, const char *body,
                      const char *text)
{
    char target[100];
    json_t *out;

    snprintf(target, sizeof(target), "AmazonSQS.%s", operation);
    out = service_ask(h, status, target, "%s", body);
    EQ_STR(service_at(out, "message"), text);
    json_decref(out);
}

TEST(moves_that_cannot_be_are_refused)
{
    struct harness *h = start_with_dead_letters();

    not_moved(h, 400, "StartMessageMoveTask", "{'SourceArn':'" ARN "source'}",
              "Source queue must be configured as a Dead Letter Queue.");
    not_moved(h, 404, "StartMessageMoveTask", "{'SourceArn':'" ARN "none'}",
              "The resource that you specified for the SourceArn parameter doesn't exist.");
    not_moved(h, 404, "StartMessageMoveTask",
              "{'SourceArn':'" ARN "dead','DestinationArn':'" ARN "none'}",
              "The resource that you specified for the DestinationArn parameter doesn't exist.");
    not_moved(h, 400, "CancelMessageMoveTask", "{'TaskHandle':'rubbish'}",
              "Value for parameter TaskHandle is invalid.");
    not_moved(h, 400, "StartMessageMoveTask",
              "{'SourceArn':'" ARN "dead','MaxNumberOfMessagesPerSecond':501}",
              "Value 501 for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: Must be "
              "between 1 and 500, if provided.");
    harness_free(h);
}

TEST(the_query_protocol_lists_moves_flat)
{
    struct harness *h = start_with_dead_letters();
    const char *xml;

    query(h, 200, "/",
          "Action=StartMessageMoveTask&Version=2012-11-05&SourceArn=arn%3Aaws%3Asqs%3Aus-east-1%3A"
          "000000000000%3Adead&MaxNumberOfMessagesPerSecond=5");
    xml = query(h, 200, "/",
                "Action=ListMessageMoveTasks&Version=2012-11-05&SourceArn=arn%3Aaws%3Asqs%3A"
                "us-east-1%3A000000000000%3Adead");
    YES(strstr(xml, "<ListMessageMoveTasksResult><ListMessageMoveTasksResultEntry>") != NULL);
    YES(strstr(xml, "<Status>RUNNING</Status>") != NULL);
    YES(strstr(xml, "<MaxNumberOfMessagesPerSecond>5</MaxNumberOfMessagesPerSecond>") != NULL);
    harness_free(h);
}

/* ---- sizes ---- */

TEST(messages_and_batches_have_their_largest_size)
{
    struct harness *h = service_start(NULL);
    char *body = calloc(1, 1100000);
    json_t *out;
    size_t n;

    make_queue(h, "size", "'MaximumMessageSize':'1024'");
    n = (size_t)sprintf(body, "{'QueueUrl':'%s','MessageBody':'", queue_url);
    memset(body + n, 'x', 1020);
    strcpy(body + n + 1020, "','MessageAttributes':{'a':{'DataType':'String',"
                            "'StringValue':'v'}}}"); /* 1 + 6 + 1 more bytes */
    invalid(h, SQS("SendMessage"), body,
            "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes.");
    make_queue(h, "batch", "");
    n = (size_t)sprintf(body,
                        "{'QueueUrl':'%s','Entries':[{'Id':'1','MessageBody':'b'},"
                        "{'Id':'2','MessageBody':'",
                        queue_url);
    memset(body + n, 'x', 1048576);
    strcpy(body + n + 1048576, "'}]}");
    out = service_ask(h, 400, SQS("SendMessageBatch"), "%s", body);
    EQ_STR(service_at(out, "__type"), "com.amazonaws.sqs#BatchRequestTooLong");
    EQ_STR(service_at(out, "message"),
           "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.");
    json_decref(out);
    free(body);
    harness_free(h);
}

TEST(a_body_with_characters_no_message_has_is_refused)
{
    struct harness *h = service_start(NULL);
    char body[500];

    make_queue(h, "text", "");
    snprintf(body, sizeof(body), "{'QueueUrl':'%s','MessageBody':'a\\u0000b'}", queue_url);
    refused(h, SQS("SendMessage"), body, "com.amazonaws.sqs#InvalidMessageContents",
            "InvalidMessageContents;Sender");
    snprintf(body, sizeof(body), "{'QueueUrl':'%s','MessageBody':'a\\u0001b'}", queue_url);
    refused(h, SQS("SendMessage"), body, "com.amazonaws.sqs#InvalidMessageContents",
            "InvalidMessageContents;Sender");
    snprintf(body, sizeof(body),
             "{'QueueUrl':'%s','MessageBody':'a','MessageSystemAttributes':{'Other':"
             "{'DataType':'String','StringValue':'x'}}}",
             queue_url);
    refused(h, SQS("SendMessage"), body, SQS_INVALID_TYPE, SQS_INVALID_CODE);
    harness_free(h);
}

TEST(a_trace_header_has_a_digest_of_its_own)
{
    struct harness *h = service_start(NULL);
    json_t *trace = json_pack("{s:{s:s,s:s}}", "AWSTraceHeader", "DataType", "String",
                              "StringValue", "Root=1-5759e988-bd862e3fe1be46a994272793");
    char md5[SQS_MD5_MAX];
    json_t *out;

    make_queue(h, "traced", "");
    out = service_ask(h, 200, SQS("SendMessage"),
                      "{'QueueUrl':'%s','MessageBody':'m','MessageSystemAttributes':{"
                      "'AWSTraceHeader':{'DataType':'String','StringValue':"
                      "'Root=1-5759e988-bd862e3fe1be46a994272793'}}}",
                      queue_url);
    sqs_md5_attributes(trace, md5);
    EQ_STR(service_at(out, "MD5OfMessageSystemAttributes"), md5);
    EQ_STR(service_at(out, "MD5OfMessageAttributes"), "");
    json_decref(out);
    out = service_ask(h, 200, SQS("ReceiveMessage"),
                      "{'QueueUrl':'%s','MessageSystemAttributeNames':['AWSTraceHeader']}",
                      queue_url);
    EQ_STR(service_at(out, "Messages.0.Attributes.AWSTraceHeader"),
           "Root=1-5759e988-bd862e3fe1be46a994272793");
    json_decref(out);
    json_decref(trace);
    harness_free(h);
}
