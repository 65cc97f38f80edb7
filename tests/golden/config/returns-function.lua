local k = require "kpipe"

return function()
  return {}
end
