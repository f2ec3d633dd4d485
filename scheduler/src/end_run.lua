-- Ends a run that is not over yet.
--
-- KEYS  1 run hash   2 users of the run   3 set of runs that are not over   4 leader
-- ARGV  1 final state   2 seconds to keep the run   3 run id
--       4 identity of the scheduler, '' for whoever does not lead   5.. field, value, ... to set
-- Returns 1 when the run ended now, 0 when it was over already or is unknown, -1 when another
-- scheduler leads.
--
-- Guarantee: a run ends once, in one state, whoever comes first (the scheduler or a cancel). One
-- that is paused ends by a cancel only.

if ARGV[4] ~= '' and redis.call('GET', KEYS[4]) ~= ARGV[4] then return -1 end
local state = redis.call('HGET', KEYS[1], 'state')
local may_end = state == 'planning' or state == 'running' or (state == 'paused' and ARGV[1] == 'cancelled')
if not may_end then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[1])
for i = 5, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('UNLINK', KEYS[2])
redis.call('SREM', KEYS[3], ARGV[3])
return 1
