-- Notes how a run that is not over goes on.
--
-- KEYS  1 run hash
-- ARGV  field, value, ... of the run
-- Returns 1 when it was noted, 0 when the run is over already or unknown.
--
-- Guarantee: a run that was cancelled while it was planned, or that another scheduler has ended,
-- stays as it is.

local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'planning' and state ~= 'running' then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1
