-- Aggregates into a stream of the local AWS and out of it again by enhanced fan-out and by polling,
-- on all workers. Run by ci/sanitize.
local k = require "kpipe"

local p = k.params {
  Out = { default = "", help = "Folder of the files" },
  Count = { default = 20000, min = 1, help = "Records in all" },
}

local stream = k.resource.stream { name = "orders", shards = 4 }

return {
  kpipe = 1,
  name = "fanout",
  resources = { stream },
  flows = {
    fill = {
      k.source.generate { count = p.Count, size = "200B", lanes = 4 },
      k.sink.kinesis { stream = stream, aggregate = true },
    },
    pushed = {
      k.source.kinesis { stream = stream, mode = "fan-out" },
      k.sink.file { path = p.Out .. "/pushed.txt", sync = false },
    },
    polled = {
      k.source.kinesis { stream = stream },
      k.sink.file { path = p.Out .. "/polled.txt", sync = false },
    },
  },
}
