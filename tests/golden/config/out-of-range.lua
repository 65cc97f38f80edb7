local k = require "kpipe"

return {
  kpipe = 1,
  name = "broken",
  checkpoint_interval = "10ms",
  flows = {
    main = {
      k.source.generate {
        count = -1,
        size = "1GiB",
        lanes = 0,
      },
      k.sink.null {},
    },
  },
}
