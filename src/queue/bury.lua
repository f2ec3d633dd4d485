-- Moves an entry that is no job of this build to the dead letters, with everything that is in it.
--
-- KEYS  1 lane   2 dead stream, and when its run and job can be read:   3 run hash of the partition
--       4 pending set
-- ARGV  1 group   2 consumer   3 entry id   4 deliveries   5 lane   6 what is wrong   7 job id
-- Returns 1 when it was moved, 0 when it was gone or somebody else has it by now.
--
-- Guarantee: a run does not wait for a job that nobody can do. A worker of another build that has
-- taken the entry over, and may understand it, keeps it.

-- As many values as one XADD from a script takes without trouble. No build writes nearly as many.
local KEPT = 2000

local held = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)[1]
if not held or held[2] ~= ARGV[2] or held[4] ~= tonumber(ARGV[4]) then return 0 end
local entry = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])[1]
if not entry then return 0 end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[3])
local counted = KEYS[4] and redis.call('SREM', KEYS[4], ARGV[7]) or 0
redis.call('XADD', KEYS[2], '*', 'error', ARGV[6], 'worker', ARGV[2], 'lane', ARGV[5], 'entry', ARGV[3],
  'deliveries', ARGV[4], 'counted', counted, unpack(entry[2], 1, math.min(#entry[2], KEPT)))
if counted == 1 then redis.call('HINCRBY', KEYS[3], 'dead', 1) end
return 1
