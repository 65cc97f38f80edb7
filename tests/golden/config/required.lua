local k = require "kpipe"

local stream = k.resource.stream {}
local lines = k.source.file {}
local upper = k.transform.lua {}

return {
  name = "broken",
  resources = { stream },
  flows = { main = { lines, upper, k.sink.file {} } },
}
