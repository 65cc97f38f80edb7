#!/bin/sh
# 13-aggregates.sh - records written as aggregates of the KPL are the same records when they are read, also over a restart in
# the middle of one, and the summary says what the stages counted.
# shellcheck disable=SC2154 # $code comes from lib.sh
. "$(dirname "$0")/lib.sh"

pipeline write.lua <<'EOF'
local orders = k.resource.stream { name = "orders", shards = 5 }
return { kpipe = 1, name = "write", leases = "file:write.lease", resources = { orders }, flows = { main = {
  k.source.file { path = { "lines.txt" } },
  k.sink.kinesis { stream = orders, aggregate = true, linger = "20ms" } } } }
EOF
pipeline read.lua <<'EOF'
local orders = k.resource.stream { name = "orders", shards = 5 }
return { kpipe = 1, name = "read", resources = { orders }, flows = { main = {
  k.source.kinesis { stream = orders, batch = { records = 700 } },
  k.sink.file { path = "read.txt" } } } }
EOF
pipeline raw.lua <<'EOF'
local orders = k.resource.stream { name = "orders", shards = 5 }
return { kpipe = 1, name = "raw", resources = { orders }, flows = { main = {
  k.source.kinesis { stream = orders, deaggregate = false },
  k.sink.null {} } } }
EOF

"$PYTHON" -c 'for i in range(20000): print("line %d of many" % i)' >lines.txt
pipeline slow.lua <<'EOF'
local orders = k.resource.stream { name = "orders", shards = 5 }
local function slow()
  local x = 0
  for i = 1, 50000 do x = x + i end
  return x > 0
end
return { kpipe = 1, name = "slow", resources = { orders }, flows = { main = {
  k.source.kinesis { stream = orders, batch = { records = 50 } },
  k.transform.lua { each = function() return slow() end }, k.sink.null {} } } }
EOF

run write.lua --until end
balance "every line is delivered once" main 20000 20000 0 0 0

run read.lua --until records:5000 --checkpoint 10ms
first=$(sum read)
run read.lua --until end
yes "and once read, over a restart inside an aggregate" test "$((first + $(sum read)))" -eq 20000
sort lines.txt >want
sort read.txt >got
yes "as it was" cmp want got
yes "the source says that it took aggregates apart" test "$(sum flows.main.stages.0.counters.aggregates)" -gt 0

run slow.lua --until time:1s --workers 1
is "a function that is slow keeps nobody from ending the run" "$code" 0
yes "in time" test "$(sum read)" -lt 20000
yes "with what it has done" test "$(sum delivered)" -gt 0

run raw.lua --until end
yes "the stream has few records for many ($(sum read))" test "$(sum read)" -lt 2000

finish
