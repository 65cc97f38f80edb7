-- env: KPIPE_GOLDEN_COUNT=many KPIPE_GOLDEN_FLAG=maybe
local k = require "kpipe"

return {
  kpipe = 1,
  name = k.env "KPIPE_GOLDEN_UNSET",
  flows = {
    main = {
      k.source.generate { count = k.env("KPIPE_GOLDEN_COUNT", 5) },
      k.sink.file { path = "out", sync = k.env("KPIPE_GOLDEN_FLAG", true) },
    },
  },
}
