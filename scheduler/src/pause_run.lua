-- Pauses a run in the register.
--
-- KEYS  1 run hash
-- Returns 1 when it is paused now, 0 when it is over or unknown.
--
-- Guarantee: from now on the scheduler neither plans nor ends it.

local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'planning' and state ~= 'running' and state ~= 'paused' then return 0 end
redis.call('HSET', KEYS[1], 'state', 'paused')
return 1
