local k = require "kpipe"

return {
  keep = k.transform.filter { kep = k.field "$.a" },
}
