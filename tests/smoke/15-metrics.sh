#!/bin/sh
# 15-metrics.sh - `--metrics`: what Prometheus reads while a run goes on, per stage and per shard; the same figures in the summary.
# shellcheck disable=SC2154 # $code comes from lib.sh
. "$(dirname "$0")/lib.sh"

pipeline both.lua <<'EOF'
local orders = k.resource.stream { name = "orders", shards = 2 }
return { kpipe = 1, name = "both", resources = { orders }, flows = {
  write = { k.source.file { path = { "lines.txt" } }, k.sink.kinesis { stream = orders, linger = "20ms" } },
  read = { k.source.kinesis { stream = orders, poll = "50ms" }, k.sink.null {} } } }
