-- run: check --set Cuont=3 --set Size=4KiB --set Mode=quick --set Rate=fast --set Unknown=1
local k = require "kpipe"

local p = k.params {
  Count = { default = 2, min = 1, max = 200, help = "How many" },
  Size = { default = "256B", min = "1B", max = "1KiB" },
  Mode = { default = "fast", choices = { "fast", "slow" } },
  Rate = { default = 100 },
}

return {
  kpipe = 1,
  name = "broken",
  flows = { main = { k.source.generate { count = p.Count, size = p.Size, rate = p.Rate }, k.sink.null {} } },
}
