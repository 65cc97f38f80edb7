local k = require "kpipe"

local source = k.source.generate { count = 1 }
local meter = k.transform.meter {}
local forgotten = k.transform.filter { keep = k.field "$.price" }
local sink = k.sink.null {}

return {
  kpipe = 1,
  name = "broken",
  flows = { main = { source, meter, sink } },
}
