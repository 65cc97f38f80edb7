local k = require "kpipe"

return {
  kpipe = 1,
  name = "broken"
  flows = {},
}
