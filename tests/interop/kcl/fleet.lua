-- One worker among those of an application: notes what it reads.
local k = require "kpipe"

local p = k.params {
  Stream = { default = "s", help = "Stream" },
  Application = { default = "fleet", help = "Name of the lease table" },
  Failover = { default = "10s", help = "The same as the other workers' failoverTimeMillis" },
  Out = { default = "", help = "File that a JSON object per record is appended to" },
  Mode = { default = "polling", help = "polling or fan-out" },
}

return {
  kpipe = 1,
  name = "fleet",
  application = p.Application,
  coordination = { failover_time = p.Failover },
  flows = {
    main = {
      k.source.kinesis { stream = k.resource.stream { name = p.Stream }, mode = p.Mode },
      k.sink.collect { path = p.Out },
    },
  },
}
