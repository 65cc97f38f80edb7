"""world.py - what the tests of this folder play with: a local AWS, workers that read a stream into
files, a producer that numbers its records. No SDK: it is plain HTTP and JSON, so that what is
asked, and how often, is known."""
import base64
import hashlib
import hmac
import http.client
import json
import os
import random
import re
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
KPIPE = os.path.abspath(os.environ.get("KPIPE", os.path.join(ROOT, "build", "kpipe")))
SLOW = float(os.environ.get("SLOW", "1"))
START_LIMIT_S = 20 * SLOW
STOP_LIMIT_S = 40 * SLOW
TARGETS = {"kinesis": ("Kinesis_20131202", "1.1"), "dynamodb": ("DynamoDB_20120810", "1.0")}


class Failed(Exception):
    """The test cannot go on: something is broken that it does not judge."""


class AwsError(Exception):
    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, is_so, limit_s):
    """Polls: what another process does cannot be waited for otherwise."""
    end = time.monotonic() + limit_s * SLOW
    while True:
        value = is_so()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {limit_s * SLOW:.0f} s")
        time.sleep(0.05)


clock_ahead_s = 0  # of the local AWS's clock; set by who moves it


def signed(service, body, headers):
    """The headers with a signature of version 4, of the key pair that the local AWS has."""
    date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + clock_ahead_s))
    headers = {**headers, "X-Amz-Date": date}
    rows = sorted((name.lower(), value) for name, value in headers.items())
    names = ";".join(name for name, _ in rows)
    canonical = "\n".join(["POST", "/", "", *(f"{name}:{value}" for name, value in rows), "", names,
                           hashlib.sha256(body).hexdigest()])
    scope = f"{date[:8]}/us-east-1/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = b"AWS4test"
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return {**headers, "Authorization": f"AWS4-HMAC-SHA256 Credential=test/{scope}, "
                                        f"SignedHeaders={names}, Signature={signature}"}


class Aws:
    """One connection. Threads: one at a time."""

    def __init__(self, port):
        self.port = port
        self.connection = None
        self.used_at = 0.0

    def exchange(self, method, path, body, headers):
        now = time.monotonic()
        if self.connection is None or now - self.used_at > 2:  # the server closes idle ones
            if self.connection:
                self.connection.close()
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        self.used_at = now
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise
        try:
            return answer.status, json.loads(text) if text else {}
        except ValueError:
            raise Failed(f"{path} answered {answer.status} {text[:200]}") from None

    def call(self, service, operation, **members):
        target, version = TARGETS[service]
        body = json.dumps(members).encode()
        status, answer = self.exchange("POST", "/", body, signed(service, body, {
            "Host": f"127.0.0.1:{self.port}", "Content-Type": "application/x-amz-json-" + version,
            "X-Amz-Target": f"{target}.{operation}"}))
        if status >= 400:
            raise AwsError(answer.get("__type", str(status)).split("#")[-1],
                           answer.get("message") or answer.get("Message") or "")
        return answer

    def kinesis(self, operation, **members):
        return self.call("kinesis", operation, **members)

    def dynamodb(self, operation, **members):
        return self.call("dynamodb", operation, **members)

    def temporary_keys(self, seconds):
        """AssumeRole of STS: (key id, secret, token)."""
        body = urllib.parse.urlencode({
            "Action": "AssumeRole", "Version": "2011-06-15", "DurationSeconds": seconds,
            "RoleArn": "arn:aws:iam::000000000000:role/model", "RoleSessionName": "model"}).encode()
        headers = signed("sts", body, {"Host": f"127.0.0.1:{self.port}",
                                       "Content-Type": "application/x-www-form-urlencoded"})
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/", body, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read().decode()
        return tuple(re.search(f"<{name}>(.*?)</{name}>", text).group(1)
                     for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))

    def judge(self, method, path, body=None):
        """/_kpipe/..."""
        status, answer = self.exchange(method, path, json.dumps(body) if body else None, {})
        if status >= 400:
            raise Failed(f"{method} {path}: {answer}")
        return answer

    def operations(self):
        """(service, operation) -> how often it was asked for since the start."""
        state = self.judge("GET", "/_kpipe/state")
        return {(service, operation): row["requests"]
                for service, part in state["services"].items()
                for operation, row in part["operations"].items()}

    def shards(self, stream):
        rows, token = [], {"StreamName": stream}
        while token:
            answer = self.kinesis("ListShards", **token)
            rows += answer["Shards"]
            token = {"NextToken": answer["NextToken"]} if answer.get("NextToken") else None
        return rows

    def open_shards(self, stream):
        return [s for s in self.shards(stream)
                if "EndingSequenceNumber" not in s["SequenceNumberRange"]]

    def rows(self, table):
        """All items, with N as numbers and the rest as it is."""
        items, start = [], {}
        while True:
            answer = self.dynamodb("Scan", TableName=table, ConsistentRead=True, **start)
            items += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                break
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return [{name: int(v["N"]) if "N" in v else next(iter(v.values()))
                 for name, v in item.items()} for item in items]

    def records(self, stream):
        """Everything that is in the stream: (shard, sequence number, data, partition key)."""
        for shard in self.shards(stream):
            iterator = self.kinesis("GetShardIterator", StreamName=stream,
                                    ShardId=shard["ShardId"],
                                    ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
            while iterator:
                try:
                    answer = self.kinesis("GetRecords", ShardIterator=iterator)
                except AwsError as error:
                    if error.code != "ProvisionedThroughputExceededException":
                        raise
                    time.sleep(0.2)
                    continue
                for row in answer["Records"]:
                    yield shard["ShardId"], row["SequenceNumber"], row["Data"], row["PartitionKey"]
                iterator = answer.get("NextShardIterator")
                if not answer["Records"] and answer["MillisBehindLatest"] == 0:
                    break


class Process:
    """A child with its output in files."""

    def __init__(self, folder, name, arguments, env=None):
        self.folder = folder
        self.name = name
        self.log_path = os.path.join(folder, name + ".log")
        self.out_path = os.path.join(folder, name + ".stdout")
        with open(self.log_path, "ab") as log, open(self.out_path, "ab") as out:
            self.process = subprocess.Popen(arguments, cwd=folder, stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=log,
                                            env={**clean_environment(), **(env or {})})

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def code(self):
        return self.process.poll()

    def send(self, number):
        self.process.send_signal(number)

    def end(self, number, limit_s=STOP_LIMIT_S):
        """Sends the signal and gives the exit code; None: it did not end."""
        if self.process.poll() is None:
            self.send(number)
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None

    def destroy(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def clean_environment():
    env = {name: value for name, value in os.environ.items()
           if not name.startswith(("AWS_", "KPIPE_")) and not name.lower().endswith("_proxy")}
    return {**env, "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "*"}


class Local(Process):
    """`kpipe local`."""

    def __init__(self, folder, *options, program=KPIPE):
        self.port = free_port()
        super().__init__(folder, "local", [program, "local", "--port", str(self.port), "--dir",
                                           os.path.join(folder, "data"), "--durability", "memory",
                                           "--log", "warn", *options])
        wait_for("kpipe local starts", self.is_ready, START_LIMIT_S)

    def is_ready(self):
        if self.code() is not None:
            raise Failed("kpipe local did not start: " + self.log()[-2000:])
        with open(self.out_path, encoding="utf-8") as out:
            return out.read(6) == "ready "

    def client(self):
        return Aws(self.port)

    def environment(self):
        return {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}", "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


class Line:
    """One line of a worker's file: what it delivered, and when it was seen there."""
    __slots__ = ("life", "key", "n", "shard", "sequence", "sub", "at")

    def __init__(self, life, text, at):
        words = text.split(" ")
        if len(words) != 6:
            raise ValueError(text)
        self.life = life
        self.key, self.n = words[0], int(words[1])
        self.shard, self.sequence, self.sub = words[3], int(words[4]), int(words[5])
        self.at = at

    @property
    def where(self):
        return self.shard, self.sequence, self.sub

    def __repr__(self):
        return (f"{self.key} {self.n} at {self.shard[-3:]}:...{self.sequence % 10**12}.{self.sub} "
                f"by life {self.life} after {self.at:.2f} s")


class Worker(Process):
    """One life of `kpipe run`, and the lines it has written."""

    def __init__(self, folder, number, local, settings, options=(), env=None, program=KPIPE):
        self.number = number
        self.out = os.path.join(folder, f"life{number}.txt")
        self.summary = os.path.join(folder, f"life{number}.json")
        self.offset = 0
        self.rest = b""
        self.garbled = []
        self.stalled_until = None
        self.is_stopping = self.was_stalled = False
        arguments = [program, "run", "--aws", "--workers", "2", "--quiet", "--summary",
                     self.summary, "--set", "Out=" + self.out]
        for name, value in settings.items():
            arguments += ["--set", f"{name}={value}"]
        super().__init__(folder, f"life{number}", [*arguments, *options,
                                                   os.path.join(HERE, "read.lua")],
                         {**local.environment(), **(env or {})})

    def read(self, at):
        """The lines that have come, whole ones."""
        try:
            with open(self.out, "rb") as f:
                f.seek(self.offset)
                piece = f.read()
        except FileNotFoundError:
            return []
        self.offset += len(piece)
        lines = (self.rest + piece).split(b"\n")
        self.rest = lines.pop()
        found = []
        for text in lines:
            try:
                found.append(Line(self.number, text.decode("ascii"), at))
            except ValueError:
                self.garbled.append(text)
        return found

    def owns(self, row):
        """Does it work on this lease? While it is handed over that is the old owner."""
        worker = row.get("checkpointOwner") or row.get("leaseOwner", "")
        return f":{self.pid}:" in worker + ":"

    def counts(self):
        with open(self.summary, encoding="utf-8") as f:
            return json.load(f)["flows"]["main"]

    def complaints(self):
        """What it logged as an error, or of a stage that broke the rules."""
        return [line for line in self.log().splitlines()
                if re.match(r"\S+ error |kpipe: ", line) or " plugin.misbehaved " in line]


# ---- the producer

KPL_MAGIC = bytes((0xF3, 0x89, 0x9A, 0xC2))


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, data):
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def aggregate(key, payloads):
    """The KPL's form: a table of keys, and records that point into it."""
    message = field(1, key.encode()) + b"".join(
        field(3, b"\x08\x00" + field(3, payload)) for payload in payloads)
    return KPL_MAGIC + message + hashlib.md5(message).digest()


def read_varint(data, at):
    n = shift = 0
    while True:
        n |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return n, at


def payloads_in(data):
    """The user records of one record of the stream, whoever wrote it."""
    body = data[4:-16]
    if not data.startswith(KPL_MAGIC) or hashlib.md5(body).digest() != data[-16:]:
        return [data]
    payloads = []
    for number, message in fields(body):
        if number == 3:
            payloads += [part for inner, part in fields(message) if inner == 3]
    return payloads


def fields(message):
    """The fields of a protobuf message: (number, bytes or integer)."""
    at = 0
    while at < len(message):
        tag, at = read_varint(message, at)
        value, at = read_varint(message, at)
        if tag & 7 == 2:
            value, at = message[at:at + value], at + value
        yield tag >> 3, value


def numbers_in(data):
    """(key, number) of each user record in the base64 of a record of the stream."""
    for payload in payloads_in(base64.b64decode(data)):
        words = payload.split(b" ")
        yield words[0].decode(), int(words[1])


class Producer(threading.Thread):
    """Numbers the records of each key, and has never more than one record of a key under way: the
    order of a key's numbers is that of the stream. Some records are aggregates of one key."""

    def __init__(self, aws, stream, seed, rate, n_keys=200, tell=None):
        super().__init__(daemon=True)
        self.aws = aws
        self.stream = stream
        self.random = random.Random(f"{seed} producer")
        self.rate = rate
        self.keys = [f"k{i:03d}" for i in range(n_keys)]
        self.next = dict.fromkeys(self.keys, 0)  # the number of the next record
        self.tell = tell  # tell(key, n): the stream has it
        self.stopping = threading.Event()
        self.error = None
        self.sent = 0

    def run(self):
        begin = time.monotonic()
        try:
            while not self.stopping.is_set():
                due = int((time.monotonic() - begin) * self.rate) - self.sent
                if due > 0:
                    self.put(min(due, len(self.keys)))
                else:
                    self.stopping.wait(0.02)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def entry(self, key):
        """One record of a key, and how many numbers are in it."""
        first = self.next[key]
        n = self.random.randrange(2, 7) if self.random.random() < 0.25 else 1
        payloads = [f"{key} {first + i} {'x' * self.random.randrange(1, 100)}".encode()
                    for i in range(n)]
        return n, aggregate(key, payloads) if n > 1 else payloads[0]

    def put(self, n_keys):
        open_ = {key: self.entry(key) for key in self.random.sample(self.keys, n_keys)}
        while open_:
            keys = list(open_)
            answer = self.aws.kinesis("PutRecords", StreamName=self.stream, Records=[
                {"PartitionKey": key, "Data": b64(open_[key][1])} for key in keys])
            for key, row in zip(keys, answer["Records"]):
                if "SequenceNumber" not in row:
                    continue
                n, _ = open_.pop(key)
                for _ in range(n):
                    self.tell(key, self.next[key])
                    self.next[key] += 1
                self.sent += n
            if open_:
                self.stopping.wait(0.1)

    def finish(self):
        self.stopping.set()
        self.join(60)
        if self.error or self.is_alive():
            raise Failed(f"the producer broke: {self.error!r}")


def b64(data):
    return base64.b64encode(data).decode()


def tail_of(text, n=15):
    return "\n".join("#   " + line for line in text.splitlines()[-n:])


def tap(results):
    """Prints them: (what, is it so, why not). True: all are."""
    for i, (what, is_right, why) in enumerate(results):
        print(f"{'ok' if is_right else 'not ok'} {i + 1} - {what}")
        if not is_right:
            print(f"# {why}")
    print(f"1..{len(results)}", flush=True)
    return all(is_right for _, is_right, _ in results)

