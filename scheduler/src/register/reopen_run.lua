-- Lets a run go on whose dead jobs are queued again.
--
-- KEYS  1 run hash   2 set of runs that are not over
-- ARGV  1 run id
-- Returns 'reopened' (it was done), or the state in which it is, or '' when it is unknown.
--
-- Guarantee: an end that a scheduler has decided on before the jobs were queued comes to nothing,
-- whether this comes before it or after it: see end_run.lua.

local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'done' then
  if state and state ~= 'failed' and state ~= 'cancelled' then
    redis.call('PERSIST', KEYS[1])
    redis.call('HINCRBY', KEYS[1], 'reopened', 1)
  end
  return state or ''
end
-- First something that a server without memory does not refuse, or it would refuse what follows.
redis.call('PERSIST', KEYS[1])
redis.call('HINCRBY', KEYS[1], 'reopened', 1)
-- It was done, so all that was planned is queued; its dataset and cohort may be gone by now.
redis.call('HSET', KEYS[1], 'state', 'running', 'queued', 1)
redis.call('HDEL', KEYS[1], 'finished')
redis.call('SADD', KEYS[2], ARGV[1])
return 'reopened'
