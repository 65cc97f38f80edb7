#!/usr/bin/env python3
"""faults.py - one `kpipe run` writes numbered records to a stream and another reads them, while the
AWS between them throttles, fails, resets, expires, refuses parts, is slow, and gives a lease away.

    KPIPE=build/kpipe python3 tests/model/faults.py [--seconds 4] [--only throttle] [--aggregate]

Each fault lasts so many seconds under load, then both sides must go on at once. In the end nothing
is lost, order per key is kept on both sides, nothing comes twice but where the fault says so, and
no fault made more calls than storms() allows. Prints TAP.
"""
import argparse
import http.server
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time

import world
from books import Books, Written, storms
from world import AwsError, Failed, Local, Process, Worker, tail_of, tap, wait_for

STREAM, APPLICATION, FOREIGNER = "model", "model-app", "foreign:1:1"
SHARDS = 4
RATE = 800            # records per second
N_KEYS = 600          # more than a request of PutRecords has entries
GO_ON_S = 8           # until both sides move again
FAILOVER_S = 10
KEYS_S = 900          # temporary keys last so long, the shortest time there is


class Fault:
    """What is done to the AWS, and what may come of it."""

    def __init__(self, name, *rules, twice_in_stream=False, stands_still=False, clock_s=0):
        self.name = name
        self.rules = list(rules)
        self.clock_s = clock_s
        self.twice_in_stream = twice_in_stream  # an answer may be lost: a record is written again
        self.stands_still = stands_still        # nothing can move meanwhile


def rule(operation, fault=None, **members):
    return {"operation": operation, **({"fault": fault} if fault else {}), **members}


BUSY = ("GetRecords", "PutRecords", "UpdateItem")  # what goes on all the time
FAULTS = [
    Fault("throttle", *[rule(op, "throttle", probability=0.5) for op in BUSY],
          rule("ListShards", "throttle", probability=0.5)),
    Fault("5xx", *[rule(op, "error", status=status, code=code, message="planted", probability=0.3)
                   for op in BUSY for status, code in
                   ((500, "InternalFailure"), (503, "ServiceUnavailable"))]),
    Fault("reset", *[rule(op, how, probability=0.35 if op == "UpdateItem" else 0.15) for op in BUSY
                     for how in ("reset_before", "reset_within", "reset_after")],
          twice_in_stream=True),
    Fault("expired iterator", rule("GetRecords", "expired_iterator", probability=0.3)),
    # The services' clock goes so far ahead that keys and iterators are too old, and stays there; not
    # so far that dates of signatures are.
    Fault("expired token", clock_s=KEYS_S - 10),
    Fault("partial failure", rule("PutRecords", "partial", share=0.3)),
    Fault("slow kinesis", {"service": "kinesis", "latency_ms": [200, 800]}),
    Fault("slow dynamodb", {"service": "dynamodb", "latency_ms": [1000, 2500]}),
    Fault("outage", {"operation": "*", "fault": "error", "status": 503,
                     "code": "ServiceUnavailable", "message": "planted"}, stands_still=True),
    Fault("lease loss"),
]


class Credentials(http.server.ThreadingHTTPServer):
    """Gives out temporary keys of 15 minutes as a container's agent does, new ones each time; and
    says that they last for long, so that only a refusal makes a process ask again."""

    def __init__(self, aws):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.aws = aws
        self.given = 0
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.given += 1
            key, secret, token = self.server.aws.temporary_keys(KEYS_S)
            body = json.dumps({
                "AccessKeyId": key, "SecretAccessKey": secret, "Token": token,
                "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400)),
            }).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    def environment(self):
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{self.server_port}/"}


class Run:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.results = []
        self.books = Books()
        self.begin = time.monotonic()
        self.local = Local(folder, "--verify-signatures")
        self.aws = self.local.client()
        self.aws.kinesis("CreateStream", StreamName=STREAM, ShardCount=SHARDS)
        self.credentials = Credentials(self.aws)
        self.may_be_twice = self.is_ending = False
        self.last = {}  # key -> its last number in the stream
        self.calm = {}
        env = {**self.local.environment(), **self.credentials.environment()}
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            del env[name]
        self.local.environment = lambda: env
        self.writer = self.start_writer(env)
        self.reader = Worker(folder, 0, self.local, {"Stream": STREAM, "Application": APPLICATION})

    def start_writer(self, env):
        path = os.path.join(self.folder, "in.jsonl")
        rng = random.Random(self.options.seed)
        keys = [f"k{i:03d}" for i in range(N_KEYS)]
        numbers = dict.fromkeys(keys, 0)
        with open(path, "w", encoding="ascii") as f:
            for i in range(int(RATE * 600)):  # longer than any run
                # When the service refuses one of two entries of a key, they change places. So a key
                # comes once in a request; but for aggregates, of which a shard gets one at a time.
                key = rng.choice(keys) if self.options.aggregate else keys[i % N_KEYS]
                f.write(json.dumps({"t": 1700000000000 + i * 1000 // RATE, "k": key,
                                    "n": numbers[key]}) + "\n")
                numbers[key] += 1
        self.summary = os.path.join(self.folder, "write.json")
        arguments = [world.KPIPE, "run", "--aws", "--quiet", "--summary", self.summary, "--set",
                     "In=" + path, "--set", "Stream=" + STREAM, "--set",
                     "Leases=" + os.path.join(self.folder, "write.lease")]
        if self.options.aggregate:
            arguments += ["--set", "Aggregate=true"]
        return Process(self.folder, "write", [*arguments, os.path.join(world.HERE, "write.lua")],
                       env)

    # ---- looking

    def now(self):
        return time.monotonic() - self.begin

    def say(self, text):
        print(f"# {self.now():6.1f} s  {text}", flush=True)

    def result(self, what, is_so, why=""):
        self.results.append((what, is_so, why))

    def look(self):
        """Reads what the reader has written."""
        lines = self.reader.read(self.now())
        self.books.take(lines, [])
        for process in (self.reader, self.writer):
            if process.code() is not None and not self.is_ending:
                raise Failed(f"{process.name} ended by itself with {process.code()}:\n"
                             + tail_of(process.log(), 30))
        return lines

    def watch(self, seconds):
        """The lines of so many seconds."""
        end = self.now() + seconds
        lines = []
        while self.now() < end:
            lines += self.look()
            time.sleep(0.05)
        return lines

    def stored(self):
        """Records in the stream by shard."""
        state = self.aws.judge("GET", "/_kpipe/state")
        stream, = (s for s in state["services"]["kinesis"]["streams"] if s["name"] == STREAM)
        return {shard["id"]: shard["records"] for shard in stream["shards"]}

    def goes_on(self, what):
        """Both sides move in all shards."""
        begin = self.now()
        stored = self.stored()
        missing = set(stored)
        newest = dict(self.books.life_max)
        while self.now() - begin < GO_ON_S * world.SLOW:
            for line in self.look():
                if line.n > newest.get((line.life, line.key), -1):
                    missing.discard(line.shard)
            grew = all(n > stored[shard] for shard, n in self.stored().items() if shard in stored)
            if grew and not missing:
                self.result(f"after {what} both go on within {GO_ON_S * world.SLOW:.0f} s", True)
                return self.now() - begin
            time.sleep(0.05)
        self.result(f"after {what} both go on within {GO_ON_S * world.SLOW:.0f} s", False,
                    f"written: {grew}; not read: {sorted(missing)}")
        return self.now() - begin

    # ---- the faults

    def measure_calm(self):
        wait_for("records are read", self.look, 30)
        self.goes_on("the start")
        before, begin = self.aws.operations(), self.now()
        lines = self.watch(self.options.seconds)
        calls = {op: n - before.get(op, 0) for op, n in self.aws.operations().items()}
        seconds = self.now() - begin
        self.calm = {op: n / seconds for op, n in calls.items()}
        self.say(f"calm: {len(lines) / seconds:.0f} records/s; " + tell(calls, seconds))

    def suffer(self, fault):
        if fault.clock_s:
            self.watch(max(0, 15 - self.now()))  # until the first keys are old enough
        given = self.credentials.given
        before, begin = self.aws.operations(), self.now()
        world.clock_ahead_s += fault.clock_s
        self.aws.judge("POST", "/_kpipe/faults", {
            "clock_ms": world.clock_ahead_s * 1000,
            "rules": [{**one, "seed": self.options.seed + i} if
                      {"probability", "share", "latency_ms"} & set(one) else one
                      for i, one in enumerate(fault.rules)]})
        lines = self.watch(self.options.seconds)
        rules = self.aws.judge("GET", "/_kpipe/faults")["rules"]
        for one in rules:
            self.aws.judge("DELETE", f"/_kpipe/faults/{one['id']}")
        took_s = self.goes_on(fault.name)
        seconds = self.now() - begin
        calls = {op: n - before.get(op, 0) for op, n in self.aws.operations().items()}
        self.say(f"{fault.name}: {len(lines) / self.options.seconds:.0f} records/s, goes on after "
                 f"{took_s:.1f} s; {sum(r['hits'] for r in rules)} hits; " + tell(calls, seconds))
        self.may_be_twice |= fault.twice_in_stream
        missed = [r["operation"] for r in rules if not r["hits"] and r["operation"] != "ListShards"]
        self.result(f"{fault.name} happened", not missed, f"not to {missed}")
        storm = storms(calls, seconds, self.calm, SHARDS)
        self.result(f"{fault.name} makes no storm of calls", not storm, "; ".join(storm))
        if not fault.stands_still:
            self.result(f"records move on under {fault.name}", len(lines) > 0)
        if fault.clock_s:
            self.result("each process fetches new credentials once",
                        self.credentials.given - given == 2,
                        f"{self.credentials.given - given} were fetched")

    # ---- a lease that another worker takes

    def row(self, shard):
        row, = (r for r in self.aws.rows(APPLICATION) if r["leaseKey"] == shard)
        return row

    def write_row(self, shard, change, owner):
        """A write of the foreign worker, as KCL does it: on the counter. Tries until it is the
        first; None: the row is not `owner`'s any more."""
        while True:
            row = self.row(shard)
            if owner and row.get("leaseOwner") != owner:
                return None
            try:
                self.aws.dynamodb(
                    "UpdateItem", TableName=APPLICATION, Key={"leaseKey": {"S": shard}},
                    ConditionExpression="leaseCounter = :was", UpdateExpression=change,
                    ExpressionAttributeValues={
                        ":was": {"N": str(row["leaseCounter"])},
                        ":now": {"N": str(row["leaseCounter"] + 1)},
                        **({":me": {"S": FOREIGNER}} if ":me" in change else {})})
                return row
            except AwsError as error:
                if error.code != "ConditionalCheckFailedException":
                    raise

    def lose_lease(self):
        shard = min(row["leaseKey"] for row in self.aws.rows(APPLICATION)
                    if self.reader.owns(row))
        before, begin = self.aws.operations(), self.now()
        self.write_row(shard, "SET leaseOwner = :me, leaseCounter = :now", None)
        taken = self.now()
        last, others, kept = taken, 0, True
        for _ in range(4):
            for line in self.watch(2):
                if line.shard == shard:
                    last = line.at
                else:
                    others += 1
            kept = kept and self.write_row(shard, "SET leaseCounter = :now", FOREIGNER)
        self.result("a lease that another has taken is read no more after a renewal is due",
                    last - taken < (FAILOVER_S / 3 + 1.5) * world.SLOW, f"{last - taken:.1f} s")
        self.result("the other shards are read meanwhile", others > 0)
        self.result("it is not taken from an owner that renews it and has its share", bool(kept),
                    f"{self.row(shard).get('leaseOwner')} has it")
        self.write_row(shard, "SET leaseCounter = :now REMOVE leaseOwner", FOREIGNER)
        took_s = self.goes_on("a lease was lost and is free again")
        seconds = self.now() - begin
        calls = {op: n - before.get(op, 0) for op, n in self.aws.operations().items()}
        self.books.tell_trouble(0, begin - 5, self.now() + 1)
        storm = [text for text in storms(calls, seconds, self.calm, SHARDS)
                 if not text.startswith("Scan")]  # the foreigner's
        self.result("a lease loss makes no storm of calls", not storm, "; ".join(storm))
        self.say(f"lease loss: last record after {last - taken:.1f} s; read again {took_s:.1f} s "
                 "after it was free; " + tell(calls, seconds))

    # ---- the whole

    def play(self):
        self.measure_calm()
        for fault in FAULTS:
            if self.options.only and self.options.only not in fault.name:
                continue
            if fault.rules or fault.clock_s:
                self.suffer(fault)
            else:
                self.lose_lease()

    def stop(self):
        self.is_ending = True
        code = self.writer.end(signal.SIGTERM)
        self.result("the writer stops with 0", code == 0, f"{code}\n" + tail_of(self.writer.log()))
        with open(self.summary, encoding="utf-8") as f:
            counts = json.load(f)["flows"]["main"]
        self.result("it has delivered all that it read",
                    counts["delivered"] == counts["read"] and not counts["unsettled"], str(counts))
        n_numbers = self.judge_stream()
        self.result("each of its records is in the stream", n_numbers == counts["delivered"],
                    f"{n_numbers} are, {counts['delivered']} were delivered")
        for key, n in self.last.items():
            self.books.sent[key] = n + 1
        end = self.now() + 30 * world.SLOW
        while not self.books.is_complete() and self.now() < end:
            self.look()
            time.sleep(0.05)
        code = self.reader.end(signal.SIGTERM)
        self.result("the reader stops with 0", code == 0, f"{code}\n" + tail_of(self.reader.log()))
        self.books.take(self.reader.read(self.now()), [])
        complaints = self.reader.complaints() + [
            line for line in self.writer.log().splitlines() if " plugin.misbehaved " in line]
        self.result("nobody complained of an error", not complaints, complaints[:5])
        self.results += self.books.results()

    def judge_stream(self):
        """What the writer made of it: all numbers of a key, for the first time in order."""
        written = Written()
        for shard, sequence, data, _ in self.aws.records(STREAM):
            for sub, (key, n) in enumerate(world.numbers_in(data)):
                self.books.tell_stream(shard, sequence, sub, key, n)
                written.tell(shard, key, n)
        self.last = written.last
        holes, again = written.holes(), written.again
        self.say(f"{written.count()} records in the stream, {again} of them again")
        self.result("the writer left nothing out", not holes, f"{len(holes)}: {holes[:5]}")
        self.result("the writer kept the order per key", not written.disorder,
                    f"{len(written.disorder)} times not: {written.disorder[:5]}")
        self.result("the writer wrote nothing twice but where answers were lost",
                    self.may_be_twice or not again, f"{again} records")
        return written.count()

    def close(self):
        for process in (getattr(self, name, None) for name in ("writer", "reader", "local")):
            if process:
                process.destroy()
        self.credentials.shutdown()
        self.credentials.server_close()


def tell(calls, seconds):
    return ", ".join(f"{operation} {n / seconds:.1f}/s" for (_, operation), n
                     in sorted(calls.items()) if n and n / seconds >= 0.1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4, help="that a fault lasts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="faults with this in their name")
    parser.add_argument("--aggregate", action="store_true", help="the writer writes aggregates")
    parser.add_argument("--keep", action="store_true", help="leaves the folder")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="kpipe-faults-")
    if options.keep:
        print(f"# in {folder}")
    run = Run(options, folder)
    try:
        run.play()
        run.stop()
    except (Failed, AwsError) as error:
        run.result("it went to its end", False, str(error))
    finally:
        run.close()
    is_good = tap(run.results)
    if not is_good:
        for process in (run.writer, run.reader):
            print(f"# the end of the log of {process.name}:\n{tail_of(process.log(), 40)}")
    if not options.keep:
        shutil.rmtree(folder)
    return 0 if is_good else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that children end too
    sys.exit(main())
