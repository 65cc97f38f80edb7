#!/usr/bin/env python3
"""kpipe and the Kinesis Client Library as one fleet: they share a stream and its lease table.

    fleet.py taker|assigned URL FOLDER KPIPE KCL2 KCL3

taker     KCL 2.x, KCL 3.x as it runs beside 2.x, and two kpipe: every worker takes its share
assigned  KCL 3.x and two kpipe: a leader assigns, first the Java worker and then, when that is killed, a kpipe

Workers come, are killed and stopped, shards are split and merged, while records are written. KCL2 and KCL3 are
class paths. KCL_SECONDS is how long it takes at least (0); from 120 on the fail-over time is KCL's own, 10 s.

What must hold, from the lease table (scanned four times a second) and from what the workers note:
  every record is delivered; those of a key in order, per life of a process
  who delivers a record of a shard has its lease, or had it no longer ago than the fail-over time
  a shard whose parents have ended is without a living owner no longer than a fail-over takes
  the first record of a child comes after the last new one of its parents
"""

import collections
import os
import random
import sys
import threading
import time

import aws
from workers import Kcl, Kpipe, Worker

SLOW = int(os.environ.get('SLOW', '1'))
SECONDS = int(os.environ.get('KCL_SECONDS', '0'))
KEYS = 40
SPACE = 2 ** 128


class Broken(Exception):
    pass


class Producer(threading.Thread):
    """Writes 20 records twenty times a second, of each key "key:0", "key:1" ..., in that order."""

    def __init__(self, url, stream):
        super().__init__(daemon=True)
        self.url, self.stream = url, stream
        self.written = collections.Counter()
        self.is_over = threading.Event()
        self.error = None

    def run(self):
        side = aws.Aws(self.url)
        rng = random.Random(4)
        try:
            while not self.is_over.wait(0.05):
                batch = []
                for _ in range(20):
                    key = rng.randrange(KEYS)
                    batch.append((f'k{key}', f'k{key}:{self.written[key]}', key * (SPACE // KEYS)))
                    self.written[key] += 1
                side.put(self.stream, batch)
        except Exception as error:
            self.error = error

    def finish(self):
        self.is_over.set()
        self.join()
        if self.error:
            raise self.error


class Row:
    def __init__(self, item):
        self.shard = item['leaseKey']
        self.holder = item.get('checkpointOwner') or item.get('leaseOwner')
        self.owner = item.get('leaseOwner')
        self.checkpoint = item['checkpoint']
        self.parents = item.get('parentShardId', [])
        self.has_ended = self.checkpoint == 'SHARD_END'


class Fleet:
    def __init__(self, url, folder, table, failover_ms):
        self.url, self.folder, self.table, self.failover = url, folder, table, failover_ms / 1000
        self.aws = aws.Aws(url)
        self.lock = 0  # how long others wait for a leader that is gone
        self.recheck = 0  # how often a KCL worker that does not lead looks whether it could
        self.workers = []
        self.rows = {}
        self.scanned = 0
        self.held = collections.defaultdict(list)   # shard: [from, until, worker or None], one after the other
        self.deliveries = []
        self.seen = {}                               # (key, n): when it was first delivered
        self.latest = {}                             # shard: {worker: when it delivered last}
        self.seen_parents = {}                       # shard: its parents
        self.began = time.time()
        self.aws.kinesis('CreateStream', StreamName=table, ShardCount=4)
        self.producer = Producer(url, table)
        self.producer.start()

    # ---- watching

    def who(self, owner):
        for worker in self.workers:
            if owner is not None and worker.owns(owner):
                return worker
        return None

    def may_be_read(self, row):
        parents = [self.rows[parent] for parent in row.parents if parent in self.rows]
        return not row.has_ended and all(parent.has_ended for parent in parents)

    def scan(self, now):
        self.rows = {item['leaseKey']: Row(item) for item in map(aws.flat, self.aws.scan(self.table))
                     if 'leaseCounter' in item}
        for row in self.rows.values():
            self.seen_parents[row.shard] = row.parents
            worker = self.who(row.holder)
            if worker is not None and not worker.is_alive():
                worker = None
            spans = self.held[row.shard]
            if not self.may_be_read(row):
                worker = 'nobody needed'
            if spans and spans[-1][2] is worker:
                spans[-1][1] = now
            else:
                spans.append([now, now, worker])
        self.scanned = now

    def tick(self):
        for worker in self.workers:
            for delivery in worker.poll():
                self.deliveries.append(delivery)
                self.seen.setdefault(delivery.data, delivery.at)
                self.latest.setdefault(delivery.shard, {})[worker] = delivery.at
        now = time.time()
        if now - self.scanned >= 0.25:
            self.scan(now)
        if self.producer.error:
            raise Broken(f'the producer: {self.producer.error}')

    def until(self, what, holds, seconds):
        end = time.time() + seconds * SLOW
        while not holds():
            if time.time() > end:
                raise Broken(f'not within {seconds} s: {what}; {self.describe()}')
            time.sleep(0.02)
            self.tick()

    def describe(self):
        return ', '.join(f'{row.shard[-4:]} {"ended" if row.has_ended else row.holder}'
                         for row in sorted(self.rows.values(), key=lambda row: row.shard))

    # ---- acting

    def add(self, worker):
        self.workers.append(worker)
        return worker

    def alive(self):
        return [worker for worker in self.workers if worker.is_alive()]

    def shares(self):
        """How many shards each living worker has to read."""
        shares = {worker: 0 for worker in self.alive()}
        for row in self.rows.values():
            holder = self.who(row.holder)
            if holder in shares and self.may_be_read(row):
                shares[holder] += 1
        return shares

    def is_shared(self, least=1):
        """Every shard is held, and every worker has some."""
        shares = self.shares()
        open_rows = [row for row in self.rows.values() if self.may_be_read(row)]
        return len(open_rows) > 0 and sum(shares.values()) == len(open_rows) and min(shares.values()) >= least

    def of(self, worker):
        return [row.shard for row in self.rows.values() if self.may_be_read(row) and self.who(row.holder) is worker]

    def gone(self, worker, what, at, shards, seconds):
        """Waits until others have the shards of one that went at that time, and read them."""
        def next_owner(shard):
            return next(((since - at, holder.name) for since, _, holder in self.held[shard]
                         if since > at and isinstance(holder, Worker) and holder is not worker), None)

        def next_reader(shard):
            return min(((d.at - at, d.worker.name) for d in self.deliveries[before:]
                        if d.shard == shard and d.worker is not worker and d.at > at), default=None)

        def is_over(shard):
            return shard not in self.rows or self.rows[shard].has_ended or next_owner(shard) and next_reader(shard)

        before = len(self.deliveries)
        self.until(f'others read {shards} of {worker.name}', lambda: all(is_over(shard) for shard in shards), seconds)
        for shard in shards:
            owned, read = next_owner(shard), next_reader(shard)
            if owned and read:
                note(f'{what}: {shard} owned again after {owned[0]:.1f} s, read again after {read[0]:.1f} s by {read[1]}')

    def kill(self, worker, what, seconds):
        shards = self.of(worker)
        self.gone(worker, what, worker.kill(), shards, seconds)

    def stop(self, worker, what, seconds):
        shards = self.of(worker)
        at = worker.ask()
        self.until(f'{worker.name} stops', lambda: not worker.is_alive(), 45)
        code = worker.process.returncode
        note(f'{worker.name} ended after {worker.ended - at:.1f} s')
        check(f'{worker.name} ends cleanly', code in (0, 143), f'exit code {code}: {worker.tail()}')
        self.gone(worker, what, at, shards, seconds)

    def reshard(self):
        """A split, and a merge of two others."""
        shards = sorted((shard for shard in self.aws.shards(self.table)
                         if 'EndingSequenceNumber' not in shard['SequenceNumberRange']),
                        key=lambda shard: int(shard['HashKeyRange']['StartingHashKey']))
        low, high = (int(shards[0]['HashKeyRange'][f'{which}HashKey']) for which in ('Starting', 'Ending'))
        self.aws.kinesis('SplitShard', StreamName=self.table, ShardToSplit=shards[0]['ShardId'],
                         NewStartingHashKey=str((low + high) // 2))
        self.aws.kinesis('MergeShards', StreamName=self.table, ShardToMerge=shards[-2]['ShardId'],
                         AdjacentShardToMerge=shards[-1]['ShardId'])
        closed = {shards[0]['ShardId'], shards[-2]['ShardId'], shards[-1]['ShardId']}
        at = time.time()
        children = {shard['ShardId'] for shard in self.aws.shards(self.table)
                    if shard.get('ParentShardId') in closed or shard.get('AdjacentParentShardId') in closed}
        self.until(f'{closed} end and {children} are read',
                   lambda: all(shard not in self.rows or self.rows[shard].has_ended for shard in closed)
                   and all(shard in self.latest for shard in children), 60 + 4 * self.failover)
        note(f'a split and a merge: all three children are read after {time.time() - at:.1f} s')

    def finish(self):
        left = SECONDS - (time.time() - self.began)
        if left > 0:
            end = time.time() + left
            self.until('the time is over', lambda: time.time() > end, left + 10)
        self.producer.finish()
        wanted = {f'k{key}:{n}' for key, count in self.producer.written.items() for n in range(count)}
        try:
            self.until('every record is delivered', lambda: len(self.seen) >= len(wanted), 60 + 4 * self.failover)
        except Broken as error:
            note(str(error))
        self.judge(wanted)

    # ---- judging

    def judge(self, wanted):
        missing = sorted(wanted - set(self.seen))
        check(f'{len(wanted)} records were written and all of them delivered', not missing and set(self.seen) == wanted,
              f'{len(missing)} are missing: {missing[:10]}; strange: {sorted(set(self.seen) - wanted)[:5]}')
        wrong = self.out_of_order()
        check('the records of a key come in order, per life of a process', not wrong, '; '.join(wrong[:5]))
        wrong = self.without_lease()
        check('who delivers a record has its lease, or had it a fail-over time ago', not wrong, '; '.join(wrong[:5]))
        wrong = self.early_children()
        check('children begin after their parents', not wrong, '; '.join(wrong[:5]))
        longest = self.longest_gap()
        limit = (4 * self.failover + 10 + self.lock + self.recheck) * SLOW
        check(f'no shard is without a living owner for longer than {limit:.0f} s', longest[0] <= limit, f'{longest}')
        note(f'longest without a living owner: {longest[0]:.1f} s ({longest[1]}); delivered more than once: '
             f'{len(self.deliveries) - len(self.seen)} of {len(self.deliveries)}')
        for name, count in collections.Counter(d.worker.name for d in self.deliveries).items():
            note(f'{name}: {count} records')

    def out_of_order(self):
        highest, had, wrong = {}, set(), []
        for d in self.deliveries:
            n = int(d.data.split(':')[1])
            if (d.worker, d.data) in had:
                continue  # again, from a checkpoint
            had.add((d.worker, d.data))
            before = highest.get((d.worker, d.key), -1)
            if n < before:
                wrong.append(f'{d.worker.name}: {d.key}:{before} and then {n}')
            highest[d.worker, d.key] = max(n, before)
        return wrong

    def without_lease(self):
        wrong = []
        # Between two looks at the table a lease may be taken and stolen again: of that the worker itself tells.
        taken = {worker: worker.taken() for worker in self.workers}
        for d in self.deliveries:
            since = d.at - self.failover - SLOW
            if any(since <= at <= d.at + SLOW for at in taken.get(d.worker, {}).get(d.shard, ())):
                continue
            if not any(worker is d.worker and until >= since and start <= d.at + SLOW
                       for start, until, worker in self.held[d.shard]):
                wrong.append(f'{d.worker.name} delivered {d.data} of {d.shard} at {d.at - self.began:.2f} s; held: '
                             + self.spans(d.shard))
        return wrong

    def spans(self, shard):
        return ' '.join(f'{getattr(worker, "name", "-")}@{since - self.began:.2f}..{until - self.began:.2f}'
                        for since, until, worker in self.held[shard])

    def early_children(self):
        last, first, wrong = {}, {}, []
        had = set()
        for d in self.deliveries:
            first[d.shard] = min(d.at, first.get(d.shard, d.at))
            if d.data not in had:
                had.add(d.data)
                last[d.shard] = max(d.at, last.get(d.shard, d.at))
        for shard, parents in self.seen_parents.items():
            for parent in parents:
                if shard in first and parent in last and first[shard] < last[parent] - 0.3:
                    wrong.append(f'{shard} begins {last[parent] - first[shard]:.2f} s before {parent} has ended')
        return wrong

    def longest_gap(self):
        longest = (0, 'none')
        for shard, spans in self.held.items():
            for since, until, worker in spans:
                if worker is None:
                    longest = max(longest, (until - since, shard))
        return longest

    def close(self):
        self.producer.is_over.set()
        for worker in self.workers:
            worker.close()


count = failed = 0


def note(text):
    print(f'# {text}', flush=True)


def check(text, holds, why=''):
    global count, failed
    count += 1
    if not holds:
        failed += 1
    print(f'{"ok" if holds else "not ok"} {count} - {text}', flush=True)
    if not holds and why:
        note(why)


def main():
    how, url, folder, kpipe, kcl2, kcl3 = sys.argv[1:]
    is_long = SECONDS >= 120
    failover_ms = 10000 if is_long else 3000
    fleet = Fleet(url, folder, f'fleet-{how}', failover_ms)
    patience = 60 + 6 * fleet.failover

    def add_kpipe(name):
        return fleet.add(Kpipe(name, folder, kpipe, url, Stream=fleet.table, Application=fleet.table,
                               Failover=f'{failover_ms}ms'))

    def add_kcl(name, path, **params):
        return fleet.add(Kcl(name, folder, path, url, stream=fleet.table, application=fleet.table,
                             failover=failover_ms, **params))

    def add_kcl3(name):
        if how == 'taker':
            return add_kcl(name, kcl3, client='COMPATIBLE_WITH_2X_PHASE1')
        fleet.lock = 120 if is_long else 10
        fleet.recheck = 30
        return add_kcl(name, kcl3, lock=fleet.lock * 1000)

    try:
        a = add_kpipe('kpipe-a')
        b = add_kpipe('kpipe-b')
        fleet.until('two kpipe share the stream', fleet.is_shared, patience)
        java3 = add_kcl3('java3-a')
        java2 = add_kcl('java2-a', kcl2) if how == 'taker' else None
        fleet.until('all workers share the stream', fleet.is_shared, patience)
        check('kpipe and KCL share the stream', True)
        fleet.reshard()
        fleet.until('all workers share the stream', fleet.is_shared, patience)
        fleet.kill(b, 'kill -9 of a kpipe', patience)
        fleet.kill(java2 or java3, 'kill -9 of a Java worker' + ('' if java2 else ', the leader'),
                   patience + (0 if java2 else 150))
        check('the shards of killed workers are read by others', True)
        if how == 'taker':
            fleet.until('all workers share the stream', fleet.is_shared, patience)
            add_kpipe('kpipe-c')
            fleet.until('all workers share the stream', fleet.is_shared, patience)
            fleet.stop(java3, 'a clean stop of a Java worker', patience)
            java3 = add_kcl3('java3-b')
        else:
            java3 = add_kcl3('java3-b')
        fleet.until('all workers share the stream', fleet.is_shared, patience)
        fleet.stop(a, 'a clean stop of a kpipe', patience)
        fleet.finish()
    except Broken as error:
        check(str(error), False)
        for worker in fleet.workers:
            for line in worker.tail():
                note(f'{worker.name}: {line}')
    finally:
        fleet.close()
    note(f'{how}: {time.time() - fleet.began:.0f} s, fail-over time {failover_ms} ms')
    print(f'1..{count}')
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
