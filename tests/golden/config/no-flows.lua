return { kpipe = 1, name = "broken" }
