-- Reads a stream from its beginning and throws the records away.
local k = require "kpipe"
local p = k.params {
  Size = { default = 1024, min = 1, max = 1000000, help = "Bytes of each record" },
  Shards = { default = 8, min = 1, max = 10000, help = "Open shards of the stream" },
  Stream = { default = "plain", help = "One of several streams of this size and these shards" },
  Wire = { default = "auto", choices = { "auto", "json", "cbor" }, help = "How records are asked for" },
  Most = { default = 10000, min = 1, max = 10000, help = "Records of one answer" },
  Poll = { default = 1000, min = 10, max = 60000, help = "Longest pause of a quiet shard, ms" },
  Failover = { default = "10s", help = "Of the leases" },
  Run = { default = "1", help = "A run of another name begins at the beginning again" },
}
local of = p.Stream .. "-" .. p.Size .. "-" .. p.Shards
local stream = k.resource.stream { name = "bench-" .. of, shards = p.Shards }

return {
  kpipe = 1,
  name = "bench-kinesis-read-" .. of .. "-" .. p.Run,
  resources = { stream },
  coordination = { failover_time = p.Failover },
  flows = {
    read = {
      k.source.kinesis {
        stream = stream,
        wire = p.Wire,
        poll = p.Poll .. "ms",
        batch = { records = p.Most },
      },
      k.sink.null {},
    },
  },
}
