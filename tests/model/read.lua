-- What the workers of the model run: a stream into one file per process life. A line is the record,
-- its shard, sequence number and sub-sequence number.
local k = require "kpipe"

local p = k.params {
  Out = { default = "out.txt", help = "File of this life" },
  Stream = { default = "model", help = "Stream to read" },
  Mode = { default = "polling", help = "Of the source" },
  Application = { default = "model-app", help = "Lease table" },
}

return {
  kpipe = 1,
  name = p.Application,
  checkpoint_interval = "2s",
  flows = {
    main = {
      k.source.kinesis {
        stream = k.resource.stream { name = p.Stream, shards = 2 },
        start = "trim-horizon",
        mode = p.Mode,
        poll = "250ms",
      },
      k.transform.lua {
        each = function(_, r)
          return string.format("%s %s %s %d", r.data, r.lane, r.sequence, r.sub_sequence)
        end,
      },
      k.sink.file { path = p.Out, sync = false },
    },
  },
}
