-- Pattern 4: taxi trips -> Kinesis -> every 20th trip is given its expected fare -> S3.
--
--     kpipe run pipelines/pattern4.lua --until end
--
-- Fares come from an HTTP endpoint that is asked without waiting for one answer before the next
-- question. The endpoint is the third flow of this file. It knows no trip 0 and answers 400: that
-- one record ends in the queue, as it should.
local k = require "kpipe"

local p = k.params {
  ShardCount = { default = 2, min = 1, max = 200, help = "Number of open shards" },
  RetentionHours = { default = 24, min = 24, max = 8760, help = "Data retention period (hours)" },
  Speedup = { default = 0, min = 0, max = 1000000000, type = "number", help = "How much faster than in 2018 (the original: 6480); 0: as fast as the stream takes it" },
  InFlight = { default = 20, min = 1, max = 10000, help = "Questions under way at a time" },
  FarePort = { default = 8686, min = 1, max = 65535, help = "Port of the fare endpoint on 127.0.0.1" },
  FareUrl = { default = "", help = "Another endpoint to ask, instead of the one in this file" },
}

local stream = k.resource.stream {
  name = k.env("STREAM", "pattern4-trips"),
  shards = p.ShardCount,
  retention = p.RetentionHours .. "h",
  encryption = "alias/aws/kinesis",
}
local lake = k.resource.bucket { name = k.env("BUCKET", "pattern4-fares") }
local failed = k.resource.queue { name = stream.name .. "-failed", retention = "14d" }

local listen = "127.0.0.1:" .. p.FarePort
local own = "http://" .. listen .. "/predictFare"

local trips = k.transform.filter {
  keep = function(e) return e.type == "trip" and e.trip_id % 20 == 0 end,
}

local fares = k.transform["async-http-enrich"] {
  url = p.FareUrl ~= "" and p.FareUrl or own,
  query = { ride_request_id = k.field "$.trip_id" },
  take = k.field "$.expected_fare",
  into = "expected_fare",
  in_flight = p.InFlight,
  timeout = "30s",
  ordered = false,
  on_status = { ["200"] = "keep", ["408"] = "retry", ["429"] = "retry", ["4xx"] = "reject", ["5xx"] = "retry" },
}

return {
  kpipe = 1,
  name = "pattern4",
  resources = { stream, lake, failed },
  flows = {
    replay = {
      k.source.replay {
        path = k.file "data/taxi/dropoff_year=2018",
        speedup = p.Speedup,
        partition_key = "hash",
      },
      k.sink.kinesis { stream = stream },
    },
    enrich = {
      k.source.kinesis { stream = stream, start = "trim-horizon" },
      trips,
      fares,
      k.sink.s3 { bucket = lake, prefix = "fares/", roll_interval = "60s", extension = ".json" },
    },
    fare = {
      k.source["apigw-proxy"] { listen = listen, mode = "proxy-event", routes = { "GET /predictFare" } },
      k.sink["lambda-shim"] {
        handler = require "handlers.fare",
        function_name = "taxi-fare-endpoint",
        event = "raw",
        retries = 0,
        timeout = "30s",
      },
    },
  },
  on_failure = { enrich = k.sink["sqs-dlq"] { queue = failed } },
}
