local k = require "kpipe"

local sink = k.sink.null {}

return {
  kpipe = 1,
  name = "broken",
  flows = {
    first = { k.source.generate { count = 1 }, sink },
    second = { k.source.generate { count = 1 }, sink },
  },
}
