-- POST /record, answered when the record is delivered: to nowhere.
local k = require "kpipe"
local p = k.params { Port = { default = 8687, min = 0, max = 65535, help = "Port on 127.0.0.1" } }

return {
  kpipe = 1,
  name = "bench-proxy",
  flows = { all = { k.source["apigw-proxy"] { listen = "127.0.0.1:" .. p.Port }, k.sink.null {} } },
}
