-- Lets a paused run go on from where it was.
--
-- KEYS  1 run hash
-- Returns 1 when it goes on, or was not paused, 0 when it is over or unknown.

local state, planned = unpack(redis.call('HMGET', KEYS[1], 'state', 'dataset_id'))
if state == 'planning' or state == 'running' then return 1 end
if state ~= 'paused' then return 0 end
-- First something that a server without memory does not refuse, or it would refuse what follows.
redis.call('PERSIST', KEYS[1])
redis.call('HSET', KEYS[1], 'state', planned and 'running' or 'planning')
return 1
