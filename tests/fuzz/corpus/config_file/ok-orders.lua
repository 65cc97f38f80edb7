-- run: check --set Shards=4
-- env: KPIPE_GOLDEN_SECRET=hunter2
local k = require "kpipe"

local p = k.params {
  Shards = { default = 2, min = 1, max = 200, help = "Number of open shards" },
  Interval = { default = "5s", min = "1s", max = "1m", help = "Longest wait" },
}

local stream = k.resource.stream { name = k.env("KPIPE_GOLDEN_UNSET", "orders"), shards = p.Shards, retention = "48h" }
local lake = k.resource.bucket { name = stream.name .. "-lake" }
local failed = k.resource.queue { name = stream.name .. "-failed", retention = "14d" }

local minimum, round = 50, math.floor

local function is_large(e)
  return round(e.price) > minimum
end

return {
  kpipe = 1,
  name = "orders",
  checkpoint_interval = "2s",
  resources = { stream, lake, failed },
  flows = {
    fill = {
      k.source.generate { count = 1000, size = "1KiB", lanes = 4 },
      k.sink.kinesis { stream = stream, partition_key = k.field "$.id" },
    },
    enrich = {
      k.source.kinesis { stream = stream, start = "trim-horizon", batch = { records = 500, wait = "200ms" } },
      k.transform.filter { stage = "large", keep = is_large },
      k.transform["async-http-enrich"] {
        url = "http://127.0.0.1:8081/price",
        headers = { ["x-api-key"] = k.secret "env:KPIPE_GOLDEN_SECRET", accept = "application/json" },
        into = "rate",
        retry = { attempts = 5 },
      },
      k.sink.s3 { bucket = lake, roll_interval = p.Interval },
      memory = "32MiB",
    },
    archive = { k.source.kinesis { stream = stream }, k.sink.file { path = "archive \"1\".jsonl" } },
    alone = { k.source.list { records = { "a", "b" } }, k.transform.meter {}, k.sink.null {} },
  },
  on_failure = { enrich = k.sink["sqs-dlq"] { queue = failed } },
}
