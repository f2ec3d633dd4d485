-- Gives up the lead, if it is still held.
--
-- KEYS  1 leader
-- ARGV  1 identity of the scheduler
-- Returns 1 when it was held.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
