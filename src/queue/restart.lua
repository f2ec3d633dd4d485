-- Restarts a run in one partition: cursor, pending set and counts are as they were before
-- its first job, but for counts that are to be kept.
--
-- KEYS  1 run hash of the partition   2 pending set   3 parked jobs of the run   4 set of the jobs
--       that were queued because they follow from others
-- ARGV  1 for the so-manieth time   2 seconds to keep the run hash
--       3 a count that becomes the sum of the first counts that are kept, or ''   4 of how many
--       5.. counts to keep
-- Returns 1 when it restarts now, 0 when it had, or is cancelled.
--
-- Guarantee: once for each number, however often and by whomever it is asked for.

local state, restarts = unpack(redis.call('HMGET', KEYS[1], 'state', 'restarts'))
if state == 'cancelled' or tonumber(restarts or 0) >= tonumber(ARGV[1]) then return 0 end
local kept, sum = {}, 0
for i = 5, #ARGV do
  local amount = redis.call('HGET', KEYS[1], ARGV[i])
  if amount then
    kept[#kept + 1] = { ARGV[i], amount }
    if i - 4 <= tonumber(ARGV[4]) then sum = sum + amount end
  end
end
redis.call('DEL', KEYS[1])
redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4])
redis.call('HSET', KEYS[1], 'restarts', ARGV[1])
if state and state ~= 'over' then redis.call('HSET', KEYS[1], 'state', state) end
for _, count in ipairs(kept) do redis.call('HSET', KEYS[1], count[1], count[2]) end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], ARGV[3], sum) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
