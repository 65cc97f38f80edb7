#!/usr/bin/env python3
"""model.py - three `kpipe run` of one application read a stream whose shards split and merge, while
they are started, stopped, killed and stalled at random.

    KPIPE=build/kpipe python3 tests/model/model.py [--seconds 180] [--seed N] [--calm]

Everything is real: processes, signals, time, the local AWS with the service's limits. The deck of
events follows from the seed. --calm leaves out kills and stalls, and then nothing may come twice.
books.py says what is judged. Prints TAP; --plant shows that it can fail.
"""
import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time

import world
from books import Books
from world import AwsError, Failed, Local, Producer, Worker, tail_of, tap, wait_for

STREAM, APPLICATION = "model", "model-app"
CHECKPOINT_S = 2.0       # of read.lua
NOTICED_S = 10.0         # after which a life that was stalled must know
CATCH_UP_S = 60
MOST_SHARDS = 8
CALM = ["split", "stop", "merge", "split", "start", "stop", "start", "merge"]
WILD = ["kill", "split", "stall", "stop", "merge", "kill", "start", "split", "start", "merge"]
PLANTS = ("lose", "repeat", "swap", "stranger")


class Gap:
    """From the end of a life until its shards are read elsewhere."""

    def __init__(self, kind, life, begin, shards):
        self.kind, self.life, self.begin = kind, life, begin
        self.open = set(shards)
        self.took = {}    # shard -> seconds
        self.judged = []  # the same, from the last change of the fleet: what is free is left to those
                          # whose share it is, and they may be new, or die in their turn

    def see(self, line, changes):
        if line.life != self.life and line.shard in self.open and line.at > self.begin:
            self.open.discard(line.shard)
            self.took[line.shard] = line.at - self.begin
            self.judged.append(
                line.at - max([self.begin, *(at for at in changes if at < line.at)]))


class Model:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.random = random.Random(f"{options.seed} events")
        self.books = Books()
        self.local = Local(folder)
        self.aws = self.local.client()
        self.lives = []
        self.stopping = []
        self.gaps = []
        self.changes = []  # when lives started, were killed, were stalled
        self.problems = []
        self.events = {}
        self.deck = []
        self.held = None  # a line that --plant keeps back
        self.begin = time.monotonic()
        self.aws.kinesis("CreateStream", StreamName=STREAM, ShardCount=2)
        self.producer = Producer(self.local.client(), STREAM, options.seed, options.rate,
                                 tell=self.books.tell_sent)

    # ---- what there is

    def now(self):
        return time.monotonic() - self.begin

    def say(self, text):
        print(f"# {self.now():6.1f} s  {text}", flush=True)

    def alive(self):
        """The lives that work: not stalled, not ending."""
        return [w for w in self.lives if w.code() is None and not w.is_stopping and
                w.stalled_until is None]

    def rows(self):
        try:
            return self.aws.rows(APPLICATION)
        except AwsError as error:
            if error.code == "ResourceNotFoundException":
                return []
            raise

    def shards_of(self, worker):
        return [row["leaseKey"] for row in self.rows()
                if worker.owns(row) and row.get("checkpoint") != "SHARD_END"]

    # ---- the files

    def read_all(self):
        lines = []
        at = self.now()
        for worker in self.lives:
            lines += self.plant(worker.read(at))
        return lines

    def plant(self, lines):
        """Spoils what was read, once, when the test is to prove itself."""
        what = self.options.plant
        if not lines or self.now() < 5 or what not in ("lose", "repeat", "swap"):
            return lines
        at = self.random.randrange(len(lines))
        if what == "swap":
            by_key = {}
            for i, line in enumerate(lines):
                first = by_key.setdefault(line.key, i)
                if first != i and lines[first].shard == line.shard:
                    lines[first], lines[i] = line, lines[first]
                    self.options.plant = None
                    return lines
            return lines
        self.options.plant = None
        if what == "lose":
            return lines[:at] + lines[at + 1:]
        return lines + [lines[at]]

    def look(self):
        """Reads the files and judges what is new."""
        lines, later = self.read_all(), self.read_all()
        self.books.take(lines, later)
        for gap in self.gaps:
            if gap.open:
                for line in lines + later:
                    gap.see(line, self.changes)
        for worker in self.lives:
            if worker.stalled_until is not None and self.now() >= worker.stalled_until:
                worker.stalled_until = None
                worker.send(signal.SIGCONT)
                self.say(f"life {worker.number} goes on")
            if worker.code() is not None and not worker.is_stopping:
                worker.is_stopping = True
                self.problems.append(f"life {worker.number} ended by itself with {worker.code()}:\n"
                                     + tail_of(worker.log()))
        for worker, since in list(self.stopping):
            self.check_stopped(worker, since)

    def check_stopped(self, worker, since):
        if worker.code() is None:
            if self.now() - since > world.STOP_LIMIT_S:
                self.problems.append(f"life {worker.number} did not end after SIGTERM")
                worker.destroy()
            return
        self.stopping.remove((worker, since))
        self.say(f"life {worker.number} ended with {worker.code()} after {self.now() - since:.1f} s")
        if worker.code() != 0:
            self.problems.append(f"life {worker.number} ended with {worker.code()}:\n"
                                 + tail_of(worker.log()))
            return
        counts = worker.counts()
        # One that was stalled has given up what its lost shards had in hand.
        given_up = counts["unsettled"] if worker.was_stalled else 0
        if counts["read"] != counts["delivered"] + given_up:
            self.problems.append(f"life {worker.number} stopped with {counts}")

    # ---- events: each returns False when it cannot happen now

    def worker(self, application=APPLICATION, *options):
        worker = Worker(self.folder, len(self.lives), self.local, {
            "Stream": STREAM, "Application": application, "Mode": self.options.mode}, options)
        self.lives.append(worker)
        return worker

    def start(self):
        if len(self.alive()) + sum(w.stalled_until is not None for w in self.lives) >= \
                self.options.workers:
            return False
        worker = self.worker()
        self.changes.append(self.now())
        self.say(f"life {worker.number} starts")
        return True

    def victim(self):
        """One of those that work, when another one works that can take over."""
        alive = self.alive()
        return self.random.choice(alive) if len(alive) >= min(2, self.options.workers) else None

    def stop(self):
        worker = self.victim()
        if not worker:
            return False
        self.gap("stop", worker)
        worker.is_stopping = True
        worker.send(signal.SIGTERM)
        self.stopping.append((worker, self.now()))
        return True

    def kill(self):
        worker = self.victim()
        if not worker:
            return False
        self.gap("kill", worker)
        worker.is_stopping = True
        worker.destroy()
        self.books.tell_trouble(worker.number, self.now() - CHECKPOINT_S - 5, self.now() + 1,
                                self.now())
        return True

    def stall(self):
        worker = self.victim()
        if not worker:
            return False
        self.gap("stall", worker)
        worker.send(signal.SIGSTOP)
        worker.was_stalled = True
        worker.stalled_until = self.now() + self.options.failover + self.random.uniform(2, 5)
        self.books.tell_trouble(worker.number, self.now() - CHECKPOINT_S - 5,
                                worker.stalled_until + NOTICED_S, self.now())
        return True

    def gap(self, kind, worker):
        shards = self.shards_of(worker)
        if kind != "stop":
            self.changes.append(self.now())
        self.say(f"{kind} of life {worker.number}, which has {short(shards)}")
        self.gaps.append(Gap(kind, worker.number, self.now(), shards))

    def split(self):
        shards = self.aws.open_shards(STREAM)
        if len(shards) >= MOST_SHARDS:
            return False
        shard = self.random.choice(shards)
        low, high = (int(shard["HashKeyRange"][end]) for end in ("StartingHashKey", "EndingHashKey"))
        middle = low + int((high - low) * self.random.uniform(0.3, 0.7))
        self.aws.kinesis("SplitShard", StreamName=STREAM, ShardToSplit=shard["ShardId"],
                         NewStartingHashKey=str(middle))
        self.say(f"split of {short([shard['ShardId']])}")
        return True

    def merge(self):
        shards = sorted(self.aws.open_shards(STREAM),
                        key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))
        if len(shards) <= 2:
            return False
        at = self.random.randrange(len(shards) - 1)
        pair = [shard["ShardId"] for shard in shards[at:at + 2]]
        self.aws.kinesis("MergeShards", StreamName=STREAM, ShardToMerge=pair[0],
                         AdjacentShardToMerge=pair[1])
        self.say(f"merge of {short(pair)}")
        return True

    def next_event(self):
        """The next card that can be played; what cannot goes under the deck."""
        cards = CALM if self.options.calm else WILD
        for _ in range(2 * len(cards)):
            if not self.deck:
                self.deck = self.random.sample(cards, len(cards))
            card = self.deck.pop()
            if getattr(self, card)():
                self.events[card] = self.events.get(card, 0) + 1
                return

    # ---- the whole

    def play(self):
        end = self.options.seconds
        for _ in range(self.options.workers):
            self.start()
        self.producer.start()
        if self.options.plant == "stranger":
            self.worker("stranger")
        due = 5.0
        while self.now() < end:
            if self.now() >= due:
                self.next_event()
                due = self.now() + self.random.uniform(0.5, 1.5) * self.options.every
            self.look()
            time.sleep(0.05)
        self.producer.finish()
        self.say(f"the producer stops after {self.producer.sent} records")
        while len(self.alive()) < self.options.workers and self.start():
            pass
        self.wait(CATCH_UP_S, "all is read", lambda: self.books.is_complete() and
                  not self.stopping and all(w.stalled_until is None for w in self.lives))

    def wait(self, limit_s, what, is_so):
        end = self.now() + limit_s * world.SLOW
        while True:
            self.look()
            if is_so():
                self.say(what)
                return True
            if self.now() > end:
                self.problems.append(f"not within {limit_s * world.SLOW:.0f} s: {what}")
                return False
            time.sleep(0.05)

    # ---- the lease table

    def unfair(self):
        """Why the table of running workers is not as it should be; None: it is."""
        alive = self.alive()
        counts = dict.fromkeys((w.number for w in alive), 0)
        rows = {row["leaseKey"]: row for row in self.rows()}
        for shard in self.aws.open_shards(STREAM):
            row = rows.get(shard["ShardId"])
            owners = [w.number for w in alive if row and w.owns(row)]
            if len(owners) != 1:
                return f"{shard['ShardId']} is {row and row.get('leaseOwner')}'s"
            counts[owners[0]] += 1
        if max(counts.values()) - min(counts.values()) > 1:
            return f"shards per life: {counts}"
        return None

    def leftovers(self):
        """What is wrong with the table once all have stopped."""
        shards = {shard["ShardId"]: shard for shard in self.aws.shards(STREAM)}
        last = {}
        for (shard, sequence, sub) in self.books.deliveries:
            last[shard] = max(last.get(shard, (0, 0)), (sequence, sub))
        rows = {row["leaseKey"]: row for row in self.rows() if "leaseCounter" in row}
        wrong = []
        for key, row in rows.items():
            is_open = key in shards and "EndingSequenceNumber" not in \
                shards[key]["SequenceNumberRange"]
            checkpoint = row.get("checkpoint", "none")
            if key not in shards:
                wrong.append(f"{key} is no shard of the stream")
            elif not is_open and checkpoint != "SHARD_END":
                wrong.append(f"{key} has ended and stands at {checkpoint}")
            elif is_open and key in last and (
                    not checkpoint.isdigit() or
                    (int(checkpoint), row["checkpointSubSequenceNumber"]) != last[key]):
                wrong.append(f"{key} stands at {checkpoint}."
                             f"{row.get('checkpointSubSequenceNumber')}, not {last[key]}")
            # Whose a row is whose shard has ended, or who had asked for it, is nobody's concern.
            wrong += [f"{key} has {name} {row[name]}" for name in
                      ("leaseOwner", "checkpointOwner", "pendingCheckpoint") if name in row and is_open]
        wrong += [f"{key} is open and has no row" for key, shard in shards.items()
                  if key not in rows and "EndingSequenceNumber" not in shard["SequenceNumberRange"]]
        return wrong

    def read_again(self):
        """What one more worker reads to the end of everything: must be nothing."""
        worker = self.worker(APPLICATION, "--until", "end")
        worker.is_stopping = True
        wait_for("a last worker ends", lambda: worker.code() is not None, 60)
        if worker.code() != 0:
            return f"it ended with {worker.code()}:\n" + tail_of(worker.log())
        read = worker.counts()["read"]
        return f"it read {read} records" if read else None

    # ---- the verdict

    def finish(self):
        """Ends everything in order, and gives the results."""
        unfair = ["never looked"]

        def is_fair():
            unfair[0] = self.unfair()
            return unfair[0] is None

        self.wait(40, "every open shard has one owner, and all have their share", is_fair)
        for worker in self.alive():
            worker.is_stopping = True
            worker.send(signal.SIGTERM)
            self.stopping.append((worker, self.now()))
        self.wait(world.STOP_LIMIT_S, "the last lives stop", lambda: not self.stopping)
        leftovers = self.leftovers()
        again = self.read_again()
        for shard, sequence, data, _ in self.aws.records(STREAM):
            for sub, (key, n) in enumerate(world.numbers_in(data)):
                self.books.tell_stream(shard, sequence, sub, key, n)
        garbled = [text for w in self.lives for text in w.garbled]
        complaints = [f"life {w.number}: {text}" for w in self.lives for text in w.complaints()]
        return [
            *self.books.results(),
            ("no line is garbled", not garbled, garbled[:5]),
            ("while they ran, each open shard had one owner, and each life its share",
             unfair[0] is None, unfair[0]),
            ("the lease table they left is in order", not leftovers, leftovers),
            ("one more worker finds nothing to read", again is None, again),
            ("no life ended or failed but as it was told", not self.problems,
             "\n".join(self.problems)),
            ("no life complained of an error", not complaints, complaints[:5]),
            *self.judge_gaps(),
        ]

    def judge_gaps(self):
        # The service lets nobody take over a subscription that is younger than five seconds.
        most = 5.0 if self.options.mode == "polling" else 10.0
        limits = {"kill": self.options.failover + most, "stall": self.options.failover + most,
                  "stop": most}
        results = []
        for trouble in self.books.troubles:
            n, age_s = self.books.read_again(trouble)
            self.say(f"of life {trouble.life}, killed or stalled after {trouble.at:.1f} s, {n} records "
                     f"came again, the oldest from {age_s:.1f} s before")
        for kind, limit_s in limits.items():
            gaps = [gap for gap in self.gaps if gap.kind == kind]
            judged = [s for gap in gaps for s in gap.judged]
            if not judged:
                continue
            longest = max(judged)
            for gap in gaps:
                self.say(f"after the {kind} of life {gap.life} another life read " + (", ".join(
                    f"{short([shard])} after {s:.1f} s" for shard, s in gap.took.items()) or "none"))
            results.append((f"after a {kind} its shards are read elsewhere within "
                            f"{limit_s * world.SLOW:.0f} s", longest <= limit_s * world.SLOW,
                            f"{longest:.1f} s"))
        return results

    def close(self):
        for process in [*self.lives, self.local]:
            if process.code() is None and getattr(process, "stalled_until", None) is not None:
                process.send(signal.SIGCONT)
            process.destroy()


def short(shards):
    return ", ".join(shard.rpartition("-")[2].lstrip("0") or "0" for shard in shards) or "nothing"


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--rate", type=float, default=500, help="records per second")
    parser.add_argument("--every", type=float, default=4, help="seconds between two events")
    parser.add_argument("--failover", type=float, default=10)
    parser.add_argument("--mode", default="polling", choices=("polling", "fan-out"))
    parser.add_argument("--calm", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leaves the folder")
    parser.add_argument("--plant", choices=PLANTS, help="a fault, to see that it is found")
    return parser.parse_args()


def main():
    options = parse()
    folder = tempfile.mkdtemp(prefix="kpipe-model-")
    print(f"# seed {options.seed}" + (f", in {folder}" if options.keep else ""), flush=True)
    model = Model(options, folder)
    try:
        model.play()
        results = model.finish()
        print(f"# {model.books.n_lines} lines, {model.books.n_twice()} of them again; events "
              + ", ".join(f"{n} {name}" for name, n in sorted(model.events.items())))
        is_good = tap(results)
        if not is_good:
            for worker in model.lives:
                print(f"# the end of the log of life {worker.number}:\n{tail_of(worker.log())}")
    except (Failed, AwsError) as error:
        print(f"not ok 1 - it went to its end\n# {error}\n1..1")
        is_good = False
    finally:
        model.close()
        if not options.keep:
            shutil.rmtree(folder)
    return 0 if is_good else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that children end too
    sys.exit(main())
