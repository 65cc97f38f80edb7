local k = require "kpipe"

local stream = k.resource.stream { name = "orders", shard = 2, retention = "12h" }
local records = k.source.kinesys { stream = stream }
local reader = k.source.kinesis {
  stream = "orders",
  batch = { record = 100, wait = 5 },
}
local handler = k.sink.s3 { timeout = "5min" }
flow = 1

return {
  kpipe = 1,
  name = "broken",
  flows = { consume = { reeder, handler }, back = { handler, reader } },
}
