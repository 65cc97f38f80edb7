local low <const> = 5

local function keep(e, r)
  if r.sub_sequence > 0 then return keep(e.parent, r) end
  return e.price > low
end

return { keep = keep }
