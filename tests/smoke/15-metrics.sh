#!/bin/sh
# 15-metrics.sh - `--metrics`: what Prometheus reads while a run goes on, per stage and per shard; the same figures in the summary.
# shellcheck disable=SC2154 # $code comes from lib.sh
. "$(dirname "$0")/lib.sh"

pipeline both.lua <<'EOF'
local orders = k.resource.stream { name = "orders", shards = 2 }
return { kpipe = 1, name = "both", resources = { orders }, flows = {
  write = { k.source.file { path = { "lines.txt" } }, k.sink.kinesis { stream = orders, linger = "20ms" } },
  read = { k.source.kinesis { stream = orders, poll = "50ms" }, k.sink.null {} } } }
EOF

# sample.py NAME LABELS: the values of the samples that have all of the labels, added up.
cat >sample.py <<'EOF'
import re, sys
total = n = 0
for line in open("page"):
    at = re.match(r'([a-zA-Z_:][a-zA-Z0-9_:]*)\{(.*)\} (\S+)$', line)
    if at and at[1] == sys.argv[1] and all(label in at[2].split(",") for label in sys.argv[2:]):
        total += float(at[3])
        n += 1
print("%d of %d" % (total, n) if n else "none")
EOF

# Names, one HELP and TYPE each before their samples, which stand together; no series twice; labels.
cat >strict.py <<'EOF'
import re
done, now, kind, series = set(), None, None, set()
text = open("page", newline="").read()
assert text.endswith("\n") and "\r" not in text
for line in text.splitlines():
    if line.startswith("# HELP "):
        now = line.split(" ")[2]
        assert now not in done and re.fullmatch("[a-zA-Z_:][a-zA-Z0-9_:]*", now), line
        assert len(line.split(" ", 3)[3]) > 1, line
        done.add(now)
        kind = None
    elif line.startswith("# TYPE "):
        _, _, name, kind = line.split(" ")
        assert name == now and kind in ("counter", "gauge"), line
        assert (kind == "counter") == name.endswith("_total"), line
    else:
        label = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
        at = re.fullmatch(r'([a-zA-Z0-9_:]+)(\{%s(?:,%s)*\})? (\S+)' % (label, label), line)
        assert at and at[1] == now and kind, line
        assert (at[1], at[2]) not in series, line
        series.add((at[1], at[2]))
        assert kind == "gauge" or float(at[3]) >= 0, line
        float(at[3])
assert len(series) > 40, len(series)
EOF

# page PATH: the answer in ./page, its status and type in $got.
page() {
    got=$(curl -sS --max-time 20 -o page -w '%{http_code} %{content_type}' "http://127.0.0.1:$port$1" 2>>why)
}

sample() {
    "$PYTHON" sample.py "$@"
}

read_all() {
    page /metrics
    [ "$(sample kpipe_stage_delivered_records_total 'flow="read"' 'stage="kinesis"')" = "500 of 1" ] &&
        [ "$(sample kpipe_lane_records_total 'flow="read"')" = "500 of 2" ]
}

"$PYTHON" -c 'for i in range(500): print("line %d" % i)' >lines.txt
start run "$KPIPE" run --local local --metrics 0 --summary sum --log info both.lua
yes "it says where it listens" until_true 20 grep -q 'metrics.opened' run.err
port=$(sed -n 's/.*metrics\.opened listen=127\.0\.0\.1:\([0-9]*\).*/\1/p' run.err)
yes "records are counted while it runs, per stage and per shard" until_true 20 read_all
is "in the text format" "$got" "200 text/plain; version=0.0.4; charset=utf-8"
is "each shard has how far it is behind" "$(sample kpipe_lane_millis_behind_latest 'stage="kinesis"')" "0 of 2"
is "a shard has its name" \
    "$(sample kpipe_lanes 'flow="read"'); $(grep -c 'kpipe_lane_records_total.*shard="shardId-00000000000[01]"' page)" "2 of 1; 2"
is "the counters of all shards are those of the stage" "$(sample kpipe_records_total 'stage="kinesis"')" "500 of 1"
yes "the page is as Prometheus wants it" "$PYTHON" strict.py
if command -v promtool >/dev/null 2>&1; then
    yes "promtool has nothing against it" sh -c 'promtool check metrics <page'
fi
page /ready
is "it is ready" "$got" "200 text/plain; charset=utf-8"
page /nothing
is "and has no other pages" "$got" "404 text/plain; charset=utf-8"
refuses "an address that is taken" 1 "127.0.0.1:$port is in use" run --quiet --log error --local other --metrics "$port" both.lua

kill -TERM "$pid"
ended "$pid"
is "the run ends" "$code" 0
is "the summary has the shards" "$("$PYTHON" -c '
import json
lanes = json.load(open("sum"))["flows"]["read"]["lanes"]
print(len(lanes), sum(lane["records"] for lane in lanes.values()), "shardId-000000000001" in lanes)')" "2 500 True"
is "and their counters at the stage" "$(sum flows.read.stages.0.counters.records)" 500

for wrong in nowhere 99999 "" 127.0.0.1; do
    refuses "\"$wrong\" is no address" 2 "--metrics wants a port or an address" run --quiet --metrics "$wrong" both.lua
done

finish
