-- Puts back what fence.lua has set aside, instead of what was written meanwhile. Last of the
-- transaction.
--
-- KEYS  those of fence.lua
--
-- Guarantee: whoever looks, before the transaction or after it, finds results that were not to be
-- replaced as they were, and nothing where there was nothing.

local function put_back(aside, key)
  if redis.call('EXISTS', aside) == 1 then redis.call('RENAME', aside, key) end
end

for at = 1, #KEYS, 5 do
  local names, journeys, names_aside, journeys_aside, kept = unpack(KEYS, at, at + 4)
  if redis.call('DEL', kept) == 1 then
    redis.call('DEL', names, journeys)
    put_back(names_aside, names)
    put_back(journeys_aside, journeys)
  end
end
