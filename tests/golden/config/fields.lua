local k = require "kpipe"

local price = k.field "price"
local name = k.field "$.a." .. "b"

return {
  kpipe = 1,
  name = "broken",
  flows = { main = { k.source.generate {}, k.transform.filter { keep = price }, k.sink.null {} } },
}
