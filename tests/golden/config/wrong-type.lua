local k = require "kpipe"

return {
  kpipe = 1,
  name = "broken",
  flows = {
    main = {
      k.source.generate {
        count = "five",
        lanes = 1.5,
        rate = {},
      },
      k.transform.lua { each = "a text" },
      k.sink.file { path = 7, sync = "yes" },
    },
  },
}
