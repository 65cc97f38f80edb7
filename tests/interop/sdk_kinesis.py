"""sdk_kinesis.py URL first|again - Kinesis with boto3, as far as the installed one knows it: the shards'
life, settings, consumers, and subscriptions over HTTP/1.1, which botocore reads strictly.
"""

import sys
import threading

from checks import check, client, main, refused

kinesis = client("kinesis")
ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/"


def active(name):
    kinesis.get_waiter("stream_exists").wait(StreamName=name)
    return kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]


def create(name, shards=1):
    kinesis.create_stream(StreamName=name, ShardCount=shards)
    return active(name)


def register(stream, name):
    consumer = kinesis.register_stream_consumer(StreamARN=ARN + stream, ConsumerName=name)["Consumer"]
    arn = consumer["ConsumerARN"]
    while describe(arn)["ConsumerStatus"] != "ACTIVE":
        pass
    return arn


def describe(arn):
    return kinesis.describe_stream_consumer(ConsumerARN=arn)["ConsumerDescription"]


@check("first")
def shards():
    "kinesis: a shard is split, and the end of it names its children"
    create("py-cut")
    kinesis.put_record(StreamName="py-cut", Data=b"x", PartitionKey="k")
    kinesis.split_shard(
        StreamName="py-cut", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(1 << 127)
    )
    active("py-cut")
    iterator = kinesis.get_shard_iterator(
        StreamName="py-cut", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = []
    while iterator:
        answer = kinesis.get_records(ShardIterator=iterator)
        records += answer["Records"]
        iterator = answer.get("NextShardIterator")
    assert [r["Data"] for r in records] == [b"x"]
    assert [c["ShardId"] for c in answer["ChildShards"]] == [
        "shardId-000000000001",
        "shardId-000000000002",
    ]
    kinesis.merge_shards(
        StreamName="py-cut",
        ShardToMerge="shardId-000000000001",
        AdjacentShardToMerge="shardId-000000000002",
    )
    assert active("py-cut")["OpenShardCount"] == 1
    answer = kinesis.update_shard_count(
        StreamName="py-cut", TargetShardCount=2, ScalingType="UNIFORM_SCALING"
    )
    assert (answer["CurrentShardCount"], answer["TargetShardCount"]) == (1, 2)
    assert active("py-cut")["OpenShardCount"] == 2
    page = kinesis.list_shards(StreamName="py-cut", MaxResults=2)
    rest = kinesis.list_shards(NextToken=page["NextToken"])
    assert len(page["Shards"]) == 2 and len(rest["Shards"]) == 4


@check("first")
def settings():
    "kinesis: retention, encryption, monitoring, tags and mode"
    create("py-set")
    key = {"StreamName": "py-set", "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
    kinesis.increase_stream_retention_period(StreamName="py-set", RetentionPeriodHours=48)
    assert active("py-set")["RetentionPeriodHours"] == 48
    kinesis.start_stream_encryption(**key)
    assert active("py-set")["KeyId"] == "alias/aws/kinesis"
    kinesis.stop_stream_encryption(**key)
    assert active("py-set")["EncryptionType"] == "NONE"
    metrics = kinesis.enable_enhanced_monitoring(StreamName="py-set", ShardLevelMetrics=["ALL"])
    assert len(metrics["DesiredShardLevelMetrics"]) == 7
    active("py-set")
    kinesis.add_tags_to_stream(StreamName="py-set", Tags={"b": "2", "a": "1"})
    tags = kinesis.list_tags_for_stream(StreamName="py-set")["Tags"]
    assert tags == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    mode = {"StreamMode": "ON_DEMAND"}
    kinesis.update_stream_mode(StreamARN=ARN + "py-set", StreamModeDetails=mode)
    assert active("py-set")["StreamModeDetails"] == mode


@check("first")
def refusals():
    "kinesis: errors have their codes"
    refused("ResourceNotFoundException", kinesis.describe_stream, StreamName="none")
    refused("ResourceInUseException", kinesis.create_stream, StreamName="py-set", ShardCount=1)
    refused("ValidationException", kinesis.describe_stream, StreamName="py-set", Limit=10001)
    refused("InvalidArgumentException", kinesis.get_records, ShardIterator="x")
    refused(
        "ResourceNotFoundException",
        kinesis.describe_stream_consumer,
        StreamARN=ARN + "py-set",
        ConsumerName="nobody",
    )


@check("first")
def subscription():
    "kinesis: a subscription over HTTP/1.1 brings what is there and what comes"
    create("py-pushed")
    put = {"StreamName": "py-pushed", "PartitionKey": "k"}
    kinesis.put_record(Data=b"there", **put)
    arn = register("py-pushed", "one")
    subscribe = {"ConsumerARN": arn, "ShardId": "shardId-000000000000"}
    start = {"Type": "TRIM_HORIZON"}
    stream = kinesis.subscribe_to_shard(StartingPosition=start, **subscribe)["EventStream"]
    got = []
    for event in stream:
        records = event["SubscribeToShardEvent"]["Records"]
        if records and not got:
            refused(
                "ResourceInUseException",
                client("kinesis").subscribe_to_shard,
                StartingPosition=start,
                **subscribe
            )
            threading.Thread(target=lambda: client("kinesis").put_record(Data=b"comes", **put)).start()
        got += [r["Data"] for r in records]
        assert event["SubscribeToShardEvent"]["ContinuationSequenceNumber"]
        if len(got) == 2:
            break
    stream.close()
    assert got == [b"there", b"comes"], got


@check("again")
def kept():
    "kinesis: settings and consumers are there after a restart"
    summary = active("py-set")
    assert summary["RetentionPeriodHours"] == 48
    assert summary["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    consumers = kinesis.list_stream_consumers(StreamARN=ARN + "py-pushed")["Consumers"]
    assert [(c["ConsumerName"], c["ConsumerStatus"]) for c in consumers] == [("one", "ACTIVE")]


sys.exit(main())
