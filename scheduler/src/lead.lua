-- Takes or renews the lead.
--
-- KEYS  1 leader
-- ARGV  1 identity of the scheduler   2 ms that the lead lasts
-- Returns 1 when the scheduler leads now, 0 when another does.

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
-- A server without memory refuses SET, also of what is there already.
if holder then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
