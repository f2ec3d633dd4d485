-- Removes consumers that hold no job from one lane.
--
-- KEYS  1 lane
-- ARGV  1 group   2 least ms that a consumer was idle   3 consumer, or '' for any
-- Returns how many were removed.
--
-- Guarantee: no job is lost; XGROUP DELCONSUMER alone would drop what the consumer holds. A worker
-- that was only idle is made a consumer again by its next read.

local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers.err then return 0 end
local removed = 0
for _, fields in ipairs(consumers) do
  local consumer = {}
  for i = 1, #fields, 2 do consumer[fields[i]] = fields[i + 1] end
  local meant = ARGV[3] == '' or ARGV[3] == consumer.name
  if meant and consumer.pending == 0 and consumer.idle >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    removed = removed + 1
  end
end
return removed
