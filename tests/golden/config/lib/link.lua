return { next = require "lib.ring" }
