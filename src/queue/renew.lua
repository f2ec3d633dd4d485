-- Renews a lease, if it is still held.
--
-- KEYS  1 lane   2 run hash of the partition
-- ARGV  1 group   2 consumer   3 entry id   4 deliveries
-- Returns 'held', 'lost' (another worker has the job, or it is gone) or 'cancelled' (the run is).
--
-- Guarantee: never takes a job back from a worker that took it over; XCLAIM alone would.

local held = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)[1]
if not held or held[2] ~= ARGV[2] or held[4] ~= tonumber(ARGV[4]) then return 'lost' end
if redis.call('HGET', KEYS[2], 'state') == 'cancelled' then return 'cancelled' end
-- JUSTID resets the silence without counting a delivery. An entry that vanished from the stream
-- cannot be claimed, and is nobody's any more.
local claimed = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3], 'JUSTID')
return claimed[1] and 'held' or 'lost'
