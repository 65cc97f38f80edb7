-- The writing side of faults.py: numbered records at their own pace into a stream.
local k = require "kpipe"

local p = k.params {
  In = { default = "in.jsonl", help = "Lines with time (t), key (k) and number (n)" },
  Stream = { default = "model", help = "Stream to write to" },
  Leases = { default = "write.lease", help = "File of the position" },
  Aggregate = { default = false, help = "As the KPL does" },
}

return {
  kpipe = 1,
  name = "model-write",
  leases = "file:" .. p.Leases,
  flows = {
    main = {
      k.source.replay { path = p.In, timestamp = "t", speedup = 1 },
      k.transform.lua { each = function(e) return string.format("%s %d x", e.k, e.n) end },
      k.sink.kinesis {
        stream = k.resource.stream { name = p.Stream, shards = 4 },
        partition_key = function(_, r) return string.match(r.data, "^%S+") end,
        linger = "50ms",
        aggregate = p.Aggregate,
      },
    },
  },
}
