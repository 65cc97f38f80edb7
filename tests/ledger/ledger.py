#!/usr/bin/env python3
"""ledger.py - keeps books of what `kpipe local` acknowledged while it is killed again and again.

    KPIPE=build/kpipe python3 tests/ledger/ledger.py [--seconds 20] [--every 5] [--durability fsync]

Four clients (Kinesis, DynamoDB, SQS, S3) write and read without a pause; nothing is tried twice.
Every so many seconds the server gets SIGKILL and is started again on its folder. What was
acknowledged must be there in the end, as it was sent, once and in order; what was not heard of may
be there or not; nothing else may be there. Prints TAP.
"""
import argparse
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import boto3
from botocore.config import Config
from botocore.exceptions import (ClientError, ConnectionClosedError, EndpointConnectionError,
                                 HTTPClientError, IncompleteReadError, ReadTimeoutError,
                                 ResponseStreamingError)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KPIPE = os.path.abspath(os.environ.get("KPIPE", os.path.join(ROOT, "build", "kpipe")))
START_LIMIT_S = 30
# The server died under the call: nobody knows what became of it.
LOST = (ConnectionClosedError, EndpointConnectionError, HTTPClientError, IncompleteReadError,
        ReadTimeoutError, ResponseStreamingError)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """kpipe local on one folder and one port."""

    def __init__(self, folder, durability):
        self.folder = folder
        self.durability = durability
        self.port = free_port()
        self.process = None
        self.is_up = threading.Event()
        self.kills = 0
        self.starts_ms = []

    def start(self):
        begin = time.monotonic()
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [KPIPE, "local", "--port", str(self.port), "--dir",
                 os.path.join(self.folder, "data"), "--no-limits", "--verify-signatures",
                 "--durability", self.durability, "--log", "warn"],
                stdout=subprocess.PIPE, stderr=log)
        watchdog = threading.Timer(START_LIMIT_S, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        if not line.startswith(b"ready "):
            raise RuntimeError("kpipe local did not start again: " + self.log()[-2000:])
        self.starts_ms.append((time.monotonic() - begin) * 1000)
        self.is_up.set()

    def end(self, how):
        self.is_up.clear()
        self.process.send_signal(how)
        code = self.process.wait()
        self.process.stdout.close()
        return code

    def kill(self):
        code = self.end(signal.SIGKILL)
        if code != -signal.SIGKILL:
            raise RuntimeError(f"kpipe local ended by itself with {code}: " + self.log()[-2000:])
        self.kills += 1

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8") as log:
            return log.read()

    def client(self, service):
        return boto3.client(
            service, endpoint_url=f"http://127.0.0.1:{self.port}", region_name="us-east-1",
            aws_access_key_id="test", aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30,
                          s3={"addressing_style": "path"}))


class Client(threading.Thread):
    """One service's client: steps until it is told to stop. A step that is lost waits for the next
    start."""
    service = ""

    def __init__(self, server, seed):
        super().__init__()
        self.server = server
        self.random = random.Random(f"{seed} {self.service}")
        self.aws = server.client(self.service)
        self.stopping = threading.Event()
        self.error = None
        self.acknowledged = self.lost = 0
        self.number = 0
        self.prepare()

    def run(self):
        try:
            while not self.stopping.is_set():
                try:
                    self.step()
                except LOST:
                    if not self.server.is_up.wait(START_LIMIT_S):
                        raise
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def send(self, fn, **arguments):
        """True: acknowledged; False: nobody knows. Waits for the next start then."""
        try:
            fn(**arguments)
        except LOST:
            self.lost += 1
            self.server.is_up.wait(START_LIMIT_S)
            return False
        self.acknowledged += 1
        return True

    def payload(self, most):
        """Bytes that prove themselves: their number and digest in front."""
        self.number += 1
        body = self.random.randbytes(self.random.randrange(most))
        return b"%d %s " % (self.number, hashlib.sha256(body).hexdigest().encode()) + body

    def prepare(self):
        raise NotImplementedError

    def step(self):
        raise NotImplementedError

    def audit(self):
        """Compares with what is there; yields (what, is it right, how it is not)."""
        raise NotImplementedError


class Kinesis(Client):
    service = "kinesis"

    def prepare(self):
        self.aws.create_stream(StreamName="ledger", ShardCount=3)
        self.sent = {}     # number -> payload, of all that was ever sent
        self.kept = {}     # number -> (shard, sequence number)
        self.cursor = {}   # shard -> iterator of the reader that goes along
        self.read = {}     # shard -> sequence numbers, as read on the way
        self.broken = []

    def step(self):
        records = [self.payload(3000) for _ in range(self.random.randrange(1, 40))]
        first = self.number - len(records) + 1
        for i, data in enumerate(records):
            self.sent[first + i] = data
        try:
            answer = self.aws.put_records(StreamName="ledger", Records=[
                {"Data": data, "PartitionKey": str(first + i)} for i, data in enumerate(records)])
        except LOST:
            self.lost += len(records)
            raise
        for i, row in enumerate(answer["Records"]):
            if "SequenceNumber" in row:
                self.kept[first + i] = (row["ShardId"], row["SequenceNumber"])
                self.acknowledged += 1
        if self.random.randrange(3) == 0:
            self.read_on()

    def read_on(self):
        """A consumer that starts behind the last record it saw, also after a crash."""
        shard = f"shardId-{self.random.randrange(3):012d}"
        seen = self.read.setdefault(shard, [])
        try:
            if shard not in self.cursor:
                start = ({"ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                          "StartingSequenceNumber": seen[-1]}
                         if seen else {"ShardIteratorType": "TRIM_HORIZON"})
                self.cursor[shard] = self.aws.get_shard_iterator(
                    StreamName="ledger", ShardId=shard, **start)["ShardIterator"]
            answer = self.aws.get_records(ShardIterator=self.cursor[shard])
        except LOST:
            if self.random.randrange(2):  # iterators survive a restart: mostly it goes on with them
                self.cursor.pop(shard, None)
            raise
        self.cursor[shard] = answer["NextShardIterator"]
        for record in answer["Records"]:
            seen.append(record["SequenceNumber"])

    def all_of(self, shard):
        iterator = self.aws.get_shard_iterator(
            StreamName="ledger", ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        while True:
            answer = self.aws.get_records(ShardIterator=iterator)
            yield from answer["Records"]
            if not answer["Records"] and answer["MillisBehindLatest"] == 0:
                return
            iterator = answer["NextShardIterator"]

    def audit(self):
        there, strange, order = {}, [], []
        for shard in self.aws.list_shards(StreamName="ledger")["Shards"]:
            last, newest, numbers = 0, 0, []
            for record in self.all_of(shard["ShardId"]):
                number = int(record["PartitionKey"])
                if int(record["SequenceNumber"]) <= last or number <= newest:
                    order.append(number)
                last, newest = int(record["SequenceNumber"]), number
                numbers.append(record["SequenceNumber"])
                if self.sent.get(number) != record["Data"] or number in there:
                    strange.append(number)
                there[number] = (shard["ShardId"], record["SequenceNumber"])
            seen = self.read.get(shard["ShardId"], [])
            if numbers[:len(seen)] != seen:
                order.append(f"the reader of {shard['ShardId']} saw another order")
        gone = [n for n, where in self.kept.items() if there.get(n) != where]
        yield (f"kinesis: all {len(self.kept)} acknowledged records are there, where and as they "
               "were put", not gone, f"{len(gone)} are not: {gone[:5]}")
        yield ("kinesis: nothing that was not sent, nothing twice", not strange, strange[:5])
        yield ("kinesis: the order is that of the calls, and the reader that went along saw it",
               not order, order[:5])


class Item:
    """What a key may have: the acknowledged value, and those sent since without an answer."""

    def __init__(self):
        self.values = {None}

    def wrote(self, value, was_heard):
        self.values = {value} if was_heard else self.values | {value}


class DynamoDB(Client):
    service = "dynamodb"

    def prepare(self):
        self.aws.create_table(TableName="ledger", BillingMode="PAY_PER_REQUEST",
                              AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                              KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
        self.items = {}
        self.counted = 0  # ADD 1, heard of
        self.maybe = 0

    def step(self):
        key = f"item-{self.random.randrange(400)}"
        where = {"TableName": "ledger", "Key": {"id": {"S": key}}}
        item = self.items.setdefault(key, Item())
        kind = self.random.randrange(10)
        if kind < 5:
            value = self.payload(800).hex()
            item.wrote(value, self.send(self.aws.put_item, TableName="ledger",
                                        Item={"id": {"S": key}, "value": {"S": value}}))
        elif kind < 7:
            value = self.payload(100).hex()
            item.wrote(value, self.send(
                self.aws.update_item, UpdateExpression="SET #v = :v",
                ExpressionAttributeNames={"#v": "value"},
                ExpressionAttributeValues={":v": {"S": value}}, **where))
        elif kind < 8:
            item.wrote(None, self.send(self.aws.delete_item, **where))
        elif self.send(self.aws.update_item, TableName="ledger", Key={"id": {"S": "counter"}},
                       UpdateExpression="ADD #n :one", ExpressionAttributeNames={"#n": "n"},
                       ExpressionAttributeValues={":one": {"N": "1"}}):
            self.counted += 1
        else:
            self.maybe += 1

    def audit(self):
        there, counter = {}, 0
        for page in self.aws.get_paginator("scan").paginate(TableName="ledger",
                                                            ConsistentRead=True):
            for item in page["Items"]:
                if item["id"]["S"] == "counter":
                    counter = int(item["n"]["N"])
                else:
                    there[item["id"]["S"]] = item["value"]["S"]
        wrong = [key for key, item in self.items.items() if there.get(key) not in item.values]
        wrong += [key for key in there if key not in self.items]
        yield (f"dynamodb: {len(self.items)} items are as {self.acknowledged} acknowledged calls "
               "left them", not wrong, f"{len(wrong)} are not: {wrong[:5]}")
        yield (f"dynamodb: the counter has all {self.counted} additions",
               self.counted <= counter <= self.counted + self.maybe,
               f"it has {counter}; {self.maybe} were not heard of")


class SQS(Client):
    service = "sqs"

    def prepare(self):
        self.url = self.aws.create_queue(
            QueueName="ledger", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
        self.sent = {}        # number -> body, acknowledged, not deleted
        self.maybe = {}       # sent, or deleted, without an answer
        self.deleted = set()  # acknowledged
        self.strange = []

    def step(self):
        if self.random.randrange(3):
            body = self.payload(2000).hex()
            number = self.number
            if self.send(self.aws.send_message, QueueUrl=self.url, MessageBody=body):
                self.sent[number] = body
            else:
                self.maybe[number] = body
            return
        for message in self.receive(5):
            number = int(bytes.fromhex(message["Body"]).split(b" ", 1)[0])
            if self.random.randrange(3):
                continue
            body = self.sent.pop(number, None) or self.maybe.pop(number, None)
            if self.send(self.aws.delete_message, QueueUrl=self.url,
                         ReceiptHandle=message["ReceiptHandle"]):
                self.deleted.add(number)
            else:
                self.maybe[number] = body

    def receive(self, most, wait_s=0):
        """A queue gives a message again until it is deleted; not after."""
        answer = self.aws.receive_message(QueueUrl=self.url, MaxNumberOfMessages=most,
                                          WaitTimeSeconds=wait_s)
        for message in answer.get("Messages", []):
            number = int(bytes.fromhex(message["Body"]).split(b" ", 1)[0])
            known = self.sent.get(number) or self.maybe.get(number)
            if number in self.deleted or known != message["Body"]:
                self.strange.append(number)
        return answer.get("Messages", [])

    def audit(self):
        there = set()
        while messages := self.receive(10, wait_s=3):  # longer than they are invisible
            for message in messages:
                there.add(int(bytes.fromhex(message["Body"]).split(b" ", 1)[0]))
            self.aws.delete_message_batch(QueueUrl=self.url, Entries=[
                {"Id": str(i), "ReceiptHandle": message["ReceiptHandle"]}
                for i, message in enumerate(messages)])
        gone = [number for number in self.sent if number not in there]
        yield (f"sqs: all {len(self.sent)} acknowledged messages that were not deleted are there",
               not gone, f"{len(gone)} are not: {gone[:5]}")
        yield (f"sqs: none of {len(self.deleted)} deleted messages came again, none is changed",
               not self.strange, self.strange[:5])


class S3(Client):
    service = "s3"

    def prepare(self):
        self.aws.create_bucket(Bucket="ledger")
        self.objects = {}

    def step(self):
        key = f"folder/{self.random.randrange(20)}/object {self.random.randrange(20)}"
        item = self.objects.setdefault(key, Item())
        kind = self.random.randrange(10)
        if kind < 7:
            body = self.payload(200000 if kind == 0 else 5000)
            item.wrote(body, self.send(self.aws.put_object, Bucket="ledger", Key=key, Body=body))
        elif kind < 8:
            item.wrote(None, self.send(self.aws.delete_object, Bucket="ledger", Key=key))
        elif kind < 9:
            self.copy(key, item)
        elif self.fetch(key) not in item.values:
            raise AssertionError(f"{key} is not what was written")

    def copy(self, key, item):
        source = self.random.choice(list(self.objects))
        values = self.objects[source].values
        if source == key or len(values) != 1 or None in values:
            return
        item.wrote(next(iter(values)),
                   self.send(self.aws.copy_object, Bucket="ledger", Key=key,
                             CopySource={"Bucket": "ledger", "Key": source}))

    def fetch(self, key):
        try:
            return self.aws.get_object(Bucket="ledger", Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return None

    def audit(self):
        listed = {}
        for page in self.aws.get_paginator("list_objects_v2").paginate(Bucket="ledger"):
            for row in page.get("Contents", []):
                listed[row["Key"]] = row["Size"]
        wrong = []
        for key, item in self.objects.items():
            body = self.fetch(key)
            if body not in item.values or listed.get(key) != (None if body is None else len(body)):
                wrong.append(key)
        wrong += [key for key in listed if key not in self.objects]
        yield (f"s3: {len(self.objects)} objects are as {self.acknowledged} acknowledged calls left "
               "them, and listed so", not wrong, f"{len(wrong)} are not: {wrong[:5]}")


def run(server, options):
    """The load, and the kills; gives the clients."""
    server.start()
    clients = [kind(server, options.seed) for kind in (Kinesis, DynamoDB, SQS, S3)]
    for client in clients:
        client.start()
    end = time.monotonic() + options.seconds
    tick = threading.Event()  # nobody sets it: a clock
    while time.monotonic() < end:
        tick.wait(min(options.every, max(0.0, end - time.monotonic())))
        server.kill()
        server.start()
    for client in clients:
        client.stopping.set()
    for client in clients:
        client.join()
    server.kill()  # with nothing under way, and the books are read by the next process
    server.start()
    return clients


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("LEDGER_SECONDS", 20)))
    parser.add_argument("--every", type=float, default=5)
    parser.add_argument("--durability", default="fsync")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    results = []
    folder = tempfile.mkdtemp(prefix="kpipe-ledger-")
    server = Server(folder, options.durability)
    try:
        clients = run(server, options)
        for client in clients:
            results.append((f"{client.service}: the client ran to the end", client.error is None,
                            repr(client.error)))
            results.extend(client.audit())
        results.append(("it was killed under load", server.kills > 1 and
                        all(client.lost for client in clients) or options.seconds < 60,
                        [client.lost for client in clients]))
        for client in clients:
            print(f"# {client.service}: {client.acknowledged} acknowledged, {client.lost} lost")
        print(f"# {server.kills} kills, starts took {min(server.starts_ms):.0f} to "
              f"{max(server.starts_ms):.0f} ms; seed {options.seed}")
    finally:
        if server.process and server.process.poll() is None:
            server.end(signal.SIGTERM)
        log = server.log() if os.path.exists(os.path.join(folder, "log")) else ""
        shutil.rmtree(folder)
    broken = [line for line in log.splitlines() if line.split()[1:2] != ["warn"]]
    results.append(("it complained of nothing", not broken, broken[:5]))
    for i, (what, is_right, why) in enumerate(results):
        print(f"{'ok' if is_right else 'not ok'} {i + 1} - {what}")
        if not is_right:
            print(f"# {why}")
    print(f"1..{len(results)}")
    return 0 if all(is_right for _, is_right, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
