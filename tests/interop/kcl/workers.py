"""Workers of a fleet as processes: kpipe and the Kinesis Client Library; what they were given, as they note it."""

import datetime
import json
import os
import re
import signal
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
JAVA = ['java', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx256m', '-Dfile.encoding=UTF-8',
        '-Dorg.slf4j.simpleLogger.showDateTime=true', '-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS']


class Delivery:
    __slots__ = ('at', 'worker', 'shard', 'sequence', 'sub', 'key', 'data')

    def __init__(self, at, worker, shard, sequence, sub, key, data):
        self.at, self.worker, self.shard = at, worker, shard
        self.sequence, self.sub, self.key, self.data = sequence, sub, key, data


class Worker:
    """One life of one process. `out` grows as it reads; poll() gives what is new."""

    def __init__(self, name, folder):
        self.name = name
        self.out = os.path.join(folder, f'{name}.out')
        self.log = os.path.join(folder, f'{name}.log')
        self.process = None
        self.started = self.ended = None
        self.events = []
        self.file = None
        self.rest = b''

    def start(self, command, env):
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.started = time.time()

    def owns(self, owner):
        """Whether that leaseOwner means this process."""
        return owner == self.name

    def is_alive(self):
        if self.ended is None and self.process.poll() is not None:
            self.ended = time.time()
        return self.ended is None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.ended = time.time()
        return self.ended

    def ask(self):
        """Asks for a clean stop; is_alive() tells when it has come to pass."""
        self.process.send_signal(signal.SIGTERM)
        return time.time()

    def lines(self):
        if self.file is None:
            if not os.path.exists(self.out):
                return []
            self.file = open(self.out, 'rb')
        *whole, self.rest = (self.rest + self.file.read()).split(b'\n')
        return [line.decode() for line in whole]

    def poll(self):
        raise NotImplementedError

    def taken(self):
        """{shard: times at which it had its lease, as far as it says so}."""
        return {}

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.file:
            self.file.close()

    def tail(self, n=12):
        with open(self.log, errors='replace') as log:
            return [line.rstrip()[:300] for line in log.readlines() if not re.match(r'\s+at ', line)][-n:]


class Kpipe(Worker):
    """Its lease owner's name has its process id in it."""

    def __init__(self, name, folder, program, url, **params):
        super().__init__(name, folder)
        given = [f'--set={key}={value}' for key, value in params.items()]
        self.start([program, 'run', '--aws', '--workers', '1', '--log', 'info', '--drain', '20s', *given,
                    f'--set=Out={self.out}', os.path.join(HERE, 'fleet.lua')],
                   dict(os.environ, AWS_ENDPOINT_URL=url, KPIPE_DIR=os.path.join(folder, name)))

    def owns(self, owner):
        return owner is not None and owner.startswith('kpipe:') and str(self.process.pid) in owner.split(':')

    def taken(self):
        found = {}
        with open(self.log, errors='replace') as log:
            for line in log:
                said = re.match(r'(\S+)Z info +lease\.taken .*\blease=(\S+)', line)
                if said:
                    at = datetime.datetime.fromisoformat(said[1] + '+00:00').timestamp()
                    found.setdefault(said[2], []).append(at)
        return found

    def poll(self):
        now = time.time()
        found = []
        for line in self.lines():
            note = json.loads(line)
            found.append(Delivery(now, self, note['lane'], note['sequence'], note.get('sub', 0), note['key'],
                                  note['data']))
        return found


class Kcl(Worker):
    def __init__(self, name, folder, path, url, **params):
        super().__init__(name, folder)
        given = [f'{key}={value}' for key, value in params.items()]
        self.start([*JAVA, '-cp', path, 'KclWorker', f'endpoint={url}', f'worker={name}', f'out={self.out}', *given],
                   dict(os.environ))

    def poll(self):
        found = []
        for line in self.lines():
            kind, at, *fields = line.split('\t')
            at = int(at) / 1000
            if kind == 'R':
                shard, sequence, sub, key, data = fields
                found.append(Delivery(at, self, shard, sequence, int(sub), key, data))
            else:
                self.events.append((at, kind, *fields))
        return found
