"""sdk.py URL first|again - the local AWS with boto3, a little of each service.

`first` leaves things behind; `again` looks for them after a restart.
"""

import hashlib
import io
import sys
import threading
import time

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from checks import CONFIG, URL, check, client, main, refused


def read_stream(name, count):
    """All records of a stream, by shard."""
    kinesis = client("kinesis")
    out = []
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            answer = kinesis.get_records(ShardIterator=iterator, Limit=1000)
            out += answer["Records"]
            if answer["MillisBehindLatest"] == 0:
                break
            iterator = answer.get("NextShardIterator")
    assert len(out) == count, len(out)
    return out


@check("first")
def kinesis_batch():
    "kinesis: 500 records come back once each, in order of their shard"
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName="trips", ShardCount=2)
    kinesis.get_waiter("stream_exists").wait(StreamName="trips")
    entries = [{"Data": b"record %d" % i, "PartitionKey": str(i)} for i in range(500)]
    answer = kinesis.put_records(StreamName="trips", Records=entries)
    assert answer["FailedRecordCount"] == 0
    assert len({r["ShardId"] for r in answer["Records"]}) == 2
    got = read_stream("trips", 500)
    assert sorted(r["Data"] for r in got) == sorted(e["Data"] for e in entries)


@check("first")
def s3_object():
    "s3: an object with metadata, a range of it, conditional reads and writes"
    s3 = client("s3")
    s3.create_bucket(Bucket="depot")
    put = s3.put_object(
        Bucket="depot", Key="a b/ü+1.txt", Body=b"0123456789", Metadata={"colour": "blue"}
    )
    assert put["ETag"] == '"%s"' % hashlib.md5(b"0123456789").hexdigest()
    got = s3.get_object(Bucket="depot", Key="a b/ü+1.txt", Range="bytes=2-4")
    assert got["Body"].read() == b"234" and got["Metadata"] == {"colour": "blue"}
    refused("304", s3.get_object, Bucket="depot", Key="a b/ü+1.txt", IfNoneMatch=put["ETag"])
    refused("412", s3.head_object, Bucket="depot", Key="a b/ü+1.txt", IfMatch='"0"')
    refused("NoSuchKey", s3.get_object, Bucket="depot", Key="none")
    refused("404", s3.head_object, Bucket="depot", Key="none")


@check("first")
def s3_listing():
    "s3: a listing with delimiter in pages, and many objects deleted at once"
    s3 = client("s3")
    s3.create_bucket(Bucket="list")
    for i in range(25):
        s3.put_object(Bucket="list", Key="d%d/x y" % (i // 5), Body=b"%d" % i)
        s3.put_object(Bucket="list", Key="k%02d" % i, Body=b"%d" % i)
    keys, prefixes = [], []
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket="list", Delimiter="/", PaginationConfig={"PageSize": 7}
    )
    for page in pages:
        keys += [o["Key"] for o in page.get("Contents", [])]
        prefixes += [p["Prefix"] for p in page.get("CommonPrefixes", [])]
    assert keys == ["k%02d" % i for i in range(25)], keys
    assert prefixes == ["d%d/" % i for i in range(5)], prefixes
    names = [{"Key": key} for key in keys]
    answer = s3.delete_objects(Bucket="list", Delete={"Objects": names})
    assert len(answer["Deleted"]) == 25 and "Errors" not in answer
    assert s3.list_objects_v2(Bucket="list")["KeyCount"] == 5
    refused("BucketNotEmpty", s3.delete_bucket, Bucket="list")


@check("first")
def s3_multipart():
    "s3: 20 MB in parts of 5 MiB, put in parallel, come back whole"
    s3 = client("s3")
    data = hashlib.sha256(b"seed").digest() * 625000
    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    s3.upload_fileobj(io.BytesIO(data), "depot", "big", Config=config)
    assert s3.head_object(Bucket="depot", Key="big")["ETag"].endswith('-4"')
    out = io.BytesIO()
    s3.download_fileobj("depot", "big", out, Config=config)
    assert out.getvalue() == data
    upload = s3.create_multipart_upload(Bucket="depot", Key="never")["UploadId"]
    s3.upload_part(Bucket="depot", Key="never", UploadId=upload, PartNumber=1, Body=b"x")
    assert s3.list_multipart_uploads(Bucket="depot")["Uploads"][0]["UploadId"] == upload
    s3.abort_multipart_upload(Bucket="depot", Key="never", UploadId=upload)
    refused("NoSuchUpload", s3.list_parts, Bucket="depot", Key="never", UploadId=upload)


@check("first")
def s3_presigned():
    "s3: a presigned URL is enough, a changed one is not"
    import urllib.error
    import urllib.request

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    signing = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    s3 = boto3.client("s3", endpoint_url=URL, config=signing)
    url = s3.generate_presigned_url(
        "get_object", Params={"Bucket": "depot", "Key": "a b/ü+1.txt"}, ExpiresIn=60
    )
    with opener.open(url) as answer:
        assert answer.read() == b"0123456789"
    try:
        opener.open(url[:-1] + ("0" if url[-1] != "0" else "1"))
    except urllib.error.HTTPError as error:
        assert error.code == 403, error
        error.close()
        return
    raise AssertionError("the changed URL was accepted")


@check("first")
def sqs_attributes():
    "sqs: a message with attributes, its visibility, and its end"
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="jobs", Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    attributes = {
        "kind": {"DataType": "String", "StringValue": "tést"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\0\1\2"},
    }
    sent = sqs.send_message(QueueUrl=url, MessageBody="<ü & x>", MessageAttributes=attributes)
    message = sqs.receive_message(
        QueueUrl=url, AttributeNames=["All"], MessageAttributeNames=["All"]
    )["Messages"][0]
    assert message["Body"] == "<ü & x>" and message["MessageId"] == sent["MessageId"]
    assert message["MessageAttributes"]["raw"]["BinaryValue"] == b"\0\1\2"
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    handle = message["ReceiptHandle"]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    again = sqs.receive_message(QueueUrl=url)["Messages"][0]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])


@check("first")
def sqs_long_poll():
    "sqs: a long poll ends when a message is sent"
    url = client("sqs").create_queue(QueueName="poll")["QueueUrl"]
    got = []

    def poll():
        answer = client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=20)
        got.append((time.monotonic(), answer.get("Messages", [])))

    thread = threading.Thread(target=poll)
    start = time.monotonic()
    thread.start()
    client("sqs").send_message(QueueUrl=url, MessageBody="now")
    thread.join()
    assert got[0][1][0]["Body"] == "now"
    assert got[0][0] - start < 15


@check("first")
def sqs_batches():
    "sqs: batches of ten, and a FIFO queue in order"
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="many")["QueueUrl"]
    entries = [{"Id": str(i), "MessageBody": "m%d" % i} for i in range(10)]
    assert len(sqs.send_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 10
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert sorted(m["Body"] for m in messages) == sorted(e["MessageBody"] for e in entries)
    handles = [{"Id": m["MessageId"], "ReceiptHandle": m["ReceiptHandle"]} for m in messages]
    assert len(sqs.delete_message_batch(QueueUrl=url, Entries=handles)["Successful"]) == 10
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    url = sqs.create_queue(QueueName="line.fifo", Attributes=attributes)["QueueUrl"]
    for body in ("1", "2", "2", "3"):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g")
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [m["Body"] for m in messages] == ["1", "2", "3"]
    refused(
        "AWS.SimpleQueueService.NonExistentQueue",
        sqs.send_message,
        QueueUrl=URL + "/000000000000/none",
        MessageBody="x",
    )


@check("first")
def dynamodb_leases():
    "dynamodb: a lease is created once, renewed on its counter and found by its owner"
    dynamodb = client("dynamodb")
    dynamodb.create_table(
        TableName="app",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "leaseKey", "AttributeType": "S"},
            {"AttributeName": "leaseOwner", "AttributeType": "S"},
        ],
        KeySchema=[{"AttributeName": "leaseKey", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "LeaseOwnerToLeaseKeyIndex",
                "KeySchema": [
                    {"AttributeName": "leaseOwner", "KeyType": "HASH"},
                    {"AttributeName": "leaseKey", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    dynamodb.get_waiter("table_exists").wait(TableName="app")
    item = {
        "leaseKey": {"S": "shardId-0"},
        "leaseCounter": {"N": "0"},
        "checkpoint": {"S": "TRIM_HORIZON"},
    }
    create = {"TableName": "app", "Item": item, "Expected": {"leaseKey": {"Exists": False}}}
    dynamodb.put_item(**create)
    refused("ConditionalCheckFailedException", dynamodb.put_item, **create)
    renew = {
        "TableName": "app",
        "Key": {"leaseKey": {"S": "shardId-0"}},
        "UpdateExpression": "SET leaseCounter = :new, leaseOwner = :me",
        "ConditionExpression": "leaseCounter = :old",
        "ExpressionAttributeValues": {":old": {"N": "0"}, ":new": {"N": "1"}, ":me": {"S": "w"}},
    }
    dynamodb.update_item(**renew)
    refused("ConditionalCheckFailedException", dynamodb.update_item, **renew)
    found = dynamodb.query(
        TableName="app",
        IndexName="LeaseOwnerToLeaseKeyIndex",
        KeyConditionExpression="leaseOwner = :o",
        ExpressionAttributeValues={":o": {"S": "w"}},
    )
    assert found["Items"] == [{"leaseKey": {"S": "shardId-0"}, "leaseOwner": {"S": "w"}}]


@check("first")
def dynamodb_resource():
    "dynamodb: the types of the resource interface make the round trip"
    from decimal import Decimal

    table = boto3.resource("dynamodb", endpoint_url=URL, config=CONFIG).Table("app")
    item = {
        "leaseKey": "types",
        "n": Decimal("1.5E+10"),
        "s": {"a", "b"},
        "b": b"\0\xff",
        "l": [1, None, True, {"m": "x"}],
    }
    table.put_item(Item=item)
    got = table.get_item(Key={"leaseKey": "types"})["Item"]
    got["b"] = got["b"].value
    assert got == item, got


@check("again")
def kept_kinesis():
    "kinesis: the records are there after a restart"
    assert len(read_stream("trips", 500)) == 500


@check("again")
def kept_s3():
    "s3: the objects are there after a restart"
    s3 = client("s3")
    assert s3.get_object(Bucket="depot", Key="a b/ü+1.txt")["Body"].read() == b"0123456789"
    assert s3.head_object(Bucket="depot", Key="big")["ContentLength"] == 20000000


@check("again")
def kept_sqs():
    "sqs: queues and what they know are there after a restart"
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName="jobs")["QueueUrl"]
    assert url.startswith(URL), url
    sqs.send_message(QueueUrl=url, MessageBody="x")
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "x"


@check("again")
def kept_dynamodb():
    "dynamodb: the lease is there after a restart"
    dynamodb = client("dynamodb")
    item = dynamodb.get_item(TableName="app", Key={"leaseKey": {"S": "shardId-0"}})["Item"]
    assert item["leaseCounter"] == {"N": "1"}


sys.exit(main())
