-- Lines of a file into a stream, as the KPL packs them.
local k = require "kpipe"

local p = k.params {
  Stream = { default = "s", help = "Stream" },
  In = { default = "", help = "File of JSON lines; the member k is the partition key" },
}

return {
  kpipe = 1,
  name = "write",
  application = "write",
  leases = "none",
  flows = {
    main = {
      k.source.file { path = p.In, key = k.field "$.k" },
      k.sink.kinesis { stream = k.resource.stream { name = p.Stream }, aggregate = true },
    },
  },
}
