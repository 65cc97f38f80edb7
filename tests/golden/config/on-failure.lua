local k = require "kpipe"

return {
  kpipe = 1,
  name = "broken",
  flows = {
    main = { k.source.generate {}, k.sink.null {}, on_failure = k.transform.meter {} },
    other = { k.source.generate {}, k.sink.null {}, on_failure = k.sink.null {}, memory = "1KiB" },
  },
  on_failure = { mian = k.sink.null {}, other = k.sink.null {} },
  memory = { main = 5 },
}
