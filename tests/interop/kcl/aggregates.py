#!/usr/bin/env python3
"""Aggregated records of the Kinesis Producer Library and of kpipe, read by the other and by KCL, in turns.

    aggregates.py URL FOLDER KPIPE KCL2 KCL3 KPL

All readers are one application: each goes on where the one before has stopped, of another make, and is given what was
written since then, each record once. KPL is the class path of the writer; "" leaves its parts out.
"""

import collections
import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import aws
from workers import JAVA, HERE, Kcl, Kpipe

SLOW = int(os.environ.get('SLOW', '1'))
STREAM = 'aggregates'
KEYS, EACH = 12, 100
FAILOVER = 2000

count = failed = 0


def check(text, holds, why=''):
    global count, failed
    count += 1
    failed += not holds
    print(f'{"ok" if holds else "not ok"} {count} - {text}', flush=True)
    if not holds and why:
        print('# ' + str(why)[:1500].replace('\n', '\n# '), flush=True)


class Turns:
    def __init__(self, url, folder, kpipe, kcl2, kcl3, kpl):
        self.url, self.folder, self.kpipe = url, folder, kpipe
        self.paths = {2: kcl2, 3: kcl3}
        self.kpl = kpl
        self.turn = 0
        self.aws = aws.Aws(url)
        self.aws.kinesis('CreateStream', StreamName=STREAM, ShardCount=3)

    def run(self, command, env):
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=90 * SLOW)
        if done.returncode:
            raise RuntimeError(f'{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}')
        return done.stdout

    def requests(self, service, operation):
        """How many such requests the local AWS has had, and how many failed."""
        with urllib.request.urlopen(f'{self.url}/_kpipe/state', timeout=30) as answer:
            found = json.load(answer)['services'][service]['operations'].get(operation, {})
        return found.get('requests', 0), found.get('errors', 0)

    # Writers answer what they wrote: data by key.

    def write_kpl(self):
        at = urllib.parse.urlsplit(self.url)
        temp = os.path.join(self.folder, 'kpl')
        os.makedirs(temp, exist_ok=True)
        out = self.run([*JAVA, '-cp', self.kpl, 'KplWriter', 'host=127.0.0.1', f'port={at.port}', f'stream={STREAM}',
                        f'temp={temp}', f'keys={KEYS}', f'each={EACH}', f'tag=t{self.turn}'], dict(os.environ))
        *lines, last = out.splitlines()
        written = collections.defaultdict(list)
        places = collections.Counter()
        for line in lines:
            shard, sequence, key, data = line.split('\t')
            written[key].append(data)
            places[shard, sequence] += 1
        check(f'KPL: {len(lines)} records go into {len(places)} of the stream, without an error',
              len(lines) == KEYS * EACH and len(places) < len(lines) / 2 and last == f'attempts {len(lines)}', last)
        return written

    def write_kpipe(self):
        name = os.path.join(self.folder, f'in{self.turn}.jsonl')
        written = collections.defaultdict(list)
        with open(name, 'w', encoding='utf-8') as lines:
            for i in range(KEYS * EACH):
                key = f'p{i % KEYS}'
                written[key].append(f'{{"k":"{key}","n":"t{self.turn}:{i // KEYS}"}}')
                lines.write(written[key][-1] + '\n')
        self.run([self.kpipe, 'run', '--aws', '--workers', '1', '--quiet', f'--set=Stream={STREAM}', f'--set=In={name}',
                  os.path.join(HERE, 'write.lua')],
                 dict(os.environ, AWS_ENDPOINT_URL=self.url, KPIPE_DIR=os.path.join(self.folder, 'write')))
        return written

    # Readers.

    def reader(self, kind, mode):
        name = f'reader-{self.turn}'
        if kind == 'kpipe':
            return Kpipe(name, self.folder, self.kpipe, self.url, Stream=STREAM, Application=STREAM,
                         Failover=f'{FAILOVER}ms', Mode=mode)
        more = {'client': 'COMPATIBLE_WITH_2X_PHASE1'} if kind == 3 else {}
        return Kcl(name, self.folder, self.paths[kind], self.url, stream=STREAM, application=STREAM,
                   failover=FAILOVER, mode=mode, metrics='DETAILED', **more)

    def take(self, what, kind, mode, writes):
        self.turn += 1
        written = writes()
        wanted = sum(len(data) for data in written.values())
        began = time.monotonic()
        reader = self.reader(kind, mode)
        try:
            got = []
            end = time.monotonic() + 90 * SLOW
            while len(got) < wanted and time.monotonic() < end and reader.is_alive():
                time.sleep(0.02)
                got += reader.poll()
            read_after = time.monotonic() - began
            reader.ask()
            reader.process.wait(60 * SLOW)
            got += reader.poll()
            read = collections.defaultdict(list)
            for record in got:
                read[record.key].append(record.data)
            same = {key: sorted(data) for key, data in read.items()} == {key: sorted(data) for key, data in written.items()}
            check(f'{what}: {wanted} records, each once', same,
                  f'{len(got)} came, {len(set(d.data for d in got))} different: {[d.data for d in got][:5]}; '
                  + '\n'.join(reader.tail()))
            print(f'# read after {read_after:.1f} s, stopped after {time.monotonic() - began:.1f} s')
            if writes == self.write_kpipe:
                check(f'{what}: in order', dict(read) == dict(written))
        finally:
            reader.close()


def main():
    turns = Turns(*sys.argv[1:])
    if turns.kpl:
        turns.take('what KPL wrote, read by kpipe', 'kpipe', 'polling', turns.write_kpl)
    else:
        turns.take('what kpipe wrote, read by kpipe', 'kpipe', 'polling', turns.write_kpipe)
    turns.take('what kpipe wrote, read by KCL 2.x', 2, 'polling', turns.write_kpipe)
    turns.take('what kpipe wrote, read by KCL 3.x with fan-out', 3, 'fan-out', turns.write_kpipe)
    if turns.kpl:
        turns.take('what KPL wrote, read by kpipe with fan-out', 'kpipe', 'fan-out', turns.write_kpl)
    sent, refused = turns.requests('cloudwatch', 'PutMetricData')
    check(f'KCL puts its metrics: {sent} requests', sent > 0 and refused == 0, f'{refused} failed')
    print(f'1..{count}')
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
