local k = require "kpipe"

return {
  kpipe = 1,
  name = "broken",
  flows = {
    main = {
      k.source.generate { counts = 5, colour = "red" },
      k.sink.null {},
    },
  },
  metric = "127.0.0.1:9464",
}
