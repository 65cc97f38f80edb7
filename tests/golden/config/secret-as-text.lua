-- env: KPIPE_GOLDEN_SECRET=hunter2
local k = require "kpipe"

local secret = k.secret "env:KPIPE_GOLDEN_SECRET"

return {
  kpipe = 1,
  name = secret,
  flows = { main = { k.source.list { records = { secret } }, k.sink.file { path = secret } } },
}
