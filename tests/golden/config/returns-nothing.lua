local k = require "kpipe"
