#!/usr/bin/env python3
"""patterns_test.py - the four pipelines on the embedded local AWS, to the last record.

    KPIPE=build/kpipe python3 tests/patterns/patterns_test.py [PatternN ...]

Each test has a folder and ports of its own, so that tests may run side by side. Queues are read
through boto3; objects are plain files in the data directory.
"""
import base64
import collections
import csv
import glob
import gzip
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KPIPE = os.path.abspath(os.environ.get("KPIPE", os.path.join(ROOT, "build", "kpipe")))
LIMIT_S = 300
ROUNDS = int(os.environ.get("ROUNDS", "20")) # of kill -9


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, fn, limit_s=60):
    """Polls until fn() is true: what another process does cannot be waited for otherwise."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        value = fn()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {limit_s} s")


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="kpipe-pattern-")
        self.local = os.path.join(self.dir, "local")
        self.processes = []
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.addCleanup(self.end_processes)

    def end_processes(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()

    def start(self, *arguments):
        log = open(os.path.join(self.dir, f"log{len(self.processes)}"), "w+")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "STREAM", "BUCKET"))}
        process = subprocess.Popen([KPIPE, *arguments], cwd=ROOT, stdout=log, stderr=log, env=env)
        log.close()
        self.processes.append(process)
        return process

    def log(self, i=-1):
        names = sorted(glob.glob(os.path.join(self.dir, "log*")))
        with open(names[i], errors="replace") as f:
            return f.read()[-4000:]

    def run_pattern(self, n, *options):
        return self.start("run", f"pipelines/pattern{n}.lua", "--local", self.local, "--no-limits",
                          "--summary", os.path.join(self.dir, "summary"), "--quiet", *options)

    def finish(self, process, code):
        try:
            self.assertEqual(process.wait(LIMIT_S), code, self.log())
        except subprocess.TimeoutExpired:
            self.fail("does not end: " + self.log())
        with open(os.path.join(self.dir, "summary")) as f:
            return json.load(f)

    def survive(self, n, judge, *options):
        """Kills runs at random moments, ROUNDS of them, and judges what each series of them left
        once a run has come to its end. Checkpoints come often, so that a run goes on in the middle
        of what the one before had done."""
        kills = 0
        while True:
            checkpoint = random.choice(("50ms", "200ms", "5s"))
            process = self.run_pattern(n, "--until", "end", "--checkpoint", checkpoint, *options)
            try:
                wait_s = random.uniform(0.05, 0.9) if kills < ROUNDS else LIMIT_S
                self.assertIn(process.wait(wait_s), (0, 3), self.log())
            except subprocess.TimeoutExpired:
                self.assertLess(kills, ROUNDS, "does not end: " + self.log())
                process.kill()
                process.wait()
                kills += 1
                continue
            judge()
            if kills == ROUNDS:
                return
            shutil.rmtree(self.local)

    def balance(self, flow, read, delivered, filtered=0, dead_lettered=0):
        have = {k: flow[k] for k in ("read", "delivered", "filtered", "dead_lettered", "unsettled")}
        self.assertEqual(have, {"read": read, "delivered": delivered, "filtered": filtered,
                                "dead_lettered": dead_lettered, "unsettled": 0}, self.log())

    def objects(self, bucket):
        """Key and bytes of every object."""
        top = os.path.join(self.local, "s3", bucket)
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as f:
                    yield os.path.relpath(path, top), f.read()

    def queue(self, port, name):
        import boto3

        sqs = boto3.client("sqs", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
                           aws_access_key_id="local", aws_secret_access_key="local")
        return sqs, sqs.get_queue_url(QueueName=name)["QueueUrl"]

    def drain(self, port, name, expected):
        """Takes messages until there are as many as expected, and looks once more."""
        sqs, url = self.queue(port, name)
        found = []

        def take():
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
            for message in answer.get("Messages", []):
                found.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return len(found) >= expected

        wait_for(f"{expected} messages, {len(found)} so far", take)
        take()
        return found


class Pattern1(Case):
    def post(self, port, path, body):
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        c.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        r = c.getresponse()
        answer = r.status, json.loads(r.read())
        c.close()
        return answer

    def test_each_bad_record_is_one_message_and_the_others_are_processed(self):
        aws, door = free_port(), free_port()
        run = self.run_pattern(1, "--listen", f"127.0.0.1:{aws}", "--set", f"Port={door}",
                               "--set", "MaxRetryAttempts=1", "--set", "ThrottlingRateLimit=10000",
                               "--set", "ThrottlingBurstLimit=5000")
        bad = {3, 77, 78, 150, 199, 204}
        texts = [json.dumps({"n": i, "bad": i in bad}) for i in range(210)]

        wait_for("the door", lambda: answers(door) or self.assertIsNone(run.poll(), self.log()))
        for i in range(0, 200, 50):
            records = [{"data": t, "partitionKey": f"k{i + k}"} for k, t in enumerate(texts[i:i + 50])]
            status, answer = self.post(door, "/records", {"records": records})
            self.assertEqual((status, answer["FailedRecordCount"]), (200, 0))
            self.assertEqual(len({r["SequenceNumber"] for r in answer["Records"]}), 50)
        for i in range(200, 210):
            status, answer = self.post(door, "/record", {"data": texts[i], "partitionKey": "p"})
            self.assertEqual(status, 200)
            self.assertRegex(answer["ShardId"], "^shardId-00000000000[01]$")
        self.assertEqual(self.post(door, "/record", {"data": 1})[0], 400)

        messages = self.drain(aws, "pattern1-records-failed", len(bad))
        for m in messages:
            self.assertEqual(m["requestContext"]["condition"], "RetryAttemptsExhausted")
            self.assertEqual(m["requestContext"]["approximateInvokeCount"], 2)
            self.assertEqual(m["responseContext"]["functionError"], "Unhandled")
            self.assertEqual(m["KinesisBatchInfo"]["batchSize"], 1)
        found = [json.loads(base64.b64decode(m["kpipe"]["records"][0]["data"]))["n"] for m in messages]
        self.assertEqual(sorted(found), sorted(bad))

        run.send_signal(signal.SIGTERM)
        flows = self.finish(run, 3)["flows"]
        self.balance(flows["api"], 210, 210)
        self.balance(flows["process"], 210, 204, dead_lettered=6)

    def test_kills_lose_nothing_that_was_answered_with_200(self):
        door, sent, n = free_port(), set(), 0
        options = ("--set", f"Port={door}", "--set", "MaxRetryAttempts=1", "--set",
                   "ThrottlingRateLimit=10000", "--set", "ThrottlingBurstLimit=5000")

        for i in range(ROUNDS):
            run = self.run_pattern(1, *options)
            end = time.monotonic() + 60
            until = None
            while until is None or time.monotonic() < until:
                self.assertLess(time.monotonic(), end, self.log())
                self.assertIsNone(run.poll(), self.log())
                body = {"data": json.dumps({"n": n, "bad": n % 50 == 0}), "partitionKey": f"k{n % 7}"}
                n += 1
                try:
                    if self.post(door, "/record", body)[0] == 200 and (n - 1) % 50 == 0:
                        sent.add(n - 1)
                    until = until or time.monotonic() + random.uniform(0.05, 0.8)
                except OSError: # not there yet
                    n -= 1
                    time.sleep(0.02)
            run.kill()
            run.wait()
        aws = free_port()
        run = self.run_pattern(1, "--listen", f"127.0.0.1:{aws}", *options)
        sqs = None
        found = set()

        def all_found():
            nonlocal sqs
            if not answers(aws):
                return False
            sqs = sqs or self.queue(aws, "pattern1-records-failed")
            for m in sqs[0].receive_message(QueueUrl=sqs[1], MaxNumberOfMessages=10).get("Messages", []):
                for r in json.loads(m["Body"])["kpipe"]["records"]:
                    found.add(json.loads(base64.b64decode(r["data"]))["n"])
                sqs[0].delete_message(QueueUrl=sqs[1], ReceiptHandle=m["ReceiptHandle"])
            return sent <= found

        wait_for("the bad records", all_found, 120)
        run.send_signal(signal.SIGTERM)
        self.finish(run, 3)


class Pattern2(Case):
    PRICES = os.path.join(ROOT, "pipelines/data/stocks/ticker_daily.jsonl")

    def expected(self):
        expected = collections.Counter()
        with open(self.PRICES) as f:
            for line in f:
                e = json.loads(line)
                if e["price"] > 50:
                    day, hour = e["event_time"][:10], e["event_time"][11:13]
                    expected[f"ticker={e['ticker']}/dt={day}/hr={hour}", e["event_time"], e["price"]] += 1
        return expected

    def found(self):
        found = collections.Counter()
        for key, data in self.objects("pattern2-lake"):
            for line in data.decode().splitlines():
                e = json.loads(line)
                found[os.path.dirname(key), e["event_time"], e["price"]] += 1
        return found

    def test_prices_above_50_are_in_their_folders_once(self):
        expected = self.expected()
        self.assertEqual(sum(expected.values()), 6028)

        flows = self.finish(self.run_pattern(2, "--until", "end", "--set", f"Prices={self.PRICES}"), 0)["flows"]
        self.balance(flows["produce"], 11525, 11525)
        self.balance(flows["analyse"], 11525, 6028, filtered=11525 - 6028)
        self.assertEqual(self.found(), expected)

    def test_kills_lose_nothing(self):
        def judge():
            self.assertEqual(self.expected() - self.found(), collections.Counter())

        self.survive(2, judge, "--set", f"Prices={self.PRICES}")

    def test_the_ticker_is_bounded(self):
        flows = self.finish(self.run_pattern(2, "--until", "end", "--set", "Rate=1000", "--set", "Seconds=3"), 0)["flows"]
        self.balance(flows["produce"], 3000, 3000)
        analyse = flows["analyse"]
        self.balance(analyse, 3000, analyse["delivered"], filtered=3000 - analyse["delivered"])
        self.assertTrue(1200 < analyse["delivered"] < 1800) # half of them, by far


class Pattern3(Case):
    def test_every_trip_is_in_the_objects_once(self):
        with open(os.path.join(ROOT, "tests/golden/taxi/summary.json")) as f:
            year = json.load(f)["years"]["2018"]
        flows = self.finish(self.run_pattern(3, "--until", "end", "--set", "Demo=true"), 0)["flows"]
        self.balance(flows["feed"], year["rows"], year["rows"])
        self.balance(flows["deliver"], year["rows"], year["rows"])

        trips, bytes_json, fares, distance = set(), 0, 0, 0
        for key, data in self.objects("pattern3-output"):
            self.assertRegex(key, r"^data/year=\d{4}/month=\d\d/day=\d\d/hour=\d\d/pattern3-records-1-.*\.gz$")
            text = gzip.decompress(data)
            bytes_json += len(text)
            for line in text.splitlines():
                trip = json.loads(line)
                self.assertNotIn(trip["trip_id"], trips)
                trips.add(trip["trip_id"])
                fares += round(trip["fare_amount"] * 100)
                distance += round(trip["trip_distance"] * 100)
        self.assertEqual(len(trips), year["rows"])
        self.assertEqual(bytes_json, year["bytes_json"])
        self.assertEqual(fares, year["sums"]["fare_amount_cents"])
        self.assertEqual(distance, year["sums"]["trip_distance_hundredths"])

    def test_kills_lose_nothing(self):
        def judge():
            trips = {json.loads(line)["trip_id"] for _, data in self.objects("pattern3-output")
                     for line in gzip.decompress(data).splitlines()}
            self.assertEqual(len(trips), 119996)

        self.survive(3, judge, "--set", "Demo=true")


class Pattern4(Case):
    def expected(self):
        with open(os.path.join(ROOT, "tests/golden/taxi/fares.csv")) as f:
            rows = list(csv.DictReader(f))
        return {int(r["trip_id"]): r["expected_fare"] for r in rows if r["http_status"] == "200"}

    def found(self):
        """Trip and fare of every line."""
        for key, data in self.objects("pattern4-fares"):
            self.assertTrue(key.startswith("fares/"))
            for line in data.decode().splitlines():
                trip = json.loads(line, parse_float=str)
                yield trip["trip_id"], trip["expected_fare"]

    def test_every_20th_trip_has_its_fare_and_trip_0_is_in_the_queue(self):
        expected = self.expected()
        self.assertEqual(len(expected), 5999)

        run = self.run_pattern(4, "--until", "end", "--set", f"FarePort={free_port()}")
        summary = self.finish(run, 3)
        self.balance(summary["flows"]["replay"], 119996, 119996)
        self.balance(summary["flows"]["enrich"], 119996, 5999, filtered=113996, dead_lettered=1)
        self.balance(summary["flows"]["fare"], 6000, 6000)
        found = list(self.found())
        self.assertEqual(len(found), 5999)
        self.assertEqual(dict(found), expected)

        aws = free_port()
        self.start("local", "--port", str(aws), "--dir", self.local)
        wait_for("the local AWS", lambda: answers(aws))
        (message,) = self.drain(aws, "pattern4-trips-failed", 1)
        record = json.loads(base64.b64decode(message["kpipe"]["records"][0]["data"]))
        self.assertEqual(record["trip_id"], 0)
        self.assertIn("400", message["kpipe"]["reason"])

    def test_kills_lose_nothing(self):
        def judge():
            self.assertEqual(dict(self.found()), self.expected())

        self.survive(4, judge, "--set", f"FarePort={free_port()}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
