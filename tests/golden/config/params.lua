local k = require "kpipe"

local p = k.params {
  Count = { default = 300, min = 1, max = 200 },
  Wait = { default = "5s", min = "1m", max = "2m" },
  Mode = { default = "fast", choises = { "fast" } },
  Bare = 5,
  Needed = { min = 1 },
  Mixed = { default = 5, min = "one" },
}

return {
  kpipe = 1,
  name = p.Nmae,
  flows = { main = { k.source.generate { count = p.Cuont }, k.sink.null {} } },
}
