-- Notes what naming may cost a run from now on.
--
-- KEYS  1 run hash
-- ARGV  1 amount
-- Returns 1, or 0 when there is no such run.

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'budget', ARGV[1])
return 1
