local k = require "kpipe"

local text = ("a"):rep(10000)

return {
  kpipe = 1,
  name = text:match("a-a-a-a-a-b"),
  flows = { main = { k.source.generate {}, k.sink.null {} } },
}
