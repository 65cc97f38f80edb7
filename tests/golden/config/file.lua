local k = require "kpipe"

return {
  kpipe = 1,
  name = "broken",
  flows = { main = { k.source.file { path = k.file "data/trips.jsonl" }, k.sink.null {} } },
}
