local k = require "kpipe"

flow = { k.source.generate {}, k.sink.null {} }

local function sink()
  count = 1
  return k.sink.null {}
end

return {
  kpipe = 1,
  name = "broken",
  flows = { main = flow, other = { k.source.generate {}, sink() } },
}
