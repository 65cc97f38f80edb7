-- Fills the stream that kinesis_read.lua reads.
local k = require "kpipe"
local p = k.params {
  Count = { default = 1, min = 1, max = 1000000000, help = "Records in all" },
  Size = { default = 1024, min = 1, max = 1000000, help = "Bytes of each" },
}
local stream = k.resource.stream { name = "bench-" .. p.Size, shards = 8 }

return {
  kpipe = 1,
  name = "bench-kinesis-fill-" .. p.Size,
  resources = { stream },
  flows = {
    fill = {
      k.source.generate { count = p.Count, size = p.Size .. "B", lanes = 8 },
      k.sink.kinesis { stream = stream, order = "none", in_flight = 8 },
    },
  },
}
