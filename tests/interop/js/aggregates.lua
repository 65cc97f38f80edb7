-- Both ways between a file and a stream of KPL aggregates; aggregated.test.mjs runs it on a local AWS
-- that it asks itself.
local k = require "kpipe"

local p = k.params {
  Way = { default = "write", choices = { "write", "read" }, help = "write: file to stream; read: stream to file" },
  File = { default = "", help = "Lines that are read, or JSON lines that are written" },
  Stream = { default = "aggregates", help = "Name of the stream" },
}

local stream = k.resource.stream { name = p.Stream, shards = 2 }
local flow

if p.Way == "write" then
  flow = {
    k.source.file { path = { p.File }, key = k.field "$.vehicle" },
    k.sink.kinesis { stream = stream, aggregate = true, linger = "10ms" },
  }
else
  flow = { k.source.kinesis { stream = stream }, k.sink.collect { path = p.File } }
end

return { kpipe = 1, name = "aggregates", resources = { stream }, flows = { all = flow } }
