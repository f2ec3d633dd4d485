-- Takes jobs of a run out of one lane of one partition, a slice at a time.
--
-- KEYS  1 lane   2 retry set of the lane   3 run hash of the partition
-- ARGV  1 group   2 run id   3 seconds to keep the run hash   4 where to begin: '-', or what the
--       last call returned   5 entries to look at
-- Returns where to go on, or '' when the lane is through.
--
-- Guarantee: from the first call on nothing of the run is enqueued. When the lane is through,
-- nothing of the run is in it or waits for it, and a worker that still holds one of its jobs finds
-- its lease lost at the next renewal or when it settles.

-- First something that a server without memory does not refuse, or it would refuse what follows.
redis.call('EXPIRE', KEYS[3], ARGV[3])
redis.call('HSET', KEYS[3], 'state', 'cancelled')
redis.call('EXPIRE', KEYS[3], ARGV[3])

local function of_run(fields)
  for i = 1, #fields, 2 do
    if fields[i] == 'run' then return fields[i + 1] == ARGV[2] end
  end
  return false
end

-- In every slice: a job that is held when the first one passes may be put off before the last.
for _, member in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if of_run(cmsgpack.unpack(member)) then redis.call('ZREM', KEYS[2], member) end
end
local entries = redis.call('XRANGE', KEYS[1], ARGV[4], '+', 'COUNT', ARGV[5])
for _, entry in ipairs(entries) do
  if of_run(entry[2]) then
    redis.pcall('XACK', KEYS[1], ARGV[1], entry[1])
    redis.call('XDEL', KEYS[1], entry[1])
  end
end
if #entries < tonumber(ARGV[5]) then return '' end
return '(' .. entries[#entries][1]
