#!/bin/sh
# 14-leases.sh - `kpipe leases`: who reads which shard; rows of KCL workers; reset, and when it refuses.
# shellcheck disable=SC2154 # $code, $pid and $work come from lib.sh
. "$(dirname "$0")/lib.sh"

pipeline orders.lua <<'END'
local stream = k.resource.stream { name = "orders", shards = 2 }
local p = k.params { Application = { default = "reader", help = "Name of the lease table" } }
return { kpipe = 1, name = "shop", application = p.Application, resources = { stream },
  leases = k.env("LEASES", "dynamodb"), coordination = { failover_time = "1s", worker_identifier = "smoke" }, flows = {
    fill = { k.source.generate { count = 200, size = "50B" }, k.sink.kinesis { stream = stream } },
    read = { k.source.kinesis { stream = stream }, k.sink.null {} } } }
END

# leases ARGUMENT...: kpipe leases of the flow `read`, on the local AWS in ./local
leases() {
    kpipe leases "$@" --local local --flow read orders.lua
}

# row KEY: the cells of the line of a lease, with single blanks
row() {
    sed -n "s/^\($1 .*\)/\1/p" out | tr -s ' '
}

# json EXPRESSION: of the flow in the last run's output, as `flow`
json() {
    "$PYTHON" -c '
import json, sys
flow = json.load(open("out"))["flows"][0]
print(eval(sys.argv[1]))' "$1" 2>&1
}

# ---- nothing there

leases
is "what has never run has no table" "$code $(tail -n 1 out)" "0 The table does not exist: nothing has been read yet, or it was removed."
yes "and asking makes none" test ! -e local
leases --json
is "as JSON too" "$code $(json 'flow["exists"], flow["leases"]')" "0 (False, [])"

# ---- after a run

run orders.lua --until end
is "a run" "$code $(sum flows.read.read)" "0 200"
leases
is "the shards are listed, in order" "$(grep -c '^shardId-' out) $(grep '^shardId-' out | sort -c && echo sorted)" "2 sorted"
has "nobody owns a shard after a clean end" "$(row shardId-000000000000)" "shardId-000000000000 - - "
has "and none has ended" "$(cat out)" "leases  2: 0 owned, 2 free, 0 ended"
has "numbers are cut for the eye" "$(row shardId-000000000000)" "..."
leases --wide
yes "but not with --wide" grep -q '^shardId-000000000000 .* [0-9]\{50,60\} ' out
leases --json
yes "nor in JSON" test "$(json 'len(flow["leases"][0]["checkpoint"]["sequence"])')" -ge 50
is "the table has the application's name" "$(json 'flow["table"]')" reader
kpipe leases --local local orders.lua
has "every flow that keeps a position has a table" "$(grep '^flow' out | tr '\n' ' ')" "flow fill, table reader-fill flow read, table reader "

# ---- beside others: a process that runs the local AWS is asked; rows as the Java workers write them

start local "$KPIPE" local --port 0 --dir local --log error
until_true 10 test -s local.out
url=$(sed -n 's/^ready //p' local.out)

# item OPERATION INPUT: a call of DynamoDB
cat >item.py <<'END'
import json, signal, sys, time, urllib.request
url, operation, body = sys.argv[1:4]
def call(operation, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {
        "X-Amz-Target": "DynamoDB_20120810." + operation, "Content-Type": "application/x-amz-json-1.0",
        "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0"})
    return json.load(urllib.request.urlopen(request))
now = str(int(time.time()))
if operation == "beat":  # a worker that renews one lease until it is killed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        call("UpdateItem", {"TableName": "reader", "Key": {"leaseKey": {"S": body}},
            "UpdateExpression": "SET leaseOwner = :o ADD leaseCounter :n",
            "ExpressionAttributeValues": {":o": {"S": "java-a"}, ":n": {"N": "1"}}})
        print("beat", flush=True)
        time.sleep(0.2)
call(operation, json.loads(body.replace("NOW", now)))
END
put() {
    "$PYTHON" item.py "$url" PutItem "{\"TableName\": \"reader\", \"Item\": $1}" >>why 2>&1
}

put '{"leaseKey": {"S": "shardId-000000000000"}, "leaseOwner": {"S": "java-b"}, "checkpointOwner": {"S": "java-a"},
  "leaseCounter": {"N": "41"}, "ownerSwitchesSinceCheckpoint": {"N": "3"}, "checkpoint": {"S": "4965"}, "checkpointSubSequenceNumber": {"N": "7"},
  "pendingCheckpoint": {"S": "4970"}, "pendingCheckpointSubSequenceNumber": {"N": "0"}, "throughputKBps": {"N": "1.5"}}'
put '{"leaseKey": {"S": "shardId-000000000002"}, "leaseCounter": {"N": "9"}, "ownerSwitchesSinceCheckpoint": {"N": "0"},
  "checkpoint": {"S": "SHARD_END"}, "checkpointSubSequenceNumber": {"N": "0"}, "parentShardId": {"SS": ["shardId-000000000001"]}}'
put '{"leaseKey": {"S": "java-a"}, "entityType": {"S": "WORKER_METRIC_STATS"}, "lut": {"N": "NOW"}, "sts": {"M": {"C": {"L": [{"N": "37"}]}}},
  "opr": {"M": {"C": {"L": [{"N": "100"}]}}}}'
put '{"leaseKey": {"S": "Leader"}, "entityType": {"S": "LEADER"}, "ownerName": {"S": "java-a"}, "leaseDuration": {"S": "120000"},
  "recordVersionNumber": {"S": "r"}, "data": {"B": ""}}'
put '{"leaseKey": {"S": "Migration3.0"}, "entityType": {"S": "MIGRATION_STATE"}, "cv": {"S": "CLIENT_VERSION_3X"}, "mb": {"S": "java-a"}, "mts": {"N": "1"}}'
leases
is "a hand-over: who has it, who gets it, where it stands" "$(row shardId-000000000000)" "shardId-000000000000 java-a java-b 4965+7 4970 3 41 -"
is "an ended shard and its parent" "$(row shardId-000000000002)" "shardId-000000000002 - - SHARD_END - 0 9 shardId-000000000001"
has "they are counted" "$(cat out)" "leases  3: 1 owned, 1 free, 1 ended"
has "the layout that was found" "$(cat out)" "layout  kcl3-single: "
has "the state of KCL 3" "$(cat out)" "state   CLIENT_VERSION_3X"
has "who leads" "$(cat out)" "leader  java-a"
has "who works, and how hard" "$(row java-a)" "java-a 1 37% "
leases --json
is "the same as JSON" \
    "$(json '[flow["leases"][0][name] for name in ("owner", "handing_to", "counter")], flow["layout"], flow["leader"]["worker"], flow["workers"][0]["cpu"]')" \
    "(['java-a', 'java-b', 41], 'kcl3-single', 'java-a', 37.0)"

refuses "reset is refused while a worker reports" 1 "java-a works with it" leases reset --local local --flow read orders.lua
put '{"leaseKey": {"S": "java-a"}, "entityType": {"S": "WORKER_METRIC_STATS"}, "lut": {"N": "1"}, "sts": {"M": {}}, "opr": {"M": {}}}'
start beat "$PYTHON" item.py "$url" beat shardId-000000000001
beat=$pid
until_true 10 test -s beat.out
leases --live
is "--live: a lease that is renewed" "$(row shardId-000000000001 | cut -d ' ' -f 2-3)" "java-a yes"
is "--live: one that is not" "$(row shardId-000000000000 | cut -d ' ' -f 2-3)" "java-a no"
kpipe leases reset --local local --flow read orders.lua
is "reset is refused while a lease is renewed" "$code $(grep -c 'java-a works with it' err)" "1 1"
leases --json
is "and nothing is gone" "$(json 'len(flow["leases"])')" 3
kill -TERM "$beat"
ended "$beat"
kpipe leases reset --local local --flow read orders.lua
is "it is done when nobody works any more" "$code $(cat out)" "0 flow read: 3 leases of reader forgotten; the next run begins at its \`start\`"
leases
has "then there are no leases" "$(cat out)" "There are no leases in it."

# ---- a kpipe worker; the local AWS is a service of its own to it

export AWS_ENDPOINT_URL="$url" AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID='test' AWS_SECRET_ACCESS_KEY='test'
is_owned() {
    leases && [ "$(grep -c '^shardId-.* kpipe:smoke ' out)" -eq 2 ]
}
start worker "$KPIPE" run --quiet --log error --aws orders.lua
worker=$pid
yes "a running worker owns the shards" until_true 20 is_owned
has "and is counted" "$(row kpipe:smoke)" "kpipe:smoke 2 "
leases --live --aws
is "--live: it renews them" "$(grep -c '^shardId-.* kpipe:smoke  *yes ' out)" 2
kpipe leases reset --aws --flow read orders.lua
is "reset is refused" "$code $(grep -c 'kpipe:smoke works with it' err)" "1 1"
kill -TERM "$worker"
ended "$worker"
leases
is "a worker that was stopped has let them go" "$(grep -c '^shardId-[0-9]*  *- ' out)" 2
kpipe leases reset --aws --flow read orders.lua
is "then reset works" "$code $(cat out)" "0 flow read: 2 leases of reader forgotten; the next run begins at its \`start\`"
unset AWS_ENDPOINT_URL AWS_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
kill -TERM "$(sed -n 1p local/lock)"
run orders.lua --until idle:1500ms
is "and the next run reads all from the start" "$code $(sum flows.read.read)" "0 200"

# ---- leases elsewhere

LEASES=file:shop.lease
export LEASES
leases
is "a lease file that is not there" "$code $(tail -n 1 out)" "0 The file does not exist: nothing has been read yet, or it was removed."
run orders.lua --until idle:1500ms
leases
is "a lease file has no owners" "$code $(sed -n 2p out | tr -s ' ')" "0 SHARD CHECKPOINT PENDING PARENTS"
is "and two shards" "$(grep -c '^shardId-' out)" 2
start worker "$KPIPE" run --quiet --log error --local local orders.lua
until_true 10 sh -c '! flock -n shop.lease.lock true'
leases
is "a lease file that is in use can be looked at" "$code $(grep -c '^shardId-' out)" "0 2"
refuses "and not be reset" 1 "another process runs with the lease file shop.lease" leases reset --flow read orders.lua
kill -TERM "$pid"
ended "$pid"
run orders.lua --set Application=else
refused "nor be another application's" 2 "the lease file shop.lease is of the application 'reader', and the pipeline's is 'else'"
kpipe leases reset --flow read orders.lua
is "it is reset as well" "$code $(cat out)" "0 flow read: 2 leases of shop.lease forgotten; the next run begins at its \`start\`"
LEASES=none
leases
is "without leases there is nothing to say" "$code $(cat out)" "0 leases = \"none\": no progress is kept, every run begins at its \`start\`"
unset LEASES

# ---- wrong

refuses "a flow that is not there" 2 "the pipeline has no flow 'raed'; did you mean 'read'?" leases --flow raed orders.lua
refuses "an option that is not there" 2 "leases has no option --widee; did you mean --wide?" leases --widee orders.lua
refuses "reset has nothing to print as JSON" 2 "leases reset takes no --live, --wide or --json" leases reset --json orders.lua
kpipe leases reset
is "reset without a file" "$code $(grep -c '^usage: kpipe leases' err)" "2 1"
export AWS_ENDPOINT_URL=http://127.0.0.1:9 AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID='test' AWS_SECRET_ACCESS_KEY='test'
refuses "a service that does not answer" 1 "dynamodb:Scan on table reader in us-east-1 failed" leases --aws --flow read orders.lua
finish
