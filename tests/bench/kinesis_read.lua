-- Reads a stream from its beginning and throws the records away.
local k = require "kpipe"
local p = k.params { Size = { default = 1024, min = 1, max = 1000000, help = "Bytes of each record" } }
local stream = k.resource.stream { name = "bench-" .. p.Size, shards = 8 }

return {
  kpipe = 1,
  name = "bench-kinesis-read-" .. p.Size,
  resources = { stream },
  flows = { read = { k.source.kinesis { stream = stream }, k.sink.null {} } },
}
