#!/bin/sh
# 08-tools.sh - plugins, check, show, graph, provision, local, and an installed kpipe.
# shellcheck disable=SC2154 # $code comes from lib.sh
. "$(dirname "$0")/lib.sh"

pipeline tools.lua <<'END'
local p = k.params { Shards = { default = 2, min = 1, max = 9 } }
local stream = k.resource.stream { name = "tools-stream", shards = p.Shards, retention = "48h" }
local bucket = k.resource.bucket { name = "tools-bucket" }
local queue = k.resource.queue { name = "tools-queue" }
return { kpipe = 1, name = "tools", resources = { stream, bucket, queue }, flows = {
  feed = { k.source.list { records = { "a" } }, k.sink.kinesis { stream = stream } },
  store = { k.source.kinesis { stream = stream }, k.transform.filter { keep = function(e) return e.n end, stage = "only" },
    k.sink.s3 { bucket = bucket } } },
  on_failure = { store = k.sink["sqs-dlq"] { queue = queue } } }
END
kpipe plugins
for name in apigw-proxy async-http-enrich collect file filter firehose-buffer generate kinesis lambda-shim list local-aws lua \
    meter null provision replay s3 sqs-dlq stdout ticker; do
    grep -q "^$name " out || echo "$name" >>missing
done
is "plugins lists all stages" "$code $(cat missing 2>/dev/null) $(grep -c refused out)" "0  0"
kpipe plugins kinesis
is "plugins kinesis shows source and sink" "$code $(grep -c '^k\.' out) $(grep -c '^  stream ' out)" "0 2 2"
kpipe plugins basic
yes "plugins basic shows all stages of the plugin" test "$(grep -c '^k\.' out)" -ge 8
kpipe plugins kinesis --json
yes "as JSON" "$PYTHON" -c '
import json
all = json.load(open("out"))
assert {e["kind"] for e in all["elements"]} == {"source", "sink"}
assert all["elements"][0]["options"][0]["name"] == "stream" and all["elements"][0]["options"][0]["required"]'

kpipe check tools.lua
is "check of a good file" "$code $(messages)" "0 0"
cat >broken.lua <<'END'
local k = require "kpipe"
return { kpipe = 1, name = "broken", flows = { main = {
  k.source.generate { cuont = 5,
    size = "12 parsecs" },
  k.sink.file { path = 7, synk = true },
} } }
END
kpipe check broken.lua
cp err check.err
is "check finds all errors of a broken file: exit code 2" "$code $(grep -c '^broken.lua:[0-9]*: ' err)" "2 4"
has "with the nearest name" "$(cat err)" "did you mean 'count'"
is "sorted by line" "$(grep -o '^broken.lua:[0-9]*' err | sort -t: -k2 -n -c && echo sorted)" sorted
has "and their number" "$(cat err)" "4 problems, nothing was started"
kpipe run broken.lua
is "run says the same and starts nothing" "$code $(cmp err check.err && echo same) $(ls -d .kpipe 2>/dev/null)" "2 same "
printf 'return {' >syntax.lua
kpipe check syntax.lua
is "a syntax error: exit code 2, file and line" "$code $(grep -c '^syntax.lua:1: ' err)" "2 1"

kpipe show tools.lua
cp out shown.lua
is "show prints a pipeline" "$code $(grep -c 'tools-stream' out)" "0 1"
kpipe show tools.lua --json --set Shards=5
yes "show --json has the parameter's value" "$PYTHON" -c '
import json
assert "5" in json.dumps(json.load(open("out"))["resources"])'
kpipe graph tools.lua
is "graph as text" "$code $(grep -c kinesis out)" "0 $(grep -c kinesis out)"
for part in feed store only s3 sqs-dlq; do
    grep -q "$part" out || echo $part >>lost
done
is "names flows and stages" "$(cat lost 2>/dev/null)" ""
kpipe graph --dot tools.lua
is "graph --dot" "$code $(head -c 8 out) $(tail -n 1 out)" "0 digraph  }"
kpipe graph --mermaid tools.lua
yes "graph --mermaid" grep -qE '^(flowchart|graph) ' out

kpipe provision synth --set Shards=3 tools.lua
yes "provision synth prints a template with the right types" "$PYTHON" -c '
import json
t = json.load(open("out"))
kinds = sorted(r["Type"] for r in t["Resources"].values())
assert kinds == ["AWS::Kinesis::Stream", "AWS::S3::Bucket", "AWS::SQS::Queue"], kinds
stream = next(r for r in t["Resources"].values() if r["Type"] == "AWS::Kinesis::Stream")["Properties"]
assert stream["ShardCount"] == 3 and stream["RetentionPeriodHours"] == 48 and stream["Name"] == "tools-stream", stream'
is "and says nothing else" "$code $(messages) $(ls -d .kpipe 2>/dev/null)" "0 0 "
kpipe provision synth broken.lua
is "synth of a broken file: exit code 2" "$code $(wc -c <out | tr -d ' ')" "2 0"
kpipe provision ensure --local made tools.lua
is "provision ensure" "$code $(ls -d made/s3/tools-bucket)" "0 made/s3/tools-bucket"
kpipe provision ensure --local made tools.lua
is "once more changes nothing" "$code" 0

# ---- local alone

mkfifo ready
start served "$KPIPE" local --port 0 --dir made --log error
until_true 10 grep -q '^ready http://127.0.0.1:' served.out
url=$(sed -n 's/^ready //p' served.out)
yes "local answers, with what ensure made" "$PYTHON" -c '
import json, sys, urllib.request
def call(target, body):
    r = urllib.request.Request(sys.argv[1], json.dumps(body).encode(), {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1",
        "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0"})
    return json.load(urllib.request.urlopen(r, timeout=5))
assert call("Kinesis_20131202.ListStreams", {})["StreamNames"] == ["tools-stream"]
assert call("Kinesis_20131202.DescribeStreamSummary", {"StreamName": "tools-stream"})["StreamDescriptionSummary"]["OpenShardCount"] == 2' "$url"
kill -TERM "$pid"
ended "$pid"
is "SIGTERM ends it with 0" "$code $(wc -c <served.err | tr -d ' ')" "0 0"

# ---- installed

if sanitized; then
    skip "make install: it would link anew what is built with a sanitizer"
    finish
    exit
fi
stage=$work/stage
make -s -C "$root" B="$(dirname "$KPIPE")" install DESTDIR="$stage" PREFIX=/usr >why 2>&1
is "make install" "$?" 0
: >why
KPIPE=$stage/usr/bin/kpipe
kpipe plugins
is "the installed kpipe finds its plugins" "$code $(grep -c '^kinesis ' out) $(grep -c refused out)" "0 2 0"
kpipe new plugin mine --kind transform
is "and its templates" "$code $(find mine -type f | sed 's|.*/||' | sort | tr '\n' ' ')" "0 Makefile README.md mine.c mine_test.c "
make -s -C mine CC="${CC:-cc}" >out 2>err
is "which build against the installed header" "$? $(messages)" "0 0"
kpipe plugin check mine/mine.so
is "and are good" "$code" 0
pipeline small.lua <<'END'
return { kpipe = 1, name = "small", flows = { main = { k.source.list { records = { "a", "b" } }, k.sink.stdout {} } } }
END
kpipe run --quiet small.lua
is "and it runs a pipeline" "$code $(tr '\n' ' ' <out)" "0 a b "
finish
