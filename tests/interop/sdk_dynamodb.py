"""sdk_dynamodb.py URL first|again - DynamoDB with boto3, as far as the installed one knows it: tables and
their indexes, every kind of item call, and what the Kinesis Client Library and its lock client send.
"""

import sys
import threading
from decimal import Decimal

import boto3
from checks import CONFIG, URL, check, client, main, refused

dynamodb = client("dynamodb")
KEY = [{"AttributeName": "leaseKey", "KeyType": "HASH"}]
OWNER_INDEX = "LeaseOwnerToLeaseKeyIndex"


def text(value):
    return {"S": value}


def number(value):
    return {"N": str(value)}


def known(operation, **arguments):
    """The arguments that the installed boto3 has for the operation."""
    members = dynamodb.meta.service_model.operation_model(operation).input_shape.members
    return {name: value for name, value in arguments.items() if name in members}


def make_table(name, **more):
    dynamodb.create_table(
        **{
            "TableName": name,
            "AttributeDefinitions": [{"AttributeName": "leaseKey", "AttributeType": "S"}],
            "KeySchema": KEY,
            "BillingMode": "PAY_PER_REQUEST",
            **more,
        }
    )
    dynamodb.get_waiter("table_exists").wait(TableName=name)


def lease(key):
    return dynamodb.get_item(TableName="py-leases", Key={"leaseKey": text(key)})["Item"]


@check("first")
def client_library():
    "dynamodb: the lease writes of the Kinesis Client Library 1 and 2, each with its condition"
    make_table("py-leases")
    item = {
        "leaseKey": text("shardId-0"),
        "leaseCounter": number(0),
        "ownerSwitchesSinceCheckpoint": number(0),
        "checkpoint": text("TRIM_HORIZON"),
        "checkpointSubSequenceNumber": number(0),
        "parentShardId": {"SS": ["p2", "p1"]},
    }
    create = {
        "TableName": "py-leases",
        "Item": item,
        "Expected": {"leaseKey": {"Exists": False}},
    }
    dynamodb.put_item(**create)
    refused("ConditionalCheckFailedException", dynamodb.put_item, **create)
    key = {"TableName": "py-leases", "Key": {"leaseKey": text("shardId-0")}}
    take = {
        "Expected": {"leaseCounter": {"Value": number(0)}},
        "AttributeUpdates": {
            "leaseOwner": {"Action": "PUT", "Value": text("worker-1")},
            "leaseCounter": {"Action": "PUT", "Value": number(1)},
            "ownerSwitchesSinceCheckpoint": {"Action": "ADD", "Value": number(1)},
            "checkpointOwner": {"Action": "DELETE"},
        },
    }
    dynamodb.update_item(**key, **take)
    refused("ConditionalCheckFailedException", dynamodb.update_item, **key, **take)
    dynamodb.update_item(
        **key,
        Expected={
            "leaseCounter": {"Value": number(1)},
            "checkpoint": {
                "ComparisonOperator": "NE",
                "AttributeValueList": [text("SHARD_END")],
            },
        },
        AttributeUpdates={
            "leaseCounter": {"Value": number(2)},
            "checkpoint": {"Value": text("495903382714902566085596925383")},
            "ownerSwitchesSinceCheckpoint": {"Value": number(0)},
            "pendingCheckpoint": {"Action": "DELETE"},
        },
    )
    got = lease("shardId-0")
    assert got["leaseOwner"] == text("worker-1") and got["leaseCounter"] == number(2), got
    assert sorted(got["parentShardId"]["SS"]) == ["p1", "p2"], got
    evict = dynamodb.update_item(
        **key,
        Expected={"leaseOwner": {"Value": text("worker-1")}},
        AttributeUpdates={
            "leaseOwner": {"Action": "DELETE"},
            "leaseCounter": {"Value": number(3)},
        },
        ReturnValues="ALL_NEW",
    )
    assert "leaseOwner" not in evict["Attributes"], evict


@check("first")
def client_library_3():
    "dynamodb: version 3 adds its index, renews with the old item on failure, and hands over"
    key = {"TableName": "py-leases", "Key": {"leaseKey": text("shardId-0")}}
    dynamodb.update_table(
        TableName="py-leases",
        AttributeDefinitions=[
            {"AttributeName": "leaseKey", "AttributeType": "S"},
            {"AttributeName": "leaseOwner", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": OWNER_INDEX,
                    "KeySchema": [
                        {"AttributeName": "leaseOwner", "KeyType": "HASH"},
                        {"AttributeName": "leaseKey", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            }
        ],
    )
    table = dynamodb.describe_table(TableName="py-leases")["Table"]
    assert table["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE", table
    dynamodb.update_item(
        **key,
        UpdateExpression="SET #AMZN_MAPPED_leaseOwner = :new ADD leaseCounter :one",
        ConditionExpression="attribute_exists(leaseKey) AND attribute_not_exists(leaseOwner) AND "
        "attribute_not_exists(checkpointOwner)",
        ExpressionAttributeNames={"#AMZN_MAPPED_leaseOwner": "leaseOwner"},
        ExpressionAttributeValues={":new": text("worker-2"), ":one": number(1)},
    )
    mine = {
        "TableName": "py-leases",
        "IndexName": OWNER_INDEX,
        "KeyConditionExpression": "leaseOwner = :me",
    }
    found = dynamodb.query(**mine, ExpressionAttributeValues={":me": text("worker-2")})
    assert found["Items"] == [
        {"leaseOwner": text("worker-2"), "leaseKey": text("shardId-0")}
    ], found
    failed = refused(
        "ConditionalCheckFailedException",
        dynamodb.update_item,
        **key,
        UpdateExpression="SET leaseCounter = :next, throughputKBps = :t",
        ConditionExpression="leaseCounter = :now AND attribute_not_exists(checkpointOwner)",
        ExpressionAttributeValues={":now": number(3), ":next": number(4), ":t": number("12.500000")},
        **known("UpdateItem", ReturnValuesOnConditionCheckFailure="ALL_OLD"),
    )
    if known("UpdateItem", ReturnValuesOnConditionCheckFailure=1):
        assert failed["Item"]["leaseCounter"] == number(4), failed
    dynamodb.put_item(
        TableName="py-leases",
        Item={
            "leaseKey": text("worker-2"),
            "entityType": text("WORKER_METRIC_STATS"),
            "lut": number(1700000000),
            "sts": {"M": {"C": {"L": [number("0.5"), number(-1)]}}},
        },
    )
    got = lease("worker-2")
    assert got["sts"]["M"]["C"]["L"] == [number("0.5"), number(-1)], got
    dynamodb.update_continuous_backups(
        TableName="py-leases",
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )
    backups = dynamodb.describe_continuous_backups(TableName="py-leases")
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED", recovery


@check("first")
def lock_client():
    "dynamodb: a lock is taken, beaten, lost and released as the lock client does it"
    names = {"#pk": "leaseKey", "#rvn": "recordVersionNumber", "#on": "ownerName"}
    item = {
        "leaseKey": text("Leader"),
        "ownerName": text("A"),
        "leaseDuration": text("120000"),
        "recordVersionNumber": text("v1"),
    }
    take = {
        "TableName": "py-leases",
        "Item": item,
        "ConditionExpression": "attribute_not_exists(#pk)",
        "ExpressionAttributeNames": {"#pk": "leaseKey"},
    }
    dynamodb.put_item(**take)
    refused("ConditionalCheckFailedException", dynamodb.put_item, **take)
    beat = {
        "TableName": "py-leases",
        "Key": {"leaseKey": text("Leader")},
        "UpdateExpression": "SET #rvn = :next",
        "ConditionExpression": "attribute_exists(#pk) AND #rvn = :rvn AND #on = :on",
        "ExpressionAttributeNames": names,
    }
    values = {":on": text("A"), ":rvn": text("v1"), ":next": text("v2")}
    dynamodb.update_item(**beat, ExpressionAttributeValues=values)
    refused(
        "ConditionalCheckFailedException",
        dynamodb.update_item,
        **beat,
        ExpressionAttributeValues=values,
    )
    stolen = dict(item, ownerName=text("B"), recordVersionNumber=text("v3"))
    dynamodb.put_item(
        TableName="py-leases",
        Item=stolen,
        ConditionExpression="attribute_exists(#pk) AND #rvn = :rvn",
        ExpressionAttributeNames={"#pk": "leaseKey", "#rvn": "recordVersionNumber"},
        ExpressionAttributeValues={":rvn": text("v2")},
    )
    dynamodb.update_item(
        TableName="py-leases",
        Key={"leaseKey": text("Leader")},
        UpdateExpression="SET isReleased = :yes REMOVE #d",
        ConditionExpression="attribute_exists(#pk) AND #rvn = :rvn AND #on = :on",
        ExpressionAttributeNames=dict(names, **{"#d": "data"}),
        ExpressionAttributeValues={":yes": text("1"), ":rvn": text("v3"), ":on": text("B")},
    )
    assert lease("Leader")["isReleased"] == text("1")


@check("first")
def many_writers():
    "dynamodb: eight threads count one counter up by conditions, and no step is lost"
    make_table("py-counter")
    key = {"TableName": "py-counter", "Key": {"leaseKey": text("n")}}
    dynamodb.put_item(TableName="py-counter", Item={"leaseKey": text("n"), "n": number(0)})
    failures = []

    def count():
        mine = client("dynamodb")
        done = 0
        while done < 25:
            now = int(mine.get_item(**key, ConsistentRead=True)["Item"]["n"]["N"])
            try:
                mine.update_item(
                    **key,
                    UpdateExpression="SET n = :next",
                    ConditionExpression="n = :now",
                    ExpressionAttributeValues={":now": number(now), ":next": number(now + 1)},
                )
                done += 1
            except mine.exceptions.ConditionalCheckFailedException:
                continue
            except Exception as error:  # seen by the main thread
                failures.append(error)
                return

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert dynamodb.get_item(**key)["Item"]["n"] == number(200)


@check("first")
def batches():
    "dynamodb: batches write and read what is asked for, and a parallel scan sees all of it once"
    make_table("py-many")
    for start in range(0, 100, 25):
        answer = dynamodb.batch_write_item(
            RequestItems={
                "py-many": [
                    {"PutRequest": {"Item": {"leaseKey": text("k%03d" % i), "n": number(i)}}}
                    for i in range(start, start + 25)
                ]
            },
            ReturnConsumedCapacity="TOTAL",
        )
        assert answer["UnprocessedItems"] == {}
        assert answer["ConsumedCapacity"][0]["CapacityUnits"] == 25.0, answer
    answer = dynamodb.batch_get_item(
        RequestItems={
            "py-many": {"Keys": [{"leaseKey": text("k%03d" % i)} for i in range(0, 200, 2)]}
        }
    )
    assert len(answer["Responses"]["py-many"]) == 50 and answer["UnprocessedKeys"] == {}
    seen = []
    for segment in range(4):
        pages = dynamodb.get_paginator("scan").paginate(
            TableName="py-many",
            Segment=segment,
            TotalSegments=4,
            FilterExpression="n < :n",
            ExpressionAttributeValues={":n": number(60)},
            PaginationConfig={"PageSize": 7},
        )
        seen += [item["leaseKey"]["S"] for page in pages for item in page["Items"]]
    assert sorted(seen) == ["k%03d" % i for i in range(60)], seen
    answer = dynamodb.batch_write_item(
        RequestItems={"py-many": [{"DeleteRequest": {"Key": {"leaseKey": text("k000")}}}]}
    )
    assert "Item" not in dynamodb.get_item(TableName="py-many", Key={"leaseKey": text("k000")})


@check("first")
def transactions():
    "dynamodb: a transaction is whole or not at all, tells its reasons, and is done once per token"
    put = {"Put": {"TableName": "py-many", "Item": {"leaseKey": text("t1")}}}
    add = {
        "Update": {
            "TableName": "py-many",
            "Key": {"leaseKey": text("t2")},
            "UpdateExpression": "ADD n :one",
            "ExpressionAttributeValues": {":one": number(1)},
        }
    }
    test = {
        "ConditionCheck": {
            "TableName": "py-many",
            "Key": {"leaseKey": text("t3")},
            "ConditionExpression": "attribute_exists(leaseKey)",
        }
    }
    error = refused(
        "TransactionCanceledException", dynamodb.transact_write_items, TransactItems=[put, add, test]
    )
    codes = [reason["Code"] for reason in error["CancellationReasons"]]
    assert codes == ["None", "None", "ConditionalCheckFailed"], error
    for _ in range(2):
        dynamodb.transact_write_items(TransactItems=[put, add], ClientRequestToken="py-once")
    got = dynamodb.transact_get_items(
        TransactItems=[
            {"Get": {"TableName": "py-many", "Key": {"leaseKey": text(key)}}}
            for key in ("t1", "t2", "t3")
        ]
    )["Responses"]
    assert got[1]["Item"]["n"] == number(1) and got[2] == {}, got
    refused(
        "IdempotentParameterMismatchException",
        dynamodb.transact_write_items,
        TransactItems=[put],
        ClientRequestToken="py-once",
    )


@check("first")
def table_life():
    "dynamodb: tables with tags, a time to live, protection and capacity, until they are deleted"
    make_table(
        "py-life",
        BillingMode="PROVISIONED",
        ProvisionedThroughput={"ReadCapacityUnits": 10, "WriteCapacityUnits": 10},
        **known("CreateTable", DeletionProtectionEnabled=True),
        Tags=[{"Key": "team", "Value": "a"}],
    )
    arn = dynamodb.describe_table(TableName="py-life")["Table"]["TableArn"]
    dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "test"}])
    dynamodb.untag_resource(ResourceArn=arn, TagKeys=["team"])
    tags = dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"]
    assert tags == [{"Key": "stage", "Value": "test"}], tags
    dynamodb.update_time_to_live(
        TableName="py-life",
        TimeToLiveSpecification={"AttributeName": "ttl", "Enabled": True},
    )
    ttl = dynamodb.describe_time_to_live(TableName="py-life")["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}, ttl
    assert "py-life" in dynamodb.list_tables(Limit=100)["TableNames"]
    assert dynamodb.describe_limits()["TableMaxReadCapacityUnits"] == 40000
    if known("UpdateTable", DeletionProtectionEnabled=False):
        refused("ValidationException", dynamodb.delete_table, TableName="py-life")
        dynamodb.update_table(TableName="py-life", DeletionProtectionEnabled=False)
    dynamodb.update_table(
        TableName="py-life",
        ProvisionedThroughput={"ReadCapacityUnits": 20, "WriteCapacityUnits": 10},
    )
    assert dynamodb.delete_table(TableName="py-life")["TableDescription"]["TableStatus"] == "DELETING"
    dynamodb.get_waiter("table_not_exists").wait(TableName="py-life")


@check("first")
def resource():
    "dynamodb: the resource interface, with conditions, a batch writer and every type"
    table = boto3.resource("dynamodb", endpoint_url=URL, config=CONFIG).Table("py-many")
    item = {
        "leaseKey": "types",
        "number": Decimal("-1.5"),
        "bytes": b"\x00\xff",
        "truth": True,
        "nothing": None,
        "list": [Decimal(1), "two", {"three": Decimal(3)}],
        "map": {"deep": {"er": "x"}},
        "texts": {"a", "b"},
        "numbers": {Decimal(1), Decimal(2)},
        "binaries": {b"a", b"b"},
        "empty": "",
    }
    table.put_item(Item=item)
    got = table.get_item(Key={"leaseKey": "types"}, ConsistentRead=True)["Item"]
    for name, value in item.items():
        wanted = value if name != "bytes" and name != "binaries" else None
        if wanted is None and name in ("bytes", "binaries"):
            shown = {bytes(x) for x in got[name]} if name == "binaries" else bytes(got[name])
            assert shown == value, got
        else:
            assert got[name] == value, (name, got[name])
    with table.batch_writer() as batch:
        for i in range(40):
            batch.put_item(Item={"leaseKey": "w%d" % i})
    changed = table.update_item(
        Key={"leaseKey": "types"},
        UpdateExpression="SET #l = list_append(#l, :x), #n = if_not_exists(absent, :z) - :one "
        "REMOVE #m.deep ADD texts :c DELETE numbers :two",
        ExpressionAttributeNames={"#l": "list", "#n": "number", "#m": "map"},
        ExpressionAttributeValues={
            ":x": ["end"],
            ":z": Decimal(10),
            ":one": Decimal(1),
            ":c": {"c"},
            ":two": {Decimal(2)},
        },
        ReturnValues="UPDATED_NEW",
    )["Attributes"]
    assert changed["list"][3] == "end" and changed["number"] == 9, changed
    assert changed["texts"] == {"a", "b", "c"} and changed["numbers"] == {1}, changed


@check("again")
def kept():
    "dynamodb: leases, items and the index are there after a restart"
    assert lease("Leader")["ownerName"] == text("B")
    assert dynamodb.get_item(TableName="py-counter", Key={"leaseKey": text("n")})["Item"]["n"] == number(
        200
    )
    found = dynamodb.query(
        TableName="py-leases",
        IndexName=OWNER_INDEX,
        KeyConditionExpression="leaseOwner = :me",
        ExpressionAttributeValues={":me": text("worker-2")},
    )
    assert found["Count"] == 1, found


sys.exit(main())
