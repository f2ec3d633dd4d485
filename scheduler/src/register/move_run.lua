-- Takes a run from one state to another.
--
-- KEYS  1 run hash   2 leader
-- ARGV  1 identity of the scheduler, '' for whoever does not lead   2 state before   3 state after
-- Returns 1 when it is in the state after, 0 when it is in neither, -1 when another scheduler leads.

if ARGV[1] ~= '' and redis.call('GET', KEYS[2]) ~= ARGV[1] then return -1 end
local state = redis.call('HGET', KEYS[1], 'state')
if state == ARGV[3] then return 1 end
if state ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[3])
return 1
