local k = require "kpipe"

local stream = k.resource.stream { name = "orders", mode = "provisoned" }

return {
  kpipe = 1,
  name = "broken",
  delivery = "at-most-once",
  leases = "redis",
  resources = { stream },
  flows = { main = { k.source.kinesis { stream = stream, start = "TRIM_HORIZON" }, k.sink.null {} } },
}
