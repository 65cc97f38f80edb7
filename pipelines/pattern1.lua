-- Pattern 1: HTTP clients -> gateway -> Kinesis -> function; failed batches go to an SQS queue.
--
--     kpipe run pipelines/pattern1.lua
--     curl -d '{"data":"Hello World!","partitionKey":"pk001"}' http://127.0.0.1:8080/record
--
-- Parameters have the names, defaults and ranges of the solution's CloudFormation template. Other
-- than there, ParallelizationFactor and MaxRetryAttempts are not wired crosswise.
local k = require "kpipe"

local p = k.params {
  ShardCount = { default = 2, min = 1, max = 200, help = "Number of open shards" },
  RetentionHours = { default = 24, min = 24, max = 8760, help = "Data retention period (hours)" },
  ThrottlingRateLimit = { default = 100, min = 1, max = 10000, help = "Steady-state requests per second" },
  ThrottlingBurstLimit = { default = 50, min = 0, max = 5000, help = "Burst requests per second" },
  BatchSize = { default = 100, min = 1, max = 10000, help = "Largest number of records that will be read from the stream at once" },
  ParallelizationFactor = { default = 1, min = 1, max = 10, help = "Number of batches to process from each shard concurrently" },
  MaxRetryAttempts = { default = 3, min = 1, max = 10000, help = "Maximum number of times to retry when the function returns an error" },
  Port = { default = 8080, min = 0, max = 65535, help = "Port of the gateway on 127.0.0.1; 0 takes a free one and logs it" },
}

local stream = k.resource.stream {
  name = k.env("STREAM", "pattern1-records"),
  shards = p.ShardCount,
  retention = p.RetentionHours .. "h",
  encryption = "alias/aws/kinesis",
}
local failed = k.resource.queue { name = stream.name .. "-failed", retention = "4d" }

local door = k.source["apigw-proxy"] { -- POST /record and POST /records
  listen = "127.0.0.1:" .. p.Port,
  throttle = { rate = p.ThrottlingRateLimit, burst = p.ThrottlingBurstLimit },
}

local consumer = k.sink["lambda-shim"] {
  handler = require "handlers.consumer",
  function_name = "kds-lambda-consumer",
  stream = stream,
  batch_size = p.BatchSize,
  parallelization_factor = p.ParallelizationFactor,
  retries = p.MaxRetryAttempts,
  bisect_on_error = true,
  max_record_age = "24h",
  timeout = "5m",
}

return {
  kpipe = 1,
  name = "pattern1",
  resources = { stream, failed },
  flows = {
    -- The client hears 200 once Kinesis has the record, so it must not linger for company.
    api = { door, k.sink.kinesis { stream = stream, linger = "2ms" } },
    -- The original starts at LATEST, and so misses what is written while the mapping is made.
    process = { k.source.kinesis { stream = stream, start = "trim-horizon" }, consumer },
  },
  on_failure = { process = k.sink["sqs-dlq"] { queue = failed } },
}
