#!/bin/sh
# 10-far-end.sh - the AWS endpoint is another process that dies and comes back: runs wait, end as told, and lose nothing.
# shellcheck disable=SC2154 # $code comes from lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_port)

serve() {
    rm -f far.out
    start far "$KPIPE" local --port "$port" --dir far --no-limits --log error
    far=$pid
    until_true 10 grep -q '^ready ' far.out
}
far_run() {
    rm -f sum
    kpipe run --aws --no-limits --quiet --log error --summary sum "$@"
}
AWS_ENDPOINT_URL=http://127.0.0.1:$port
AWS_REGION=eu-central-1
AWS_ACCESS_KEY_ID='test'
AWS_SECRET_ACCESS_KEY='test'
export AWS_ENDPOINT_URL AWS_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY

pipeline write.lua <<'END'
local stream = k.resource.stream { name = "far", shards = 2 }
return { kpipe = 1, name = "write", resources = { stream }, leases = "file:write.lease", checkpoint_interval = "100ms", flows = { main = {
  k.source.file { path = "numbers.txt", key = function(e, r) return r.data end }, k.sink.kinesis { stream = stream, linger = "2ms" } } } }
END
pipeline read.lua <<'END'
local stream = k.resource.stream { name = "far", shards = 2 }
return { kpipe = 1, name = "read", resources = { stream }, flows = { main = {
  k.source.kinesis { stream = stream, poll = "200ms" }, k.sink.file { path = "read.txt" } } } }
END
seq 1 400000 >numbers.txt
serve
start write "$KPIPE" run --aws --no-limits --quiet --log error --summary sum --drain 1s write.lua
write=$pid
stored() {
    [ -s write.lease ] || ! kill -0 "$write"
}
until_true 10 stored
kill -KILL "$far"
ended "$far" 2>/dev/null
kill -TERM "$write" 2>/dev/null
ended "$write"
yes "the far end dies: exit code 4 for the drain time, or 0 when all was through" test "$code" = 4 -o "$code" = 0
cp write.err err
yes "each record is delivered or left unsettled" balanced
echo "# exit code $code, read $(sum read), delivered $(sum delivered), unsettled $(sum unsettled)"
far_run --drain 1s write.lua
refused "started while it is away: exit code 1" 1 "127.0.0.1"
serve
far_run write.lua
is "it is back: the run goes on and ends with 0" "$code" 0
far_run read.lua --until end
is "a reader with leases in its DynamoDB" "$code $(sum unsettled)" "0 0"
is "finds every record" "$(sort -nu read.txt | grep -cx '[0-9]*')" 400000
far_run read.lua --until end
is "and none a second time" "$code $(sum read)" "0 0"
seq 400001 400010 >>numbers.txt
far_run write.lua
start read "$KPIPE" run --aws --no-limits --quiet --log error --summary sum --drain 2s read.lua
read=$pid
until_true 10 grep -qx 400010 read.txt
kill -KILL "$far"
ended "$far" 2>/dev/null
serve
kill -TERM "$read" 2>/dev/null
ended "$read"
yes "a reader outlives its end, and stops with 0 or 1" test "$code" -le 1
echo "# exit code $code: $(head -n 2 read.err)"
far_run read.lua --until end
is "whatever it could not note is read again, nothing is lost" "$code $(sort -nu read.txt | grep -cx '[0-9]*')" "0 400010"
finish
