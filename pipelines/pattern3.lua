-- Pattern 3: Kinesis -> buffer as Amazon Data Firehose has it -> S3.
--
--     kpipe run pipelines/pattern3.lua --set Demo=true --until end
--
-- The original has no producer: write to the stream yourself, or let Demo replay the taxi trips.
-- Parameters have the names, defaults and ranges of the solution's CloudFormation template.
local k = require "kpipe"

local p = k.params {
  ShardCount = { default = 2, min = 1, max = 200, help = "Number of open shards" },
  RetentionHours = { default = 24, min = 24, max = 8760, help = "Data retention period (hours)" },
  BufferingSize = { default = 5, min = 1, max = 128, help = "Size of the buffer (in MBs) that incoming data is buffered before delivery" },
  BufferingInterval = { default = 300, min = 60, max = 900, help = "Length of time (in seconds) that incoming data is buffered before delivery" },
  CompressionFormat = { default = "GZIP", choices = { "GZIP", "UNCOMPRESSED" }, help = "Compression format for delivered data in Amazon S3" },
  DataPrefix = {
    default = "data/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/",
    help = "Prefix to be appended to the data delivered to Amazon S3",
  },
  ErrorsPrefix = {
    default = "errors/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/!{firehose:error-output-type}",
    help = "Prefix to be used for errors when delivering data",
  },
  NewLineDelimiter = { default = "Disabled", choices = { "Enabled", "Disabled" }, help = "Whether to add a new line delimiter between records" },
  Demo = { default = false, help = "Replay the taxi trips of 2018 into the stream" },
}

local stream = k.resource.stream {
  name = k.env("STREAM", "pattern3-records"),
  shards = p.ShardCount,
  retention = p.RetentionHours .. "h",
  encryption = "alias/aws/kinesis",
}
local output = k.resource.bucket { name = k.env("BUCKET", "pattern3-output") }

local flows = {
  deliver = {
    k.source.kinesis { stream = stream, start = "trim-horizon" },
    k.transform["firehose-buffer"] {
      size_mib = p.BufferingSize,
      interval_s = p.BufferingInterval,
      compression = p.CompressionFormat,
      prefix = p.DataPrefix,
      error_prefix = p.ErrorsPrefix,
      stream_name = stream.name,
      delimiter = p.NewLineDelimiter == "Enabled" and "\n" or nil,
    },
    k.sink.s3 { bucket = output },
  },
}

if p.Demo == true then
  flows.feed = {
    k.source.replay { path = k.file "data/taxi/dropoff_year=2018", partition_key = "hash" },
    k.sink.kinesis { stream = stream },
  }
end

return {
  kpipe = 1,
  name = "pattern3",
  resources = { stream, output },
  flows = flows,
}
