-- Records made in the process and thrown away: what the host itself costs.
local k = require "kpipe"
local p = k.params {
  Count = { default = 1, min = 1, max = 1000000000, help = "Records in all" },
  Size = { default = 256, min = 1, max = 1048576, help = "Bytes of each" },
}

return {
  kpipe = 1,
  name = "bench-generate",
  flows = { all = { k.source.generate { count = p.Count, size = p.Size .. "B" }, k.sink.null {} } },
}
