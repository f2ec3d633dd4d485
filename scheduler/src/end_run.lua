-- Ends a run that is not over yet.
--
-- KEYS  1 run hash   2 users of the run   3 set of runs that are not over
-- ARGV  1 final state   2 seconds to keep the run   3 run id   4.. field, value, ... to set
-- Returns 1 when the run ended now, 0 when it was over already or is unknown.
--
-- Guarantee: a run ends once, in one state, whoever comes first (the scheduler or a cancel).

local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'planning' and state ~= 'running' then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[1])
for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('UNLINK', KEYS[2])
redis.call('SREM', KEYS[3], ARGV[3])
return 1
