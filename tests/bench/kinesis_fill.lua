-- Fills the stream that kinesis_read.lua reads.
local k = require "kpipe"
local p = k.params {
  Count = { default = 1, min = 1, max = 1000000000, help = "Records in all" },
  Size = { default = 1024, min = 1, max = 1000000, help = "Bytes of each" },
  Shards = { default = 8, min = 1, max = 10000, help = "Open shards of the stream" },
  Stream = { default = "plain", help = "One of several streams of this size and these shards" },
  Wire = { default = "auto", choices = { "auto", "json", "cbor" }, help = "How records are sent" },
  Aggregate = { default = false, help = "As the KPL does" },
  Keys = { default = 0, min = 0, max = 1000000, help = "Different partition keys, of which each record has one; 0: none" },
}
local of = p.Stream .. "-" .. p.Size .. "-" .. p.Shards
local keys = p.Keys
local stream = k.resource.stream { name = "bench-" .. of, shards = p.Shards }

return {
  kpipe = 1,
  name = "bench-kinesis-fill-" .. of,
  resources = { stream },
  flows = {
    fill = {
      k.source.generate { count = p.Count, size = p.Size .. "B", lanes = 8 },
      k.sink.kinesis {
        stream = stream,
        order = "none",
        in_flight = 8,
        wire = p.Wire,
        aggregate = p.Aggregate,
        partition_key = keys > 0 and function() return "k" .. math.random(keys) end or nil,
      },
    },
  },
}
