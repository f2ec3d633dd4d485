-- Ends a run in one partition, if no job of it is pending there.
--
-- KEYS  1 run hash of the partition   2 pending set   3 set of the jobs that were queued because
--       they follow from others
-- ARGV  1 seconds to keep the run hash
-- Returns 1 when the run is over there, 0 when a job is pending, or the run is paused or cancelled.
--
-- Guarantee: from then on nothing of the run is enqueued, and its counts are final, whoever wakes up,
-- until it is reopened, paused or restarts. One that is paused or cancelled stays so: otherwise
-- to reopen it would undo that.

local state = redis.call('HGET', KEYS[1], 'state')
if state == 'paused' or state == 'cancelled' or redis.call('SCARD', KEYS[2]) > 0 then return 0 end
-- First something that a server without memory does not refuse.
redis.call('UNLINK', KEYS[3])
redis.call('HSET', KEYS[1], 'state', 'over')
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
