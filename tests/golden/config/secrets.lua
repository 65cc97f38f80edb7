local k = require "kpipe"

local unset = k.secret "env:KPIPE_GOLDEN_UNSET"
local plain = k.secret "hunter2"
local missing = k.secret "file:no-such-file"

return {
  kpipe = 1,
  name = "broken",
  flows = { main = { k.source.generate {}, k.sink.null {} } },
}
