local k = require "kpipe"

local orders = k.resource.stream { name = "orders" }
local failed = k.resource.stream { name = "failed" }

return {
  kpipe = 1,
  name = "broken",
  resources = { orders },
  flows = {
    main = {
      k.source.kinesis { stream = orders },
      k.sink.kinesis {
        stream = failed,
      },
    },
  },
}
