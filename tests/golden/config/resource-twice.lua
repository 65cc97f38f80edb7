local k = require "kpipe"

return {
  kpipe = 1,
  name = "broken",
  flows = {
    fill = { k.source.generate {}, k.sink.kinesis { stream = k.resource.stream { name = "orders" } } },
    read = {
      k.source.kinesis { stream = k.resource.stream { name = "orders", shards = 4 } },
      k.sink.null {},
    },
  },
}
