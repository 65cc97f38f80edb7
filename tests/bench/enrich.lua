-- Asks an endpoint about each of many small records.
local k = require "kpipe"
local p = k.params {
  Count = { default = 20000, min = 1, max = 1000000000, help = "Records in all" },
  InFlight = { default = 100, min = 1, max = 10000, help = "Questions under way at a time" },
  Port = { default = 8688, min = 1, max = 65535, help = "Port of the endpoint on 127.0.0.1" },
}

return {
  kpipe = 1,
  name = "bench-enrich",
  flows = {
    all = {
      k.source.generate { count = p.Count, size = "100B" },
      k.transform["async-http-enrich"] {
        url = "http://127.0.0.1:" .. p.Port .. "/fare",
        query = { id = "7" },
        in_flight = p.InFlight,
        ordered = false,
      },
      k.sink.null {},
    },
  },
}
