#!/bin/sh
# 09-stages.sh - stages as a person would use them: doors, functions in another language, buffers, objects, endpoints.
# shellcheck disable=SC2154 # $code comes from lib.sh
. "$(dirname "$0")/lib.sh"

cat >knock.py <<'END'
"""knock.py METHOD PORT PATH [BODY]: prints status and body."""
import http.client, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]), timeout=10)
c.request(sys.argv[1], sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else None)
r = c.getresponse()
print(r.status, r.read().decode())
END

# ---- stdout, list, filter by field, lua

pipeline plain.lua <<'END'
return { kpipe = 1, name = "plain", leases = "file:plain.lease", flows = { main = {
  k.source.list { records = { '{"a":1,"keep":true}', '{"a":2}', '{"a":3.50,"keep":true}' } },
  k.transform.filter { keep = k.field "$.keep" },
  k.transform.lua { each = function(e) e.keep = nil e.b = "x" return e end }, k.sink.stdout {} } } }
END
run plain.lua
is "list, filter, lua, stdout" "$code $(cat out)" '0 {"a":1,"b":"x"}
{"a":3.50,"b":"x"}'
balance "a filtered record is counted as such" main 3 2 1 0 0

# ---- file source: new files and new lines

mkdir in
printf 'a1\na2\n' >in/a.log
printf 'b1\r\n\nb2' >in/b.log
echo no >in/c.txt
pipeline files.lua <<'END'
return { kpipe = 1, name = "files", leases = "file:files.lease", flows = { main = {
  k.source.file { path = { "in/*.log" } }, k.sink.file { path = "files.txt" } } } }
END
run files.lua
is "file source with a wildcard: all lines of all files" "$code $(sort files.txt | tr '\n' ' ')" "0 a1 a2 b1 b2 "
printf 'a3\n' >>in/a.log
printf 'd1\n' >in/d.log
run files.lua
is "the next run reads what is new" "$code $(sum read) $(sort files.txt | tr '\n' ' ')" "0 2 a1 a2 a3 b1 b2 d1 "

# ---- generate at a rate

pipeline rate.lua <<'END'
return { kpipe = 1, name = "rate", leases = "file:rate.lease", flows = { main = {
  k.source.generate { count = 1500, rate = 1000, size = "100B" }, k.sink.null {} } } }
END
run rate.lua
yes "generate keeps its rate" "$PYTHON" -c '
import json
s = json.load(open("sum"))
assert s["delivered"] == 1500 and 0.4 < s["seconds"] < 6, s
assert s["flows"]["main"]["stages"][0]["read_bytes"] == 150000, s'

# ---- kinesis sink and source in one process

pipeline stream.lua <<'END'
local stream = k.resource.stream { name = "numbers", shards = 3 }
return { kpipe = 1, name = "stream", resources = { stream }, flows = {
  write = { k.source.file { path = "numbers.txt", key = function(e, r) return tostring(tonumber(r.data) % 50) end },
    k.sink.kinesis { stream = stream } },
  read = { k.source.kinesis { stream = stream }, k.sink.collect { path = "numbers.jsonl" } } } }
END
seq 1 3000 >numbers.txt
run stream.lua --until end --no-limits --workers 2
is "kinesis sink to kinesis source" "$code $(sum flows.read.delivered)" "0 3000"
yes "each record once, in the order of its key, with shard and sequence" "$PYTHON" -c '
import collections, json
last, seen = collections.defaultdict(int), set()
for line in open("numbers.jsonl"):
    r = json.loads(line)
    n = int(r["data"])
    assert r["key"] == str(n % 50) and last[r["key"]] < n, r
    assert r["lane"].startswith("shardId-") and len(r["sequence"]) == 56, r
    last[r["key"]] = n
    seen.add(n)
assert len(seen) == 3000
assert len({json.loads(l)["lane"] for l in open("numbers.jsonl")}) == 3'
run stream.lua --until end --no-limits
is "run again: everything was read and checkpointed" "$code $(sum read)" "0 0"

# ---- a function in Python: behind a door, and over records

cat >orders.py <<'END'
import base64, json

def handler(event, context):
    name = event.get("queryStringParameters") or {}
    if event["path"] == "/fail":
        raise ValueError("as asked")
    return {"statusCode": 201, "headers": {"X-Who": context.function_name},
            "body": json.dumps({"hello": name.get("name"), "method": event["httpMethod"], "body": event["body"]})}

def records(event, context):
    for record in event["Records"]:
        data = base64.b64decode(record["kinesis"]["data"]).decode()
        if "bad" in data:
            raise RuntimeError("bad record")
        with open("handled.txt", "a") as f:
            f.write(data + "\n")
END
port=$(free_port)
BOOTSTRAP=$root/pipelines/handlers/bootstrap.py
DOOR=127.0.0.1:$port
FOLDER=$work
export BOOTSTRAP DOOR FOLDER PYTHON
pipeline door.lua <<'END'
return { kpipe = 1, name = "door", leases = "file:door.lease", flows = { main = {
  k.source["apigw-proxy"] { listen = k.env("DOOR", ""), mode = "proxy-event", routes = { "GET /hello", "POST /hello", "GET /fail" } },
  k.sink["lambda-shim"] { command = { k.env("PYTHON", "python3"), k.env("BOOTSTRAP", ""), "orders.handler" },
    directory = k.env("FOLDER", ""), function_name = "greeter", event = "raw", retries = 0, timeout = "10s" } } } }
END
start door "$KPIPE" run --quiet --log error --local local --summary sum --drain 10s door.lua
listens() {
    "$PYTHON" knock.py GET "$port" /nowhere
}
yes "the door opens" until_true 15 listens
is "a request gets what the function answers" "$("$PYTHON" knock.py GET "$port" '/hello?name=you')" \
    '201 {"hello": "you", "method": "GET", "body": null}'
is "POST too" "$("$PYTHON" knock.py POST "$port" /hello some)" '201 {"hello": null, "method": "POST", "body": "some"}'
is "a path without a route" "$("$PYTHON" knock.py GET "$port" /nowhere | cut -d' ' -f1)" 403
is "a function that fails: 502" "$("$PYTHON" knock.py GET "$port" /fail | cut -d' ' -f1)" 502
kill -TERM "$pid"
ended "$pid"
is "the door closes with 0: callers were told" "$code" 0
yes "each request is counted once" balanced
is "the failed one as such" "$(sum flows.main.delivered) $(sum flows.main.dead_lettered)" "2 1"

pipeline shim.lua <<'END'
return { kpipe = 1, name = "shim", leases = "file:shim.lease", flows = { main = {
  k.source.list { records = { "one", "two", "bad three", "four" } },
  k.sink["lambda-shim"] { command = { k.env("PYTHON", "python3"), k.env("BOOTSTRAP", ""), "orders.records" },
    directory = k.env("FOLDER", ""), batch_size = 4, retries = 0, bisect_on_error = true, timeout = "10s" },
  on_failure = k.sink.file { path = "refused.txt" } } } }
END
run shim.lua
is "a function over records: bisected down to the bad one" "$code $(sort -u handled.txt | tr '\n' ' ')" "3 four one two "
balance "which is dead-lettered" main 4 3 0 1 0
yes "with the function's error" "$PYTHON" -c '
import json
letter = json.load(open("refused.txt"))
assert letter["data"] == "bad three" and "bad record" in json.dumps(letter), letter'
sed 's/orders.records/orders.nothing/; s/shim.lease/lost.lease/' shim.lua >lost.lua
run lost.lua --until time:2s --drain 1s
yes "a function that does not exist: dead letters, or the drain time is over" test "$code" = 3 -o "$code" = 4
yes "and no record ends silently" balanced
is "none was delivered" "$(sum delivered)" 0

# ---- objects

pipeline objects.lua <<'END'
local lake = k.resource.bucket { name = "lake" }
return { kpipe = 1, name = "objects", resources = { lake }, leases = "file:objects.lease", flows = {
  buffered = { k.source.file { path = "large.txt" },
    k.transform["firehose-buffer"] { size_mib = 1, interval_s = 900, delimiter = "\n", prefix = "buffered/!{timestamp:yyyy}/",
      error_prefix = "errors/", stream_name = "wagon" }, k.sink.s3 { bucket = lake } },
  parts = { k.source.list { records = { '{"c":"x","n":1}', '{"c":"y","n":2}', '{"c":"x","n":3}', '{"n":4}', "no json" } },
    k.sink.s3 { bucket = lake, prefix = "parts/", partition_by = "c=${c}", extension = ".json" },
    on_failure = k.sink.file { path = "nopart.txt" } } } }
END
"$PYTHON" -c '
for i in range(3500):
    print("%06d" % i + "z" * 993)' >large.txt
run objects.lua
is "objects: exit code 3 for the record that is no JSON" "$code $(sum flows.parts.dead_lettered)" "3 1"
is "firehose-buffer rolls by size" "$(find local/s3/lake/buffered -type f | wc -l | tr -d ' ') $(find local/s3/lake/buffered -type f -size +1500k | wc -l | tr -d ' ')" "4 0"
is "each record is in the objects once" "$(find local/s3/lake/buffered -type f -exec cat {} + | sort | cmp - large.txt && echo same)" same
is "keys carry prefix, stream and version" "$(find local/s3/lake/buffered -type f | grep -c 'buffered/20[0-9][0-9]/wagon-1-20')" 4
is "partition x" "$(cat local/s3/lake/parts/c=x/*.json)" '{"c":"x","n":1}
{"c":"x","n":3}'
is "partition y" "$(cat local/s3/lake/parts/c=y/*.json)" '{"c":"y","n":2}'
is "a record without the member" "$(cat local/s3/lake/parts/c=__DEFAULT_PARTITION__/*.json)" '{"n":4}'
has "the record that is no JSON is put aside" "$(cat nopart.txt)" '"data":"no json"'

# ---- async-http-enrich

cat >server.py <<'END'
import http.server, json, threading, time, urllib.parse
seen = {}
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        n = int(urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)["n"][0])
        seen[self.path] = seen.get(self.path, 0) + 1
        status = 200
        if n % 10 == 3: status = 404
        elif n % 10 == 5: status = 410
        elif n % 10 == 7 and seen[self.path] == 1 and "once" in self.path: status = 503
        time.sleep(0.05 * (n % 3))
        body = json.dumps({"deep": [n * 2]}).encode()
        self.send_response(status); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
class S(http.server.ThreadingHTTPServer):
    request_queue_size = 64
s = S(("127.0.0.1", 0), H)
print(s.server_port, flush=True)
s.serve_forever()
END
start server "$PYTHON" server.py
until_true 10 test -s server.out
ASK=http://127.0.0.1:$(cat server.out)/twice
export ASK
pipeline ask.lua <<'END'
local list = {}
for i = 1, 40 do list[i] = '{"n":' .. i .. "}" end
return { kpipe = 1, name = "ask", leases = "file:ask.lease", flows = { main = {
  k.source.list { records = list },
  k.transform["async-http-enrich"] { url = k.env("ASK", ""), query = { n = k.field "$.n" }, take = k.field "$.deep[0]", into = "twice",
    in_flight = 10, ordered = true, timeout = "5s", on_status = { ["404"] = "filter", ["4xx"] = "reject" } },
  k.sink.file { path = "asked.txt" }, on_failure = k.sink.file { path = "gone.txt" } } } }
END
run ask.lua
is "async-http-enrich: statuses as the rules say" "$code" 3
balance "40 = 32 kept + 4 filtered + 4 rejected" main 40 32 4 4 0
in_order='
import json
got = [json.loads(line) for line in open("asked.txt")]
assert [r["n"] for r in got] == [n for n in range(1, 41) if n % 10 not in (3, 5)], got
assert all(r["twice"] == 2 * r["n"] for r in got), got'
yes "in order, with what was taken" "$PYTHON" -c "$in_order"
rm -f asked.txt ask.lease
ASK=$ASK/once
run ask.lua
balance "503 is tried again, and delivered" main 40 32 4 4 0
yes "in order, also those behind one that was tried again" "$PYTHON" -c "$in_order"
is "each record once" "$(sort -u asked.txt | wc -l | tr -d ' ') $(lines asked.txt) $(sum flows.main.stages.1.retried)" "32 32 4"
finish
