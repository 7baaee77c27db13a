-- Tables, strings and closures as scripts use them, over real text; prints sums.
--
--   lua words.lua TEXT
local file = assert(io.open(arg[1], "rb"))
local count, follows, lines = {}, {}, {}
for line in file:lines() do
  local words = {}
  for word in line:gmatch("%w+") do
    words[#words + 1] = word
    count[word] = (count[word] or 0) + 1
  end
  for i = 2, #words do
    local list = follows[words[i - 1]] or {}
    list[#list + 1] = { word = words[i], at = i }
    follows[words[i - 1]] = list
  end
  if #words > 0 then
    lines[#lines + 1] = table.concat(words, " ")
  end
end
file:close()

local names = {}
for name in pairs(count) do
  names[#names + 1] = name
end
table.sort(names, function(a, b)
  if count[a] ~= count[b] then return count[a] > count[b] end
  return a < b
end)
local sum = 0
for rank, name in ipairs(names) do
  for _, entry in ipairs(follows[name] or {}) do
    sum = (sum * 31 + #entry.word * rank + entry.at) % 1000003
  end
end
local text = table.concat(lines, "\n"):upper():gsub("%d+", function(digits)
  return "<" .. digits:reverse() .. ">"
end)
print(#names, sum, #text)
