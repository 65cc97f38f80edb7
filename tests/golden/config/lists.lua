local k = require "kpipe"

local missing

return {
  kpipe = 1,
  name = "broken",
  flows = {
    main = {
      k.source.list { records = { "a", nil, "c" } },
      missing,
      k.sink.null { "b" },
    },
    other = { k.source.list { records = { first = "a" } }, k.sink.null("x") },
    third = { k.source.list { records = { "a", 5 } }, k.sink.null {} },
  },
}
