-- Into a stream of the local AWS and out of it again into one file, with leases and checkpoints, on
-- all workers. Run by ci/sanitize.
local k = require "kpipe"

local p = k.params {
  Out = { default = "", help = "Folder of the files" },
  Count = { default = 20000, min = 1, help = "Records in all" },
}

local stream = k.resource.stream { name = "orders", shards = 4 }
local lake = k.resource.bucket { name = "orders-lake" }

return {
  kpipe = 1,
  name = "stream",
  resources = { stream, lake },
  flows = {
    fill = {
      k.source.generate { count = p.Count, size = "200B", lanes = 4 },
      k.sink.kinesis { stream = stream },
    },
    drain = {
      k.source.kinesis { stream = stream },
      k.sink.file { path = p.Out .. "/stream.txt", sync = false },
    },
    keep = {
      k.source.kinesis { stream = stream },
      k.transform["firehose-buffer"] { size_mib = 1, interval_s = 1, compression = "GZIP" },
      k.sink.s3 { bucket = lake },
    },
  },
}
