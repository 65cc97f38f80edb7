local k = require "kpipe"

local reader = k.source.generate { count = 1 }
local writer = k.sink.null {}

return {
  kpipe = 1,
  name = "broken",
  flows = { main = { reeder, writer } },
}
