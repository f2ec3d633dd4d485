-- Takes every job of a run out of one partition.
--
-- KEYS  1 high lane   2 low lane   3 retry set   4 run hash of the partition   5 pending set
-- ARGV  1 group   2 run id   3 seconds to keep the run hash
-- Returns how many jobs were taken out.
--
-- Guarantee: nothing of the run is handed out or enqueued afterwards, and a worker that still holds
-- one of its jobs finds its lease lost at the next renewal or when it settles.

redis.call('HSET', KEYS[4], 'state', 'cancelled')
redis.call('EXPIRE', KEYS[4], ARGV[3])
for lane = 1, 2 do
  -- The scheduler bounds the depth of a lane, so the whole of it is a short list.
  for _, entry in ipairs(redis.call('XRANGE', KEYS[lane], '-', '+')) do
    local fields = entry[2]
    for i = 1, #fields, 2 do
      if fields[i] == 'run' and fields[i + 1] == ARGV[2] then
        redis.pcall('XACK', KEYS[lane], ARGV[1], entry[1])
        redis.call('XDEL', KEYS[lane], entry[1])
      end
    end
  end
end
for _, member in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  local fields = cmsgpack.unpack(member).fields
  for i = 1, #fields, 2 do
    if fields[i] == 'run' and fields[i + 1] == ARGV[2] then redis.call('ZREM', KEYS[3], member) end
  end
end
local left = redis.call('SCARD', KEYS[5])
redis.call('UNLINK', KEYS[5])
return left
