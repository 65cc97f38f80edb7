-- fare.lua - the fare endpoint of pattern 4: GET /predictFare?ride_request_id=N
--
-- Gets an API Gateway proxy event and answers {"ride_request_id":N,"expected_fare":F}. The fare is
-- made up, but always the same for one id: p = (e * id) mod 1, fare = floor(p * 91 + 10) * (1 +
-- 0.4 * p - 0.2), in IEEE doubles and printed as JavaScript prints numbers, because the function it
-- stands for (taxi-fare-endpoint of the AWS solution) is written in it. No query string at all is
-- an error, as there: the gateway then answers 502.

local E = 2.718281828459045

-- JavaScript's parseFloat: the number a text begins with, or nil.
local function parse_float(text)
  local rest = text:match("^%s*(.*)$")
  local mantissa = rest:match("^[+-]?%d+%.?%d*") or rest:match("^[+-]?%.%d+")

  if rest:match("^%+?Infinity") then return math.huge end
  if rest:match("^%-Infinity") then return -math.huge end
  if not mantissa then return nil end
  return tonumber(mantissa .. (rest:sub(#mantissa + 1):match("^[eE][+-]?%d+") or "")) + 0.0
end

-- JavaScript's text of a number: the fewest digits that give the same double.
local function number_text(x)
  local text, sign, digits, exponent, n

  if x ~= x or x == math.huge or x == -math.huge then return "null" end
  if x == 0 then return "0" end
  for precision = 0, 16 do
    text = string.format("%." .. precision .. "e", x)
    if tonumber(text) == x then break end
  end
  sign, digits, exponent = text:match("^(%-?)([%d.]+)e([+-]%d+)$")
  digits, exponent = digits:gsub("%.", ""), tonumber(exponent)
  n = exponent + 1 -- where the point stands
  if n > 0 and n <= 21 then
    if #digits <= n then return sign .. digits .. ("0"):rep(n - #digits) end
    return sign .. digits:sub(1, n) .. "." .. digits:sub(n + 1)
  end
  if n > -6 and n <= 0 then return sign .. "0." .. ("0"):rep(-n) .. digits end
  if #digits > 1 then digits = digits:sub(1, 1) .. "." .. digits:sub(2) end
  return sign .. digits .. (exponent < 0 and "e-" or "e+") .. math.tointeger(math.abs(exponent))
end

local function fare(id)
  local p = math.fmod(E * id, 1)

  return math.floor(p * 91 + 10) * (1 + 0.4 * p - 0.2)
end

return function(event)
  local id = parse_float(event.queryStringParameters.ride_request_id or "")

  if not id or id == 0 then
    return { statusCode = 400, body = "Missing ride_request_id", isBase64Encoded = false }
  end
  return {
    statusCode = 200,
    body = '{"ride_request_id":' .. number_text(id) .. ',"expected_fare":' .. number_text(fare(id)) .. "}",
    isBase64Encoded = false,
  }
end
