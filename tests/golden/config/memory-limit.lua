local list = {}

for i = 1, 1000000000 do
  list[i] = ("x"):rep(1000) .. i
end
