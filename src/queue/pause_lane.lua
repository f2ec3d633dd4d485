-- Pauses a lane of one partition.
--
-- KEYS  1 whether the lane is paused
-- Returns 1.

-- First something that a server without memory does not refuse, or it would refuse what follows.
redis.call('PERSIST', KEYS[1])
redis.call('SET', KEYS[1], 1)
return 1
