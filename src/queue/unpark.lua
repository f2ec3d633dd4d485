-- Moves parked jobs of a run back into their lane, the oldest first.
--
-- KEYS  1 parked jobs of the run   2 lane   3 run hash of the partition
-- ARGV  1 how many, at most
-- Returns how many are left, 0 also when the run is not to go on.
--
-- Guarantee: no job is lost, and none is in both places.

if redis.call('HGET', KEYS[3], 'state') then return 0 end
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1])) do
  -- First what frees memory: a server without any would refuse a script that begins otherwise.
  redis.call('XDEL', KEYS[1], entry[1])
  redis.call('XADD', KEYS[2], '*', unpack(entry[2]))
end
local left = redis.call('XLEN', KEYS[1])
if left == 0 then redis.call('DEL', KEYS[1]) end
return left
