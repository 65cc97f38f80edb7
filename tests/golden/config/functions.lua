local k = require "kpipe"

local minimum = 50

local function is_large(e)
  return e.price > minimun
end

return {
  kpipe = 1,
  name = "broken",
  flows = {
    main = {
      k.source.generate {},
      k.transform.filter { keep = is_large },
      k.transform.lua {
        each = function(e)
          local function inner()
            return os.time() + tonubmer(e.x)
          end

          count = inner()
          return require("lib.rules").keep(e), string.len(json.encode(math.pi))
        end,
      },
      k.sink.null {},
    },
  },
}
