-- env: KPIPE_GOLDEN_POD=taxi-3
local k = require "kpipe"
local trips = k.resource.stream { name = "trips", shards = 8 }

return {
  kpipe = 1,
  name = "taxi",
  application = "taxi-reader",
  coordination = {
    layout = "kcl2",
    failover_time = "15s",
    worker_identifier = k.env "KPIPE_GOLDEN_POD",
  },
  flows = { main = { k.source.kinesis { stream = trips }, k.sink.null {} } },
}
