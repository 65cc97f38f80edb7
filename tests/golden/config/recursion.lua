local function deeper(n)
  return 1 + deeper(n + 1)
end

return { kpipe = 1, name = "broken", count = deeper(1) }
