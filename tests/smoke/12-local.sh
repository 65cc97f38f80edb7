#!/bin/sh
# 12-local.sh - `kpipe local` as a product: what it says at its start, who may come in, TLS, faults, bad requests.
# shellcheck disable=SC2154 # $code comes from lib.sh
. "$(dirname "$0")/lib.sh"

# up NAME ARGUMENT...: a local AWS on a free port; sets $pid and $url.
up() {
    name=$1
    shift
    start "$name" "$KPIPE" local --port 0 "$@"
    until_true 10 grep -q '^export AWS_ACCESS_KEY_ID' "$name.out" || tail "$name.err" >>why
    url=$(sed -n 's/^ready //p' "$name.out")
}

# down: ends it by its id.
down() {
    kill -TERM "$pid"
    ended "$pid"
}

# ask [CURL ARGUMENT...] PATH: sets $status and leaves the answer in ./body.
ask() {
    status=$(curl -sS --max-time 20 -o body -w '%{http_code}' "$@" 2>curl.err)
}

# kinesis OPERATION JSON
kinesis() {
    ask -H 'Content-Type: application/x-amz-json-1.1' -H "X-Amz-Target: Kinesis_20131202.$1" --data-binary "$2" "$url/"
}

# state PATH: a value of /_kpipe/state.
state() {
    curl -sS --max-time 20 "$url/_kpipe/state" | "$PYTHON" -c '
import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1].split("."):
    value = value[int(name) if isinstance(value, list) else name]
print(value)' "$1" 2>&1
}

fault() {
    ask -d "$1" "$url/_kpipe/faults"
}

# ---- start

up one --dir data --log info
is "the first line says where it is" "$(head -n 1 one.out)" "ready $url"
has "then where the data lies" "$(sed -n 2p one.out)" "$work/data;"
is "and what a shell needs" "$(sed -n 's/^export //p' one.out | tr '\n' ' ')" \
    "AWS_ENDPOINT_URL=$url AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1 "
ask "$url/_kpipe/health"
is "it is well" "$status $(cat body)" '200 {"status":"ok"}'
is "the folder says who uses it, and where" "$(tr '\n' ' ' <data/lock)" "$pid $url "
refuses "a second process on the folder is told whose it is" 1 "is in use by process $pid" local --port 0 --dir data

# ---- services that are not here

ask -H 'X-Amz-Target: Firehose_20150804.PutRecord' -d '{}' "$url/"
has "a service that is not here is named" "$status $(cat body)" '400 {"__type":"UnknownOperationException","message":"The local AWS does not serve \"Firehose\": it serves Kinesis,'
kinesis Fly '{}'
is "so is an unknown operation" "$status $(cat body)" '400 {"__type":"UnknownOperationException"}'

# ---- bad requests

head -c 20000000 /dev/zero >zeros
kinesis PutRecords @zeros
is "20 MB of nothing are refused" "$status" 413
head -c 90000000 /dev/zero >zeros
kinesis PutRecords @zeros
is "and 90 MB are too much" "$status" 413
rm zeros
ask --path-as-is "$url/bucket/../../../etc/passwd"
is "a path leads nowhere else" "$status $(grep -c root: body)" "404 0"
ask -X PUT --path-as-is "$url/%2e%2e"
has "nor does a bucket's name" "$status $(cat body)" InvalidBucketName
"$PYTHON" - "$url" <<'END' >why 2>&1
import socket, sys
host, port = sys.argv[1].split("//")[1].split(":")
for head in (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nshort",
             b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
             b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100000, b"\x00\xff" * 500):
    s = socket.create_connection((host, int(port)), timeout=10)
    s.sendall(head)
    s.shutdown(socket.SHUT_WR)
    while s.recv(65536):
        pass
    s.close()
END
is "torn and twisted requests do not hurt it" "$?" 0
kinesis ListStreams '{}'
is "it still answers" "$status" 200

# ---- faults

kinesis CreateStream '{"StreamName":"s","ShardCount":1}'
fault '{"operation":"PutRecord","fault":"reset_after","count":1}'
is "a rule is taken" "$status $(cat body)" '200 {"ids":[1]}'
kinesis PutRecord '{"StreamName":"s","PartitionKey":"a","Data":"YQ=="}'
is "the answer is lost" "$status" 000
kinesis PutRecord '{"StreamName":"s","PartitionKey":"a","Data":"YQ=="}'
is "the client tries again" "$status" 200
is "and the record is there twice" "$(state services.kinesis.streams.0.records)" 2
fault '{"operation":"PutRecord","fault":"throttle","every":2}'
kinesis PutRecord '{"StreamName":"s","PartitionKey":"a","Data":"YQ=="}'
has "throttled in the service's words" "$status $(cat body)" '400 {"__type":"ProvisionedThroughputExceededException"'
fault '{"service":"kinesis","fault":"error","probabilty":0.5}'
is "a rule that is wrong says why" "$status $(cat body)" '400 {"error":"rule 1: unknown member \"probabilty\""}'
ask -X DELETE "$url/_kpipe/faults"
is "rules go" "$status $(cat body)" '200 {"clock_ms":0,"rules":[]}'
ask -H 'Origin: http://example.com' -d '{"fault":"error"}' "$url/_kpipe/faults"
is "a browser's page sets none" "$status" 403
is "requests and errors are counted" "$(state services.kinesis.operations.PutRecord)" "{'requests': 3, 'errors': 2}"
kill -KILL "$pid"
ended "$pid"
up again --dir data --log error
is "what was acknowledged is there after kill -9" "$(state services.kinesis.streams.0.records)" 2
down
is "a signal ends it with 0 and without a word" "$code $(wc -c <again.err | tr -d ' ')" "0 0"

# ---- other machines

start open "$KPIPE" local --listen 0.0.0.0:0 --dir open
until_true 10 grep -q '^export AWS_ACCESS_KEY_ID' open.out
url=$(sed -n 's/^ready //p' open.out)
has "listening for others is warned of" "$(cat open.err)" "local.open"
fault '{"fault":"error"}'
is "and without faults" "$status" 403
down
refuses "a wrong address is refused" 2 "nonsense" local --listen nonsense
refuses "so is half of a key pair" 2 "--tls-cert and --tls-key go together" local --tls-cert x.pem

# ---- TLS

up tls --dir tls --tls --log error
port=${url##*:}
is "TLS has its own settings" "$(sed -n 's/^export //p' tls.out | head -n 2 | tr '\n' ' ')" \
    "AWS_ENDPOINT_URL=https://localhost:$port AWS_CA_BUNDLE=$work/tls/tls.crt "
ask --cacert tls/tls.crt "https://localhost:$port/_kpipe/health"
is "it answers TLS" "$status $(cat curl.err)" "200 "
ask --cacert tls/tls.crt "https://127.0.0.1:$port/_kpipe/health"
is "by its address too" "$status" 200
ask "$url/_kpipe/health"
is "and plain on the same port" "$status" 200
if curl --version | grep -q HTTP2; then
    ask --http2-prior-knowledge "$url/_kpipe/health"
    is "HTTP/2 with prior knowledge" "$status $(cat curl.err)" "200 "
    is "HTTP/2 over TLS" "$(curl -sS --cacert tls/tls.crt --http2 -o body -w '%{http_version} %{http_code}' "https://localhost:$port/_kpipe/health" 2>&1)" "2 200"
else
    skip "this curl has no HTTP/2"
fi
cat >fanout.lua <<'END'
local k = require "kpipe"
local stream = k.resource.stream { name = "tls", shards = 4 }
local p = k.params { Read = { default = false, help = "What was written" } }
local flows = p.Read and { k.source.kinesis { stream = stream, mode = "fan-out" }, k.sink.null {} }
  or { k.source.generate { count = 1000, size = "100B" }, k.sink.kinesis { stream = stream } }
return { kpipe = 1, name = "tls", resources = { stream }, flows = { one = flows } }
END
delivered() { python3 -c 'import json; print(json.load(open("summary"))["delivered"])'; }
over_tls() {
    env AWS_ENDPOINT_URL="https://localhost:$port" AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test \
        AWS_SECRET_ACCESS_KEY=test "$@" "$KPIPE" run --aws --quiet --log warn --until end \
        --summary summary --set Read="$reads" fanout.lua 2>fanout.err
}
reads=false
over_tls AWS_CA_BUNDLE="$work/tls/tls.crt"
is "kpipe itself writes over TLS" "$? $(delivered)" "0 1000"
reads=true
over_tls AWS_CA_BUNDLE="$work/tls/tls.crt"
is "and reads, subscribed over HTTP/2" "$? $(delivered)" "0 1000"
over_tls
is "and to nobody whose certificate it cannot check" "$?" 1
has "which it says" "$(cat fanout.err)" "certificate"
over_tls AWS_CA_BUNDLE=not-there.pem
is "a file of certificates that is not there is refused" "$?" 2
has "by its name" "$(cat fanout.err)" "cannot read the certificates of AWS_CA_BUNDLE, not-there.pem: No such"
down

finish
