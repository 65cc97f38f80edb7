"""sdk_sqs.py URL first|again - SQS with boto3, as far as the installed one knows it and in the protocol it
speaks: queues, batches, FIFO queues, dead letters and moves.
"""

import json
import sys
import threading
import time

from checks import check, client, main, refused

sqs = client("sqs")
ARN = "arn:aws:sqs:us-east-1:000000000000:"


def make_queue(name, **attributes):
    return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]


def bodies(url, **more):
    answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, **more)
    return [message["Body"] for message in answer.get("Messages", [])]


def attributes(url, *names):
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names) or ["All"])
    return answer.get("Attributes", {})


@check("first")
def queues():
    "sqs: queues are made, found, listed in pages, tagged and deleted"
    urls = [make_queue("py-list-%d" % i) for i in range(5)]
    assert sqs.get_queue_url(QueueName="py-list-3")["QueueUrl"] == urls[3]
    pages = sqs.get_paginator("list_queues").paginate(
        QueueNamePrefix="py-list-", PaginationConfig={"PageSize": 2}
    )
    assert [url for page in pages for url in page.get("QueueUrls", [])] == urls
    sqs.tag_queue(QueueUrl=urls[0], Tags={"a": "1", "b": "2"})
    sqs.untag_queue(QueueUrl=urls[0], TagKeys=["a"])
    assert sqs.list_queue_tags(QueueUrl=urls[0])["Tags"] == {"b": "2"}
    sqs.delete_queue(QueueUrl=urls[4])
    error = refused("AWS.SimpleQueueService.NonExistentQueue", sqs.get_queue_url, QueueName="py-list-4")
    if sqs.meta.service_model.metadata["protocol"] == "json":
        assert error["Error"]["QueryErrorCode"] == "QueueDoesNotExist", error
        assert error["Error"]["Message"] == "The specified queue does not exist.", error


@check("first")
def settings():
    "sqs: attributes are set, defaults are answered, and permissions make a policy"
    url = make_queue("py-set", VisibilityTimeout="7")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "0", "MaximumMessageSize": "2048"})
    got = attributes(url)
    assert got["VisibilityTimeout"] == "7" and got["MaximumMessageSize"] == "2048", got
    assert got["MessageRetentionPeriod"] == "345600" and got["QueueArn"] == ARN + "py-set", got
    sqs.add_permission(
        QueueUrl=url, Label="one", AWSAccountIds=["111111111111"], Actions=["SendMessage"]
    )
    policy = json.loads(attributes(url, "Policy")["Policy"])
    assert policy["Statement"][0]["Action"] == "SQS:SendMessage", policy
    sqs.remove_permission(QueueUrl=url, Label="one")
    assert attributes(url, "Policy") == {}
    refused("QueueAlreadyExists", sqs.create_queue, QueueName="py-set", Attributes={"DelaySeconds": "5"})
    refused("InvalidAttributeName", sqs.set_queue_attributes, QueueUrl=url, Attributes={"X": "1"})


@check("first")
def batch_failures():
    "sqs: batches answer entry by entry, and are refused whole where they must be"
    url = make_queue("py-batch")
    answer = sqs.send_message_batch(
        QueueUrl=url,
        Entries=[
            {"Id": "good", "MessageBody": "1"},
            {"Id": "bad", "MessageBody": "2", "DelaySeconds": 901},
        ],
    )
    assert [e["Id"] for e in answer["Successful"]] == ["good"], answer
    assert answer["Failed"][0]["Code"] == "InvalidParameterValue", answer
    message = sqs.receive_message(QueueUrl=url)["Messages"][0]
    answer = sqs.change_message_visibility_batch(
        QueueUrl=url,
        Entries=[
            {"Id": "a", "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0},
            {"Id": "b", "ReceiptHandle": "rubbish", "VisibilityTimeout": 0},
        ],
    )
    assert answer["Failed"][0]["Code"] == "ReceiptHandleIsInvalid", answer
    assert bodies(url) == ["1"]
    refused("AWS.SimpleQueueService.EmptyBatchRequest", sqs.send_message_batch, QueueUrl=url, Entries=[])
    many = [{"Id": str(i), "MessageBody": "x"} for i in range(11)]
    refused(
        "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        sqs.send_message_batch,
        QueueUrl=url,
        Entries=many,
    )
    sqs.purge_queue(QueueUrl=url)
    assert attributes(url, "ApproximateNumberOfMessages")["ApproximateNumberOfMessages"] == "0"


@check("first")
def fifo():
    "sqs: a FIFO queue keeps the order of its groups and takes a message once"
    url = make_queue("py-order.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    for body, group in (("a1", "a"), ("b1", "b"), ("a2", "a"), ("a1", "a")):
        sent = sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group)
        assert len(sent["SequenceNumber"]) == 20, sent
    answer = sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        AttributeNames=["All"],
        ReceiveRequestAttemptId="try-1",
    )
    assert [m["Body"] for m in answer["Messages"]] == ["a1", "a2", "b1"], answer
    assert answer["Messages"][0]["Attributes"]["MessageGroupId"] == "a", answer
    again = sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        AttributeNames=["All"],
        ReceiveRequestAttemptId="try-1",
    )
    assert again["Messages"] == answer["Messages"], again
    entries = [
        {"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(answer["Messages"])
    ]
    assert len(sqs.delete_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 3
    refused("MissingParameter", sqs.send_message, QueueUrl=url, MessageBody="x")


@check("first")
def dead_letters():
    "sqs: a message that is received too often is a dead letter, and is moved back"
    dead = make_queue("py-dead")
    policy = json.dumps({"deadLetterTargetArn": ARN + "py-dead", "maxReceiveCount": 1})
    source = make_queue("py-source", VisibilityTimeout="0", RedrivePolicy=policy)
    sqs.send_message(QueueUrl=source, MessageBody="bad")
    assert bodies(source) == ["bad"]
    assert bodies(source) == []
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [source]
    if not hasattr(sqs, "start_message_move_task"):
        return
    sqs.start_message_move_task(SourceArn=ARN + "py-dead")
    deadline = time.monotonic() + 10
    moved = {}
    while moved.get("Status") != "COMPLETED":
        assert time.monotonic() < deadline, moved
        moved = sqs.list_message_move_tasks(SourceArn=ARN + "py-dead")["Results"][0]
    assert moved["ApproximateNumberOfMessagesMoved"] == 1, moved
    assert bodies(source) == ["bad"]
    error = refused("ResourceNotFoundException", sqs.cancel_message_move_task, TaskHandle=handle())
    assert error["Error"]["Message"] == "Task does not exist.", error


def handle():
    """The handle of a move that is over by the time it is used: its source has nothing to move."""
    return sqs.start_message_move_task(
        SourceArn=ARN + "py-dead", DestinationArn=ARN + "py-source"
    )["TaskHandle"]


@check("first")
def pollers():
    "sqs: long polls get one message each"
    url = make_queue("py-polls")
    got = []

    def poll():
        mine = client("sqs")
        got.append(mine.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"][0]["Body"])

    threads = [threading.Thread(target=poll) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i in range(4):
        sqs.send_message(QueueUrl=url, MessageBody=str(i))
    for thread in threads:
        thread.join()
    assert sorted(got) == ["0", "1", "2", "3"], got


@check("again")
def kept():
    "sqs: queues, their attributes and messages are there after a restart"
    url = sqs.get_queue_url(QueueName="py-set")["QueueUrl"]
    assert attributes(url)["MaximumMessageSize"] == "2048"
    assert attributes(sqs.get_queue_url(QueueName="py-order.fifo")["QueueUrl"])["FifoQueue"] == "true"


sys.exit(main())
