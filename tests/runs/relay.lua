-- Eight lanes on all workers, one file on one of them: batches go over from worker to worker, and so
-- do their outcomes. Run by ci/sanitize.
local k = require "kpipe"

local p = k.params {
  Out = { default = "", help = "Folder of the files" },
  Count = { default = 40000, min = 1, help = "Records in all" },
}

return {
  kpipe = 1,
  name = "relay",
  flows = {
    write = {
      k.source.generate { count = p.Count, size = "100B", lanes = 8 },
      k.transform.filter { keep = function(_, r) return #r.data == 100 end },
      k.sink.file { path = p.Out .. "/relay.txt", sync = false },
    },
    waste = {
      k.source.generate { count = p.Count, size = "100B", lanes = 8 },
      k.transform.meter {},
      k.sink.null {},
    },
  },
}
