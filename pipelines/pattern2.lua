-- Pattern 2: stock prices -> Kinesis -> those above 50 -> S3 in folders ticker=/dt=/hr=.
--
--     kpipe run pipelines/pattern2.lua --until end
--
-- The producer is the solution's demo: 100 random prices a second, for Seconds. With Prices it is a
-- file of real ones instead, e.g. pipelines/data/stocks/ticker_daily.jsonl.
local k = require "kpipe"

local p = k.params {
  ShardCount = { default = 2, min = 1, max = 200, help = "Number of open shards" },
  RetentionHours = { default = 24, min = 24, max = 8760, help = "Data retention period (hours)" },
  Rate = { default = 100, min = 1, max = 100000, help = "Prices per second" },
  Seconds = { default = 60, min = 0, max = 1000000, help = "How long prices are made; 0: without end" },
  Prices = { default = "", help = "File with prices to send instead, one JSON object per line" },
  RollInterval = { default = "60s", min = "0s", max = "15m", help = "How long an object may wait for more records" },
}

local stream = k.resource.stream {
  name = k.env("STREAM", "pattern2-prices"),
  shards = p.ShardCount,
  retention = p.RetentionHours .. "h",
  encryption = "alias/aws/kinesis",
}
local lake = k.resource.bucket { name = k.env("BUCKET", "pattern2-lake") }

local prices
if p.Prices ~= "" then
  prices = k.source.file { path = p.Prices }
else
  prices = k.source.ticker { rate = p.Rate, count = p.Rate * p.Seconds }
end

-- DATE_FORMAT(event_time, 'yyyy-MM-dd') AS dt, DATE_FORMAT(event_time, 'HH') AS hr
local function set_partition(e)
  local dt, hr = tostring(e.event_time):match("^(%d%d%d%d%-%d%d%-%d%d)[ T](%d%d):")

  if not dt then error("event_time is no time stamp", 0) end
  e.dt, e.hr = dt, hr
  return e
end

return {
  kpipe = 1,
  name = "pattern2",
  resources = { stream, lake },
  flows = {
    -- Prices come one by one: lingering for more would only hold them up.
    produce = { prices, k.sink.kinesis { stream = stream, linger = "2ms" } },
    analyse = {
      k.source.kinesis { stream = stream, start = "trim-horizon" },
      k.transform.filter { keep = function(e) return e.price > 50 end }, -- WHERE price > 50
      k.transform.lua { each = set_partition },
      k.sink.s3 {
        bucket = lake,
        partition_by = "ticker=${ticker}/dt=${dt}/hr=${hr}",
        roll_interval = p.RollInterval,
        extension = ".json",
      },
    },
  },
}
