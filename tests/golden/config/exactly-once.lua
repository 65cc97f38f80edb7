local k = require "kpipe"

return {
  kpipe = 1,
  name = "broken",
  delivery = "exactly-once",
  flows = { main = { k.source.generate {}, k.sink.null {} } },
}
