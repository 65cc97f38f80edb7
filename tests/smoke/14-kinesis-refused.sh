#!/bin/sh
# 14-kinesis-refused.sh - streams that are not there, rights that are missing, tables that are no lease tables, records that
# are too large: one clear message, or a wait when one was asked for.
# shellcheck disable=SC2154 # $code comes from lib.sh
. "$(dirname "$0")/lib.sh"
LIMIT=20
port=$(free_port)
start far "$KPIPE" local --port "$port" --dir far --log error
until_true 10 grep -q '^ready ' far.out
AWS_ENDPOINT_URL=http://127.0.0.1:$port
AWS_REGION=us-east-1
AWS_ACCESS_KEY_ID='test'
AWS_SECRET_ACCESS_KEY='test'
export AWS_ENDPOINT_URL AWS_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY

cat >ask.py <<'END'
"""ask.py kinesis|dynamodb OPERATION JSON; ask.py deny OPERATION ARN; ask.py allow"""
import json, sys, urllib.request, os
url = os.environ["AWS_ENDPOINT_URL"] + "/"
def send(path, body, method="POST", **headers):
    request = urllib.request.Request(url + path, body.encode() if body else None, headers, method=method)
    return urllib.request.urlopen(request, timeout=20).read().decode()
what = sys.argv[1]
if what == "allow":
    send("_kpipe/faults", None, "DELETE")
elif what == "deny":
    service, operation, arn = sys.argv[2:]
    text = ("User: arn:aws:iam::000000000000:user/me is not authorized to perform: %s:%s on resource: %s because no "
            "identity-based policy allows the %s:%s action" % (service, operation, arn, service, operation))
    send("_kpipe/faults", json.dumps({"service": service, "operation": operation, "fault": "error", "status": 400,
                                      "code": "AccessDeniedException", "message": text}))
else:
    target = {"kinesis": "Kinesis_20131202.", "dynamodb": "DynamoDB_20120810."}[what] + sys.argv[2]
    print(send("", sys.argv[3], **{"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.%d" % (what == "kinesis")}))
END
ask() {
    "$PYTHON" ask.py "$@"
}
far_run() {
    rm -f sum
    kpipe run --aws --quiet --log error --summary sum "$@"
}

pipeline read.lua <<'END'
local p = k.params { Stream = { default = "orders" }, App = { default = "read" }, Wait = { default = false } }
local orders = k.resource.stream { name = p.Stream, shards = 1 }
return { kpipe = 1, name = p.App, flows = { main = {
  k.source.kinesis { stream = orders, poll = "100ms", wait = p.Wait }, k.sink.file { path = "read.txt" } } } }
END
pipeline write.lua <<'END'
local p = k.params { Failed = { default = false }, Size = { default = 0 }, Max = { default = "1MiB" } }
local orders = k.resource.stream { name = "orders", shards = 1 }
return { kpipe = 1, name = "write", leases = "none", flows = { main = {
  k.source.list { records = { "first", string.rep("x", p.Size), "last" }, key = "k1" },
  k.sink.kinesis { stream = orders, linger = "2ms", max_record = p.Max },
  on_failure = p.Failed and k.sink.file { path = "failed.txt" } or nil } } }
END

# ---- a stream that is not there

start waiting "$KPIPE" run --aws --quiet --wait --until records:2 read.lua
until_true 10 grep -q stream.awaited waiting.err
has "--wait: the log names the stream that is waited for" "$(cat waiting.err)" "stream=orders region=us-east-1"
ask kinesis CreateStream '{"StreamName":"orders","ShardCount":1}' >out
ask kinesis PutRecords '{"StreamName":"orders","Records":[{"Data":"b25l","PartitionKey":"a"},{"Data":"dHdv","PartitionKey":"a"}]}' >out
ended "$pid"
is "and when it comes, it is read" "$code $(cat read.txt)" "0 one
two"
start later "$KPIPE" run --aws --quiet --set Wait=true --set Stream=later --set App=later read.lua
later=$pid
yes "the option wait of the source does the same" until_true 10 grep -q 'stream.awaited.*stream=later' later.err
yes "such a stream is not made" sh -c '! "$1" ask.py kinesis DescribeStreamSummary "{\"StreamName\":\"later\"}"' sh "$PYTHON"
kill -TERM "$later"
ended "$later"
is "a signal ends the wait" "$code" 0
far_run --wait --until time:1ms write.lua
is "a stream that is written to is made, also with --wait" "$code" 0

start reading "$KPIPE" run --aws --quiet --log error --set Stream=brief --set App=brief read.lua
until_true 10 ask kinesis DescribeStreamSummary '{"StreamName":"brief"}'
ask kinesis PutRecord '{"StreamName":"brief","Data":"b25l","PartitionKey":"a"}' >out
until_true 10 grep -q one read.txt
ask kinesis DeleteStream '{"StreamName":"brief"}' >out
ended "$pid"
cp reading.err err
refused "a stream that is deleted while it is read" 1 "stream brief does not exist in us-east-1"
echo "# $(cat err)"

# ---- rights that are missing

stream_arn=arn:aws:kinesis:us-east-1:000000000000:stream/orders
# denied SERVICE OPERATION ARN ARGUMENT...: the run ends with 1 and one line that has the action and the ARN.
denied() {
    service=$1
    operation=$2
    arn=$3
    shift 3
    ask deny "$service" "$operation" "$arn"
    far_run "$@"
    refused "no right to $service:$operation: the action is named" 1 "$service:$operation on "
    refused "and the ARN" 1 "$arn"
    yes "and that it is a right that is missing" grep -q -e "not allowed: " -e "no permission for " err
    echo "# $(cat err)"
    ask allow
}
denied kinesis CreateStream arn:aws:kinesis:us-east-1:000000000000:stream/none --set Stream=none read.lua
for operation in ListShards GetShardIterator GetRecords; do
    denied kinesis $operation $stream_arn --set App=denied read.lua
done
denied kinesis PutRecords $stream_arn write.lua
denied dynamodb DescribeTable arn:aws:dynamodb:us-east-1:000000000000:table/fresh --set App=fresh read.lua
denied dynamodb CreateTable arn:aws:dynamodb:us-east-1:000000000000:table/fresh --set App=fresh read.lua
denied dynamodb Scan arn:aws:dynamodb:us-east-1:000000000000:table/fresh --set App=fresh read.lua
denied dynamodb PutItem arn:aws:dynamodb:us-east-1:000000000000:table/fresh2 --set App=fresh2 read.lua
denied dynamodb UpdateItem arn:aws:dynamodb:us-east-1:000000000000:table/fresh3 --set App=fresh3 read.lua

# ---- tables that are no lease tables

# table NAME ATTRIBUTES KEY
table() {
    ask dynamodb CreateTable "{\"TableName\":\"$1\",\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":[$2],\"KeySchema\":[$3]}" >out
}
# foreign NAME KEY-AS-TOLD
foreign() {
    far_run --set "App=$1" read.lua
    refused "a table with the key $2 is refused" 2 "the table $1 is no lease table: its key is $2, a lease table has HASH leaseKey (S)"
}
table users '{"AttributeName":"id","AttributeType":"S"}' '{"AttributeName":"id","KeyType":"HASH"}'
foreign users "HASH id (S)"
table numbers '{"AttributeName":"leaseKey","AttributeType":"N"}' '{"AttributeName":"leaseKey","KeyType":"HASH"}'
foreign numbers "HASH leaseKey (N)"
table ranges '{"AttributeName":"leaseKey","AttributeType":"S"},{"AttributeName":"at","AttributeType":"N"}' \
    '{"AttributeName":"leaseKey","KeyType":"HASH"},{"AttributeName":"at","KeyType":"RANGE"}'
foreign ranges "HASH leaseKey (S), RANGE at (N)"
echo "# $(cat err)"

# ---- a record over the limit

far_run --set Size=1048575 --set Failed=true write.lua
is "a record over the limit is dead-lettered: exit code 3" "$code" 3
balance "the others are delivered" main 3 2 0 1 0
has "the letter says how large it is, and what the limit is" "$(cut -c-2000 failed.txt | grep -o '"reason":"[^"]*"')" "1048577"
cut -c-2000 failed.txt | grep -o '"reason":"[^"]*"' | sed 's/^/# /'
far_run --set Size=1048575 write.lua
refused "without on_failure the run stops at it" 1 "1048577"
echo "# $(cut -c-400 err)"

finish
