local k = require "kpipe"

return {
  kpipe = 1,
  name = "not a name",
  application = "",
  flows = {
    ["the flow"] = { k.source.generate {}, k.sink.null {} },
    main = {
      k.source.generate { stage = "twice" },
      k.transform.meter { stage = "twice" },
      k.sink.null { stage = "a b" },
    },
    { k.source.generate {}, k.sink.null {} },
  },
}
