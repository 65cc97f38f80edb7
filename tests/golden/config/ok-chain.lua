local k = require "kpipe"
local rules = require "lib.keep"

local stream = {}

for _, name in ipairs { "raw", "clean", "rich" } do
  stream[name] = k.resource.stream { name = name }
end

local function copy(from, to)
  return { k.source.kinesis { stream = from }, k.transform.filter { keep = rules.keep }, k.sink.kinesis { stream = to } }
end

return {
  kpipe = 1,
  name = "chain",
  application = "chain-eu",
  leases = "file:chain.leases",
  flows = {
    ["rich-out"] = { k.source.kinesis { stream = stream.rich }, k.sink.stdout {} },
    clean = copy(stream.raw, stream.clean),
    rich = copy(stream.clean, stream.rich),
    back = copy(stream.rich, stream.raw),
    long = {
      k.source.kinesis { stream = stream.clean },
      k.transform.meter { stage = "before-everything-else" },
      k.transform.filter { keep = k.field "$.price", stage = "those-with-a-price" },
      k.transform.filter { keep = k.field "$.id", stage = "those-with-an-id" },
      k.transform.meter { stage = "after-everything-else" },
      k.sink.null {},
    },
  },
}
