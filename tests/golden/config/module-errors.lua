local k = require "kpipe"
local rules = require "lib.rules"
local broken = require "lib.broken"
local none = require "lib.none"
local outside = require "../secrets"

return {
  kpipe = 1,
  name = "broken",
  flows = { main = { k.source.generate {}, rules.keep, k.sink.null {} } },
}
