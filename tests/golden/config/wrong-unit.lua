local k = require "kpipe"

return {
  kpipe = 1,
  name = "broken",
  checkpoint_interval = 5,
  flows = {
    main = {
      k.source.generate { size = "5 MiB" },
      k.transform.meter { every = "5min" },
      k.sink.null {},
    },
  },
}
