local k = require "kpipe"

return {
  kpipe = 1,
  name = "broken",
  flows = {
    main = {
      k.source.generate { retry = { attempts = 3 } },
      k.sink.null { retry = { attempts = 2, base = "1m", max = "1s", jitter = true } },
    },
  },
}
