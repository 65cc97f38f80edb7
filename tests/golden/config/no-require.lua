return { kpipe = 1, name = "broken", flows = { main = { k.source.generate {}, k.sink.null {} } } }
