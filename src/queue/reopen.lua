-- Lets a run go on in one partition in which it was over.
--
-- KEYS  1 run hash of the partition
-- Returns 1 when it was over there.
--
-- Guarantee: a run that is cancelled or paused stays so.

if redis.call('HGET', KEYS[1], 'state') ~= 'over' then return 0 end
return redis.call('HDEL', KEYS[1], 'state')
