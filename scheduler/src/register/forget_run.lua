-- Takes a run that is not there any more out of the set of runs that are not over.
--
-- KEYS  1 run hash   2 set of runs that are not over   3 leader
-- ARGV  1 identity of the scheduler, '' for whoever does not lead   2 run id
-- Returns 1 when it was taken out, 0 when it is there, -1 when another scheduler leads.

if ARGV[1] ~= '' and redis.call('GET', KEYS[3]) ~= ARGV[1] then return -1 end
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('SREM', KEYS[2], ARGV[2])
return 1
