local k = require "kpipe"

local home = os.getenv("HOME")
local file = io.open("/etc/passwd")
local text = load("return 1")
local where = debug.getinfo(1)
local all = require "os"

print(home)

return {
  kpipe = 1,
  name = "broken",
  flows = { main = { k.source.generate {}, k.sink.null {} } },
}
