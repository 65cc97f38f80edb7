local k = require "kpipe"

local settings = { limit = nil }

local function double(x)
  return x * 2
end

return {
  kpipe = 1,
  name = "broken",
  flows = { main = { k.source.generate { count = double(settings.limit) }, k.sink.null {} } },
}
