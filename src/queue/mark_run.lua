-- Notes in one partition that a run is cancelled, paused, or goes on.
--
-- KEYS  1 run hash of the partition
-- ARGV  1 'cancelled', 'paused', or '' when it goes on   2 seconds to keep the run hash
-- Returns 1 when it is so now, 0 when the run was cancelled before, or is to go on and is over.
--
-- Guarantee: a cancelled run never goes on, and one that is over only when it is reopened. From this
-- call on the partition takes no planned job of a run that is paused, and none at all of one that is
-- cancelled.

local state = redis.call('HGET', KEYS[1], 'state')
if state == 'cancelled' and ARGV[1] ~= 'cancelled' then return 0 end
if state == 'over' and ARGV[1] == '' then return 0 end
-- First something that a server without memory does not refuse, or it would refuse what follows.
redis.call('EXPIRE', KEYS[1], ARGV[2])
if ARGV[1] == '' then
  redis.call('HDEL', KEYS[1], 'state')
else
  redis.call('HSET', KEYS[1], 'state', ARGV[1])
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end
return 1
