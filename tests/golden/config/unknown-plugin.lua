local k = require "kpipe"

return {
  kpipe = 1,
  name = "broken",
  flows = {
    main = { k.source.genrate { count = 5 }, k.sink.stduot {} },
  },
}
