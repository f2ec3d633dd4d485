-- Pauses a run in the register.
--
-- KEYS  1 run hash
-- Returns 1 when it is paused now, 0 when it is over or unknown.
--
-- Guarantee: from now on the scheduler neither plans nor ends it.

local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'planning' and state ~= 'running' and state ~= 'paused' then return 0 end
-- First something that a server without memory does not refuse, or it would refuse what follows.
redis.call('PERSIST', KEYS[1])
redis.call('HSET', KEYS[1], 'state', 'paused')
return 1
