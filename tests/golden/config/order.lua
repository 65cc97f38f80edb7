local k = require "kpipe"

local source = k.source.generate { count = 1 }
local sink = k.sink.null {}

return {
  kpipe = 1,
  name = "broken",
  flows = {
    backwards = { sink, source },
    middle = {
      k.source.generate { count = 1 },
      k.sink.stdout {},
      k.source.list { records = { "a" } },
      k.sink.null {},
    },
    endless = { k.transform.meter {}, k.transform.meter {} },
    alone = { k.source.generate {} },
    empty = {},
    number = 5,
    names = { "generate", "null" },
  },
}
