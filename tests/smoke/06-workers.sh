#!/bin/sh
# 06-workers.sh - several workers: every record once, the order of each lane, and memory that stays bounded.
# shellcheck disable=SC2154 # $code comes from lib.sh
. "$(dirname "$0")/lib.sh"

mkdir in
for file in a b c d e; do
    seq -f "$file %.0f" 1 4000 >in/$file.txt
done
pipeline lanes.lua <<'END'
local p = k.params { Sink = { default = "file", choices = { "file", "stdout", "collect" } } }
local sink
if p.Sink == "file" then sink = k.sink.file { path = "lanes.txt" }
elseif p.Sink == "stdout" then sink = k.sink.stdout {}
else sink = k.sink.collect { path = "lanes.jsonl" } end
return { kpipe = 1, name = "lanes", leases = "file:" .. p.Sink .. ".lease", flows = { main = {
  k.source.file { path = "in/*.txt" }, k.transform.meter {}, sink } } }
END

# in_order FILE: 4,000 lines of each of the five files, each in its order.
in_order() {
    "$PYTHON" -c '
import collections, json, sys
seen = collections.Counter()
for line in open(sys.argv[1]):
    if line.startswith("{"):
        line = json.loads(line)["data"]
    name, n = line.split()
    seen[name] += 1
    assert seen[name] == int(n), (name, n, seen[name])
assert seen == {name: 4000 for name in "abcde"}, seen' "$1"
}
for workers in 1 2 4; do
    rm -f ./*.lease lanes.txt lanes.jsonl
    run lanes.lua --workers $workers
    is "$workers workers: all records" "$code $(sum read) $(sum delivered)" "0 20000 20000"
    yes "$workers workers: the file has each lane in order" in_order lanes.txt
    run lanes.lua --workers $workers --set Sink=stdout
    cp out stdout.txt
    is "$workers workers: stdout" "$code" 0
    yes "$workers workers: standard output has each lane in order" in_order stdout.txt
    run lanes.lua --workers $workers --set Sink=collect
    yes "$workers workers: collect has each lane in order" in_order lanes.jsonl
done
yes "collect tells lane, key and position" "$PYTHON" -c '
import json
record = json.loads(open("lanes.jsonl").readline())
assert record["data"] and "lane" in record, record'

# ---- backpressure: 200 MB through a sink that takes some 64 KiB at a time, with 8 MiB to hold them

mkfifo pipe
cat >slow.py <<'END'
import os, select, time
fd = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
print("open", flush=True)
n = 0
select.select([fd], [], [])
os.set_blocking(fd, True)
while True:
    block = os.read(fd, 65536)
    if not block:
        break
    n += block.count(b"\n")
    time.sleep(0.0005)
print(n)
END
pipeline slow.lua <<'END'
return { kpipe = 1, name = "slow", leases = "file:slow.lease", flows = { main = {
  k.source.file { path = "big.txt" }, k.sink.file { path = "pipe" } } } }
END
"$PYTHON" -c '
line = b"x" * 999 + b"\n"
with open("big.txt", "wb") as f:
    for i in range(100000):
        f.write(line)'
start slow "$PYTHON" slow.py
reader=$pid
until_true 5 test -s slow.out
run slow.lua --memory 8MiB --workers 2
is "100 MB with --memory 8MiB: all delivered" "$code $(sum read) $(sum delivered)" "0 100000 100000"
ended "$reader"
is "and all at the other end" "$(tail -n 1 slow.out)" 100000
rss=$(sum peak_rss_bytes)
echo "# peak RSS $rss"
if sanitized; then
    skip "the process stays below 48 MiB: a sanitizer needs memory of its own"
else
    yes "the process stays below 48 MiB" test "$rss" -lt $((48 << 20))
fi

pipeline flowmem.lua <<'END'
return { kpipe = 1, name = "flowmem", leases = "file:flowmem.lease", flows = { main = {
  k.source.file { path = "big.txt" }, k.sink.null {}, memory = "2MiB" } } }
END
run flowmem.lua
is "a flow with a limit of its own" "$code $(sum delivered)" "0 100000"
if sanitized; then
    skip "stays below 40 MiB: a sanitizer needs memory of its own"
else
    yes "stays below 40 MiB" test "$(sum peak_rss_bytes)" -lt $((40 << 20))
fi

# A record larger than the whole budget must not hang the run.
"$PYTHON" -c 'open("one.txt", "w").write("y" * 3000000 + "\n")'
sed 's/big.txt/one.txt/; s/flowmem/large/g' flowmem.lua >large.lua
LIMIT=10
run large.lua
yes "a record above the flow's memory passes or is refused, and the run ends" test "$code" = 0 -o "$code" = 1
echo "# code $code: $(cat err)"
finish
