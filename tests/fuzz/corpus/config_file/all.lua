local k = require "kpipe"
local p = k.params { Number = { default = 5, min = 1, max = 9 } }
local s = k.resource.stream { name = "s" }
return { kpipe = 1, name = "x", resources = { s }, flows = { main = {
  k.source.a { stream = s, list = { "a" } },
  k.transform.b { each = function(e) return e end, map = { x = k.field "$.a" }, wait = "5s" },
  k.sink.c { number = p.Number, mode = "gzip", key = "x" }, on_failure = k.sink.c {} } } }
