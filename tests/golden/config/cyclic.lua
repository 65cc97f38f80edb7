local ring = require "lib.ring"

return ring
