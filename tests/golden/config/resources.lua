local k = require "kpipe"

local stream = k.resource.stream { name = "order stream", shard = 2, retention = "12h" }
local again = k.resource.stream { name = "orders", retention = "90m" }
local bucket = k.resource.buckett { name = "Lake" }
local lake = k.resource.bucket { name = "Lake" }
local queue = k.resource.queue "orders"

return {
  kpipe = 1,
  name = "broken",
  resources = { stream, again, bucket, lake, queue, "orders" },
  flows = { main = { k.source.generate {}, k.sink.kinesis { stream = again } } },
}
