-- consumer.lua - the function of pattern 1, after kds-lambda-consumer of the AWS solution.
--
-- Gets a Kinesis event as Lambda does, decodes the records and counts them. Like the original it
-- throws when a record is none (it has no `kinesis`); so that a failing batch can be shown, it also
-- throws when a payload says "bad":true. One bad record fails the whole batch: it is for the event
-- source mapping to bisect.

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64_decode(text)
  local out, bits, n = {}, 0, 0

  for i = 1, #text do
    local value = ALPHABET:find(text:sub(i, i), 1, true)

    if value then
      bits, n = (bits << 6 | (value - 1)) & 0xffffff, n + 6
      if n >= 8 then
        n = n - 8
        out[#out + 1] = string.char(bits >> n & 0xff)
      end
    end
  end
  return table.concat(out)
end

return function(event)
  for _, record in ipairs(event.Records) do
    local payload = base64_decode(record.kinesis.data)

    if payload:find('"bad"%s*:%s*true') then
      error("bad record " .. record.kinesis.sequenceNumber, 0)
    end
  end
  return "Successfully processed " .. #event.Records .. " records."
end
