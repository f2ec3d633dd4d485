-- Moves an entry that is no job of this build to the dead letters, with everything that is in it.
--
-- KEYS  1 lane   2 dead stream, and when its run and job can be read:   3 run hash of the partition
--       4 pending set
-- ARGV  1 group   2 entry id   3 lane   4 what is wrong   5 job id
-- Returns 1 when it was moved, 0 when it was gone.
--
-- Guarantee: a run does not wait for a job that nobody can do.

local entry = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])[1]
if not entry then return 0 end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('XADD', KEYS[2], '*', 'error', ARGV[4], 'entry', ARGV[2], 'lane', ARGV[3], unpack(entry[2]))
if KEYS[4] and redis.call('SREM', KEYS[4], ARGV[5]) == 1 then redis.call('HINCRBY', KEYS[3], 'dead', 1) end
return 1
