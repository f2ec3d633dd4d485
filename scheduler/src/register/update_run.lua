-- Notes how a run that is not over goes on.
--
-- KEYS  1 run hash   2 leader
-- ARGV  1 identity of the scheduler   2.. field, value, ... of the run
-- Returns 1 when it was noted, 0 when the run is paused, over already or unknown, -1 when another
-- scheduler leads.
--
-- Guarantee: a run that was cancelled or paused while it was planned, or that another scheduler has
-- ended, stays as it is.

if ARGV[1] ~= '' and redis.call('GET', KEYS[2]) ~= ARGV[1] then return -1 end
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'planning' and state ~= 'running' then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
return 1
