-- Enters a run into the register, once.
--
-- KEYS  1 run hash   2 index   3 epoch counter   4 set of runs that are not over
--       5 leader
-- ARGV  1 run id   2 created, in ms since 1970   3 state   4 seconds to keep a run
--       that is over from the beginning, and to list runs   5 identity of the scheduler
--       6.. field, value, ... of the run
-- Returns 1 when the run was entered, 0 when it was there already, -1 when another scheduler leads.
--
-- Guarantee: a run gets one epoch, however often its request is read; later runs get larger ones.

if ARGV[5] ~= '' and redis.call('GET', KEYS[5]) ~= ARGV[5] then return -1 end
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local epoch = redis.call('INCR', KEYS[3])
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'epoch', epoch, 'created', ARGV[2], unpack(ARGV, 6))
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
-- Twice as long as a run is kept: one may take its time, and then be kept.
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[2] - 2000 * ARGV[4])
if ARGV[3] == 'planning' then
  redis.call('SADD', KEYS[4], ARGV[1])
else
  redis.call('EXPIRE', KEYS[1], ARGV[4])
end
return 1
