#!/bin/sh
# 04-ends.sh - how a run ends: by itself, --until, signals, the drain time; exit codes and the summary.
# shellcheck disable=SC2154 # $code comes from lib.sh
. "$(dirname "$0")/lib.sh"
LIMIT=20

# ---- ends by itself

pipeline bounded.lua <<'END'
return { kpipe = 1, name = "bounded", leases = "file:bounded.lease", flows = {
  one = { k.source.generate { count = 500 }, k.sink.file { path = "one.txt" } },
  two = { k.source.list { records = { "a", "b", "c" } }, k.sink.file { path = "two.txt" } } } }
END
run bounded.lua
is "only bounded sources: ends by itself" "$code $(lines one.txt) $(lines two.txt)" "0 500 3"
balance "balance of the first flow" one 500 500 0 0 0
is "the sum of all flows" "$(sum read) $(sum delivered) $(sum unsettled) $(sum exit_code) $(sum pipeline)" "503 503 0 0 bounded"
is "each stage has its row" "$(sum flows.one.stages.0.stage) $(sum flows.one.stages.0.kind) $(sum flows.one.stages.1.stage) $(sum flows.one.stages.1.kind)" \
    "generate source file sink"
yes "seconds, CPU seconds and memory are measured" "$PYTHON" -c '
import json
s = json.load(open("sum"))
assert 0 < s["seconds"] < 20 and 0 < s["cpu_seconds"] < 20 and 1 << 20 < s["peak_rss_bytes"] < 1 << 28, s
assert "failure" not in s'
run bounded.lua
is "run again: all was done, nothing is read twice" "$code $(sum read) $(lines one.txt)" "0 0 500"

pipeline open.lua <<'END'
return { kpipe = 1, name = "open", leases = "file:open.lease", flows = {
  main = { k.source.generate { rate = 1000, lanes = 3 }, k.sink.file { path = "open.txt" } } } }
END
run open.lua --until records:300
yes "--until records:300 reads at least as many and ends with 0" test "$code" = 0 -a "$(sum read)" -ge 300
yes "and all that was read is settled" balanced
is "and delivered" "$(sum delivered) $(sum unsettled)" "$(sum read) 0"
is "and in the file" "$(lines open.txt)" "$(sum read)"
run open.lua --until time:500ms
yes "--until time:500ms takes that long" test "$code" = 0 -a "$(sum seconds | cut -d. -f1)" -lt 3
is "all is delivered" "$(sum delivered) $(sum unsettled)" "$(sum read) 0"
pipeline idle.lua <<'END'
local stream = k.resource.stream { name = "idle", shards = 1 }
return { kpipe = 1, name = "idle", resources = { stream }, flows = {
  write = { k.source.generate { count = 100, size = "50B" }, k.sink.kinesis { stream = stream, partition_key = "k" } },
  read = { k.source.kinesis { stream = stream }, k.sink.file { path = "idle.txt" } } } }
END
run idle.lua --until idle:1500ms
is "--until idle ends when nothing moves" "$code $(lines idle.txt)" "0 100"
rm -rf idle.txt local
run idle.lua --until end
is "--until end: what was written to the stream was read" "$code $(lines idle.txt)" "0 100"
balance "balance of the reader" read 100 100 0 0 0

# ---- signals

rm -f open.lease open.txt
start sig "$KPIPE" run --quiet --log error --local local --summary sum open.lua
yes "records flow" until_true 10 has_lines open.txt 50
kill -TERM "$pid"
ended "$pid"
is "SIGTERM drains and ends with 0" "$code $(sum delivered) $(sum unsettled) $(lines open.txt)" "0 $(sum read) 0 $(sum read)"
start sig "$KPIPE" run --quiet --log error --local local --summary sum open.lua
until_true 10 has_lines open.txt $(($(lines open.txt) + 50))
kill -INT "$pid"
ended "$pid"
is "SIGINT too" "$code $(sum unsettled)" "0 0"

cat >silent.py <<'END'
import socket, sys
# Takes every connection and answers nothing.
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(64)
print(s.getsockname()[1], flush=True)
kept = []
while True:
    kept.append(s.accept())
END
start silent "$PYTHON" silent.py
until_true 5 test -s silent.out
ASK=http://127.0.0.1:$(cat silent.out)/
export ASK
pipeline silent.lua <<'END'
return { kpipe = 1, name = "silent", leases = "file:silent.lease", flows = { main = {
  k.source.list { records = { '{"n":1}', '{"n":2}' } },
  k.transform["async-http-enrich"] { url = k.env("ASK", ""), timeout = "5m" }, k.sink.file { path = "silent.txt" } } } }
END
run silent.lua --until time:300ms --drain 500ms
is "what never answers: exit code 4 at the drain time" "$code" 4
balance "what was open is left unsettled" main 2 0 0 0 2
is "one message" "$(messages) $(grep -c 'the drain time was over' err)" "1 1"
start sig "$KPIPE" run --quiet --log info --local local --summary sum silent.lua
until_true 10 grep -q local.started sig.err
kill -TERM "$pid"
yes "the first signal is heard" until_true 10 grep -q run.stopping sig.err
# Signals that come together count as one: timeout(1) sends two.
again() {
    kill -TERM "$pid" 2>/dev/null
    grep -q 'ended at once' sig.err
}
until_true 10 again
ended "$pid"
is "a second signal ends at once with 1" "$code $(grep -c 'ended at once by a second signal' sig.err)" "1 1"
is "and the summary has what was open" "$(sum exit_code) $(sum unsettled)" "1 $(sum read)"

finish
