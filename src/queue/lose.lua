-- Gives up jobs of a run whose entries have vanished from one partition and that nobody can make
-- again.
--
-- KEYS  1 run hash of the partition   2 pending set
-- ARGV  1 how often the run had restarted when they were missed   2.. job ids
-- Returns how many were given up now.
--
-- Guarantee: the run does not wait for them, and each is counted once.

if tonumber(redis.call('HGET', KEYS[1], 'restarts') or 0) ~= tonumber(ARGV[1]) then return 0 end
local lost = 0
for i = 2, #ARGV do
  if redis.call('SREM', KEYS[2], ARGV[i]) == 1 then
    redis.call('HINCRBY', KEYS[1], 'lost', 1)
    lost = lost + 1
  end
end
return lost
