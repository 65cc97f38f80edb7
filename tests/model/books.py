"""books.py - judges what workers delivered against what the stream has.

A *life* is one process from its start to its end. *Trouble* is the time in which a life may have
delivered what another delivers too: a while before it was killed, or from a while before it was
stalled until it must have noticed. Outside of trouble each record is delivered once.

What is judged while it goes on:
  - over all processes: when a key's number can be seen in a file, all smaller ones can be seen in
    some file. Held by every hand-over, also across a split or a merge.
  - in one life: the numbers of a key come up for the first time in their order.
  - of one shard in one life: sequence and sub-sequence numbers grow, but for trouble.
And at the end: all is there, nothing is that was not sent, nothing twice but for trouble.
"""
import collections


class Trouble:
    """[begin, end] of one life, in seconds of the test's clock; it was killed or stalled `at`."""

    def __init__(self, life, begin, end, at):
        self.life, self.begin, self.end, self.at = life, begin, end, at

    def holds(self, line):
        return line.life == self.life and self.begin <= line.at <= self.end


class Books:
    def __init__(self):
        self.sent = {}                                     # key -> numbers 0 .. n-1 are in the stream
        self.where = {}                                    # (key, n) -> [(shard, sequence, sub)]
        self.deliveries = collections.defaultdict(list)    # (shard, sequence, sub) -> [Line]
        self.seen = collections.defaultdict(set)           # key -> numbers, in any file
        self.whole = collections.defaultdict(int)          # key -> all below it were seen
        self.life_seen = collections.defaultdict(set)      # (life, key) -> numbers
        self.life_max = {}                                 # (life, key) -> largest number
        self.shard_last = {}                               # (life, shard) -> Line
        self.troubles = []
        self.out_of_order = []                             # texts
        self.went_back = []                                # (line, previous line)
        self.unjudged = []
        self.n_lines = 0

    # ---- while it goes on

    def tell_sent(self, key, n):
        """The stream has number n of key; numbers of a key are told in order."""
        if n != self.sent.get(key, 0):
            raise ValueError(f"{key} {n} after {self.sent.get(key, 0)}")
        self.sent[key] = n + 1

    def take(self, lines, later):
        """`lines` could be read from the files before `later` could: each file was read to its end
        twice, one round after the other."""
        lines, self.unjudged = self.unjudged + lines, later
        for line in lines + later:
            self.seen[line.key].add(line.n)
        for key in {line.key for line in lines + later}:
            while self.whole[key] in self.seen[key]:
                self.whole[key] += 1
        for line in lines:
            self.judge(line)

    def judge(self, line):
        self.n_lines += 1
        self.deliveries[line.where].append(line)
        if line.n >= self.whole[line.key]:
            self.out_of_order.append(
                f"{line!r} could be read before number {self.whole[line.key]} of that key")
        mine = (line.life, line.key)
        if line.n not in self.life_seen[mine]:
            if line.n < self.life_max.get(mine, -1):
                self.out_of_order.append(f"{line!r} came behind {self.life_max[mine]} in one life")
            self.life_seen[mine].add(line.n)
            self.life_max[mine] = max(line.n, self.life_max.get(mine, -1))
        lane = (line.life, line.shard)
        last = self.shard_last.get(lane)
        if last and (line.sequence, line.sub) <= (last.sequence, last.sub):
            self.went_back.append((line, last))
        self.shard_last[lane] = line

    def tell_trouble(self, life, begin, end, at=None):
        self.troubles.append(Trouble(life, begin, end, end if at is None else at))

    def is_complete(self):
        """All that was sent has been delivered."""
        return all(self.whole[key] >= n for key, n in self.sent.items())

    def missing(self):
        return [(key, n) for key, end in self.sent.items() for n in range(end)
                if n not in self.seen[key]]

    # ---- at the end

    def tell_stream(self, shard, sequence, sub, key, n):
        """One record that is in the stream."""
        self.where.setdefault((key, n), []).append((shard, int(sequence), sub))

    def is_excused(self, line):
        return any(trouble.holds(line) for trouble in self.troubles)

    def read_again(self, trouble):
        """How many records of the life in trouble came again elsewhere, and how many seconds before
        it the oldest of them had been delivered."""
        again = [line for lines in self.deliveries.values() if len(lines) > 1
                 for line in lines if trouble.holds(line)]
        return len(again), max((trouble.at - line.at for line in again), default=0.0)

    def twice(self):
        """Deliveries that nothing excuses: more than one of a record outside of trouble."""
        found = []
        for lines in self.deliveries.values():
            clean = [line for line in lines if not self.is_excused(line)]
            if len(clean) > 1:
                found.append(clean)
        return found

    def n_twice(self):
        return sum(len(lines) - 1 for lines in self.deliveries.values())

    def results(self):
        """(what, is it so, why not) of everything."""
        if self.unjudged:
            self.take([], [])
        in_stream = {place: id_ for id_, places in self.where.items() for place in places}
        not_there = [(key, n) for key, end in self.sent.items() for n in range(end)
                     if (key, n) not in self.where]
        invented = [line for lines in self.deliveries.values() for line in lines
                    if in_stream.get(line.where) != (line.key, line.n)]
        left_out = [place for place in in_stream if place not in self.deliveries]
        back = [pair for pair in self.went_back
                if not any(self.is_excused(line) for line in pair)]
        twice = self.twice()
        n_sent = sum(self.sent.values())
        return [
            ("records were sent and lines were read", n_sent > 0 and self.n_lines > 0,
             f"{n_sent} sent, {self.n_lines} lines"),
            (f"the stream has all {n_sent} records that it acknowledged", not not_there,
             f"{len(not_there)} are missing: {not_there[:5]}"),
            ("every record was delivered", not left_out and not self.missing(),
             f"{len(left_out)} were not: {sorted(left_out)[:5]} {self.missing()[:5]}"),
            ("nothing else was delivered", not invented, f"{len(invented)}: {invented[:5]}"),
            ("in order per key, over all processes and in each life", not self.out_of_order,
             f"{len(self.out_of_order)} times not: {self.out_of_order[:5]}"),
            ("in each life a shard is read forwards", not back,
             f"{len(back)} times not: {back[:3]}"),
            ("once, but for what was killed or stalled", not twice,
             f"{len(twice)} records: {twice[:3]}"),
        ]


class Written:
    """What a writer made of the numbers of each key: told in the order of each shard."""

    def __init__(self):
        self.seen = collections.defaultdict(set)
        self.last = {}      # key -> largest number
        self.again = 0      # records that were there before
        self.disorder = []  # texts

    def tell(self, shard, key, n):
        if n in self.seen[key]:
            self.again += 1
        elif n < self.last.get(key, -1):
            self.disorder.append(f"{key} {n} behind {self.last[key]} in {shard}")
        self.seen[key].add(n)
        self.last[key] = max(n, self.last.get(key, -1))

    def count(self):
        return sum(map(len, self.seen.values()))

    def holes(self):
        return [(key, n) for key, end in self.last.items() for n in range(end)
                if n not in self.seen[key]]


def storms(calls, seconds, calm, n_shards):
    """The operations that were called too often. `calls` and `calm` are calls by (service,
    operation): during a fault of so many seconds, and per second without one. A fault may cost
    three times as much as calm, and in any case so many per second and shard, or in all."""
    of_shard = {"GetRecords": 5.0, "GetShardIterator": 2.0, "PutRecords": 20.0, "UpdateItem": 3.0}
    in_all = {"Scan": 4.0}
    found = []
    for (service, operation), n in sorted(calls.items()):
        allowed = max(of_shard.get(operation, 0.0) * n_shards or in_all.get(operation, 1.0),
                      3 * calm.get((service, operation), 0.0))
        if n > allowed * seconds + 3:
            found.append(f"{operation}: {n} in {seconds:.1f} s, allowed are {allowed:.1f} per second")
    return found
