-- Puts the job of a dead letter back into its lane.
--
-- KEYS  1 dead stream   2 lane, and when a run counts the job:   3 run hash of the partition
--       4 pending set
-- ARGV  1 entry of the letter   2 job id   3 seconds to keep the run hash   4 how often the run had
--       restarted when the job died   5.. field, value, ... of the job's entry
-- Returns 'replayed', or why not: 'gone' (the letter is), 'forgotten' (no dead job of the run is known
-- here any more, or the run has restarted since and the job with it), the state of the run
-- ('cancelled', 'paused'), or 'queued' (the job is pending already).
--
-- Guarantee: letter, entry, pending set and counts move together, so that jobs = done + dead +
-- pending holds before and after, and a letter puts its job back once. A run that is over here goes
-- on here.

local dead, lane, run, pending = unpack(KEYS)
if #redis.call('XRANGE', dead, ARGV[1], ARGV[1]) == 0 then return 'gone' end
if run then
  local state, deaths, restarts = unpack(redis.call('HMGET', run, 'state', 'dead', 'restarts'))
  if state and state ~= 'over' then return state end
  if tonumber(deaths or 0) < 1 or tonumber(restarts or 0) ~= tonumber(ARGV[4]) then return 'forgotten' end
  if redis.call('SISMEMBER', pending, ARGV[2]) == 1 then return 'queued' end
end

-- First what a server without memory refuses, before anything else was done.
redis.call('XADD', lane, '*', unpack(ARGV, 5))
redis.call('XDEL', dead, ARGV[1])
if run then
  redis.call('HDEL', run, 'state')
  redis.call('SADD', pending, ARGV[2])
  redis.call('HINCRBY', run, 'dead', -1)
  redis.call('HINCRBY', run, 'replayed', 1)
  redis.call('EXPIRE', run, ARGV[3])
  redis.call('EXPIRE', pending, ARGV[3])
end
return 'replayed'
