local k = require "kpipe"

local limits = { low = 5, high = 50 }
local stream = k.resource.stream { name = "orders" }

return {
  kpipe = 1,
  name = "broken",
  resources = { stream },
  flows = {
    table = {
      k.source.generate {},
      k.transform.lua { each = function(e) return e.price > limits.low end },
      k.sink.null {},
    },
    resource = {
      k.source.generate {},
      k.transform.filter {
        keep = function(e)
          return e.stream == stream.name
        end,
      },
      k.sink.null {},
    },
    module = {
      k.source.generate {},
      k.transform.lua { each = function(e) return k.env("HOME") end },
      k.sink.null {},
    },
    library = { k.source.generate {}, k.transform.lua { each = tostring }, k.sink.null {} },
  },
}
