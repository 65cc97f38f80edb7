local k = require "kpipe"

return {
  kpipe = 1,
  name = "broken",
  flows = {
    main = { k.source.stdout {}, k.transform.meter {}, k.sink.filter { keep = k.field "$.a" } },
  },
}
