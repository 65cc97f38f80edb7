return { next = require "lib.link" }
