local k = require "kpipe"

return {
  kpipe = 1,
  name = "small",
  flows = { main = { k.source.generate { count = 10 }, k.sink.stdout {} } },
}
