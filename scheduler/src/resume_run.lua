-- Lets a paused run go on from where it was.
--
-- KEYS  1 run hash
-- Returns 1 when it goes on, or was not paused, 0 when it is over or unknown.

local state, planned = unpack(redis.call('HMGET', KEYS[1], 'state', 'dataset_id'))
if state == 'planning' or state == 'running' then return 1 end
if state ~= 'paused' then return 0 end
redis.call('HSET', KEYS[1], 'state', planned and 'running' or 'planning')
return 1
