local k = require "kpipe"

local lake = k.resource.bucket { name = "lake" }

return {
  kpipe = 1,
  name = "broken",
  resources = { lake, lake },
  flows = {
    main = { k.source.kinesis { stream = lake }, k.sink.null {} },
    other = { k.source.kinesis { stream = "orders" }, k.sink.null {} },
  },
}
